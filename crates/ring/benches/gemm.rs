//! Products over Z_2^64: every kernel of this machine, on one thread, beside the naive loops; and
//! convolutions, in two rings.
#![allow(missing_docs)]

mod paired;

use std::hint::black_box;
use std::time::Duration;

use cryptflow_ring::bilinear::kernels;
use cryptflow_ring::{Conv2d, LinearMap, Window, bilinear_into};

/// Rows, inner axis, columns: 1x1 and 3x3 convolutions and the classifier of ResNet-50, and
/// SqueezeNet's squeeze.
const SHAPES: [[usize; 3]; 8] = [
    [12544, 64, 256],
    [3136, 576, 64],
    [3025, 64, 16],
    [784, 1152, 128],
    [196, 1024, 256],
    [49, 2048, 512],
    [8, 2048, 1000],
    [1, 2048, 1000],
];

fn words(n: usize) -> Vec<u64> {
    (1..=n as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)).collect()
}

fn naive(x: &[u64], w: &[u64], [_, inner, columns]: [usize; 3], out: &mut [u64]) {
    for (out, x) in out.chunks_exact_mut(columns).zip(x.chunks_exact(inner)) {
        for (x, w) in x.iter().zip(w.chunks_exact(columns)) {
            for (o, w) in out.iter_mut().zip(w) {
                *o = o.wrapping_add(x.wrapping_mul(*w));
            }
        }
    }
}

type Run<'a> = (String, Box<dyn FnMut() + 'a>);

/// Every way to do a product: the naive loops, `bilinear_into`, each kernel.
fn runs<'a>(shape: [usize; 3], x: &'a [u64], w: &'a [u64]) -> Vec<Run<'a>> {
    let [rows, inner, columns] = shape;
    let result = || vec![0; rows * columns];
    let mut out = result();
    let mut all: Vec<Run<'a>> =
        vec![("naive".into(), Box::new(move || naive(x, w, shape, black_box(&mut out))))];
    for bits in [64, 51, 32] {
        let (map, mut out) = (LinearMap::MatMul { rows, inner, columns }, result());
        let chosen = move || assert!(bilinear_into(&map, x, w, bits, black_box(&mut out)).is_ok());
        all.push((format!("chosen/{bits}"), Box::new(chosen)));
        for kernel in kernels::available(bits) {
            let mut out = result();
            let run = move || {
                kernels::product(kernel, [x, w], shape, [inner, columns], bits, black_box(&mut out));
            };
            all.push((format!("{kernel}/{bits}"), Box::new(run)));
        }
    }
    all
}

/// Giga-products a second, and the ratio to the naive loops.
fn products() {
    for shape in SHAPES {
        let [rows, inner, columns] = shape;
        let (x, w) = (words(rows * inner), words(inner * columns));
        let mut runs = runs(shape, &x, &w);
        let mut ways: Vec<&mut dyn FnMut()> = runs.iter_mut().map(|(_, run)| run as _).collect();
        let best = paired::fastest(&mut ways, Duration::from_secs(2));
        println!("{rows}x{inner}x{columns}:");
        for ((name, _), seconds) in runs.iter().zip(&best) {
            let rate = (rows * inner * columns) as f64 / seconds / 1e9;
            let ratio = best[0] / seconds;
            println!("  {name:16} {:9.3} ms {rate:7.2} GMAC/s {ratio:6.2} x naive", seconds * 1e3);
        }
    }
}

fn convolution(size: usize, channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> LinearMap {
    let pad = [(kernel - 1) / 2, kernel / 2];
    LinearMap::Conv2d(Conv2d {
        batch: 1,
        input: [size, size],
        in_channels: channels[0],
        out_channels: channels[1],
        groups,
        window: Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [pad; 2] },
    })
}

fn convolutions() {
    let maps = [
        ("3x3 of 56x56x64", convolution(56, [64, 64], 3, 1, 1)),
        ("3x3 of 14x14x256", convolution(14, [256, 256], 3, 1, 1)),
        ("7x7/2 of 224x224x3", convolution(224, [3, 64], 7, 2, 1)),
        ("depth-wise 3x3 of 112x112x64", convolution(112, [64, 64], 3, 1, 64)),
    ];
    for (name, map) in maps {
        let (x, w) = (words(map.input_len()), words(map.weight_len()));
        let (mut wide, mut narrow) = (vec![0; map.output_len()], vec![0; map.output_len()]);
        let best = paired::fastest(
            &mut [&mut || assert!(bilinear_into(&map, &x, &w, 64, &mut wide).is_ok()), &mut || {
                assert!(bilinear_into(&map, &x, &w, 51, &mut narrow).is_ok())
            }],
            Duration::from_secs(1),
        );
        println!("{name}:");
        for (bits, seconds) in [64, 51].iter().zip(&best) {
            let rate = map.macs() as f64 / seconds / 1e9;
            println!("  {bits} bits {:9.3} ms {rate:7.2} GMAC/s", seconds * 1e3);
        }
    }
}

fn main() {
    paired::on_one_thread();
    products();
    convolutions();
}
