//! Which form an element belongs to, and what submitting it sends.

use std::collections::HashMap;

use scraper::ElementRef;

use super::form_html::{Document, Request, ancestors, first, is_button, kind, quoted};

impl Document {
    /// The form that an element belongs to.
    pub(super) fn form(&self, element: ElementRef<'_>) -> Option<ElementRef<'_>> {
        match element.attr("form") {
            Some(id) => first(&self.html, &format!("form[id={}]", quoted(id))),
            // Found anew in the document, so that it lives as long as this.
            None => {
                let form = ancestors(element).find(|parent| parent.value().name() == "form")?;
                self.all("form").into_iter().find(|candidate| *candidate == form)
            }
        }
    }

    pub(super) fn controls(&self, form: ElementRef<'_>) -> Vec<ElementRef<'_>> {
        let all = self.all("input, select, textarea, button");
        all.into_iter().filter(|control| self.form(*control) == Some(form)).collect()
    }

    /// HTML, "constructing the entry list" and "form submission".
    pub(super) fn submission(
        &self,
        form: ElementRef<'_>,
        by: Option<ElementRef<'_>>,
        filled: &HashMap<String, String>,
    ) -> Option<Request> {
        let mut entries: Vec<(String, String)> = Vec::new();
        for control in self.controls(form) {
            let name = control.attr("name").unwrap_or_default();
            if name.is_empty() || control.attr("disabled").is_some() {
                continue;
            }
            if is_button(control) {
                if by == Some(control) && kind(control) != "image" {
                    entries.push((name.to_owned(), control.attr("value").unwrap_or_default().to_owned()));
                }
                continue;
            }
            let typed = filled.get(&self.selector(control)).cloned();
            if matches!(kind(control).as_str(), "checkbox" | "radio") && control.value().name() == "input" {
                if typed.map_or(control.attr("checked").is_some(), |value| !value.is_empty()) {
                    entries.push((name.to_owned(), control.attr("value").unwrap_or("on").to_owned()));
                }
            } else if let Some(value) = typed.or_else(|| self.initial(control)) {
                entries.push((name.to_owned(), value));
            }
        }
        let own = |by_name: &str, name: &str| by.and_then(|by| by.attr(by_name)).or(form.attr(name));
        let mut url = self.base.join(own("formaction", "action").unwrap_or_default()).ok()?;
        if !url.scheme().starts_with("http") {
            return None;
        }
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&entries).finish();
        if own("formmethod", "method").is_some_and(|method| method.eq_ignore_ascii_case("post")) {
            return Some(Request { method: "POST", url, body: Some(encoded) });
        }
        url.set_query(Some(&encoded));
        Some(Request { method: "GET", url, body: None })
    }

    /// A form that a script would send at once: to the suite (`response_mode=form_post`), or on to another party.
    pub(super) fn auto_form(&self, suite: impl Fn(&str) -> bool) -> Option<Request> {
        let forms = self.all("form");
        let submitted = self.all("script").into_iter().any(|script| script.text().any(|text| text.contains("submit()")))
            || self.all("body[onload]").into_iter().any(|body| body.attr("onload").is_some_and(|text| text.contains("submit()")));
        forms.iter().find_map(|form| {
            let controls = self.controls(*form);
            let only_hidden =
                !controls.is_empty() && controls.iter().all(|control| kind(*control) == "hidden" || is_button(*control));
            let request = self.submission(*form, None, &HashMap::new()).filter(|_| only_hidden)?;
            let hidden = controls.iter().any(|control| kind(*control) == "hidden");
            (hidden && (suite(request.url.as_str()) || (submitted && forms.len() == 1))).then_some(request)
        })
    }
}
