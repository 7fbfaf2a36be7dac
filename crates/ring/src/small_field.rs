//! Arithmetic modulo the prime 127, a byte for each element, on 64 lanes at once.
//!
//! A [`Group`] holds 64 rows of 64 lanes: row `i` of a lane belongs to bit `i` of the lane's word.
//! Elements are always reduced: 0 to 126. No step branches on a value or indexes by one, except
//! where unfit random bytes are replaced, which says nothing of those that are used.

use crate::simd::for_this_machine;

/// The prime.
pub const PRIME: u8 = 127;
/// Lanes of a row, and rows of a group.
pub const LANES: usize = 64;
/// Bytes of a group.
pub const GROUP: usize = LANES * LANES;

/// A byte for each lane.
pub type Row = [u8; LANES];

/// 64 rows of 64 lanes.
pub type Group = [Row; LANES];
/// The same bytes as words, lowest byte first.
pub type GroupWords = [u64; GROUP / 8];

/// A group of which the words were drawn.
pub fn as_group(words: &GroupWords) -> &Group {
    bytemuck::cast_ref(words)
}

/// A group's bytes as words.
pub fn as_words(group: &Group) -> &GroupWords {
    bytemuck::cast_ref(group)
}

/// `v` modulo the prime, for v up to 253.
#[inline(always)]
fn reduced(v: u8) -> u8 {
    v.min(v.wrapping_sub(PRIME))
}

/// The bits of 64 words, less `pad`: row `i` belongs to bit `i`.
pub fn bits_less(words: &[u64; LANES], pad: &Group, out: &mut Group) {
    for_this_machine!(bits_less_here(words: &[u64; LANES], pad: &Group, out: &mut Group))
}

#[inline(always)]
fn bits_less_here(words: &[u64; LANES], pad: &Group, out: &mut Group) {
    let bytes = byte_rows(words);
    for (i, (row, pad)) in out.iter_mut().zip(pad).enumerate() {
        for ((o, b), p) in row.iter_mut().zip(&bytes[i / 8]).zip(pad) {
            *o = reduced(((b >> (i % 8)) & 1) + (PRIME - *p));
        }
    }
}

/// Byte `b` of every word in row `b`.
#[inline(always)]
fn byte_rows(words: &[u64; LANES]) -> [Row; 8] {
    let mut rows = [[0; LANES]; 8];
    for (lane, word) in words.iter().enumerate() {
        for (row, byte) in rows.iter_mut().zip(word.to_le_bytes()) {
            row[lane] = byte;
        }
    }
    rows
}

/// 1 in each lane in which `x + y` is zero in some row, 0 in the others.
pub fn any_zero(x: &Group, y: &Group, out: &mut Row) {
    for_this_machine!(any_zero_here(x: &Group, y: &Group, out: &mut Row))
}

#[inline(always)]
fn any_zero_here(x: &Group, y: &Group, out: &mut Row) {
    let mut smallest = [u8::MAX; LANES];
    for (x, y) in x.iter().zip(y) {
        for ((s, x), y) in smallest.iter_mut().zip(x).zip(y) {
            *s = (*s).min(reduced(*x + *y));
        }
    }
    for (o, s) in out.iter_mut().zip(&smallest) {
        *o = u8::from(*s == 0);
    }
}

/// Makes random bytes uniform elements: their low seven bits, and `redraw` where these are the
/// prime.
pub fn uniform(random: &mut GroupWords, mut redraw: impl FnMut() -> u8) {
    sample(random, 0x80, || next(&mut redraw, 0));
}

/// Makes random bytes uniform elements other than zero.
pub fn nonzero(random: &mut GroupWords, mut redraw: impl FnMut() -> u8) {
    sample(random, 0, || next(&mut redraw, 1));
}

fn next(redraw: &mut impl FnMut() -> u8, smallest: u8) -> u8 {
    loop {
        let v = redraw() & 0x7f;
        if (smallest..PRIME).contains(&v) {
            return v;
        }
    }
}

/// Whether zero is fit is told by `zero_is_fit`: 0x80 or 0.
#[inline(always)]
fn sample(random: &mut GroupWords, zero_is_fit: u8, mut next: impl FnMut() -> u8) {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    let zero_is_fit = u64::from_le_bytes([zero_is_fit; 8]);
    for word in random {
        *word &= LOW;
        // The high bit of a byte of v + 127 is clear for v = 0 alone; that of v + 1 is set for v =
        // 127 alone.
        let zero = !((*word + LOW) | zero_is_fit);
        let prime = *word + u64::from_le_bytes([1; 8]);
        let mut unfit = (zero | prime) & !LOW;
        while unfit != 0 {
            let at = unfit.trailing_zeros() - 7;
            *word = (*word & !(0xff << at)) | (u64::from(next()) << at);
            unfit &= unfit - 1;
        }
        *word = word.to_le();
    }
}

/// What [`compare`] compares with, for each lane.
pub struct Thresholds {
    /// The public word t.
    pub word: [u64; LANES],
    /// 0xff: is x > t? 0: is x < t?
    pub greater: Row,
    /// 0xff: the answer is yes whatever x is.
    pub always: Row,
}

/// What [`compare`] hides its result with.
pub struct Blinds<'a> {
    /// Factors, none of them zero.
    pub factors: &'a Group,
    /// Uniform elements: one party adds them, the other subtracts them.
    pub zero: &'a Group,
    /// Six bits for each lane: row `i` goes to row `i ^ place`.
    pub place: &'a Row,
}

/// An additive share of cells of which exactly one is zero where the answer to a comparison is yes,
/// and none where it is no. `x` is a share of the bits of a word; `one` is 1 for the party that
/// adds public constants (and subtracts the share of zero) and 0 for the other.
///
/// With v_i = x_i − t_i and w_i = x_i ⊕ t_i, cell i is `1 − v_i + Σ_{k>i} w_k` where x > t is
/// asked, and `1 + v_i + Σ_{k>i} w_k` where x < t is, times a factor, plus a share of zero, and
/// moved to another row.
pub fn compare(one: u8, x: &Group, t: &Thresholds, blinds: &Blinds<'_>, out: &mut Group) {
    for_this_machine!(compare_here(one: u8, x: &Group, t: &Thresholds, blinds: &Blinds<'_>, out: &mut Group))
}

#[inline(always)]
fn compare_here(one: u8, x: &Group, t: &Thresholds, blinds: &Blinds<'_>, out: &mut Group) {
    let bytes = byte_rows(&t.word);
    let one_less = (PRIME - one) % PRIME;
    let subtracts = 0u8.wrapping_sub(one);
    // 1 + Σ_{k>i} w_k.
    let mut above = [one; LANES];
    for i in (0..LANES).rev() {
        let (x, t_byte, out) = (&x[i], &bytes[i / 8], &mut out[i]);
        let (factors, zero) = (&blinds.factors[i], &blinds.zero[i]);
        // Where the answer is always yes, the first cell is 0 and the others are 1.
        let forced = if i == 0 { 0 } else { one };
        for e in 0..LANES {
            let bit = 0u8.wrapping_sub((t_byte[e] >> (i % 8)) & 1);
            let v = reduced(x[e] + (one_less & bit));
            let minus_v = reduced(PRIME - v);
            let (greater, always) = (t.greater[e], t.always[e]);
            let signed = (minus_v & greater) | (v & !greater);
            let cell = reduced(above[e] + signed);
            let cell = (forced & always) | (cell & !always);
            above[e] = reduced(above[e] + ((minus_v & bit) | (v & !bit)));
            let product = u16::from(cell) * u16::from(factors[e]);
            let product = reduced(((product & 0x7f) + (product >> 7)) as u8);
            let zero = ((PRIME - zero[e]) & subtracts) | (zero[e] & !subtracts);
            out[e] = reduced(product + zero);
        }
    }
    for stage in 0..6 {
        let mut mask = [0u8; LANES];
        for (m, place) in mask.iter_mut().zip(blinds.place) {
            *m = 0u8.wrapping_sub((place >> stage) & 1);
        }
        for i in (0..LANES).filter(|i| i >> stage & 1 == 0) {
            let (low, high) = out.split_at_mut(i + (1 << stage));
            let (a, b) = (&mut low[i], &mut high[0]);
            for e in 0..LANES {
                let swap = (a[e] ^ b[e]) & mask[e];
                a[e] ^= swap;
                b[e] ^= swap;
            }
        }
    }
}
