//! Tables of text, and numbers for people.

use std::ops::RangeBounds;

/// Rows in columns that line up: those in `right` to the right, others to the left. What may be of
/// any length belongs into the last column, where it moves nothing else.
pub fn table(rows: &[Vec<String>], right: impl RangeBounds<usize>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            if c > 0 {
                line.push_str("  ");
            }
            let pad = " ".repeat(width - cell.chars().count());
            line.push_str(&if right.contains(&c) { format!("{pad}{cell}") } else { format!("{cell}{pad}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The same below a line of the columns' names.
pub fn with_header<const N: usize, T: ToString>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [T; N]>,
    right: impl RangeBounds<usize>,
) -> String {
    let rows = rows.into_iter().map(|row| row.map(|cell| cell.to_string()).to_vec());
    let all: Vec<Vec<String>> = std::iter::once(header.map(String::from).to_vec()).chain(rows).collect();
    table(&all, right)
}

/// A count with a unit: `4.09 G`.
pub fn count(n: u64) -> String {
    scaled(n as f64, "")
}

/// Bytes: `512 B`, `1.25 MB` (of 1000s).
pub fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { scaled(n as f64, "B") }
}

fn scaled(n: f64, unit: &str) -> String {
    let steps = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match steps.iter().find(|(size, _)| n >= *size) {
        Some((size, prefix)) => {
            let v = n / size;
            let digits = if v < 10.0 { 2 } else { usize::from(v < 100.0) };
            format!("{v:.digits$} {prefix}{unit}")
        }
        None => format!("{n}{}{unit}", if unit.is_empty() { "" } else { " " }),
    }
}

/// A real number: `0.1235`, `12.35`, `1.2e-5`.
pub fn number(v: f64) -> String {
    if v == 0.0 {
        "0".into()
    } else if (1e-3..1e5).contains(&v.abs()) {
        let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{v:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    } else {
        format!("{v:.1e}")
    }
}

/// A shape: `1x28x28x1`.
pub fn shape(dimensions: &[usize]) -> String {
    dimensions.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
