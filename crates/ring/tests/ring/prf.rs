//! Pseudo-random streams: published vectors of AES-128, and random access.

use cryptflow_ring::Prf;

use super::random::Random;

fn hex(text: &str) -> [u8; 16] {
    u128::from_str_radix(text, 16).unwrap().to_be_bytes()
}

/// FIPS-197 (appendix C.1), NIST SP 800-38A (F.1.1, and F.5.1 for the counter's blocks) and AESAVS
/// (zero key).
#[test]
fn published_vectors() {
    let cases = [
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "69c4e0d86a7b0430d8cdb78070b4c55a",
        ),
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "6bc1bee22e409f96e93d7e117393172a",
            "3ad77bb40d7a3660a89ecaf32466ef97",
        ),
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "ae2d8a571e03ac9c9eb76fac45af8e51",
            "f5d3d58503b9699de785895a96fdbaaf",
        ),
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "ec8cdf7398607cb0f2d21675ea9ea1e4",
        ),
        (
            "00000000000000000000000000000000",
            "f34481ec3cc627bacd5dc3fb08f273e6",
            "0336763e966d92595a567cc9ce537f5e",
        ),
    ];
    for (key, plain, cipher) in cases {
        let (plain, cipher) = (hex(plain), hex(cipher));
        let domain = u64::from_le_bytes(plain[..8].try_into().unwrap());
        let counter = u64::from_le_bytes(plain[8..].try_into().unwrap());
        let prf = Prf::new(hex(key));
        // A block's number is at most 2^63 where its words or bytes are counted by a u64.
        if let Some(word) = counter.checked_mul(2) {
            let mut words = [0; 2];
            prf.fill_words(domain, word, &mut words);
            assert_eq!([words[0].to_le_bytes(), words[1].to_le_bytes()].concat(), cipher);
        }
        let mut block = [0; 16];
        prf.fill_blocks(domain, counter, std::slice::from_mut(&mut block));
        assert_eq!(block, cipher);
    }
}

#[test]
fn any_range_is_the_same_as_in_sequence() {
    let mut random = Random(11);
    let prf = Prf::new(*b"a key of a test.");
    let domain = 0x0123_4567_89ab_cdef;
    let mut all = vec![0; 40_000];
    prf.fill_words(domain, 0, &mut all);
    let bytes: Vec<u8> = all.iter().flat_map(|w| w.to_le_bytes()).collect();
    for i in 0..400 {
        let longest = if i % 40 == 0 { 30_000 } else { 200 };
        let begin = random.within(0, 9_000);
        let mut part = vec![0; random.within(0, longest)];
        prf.fill_words(domain, begin as u64, &mut part);
        assert_eq!(part, all[begin..begin + part.len()]);
        let mut part = vec![0; random.within(0, longest)];
        prf.fill_bytes(domain, begin as u64, &mut part);
        assert_eq!(part, bytes[begin..begin + part.len()]);
    }
}

#[test]
fn domains_and_keys_differ_and_nothing_is_printed() {
    let mut streams = Vec::new();
    for (key, domain) in [([0; 16], 0), ([0; 16], 1), ([1; 16], 0)] {
        let mut words = [0; 4];
        Prf::new(key).fill_words(domain, 0, &mut words);
        streams.push(words);
    }
    assert!(streams[0] != streams[1] && streams[0] != streams[2] && streams[1] != streams[2]);
    assert_eq!(format!("{:?}", Prf::new([7; 16])), "Prf { .. }");
}

#[test]
fn the_best_cipher_agrees_with_the_library() {
    for (i, n) in [0, 1, 3, 31, 32, 33, 64, 100, 257].into_iter().enumerate() {
        let key = [0x1b * (i as u8 + 1); 16];
        let domain = 0x0123_4567_89ab_cdef_u64.rotate_left(i as u32);
        for first in [0, 5, u64::MAX - 20] {
            let fill = |prf: Prf| {
                let mut out = vec![[0; 16]; n];
                prf.fill_blocks(domain, first, &mut out);
                out
            };
            assert_eq!(fill(Prf::new(key)), fill(Prf::by_library(key)), "{n} blocks from {first}");
        }
    }
}
