//! Combinations of tensors with public integers: what every party does with its part of them.

use crate::Error;

/// Elements of each of the tensors that lie one after another in `len` elements: as many tensors as
/// each row has factors.
///
/// # Errors
/// Where the factors do not make as many rows as there are offsets, or the tensors do not make
/// `len` elements.
pub fn tensor_len(len: usize, factors: &[i64], offsets: &[i64]) -> Result<usize, Error> {
    let range = |reason: String| Error::Range { operation: "combine", reason };
    let rows = offsets.len();
    let columns = factors.len().checked_div(rows).unwrap_or(0);
    if columns == 0 || columns * rows != factors.len() {
        return Err(range(format!("{} factors do not make {rows} rows", factors.len())));
    }
    if !len.is_multiple_of(columns) {
        return Err(range(format!("{len} elements do not make {columns} tensors")));
    }
    Ok(len / columns)
}

/// `Σ_j factors[i·columns + j]·x_j + offsets[i]` modulo 2^64 for each row i, where x is tensors of
/// `n` elements one after another. A part that does not take part in public constants is given no
/// offsets (zeros).
pub fn combined(x: &[u64], n: usize, factors: &[i64], offsets: &[i64]) -> Vec<u64> {
    let columns = factors.len().checked_div(offsets.len()).unwrap_or(0).max(1);
    let mut out = Vec::with_capacity(n * offsets.len());
    for (row, &offset) in factors.chunks_exact(columns).zip(offsets) {
        let start = out.len();
        out.resize(start + n, offset as u64);
        for (&factor, tensor) in row.iter().zip(x.chunks_exact(n.max(1))) {
            let sums = out[start..].iter_mut().zip(tensor);
            // Public numbers: many are zero or one.
            match factor {
                0 => {}
                1 => sums.for_each(|(sum, v)| *sum = sum.wrapping_add(*v)),
                _ => sums.for_each(|(sum, v)| *sum = sum.wrapping_add(v.wrapping_mul(factor as u64))),
            }
        }
    }
    out
}
