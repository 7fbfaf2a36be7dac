//! Products by AMX: tiles of bytes, multiplied and summed into tiles of 32-bit words, 16·16·64 products an
//! instruction.
//!
//! A word is its bytes: `a = Σ a_i·2^(8i)`, so modulo 2^(8L) only the byte products with `i + j < L` count: 36 for
//! 64 bits, 28 for 51, 10 for 32. With 1,024 byte products a cycle this is 28, 36 or 102 products of words a cycle,
//! where vpmullq does 4 and IFMA does 16 (of 52 bits).
//!
//! Both operands are *encoded*: cut into tiles of 16 rows (or columns) by 64 of the inner axis by one byte. For a tile
//! of the result the products are summed by their *diagonal* `d = i + j`, and the sums are folded at the end:
//! `Σ_d 2^(8d)·C_d`. Two bytes of each operand are in registers at a time, which makes four instructions of four
//! loads, and four sums: one for diagonal `2D`, two for `2D + 1` (an instruction takes 52 cycles until its sum can be
//! used again), one for `2D + 2`.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::kernel::Kernel;
use super::rows::Rows;
use super::{Columns, Target};
use crate::simd::vectors::{swap_bytes_and_words, table, transpose_words};

/// Rows or columns of a tile.
const SIDE: usize = 16;
/// Words of the inner axis of a tile: bytes of its rows.
const RUN: usize = 64;
/// Tiles along the inner axis between two folds. The sums do not overflow by far (`8·DEPTH·255² < 2^32`), and the two
/// operands of a tile of the result fit the first cache.
const TILES: usize = 2;
const DEPTH: usize = TILES * RUN;
/// Rows of a thread's block.
const BLOCK_ROWS: usize = 6 * SIDE;
/// Tiles across a thread's block, at most: its result then fits the second cache, with both operands.
const BLOCK_TILES: usize = 32;
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

/// Whether AMX is faster than a kernel for a product of `[rows, inner, columns]`: its tiles may be half empty, and
/// encoding costs a fixed time for each word. In cycles of one core, by measurement.
pub(super) fn pays([rows, inner, columns]: [usize; 3], bits: u32, kernel: &Kernel) -> bool {
    let limbs = bits.div_ceil(8) as f64;
    let full =
        (rows.next_multiple_of(SIDE) * inner.next_multiple_of(RUN) * columns.next_multiple_of(SIDE)) as f64;
    let byte_products = limbs * (limbs + 1.0) / 2.0;
    let encoding = (rows * inner + inner * columns) as f64;
    let here = full * byte_products / 700.0 + encoding;
    let there = (rows * inner * columns) as f64 / kernel.products_a_cycle + encoding / 2.0;
    here < there
}

/// Adds the product of `rows` rows and `w` to `out`. The result is right modulo 2^(8·limbs); `limbs` in 1..=8.
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
    let row_blocks = rows.div_ceil(BLOCK_ROWS);
    let wanted = 2 * rayon::current_num_threads();
    let splits = wanted.div_ceil(row_blocks).max(tile_columns.div_ceil(BLOCK_TILES)).min(tile_columns);
    let each = tile_columns.div_ceil(splits);
    (0..row_blocks * splits).into_par_iter().for_each_init(Scratch::new, |scratch, task| {
        let first_row = task / splits * BLOCK_ROWS;
        let rows = first_row..rows.min(first_row + BLOCK_ROWS);
        let first = (task % splits * each).min(tile_columns);
        let tiles = first..tile_columns.min(first + each);
        // SAFETY: the machine has the instructions; this block of the result is this thread's alone.
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
            words: vec![0; BLOCK_ROWS * DEPTH],
            encoded: vec![ZERO; BLOCK_ROWS * TILES * 8],
            result: Vec::new(),
            sums: [[[ZERO; SIDE]; SUMS]; 2],
        }
    }
}

/// The right operand, encoded: for each block of `DEPTH`, for each 16 columns, for each byte, for each tile of the
/// inner axis: 16 lines, of 16 columns of 4 bytes each. What is missing of the last tiles is zero.
struct Panels {
    lines: Vec<Line>,
    inner: usize,
    columns: usize,
    limbs: usize,
}

impl Panels {
    fn encode(w: &Columns<'_>, limbs: usize) -> Panels {
        let tile_columns = w.columns.div_ceil(SIDE);
        let per_tile = limbs * SIDE;
        let len = w.inner.div_ceil(RUN) * tile_columns * per_tile;
        let mut lines = Vec::with_capacity(len);
        let spare = &mut lines.spare_capacity_mut()[..len];
        spare.par_chunks_mut(TILES * tile_columns * per_tile).enumerate().for_each(|(block, lines)| {
            let tiles = lines.len() / (tile_columns * per_tile);
            for (i, lines) in lines.chunks_exact_mut(tiles * per_tile).enumerate() {
                // SAFETY: the machine has the instructions.
                unsafe { encode_columns(w, block * DEPTH, i * SIDE, tiles, lines) };
            }
        });
        // SAFETY: `encode_columns` wrote every line of its chunk, and the chunks are all of `len`.
        unsafe { lines.set_len(len) };
        Panels { lines, inner: w.inner, columns: w.columns, limbs }
    }

    /// The 16 columns of tile `i` of the block from `k` on, and the number of tiles of that block.
    fn panel(&self, k: usize, i: usize) -> (&[Line], usize) {
        let tiles = (self.inner - k).div_ceil(RUN).min(TILES);
        let per_tile = self.limbs * SIDE;
        let begin = k / RUN * self.columns.div_ceil(SIDE) * per_tile + i * tiles * per_tile;
        (&self.lines[begin..begin + tiles * per_tile], tiles)
    }
}

const SORT: [u8; 64] = swap_bytes_and_words(false);
/// Byte `32h + 4c + k` of the result is byte `8(4h + k) + c`: from 4 lines of 16 bytes to 16 columns of 4.
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
    for tile in 0..tiles {
        for group in 0..SIDE {
            let k = first_k + tile * RUN + group * 4;
            let mut z = [_mm512_setzero_si512(); 8];
            for j in 0..4.min(w.inner.saturating_sub(k)) {
                let row = &w.row(k + j)[first..first + columns];
                for (half, words) in row.chunks(8).enumerate() {
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

/// Encodes rows of `depth` words, `stride` apart: for each 16 rows, for each byte, for each tile of the inner axis,
/// 16 lines.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn encode_rows(words: &[u64], stride: usize, [rows, depth]: [usize; 2], limbs: usize, lines: &mut [Line]) {
    let tiles = depth.div_ceil(RUN);
    let sort = table(&SORT);
    for r in 0..rows {
        let row = &words[r * stride..][..depth];
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

/// Adds to the result what the slice of the inner axis from `k` on gives; the first slice overwrites it.
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
    for i in tile_columns {
        let (panel, tiles) = panels.panel(k, i);
        for a in encoded.chunks_exact(L * tiles * SIDE).take(tile_rows) {
            // SAFETY: both operands have `L * tiles` tiles.
            unsafe { diagonals::<L>(a, panel, tiles, now, &mut fold) };
            std::mem::swap(&mut now, &mut fold.sums);
            fold.tile = result.next().unwrap_or_default();
        }
    }
    fold.rest::<L>();
}

/// Loads the tile of 16 lines at a pointer.
macro_rules! load {
    ($tile:literal, $from:expr) => {
        asm!(concat!("tileloadd tmm", $tile, ", [{from} + {line}*1]"), from = in(reg) $from, line = in(reg) RUN,
            options(nostack, readonly))
    };
}

/// Stores a tile.
macro_rules! store {
    ($tile:literal, $to:expr) => {
        asm!(concat!("tilestored [{to} + {line}*1], tmm", $tile), to = in(reg) $to, line = in(reg) RUN,
            options(nostack))
    };
}

/// `tile += a · b`.
macro_rules! add {
    ($tile:literal, $a:literal, $b:literal) => {
        asm!(concat!("tdpbuud tmm", $tile, ", tmm", $a, ", tmm", $b), options(nostack, nomem))
    };
}

macro_rules! zero {
    ($($tile:literal)*) => {
        $(asm!(concat!("tilezero tmm", $tile), options(nostack, nomem));)*
    };
}

/// Block diagonal `D`: all pairs of two bytes with `I + J = D`. `$c0` is diagonal `2D`, which comes from the block
/// diagonal before, tiles 1 and 2 are `2D + 1`, `$c2` is `2D + 2`. Sums `3D ..` are stored, `$c2` goes on.
macro_rules! block_diagonal {
    ($c0:literal, $c2:literal, $d:expr, $a:expr, $b:expr, $tiles:expr, $limbs:ident, $sums:expr, $fold:expr) => {{
        let (diagonal, tiles, limbs): (usize, usize, usize) = ($d, $tiles, $limbs);
        zero!(1 2 $c2);
        let byte = tiles * SIDE;
        for i in 0..=diagonal {
            let j = diagonal - i;
            for tile in 0..tiles {
                let a = $a.add((2 * i * tiles + tile) * SIDE);
                let b = $b.add((2 * j * tiles + tile) * SIDE);
                if 2 * diagonal + 1 < limbs {
                    load!(4, a);
                    load!(6, b);
                    load!(5, a.add(byte));
                    load!(7, b.add(byte));
                    add!($c0, 4, 6);
                    add!(1, 4, 7);
                    add!(2, 5, 6);
                    if 2 * diagonal + 2 < limbs {
                        add!($c2, 5, 7);
                    }
                } else {
                    // An odd number of bytes: only diagonal `2D` is left. Its sums take turns.
                    load!(4, a);
                    load!(6, b);
                    match (i * tiles + tile) % 3 {
                        0 => add!($c0, 4, 6),
                        1 => add!(1, 4, 6),
                        _ => add!(2, 4, 6),
                    }
                }
                $fold.next_row::<$limbs>();
            }
        }
        let sums: *mut [Line; SIDE] = $sums.add(3 * diagonal);
        store!($c0, sums);
        store!(1, sums.add(1));
        store!(2, sums.add(2));
    }};
}

/// The sums of all diagonals: sums `3D`, `3D + 1` and `3D + 2` are diagonals `2D`, `2D + 1` and `2D + 1`, or all
/// `2D` where that is the last.
///
/// # Safety
/// The machine must have the instructions; `a` and `b` must have `L * tiles` tiles.
#[target_feature(enable = "avx512f")]
unsafe fn diagonals<const L: usize>(
    a: &[Line],
    b: &[Line],
    tiles: usize,
    sums: &mut Sums,
    fold: &mut Fold<'_>,
) {
    const { assert!(L >= 1 && L <= 8) };
    assert!(a.len() >= L * tiles * SIDE && b.len() >= L * tiles * SIDE);
    let (a, b, sums) = (a.as_ptr(), b.as_ptr(), sums.as_mut_ptr());
    // SAFETY: `2i + 1 < L` and `2j + 1 < L` wherever the second byte is loaded, as 2D + 1 < L there;
    // sums up to 3·3 + 2 are stored.
    unsafe {
        zero!(0);
        block_diagonal!(0, 3, 0, a, b, tiles, L, sums, fold);
        if L > 2 {
            block_diagonal!(3, 0, 1, a, b, tiles, L, sums, fold);
        }
        if L > 4 {
            block_diagonal!(0, 3, 2, a, b, tiles, L, sums, fold);
        }
        if L > 6 {
            block_diagonal!(3, 0, 3, a, b, tiles, L, sums, fold);
        }
    }
    fold.rest::<L>();
}

/// A tile of the result whose sums are still to be folded: `tile += Σ_d 2^(8d)·C_d`, a row at a time.
struct Fold<'a> {
    sums: &'a mut Sums,
    /// What is left of the tile; its last rows are folded first.
    tile: &'a mut [Words],
    /// Which words of the tile are added to: none in the first slice.
    kept: __mmask8,
}

impl Fold<'_> {
    #[target_feature(enable = "avx512f")]
    fn rest<const L: usize>(&mut self) {
        while !self.tile.is_empty() {
            self.next_row::<L>();
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn next_row<const L: usize>(&mut self) {
        let Some((rest, line)) = std::mem::take(&mut self.tile).split_last_chunk_mut::<2>() else { return };
        let r = rest.len() / 2;
        self.tile = rest;
        let sum = |s: usize| {
            // SAFETY: a line is 64 bytes.
            unsafe { _mm512_load_si512(self.sums[s][r].0.as_ptr().cast()) }
        };
        // Diagonals 0 to 3 need 64 bits; of the others, 32 bits are left.
        let (mut low, mut high) = ([_mm512_setzero_si512(); 2], _mm512_setzero_si512());
        for d in 0..L {
            let (first, odd) = (3 * (d / 2), d % 2 == 1);
            let c = if odd {
                _mm512_add_epi32(sum(first + 1), sum(first + 2))
            } else if d + 1 == L {
                _mm512_add_epi32(sum(first), _mm512_add_epi32(sum(first + 1), sum(first + 2)))
            } else {
                sum(first)
            };
            if d < 4 {
                let shift = _mm_cvtsi32_si128(8 * d as i32);
                let halves = [_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64::<1>(c)];
                for (low, half) in low.iter_mut().zip(halves) {
                    *low = _mm512_add_epi64(*low, _mm512_sll_epi64(_mm512_cvtepu32_epi64(half), shift));
                }
            } else {
                high = _mm512_add_epi32(high, _mm512_sll_epi32(c, _mm_cvtsi32_si128(8 * (d as i32 - 4))));
            }
        }
        let halves = [_mm512_castsi512_si256(high), _mm512_extracti64x4_epi64::<1>(high)];
        for ((low, half), line) in low.iter().zip(halves).zip(line) {
            let sum = _mm512_add_epi64(*low, _mm512_slli_epi64::<32>(_mm512_cvtepu32_epi64(half)));
            let line = line.0.as_mut_ptr().cast();
            // SAFETY: a line is 64 bytes.
            unsafe {
                let before = _mm512_maskz_load_epi64(self.kept, line);
                _mm512_store_epi64(line, _mm512_add_epi64(before, sum));
            };
        }
    }
}
