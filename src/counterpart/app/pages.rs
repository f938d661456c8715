//! The pages, in plain HTML: they work without scripts.

use std::collections::BTreeSet;

use super::http::escape;
use super::state::Account;
use crate::counterpart::scim_server::Role;

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - reference application</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}}\
         input,button{{font:inherit;padding:.5rem}}.message{{color:#a00}}</style></head>\n\
         <body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    )
}

fn row(label: &str, id: &str, value: &str) -> String {
    format!("<dt>{label}</dt><dd id=\"{id}\">{}</dd>", escape(value))
}

/// For anybody.
pub fn home() -> String {
    page("Welcome", "<p><a id=\"sign-in\" href=\"/login\">Sign in</a></p>")
}

/// For signed-in users.
pub fn protected(account: &Account, roles: &BTreeSet<String>) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let body = format!(
        "<p id=\"signed-in\">You are signed in.</p><dl>{}{}{}</dl>{}\
         <p><a href=\"/profile\">Profile</a> <a href=\"/logout\">Sign out</a></p>",
        row("Account", "account", &account.id),
        row("Name", "name", &text(&account.name)),
        row("Email", "email", &text(&account.email)),
        list("Roles", roles),
    );
    page("Your account", &body)
}

fn list(title: &str, items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let items: String = items.into_iter().map(|item| format!("<li class=\"role\">{}</li>", escape(item.as_ref()))).collect();
    format!("<h2>{title}</h2><ul id=\"roles\">{items}</ul>")
}

/// What was done by SCIM.
pub fn log(entries: &[String]) -> String {
    let entries: String = entries.iter().map(|entry| format!("<li>{}</li>", escape(entry))).collect();
    page("Log", &format!("<ul id=\"log\">{entries}</ul>"))
}

/// The roles that the administrator can see.
pub fn catalogue(roles: &[Role]) -> String {
    page("Roles", &list("All roles", roles.iter().map(|role| &role.value)))
}

/// A form with text fields, each with its name and label; the button has the id `go`.
pub fn form(title: &str, action: &str, csrf: &str, fields: &[(&str, &str)]) -> String {
    let field = |(name, label): &(&str, &str)| {
        let kind = if *name == "password" { "password" } else { "text" };
        format!("<p><label for=\"{name}\">{label}</label> <input id=\"{name}\" name=\"{name}\" type=\"{kind}\"></p>")
    };
    let fields: String = fields.iter().map(field).collect();
    let body = format!(
        "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">{fields}\
         <button id=\"go\" type=\"submit\">{title}</button></form>",
        escape(csrf),
    );
    page(title, &body)
}

/// Something was done.
pub fn done(text: &str) -> String {
    page("Done", &format!("<p id=\"done\">{}</p>", escape(text)))
}

/// The form that changes something.
pub fn profile(account: &Account, csrf: &str) -> String {
    let body = format!(
        "<dl>{}</dl><form method=\"post\" action=\"/profile\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">\
         <label for=\"nickname\">Nickname</label> <input id=\"nickname\" name=\"nickname\" type=\"text\" maxlength=\"100\">\
         <button type=\"submit\">Save</button></form>",
        row("Nickname", "shown-nickname", &account.nickname),
        escape(csrf),
    );
    page("Profile", &body)
}

/// After the end of the session.
pub fn signed_out() -> String {
    page("Signed out", "<p><a id=\"sign-in\" href=\"/login\">Sign in again</a></p>")
}

/// Why a login did not work.
pub fn refused(why: &str) -> String {
    let body = format!(
        "<p class=\"message\" role=\"alert\">You are not signed in: {}.</p><p><a id=\"sign-in\" href=\"/login\">Try again</a></p>",
        escape(why)
    );
    page("Sign-in failed", &body)
}

/// Why nothing else can be shown.
pub fn error(text: &str) -> String {
    page("That did not work", &format!("<p class=\"message\" role=\"alert\">{}</p>", escape(text)))
}
