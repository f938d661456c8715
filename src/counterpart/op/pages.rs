//! The pages, in plain HTML: they work without scripts.

use super::http::escape;

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - reference identity service</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}}\
         input,button{{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem;margin:.25rem 0 1rem}}\
         .message{{color:#a00}}</style></head>\n<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    )
}

fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
}

fn message(text: Option<&str>) -> String {
    text.map(|text| format!("<p class=\"message\" role=\"alert\">{}</p>", escape(text))).unwrap_or_default()
}

/// User name and password.
pub fn password(csrf: &str, return_to: &str, name: &str, problem: Option<&str>) -> String {
    let body = format!(
        "{}<form method=\"post\" action=\"/login\">{}{}\
         <label for=\"username\">User name</label>\
         <input id=\"username\" name=\"username\" type=\"text\" autocomplete=\"username\" value=\"{}\" required>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
         <button type=\"submit\">Continue</button></form>",
        message(problem),
        hidden("csrf", csrf),
        hidden("return_to", return_to),
        escape(name),
    );
    page("Sign in", &body)
}

/// One-time code.
pub fn code(csrf: &str, return_to: &str, problem: Option<&str>) -> String {
    let body = format!(
        "{}<form method=\"post\" action=\"/login/code\">{}{}\
         <label for=\"code\">One-time code</label>\
         <input id=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" autocomplete=\"one-time-code\" maxlength=\"6\" required>\
         <button type=\"submit\">Verify</button></form>",
        message(problem),
        hidden("csrf", csrf),
        hidden("return_to", return_to),
    );
    page("Second step", &body)
}

/// Code of the second authenticator.
pub fn hardware(csrf: &str, return_to: &str, problem: Option<&str>) -> String {
    let body = format!(
        "{}<form method=\"post\" action=\"/login/hardware\">{}{}\
         <label for=\"code\">Code of your hardware authenticator</label>\
         <input id=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" autocomplete=\"one-time-code\" maxlength=\"6\">\
         <button type=\"submit\">Verify</button>\
         <button type=\"submit\" name=\"cancel\" value=\"1\">Cancel</button></form>",
        message(problem),
        hidden("csrf", csrf),
        hidden("return_to", return_to),
    );
    page("One more step", &body)
}

/// Why nothing else can be shown.
pub fn error(text: &str) -> String {
    page("That did not work", &format!("<p class=\"message\" role=\"alert\">{}</p>", escape(text)))
}

/// Asks before the session ends.
pub fn confirm_logout(csrf: &str) -> String {
    let form = format!(
        "<form method=\"post\" action=\"/logout/confirmed\">{}<button type=\"submit\">Sign out</button></form>",
        hidden("csrf", csrf)
    );
    page("Do you want to sign out?", &form)
}

/// After the end of the session.
pub fn signed_out() -> String {
    page("Signed out", "<p>You can close this page.</p>")
}

/// The applications, as (name, URL).
pub fn portal(tiles: &[(String, String)]) -> String {
    let items: String = tiles
        .iter()
        .map(|(name, url)| format!("<li><a class=\"tile\" href=\"{}\">{}</a></li>", escape(url), escape(name)))
        .collect();
    page("Your applications", &format!("<ul>{items}</ul>"))
}
