//! Arithmetic modulo 127 against integers.

use cryptflow_ring::small_field::*;

/// Reproducible words.
fn words<const N: usize>(seed: u64) -> [u64; N] {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

fn group(seed: u64, nonzero_only: bool) -> Group {
    let mut out = words(seed);
    let mut more = words::<4096>(seed + 1000).into_iter().cycle();
    let redraw = || more.next().unwrap_or(1) as u8;
    if nonzero_only {
        nonzero(&mut out, redraw)
    } else {
        uniform(&mut out, redraw)
    }
    *as_group(&out)
}

#[test]
fn samples_are_in_range_and_even() {
    for (nonzero_only, smallest) in [(false, 0u8), (true, 1)] {
        let mut counts = [0u32; 256];
        for seed in 1..200 {
            for row in group(seed, nonzero_only) {
                row.iter().for_each(|&v| counts[usize::from(v)] += 1);
            }
        }
        let fit = usize::from(smallest)..usize::from(PRIME);
        let mean = 199.0 * 4096.0 / fit.len() as f64;
        for (v, &count) in counts.iter().enumerate() {
            let (expected, off) = if fit.contains(&v) { (mean, 6.0 * mean.sqrt()) } else { (0.0, 0.0) };
            assert!((f64::from(count) - expected).abs() <= off, "{v}: {count}");
        }
    }
}

#[test]
fn every_unfit_byte_is_replaced() {
    let all = [u64::from_le_bytes([0x00, 0x7f, 0xff, 0x80, 0x01, 0x7e, 0x81, 0xfe]); GROUP / 8];
    let (mut a, mut b) = (all, all);
    let mut bytes = [0x7f, 0xff, 5].into_iter().cycle();
    uniform(&mut a, || bytes.next().unwrap_or(0));
    let mut bytes = [0x80, 0x7f, 5].into_iter().cycle();
    nonzero(&mut b, || bytes.next().unwrap_or(0));
    for (a, b) in as_group(&a).as_flattened().chunks(8).zip(as_group(&b).as_flattened().chunks(8)) {
        assert_eq!(a, [0, 5, 5, 0, 1, 126, 1, 126]);
        assert_eq!(b, [5, 5, 5, 5, 1, 126, 1, 126]);
    }
}

/// Words that agree in their highest bits, and the ends.
fn near(t: u64, lane: usize) -> u64 {
    match lane % 8 {
        0 => t,
        1 => t.wrapping_add(1),
        2 => t.wrapping_sub(1),
        3 => t ^ (1 << (lane / 8 * 8)),
        4 => !t,
        5 => 0,
        6 => u64::MAX,
        _ => t ^ (t >> 7),
    }
}

#[test]
fn comparisons_agree_with_integers_and_hide_the_place() {
    let mut places = [0u32; LANES];
    for seed in 1..60u64 {
        let word: [u64; LANES] = words(seed);
        let x: [u64; LANES] = std::array::from_fn(|lane| near(word[lane], lane));
        let (share, factors, zero) = (group(seed, false), group(seed + 300, true), group(seed + 600, false));
        let mut other_share = [[0; LANES]; LANES];
        bits_less(&x, &share, &mut other_share);
        let choices: [u64; LANES] = words(seed + 900);
        let greater = choices.map(|c| 0u8.wrapping_sub((c & 1) as u8));
        let always = choices.map(|c| if c % 16 == 15 { 0xff } else { 0 });
        let place = choices.map(|c| (c >> 20) as u8 & 63);
        let t = Thresholds { word, greater, always };
        let mut shares = [[[0; LANES]; LANES]; 2];
        let blinds = Blinds { factors: &factors, zero: &zero, place: &place };
        compare(0, &share, &t, &blinds, &mut shares[0]);
        compare(1, &other_share, &t, &blinds, &mut shares[1]);
        let mut yes = [0; LANES];
        any_zero(&shares[0], &shares[1], &mut yes);
        for lane in 0..LANES {
            let (x, t) = (x[lane], word[lane]);
            let answer = if greater[lane] == 0xff { x > t } else { x < t };
            let expected = answer || always[lane] == 0xff;
            assert_eq!(yes[lane], u8::from(expected), "{x:x} and {t:x}");
            let zeros: Vec<usize> = (0..LANES)
                .filter(|&i| (shares[0][i][lane] + shares[1][i][lane]).is_multiple_of(PRIME))
                .collect();
            assert_eq!(zeros.len(), usize::from(expected), "at most one cell is zero");
            zeros.iter().for_each(|&i| places[i] += 1);
            assert!((0..LANES).all(|i| shares.iter().all(|s| s[i][lane] < PRIME)));
        }
    }
    assert!(places.iter().all(|&n| n > 0), "every row can hold the zero");
}
