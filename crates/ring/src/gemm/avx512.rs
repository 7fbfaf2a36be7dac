//! Tiles of 6 rows by 4 vectors of 8 columns: 24 sums, 4 vectors of the right operand and one word
//! of the left one fill the 32 registers.
//!
//! - *vpmullq* multiplies modulo 2^64. It is three operations on the two multiplying ports, and the
//!   addition is a fourth: 4 products a cycle.
//! - *vpmadd52luq* (IFMA) multiplies the low 52 bits of its operands and adds the low 52 bits of
//!   the product to a sum of 64 bits: one operation, 16 products a cycle. The sum is right modulo
//!   2^52, whatever lies above the operands' 52 bits.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::kernel::{Kernel, LANES, TILE_COLUMNS, TILE_LEN, Tile, check, sizes};

/// The kernels that this machine has, the fastest first.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    if is_x86_feature_detected!("avx512f") {
        if is_x86_feature_detected!("avx512ifma") {
            all.push(Kernel::new("avx512ifma", [6, 4], 52, 11.0, select_ifma));
        }
        if is_x86_feature_detected!("avx512dq") {
            all.push(Kernel::new("avx512dq", [6, 4], 64, 3.0, select_mullo));
        }
    }
    all
}

fn select_ifma(rows: usize, lanes: usize) -> Tile {
    const KERNELS: [[Tile; 4]; 6] = sizes!(ifma, [1 2 3 4 5 6], [1 2 3 4]);
    KERNELS[rows - 1][lanes - 1]
}

fn select_mullo(rows: usize, lanes: usize) -> Tile {
    const KERNELS: [[Tile; 4]; 6] = sizes!(mullo, [1 2 3 4 5 6], [1 2 3 4]);
    KERNELS[rows - 1][lanes - 1]
}

/// The two kernels differ in how they add a product to a sum.
macro_rules! tile {
    ($name:ident, $features:literal, $add:expr) => {
        #[target_feature(enable = $features)]
        fn $name<const R: usize, const V: usize>(
            a: &[u64],
            stride: usize,
            b: &[u64],
            depth: usize,
            tile: &mut [u64; TILE_LEN],
        ) {
            const { assert!(R * TILE_COLUMNS <= TILE_LEN && V * LANES <= TILE_COLUMNS) };
            check(R, V, a, stride, b, depth);
            let mut sums = [[_mm512_setzero_si512(); V]; R];
            let mut panel = b.as_ptr();
            for k in 0..depth {
                // SAFETY: `check` asserted that `depth` rows of `V` vectors lie in `b`, and `R`
                // rows of `depth` words in `a`.
                unsafe {
                    let mut columns = [_mm512_setzero_si512(); V];
                    for (v, columns) in columns.iter_mut().enumerate() {
                        *columns = _mm512_loadu_si512(panel.add(v * LANES).cast());
                    }
                    panel = panel.add(V * LANES);
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let a = _mm512_set1_epi64(*a.as_ptr().add(r * stride + k) as i64);
                        for (sum, b) in sums.iter_mut().zip(columns) {
                            *sum = $add(*sum, a, b);
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    // SAFETY: inside the tile, as asserted at compile time.
                    unsafe {
                        _mm512_storeu_si512(tile.as_mut_ptr().add(r * TILE_COLUMNS + v * LANES).cast(), *sum)
                    };
                }
            }
        }
    };
}

tile!(ifma, "avx512f,avx512ifma", |sum, a, b| _mm512_madd52lo_epu64(sum, a, b));
tile!(mullo, "avx512f,avx512dq", |sum, a, b| _mm512_add_epi64(sum, _mm512_mullo_epi64(a, b)));
