//! Matrix products of floats: a safe door to `matrixmultiply`, with a plain twin that it is tested
//! against.

use super::super::OpError;

/// A matrix inside a slice: where element (row, column) is.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    /// Index of element (0, 0).
    pub(crate) start: usize,
    /// Distance of rows.
    pub(crate) row: usize,
    /// Distance of columns.
    pub(crate) column: usize,
}

impl Strided {
    /// A row-major matrix of that many columns.
    pub(crate) fn rows(columns: usize) -> Strided {
        Strided { start: 0, row: columns, column: 1 }
    }

    /// A matrix of that many rows and columns, from an index on, whose elements lie row by row, or
    /// column by column where it is stored transposed.
    pub(crate) fn stored(transposed: bool, rows: usize, columns: usize, start: usize) -> Strided {
        let matrix = if transposed { Strided::rows(rows).transposed() } else { Strided::rows(columns) };
        Strided { start, ..matrix }
    }

    /// The same elements read transposed.
    pub(crate) fn transposed(self) -> Strided {
        Strided { start: self.start, row: self.column, column: self.row }
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
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
}

/// `c = a · b`. An error where a matrix does not lie within its slice.
#[allow(unsafe_code)]
pub(crate) fn multiply(
    size: Extent,
    a: &[f32],
    la: Strided,
    b: &[f32],
    lb: Strided,
    c: &mut [f32],
    lc: Strided,
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
