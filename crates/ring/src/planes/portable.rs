//! Transpositions of 64 elements in registers.

/// A transposition in place: bit `i` of row `k` and bit `k` of row `i` change places, in each
/// square of `W` by `W` bits of `W` rows. The larger blocks go first; `mask` selects the columns
/// that stay.
fn transpose<const W: usize>(rows: &mut [u64; W]) {
    let mut step = W / 2;
    while step != 0 {
        let mask = u64::MAX / ((1 << step) + 1);
        for k in (0..W).filter(|k| k & step == 0) {
            let swap = ((rows[k] >> step) ^ rows[k + step]) & mask;
            rows[k] ^= swap << step;
            rows[k + step] ^= swap;
        }
        step /= 2;
    }
}

/// Calls a function of the narrowest square that holds `count` bits.
macro_rules! by_width {
    ($count:expr, $function:ident($($argument:expr),*)) => {
        match $count {
            ..=8 => $function::<8>($($argument),*),
            9..=16 => $function::<16>($($argument),*),
            17..=32 => $function::<32>($($argument),*),
            _ => $function::<64>($($argument),*),
        }
    };
}

/// See [`super::to_planes`]; the lengths were checked.
pub(super) fn to_planes(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    by_width!(count, to_planes_of(values, low, count, planes));
}

/// Squares of `W` bits side by side: element `q*W + r` is columns `q*W ..` of row `r`.
fn to_planes_of<const W: usize>(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    let words = values.len().div_ceil(64);
    let mask = u64::MAX >> (64 - W);
    for (i, values) in values.chunks(64).enumerate() {
        let mut rows = [0; W];
        for (q, values) in values.chunks(W).enumerate() {
            for (row, value) in rows.iter_mut().zip(values) {
                *row |= ((value >> low) & mask) << (q * W);
            }
        }
        transpose(&mut rows);
        for (plane, row) in planes.chunks_exact_mut(words).zip(&rows).take(count as usize) {
            plane[i] = *row;
        }
    }
}

/// See [`super::from_planes`]; the lengths were checked.
pub(super) fn from_planes(planes: &[u64], count: u32, values: &mut [u64]) {
    by_width!(count, from_planes_of(planes, count, values));
}

fn from_planes_of<const W: usize>(planes: &[u64], count: u32, values: &mut [u64]) {
    let words = values.len().div_ceil(64);
    let mask = u64::MAX >> (64 - W);
    for (i, values) in values.chunks_mut(64).enumerate() {
        let mut rows = [0; W];
        for (plane, row) in planes.chunks_exact(words).zip(&mut rows).take(count as usize) {
            *row = plane[i];
        }
        transpose(&mut rows);
        for (q, values) in values.chunks_mut(W).enumerate() {
            for (row, value) in rows.iter().zip(values) {
                *value = (row >> (q * W)) & mask;
            }
        }
    }
}
