//! Names of nodes and of files on a page.

use maud::{Markup, html};

/// Text in which a browser may break names behind each `/`, `.` and `_`, and nowhere else. A point
/// before a digit may be that of a number.
pub fn breakable(text: &str) -> Markup {
    html! { @for (i, part) in parts(text).into_iter().enumerate() { @if i > 0 { wbr; } (part) } }
}

/// The text, cut where it may be broken.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(end) = first_break(rest) {
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// Where a text may be broken for the first time.
fn first_break(text: &str) -> Option<usize> {
    let next = text.char_indices().zip(text.chars().skip(1));
    let breaks = next.filter(|((_, here), next)| match here {
        '/' | '_' => !next.is_whitespace(),
        '.' => next.is_alphabetic() || *next == '_',
        _ => false,
    });
    breaks.map(|((at, here), _)| at + here.len_utf8()).next()
}
