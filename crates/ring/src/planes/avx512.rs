//! 64 elements at a time. Bytes are sorted by a byte permutation and a transposition of words, so that a vector holds
//! one byte of each element; an affine map over GF(2) (GFNI) then transposes 8 by 8 bits in each word, and a last byte
//! permutation makes plane words.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::simd::vectors::{swap_bytes_and_words, table, transpose_words};

/// Row `j` of the unit matrix is byte `j`. `_mm512_gf2p8affine_epi64_epi8(UNIT, a, 0)` is then, in each word,
/// the transposition of `a` with its bytes in reverse.
const UNIT: i64 = 0x8040_2010_0804_0201_u64 as i64;
const SORT: [u8; 64] = swap_bytes_and_words(false);
const SORT_REVERSED: [u8; 64] = swap_bytes_and_words(true);

/// Whether this machine has the kernels' instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("gfni")
}

/// See [`super::to_planes`]; the lengths were checked, and `count` is not zero.
pub(super) fn to_planes(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    assert!(available());
    // SAFETY: the machine has the instructions.
    unsafe { to_planes_here(values, low, count, planes) }
}

/// See [`super::from_planes`]; the lengths were checked, and `count` is not zero.
pub(super) fn from_planes(planes: &[u64], count: u32, values: &mut [u64]) {
    assert!(available());
    // SAFETY: the machine has the instructions.
    unsafe { from_planes_here(planes, count, values) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn to_planes_here(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    let words = values.len().div_ceil(64);
    let (whole, rest) = values.as_chunks::<64>();
    for (i, values) in whole.iter().enumerate() {
        block_to_planes(values, low, count, words, i, planes);
    }
    if !rest.is_empty() {
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        block_to_planes(&last, low, count, words, whole.len(), planes);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn block_to_planes(values: &[u64; 64], low: u32, count: u32, words: usize, i: usize, planes: &mut [u64]) {
    let (shift, unit) = (_mm_cvtsi32_si128(low as i32), _mm512_set1_epi64(UNIT));
    let (sort, reversed) = (table(&SORT), table(&SORT_REVERSED));
    let mut z = [_mm512_setzero_si512(); 8];
    for (z, values) in z.iter_mut().zip(values.as_chunks::<8>().0) {
        // SAFETY: 8 words are there to read.
        let values = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
        // Word b: byte b of the 8 elements, the last one first.
        *z = _mm512_permutexvar_epi8(reversed, _mm512_srl_epi64(values, shift));
    }
    let bytes = transpose_words(z);
    for (eight, bytes) in planes.chunks_mut(8 * words).zip(bytes).take(count.div_ceil(8) as usize) {
        let bits = _mm512_gf2p8affine_epi64_epi8::<0>(unit, bytes);
        let mut lines = [0; 8];
        // SAFETY: 8 words are there to write.
        unsafe { _mm512_storeu_si512(lines.as_mut_ptr().cast(), _mm512_permutexvar_epi8(sort, bits)) };
        for (plane, line) in eight.chunks_exact_mut(words).zip(lines) {
            plane[i] = line;
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn from_planes_here(planes: &[u64], count: u32, values: &mut [u64]) {
    let words = values.len().div_ceil(64);
    let (whole, rest) = values.as_chunks_mut::<64>();
    let blocks = whole.len();
    for (i, values) in whole.iter_mut().enumerate() {
        block_from_planes(planes, count, words, i, values);
    }
    if !rest.is_empty() {
        let mut last = [0; 64];
        block_from_planes(planes, count, words, blocks, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn block_from_planes(planes: &[u64], count: u32, words: usize, i: usize, values: &mut [u64; 64]) {
    let unit = _mm512_set1_epi64(UNIT);
    let (sort, reversed) = (table(&SORT), table(&SORT_REVERSED));
    let mut bytes = [_mm512_setzero_si512(); 8];
    for (eight, bytes) in planes.chunks(8 * words).zip(&mut bytes).take(count.div_ceil(8) as usize) {
        let mut lines = [0; 8];
        for (plane, line) in eight.chunks_exact(words).zip(&mut lines) {
            *line = plane[i];
        }
        // SAFETY: 8 words are there to read.
        let lines = unsafe { _mm512_loadu_si512(lines.as_ptr().cast()) };
        *bytes = _mm512_gf2p8affine_epi64_epi8::<0>(unit, _mm512_permutexvar_epi8(reversed, lines));
    }
    for (values, z) in values.as_chunks_mut::<8>().0.iter_mut().zip(transpose_words(bytes)) {
        // SAFETY: 8 words are there to write.
        unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), _mm512_permutexvar_epi8(sort, z)) };
    }
}
