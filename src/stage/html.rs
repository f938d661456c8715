//! Parsing pages of strangers.

use scraper::Html;

/// Elements that are never closed, or need not be.
const OPEN: [&str; 27] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "p", "li", "dt", "dd",
    "td", "th", "tr", "tbody", "thead", "tfoot", "option", "optgroup", "html", "body",
];
/// Elements inside each other at most. The parser looks through all of them at every tag, so that a page of nothing but open elements
/// takes it minutes; browsers stop at some 500.
const DEPTH: usize = 1_000;

/// Parses a document, up to where its elements are nested beyond reason.
pub fn parse(text: &str) -> Html {
    Html::parse_document(&text[..reasonable(text)])
}

/// How many bytes of a document are nested within reason.
fn reasonable(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, _) in text.match_indices('<') {
        let rest = &text[at + 1..];
        if rest.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            if !OPEN.iter().any(|name| rest[..end].eq_ignore_ascii_case(name)) {
                depth += 1;
            }
            if depth > DEPTH {
                return at;
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_pages_are_read_whole_and_bottomless_ones_are_cut() {
        let long = "<ul>".to_owned() + &"<li>an <a href=x>entry</a><br>".repeat(5_000) + "</ul>";
        assert_eq!(reasonable(&long), long.len());
        let deep = "<div>".repeat(50_000);
        assert_eq!(reasonable(&deep), DEPTH * "<div>".len());
        let clock = std::time::Instant::now();
        parse(&"<div><form>".repeat(100_000));
        assert!(clock.elapsed().as_secs() < 20, "{:?}", clock.elapsed());
    }
}
