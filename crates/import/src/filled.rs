//! What a reader has to type, filled in: the names and shapes in what is said of a node.

use crate::NodeRefusal;

/// Where a model can be cut at a node, for `--input`.
const CUT: &str = "--input NAME=SHAPE";

/// Where it can be ended before a node, for `--output`.
const END: &str = "--output NAME";

/// A node of which something is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said<'a> {
    /// What its first result is called.
    pub(crate) result: &'a str,
    /// The shape of that result, where the file says it.
    pub(crate) shape: Option<Vec<usize>>,
    /// The last value before the node that can be computed, where there is one.
    pub(crate) before: Option<&'a str>,
}

impl Said<'_> {
    /// A refusal with the options that it speaks of.
    pub(crate) fn fill(&self, refusal: NodeRefusal) -> NodeRefusal {
        refusal.map(|text| self.filled(text))
    }

    fn filled(&self, reason: &str) -> String {
        let mut reason = reason.to_owned();
        if reason.contains(CUT) && !self.result.is_empty() {
            let shape = self.shape.as_ref().map_or("SHAPE".into(), |shape| {
                shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
            });
            reason = reason.replace(CUT, &format!("--input {}", typed(&format!("{}={shape}", self.result))));
        }
        if let Some(before) = self.before {
            reason = reason.replace(END, &format!("--output {}", typed(before)));
        }
        reason
    }
}

/// A word as it is typed into a shell.
fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The shape of a value that a file declares with these axes, of which the first may be open: it is
/// a batch then.
pub(crate) fn declared(
    axes: impl Iterator<Item = Option<usize>>,
    batch: Option<usize>,
) -> Option<Vec<usize>> {
    let fixed = axes.enumerate().map(|(axis, length)| match (axis, length) {
        (0, None) => Some(batch.unwrap_or(1)),
        (_, length) => length,
    });
    // Where there are no axes, there is nothing that could be typed.
    fixed.collect::<Option<Vec<usize>>>().filter(|shape| !shape.is_empty())
}
