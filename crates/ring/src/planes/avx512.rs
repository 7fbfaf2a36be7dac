//! 64 elements at a time. Bytes are sorted by a byte permutation and a transposition of words, so
//! that a vector holds one byte of each element; an affine map over GF(2) (GFNI) then transposes 8
//! by 8 bits in each word, and a last byte permutation makes plane words.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::simd::vectors::{swap_bytes_and_words, table, transpose_words};

/// Row `j` of the unit matrix is byte `j`. `_mm512_gf2p8affine_epi64_epi8(UNIT, a, 0)` is then, in
/// each word, the transposition of `a` with its bytes in reverse.
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

/// Blocks that are done together, so that a plane is read and written in whole lines.
const BLOCKS: usize = 8;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn to_planes_here(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    let words = values.len().div_ceil(64);
    let used = count.div_ceil(8) as usize;
    for (i, values) in values.chunks(64 * BLOCKS).enumerate() {
        // Plane words by block, byte and bit.
        let mut staged = [[_mm512_setzero_si512(); 8]; BLOCKS];
        let (whole, rest) = values.as_chunks::<64>();
        for (values, staged) in whole.iter().zip(&mut staged) {
            *staged = block_to_planes(values, low, used);
        }
        if !rest.is_empty() {
            let mut last = [0; 64];
            last[..rest.len()].copy_from_slice(rest);
            staged[whole.len()] = block_to_planes(&last, low, used);
        }
        let mask = (0xff >> (BLOCKS - values.len().div_ceil(64))) as __mmask8;
        for (byte, planes) in planes.chunks_mut(8 * words).enumerate() {
            let lines = transpose_words(staged.map(|block| block[byte]));
            for (line, plane) in lines.iter().zip(planes.chunks_exact_mut(words)) {
                let plane = &mut plane[i * BLOCKS..];
                // SAFETY: as many words are there to write as the mask has bits.
                unsafe { _mm512_mask_storeu_epi64(plane.as_mut_ptr().cast(), mask, *line) };
            }
        }
    }
}

/// The plane words of 64 values: word `j` of vector `b` is of bit `low + 8b + j`. Only `used`
/// vectors are made.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn block_to_planes(values: &[u64; 64], low: u32, used: usize) -> [__m512i; 8] {
    let (shift, unit) = (_mm_cvtsi32_si128(low as i32), _mm512_set1_epi64(UNIT));
    let (sort, reversed) = (table(&SORT), table(&SORT_REVERSED));
    let mut z = [_mm512_setzero_si512(); 8];
    for (z, values) in z.iter_mut().zip(values.as_chunks::<8>().0) {
        // SAFETY: 8 words are there to read.
        let values = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
        // Word b: byte b of the 8 elements, the last one first.
        *z = _mm512_permutexvar_epi8(reversed, _mm512_srl_epi64(values, shift));
    }
    let mut bytes = transpose_words(z);
    for bytes in &mut bytes[..used] {
        *bytes = _mm512_permutexvar_epi8(sort, _mm512_gf2p8affine_epi64_epi8::<0>(unit, *bytes));
    }
    bytes
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn from_planes_here(planes: &[u64], count: u32, values: &mut [u64]) {
    let words = values.len().div_ceil(64);
    let used = count.div_ceil(8) as usize;
    for (i, values) in values.chunks_mut(64 * BLOCKS).enumerate() {
        let mut staged = [[_mm512_setzero_si512(); 8]; BLOCKS];
        let mask = (0xff >> (BLOCKS - values.len().div_ceil(64))) as __mmask8;
        for (byte, planes) in planes.chunks(8 * words).enumerate() {
            let mut lines = [_mm512_setzero_si512(); 8];
            for (line, plane) in lines.iter_mut().zip(planes.chunks_exact(words)) {
                let plane = &plane[i * BLOCKS..];
                // SAFETY: as many words are there to read as the mask has bits.
                *line = unsafe { _mm512_maskz_loadu_epi64(mask, plane.as_ptr().cast()) };
            }
            for (block, line) in staged.iter_mut().zip(transpose_words(lines)) {
                block[byte] = line;
            }
        }
        let (whole, rest) = values.as_chunks_mut::<64>();
        for (values, staged) in whole.iter_mut().zip(&staged) {
            block_from_planes(staged, used, values);
        }
        if !rest.is_empty() {
            let mut last = [0; 64];
            block_from_planes(&staged[whole.len()], used, &mut last);
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

/// The inverse of [`block_to_planes`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn block_from_planes(planes: &[__m512i; 8], used: usize, values: &mut [u64; 64]) {
    let unit = _mm512_set1_epi64(UNIT);
    let (sort, reversed) = (table(&SORT), table(&SORT_REVERSED));
    let mut bytes = [_mm512_setzero_si512(); 8];
    for (bytes, planes) in bytes.iter_mut().zip(planes).take(used) {
        *bytes = _mm512_gf2p8affine_epi64_epi8::<0>(unit, _mm512_permutexvar_epi8(reversed, *planes));
    }
    for (values, z) in values.as_chunks_mut::<8>().0.iter_mut().zip(transpose_words(bytes)) {
        // SAFETY: 8 words are there to write.
        unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), _mm512_permutexvar_epi8(sort, z)) };
    }
}
