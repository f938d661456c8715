//! Reading a page without running it: fields, buttons, and what submitting or clicking sends.

use std::collections::HashMap;

use scraper::{ElementRef, Html, Selector};
use url::Url;

use super::{Button, Field};

/// A refresh that is further away than this many seconds is not followed.
const REFRESH: f64 = 5.0;

/// A request that a page leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub method: &'static str,
    pub url: Url,
    /// Form-encoded body of a POST.
    pub body: Option<String>,
}

/// What a page shows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub title: String,
    pub fields: Vec<Field>,
    pub buttons: Vec<Button>,
    /// Where the page goes by itself.
    pub next: Option<Request>,
}

/// What acting on an element means.
pub(super) enum Effect {
    /// A link or a form.
    Request(Request),
    /// A check box was clicked: its new value.
    Value(String),
    /// Nothing without scripts.
    Nothing,
}

/// A parsed page. Not `Send`: parse, ask, drop.
pub(super) struct Document {
    pub html: Html,
    pub base: Url,
}

impl Document {
    pub(super) fn new(text: &str, url: &Url) -> Self {
        // Without scripts the content of <noscript> counts.
        let text = text.replace("<noscript>", "").replace("</noscript>", "");
        let html = crate::stage::html::parse(&text);
        let href = first(&html, "base[href]").and_then(|base| base.attr("href").map(str::to_owned));
        let base = href.and_then(|href| url.join(&href).ok()).unwrap_or_else(|| url.clone());
        Document { html, base }
    }

    /// Everything a user sees. `suite` tells whether a URL belongs to the suite; `filled` holds what was typed.
    pub(super) fn see(&self, suite: impl Fn(&str) -> bool, filled: &HashMap<String, String>) -> Seen {
        let mut seen = Seen { title: self.title(), next: self.refresh().or_else(|| self.auto_form(suite)), ..Seen::default() };
        for element in self.all("input, select, textarea, button, a[href], [role=button]") {
            if hidden(element) || element.attr("disabled").is_some() {
                continue;
            }
            let kind = kind(element);
            match element.value().name() {
                "input" | "select" | "textarea" if !is_button(element) => {
                    if kind != "hidden" {
                        seen.fields.push(self.field(element, kind, filled));
                    }
                }
                _ if kind == "reset" => {}
                _ => seen.buttons.push(self.button(element)),
            }
        }
        seen
    }

    /// The canonical selector of the element that a selector names; `None` when there is none.
    pub(super) fn find(&self, at: &str) -> Option<String> {
        Some(self.selector(self.element(at)?))
    }

    /// What a click on the element does.
    pub(super) fn click(&self, at: &str, filled: &HashMap<String, String>) -> Option<Effect> {
        let element = self.element(at)?;
        let kind = kind(element);
        if matches!(kind.as_str(), "checkbox" | "radio") && element.value().name() == "input" {
            let checked = filled.get(&self.selector(element)).map_or(element.attr("checked").is_some(), |value| value == "on");
            return Some(Effect::Value(if checked && kind == "checkbox" { String::new() } else { "on".into() }));
        }
        if submits(element) {
            return Some(
                self.form(element)
                    .and_then(|form| self.submission(form, Some(element), filled))
                    .map_or(Effect::Nothing, Effect::Request),
            );
        }
        let link = element.value().name() == "a";
        let href = element.attr("href").filter(|href| link && !href.starts_with('#')).and_then(|href| self.base.join(href).ok());
        let url = href.filter(|url| url.scheme().starts_with("http"));
        Some(url.map_or(Effect::Nothing, |url| Effect::Request(Request { method: "GET", url, body: None })))
    }

    /// What pressing enter in the element does.
    pub(super) fn submit(&self, at: &str, filled: &HashMap<String, String>) -> Option<Effect> {
        let element = self.element(at)?;
        let Some(form) = self.form(element) else { return Some(Effect::Nothing) };
        let default = self.controls(form).into_iter().find(|control| submits(*control) && control.attr("disabled").is_none());
        Some(self.submission(form, default, filled).map_or(Effect::Nothing, Effect::Request))
    }

    pub(super) fn all(&self, selector: &str) -> Vec<ElementRef<'_>> {
        Selector::parse(selector).map(|selector| self.html.select(&selector).collect()).unwrap_or_default()
    }

    fn element(&self, at: &str) -> Option<ElementRef<'_>> {
        first(&self.html, at)
    }

    fn title(&self) -> String {
        first(&self.html, "title").map(text).unwrap_or_default()
    }

    fn field(&self, element: ElementRef<'_>, kind: String, filled: &HashMap<String, String>) -> Field {
        let at = self.selector(element);
        let get = |name: &str| element.attr(name).unwrap_or_default().to_owned();
        let mut label: Vec<String> = Vec::new();
        if let Some(id) = element.attr("id") {
            label.extend(self.all(&format!("label[for={}]", quoted(id))).into_iter().map(text));
        }
        label.extend(ancestors(element).find(|parent| parent.value().name() == "label").map(text));
        label.extend(["aria-label", "placeholder", "title"].iter().filter_map(|name| element.attr(name)).map(str::to_owned));
        let value = match filled.get(&at) {
            _ if kind == "password" => String::new(),
            Some(value) => value.clone(),
            None => self.initial(element).unwrap_or_default(),
        };
        Field {
            name: get("name"),
            autocomplete: get("autocomplete"),
            inputmode: get("inputmode"),
            label: label.join(" "),
            max_length: element.attr("maxlength").and_then(|length| length.parse().ok()),
            at,
            kind,
            value,
        }
    }

    fn button(&self, element: ElementRef<'_>) -> Button {
        let get = |name: &str| element.attr(name).unwrap_or_default().to_owned();
        let mut shown = text(element);
        if shown.is_empty() && element.value().name() == "input" {
            shown = element.attr("value").or(element.attr("alt")).unwrap_or("Submit").to_owned();
        }
        if shown.is_empty() {
            shown = element.attr("aria-label").or(element.attr("title")).unwrap_or_default().to_owned();
        }
        let submits = submits(element) && self.form(element).is_some();
        Button { at: self.selector(element), text: shown, name: get("name"), value: get("value"), submits }
    }

    /// The value that a control has before anybody types; `None` for one that sends nothing.
    pub(super) fn initial(&self, control: ElementRef<'_>) -> Option<String> {
        let get = |element: ElementRef<'_>| element.attr("value").map_or_else(|| text(element), str::to_owned);
        match control.value().name() {
            "select" => {
                let options = Selector::parse("option").ok()?;
                let chosen = control.select(&options).find(|option| option.attr("selected").is_some());
                chosen.or_else(|| control.select(&options).next()).map(get)
            }
            "textarea" => Some(control.text().collect()),
            _ => match kind(control).as_str() {
                "file" => None,
                "checkbox" | "radio" if control.attr("checked").is_none() => Some(String::new()),
                _ => Some(control.attr("value").unwrap_or_default().to_owned()),
            },
        }
    }

    /// `<meta http-equiv="refresh" content="0; url=...">`.
    fn refresh(&self) -> Option<Request> {
        let meta = self
            .all("meta[http-equiv]")
            .into_iter()
            .find(|meta| meta.attr("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh")))?;
        refresh(meta.attr("content")?, &self.base)
    }

    /// A selector that names exactly this element.
    pub(super) fn selector(&self, element: ElementRef<'_>) -> String {
        let only = |at: &str| matches!(self.all(at)[..], [one] if one == element);
        let tag = element.value().name();
        if let Some(id) = element.attr("id") {
            let plain = id.starts_with(|c: char| c.is_ascii_alphabetic())
                && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let at = if plain { format!("#{id}") } else { format!("{tag}[id={}]", quoted(id)) };
            if only(&at) {
                return at;
            }
        }
        if let Some(name) = element.attr("name") {
            let at = format!("{tag}[name={}]", quoted(name));
            if only(&at) {
                return at;
            }
        }
        let step = |element: ElementRef<'_>| {
            let name = element.value().name();
            let before =
                element.prev_siblings().filter_map(ElementRef::wrap).filter(|other| other.value().name() == name).count();
            format!("{name}:nth-of-type({})", before + 1)
        };
        let mut path = vec![step(element)];
        path.extend(ancestors(element).map(step));
        path.reverse();
        path.join(" > ")
    }
}

/// The target of a refresh (`5; url=/next`), as the header and the meta element write it.
pub(super) fn refresh(content: &str, base: &Url) -> Option<Request> {
    let (delay, rest) = content.split_once([';', ',']).unwrap_or((content, ""));
    let rest = rest.trim();
    let target = match rest.get(..4) {
        Some(key) if key.eq_ignore_ascii_case("url=") => rest[4..].trim().trim_matches(['\'', '"']),
        _ => rest,
    };
    if target.is_empty() || delay.trim().parse::<f64>().ok()? > REFRESH {
        return None;
    }
    Some(Request { method: "GET", url: base.join(target).ok()?, body: None })
}

pub(super) fn first<'a>(html: &'a Html, selector: &str) -> Option<ElementRef<'a>> {
    html.select(&Selector::parse(selector).ok()?).next()
}

pub(super) fn ancestors(element: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    element.ancestors().filter_map(ElementRef::wrap)
}

pub(super) fn kind(element: ElementRef<'_>) -> String {
    let given = element.attr("type").map(str::to_ascii_lowercase);
    match element.value().name() {
        "input" => given.unwrap_or_else(|| "text".into()),
        "button" => given.filter(|kind| kind == "button" || kind == "reset").unwrap_or_else(|| "submit".into()),
        other => other.to_owned(),
    }
}

pub(super) fn is_button(element: ElementRef<'_>) -> bool {
    match element.value().name() {
        "button" => true,
        "input" => matches!(kind(element).as_str(), "submit" | "image" | "button" | "reset"),
        _ => false,
    }
}

pub(super) fn submits(element: ElementRef<'_>) -> bool {
    is_button(element) && matches!(kind(element).as_str(), "submit" | "image")
}

/// Hidden by its own or an ancestor's attributes, as far as that can be known without style sheets.
fn hidden(element: ElementRef<'_>) -> bool {
    std::iter::once(element).chain(ancestors(element)).any(|element| {
        let style: String = element.attr("style").unwrap_or_default().split_whitespace().collect();
        element.attr("hidden").is_some()
            || style.contains("display:none")
            || style.contains("visibility:hidden")
            || element.value().name() == "template"
    })
}

fn text(element: ElementRef<'_>) -> String {
    let all: String = element.text().collect();
    all.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
