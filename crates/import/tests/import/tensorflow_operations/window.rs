//! Convolutions and pools.

use super::{array, dims, run, test_input};
use crate::graph_def::{ints, numbers, text};

/// Naive convolution of one picture with as many zeros before each axis as TensorFlow adds.
#[test]
fn convolutions_and_pools() {
    // Height, kernel, stride, padding → rows and zeros before, by TensorFlow's rule for SAME and
    // VALID.
    let table = [
        (5, 2, 1, "SAME", 5, 0),
        (5, 2, 1, "VALID", 4, 0),
        (5, 3, 2, "SAME", 3, 1),
        (6, 3, 2, "SAME", 3, 0),
        (5, 2, 2, "VALID", 2, 0),
        (5, 3, 2, "EXPLICIT", 3, 2),
    ];
    for (n, k, s, padding, rows, before) in table {
        for (channels, multiplier, depth_wise) in [(1, 2, false), (3, 4, false), (1, 3, true), (3, 2, true)] {
            for first in [false, true] {
                let x = test_input(&[1, n, n, channels]);
                let filter_shape = [k, k, channels, multiplier];
                let w = numbers(filter_shape.iter().product());
                let format = |v: i64| if first { ints(&[1, 1, v, v]) } else { ints(&[1, v, v, 1]) };
                let explicit =
                    if first { ints(&[0, 0, 0, 0, 2, 1, 2, 1]) } else { ints(&[0, 0, 2, 1, 2, 1, 0, 0]) };
                let attrs = [
                    ("strides", format(s)),
                    ("dilations", format(1)),
                    ("padding", text(padding)),
                    ("explicit_paddings", explicit),
                    ("data_format", text(if first { "NCHW" } else { "NHWC" })),
                ];
                let op = if depth_wise { "DepthwiseConv2dNative" } else { "Conv2D" };
                let chw: Vec<f32> =
                    (0..channels * n * n).map(|i| x.data[i % (n * n) * channels + i / (n * n)]).collect();
                let input = if first { array(&[1, channels, n, n], &chw) } else { x.clone() };
                let got = run(
                    |b| {
                        b.input("a", &dims(&input.shape)).floats("w", &dims(&filter_shape), &w);
                        b.node("y", op, &["a", "w"], &attrs);
                    },
                    std::slice::from_ref(&input),
                );
                let out = if depth_wise { channels * multiplier } else { multiplier };
                let shape = if first { vec![1, out, rows, rows] } else { vec![1, rows, rows, out] };
                assert_eq!(got.shape, shape, "{op} {padding} {n} {k} {s}");
                for (oy, ox, o) in (0..rows * rows * out).map(|i| (i / out / rows, i / out % rows, i % out)) {
                    let mut sum = 0.0;
                    for (ky, kx, c) in
                        (0..k * k * channels).map(|i| (i / channels / k, i / channels % k, i % channels))
                    {
                        let (Some(y), Some(x0)) = (
                            (oy * s as usize + ky).checked_sub(before),
                            (ox * s as usize + kx).checked_sub(before),
                        ) else {
                            continue;
                        };
                        if y >= n || x0 >= n || (depth_wise && o / multiplier != c) {
                            continue;
                        }
                        let m = if depth_wise { o % multiplier } else { o };
                        sum += x.data[(y * n + x0) * channels + c]
                            * w[((ky * k + kx) * channels + c) * multiplier + m];
                    }
                    let place = if first { (o * rows + oy) * rows + ox } else { (oy * rows + ox) * out + o };
                    assert!((got.data[place] - sum).abs() < 1e-4, "{op} {padding} at {oy}, {ox}, {o}");
                }
            }
        }
        if padding == "EXPLICIT" {
            continue;
        }
        let x = test_input(&[1, n, n, 1]);
        for op in ["MaxPool", "AvgPool"] {
            let attrs = [
                ("ksize", ints(&[1, k as i64, k as i64, 1])),
                ("strides", ints(&[1, s, s, 1])),
                ("padding", text(padding)),
            ];
            let got = run(
                |b| {
                    b.input("a", &dims(&x.shape)).node("y", op, &["a"], &attrs);
                },
                std::slice::from_ref(&x),
            );
            assert_eq!(got.shape, [1, rows, rows, 1]);
            for (i, got) in got.data.iter().enumerate() {
                let along = |o: usize| {
                    (0..k)
                        .filter_map(move |t| (o * s as usize + t).checked_sub(before))
                        .filter(move |&p| p < n)
                };
                let seen: Vec<f32> = along(i / rows)
                    .flat_map(|y| along(i % rows).map(move |x0| (y, x0)))
                    .map(|(y, x0)| x.data[y * n + x0])
                    .collect();
                let want = if op == "MaxPool" {
                    seen.iter().copied().fold(f32::MIN, f32::max)
                } else {
                    seen.iter().sum::<f32>() / seen.len() as f32
                };
                assert!((got - want).abs() < 1e-6, "{op} {padding} of {n}: {got}, {want}");
            }
        }
    }
}
