//! What the weights of all plans of a graph hold: the same numbers are kept once, whichever step, and
//! whichever plan, they are for.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Elements that a fingerprint looks at, at most.
const LOOKED_AT: usize = 61;

/// The numbers of a weight, kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The same for the same numbers, and for them alone.
    pub(crate) id: usize,
    pub(crate) data: Arc<Vec<f32>>,
    /// The largest magnitude of an element.
    pub(crate) largest: f32,
}

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    count: usize,
    by_fingerprint: HashMap<u64, Vec<Kept>>,
}

impl Contents {
    /// These numbers, or the same ones that are there already.
    pub(crate) fn keep(&mut self, data: Arc<Vec<f32>>) -> Kept {
        let alike = self.by_fingerprint.entry(fingerprint(&data)).or_default();
        if let Some(there) = alike.iter().find(|there| same(&there.data, &data)) {
            return there.clone();
        }
        let largest = data.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        let kept = Kept { id: self.count, data, largest };
        self.count += 1;
        alike.push(kept.clone());
        kept
    }
}

/// A number that the same elements have in common, of a few of them.
fn fingerprint(data: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.len().hash(&mut hasher);
    data.iter().step_by(data.len() / LOOKED_AT + 1).for_each(|v| v.to_bits().hash(&mut hasher));
    hasher.finish()
}

fn same(one: &Arc<Vec<f32>>, other: &Arc<Vec<f32>>) -> bool {
    // By their bits: what is no number is the same as itself.
    Arc::ptr_eq(one, other)
        || one.len() == other.len() && one.iter().zip(other.iter()).all(|(a, b)| a.to_bits() == b.to_bits())
}
