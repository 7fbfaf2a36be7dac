//! What is computed element by element: by several threads, where there are many.

use rayon::prelude::*;

/// Elements from which on several threads pay.
pub(super) const MANY: usize = 1 << 16;

/// Elements that a thread takes at a time, at least.
const PIECE: usize = 1 << 12;

/// `f` of each element.
pub(super) fn of(x: &[u64], f: impl Fn(u64) -> u64 + Sync) -> Vec<u64> {
    match x.len() {
        0..MANY => x.iter().map(|&v| f(v)).collect(),
        _ => x.par_iter().with_min_len(PIECE).map(|&v| f(v)).collect(),
    }
}

/// `f` of each element of two tensors of one length.
pub(super) fn of_two(x: &[u64], y: &[u64], f: impl Fn(u64, u64) -> u64 + Sync) -> Vec<u64> {
    match x.len() {
        0..MANY => x.iter().zip(y).map(|(&a, &b)| f(a, b)).collect(),
        _ => x.par_iter().with_min_len(PIECE).zip(y).map(|(&a, &b)| f(a, b)).collect(),
    }
}

/// The same as [`of`], in memory that is there.
pub(super) fn into(out: &mut [u64], x: &[u64], f: impl Fn(u64) -> u64 + Sync) {
    match x.len() {
        0..MANY => out.iter_mut().zip(x).for_each(|(out, &v)| *out = f(v)),
        _ => out.par_iter_mut().with_min_len(PIECE).zip(x).for_each(|(out, &v)| *out = f(v)),
    }
}
