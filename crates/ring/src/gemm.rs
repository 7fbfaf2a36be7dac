//! Matrix products over Z_2^64: `out += rows · columns`.
//!
//! The product is cut into blocks as in BLIS. The right operand is packed into panels of a few
//! vectors' width, each element once, and so many of its rows at a time that their panels stay in a cache; the left operand is copied, a block of rows and [`DEPTH`] of the inner axis at a
//! time, so that it lies dense in the second cache (this copy is what turns a convolution's windows
//! into rows: the whole image is never unrolled). A kernel then keeps a tile of the result in
//! registers. Threads take blocks of rows, and of columns where the rows are few.
//!
//! # Floor and measurement
//! Products a second and core, in units of 10^9, on a Xeon of the Sapphire Rapids family at 3.4
//! GHz. The floor is what the multiplying instruction alone was measured to do (for AMX 2,960 byte
//! products, divided by the byte products of a word). *Small* is the best of 96 × 1024 × 256 (AMX)
//! and 3136 × 256 × 64 (the others); the last column is 1024 × 1024 × 1024. The machine was busy
//! with other work, so these are lower bounds.
//!
//! | kernel | modulo | floor | small | 1024³ |
//! |---|---|---|---|---|
//! | AMX | 2^64 | 82 | 41 | 29 |
//! | AMX | 2^51 | 105 | | 33 |
//! | AMX | 2^32 | 295 | | 64 |
//! | vpmadd52luq | 2^52 | 54 | 29 | 23 |
//! | vpmullq | 2^64 | 11.8 | 10.8 | 9.6 |
//!
//! `cargo bench -p cryptflow-ring --bench gemm -- table` measures the machine at hand, beside naive
//! loops.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

pub(crate) mod kernel;
pub(crate) mod rows;
pub(crate) mod thin;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use kernel::{Kernel, LANES, TILE_COLUMNS, TILE_LEN};
use rows::Rows;

use crate::words::Elements;

/// Inner products are cut to this length: a panel of the right operand then fits the first cache.
const DEPTH: usize = 128;
/// Rows of a block of the left operand: it then fits the second cache with room for the result.
const BLOCK_ROWS: usize = 96;

/// The right operand: `inner` rows of `columns` words, `stride` words apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) w: Elements<'a>,
    pub(crate) stride: usize,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
}

impl<'a> Columns<'a> {
    /// Copies columns `first ..` of row `k`.
    fn copy(&self, k: usize, first: usize, out: &mut [u64]) {
        self.w.copy_to(k * self.stride + first, out);
    }

    /// At most `rows` rows from row `k` on, as words of 64 bits in `out`: short stretches are slow to unpack.
    fn unpacked<'s>(&self, k: usize, rows: usize, out: &'s mut Vec<u64>) -> Columns<'s> {
        let inner = rows.min(self.inner - k);
        out.resize(inner * self.columns, 0);
        if self.stride == self.columns {
            self.copy(k, 0, out);
        } else {
            for (i, row) in out.chunks_exact_mut(self.columns).enumerate() {
                self.copy(k + i, 0, row);
            }
        }
        Columns { w: Elements::Wide(out), stride: self.columns, inner, columns: self.columns }
    }

    /// Columns `first .. first + len` of row `k`, through `scratch` where they do not lie there as such words.
    #[cfg(target_arch = "x86_64")]
    fn line<'s>(&self, k: usize, first: usize, len: usize, scratch: &'s mut [u64]) -> &'s [u64]
    where
        'a: 's,
    {
        match self.w {
            Elements::Wide(words) => &words[k * self.stride + first..][..len],
            Elements::Narrow(_) | Elements::Packed(_) | Elements::Drawn(_) => {
                let line = &mut scratch[..len];
                self.copy(k, first, line);
                line
            }
        }
    }
}

/// The result: rows of `columns` words, `stride` words apart, to which threads add blocks that do
/// not overlap.
pub(crate) struct Target<'a> {
    out: *mut u64,
    len: usize,
    stride: usize,
    columns: usize,
    borrow: PhantomData<&'a mut [u64]>,
}

#[allow(unsafe_code)]
// SAFETY: the pointer stands for an exclusive borrow, and `Target::row` asks its callers for
// disjoint ranges.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    /// `columns` words of every `stride` of `out`, from its beginning.
    pub(crate) fn new(out: &'a mut [u64], stride: usize, columns: usize) -> Target<'a> {
        Target { out: out.as_mut_ptr(), len: out.len(), stride, columns, borrow: PhantomData }
    }

    /// Columns `first .. first + len` of a row.
    ///
    /// # Safety
    /// No other thread may hold an overlapping range.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    unsafe fn row(&self, row: usize, first: usize, len: usize) -> &mut [u64] {
        let begin = row * self.stride + first;
        assert!(first + len <= self.columns && begin + len <= self.len);
        // SAFETY: inside the borrow, as asserted; disjoint, as the caller says.
        unsafe { std::slice::from_raw_parts_mut(self.out.add(begin), len) }
    }
}

/// Some rows of the right operand in panels. For each block of `DEPTH` of them, for each panel of the kernel's
/// width, its rows one after another. The last panel is narrower, and padded with zeros to whole
/// vectors.
struct Panels {
    words: Vec<u64>,
    padded: usize,
    inner: Range<usize>,
}

/// Words of panels that are packed at a time, where [`DEPTH`] rows are not more: what was packed is then still in a
/// cache when it is multiplied with, and however large the operand is, its panels are not.
const PACKED: usize = 1 << 18;
/// Words of panels that a thread keeps for the next product, at most: new memory would have to be cleared, to be
/// overwritten.
const KEPT: usize = PACKED;

thread_local! {
    /// Memory of panels that were used. Whoever needs it takes it out: a thread that waits for others may begin
    /// another product.
    static USED: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
}

impl Panels {
    /// How many rows of it are packed at a time.
    fn rows_at_a_time(w: &Columns<'_>) -> usize {
        (PACKED / w.columns.next_multiple_of(LANES) / DEPTH * DEPTH).max(DEPTH)
    }

    fn pack(w: &Columns<'_>, width: usize, inner: Range<usize>) -> Panels {
        let padded = w.columns.next_multiple_of(LANES);
        let mut words = USED.take();
        // What was there before stays, and is overwritten below as far as it is needed.
        let len = padded * inner.len();
        if words.len() < len {
            words = vec![0; len];
        }
        words[..len].par_chunks_mut(DEPTH * padded).enumerate().for_each(|(block, words)| {
            let depth = words.len() / padded;
            let first_row = inner.start + block * DEPTH;
            let mut unpacked = Vec::new();
            let (w, first_row) = match w.w {
                Elements::Wide(_) | Elements::Narrow(_) => (*w, first_row),
                Elements::Packed(_) | Elements::Drawn(_) => (w.unpacked(first_row, depth, &mut unpacked), 0),
            };
            for first in (0..w.columns).step_by(width) {
                let columns = width.min(w.columns - first);
                let panel = &mut words[first * depth..];
                for (k, line) in panel.chunks_mut(width.min(padded - first)).take(depth).enumerate() {
                    let (line, padding) = line.split_at_mut(columns);
                    w.copy(first_row + k, first, line);
                    if !padding.is_empty() {
                        padding.fill(0);
                    }
                }
            }
        });
        Panels { words, padded, inner }
    }

    /// The panel from column `first` on of the block from row `k` of the operand on, and its depth.
    fn panel(&self, k: usize, first: usize) -> (&[u64], usize) {
        let depth = DEPTH.min(self.inner.end - k);
        (&self.words[(k - self.inner.start) * self.padded + first * depth..], depth)
    }
}

impl Drop for Panels {
    fn drop(&mut self) {
        if self.words.len() <= KEPT {
            USED.set(std::mem::take(&mut self.words));
        }
    }
}

/// Adds the product of `rows` rows and `w` to `out`. The result is right modulo 2^`bits`.
pub(crate) fn multiply(left: &Rows<'_>, rows: usize, w: &Columns<'_>, bits: u32, out: &Target<'_>) {
    if rows == 0 || w.columns == 0 || w.inner == 0 {
        return;
    }
    let kernel = Kernel::best(bits);
    #[cfg(target_arch = "x86_64")]
    if amx::available() && amx::pays([rows, w.inner, w.columns], bits, &kernel) {
        return amx::multiply(left, rows, w, bits.div_ceil(8) as usize, out);
    }
    multiply_with(&kernel, left, rows, w, out);
}

/// The kernels of this machine that are right modulo 2^`bits`.
pub(crate) fn names(bits: u32) -> Vec<&'static str> {
    let mut names = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if amx::available() {
        names.push("amx");
    }
    names.extend(Kernel::available().iter().filter(|kernel| bits <= kernel.bits).map(|kernel| kernel.name));
    names
}

/// As [`multiply`], by the kernel of this name; false if there is none.
pub(crate) fn multiply_by(
    name: &str,
    left: &Rows<'_>,
    rows: usize,
    w: &Columns<'_>,
    bits: u32,
    out: &Target<'_>,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if name == "amx" && amx::available() {
        amx::multiply(left, rows, w, bits.div_ceil(8) as usize, out);
        return true;
    }
    let kernels = Kernel::available();
    let Some(kernel) = kernels.iter().find(|k| k.name == name && bits <= k.bits) else { return false };
    multiply_with(kernel, left, rows, w, out);
    true
}

fn multiply_with(kernel: &Kernel, left: &Rows<'_>, rows: usize, w: &Columns<'_>, out: &Target<'_>) {
    let width = kernel.lanes * LANES;
    let row_blocks = rows.div_ceil(BLOCK_ROWS);
    // Two tasks a thread even out; for one thread a split would copy the left operand twice.
    let wanted = match rayon::current_num_threads() {
        1 => 1,
        threads => 2 * threads,
    };
    let splits = wanted.div_ceil(row_blocks).min(w.columns.div_ceil(width));
    let split_columns = w.columns.div_ceil(splits).next_multiple_of(width);
    let tasks = row_blocks * splits;
    let at_a_time = Panels::rows_at_a_time(w);
    for k in (0..w.inner).step_by(at_a_time) {
        let panels = Panels::pack(w, width, k..w.inner.min(k + at_a_time));
        (0..tasks).into_par_iter().for_each(|task| {
            let first_row = task / splits * BLOCK_ROWS;
            let rows = first_row..rows.min(first_row + BLOCK_ROWS);
            let first = (task % splits * split_columns).min(w.columns);
            let columns = first..w.columns.min(first + split_columns);
            SCRATCH.with_borrow_mut(|scratch| block(kernel, left, rows, &panels, columns, scratch, out));
        });
    }
}

thread_local! {
    /// Where a thread copies blocks of the left operand to.
    static SCRATCH: RefCell<Vec<u64>> = RefCell::new(vec![0; BLOCK_ROWS * DEPTH]);
}

/// One thread's block of the result.
fn block(
    kernel: &Kernel,
    left: &Rows<'_>,
    rows: std::ops::Range<usize>,
    panels: &Panels,
    columns: std::ops::Range<usize>,
    scratch: &mut [u64],
    out: &Target<'_>,
) {
    let width = kernel.lanes * LANES;
    let mut tile = [0; TILE_LEN];
    for k in panels.inner.clone().step_by(DEPTH) {
        let inner = k..panels.inner.end.min(k + DEPTH);
        // A row that is used for one panel only is not worth its copy.
        let dense = if columns.len() <= width { left.dense(rows.clone(), inner.clone()) } else { None };
        let (a, stride) = match dense {
            Some(dense) => dense,
            None => {
                left.copy(rows.clone(), inner.clone(), scratch);
                (&*scratch, inner.len())
            }
        };
        for first in columns.clone().step_by(width) {
            let (panel, depth) = panels.panel(k, first);
            let tile_columns = width.min(columns.end - first);
            let lanes = tile_columns.div_ceil(LANES);
            for top in (0..rows.len()).step_by(kernel.rows) {
                let tile_rows = kernel.rows.min(rows.len() - top);
                kernel.tile(tile_rows, lanes, &a[top * stride..], stride, panel, depth, &mut tile);
                for (i, sums) in tile.chunks_exact(TILE_COLUMNS).take(tile_rows).enumerate() {
                    #[allow(unsafe_code)]
                    // SAFETY: this block is this thread's alone.
                    let line = unsafe { out.row(rows.start + top + i, first, tile_columns) };
                    for (o, s) in line.iter_mut().zip(sums) {
                        *o = o.wrapping_add(*s);
                    }
                }
            }
        }
    }
}
