//! Every kernel of this machine against the plain loops.

use cryptflow_ring::bilinear::kernels;

use super::random::Random;

#[test]
fn kernels_agree_with_the_plain_loops() {
    println!("kernels of this machine: {:?}", kernels::available(1));
    let mut random = Random(1);
    // Whole bytes, of which AMX takes one after another, and the most that doubles hold.
    for bits in [8, 16, 24, 32, 40, 48, 52, 56, 64] {
        for kernel in kernels::available(bits) {
            agrees(kernel, bits, &mut random);
        }
    }
}

fn agrees(kernel: &str, bits: u32, random: &mut Random) {
    let mut shapes = vec![[1, 1, 1], [6, 128, 32], [7, 129, 33], [97, 260, 70], [200, 3, 40], [13, 140, 257]];
    for rows in 1..=13 {
        for columns in [1, 7, 8, 9, 16, 23, 31, 32, 33, 64, 65] {
            shapes.push([rows, random.within(1, 20), columns]);
        }
    }
    let mask = u64::MAX >> (64 - bits);
    for [rows, inner, columns] in shapes {
        // The operands lie in wider matrices, and among the largest words.
        let (x_stride, w_stride) = (inner + 3, columns + 5);
        let mut words = |n: usize| -> Vec<u64> {
            let word = |i| if i % 5 == 0 { u64::MAX } else { random.word() };
            (0..n).map(word).collect()
        };
        let (x, w) = (words(rows * x_stride), words(inner * w_stride));
        let before = words(rows * w_stride);
        let mut is = before.clone();
        kernels::product(kernel, [&x, &w], [rows, inner, columns], [x_stride, w_stride], bits, &mut is);
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
        assert!(masked(&is) == masked(&must), "{kernel} of {bits} bits: {rows} x {inner} x {columns}");
    }
}
