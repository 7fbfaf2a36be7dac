//! Eight elements at a time: they are exactly `bits` bytes. A byte permutation brings each element
//! to its word, or back; shifts of 0 to 7 bits do the rest.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{mask, portable};
use crate::simd::vectors::table;

/// Whether the kernels can do this width here. An element and its shift must fit a word, and a byte
/// must not belong to three elements.
pub(super) fn fits(bits: u32) -> bool {
    (8..=57).contains(&bits)
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
}

/// See [`super::pack`]; `out` has the packed length.
pub(super) fn pack(words: &[u64], bits: u32, out: &mut [u8]) {
    assert!(fits(bits));
    let (whole, rest) = words.as_chunks::<8>();
    let (packed, last) = out.split_at_mut(whole.len() * bits as usize);
    // SAFETY: the machine has the instructions.
    unsafe { pack_here(whole, bits, packed) };
    portable::pack(rest, bits, last);
}

/// See [`super::unpack`]; `bytes` has the packed length.
pub(super) fn unpack(bytes: &[u8], bits: u32, out: &mut [u64]) {
    assert!(fits(bits));
    let (whole, rest) = out.as_chunks_mut::<8>();
    let (packed, last) = bytes.split_at(whole.len() * bits as usize);
    // SAFETY: the machine has the instructions.
    unsafe { unpack_here(packed, bits, whole) };
    portable::unpack(last, bits, rest);
}

/// Where element `e` of eight begins: its byte, and its bit in that byte.
fn begin(e: usize, bits: u32) -> (usize, i64) {
    let bit = e * bits as usize;
    (bit / 8, (bit % 8) as i64)
}

#[target_feature(enable = "avx512f")]
fn shifts(bits: u32) -> __m512i {
    let s = |e| begin(e, bits).1;
    _mm512_setr_epi64(s(0), s(1), s(2), s(3), s(4), s(5), s(6), s(7))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn pack_here(words: &[[u64; 8]], bits: u32, out: &mut [u8]) {
    // Byte j has bits of the element that has its first bit, and it may have bits of the next
    // element's beginning.
    let (mut first, mut second, mut shared) = ([0; 64], [0; 64], 0u64);
    for j in 0..bits as usize {
        let e = 8 * j / bits as usize;
        first[j] = (8 * e + j - begin(e, bits).0) as u8;
        if e < 7 && begin(e + 1, bits).0 == j && begin(e + 1, bits).1 != 0 {
            second[j] = (8 * (e + 1)) as u8;
            shared |= 1 << j;
        }
    }
    let (first, second, shifts) = (table(&first), table(&second), shifts(bits));
    let low = _mm512_set1_epi64(mask(bits) as i64);
    let bytes = (1u64 << bits) - 1;
    for (words, out) in words.iter().zip(out.chunks_exact_mut(bits as usize)) {
        // SAFETY: 8 words are there to read, and `bits` bytes to write.
        unsafe {
            let z = _mm512_and_si512(_mm512_loadu_si512(words.as_ptr().cast()), low);
            let z = _mm512_sllv_epi64(z, shifts);
            let next = _mm512_maskz_permutexvar_epi8(shared, second, z);
            let packed = _mm512_or_si512(_mm512_permutexvar_epi8(first, z), next);
            _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), bytes, packed);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn unpack_here(packed: &[u8], bits: u32, out: &mut [[u64; 8]]) {
    let mut place = [0; 64];
    for (i, place) in place.iter_mut().enumerate() {
        *place = (begin(i / 8, bits).0 + i % 8) as u8;
    }
    let (place, shifts) = (table(&place), shifts(bits));
    let low = _mm512_set1_epi64(mask(bits) as i64);
    let bytes = (1u64 << bits) - 1;
    for (packed, out) in packed.chunks_exact(bits as usize).zip(out) {
        // SAFETY: `bits` bytes are there to read, and 8 words to write.
        unsafe {
            let z = _mm512_maskz_loadu_epi8(bytes, packed.as_ptr().cast());
            let z = _mm512_srlv_epi64(_mm512_permutexvar_epi8(place, z), shifts);
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_and_si512(z, low));
        }
    }
}
