//! What a page wants from the user, told by the page itself. Pure functions.

use super::recipe_words::{
    CODE, FEDERATED, GO, HARDWARE, NAME, NEW_PASSKEY, NO, NOT_CODE, NOT_NOW, OTHER_ACCOUNT, PASSKEY, STAY, YES, has,
};
use super::{Button, Field, Landing};

/// What a login page asks for. Fields are indices into the landing's fields, buttons into its buttons.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// The user name.
    pub name: Option<usize>,
    /// The password.
    pub password: Option<usize>,
    /// A one-time code: one field, or one field per digit.
    pub code: Vec<usize>,
    /// The code is that of a second authenticator.
    pub hardware: bool,
    /// A passkey can be used.
    pub passkey: Option<usize>,
    /// Consent, or a notice to go on from.
    pub consent: Option<usize>,
    /// "Not now", where the page asks whether the user wants to stay signed in.
    pub decline: Option<usize>,
}

/// Names of fields are written together (`userName`, `loginfmt`), so that their parts are found anywhere.
fn named(field: &Field, words: &[&str]) -> bool {
    let name = field.name.to_lowercase();
    let id = field.at.to_lowercase();
    has(&field.label, words) || words.iter().any(|word| name.contains(word) || (id.starts_with('#') && id.contains(word)))
}

fn textual(field: &Field) -> bool {
    matches!(field.kind.as_str(), "text" | "email" | "tel" | "number" | "password")
}

fn is_code(field: &Field) -> bool {
    if !textual(field) || field.kind == "email" || named(field, &NOT_CODE) {
        return false;
    }
    let length = field.max_length.is_some_and(|length| (6..=8).contains(&length));
    let numeric = field.inputmode == "numeric" || matches!(field.kind.as_str(), "number" | "tel");
    field.autocomplete.contains("one-time-code")
        || ((named(field, &CODE) || named(field, &HARDWARE)) && !field.autocomplete.contains("password"))
        || (field.kind != "password" && !named(field, &NAME) && (length || field.inputmode == "numeric") && (length || numeric))
}

/// How much a field looks like the user name; 0 is not at all.
fn name_score(field: &Field) -> u8 {
    if !matches!(field.kind.as_str(), "text" | "email" | "tel") || is_code(field) {
        return 0;
    }
    if field.autocomplete.contains("username") {
        4
    } else if field.kind == "email" || field.autocomplete.contains("email") {
        3
    } else if named(field, &NAME) {
        2
    } else {
        0
    }
}

/// Reads a page.
pub(super) fn wants(page: &Landing) -> Wants {
    let fields = &page.fields;
    let mut wants = Wants::default();
    let digits: Vec<usize> = (0..fields.len()).filter(|i| textual(&fields[*i]) && fields[*i].max_length == Some(1)).collect();
    if (4..=8).contains(&digits.len()) {
        wants.code = digits;
    } else {
        wants.code.extend(fields.iter().position(is_code));
    }
    wants.hardware = wants.code.first().is_some_and(|index| named(&fields[*index], &HARDWARE));
    let passwords = || (0..fields.len()).filter(|i| fields[*i].kind == "password" && !wants.code.contains(i));
    // A page that lets the user choose a new password is no login page.
    wants.password = passwords().find(|i| fields[*i].autocomplete != "new-password");
    let best = (0..fields.len())
        .filter(|i| name_score(&fields[*i]) > 0)
        .max_by_key(|i| (name_score(&fields[*i]), std::cmp::Reverse(*i)));
    // Beside a password, the text field in front of it is the user name, whatever it is called.
    let in_front = || {
        let password = wants.password?;
        (0..password).rev().find(|i| fields[*i].kind == "text" && !is_code(&fields[*i]) && !has(&fields[*i].label, &["search"]))
    };
    wants.name = best.or_else(in_front);
    // A page after the login may offer to make a passkey; that is not a way to sign in.
    let uses = |text: &str| has(text, &PASSKEY) && !has(text, &NO) && !has(text, &NEW_PASSKEY);
    wants.passkey = page.buttons.iter().position(|button| uses(&button.text));
    if !fields.iter().any(|field| textual(field) || field.kind == "textarea") {
        let stay = has(&page.title, &STAY) || STAY.iter().any(|text| page.html.to_lowercase().contains(text));
        let exactly = |words: &[&str]| page.buttons.iter().position(|button| words.contains(&button.text.to_lowercase().trim()));
        wants.decline = exactly(&NOT_NOW).filter(|_| stay);
        let agrees = |button: &Button| has(&button.text, &YES) && !has(&button.text, &NO) && !has(&button.text, &PASSKEY);
        wants.consent = page
            .buttons
            .iter()
            .position(|button| button.submits && agrees(button))
            .or_else(|| page.buttons.iter().position(agrees));
    }
    wants
}

/// The entry of an account chooser: this account, or another one.
pub(super) fn account(page: &Landing, name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    let by_name = page.buttons.iter().position(|button| !name.is_empty() && button.text.to_lowercase().contains(&name));
    by_name.or_else(|| page.buttons.iter().position(|button| has(&button.text, &OTHER_ACCOUNT)))
}

/// The button that sends what was typed; none where pressing enter is the better guess.
pub(super) fn go_button(page: &Landing) -> Option<&Button> {
    // "Sign in with ..." leads to somebody else.
    let goes = |button: &&Button| {
        has(&button.text, &GO) && !has(&button.text, &NO) && !has(&button.text, &["with", "mit", "avec", "passkey"])
    };
    let mut submits = page.buttons.iter().filter(|button| button.submits).filter(goes);
    match (submits.next(), submits.next()) {
        (Some(button), None) => return Some(button),
        // Several forms: the field knows which one is its own.
        (Some(_), Some(_)) => return None,
        (None, _) => {}
    }
    if page.buttons.iter().any(|button| button.submits) {
        return None;
    }
    page.buttons.iter().find(goes)
}

/// See [`super::recipe::sensible_button`].
pub(super) fn onward(page: &Landing) -> Option<&Button> {
    let wants = wants(page);
    let own_login = wants.name.is_some() || wants.password.is_some();
    let possible: Vec<&Button> =
        page.buttons.iter().filter(|button| !button.text.is_empty() && !has(&button.text, &NO)).collect();
    let goes = |button: &&&Button| has(&button.text, &GO);
    let elsewhere: Vec<&Button> = possible.iter().filter(goes).filter(|button| has(&button.text, &FEDERATED)).copied().collect();
    let plain: Vec<&Button> = possible.iter().filter(goes).copied().collect();
    let tiers = if own_login { vec![elsewhere] } else { vec![elsewhere, plain, possible] };
    let first = tiers.into_iter().find(|tier| !tier.is_empty())?;
    first.iter().all(|button| button.text == first[0].text).then_some(first[0])
}

/// Field names for a message.
pub(super) fn field_names(page: &Landing) -> Vec<String> {
    page.fields.iter().map(|field| if field.name.is_empty() { field.at.clone() } else { field.name.clone() }).collect()
}

/// What a page is, to notice that nothing changes.
pub(super) fn signature(page: &Landing) -> String {
    let buttons: Vec<&str> = page.buttons.iter().map(|button| button.text.as_str()).collect();
    format!("{} {} {:?} {buttons:?}", page.url, page.status, field_names(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: &str, label: &str) -> Field {
        Field {
            at: format!("input[name=\"{name}\"]"),
            name: name.into(),
            kind: kind.into(),
            label: label.into(),
            ..Field::default()
        }
    }

    fn buttons(texts: &[&str]) -> Vec<Button> {
        texts.iter().map(|text| Button { text: (*text).into(), submits: true, ..Button::default() }).collect()
    }

    #[test]
    fn login_fields_are_told_from_others() {
        let fields = vec![field("q", "text", "Search"), field("loginfmt", "text", ""), field("passwd", "password", "")];
        let page = Landing { fields, ..Landing::default() };
        let wants = wants(&page);
        assert_eq!((wants.name, wants.password, wants.code.len()), (Some(1), Some(2), 0));
        let page = Landing { fields: vec![field("f1", "text", ""), field("f2", "password", "")], ..Landing::default() };
        assert_eq!(super::wants(&page).name, Some(0));
        let page = Landing { fields: vec![field("nickname", "text", "Nickname")], ..Landing::default() };
        assert_eq!(super::wants(&page).name, None);
    }

    #[test]
    fn codes_are_told_from_passwords_and_names() {
        let one = |field: Field| wants(&Landing { fields: vec![field], ..Landing::default() });
        for code in [
            field("otp", "text", ""),
            field("x", "text", "Enter the 6-digit code"),
            field("totp", "password", ""),
            Field { max_length: Some(6), inputmode: "numeric".into(), ..field("x", "text", "") },
            Field { autocomplete: "one-time-code".into(), ..field("x", "text", "") },
        ] {
            let wants = one(code.clone());
            assert_eq!((wants.code.len(), wants.name, wants.password), (1, None, None), "{code:?}");
        }
        assert!(one(field("countryCode", "text", "")).code.is_empty());
        assert!(one(field("phone", "tel", "")).code.is_empty());
        assert_eq!(one(Field { max_length: Some(8), ..field("userid", "text", "") }).name, Some(0));
        let boxes = (0..6).map(|i| Field { max_length: Some(1), ..field(&format!("d{i}"), "tel", "") }).collect();
        assert_eq!(wants(&Landing { fields: boxes, ..Landing::default() }).code.len(), 6);
    }

    #[test]
    fn consent_never_clicks_deny() {
        let page = Landing { buttons: buttons(&["Cancel", "Do not allow this? Deny", "Allow"]), ..Landing::default() };
        assert_eq!(wants(&page).consent, Some(2));
        let page = Landing { buttons: buttons(&["Cancel", "Broken"]), ..Landing::default() };
        assert_eq!(wants(&page).consent, None);
    }

    #[test]
    fn the_primary_button_is_found() {
        let pick = |texts: &[&str]| go_button(&Landing { buttons: buttons(texts), ..Landing::default() }).map(|b| b.text.clone());
        assert_eq!(pick(&["Sign in with Other", "Sign in", "Sign up"]).unwrap(), "Sign in");
        assert_eq!(pick(&["Forgot login?", "Absenden"]), None);
        assert_eq!(pick(&["Submit", "Log in"]), None);
    }

    #[test]
    fn the_way_to_a_login_elsewhere_is_taken_only_where_it_is_plain() {
        let pick = |fields: Vec<Field>, texts: &[&str]| {
            onward(&Landing { fields, buttons: buttons(texts), ..Landing::default() }).map(|button| button.text.clone())
        };
        assert_eq!(pick(vec![], &["Sign in", "Help"]).unwrap(), "Sign in");
        assert_eq!(pick(vec![], &["Sign in", "Sign in with SSO", "Sign up"]).unwrap(), "Sign in with SSO");
        assert_eq!(pick(vec![], &["Log in", "Pricing", "Log in"]).unwrap(), "Log in");
        assert_eq!(pick(vec![], &["alice@example.com"]).unwrap(), "alice@example.com");
        assert_eq!(pick(vec![], &["alice@example.com", "bob@example.com"]), None);
        assert_eq!(pick(vec![], &["Continue with A", "Continue with B"]), None);
        let own = || vec![field("user", "text", ""), field("password", "password", "")];
        assert_eq!(pick(own(), &["Log in"]), None);
        assert_eq!(pick(own(), &["Log in", "Log in with your company"]).unwrap(), "Log in with your company");
    }

    #[test]
    fn an_offer_to_make_a_passkey_is_no_second_factor() {
        let wanted = |text: &str| wants(&Landing { buttons: buttons(&[text]), ..Landing::default() }).passkey;
        assert_eq!(wanted("Sign in with a passkey"), Some(0));
        assert_eq!(wanted("Create a passkey"), None);
        assert_eq!(wanted("Set up passkey"), None);
    }
}
