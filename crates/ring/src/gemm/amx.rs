//! Products by AMX: tiles of bytes, multiplied and summed into tiles of 32-bit words, 16·16·64
//! products an instruction.
//!
//! A word is its bytes: `a = Σ a_i·2^(8i)`, so modulo 2^(8L) only the byte products with `i + j <
//! L` count: 36 for 64 bits, 28 for 51, 10 for 32. With 1,024 byte products a cycle this is 28, 36
//! or 102 products of words a cycle, where vpmullq does 4 and IFMA does 16 (of 52 bits).
//!
//! Both operands are *encoded*: cut into tiles of 16 rows (or columns) by 64 of the inner axis by
//! one byte. For a tile of the result the products are summed by their *diagonal* `d = i + j`, and
//! the sums are folded at the end: `Σ_d 2^(8d)·C_d`. Two bytes of each operand are in registers at
//! a time, which makes four instructions of four loads, and four sums: one for diagonal `2D`, two
//! for `2D + 1` (an instruction takes 52 cycles until its sum can be used again), one for `2D + 2`.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::kernel::Kernel;
use super::rows::Rows;
use super::{Columns, Target};

mod encode;
mod tiles;

use encode::{Panels, encode_rows};
use tiles::{Fold, diagonals};

/// Rows or columns of a tile.
const SIDE: usize = 16;
/// Words of the inner axis of a tile: bytes of its rows.
const RUN: usize = 64;
/// Tiles along the inner axis between two folds. The sums do not overflow by far (`8·DEPTH·255² <
/// 2^32`), and the two operands of a tile of the result fit the first cache.
const TILES: usize = 2;
const DEPTH: usize = TILES * RUN;
/// Tiles down and across a thread's block, at most: its result then fits the second cache, with
/// both operands.
const BLOCK_TILES: [usize; 2] = [16, 32];
/// Most sums of a tile of the result.
const SUMS: usize = 12;

/// A row of a tile.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; RUN]);

const ZERO: Line = Line([0; RUN]);

/// Half a row of a tile of the result.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Words([u64; SIDE / 2]);

/// Whether this machine has AMX for bytes, and the system lets this process use it.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_instructions() && permitted())
}

fn has_instructions() -> bool {
    let vectors = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi");
    if !vectors || __cpuid(0).eax < 0x1d {
        return false;
    }
    // AMX-TILE and AMX-INT8; palette 1 with 8 tiles of 16 rows of 64 bytes.
    let (features, palette) = (__cpuid_count(7, 0).edx, __cpuid_count(0x1d, 1));
    (features >> 24) & 3 == 3 && palette.ebx == (8 << 16 | 64) && palette.ecx & 0xffff == 16
}

/// Asks Linux for the registers of AMX, for all threads of this process.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call reads and writes no memory of this process.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// Whether AMX is faster than a kernel for a product of `[rows, inner, columns]`: its tiles may be
/// half empty, and encoding and folding cost a time for each word. In cycles of one core, by
/// measurement.
pub(super) fn pays([rows, inner, columns]: [usize; 3], bits: u32, kernel: &Kernel) -> bool {
    let limbs = bits.div_ceil(8) as f64;
    let full =
        (rows.next_multiple_of(SIDE) * inner.next_multiple_of(RUN) * columns.next_multiple_of(SIDE)) as f64;
    let byte_products = limbs * (limbs + 1.0) / 2.0;
    let [left, right, result] = [rows * inner, inner * columns, rows * columns].map(|words| words as f64);
    let here = full * byte_products / 700.0 + 3.0 * left + 5.0 * right + 4.0 * result;
    let there = left * columns as f64 / kernel.products_a_cycle + left + 4.0 * right + result;
    here < there
}

/// Adds the product of `rows` rows and `w` to `out`. The result is right modulo 2^(8·limbs);
/// `limbs` in 1..=8.
pub(super) fn multiply(left: &Rows<'_>, rows: usize, w: &Columns<'_>, limbs: usize, out: &Target<'_>) {
    assert!(available() && (1..=8).contains(&limbs));
    // The byte loops are unrolled: one function for each number of bytes.
    let block_of_limbs = match limbs {
        1 => block::<1>,
        2 => block::<2>,
        3 => block::<3>,
        4 => block::<4>,
        5 => block::<5>,
        6 => block::<6>,
        7 => block::<7>,
        _ => block::<8>,
    };
    let panels = Panels::encode(w, limbs);
    let tile_columns = w.columns.div_ceil(SIDE);
    let tile_rows = rows.div_ceil(SIDE);
    let row_blocks = tile_rows.div_ceil(BLOCK_TILES[0]);
    let block_rows = tile_rows.div_ceil(row_blocks) * SIDE;
    let wanted = 2 * rayon::current_num_threads();
    let splits = wanted.div_ceil(row_blocks).max(tile_columns.div_ceil(BLOCK_TILES[1])).min(tile_columns);
    let each = tile_columns.div_ceil(splits);
    (0..row_blocks * splits).into_par_iter().for_each_init(Scratch::new, |scratch, task| {
        let first_row = (task / splits * block_rows).min(rows);
        let rows = first_row..rows.min(first_row + block_rows);
        let first = (task % splits * each).min(tile_columns);
        let tiles = first..tile_columns.min(first + each);
        // SAFETY: the machine has the instructions; this block of the result is this thread's
        // alone.
        unsafe { block_of_limbs(left, rows, &panels, tiles, scratch, out) };
    });
}

/// What a thread needs for a block.
struct Scratch {
    words: Vec<u64>,
    encoded: Vec<Line>,
    /// The block of the result, tile after tile; two make a row of a tile.
    result: Vec<Words>,
    /// The sums of the tile that is multiplied now, and of the one before.
    sums: [Sums; 2],
}

type Sums = [[Line; SIDE]; SUMS];

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            words: vec![0; BLOCK_TILES[0] * SIDE * DEPTH],
            encoded: vec![ZERO; BLOCK_TILES[0] * SIDE * TILES * 8],
            result: Vec::new(),
            sums: [[[ZERO; SIDE]; SUMS]; 2],
        }
    }
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

const CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// One thread's block of the result.
///
/// # Safety
/// The machine must have the instructions, and no other thread may touch this block of `out`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn block<const L: usize>(
    left: &Rows<'_>,
    rows: Range<usize>,
    panels: &Panels,
    tile_columns: Range<usize>,
    scratch: &mut Scratch,
    out: &Target<'_>,
) {
    let Scratch { words, encoded, result, sums } = scratch;
    let tile_rows = rows.len().div_ceil(SIDE);
    result.resize(tile_rows * tile_columns.len() * 2 * SIDE, Words([0; SIDE / 2]));
    // SAFETY: a valid configuration; the registers are this thread's, and released below.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly)) };
    for k in (0..panels.inner).step_by(DEPTH) {
        let inner = k..panels.inner.min(k + DEPTH);
        let (a, stride) = left.block(rows.clone(), inner.clone(), words);
        encode_rows(a, stride, [rows.len(), inner.len()], L, encoded);
        // SAFETY: the machine has the instructions, and the registers are configured.
        unsafe { slice::<L>(encoded, tile_rows, panels, k, tile_columns.clone(), result, sums) };
    }
    // SAFETY: no tile is in use.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
    let tiles = tile_columns.flat_map(|i| (0..tile_rows).map(move |top| (i * SIDE, top * SIDE)));
    for (tile, (left, top)) in result.chunks_exact(2 * SIDE).zip(tiles) {
        let columns = SIDE.min(panels.columns - left);
        for (r, sums) in tile.chunks_exact(2).take(rows.len() - top).enumerate() {
            // SAFETY: the caller says that the block is ours.
            let line = unsafe { out.row(rows.start + top + r, left, columns) };
            for (line, sums) in line.chunks_mut(SIDE / 2).zip(sums) {
                let mask = (0xff >> (8 - line.len())) as __mmask8;
                let line = line.as_mut_ptr().cast();
                // SAFETY: as many words are there to read and write as the mask has bits.
                unsafe {
                    let sum = _mm512_add_epi64(
                        _mm512_maskz_loadu_epi64(mask, line),
                        _mm512_load_epi64(sums.0.as_ptr().cast()),
                    );
                    _mm512_mask_storeu_epi64(line, mask, sum);
                }
            }
        }
    }
}

/// Adds to the result what the slice of the inner axis from `k` on gives; the first slice
/// overwrites it.
///
/// # Safety
/// The machine must have the instructions, and the tiles must be configured.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn slice<const L: usize>(
    encoded: &[Line],
    tile_rows: usize,
    panels: &Panels,
    k: usize,
    tile_columns: Range<usize>,
    result: &mut [Words],
    [now, before]: &mut [Sums; 2],
) {
    let mut result = result.chunks_exact_mut(2 * SIDE);
    let mut now = now;
    // Folding a tile's sums hides behind the multiplications of the next tile.
    let mut fold = Fold { sums: before, tile: &mut [], kept: if k == 0 { 0 } else { 0xff } };
    for i in tile_columns.clone() {
        let (panel, tiles) = panels.panel(k, i);
        // The next panel comes from far away: each tile fetches its part of it.
        let next = if i + 1 < tile_columns.end { panels.panel(k, i + 1).0 } else { &[] };
        let mut next = next.chunks(next.len().div_ceil(tile_rows).max(1));
        for a in encoded.chunks_exact(L * tiles * SIDE).take(tile_rows) {
            for line in next.next().unwrap_or_default() {
                _mm_prefetch::<_MM_HINT_T1>(line.0.as_ptr().cast());
            }
            // SAFETY: both operands have `L * tiles` tiles.
            unsafe { diagonals::<L>(a, panel, tiles, now, &mut fold) };
            std::mem::swap(&mut now, &mut fold.sums);
            fold.tile = result.next().unwrap_or_default();
        }
    }
    fold.rest::<L>();
}
