//! Tiles of 4 rows by 8 columns. AVX2 has no 64-bit product, so it is put together from three of 32
//! bits: `a·b = lo(a)·lo(b) + 2^32·(lo(a)·hi(b) + hi(a)·lo(b))`. The two sums are kept apart until
//! the end.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::kernel::{Kernel, LANES, TILE_COLUMNS, TILE_LEN, Tile, check, sizes};

/// The kernel, where the machine has it.
pub(super) fn kernel() -> Option<Kernel> {
    is_x86_feature_detected!("avx2").then(|| Kernel::new("avx2", [4, 1], 64, 1.5, select))
}

fn select(rows: usize, _: usize) -> Tile {
    const KERNELS: [[Tile; 1]; 4] = sizes!(tile, [1 2 3 4], [1]);
    KERNELS[rows - 1][0]
}

#[target_feature(enable = "avx2")]
fn tile<const R: usize, const V: usize>(
    a: &[u64],
    stride: usize,
    b: &[u64],
    depth: usize,
    tile: &mut [u64; TILE_LEN],
) {
    const { assert!(R * TILE_COLUMNS <= TILE_LEN && V == 1) };
    check(R, V, a, stride, b, depth);
    // Half a vector of 8 columns at a time: 4 rows of both sums fit the 16 registers.
    for half in [0, 4] {
        let mut low = [_mm256_setzero_si256(); R];
        let mut middle = [_mm256_setzero_si256(); R];
        for k in 0..depth {
            // SAFETY: `check` asserted that `depth` rows of 8 words lie in `b`, and `R` rows of
            // `depth` words in `a`.
            unsafe {
                let b = _mm256_loadu_si256(b.as_ptr().add(k * LANES + half).cast());
                let b_high = _mm256_srli_epi64::<32>(b);
                for r in 0..R {
                    let word = a.as_ptr().add(r * stride + k);
                    let a = _mm256_set1_epi64x(*word as i64);
                    let a_high = _mm256_set1_epi64x((*word >> 32) as i64);
                    low[r] = _mm256_add_epi64(low[r], _mm256_mul_epu32(a, b));
                    middle[r] = _mm256_add_epi64(middle[r], _mm256_mul_epu32(a, b_high));
                    middle[r] = _mm256_add_epi64(middle[r], _mm256_mul_epu32(a_high, b));
                }
            }
        }
        for r in 0..R {
            let sum = _mm256_add_epi64(low[r], _mm256_slli_epi64::<32>(middle[r]));
            // SAFETY: inside the tile, as asserted at compile time.
            unsafe { _mm256_storeu_si256(tile.as_mut_ptr().add(r * TILE_COLUMNS + half).cast(), sum) };
        }
    }
}
