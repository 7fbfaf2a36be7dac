//! Packing and bit planes against their definitions, one bit at a time.

use cryptflow_ring::planes::{
    expand_masks, from_planes, plane_bytes, plane_words, read_plane, to_planes, write_plane,
};
use cryptflow_ring::{pack, pack_signed, packed_len, signed_width, unpack, unpack_signed};

use super::random::Random;

const LENGTHS: [usize; 16] = [0, 1, 2, 7, 8, 9, 31, 63, 64, 65, 127, 128, 129, 200, 513, 1000];

fn low(bits: u32) -> u64 {
    if bits == 0 { 0 } else { u64::MAX >> (64 - bits) }
}

#[test]
fn packs_every_width_and_length() {
    let mut random = Random(8);
    for bits in 1..=64 {
        for n in LENGTHS {
            let words = random.words(n);
            let mut bytes = vec![0xa5; 3];
            pack(&words, bits, &mut bytes);
            assert_eq!(bytes[..3], [0xa5; 3]);
            let bytes = &bytes[3..];
            assert_eq!(bytes.len(), packed_len(n, bits));
            assert_eq!(bytes.len(), (n * bits as usize).div_ceil(8));
            for at in 0..bytes.len() * 8 {
                let must = words.get(at / bits as usize).map_or(0, |w| (w >> (at % bits as usize)) & 1);
                assert_eq!(u64::from(bytes[at / 8] >> (at % 8)) & 1, must, "bit {at}, {n} of {bits} bits");
            }
            let mut back = vec![u64::MAX; n];
            unpack(bytes, bits, &mut back);
            let must: Vec<u64> = words.iter().map(|w| w & low(bits)).collect();
            assert_eq!(back, must, "{n} of {bits} bits");
        }
    }
}

#[test]
fn unpack_reads_no_spare_bits() {
    let mut out = [0; 3];
    unpack(&[0xff, 0xff, 0xff], 5, &mut out);
    assert_eq!(out, [31; 3]);
}

#[test]
fn planes_of_every_range() {
    let mut random = Random(9);
    let ranges = (0..=64).flat_map(|low| [0, 1, 7, 8, 9, 24, 31, 32, 33, 51, 64].map(|count| (low, count)));
    for (first, count) in ranges.filter(|(low, count)| low + count <= 64) {
        for n in LENGTHS {
            let values = random.words(n);
            let words = plane_words(n);
            let mut planes = vec![u64::MAX; words * count as usize];
            to_planes(&values, first, count, &mut planes);
            for p in 0..count as usize {
                for i in 0..words * 64 {
                    let must = values.get(i).map_or(0, |v| (v >> (first as usize + p)) & 1);
                    assert_eq!(
                        (planes[p * words + i / 64] >> (i % 64)) & 1,
                        must,
                        "plane {p}, element {i} of {n}"
                    );
                }
            }
            // Spare bits of a plane must not reach the values.
            if n % 64 != 0 {
                for p in 0..count as usize {
                    planes[p * words + words - 1] |= u64::MAX << (n % 64);
                }
            }
            let mut back = vec![u64::MAX; n];
            from_planes(&planes, count, &mut back);
            let must: Vec<u64> =
                values.iter().map(|v| (v.checked_shr(first).unwrap_or(0)) & low(count)).collect();
            assert_eq!(back, must, "{count} planes from bit {first} of {n} elements");
        }
    }
}

#[test]
fn masks_and_messages() {
    let mut random = Random(10);
    for n in LENGTHS {
        let plane = random.words(plane_words(n));
        let mut masks = vec![7; n];
        expand_masks(&plane, &mut masks);
        let mut bytes = vec![1];
        write_plane(&plane, n, &mut bytes);
        assert_eq!(bytes.len(), 1 + plane_bytes(n));
        for (i, mask) in masks.iter().enumerate() {
            let bit = (plane[i / 64] >> (i % 64)) & 1;
            assert_eq!(*mask, if bit == 1 { u64::MAX } else { 0 });
            assert_eq!(u64::from(bytes[1 + i / 8] >> (i % 8)) & 1, bit);
        }
        if n % 8 != 0 {
            assert_eq!(bytes[bytes.len() - 1] >> (n % 8), 0);
            *bytes.last_mut().unwrap() |= 0xff << (n % 8);
        }
        let mut back = vec![u64::MAX; plane_words(n)];
        read_plane(&bytes[1..], n, &mut back);
        let mut must = plane;
        if n % 64 != 0 {
            *must.last_mut().unwrap() &= low(n as u32 % 64);
        }
        assert_eq!(back, must);
    }
}

#[test]
fn integers_take_the_width_that_holds_them() {
    for (value, width) in [
        (0, 8),
        (127, 8),
        (-128, 8),
        (128, 16),
        (-129, 16),
        (32767, 16),
        (-32769, 32),
        (i64::from(i32::MAX), 32),
        (i64::from(i32::MIN) - 1, 64),
        (i64::MIN, 64),
        (i64::MAX, 64),
    ] {
        let values = [1, value, -1];
        assert_eq!(signed_width(&values), width, "{value}");
        let mut bytes = Vec::new();
        pack_signed(&values, width, &mut bytes);
        assert_eq!(bytes.len(), packed_len(3, width));
        assert_eq!(
            bytes[width as usize / 8..][..8.min(bytes.len() / 3)],
            value.to_le_bytes()[..width as usize / 8]
        );
        let mut back = [0; 3];
        unpack_signed(&bytes, width, &mut back);
        assert_eq!(back, values);
    }
    assert_eq!(signed_width(&[]), 8);
}
