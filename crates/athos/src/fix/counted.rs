//! Numbers of things in texts for people.

/// A number of things, for people: `1 example`, `2 bits`.
pub fn counted(number: impl std::fmt::Display, what: &str) -> String {
    let number = number.to_string();
    let s = if number == "1" { "" } else { "s" };
    format!("{number} {what}{s}")
}
