//! Tables of text, and numbers for people.

/// Rows in columns that line up: the first ones to the left, those from `right` on to the right.
pub fn table(rows: &[Vec<String>], right: usize) -> String {
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
            line.push_str(&if c >= right { format!("{pad}{cell}") } else { format!("{cell}{pad}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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

/// A shape: `1x28x28x1`.
pub fn shape(dimensions: &[usize]) -> String {
    dimensions.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["layer", "bits"], ["é", "7"], ["conv", "1234567"]].map(|r| r.map(String::from).to_vec());
        assert_eq!(table(&rows, 1), "layer     bits\né            7\nconv   1234567\n");
    }

    #[test]
    fn numbers_for_people() {
        for (n, text) in
            [(0, "0"), (999, "999"), (1000, "1.00 k"), (12_345, "12.3 k"), (4_089_184_256, "4.09 G")]
        {
            assert_eq!(count(n), text);
        }
        for (n, text) in [(0, "0 B"), (999, "999 B"), (1_250_000, "1.25 MB"), (987_654_321, "988 MB")] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(shape(&[1, 28, 28, 1]), "1x28x28x1");
    }
}
