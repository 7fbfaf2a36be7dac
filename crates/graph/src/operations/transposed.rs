//! Operations whose operands come from a transpose, as they are before it.

use super::Op;

/// An operation as it is before a transpose.
pub struct BeforeTranspose {
    /// The operation.
    pub op: Op,
    /// Which of its operands are taken from before the transpose.
    pub operands: Moved,
    /// The transpose behind it, that gives the result its order of axes.
    pub permutation: Vec<usize>,
}

/// The operands that are taken from before a transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The first one; the others are vectors along an axis that stays where it is.
    First,
    /// All of them.
    All {
        /// Whether they broadcast against each other.
        broadcast: bool,
    },
}

impl BeforeTranspose {
    pub(super) fn new(op: impl Into<Op>, operands: Moved, permutation: &[usize]) -> BeforeTranspose {
        BeforeTranspose { op: op.into(), operands, permutation: permutation.to_vec() }
    }

    pub(super) fn of_first(op: impl Into<Op>, permutation: &[usize]) -> BeforeTranspose {
        BeforeTranspose::new(op, Moved::First, permutation)
    }
}

/// Whether a permutation leaves the last axis where it is.
pub(super) fn keeps_last(permutation: &[usize]) -> bool {
    permutation.last().is_some_and(|&last| last + 1 == permutation.len())
}

/// Numbers for the axes of a transposed tensor, as numbers for those of its operand.
pub(super) fn before<T: Copy>(numbers: &[T], permutation: &[usize]) -> Option<Vec<T>> {
    let mut inverse = vec![0; permutation.len()];
    for (i, &p) in permutation.iter().enumerate() {
        *inverse.get_mut(p)? = i;
    }
    inverse.into_iter().map(|i| numbers.get(i).copied()).collect()
}

/// A reduction of the transpose's operand: the axes that it is over there, and the transpose that
/// is left, which orders the axes that stay.
pub(super) fn reduced(axes: &[usize], keep: bool, p: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let mut own = axes.iter().map(|&a| p.get(a).copied()).collect::<Option<Vec<_>>>()?;
    own.sort_unstable();
    if keep {
        return Some((own, p.to_vec()));
    }
    let stay: Vec<usize> = (0..p.len()).filter(|a| !own.contains(a)).collect();
    let place = |a: usize| stay.iter().position(|&s| s == a);
    let kept = (0..p.len()).filter(|i| !axes.contains(i));
    let permutation = kept.map(|i| place(p[i])).collect::<Option<Vec<_>>>()?;
    Some((own, permutation))
}
