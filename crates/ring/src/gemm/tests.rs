//! Every kernel of this machine against the plain loops.

use super::*;

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed ^ (*seed >> 29)
}

#[test]
fn kernels_agree_with_the_plain_loops() {
    let mut seed = 1;
    let names: Vec<_> = Kernel::available().iter().map(|k| k.name).collect();
    println!("kernels of this machine: {names:?}");
    for kernel in Kernel::available() {
        let multiply = |left: &Rows<'_>, rows, w: &Columns<'_>, out: &Target<'_>| {
            multiply_with(&kernel, left, rows, w, out);
        };
        agrees(kernel.name, kernel.bits, &multiply, &mut seed);
    }
    #[cfg(target_arch = "x86_64")]
    for limbs in (1..=8).filter(|_| amx::available()) {
        let multiply = |left: &Rows<'_>, rows, w: &Columns<'_>, out: &Target<'_>| {
            amx::multiply(left, rows, w, limbs, out);
        };
        agrees("amx", 8 * limbs as u32, &multiply, &mut seed);
    }
}

type Multiply<'a> = &'a dyn Fn(&Rows<'_>, usize, &Columns<'_>, &Target<'_>);

fn agrees(name: &str, bits: u32, multiply: Multiply<'_>, seed: &mut u64) {
    let mut shapes = vec![[1, 1, 1], [6, 128, 32], [7, 129, 33], [97, 260, 70], [200, 3, 40], [13, 140, 257]];
    for rows in 1..=13 {
        for columns in [1, 7, 8, 9, 16, 23, 31, 32, 33, 64, 65] {
            shapes.push([rows, 1 + (random(seed) % 20) as usize, columns]);
        }
    }
    let mask = u64::MAX >> (64 - bits);
    for [rows, inner, columns] in shapes {
        // The operands lie in wider matrices, and among the largest words.
        let (x_stride, w_stride) = (inner + 3, columns + 5);
        let mut words = |n: usize| -> Vec<u64> {
            let word = |i| if i % 5 == 0 { u64::MAX } else { random(seed) };
            (0..n).map(word).collect()
        };
        let (x, w) = (words(rows * x_stride), words(inner * w_stride));
        let before = words(rows * w_stride);
        let mut is = before.clone();
        let left = Rows::Matrix { x: &x, stride: x_stride };
        let right = Columns { w: &w, stride: w_stride, inner, columns };
        multiply(&left, rows, &right, &Target::new(&mut is, w_stride, columns));
        let mut must = before;
        for r in 0..rows {
            for k in 0..inner {
                for c in 0..columns {
                    let product = x[r * x_stride + k].wrapping_mul(w[k * w_stride + c]);
                    let sum = &mut must[r * w_stride + c];
                    *sum = sum.wrapping_add(product);
                }
            }
        }
        let masked = |v: &[u64]| v.iter().map(|v| v & mask).collect::<Vec<_>>();
        assert!(masked(&is) == masked(&must), "{name} of {bits} bits: {rows} x {inner} x {columns}");
    }
}
