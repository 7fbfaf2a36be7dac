//! Bit planes: plane `p` of `n` elements holds bit `p` of each, 64 elements to a word: element `i`
//! is bit `i % 64` of word `i / 64`. Spare bits of the last word are zero.

use crate::simd::for_this_machine;

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

/// Words of a plane of `n` elements.
pub fn plane_words(n: usize) -> usize {
    n.div_ceil(64)
}

/// Bytes of a plane of `n` elements on the wire.
pub fn plane_bytes(n: usize) -> usize {
    n.div_ceil(8)
}

/// Takes `count` bits of each value, from bit `low`: plane `p`, of bit `low + p`, is `planes[p*W ..
/// (p+1)*W]`, where `W = plane_words(values.len())`.
///
/// # Panics
/// Where `low + count > 64`, or `planes` has not `count * W` words.
pub fn to_planes(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    let words = plane_words(values.len());
    check(low, count, planes.len(), words);
    if count == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::available() {
        return avx512::to_planes(values, low, count, planes);
    }
    portable::to_planes(values, low, count, planes);
}

/// The inverse of [`to_planes`] from bit 0: bit `p` of each value is its bit in plane `p`, the bits
/// from `count` on are zero.
///
/// # Panics
/// Where `count > 64`, or `planes` has not `count * W` words, `W = plane_words(values.len())`.
pub fn from_planes(planes: &[u64], count: u32, values: &mut [u64]) {
    let words = plane_words(values.len());
    check(0, count, planes.len(), words);
    if count == 0 {
        return values.fill(0);
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::available() {
        return avx512::from_planes(planes, count, values);
    }
    portable::from_planes(planes, count, values);
}

fn check(low: u32, count: u32, len: usize, words: usize) {
    assert!(low <= 64 && count <= 64 - low, "{count} bits from bit {low} are not in a word");
    let need = count as usize * words;
    assert!(len == need, "{count} planes of {words} words are {need} words, not {len}");
}

/// For each element of a plane 0 or `u64::MAX`, as its bit is 0 or 1: `out.len()` elements.
///
/// # Panics
/// Where `plane` has fewer than `plane_words(out.len())` words.
pub fn expand_masks(plane: &[u64], out: &mut [u64]) {
    assert!(plane.len() >= plane_words(out.len()), "a plane of {} words is too short", plane.len());
    expand(plane, out);
}

fn expand(plane: &[u64], out: &mut [u64]) {
    for_this_machine!(expand_plain(plane: &[u64], out: &mut [u64]))
}

#[inline(always)]
fn expand_plain(plane: &[u64], out: &mut [u64]) {
    let (whole, rest) = out.as_chunks_mut::<64>();
    let last = plane.get(whole.len());
    for (word, out) in plane.iter().zip(whole) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = ((word >> j) & 1).wrapping_neg();
        }
    }
    if let Some(word) = last {
        for (j, out) in rest.iter_mut().enumerate() {
            *out = ((word >> j) & 1).wrapping_neg();
        }
    }
}

/// Appends a plane of `n` elements to a message: [`plane_bytes`] bytes, whose spare bits are zero.
///
/// # Panics
/// Where `plane` has not `plane_words(n)` words.
pub fn write_plane(plane: &[u64], n: usize, out: &mut Vec<u8>) {
    assert!(plane.len() == plane_words(n), "a plane of {n} elements has not {} words", plane.len());
    let begin = out.len();
    out.resize(begin + 8 * plane.len(), 0);
    for (bytes, word) in out[begin..].as_chunks_mut().0.iter_mut().zip(plane) {
        *bytes = word.to_le_bytes();
    }
    out.truncate(begin + plane_bytes(n));
    if let Some(last) = out[begin..].last_mut().filter(|_| !n.is_multiple_of(8)) {
        *last &= 0xff >> (8 - n % 8);
    }
}

/// Reads a plane of `n` elements from the first [`plane_bytes`] bytes of a message. Spare bits are
/// cleared, whatever the message says.
///
/// # Panics
/// Where `bytes` has fewer than `plane_bytes(n)` bytes, or `plane` has not `plane_words(n)` words.
pub fn read_plane(bytes: &[u8], n: usize, plane: &mut [u64]) {
    assert!(plane.len() == plane_words(n), "a plane of {n} elements has not {} words", plane.len());
    let need = plane_bytes(n);
    assert!(bytes.len() >= need, "a plane of {n} elements needs {need} bytes, not {}", bytes.len());
    let (whole, rest) = bytes[..need].as_chunks();
    for (word, bytes) in plane.iter_mut().zip(whole) {
        *word = u64::from_le_bytes(*bytes);
    }
    if let Some(last) = plane.get_mut(whole.len()) {
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        *last = u64::from_le_bytes(bytes);
    }
    if let Some(last) = plane.last_mut().filter(|_| !n.is_multiple_of(64)) {
        *last &= u64::MAX >> (64 - n % 64);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn vectors_agree_with_the_portable_loops() {
        if !avx512::available() {
            println!("skipped: this machine has no AVX-512 with GFNI");
            return;
        }
        for n in [1, 63, 64, 65, 200, 512] {
            let values: Vec<u64> = (0..n).map(|i: u64| (!i).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let words = plane_words(values.len());
            for (low, count) in [(0, 1), (0, 64), (3, 24), (40, 24), (63, 1), (13, 51), (0, 33), (8, 8)] {
                let mut planes = [vec![0; words * count as usize], vec![0; words * count as usize]];
                portable::to_planes(&values, low, count, &mut planes[0]);
                avx512::to_planes(&values, low, count, &mut planes[1]);
                assert_eq!(planes[0], planes[1], "{count} planes from bit {low} of {n} elements");
                let mut back = [vec![0; values.len()], vec![0; values.len()]];
                portable::from_planes(&planes[0], count, &mut back[0]);
                avx512::from_planes(&planes[0], count, &mut back[1]);
                assert_eq!(back[0], back[1], "{count} planes of {n} elements");
            }
        }
    }
}
