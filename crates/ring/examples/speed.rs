//! scratch
#![allow(missing_docs)]
use cryptflow_ring::*;
fn cpu() -> f64 {
    #[repr(C)]
    struct T {
        s: i64,
        n: i64,
    }
    #[allow(unsafe_code)]
    unsafe extern "C" {
        fn clock_gettime(c: i32, t: *mut T) -> i32;
    }
    let mut t = T { s: 0, n: 0 };
    #[allow(unsafe_code)]
    unsafe {
        clock_gettime(2, &mut t)
    };
    t.s as f64 + t.n as f64 * 1e-9
}
fn best(mut f: impl FnMut()) -> f64 {
    f();
    let (mut best, start) = (f64::MAX, cpu());
    while cpu() - start < 0.6 {
        let t = cpu();
        f();
        best = best.min(cpu() - t);
    }
    best
}
fn conv(size: usize, cin: usize, cout: usize, k: usize, s: usize, groups: usize) -> LinearMap {
    let p = (k - 1) / 2;
    LinearMap::Conv2d(Conv2d {
        batch: 1,
        input: [size; 2],
        in_channels: cin,
        out_channels: cout,
        groups,
        window: Window { kernel: [k; 2], stride: [s; 2], dilation: [1; 2], padding: [[p; 2]; 2] },
    })
}
fn main() {
    println!("{} {}", bilinear::kernel_name(64), bilinear::kernel_name(51));
    let filter = std::env::args().nth(1).unwrap_or_default();
    let maps = [
        ("12544x64x256", LinearMap::MatMul { rows: 12544, inner: 64, columns: 256 }),
        ("3136x256x64", LinearMap::MatMul { rows: 3136, inner: 256, columns: 64 }),
        ("3025x64x16", LinearMap::MatMul { rows: 3025, inner: 64, columns: 16 }),
        ("49x2048x512", LinearMap::MatMul { rows: 49, inner: 2048, columns: 512 }),
        ("1024x1024x1024", LinearMap::MatMul { rows: 1024, inner: 1024, columns: 1024 }),
        ("8x2048x1000", LinearMap::MatMul { rows: 8, inner: 2048, columns: 1000 }),
        ("1x2048x1000", LinearMap::MatMul { rows: 1, inner: 2048, columns: 1000 }),
        ("conv56 64 64 3x3", conv(56, 64, 64, 3, 1, 1)),
        ("conv14 256 256 3x3", conv(14, 256, 256, 3, 1, 1)),
        ("conv55 16 64 3x3", conv(55, 16, 64, 3, 1, 1)),
        ("conv224 3 64 7x7/2", conv(224, 3, 64, 7, 2, 1)),
        ("conv56 128->128 3x3 g32", conv(56, 128, 128, 3, 1, 32)),
        ("dw112 64 3x3", conv(112, 64, 64, 3, 1, 64)),
    ];
    for (name, map) in maps {
        if !name.contains(&filter) {
            continue;
        }
        let x: Vec<u64> = (0..map.input_len() as u64).map(|i| i.wrapping_mul(0x9e3779b97f4a7c15)).collect();
        let w: Vec<u64> = (0..map.weight_len() as u64).map(|i| i.wrapping_mul(0xda942042e4dd58b5)).collect();
        let mut out = vec![0; map.output_len()];
        let mut line = format!("{name:>26}");
        for bits in [64, 51, 32] {
            let s = best(|| bilinear_into(&map, &x, &w, bits, &mut out).unwrap());
            line += &format!("  {bits}: {:7.2} ms {:6.2} GMAC/s", s * 1e3, map.macs() as f64 / s / 1e9);
        }
        println!("{line}");
    }
}
