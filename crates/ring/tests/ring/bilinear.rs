//! Linear maps against the definition, one element of the result at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use cryptflow_ring::{Conv2d, Drawn, GeometryError, LinearMap, Window, Words, bilinear, bilinear_into};

use super::random::Random;

fn definition(map: &LinearMap, x: &[u64], w: &[u64]) -> Vec<u64> {
    let mut out = vec![0u64; map.output_len()];
    match map {
        LinearMap::MatMul { inner, columns, .. } => {
            for (i, out) in out.iter_mut().enumerate() {
                for k in 0..*inner {
                    let product = x[i / columns * inner + k].wrapping_mul(w[k * columns + i % columns]);
                    *out = out.wrapping_add(product);
                }
            }
        }
        LinearMap::BatchMatMul { rows, inner, columns, .. } => {
            for (i, out) in out.iter_mut().enumerate() {
                let (batch, column) = (i / (rows * columns), i % columns);
                for k in 0..*inner {
                    let product =
                        x[i / columns * inner + k].wrapping_mul(w[(batch * inner + k) * columns + column]);
                    *out = out.wrapping_add(product);
                }
            }
        }
        LinearMap::Scale { channels, .. } => {
            for (i, out) in out.iter_mut().enumerate() {
                *out = x[i].wrapping_mul(w[i % channels]);
            }
        }
        LinearMap::Conv2d(c) => {
            let [out_h, out_w] = c.window.output(c.input).unwrap();
            let (group_in, group_out) = (c.in_channels / c.groups, c.out_channels / c.groups);
            for (i, out) in out.iter_mut().enumerate() {
                let o = i % c.out_channels;
                let (ox, oy) = (i / c.out_channels % out_w, i / c.out_channels / out_w % out_h);
                let image = i / c.out_channels / out_w / out_h;
                for ky in 0..c.window.kernel[0] {
                    for kx in 0..c.window.kernel[1] {
                        let y = (oy * c.window.stride[0] + ky * c.window.dilation[0]) as isize
                            - c.window.padding[0][0] as isize;
                        let at = (ox * c.window.stride[1] + kx * c.window.dilation[1]) as isize
                            - c.window.padding[1][0] as isize;
                        if !(0..c.input[0] as isize).contains(&y) || !(0..c.input[1] as isize).contains(&at) {
                            continue;
                        }
                        let pixel = (image * c.input[0] + y as usize) * c.input[1] + at as usize;
                        for k in 0..group_in {
                            let channel = o / group_out * group_in + k;
                            let weight = ((ky * c.window.kernel[1] + kx) * group_in + k) * c.out_channels + o;
                            let product = x[pixel * c.in_channels + channel].wrapping_mul(w[weight]);
                            *out = out.wrapping_add(product);
                        }
                    }
                }
            }
        }
    }
    out
}

const WIDTHS: [u32; 8] = [1, 13, 32, 48, 51, 52, 53, 64];

fn agrees(map: &LinearMap, random: &mut Random) {
    let x = random.words(map.input_len());
    let w = random.words(map.weight_len());
    let must = definition(map, &x, &w);
    let before = random.words(must.len());
    for bits in WIDTHS {
        let mask = u64::MAX >> (64 - bits);
        let masked = |v: &[u64]| -> Vec<u64> { v.iter().map(|v| v & mask).collect() };
        let is = bilinear(map, &x, &w, bits).unwrap();
        assert_eq!(masked(&is), masked(&must), "{map:?} modulo 2^{bits}");
        let mut sum = before.clone();
        bilinear_into(map, &x, &w, bits, &mut sum).unwrap();
        let sums: Vec<u64> = before.iter().zip(&must).map(|(b, m)| b.wrapping_add(*m)).collect();
        assert_eq!(masked(&sum), masked(&sums), "{map:?} modulo 2^{bits}, added");
        let mut sum = before.clone();
        let words = Words::of_ring(&masked(&w), bits);
        assert_eq!(matches!(words, Words::Narrow(_)), bits <= 32);
        assert_eq!(matches!(words, Words::Packed(_)), (33..=56).contains(&bits));
        bilinear_into(map, &x, &words, bits, &mut sum).unwrap();
        assert_eq!(
            masked(&sum),
            masked(&sums),
            "{map:?} modulo 2^{bits}, in words no wider than they must be"
        );
        // Made where they are read, each once.
        let (mut sum, made) = (before.clone(), AtomicUsize::new(0));
        let draw = |first: usize, out: &mut [u64]| {
            made.fetch_add(out.len(), Ordering::Relaxed);
            out.copy_from_slice(&w[first..][..out.len()]);
        };
        bilinear_into(map, &x, Drawn::new(w.len(), bits, &draw), bits, &mut sum).unwrap();
        assert_eq!(masked(&sum), masked(&sums), "{map:?} modulo 2^{bits}, of weights that lie nowhere");
        let due = if x.is_empty() || sum.is_empty() { 0 } else { w.len() };
        assert_eq!(made.into_inner(), due, "{map:?} modulo 2^{bits}");
    }
}

#[test]
fn products_of_all_shapes() {
    let mut random = Random(4);
    let mut shapes = vec![
        [1, 1, 1],
        [0, 3, 2],
        [3, 0, 2],
        [3, 2, 0],
        [1, 300, 40],
        [300, 1, 40],
        [40, 300, 1],
        [130, 9, 5],
        [5, 520, 33],
        [33, 70, 260],
        [2, 1100, 17],
        // More than the panels that are packed at a time.
        [10, 2100, 130],
    ];
    for _ in 0..60 {
        shapes.push([random.within(1, 40), random.within(1, 40), random.within(1, 40)]);
    }
    for [rows, inner, columns] in shapes {
        agrees(&LinearMap::MatMul { rows, inner, columns }, &mut random);
    }
}

#[test]
fn batches_of_products() {
    let mut random = Random(9);
    for [batch, rows, inner, columns] in
        [[1, 1, 1, 1], [0, 2, 3, 4], [3, 0, 2, 2], [3, 2, 0, 2], [5, 7, 3, 2], [2, 40, 33, 20], [9, 1, 8, 1]]
    {
        agrees(&LinearMap::BatchMatMul { batch, rows, inner, columns }, &mut random);
    }
}

#[test]
fn scales() {
    let mut random = Random(5);
    for (rows, channels) in [(0, 3), (3, 0), (1, 1), (7, 13), (100, 64)] {
        agrees(&LinearMap::Scale { rows, channels }, &mut random);
    }
}

#[test]
fn random_convolutions() {
    let mut random = Random(6);
    let mut done = 0;
    while done < 400 {
        let depth_wise = random.within(0, 3) == 0;
        let groups = if depth_wise || random.within(0, 2) == 0 { random.within(1, 20) } else { 1 };
        let group_in = if depth_wise { 1 } else { random.within(1, 9) };
        let group_out = if depth_wise { random.within(1, 2) } else { random.within(1, 12) };
        let mut pair = |low, high| [random.within(low, high), random.within(low, high)];
        let window = Window {
            kernel: pair(1, 4),
            stride: pair(1, 5),
            dilation: pair(1, 3),
            padding: [pair(0, 3), pair(0, 3)],
        };
        let input = [random.within(1, 12), random.within(1, 12)];
        if window.output(input).is_err() {
            continue;
        }
        let conv = Conv2d {
            batch: random.within(0, 3),
            input,
            in_channels: groups * group_in,
            out_channels: groups * group_out,
            groups,
            window,
        };
        agrees(&LinearMap::Conv2d(conv), &mut random);
        done += 1;
    }
}

fn square(size: usize, in_channels: usize, out_channels: usize, kernel: usize, groups: usize) -> Conv2d {
    let pad = [(kernel - 1) / 2, kernel / 2];
    Conv2d {
        batch: 1,
        input: [size, size],
        in_channels,
        out_channels,
        groups,
        window: Window { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], padding: [pad; 2] },
    }
}

#[test]
fn convolutions_larger_than_a_block() {
    let mut random = Random(7);
    let mut strided = square(15, 40, 30, 1, 1);
    strided.window.stride = [2, 2];
    strided.batch = 2;
    for conv in [
        square(14, 60, 70, 3, 1),
        square(17, 3, 64, 7, 1),
        square(20, 64, 20, 1, 1),
        square(13, 96, 96, 3, 96),
        square(13, 30, 60, 3, 30),
        square(9, 64, 64, 3, 2),
        strided,
    ] {
        agrees(&LinearMap::Conv2d(conv), &mut random);
    }
}

#[test]
fn maps_that_do_not_go_together_are_errors() {
    let conv = |change: fn(&mut Conv2d)| {
        let mut c = square(4, 4, 4, 3, 1);
        change(&mut c);
        LinearMap::Conv2d(c)
    };
    let cases = [
        (conv(|c| c.in_channels = 0), "must not be zero"),
        (conv(|c| c.out_channels = 0), "must not be zero"),
        (conv(|c| c.groups = 0), "must not be zero"),
        (conv(|c| c.groups = 3), "do not divide"),
        (conv(|c| c.window.stride[1] = 0), "must not be zero"),
        (conv(|c| c.window.dilation[1] = 3), "does not fit"),
        (conv(|c| c.window.padding[0] = [usize::MAX, 1]), "too many"),
        (conv(|c| c.batch = usize::MAX), "too many"),
        (LinearMap::MatMul { rows: usize::MAX, inner: 2, columns: 1 }, "too many"),
        (LinearMap::Scale { rows: usize::MAX, channels: 2 }, "too many"),
    ];
    for (map, says) in cases {
        let error: GeometryError = bilinear(&map, &[], &[], 64).unwrap_err();
        assert!(error.to_string().contains(says), "{map:?}: {error}");
    }
    let map = LinearMap::MatMul { rows: 2, inner: 3, columns: 4 };
    let (x, w) = ([0; 6], [0; 12]);
    for (x, w, out, bits) in
        [(&x[1..], &w[..], 8, 64), (&x, &w[1..], 8, 64), (&x, &w, 7, 64), (&x, &w, 8, 0), (&x, &w, 8, 65)]
    {
        assert!(bilinear_into(&map, x, w, bits, &mut vec![0; out]).is_err());
    }
    // Weights that were kept for a smaller ring.
    for (kept, bits) in [(30, 33), (40, 41), (56, 57)] {
        let w = Words::of_ring(&w, kept);
        assert!(bilinear_into(&map, &x, &w, kept, &mut [0; 8]).is_ok());
        assert!(bilinear_into(&map, &x, &w, bits, &mut [0; 8]).is_err(), "{kept} bits of {bits}");
        let nothing = |_: usize, out: &mut [u64]| out.fill(0);
        assert!(bilinear_into(&map, &x, Drawn::new(12, kept, &nothing), bits, &mut [0; 8]).is_err());
    }
}
