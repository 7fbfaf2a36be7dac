//! Bit planes: plane `p` of `n` elements holds bit `p` of each, 64 elements to a word: element `i` is bit `i % 64` of
//! word `i / 64`. Spare bits of the last word are zero.

/// Words of a plane of `n` elements.
pub fn plane_words(n: usize) -> usize {
    n.div_ceil(64)
}

/// Bytes of a plane of `n` elements on the wire.
pub fn plane_bytes(n: usize) -> usize {
    n.div_ceil(8)
}

/// Takes `count` bits of each value, from bit `low`: plane `p`, of bit `low + p`, is `planes[p*W .. (p+1)*W]`, where
/// `W = plane_words(values.len())`.
///
/// # Panics
/// Where `low + count > 64`, or `planes` has not `count * W` words.
pub fn to_planes(values: &[u64], low: u32, count: u32, planes: &mut [u64]) {
    let words = plane_words(values.len());
    check(low, count, planes.len(), words);
    for (i, values) in values.chunks(64).enumerate() {
        for p in 0..count as usize {
            let bit = low as usize + p;
            let word = values.iter().enumerate().fold(0, |word, (j, v)| word | ((v >> bit) & 1) << j);
            planes[p * words + i] = word;
        }
    }
}

/// The inverse of [`to_planes`] from bit 0: bit `p` of each value is its bit in plane `p`, the bits from `count` on
/// are zero.
///
/// # Panics
/// Where `count > 64`, or `planes` has not `count * W` words, `W = plane_words(values.len())`.
pub fn from_planes(planes: &[u64], count: u32, values: &mut [u64]) {
    let words = plane_words(values.len());
    check(0, count, planes.len(), words);
    for (i, values) in values.chunks_mut(64).enumerate() {
        for (j, v) in values.iter_mut().enumerate() {
            *v = (0..count as usize).fold(0, |v, p| v | ((planes[p * words + i] >> j) & 1) << p);
        }
    }
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
    for (word, out) in plane.iter().zip(out.chunks_mut(64)) {
        for (j, out) in out.iter_mut().enumerate() {
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
    out.extend(plane.iter().flat_map(|word| word.to_le_bytes()));
    out.truncate(begin + plane_bytes(n));
    if let Some(last) = out[begin..].last_mut().filter(|_| !n.is_multiple_of(8)) {
        *last &= 0xff >> (8 - n % 8);
    }
}

/// Reads a plane of `n` elements from the first [`plane_bytes`] bytes of a message. Spare bits are cleared, whatever
/// the message says.
///
/// # Panics
/// Where `bytes` has fewer than `plane_bytes(n)` bytes, or `plane` has not `plane_words(n)` words.
pub fn read_plane(bytes: &[u8], n: usize, plane: &mut [u64]) {
    assert!(plane.len() == plane_words(n), "a plane of {n} elements has not {} words", plane.len());
    let need = plane_bytes(n);
    assert!(bytes.len() >= need, "a plane of {n} elements needs {need} bytes, not {}", bytes.len());
    for (word, bytes) in plane.iter_mut().zip(bytes[..need].chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(whole);
    }
    if let Some(last) = plane.last_mut().filter(|_| !n.is_multiple_of(64)) {
        *last &= u64::MAX >> (64 - n % 64);
    }
}
