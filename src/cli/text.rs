//! Setting text: wrapping, columns, titles. For `list`, `explain` and `doctor`, which read better as text than as a table.

use std::io::Write;

use crate::report::view::{Style, visible};

/// Writes to standard output. A closed pipe (`| head`) is no mistake.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Pretty JSON with a line break at the end.
pub fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Bold, where the style has colours.
pub fn bold(style: Style, text: &str) -> String {
    paint(style, "1", text)
}

/// An ANSI rendition, where the style has colours.
pub fn paint(style: Style, sgr: &str, text: &str) -> String {
    if style.color { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Breaks a text into lines of at most `columns` characters. Its own line breaks are kept; a line that starts with a number and a
/// dot is continued below its text; a word longer than a line stays whole, so that URLs can be copied.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in visible(text).trim().lines() {
        let indent = " ".repeat(step_number(paragraph));
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if line.trim().is_empty() {
                line.push_str(word);
            } else if width(&line) + 1 + width(word) <= columns {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(std::mem::replace(&mut line, format!("{indent}{word}")));
            }
        }
        lines.push(line);
    }
    lines
}

/// Characters of `12. ` at the start of a line, else 0.
fn step_number(line: &str) -> usize {
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    if digits > 0 && line[digits..].starts_with(". ") { digits + 2 } else { 0 }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Appends a wrapped text, every line indented.
pub fn paragraph(out: &mut String, text: &str, indent: usize, style: Style) {
    for line in wrap(text, style.columns().saturating_sub(indent)) {
        out.push_str(format!("{:indent$}{line}", "").trim_end());
        out.push('\n');
    }
}

/// Appends rows below a header, aligned; the last cell is wrapped at `columns`, and stands on lines of its own where the others leave
/// it too little room.
pub fn table(out: &mut String, header: &[&str], rows: &[Vec<String>], style: Style, columns: usize) {
    let fixed = header.len().saturating_sub(1);
    let mut widths: Vec<usize> = (0..fixed)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
            cells.chain([width(header.get(at).copied().unwrap_or_default())]).max().unwrap_or(0)
        })
        .collect();
    // Where even the fixed columns are too wide, the longest names of the first one stand on lines of their own.
    let too_wide = widths.iter().map(|width| width + 2).sum::<usize>().saturating_sub(columns);
    if let Some(first) = widths.first_mut() {
        *first = first.saturating_sub(too_wide).max(8).min(*first);
    }
    let left: usize = widths.iter().map(|width| width + 2).sum();
    let beside = columns.saturating_sub(left) >= 28;
    let mut put = |cells: &[&str], heading: bool| {
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            if at == 0 && cell.chars().count() > *width {
                line.push_str(&format!("{cell}\n{:width$}  ", ""));
                continue;
            }
            line.push_str(&format!("{cell:width$}  "));
        }
        let last = visible(cells.last().copied().unwrap_or_default());
        let indent = if beside { left } else { 4 };
        let mut lines = wrap(&last, columns.saturating_sub(indent)).into_iter();
        if beside || (heading && left + width(&last) <= columns) {
            line.push_str(&lines.next().unwrap_or_default());
        }
        let line = line.trim_end();
        out.push_str(&if heading { bold(style, line) } else { line.to_owned() });
        out.push('\n');
        for line in lines {
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
    };
    put(header, true);
    for row in rows {
        put(&row.iter().map(String::as_str).collect::<Vec<_>>(), false);
    }
}

/// A path as it can be pasted into a shell.
pub fn quoted(path: &std::path::Path) -> String {
    crate::report::view::shell_word(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_continued_below_their_text_and_long_words_stay_whole() {
        assert_eq!(wrap("1. one two three\nx", 9), ["1. one", "   two", "   three", "x"]);
        assert_eq!(wrap("see https://a.example/long now", 10), ["see", "https://a.example/long", "now"]);
    }

    #[test]
    fn columns_are_aligned_and_the_last_one_wraps() {
        let style = Style { color: false, width: Some(60) };
        let mut out = String::new();
        let rows = [vec!["a".to_owned(), "word ".repeat(14)], vec!["bcd".to_owned(), "y".to_owned()]];
        table(&mut out, &["ID", "TEXT"], &rows, style, style.columns());
        let word = "word ".repeat(11);
        assert_eq!(out, format!("ID   TEXT\na    {}\n     word word word\nbcd  y\n", word.trim()));
        assert!(out.lines().all(|line| line.len() <= 60));
    }
}
