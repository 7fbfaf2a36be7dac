//! Changes files at random, the same way in every run: what a fuzzer does, without a compiler's
//! help.

/// Pseudo-random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which counts as 1 where it is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }
}

/// Numbers at the ends of what fits something.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    1 << 28,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
];

/// A file made from `seed` by one to eight changes, some of which take a part of `other`.
pub fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) * random.below(3) {
        change(&mut bytes, other, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(16)).min(bytes.len());
    match random.below(12) {
        0..=1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2..=3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.below(256) as u8;
            }
        }
        4 => bytes.truncate(at),
        5 => {
            bytes.drain(at..end);
        }
        6 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copy);
        }
        7 => {
            let from = random.below(other.len());
            let part = other[from..].iter().take(1 + random.below(64)).copied().collect::<Vec<u8>>();
            let end = if random.below(2) == 0 { at } else { (at + part.len()).min(bytes.len()) };
            bytes.splice(at..end, part);
        }
        // A length that is far too large, in the ways in which formats write numbers.
        8 => {
            let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
            let width = [2, 4, 8][random.below(3)];
            bytes.iter_mut().skip(at).zip(&edge[..width]).for_each(|(byte, edge)| *byte = *edge);
        }
        9 => {
            let mut edge = EDGES[random.below(EDGES.len())];
            let mut varint = Vec::new();
            while edge >= 0x80 {
                varint.push(edge as u8 | 0x80);
                edge >>= 7;
            }
            varint.push(edge as u8);
            let end = if random.below(2) == 0 { at } else { (at + 1).min(bytes.len()) };
            bytes.splice(at..end, varint);
        }
        10 => {
            let digits = |i: &usize| bytes.get(*i).is_some_and(u8::is_ascii_digit);
            if let Some(first) = (at..bytes.len()).find(digits) {
                let last = (first..bytes.len()).find(|i| !digits(i)).unwrap_or(bytes.len());
                let edge = EDGES[random.below(EDGES.len())].to_string();
                bytes.splice(first..last, edge.into_bytes());
            }
        }
        _ => bytes.extend((0..random.below(32)).map(|_| 0xff_u8).collect::<Vec<u8>>()),
    }
}
