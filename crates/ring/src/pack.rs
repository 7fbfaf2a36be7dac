//! Packing words to their exact width: element `i` of `bits` bits is bits `i*bits ..` of the byte
//! string, the lowest bit of a byte first.

#[cfg(target_arch = "x86_64")]
mod avx512;

/// Bytes of `n` elements of `bits` bits.
pub fn packed_len(n: usize, bits: u32) -> usize {
    let (whole, rest) = (n / 8, n % 8);
    whole * bits as usize + (rest * bits as usize).div_ceil(8)
}

/// The low `bits` of a word.
fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Appends the low `bits` of each word to `out`: [`packed_len`] bytes. Spare bits of the last byte
/// are zero.
///
/// # Panics
/// Where `bits` is not in 1..=64.
pub fn pack(words: &[u64], bits: u32, out: &mut Vec<u8>) {
    assert!((1..=64).contains(&bits), "elements of {bits} bits: a word holds 1 to 64");
    let begin = out.len();
    out.resize(begin + packed_len(words.len(), bits), 0);
    pack_into(words, bits, &mut out[begin..]);
}

/// [`pack`] to where its [`packed_len`] bytes shall be.
///
/// # Panics
/// Where `bits` is not in 1..=64, or there is another number of bytes.
pub(crate) fn pack_into(words: &[u64], bits: u32, out: &mut [u8]) {
    assert!((1..=64).contains(&bits), "elements of {bits} bits: a word holds 1 to 64");
    let need = packed_len(words.len(), bits);
    assert!(
        out.len() == need,
        "{} elements of {bits} bits take {need} bytes, not {}",
        words.len(),
        out.len()
    );
    if bits == 64 {
        return out.as_chunks_mut().0.iter_mut().zip(words).for_each(|(out, word)| *out = word.to_le_bytes());
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::fits(bits) {
        return avx512::pack(words, bits, out);
    }
    portable::pack(words, bits, out);
}

/// The inverse of [`pack`]: fills `out` from the first [`packed_len`] bytes. Spare bits of the last
/// byte are not read.
///
/// # Panics
/// Where `bits` is not in 1..=64, or `bytes` has fewer than [`packed_len`] bytes.
pub fn unpack(bytes: &[u8], bits: u32, out: &mut [u64]) {
    assert!((1..=64).contains(&bits), "elements of {bits} bits: a word holds 1 to 64");
    let need = packed_len(out.len(), bits);
    assert!(
        bytes.len() >= need,
        "{} elements of {bits} bits need {need} bytes, not {}",
        out.len(),
        bytes.len()
    );
    let bytes = &bytes[..need];
    if bits == 64 {
        return out
            .iter_mut()
            .zip(bytes.as_chunks().0)
            .for_each(|(out, word)| *out = u64::from_le_bytes(*word));
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::fits(bits) {
        return avx512::unpack(bytes, bits, out);
    }
    portable::unpack(bytes, bits, out);
}

/// The least whole number of bytes, a power of two of them, that holds each of these in two's
/// complement, in bits: 8, 16, 32 or 64.
pub fn signed_width(values: &[i64]) -> u32 {
    // A number and its sign fit where the bits above the sign repeat it.
    let used = values.iter().fold(0u64, |used, &v| used | (v ^ (v >> 63)) as u64);
    (65 - used.leading_zeros()).next_power_of_two().max(8)
}

/// [`pack`] of integers, whose low `bits` are their two's complement where these hold them
/// ([`signed_width`]).
///
/// # Panics
/// Where `bits` is not in 1..=64.
pub fn pack_signed(values: &[i64], bits: u32, out: &mut Vec<u8>) {
    pack(bytemuck::cast_slice(values), bits, out);
}

/// The inverse of [`pack_signed`].
///
/// # Panics
/// Where `bits` is not in 1..=64, or `bytes` has fewer than [`packed_len`] bytes.
pub fn unpack_signed(bytes: &[u8], bits: u32, out: &mut [i64]) {
    unpack(bytes, bits, bytemuck::cast_slice_mut(out));
    let above = 64 - bits;
    out.iter_mut().for_each(|v| *v = (*v << above) >> above);
}

mod portable {
    use super::mask;

    /// `out` has the packed length.
    pub(super) fn pack(words: &[u64], bits: u32, out: &mut [u8]) {
        let mask = mask(bits);
        let mut at = 0;
        // Bits that wait for their word to be full, and how many.
        let (mut waiting, mut fill) = (0u64, 0u32);
        for word in words {
            let word = word & mask;
            waiting |= word << fill;
            fill += bits;
            if fill >= 64 {
                out[at..at + 8].copy_from_slice(&waiting.to_le_bytes());
                at += 8;
                fill -= 64;
                waiting = if fill == 0 { 0 } else { word >> (bits - fill) };
            }
        }
        let rest = out.len() - at;
        out[at..].copy_from_slice(&waiting.to_le_bytes()[..rest]);
    }

    /// `bytes` has the packed length.
    pub(super) fn unpack(bytes: &[u8], bits: u32, out: &mut [u64]) {
        let mask = mask(bits);
        let load = |at: usize| {
            let mut word = [0; 8];
            match bytes.get(at..at + 8) {
                Some(whole) => word.copy_from_slice(whole),
                None => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    word[..rest.len()].copy_from_slice(rest);
                }
            }
            u64::from_le_bytes(word)
        };
        let (mut at, mut shift) = (0, 0);
        for out in out {
            let low = load(at) >> shift;
            // A wide element may reach into a ninth byte.
            let high = if shift + bits > 64 { u64::from(bytes[at + 8]) << (64 - shift) } else { 0 };
            *out = (low | high) & mask;
            at += ((shift + bits) / 8) as usize;
            shift = (shift + bits) % 8;
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn vectors_agree_with_the_portable_loops() {
        for bits in (1..=64).filter(|bits| avx512::fits(*bits)) {
            for n in [0, 1, 7, 8, 9, 16, 63, 100] {
                let words: Vec<u64> = (0..n).map(|i: u64| (!i).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
                let mut bytes =
                    [vec![0; packed_len(words.len(), bits)], vec![0; packed_len(words.len(), bits)]];
                portable::pack(&words, bits, &mut bytes[0]);
                avx512::pack(&words, bits, &mut bytes[1]);
                assert_eq!(bytes[0], bytes[1], "{n} of {bits} bits");
                let mut back = [vec![0; words.len()], vec![0; words.len()]];
                portable::unpack(&bytes[0], bits, &mut back[0]);
                avx512::unpack(&bytes[0], bits, &mut back[1]);
                assert_eq!(back[0], back[1], "{n} of {bits} bits");
            }
        }
    }
}
