//! Matrix products of floats: a safe door to `matrixmultiply`, with a plain twin that it is tested
//! against.

use super::super::OpError;

/// A matrix inside a slice: where element (row, column) is.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Index of element (0, 0).
    pub(super) start: usize,
    /// Distance of rows.
    pub(super) row: usize,
    /// Distance of columns.
    pub(super) column: usize,
}

impl Layout {
    /// A row-major matrix of that many columns.
    pub(super) fn rows(columns: usize) -> Layout {
        Layout { start: 0, row: columns, column: 1 }
    }

    /// The same elements read transposed.
    pub(super) fn transposed(self) -> Layout {
        Layout { start: self.start, row: self.column, column: self.row }
    }

    /// Whether a matrix of that many rows and columns lies within a slice of this length.
    fn fits(&self, rows: usize, columns: usize, len: usize) -> bool {
        if rows == 0 || columns == 0 {
            return true;
        }
        let row = (rows - 1).checked_mul(self.row);
        let column = (columns - 1).checked_mul(self.column);
        let last =
            row.zip(column).and_then(|(r, c)| r.checked_add(c)).and_then(|n| n.checked_add(self.start));
        last.is_some_and(|last| last < len)
    }
}

/// Rows, inner extent and columns of a product.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) columns: usize,
}

/// `c = a · b`. An error where a matrix does not lie within its slice.
#[allow(unsafe_code)]
pub(super) fn multiply(
    size: Extent,
    a: &[f32],
    la: Layout,
    b: &[f32],
    lb: Layout,
    c: &mut [f32],
    lc: Layout,
) -> Result<(), OpError> {
    let Extent { rows: m, inner: k, columns: n } = size;
    let fits = la.fits(m, k, a.len()) && lb.fits(k, n, b.len()) && lc.fits(m, n, c.len());
    if !fits {
        return Err(OpError::shape(
            "matmul",
            format!("a matrix of {m} · {k} · {n} is larger than its elements"),
        ));
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    // Strides of elements that exist are below the slice's length, which fits isize; others are
    // never used.
    let [ra, ca, rb, cb, rc, cc] =
        [la.row, la.column, lb.row, lb.column, lc.row, lc.column].map(|s| s as isize);
    // SAFETY: `fits` has checked that every element that the strides reach lies within the slices;
    // with an inner extent of zero no element of a or b is read. `c` is borrowed mutably, so it
    // overlaps neither.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr().wrapping_add(la.start),
            ra,
            ca,
            b.as_ptr().wrapping_add(lb.start),
            rb,
            cb,
            0.0,
            c.as_mut_ptr().wrapping_add(lc.start),
            rc,
            cc,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(size: Extent, a: &[f32], la: Layout, b: &[f32], lb: Layout, c: &mut [f32], lc: Layout) {
        for i in 0..size.rows {
            for j in 0..size.columns {
                c[lc.start + i * lc.row + j * lc.column] = (0..size.inner)
                    .map(|k| {
                        a[la.start + i * la.row + k * la.column] * b[lb.start + k * lb.row + j * lb.column]
                    })
                    .sum();
            }
        }
    }

    #[test]
    fn agrees_with_the_plain_product() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (17, 9, 33), (64, 70, 65), (2, 0, 3), (0, 4, 4)] {
            for (start, extra, transpose) in [(0, 0, false), (3, 2, false), (0, 0, true)] {
                let a: Vec<f32> =
                    (0..start + m * (k + extra) + k).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
                let b: Vec<f32> = (0..(k + 1) * (n + 1)).map(|i| (i * 5 % 11) as f32 - 5.0).collect();
                let la = Layout { start, row: k + extra, column: 1 };
                let lb = if transpose { Layout::rows(k).transposed() } else { Layout::rows(n) };
                let lc = Layout { start, row: n + extra, column: 1 };
                let size = Extent { rows: m, inner: k, columns: n };
                let mut got = vec![1.0; start + (m + 1) * (n + extra) + n];
                let mut want = got.clone();
                multiply(size, &a, la, &b, lb, &mut got, lc).unwrap();
                plain(size, &a, la, &b, lb, &mut want, lc);
                assert_eq!(got, want, "{m} x {k} x {n}, start {start}, transposed {transpose}");
            }
        }
    }

    #[test]
    fn refuses_a_matrix_outside_its_slice() {
        let size = Extent { rows: 2, inner: 2, columns: 2 };
        let l = Layout::rows(2);
        for (a, b, c) in [(3, 4, 4), (4, 3, 4), (4, 4, 3)] {
            let mut out = vec![0.0; c];
            multiply(size, &vec![0.0; a], l, &vec![0.0; b], l, &mut out, l).unwrap_err();
        }
    }
}
