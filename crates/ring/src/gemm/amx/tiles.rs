//! One tile of the result: the byte products summed by diagonals, and the fold of the tile before.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;

use super::{Line, RUN, SIDE, Sums, Words};

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

/// Block diagonal `D`: all pairs of two bytes with `I + J = D`. `$c0` is diagonal `2D`, which comes
/// from the block diagonal before, tiles 1 and 2 are `2D + 1`, `$c2` is `2D + 2`. Sums `3D ..` are
/// stored, `$c2` goes on.
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

/// The sums of all diagonals: sums `3D`, `3D + 1` and `3D + 2` are diagonals `2D`, `2D + 1` and `2D
/// + 1`, or all `2D` where that is the last.
///
/// # Safety
/// The machine must have the instructions; `a` and `b` must have `L * tiles` tiles.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn diagonals<const L: usize>(
    a: &[Line],
    b: &[Line],
    tiles: usize,
    sums: &mut Sums,
    fold: &mut Fold<'_>,
) {
    const { assert!(L >= 1 && L <= 8) };
    assert!(a.len() >= L * tiles * SIDE && b.len() >= L * tiles * SIDE);
    let (a, b, sums) = (a.as_ptr(), b.as_ptr(), sums.as_mut_ptr());
    // SAFETY: `2i + 1 < L` and `2j + 1 < L` wherever the second byte is loaded, as 2D + 1 < L
    // there; sums up to 3·3 + 2 are stored.
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

/// A tile of the result whose sums are still to be folded: `tile += Σ_d 2^(8d)·C_d`, a row at a
/// time.
pub(super) struct Fold<'a> {
    pub(super) sums: &'a mut Sums,
    /// What is left of the tile; its last rows are folded first.
    pub(super) tile: &'a mut [Words],
    /// Which words of the tile are added to: none in the first slice.
    pub(super) kept: __mmask8,
}

impl Fold<'_> {
    #[target_feature(enable = "avx512f")]
    pub(super) fn rest<const L: usize>(&mut self) {
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
