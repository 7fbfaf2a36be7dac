//! Bit planes and packing beside loops over single bits.
#![allow(missing_docs)]

mod paired;

use std::hint::black_box;
use std::time::Duration;

use cryptflow_ring::planes::{from_planes, plane_words, to_planes};
use cryptflow_ring::{pack, unpack};

const ELEMENTS: usize = 1 << 14;
const WIDTHS: [u32; 4] = [13, 24, 51, 64];

fn naive_to_planes(values: &[u64], count: u32, planes: &mut [u64]) {
    let words = plane_words(values.len());
    for (i, values) in values.chunks(64).enumerate() {
        for p in 0..count as usize {
            planes[p * words + i] =
                values.iter().enumerate().fold(0, |word, (j, v)| word | ((v >> p) & 1) << j);
        }
    }
}

fn naive_from_planes(planes: &[u64], count: u32, values: &mut [u64]) {
    let words = plane_words(values.len());
    for (i, v) in values.iter_mut().enumerate() {
        *v = (0..count as usize).fold(0, |v, p| v | ((planes[p * words + i / 64] >> (i % 64)) & 1) << p);
    }
}

fn naive_pack(values: &[u64], bits: u32, out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + cryptflow_ring::packed_len(values.len(), bits), 0);
    for bit in 0..values.len() * bits as usize {
        let value = (values[bit / bits as usize] >> (bit % bits as usize)) & 1;
        out[begin + bit / 8] |= (value as u8) << (bit % 8);
    }
}

fn naive_unpack(bytes: &[u8], bits: u32, out: &mut [u64]) {
    out.fill(0);
    for bit in 0..out.len() * bits as usize {
        let value = u64::from((bytes[bit / 8] >> (bit % 8)) & 1);
        out[bit / bits as usize] |= value << (bit % bits as usize);
    }
}

/// Each job's name, the loop over bits, and ours.
type Job<'a> = (&'static str, Box<dyn FnMut() + 'a>, Box<dyn FnMut() + 'a>);

fn jobs<'a>(bits: u32, values: &'a [u64], planes: &'a [u64], bytes: &'a [u8]) -> Vec<Job<'a>> {
    let (mut p0, mut p1) = (planes.to_vec(), planes.to_vec());
    let (mut v0, mut v1, mut v2, mut v3) =
        (values.to_vec(), values.to_vec(), values.to_vec(), values.to_vec());
    let (mut b0, mut b1) = (bytes.to_vec(), bytes.to_vec());
    vec![
        (
            "to_planes",
            Box::new(move || naive_to_planes(values, bits, black_box(&mut p0))),
            Box::new(move || to_planes(values, 0, bits, black_box(&mut p1))),
        ),
        (
            "from_planes",
            Box::new(move || naive_from_planes(planes, bits, black_box(&mut v0))),
            Box::new(move || from_planes(planes, bits, black_box(&mut v1))),
        ),
        (
            "pack",
            Box::new(move || {
                b0.clear();
                naive_pack(values, bits, black_box(&mut b0));
            }),
            Box::new(move || {
                b1.clear();
                pack(values, bits, black_box(&mut b1));
            }),
        ),
        (
            "unpack",
            Box::new(move || naive_unpack(bytes, bits, black_box(&mut v2))),
            Box::new(move || unpack(bytes, bits, black_box(&mut v3))),
        ),
    ]
}

fn main() {
    paired::on_one_thread();
    let values: Vec<u64> = (1..=ELEMENTS as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    for bits in WIDTHS {
        let mut planes = vec![0; plane_words(ELEMENTS) * bits as usize];
        to_planes(&values, 0, bits, &mut planes);
        let mut bytes = Vec::new();
        pack(&values, bits, &mut bytes);
        for (name, mut naive, mut ours) in jobs(bits, &values, &planes, &bytes) {
            let best = paired::fastest(&mut [&mut naive, &mut ours], Duration::from_millis(200));
            let [naive, ours] = [best[0], best[1]].map(|seconds| seconds * 1e9 / ELEMENTS as f64);
            let ratio = naive / ours;
            println!(
                "{name:12} {bits:3} bits: {naive:7.2} ns bit by bit, {ours:6.3} ns here, {ratio:6.1} times as fast"
            );
        }
    }
}
