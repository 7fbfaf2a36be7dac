//! Words as tiles of their bytes.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::super::Columns;
use super::{DEPTH, Line, RUN, SIDE, TILES};
use crate::simd::vectors::{swap_bytes_and_words, table, transpose_words};
use crate::words::Elements;

/// The right operand, encoded: for each block of `DEPTH`, for each 16 columns, for each byte, for
/// each tile of the inner axis: 16 lines, of 16 columns of 4 bytes each. What is missing of the
/// last tiles is zero.
pub(super) struct Panels {
    lines: Vec<Line>,
    pub(super) inner: usize,
    pub(super) columns: usize,
    limbs: usize,
}

impl Panels {
    pub(super) fn encode(w: &Columns<'_>, limbs: usize) -> Panels {
        let tile_columns = w.columns.div_ceil(SIDE);
        let per_tile = limbs * SIDE;
        let len = w.inner.div_ceil(RUN) * tile_columns * per_tile;
        let mut lines = Vec::with_capacity(len);
        let spare = &mut lines.spare_capacity_mut()[..len];
        spare.par_chunks_mut(TILES * tile_columns * per_tile).enumerate().for_each(|(block, lines)| {
            let tiles = lines.len() / (tile_columns * per_tile);
            let mut unpacked = Vec::new();
            let (w, first_k) = match w.w {
                Elements::Wide(_) | Elements::Narrow(_) => (*w, block * DEPTH),
                Elements::Packed(_) | Elements::Drawn(_) => {
                    (w.unpacked(block * DEPTH, DEPTH, &mut unpacked), 0)
                }
            };
            for (i, lines) in lines.chunks_exact_mut(tiles * per_tile).enumerate() {
                // SAFETY: the machine has the instructions.
                unsafe { encode_columns(&w, first_k, i * SIDE, tiles, lines) };
            }
        });
        // SAFETY: `encode_columns` wrote every line of its chunk, and the chunks are all of `len`.
        unsafe { lines.set_len(len) };
        Panels { lines, inner: w.inner, columns: w.columns, limbs }
    }

    /// The 16 columns of tile `i` of the block from `k` on, and the number of tiles of that block.
    pub(super) fn panel(&self, k: usize, i: usize) -> (&[Line], usize) {
        let tiles = (self.inner - k).div_ceil(RUN).min(TILES);
        let per_tile = self.limbs * SIDE;
        let begin = k / RUN * self.columns.div_ceil(SIDE) * per_tile + i * tiles * per_tile;
        (&self.lines[begin..begin + tiles * per_tile], tiles)
    }
}

/// Rows that are fetched ahead of their encoding.
const AHEAD: usize = 4;

const SORT: [u8; 64] = swap_bytes_and_words(false);
/// Byte `32h + 4c + k` of the result is byte `8(4h + k) + c`: from 4 lines of 16 bytes to 16
/// columns of 4.
const COLUMNS: [u8; 64] = {
    let mut table = [0; 64];
    let mut i = 0;
    while i < 64 {
        let (h, c, k) = (i / 32, i / 4 % 8, i % 4);
        table[i] = (8 * (4 * h + k) + c) as u8;
        i += 1;
    }
    table
};

/// Writes every line of `tiles` tiles of each byte of 16 columns.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn encode_columns(
    w: &Columns<'_>,
    first_k: usize,
    first: usize,
    tiles: usize,
    lines: &mut [MaybeUninit<Line>],
) {
    let columns = SIDE.min(w.columns - first);
    let (sort, place) = (table(&SORT), table(&COLUMNS));
    let mut wide = [0; SIDE];
    for tile in 0..tiles {
        for group in 0..SIDE {
            let k = first_k + tile * RUN + group * 4;
            let mut z = [_mm512_setzero_si512(); 8];
            for j in 0..4.min(w.inner.saturating_sub(k)) {
                let row = w.line(k + j, first, columns, &mut wide);
                for (half, words) in row.chunks(8).enumerate() {
                    // The next 16 columns of this row: their page is known now.
                    _mm_prefetch::<_MM_HINT_T0>(words.as_ptr().wrapping_add(SIDE).cast());
                    let mask = (0xff >> (8 - words.len())) as __mmask8;
                    // SAFETY: as many words are there to read as the mask has bits.
                    let words = unsafe { _mm512_maskz_loadu_epi64(mask, words.as_ptr().cast()) };
                    z[4 * half + j] = _mm512_permutexvar_epi8(sort, words);
                }
            }
            let bytes = transpose_words(z);
            for (lines, bytes) in lines.chunks_exact_mut(tiles * SIDE).zip(bytes) {
                let line = &mut lines[tile * SIDE + group];
                // SAFETY: a line is 64 bytes.
                unsafe {
                    _mm512_store_si512(line.as_mut_ptr().cast(), _mm512_permutexvar_epi8(place, bytes))
                };
            }
        }
    }
}

/// Encodes rows of `depth` words, `stride` apart: for each 16 rows, for each byte, for each tile of
/// the inner axis, 16 lines.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn encode_rows(
    words: &[u64],
    stride: usize,
    [rows, depth]: [usize; 2],
    limbs: usize,
    lines: &mut [Line],
) {
    let tiles = depth.div_ceil(RUN);
    let sort = table(&SORT);
    for r in 0..rows {
        let row = &words[r * stride..][..depth];
        // The rows of a wide matrix lie in different pages, where the machine does not look ahead
        // by itself.
        for words in words.get((r + AHEAD) * stride..).unwrap_or_default().chunks(8).take(depth / 8) {
            _mm_prefetch::<_MM_HINT_T0>(words.as_ptr().cast());
        }
        let lines = &mut lines[r / SIDE * (limbs * tiles * SIDE)..][..limbs * tiles * SIDE];
        for (tile, run) in row.chunks(RUN).enumerate() {
            let mut z = [_mm512_setzero_si512(); 8];
            for (z, words) in z.iter_mut().zip(run.chunks(8)) {
                let mask = (0xff >> (8 - words.len())) as __mmask8;
                // SAFETY: as many words are there to read as the mask has bits.
                let words = unsafe { _mm512_maskz_loadu_epi64(mask, words.as_ptr().cast()) };
                *z = _mm512_permutexvar_epi8(sort, words);
            }
            for (lines, bytes) in lines.chunks_exact_mut(tiles * SIDE).zip(transpose_words(z)) {
                let line = &mut lines[tile * SIDE + r % SIDE];
                // SAFETY: a line is 64 bytes.
                unsafe { _mm512_storeu_si512(line.0.as_mut_ptr().cast(), bytes) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Words;

    #[test]
    fn packed_words_are_encoded_as_others_are() {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        if !has {
            println!("skipped: this machine has no AVX-512 with VBMI");
            return;
        }
        for [inner, columns] in [[1, 1], [5, 17], [64, 16], [300, 40], [129, 33]] {
            let words: Vec<u64> = (0..inner * columns)
                .map(|i| (!(i as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24)
                .collect();
            let packed = Words::of_ring(&words, 40);
            let encode = |w| Panels::encode(&Columns { w, stride: columns, inner, columns }, 5).lines;
            let [due, found] = [encode((&words).into()), encode(packed.borrowed())]
                .map(|lines| lines.iter().map(|line| line.0).collect::<Vec<_>>());
            assert!(due == found, "{inner} rows of {columns} columns");
        }
    }
}
