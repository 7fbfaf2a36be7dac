//! TensorFlow's operations, imported and run: a table of small graphs with what TensorFlow's
//! documentation says that they compute. Among them are the unit cases of the first CrypTFlow
//! system that fall to inference, those that it skipped too.

use super::graph_def::{Builder, ints, numbers, outputs, text};
use cryptflow_graph::{Array, float};
use cryptflow_import::tensorflow::import;
use cryptflow_import::tensorflow::messages::{Attr, DataType};

/// Runs the graph of one operation `y` on inputs `a` and `b` (if it has them).
fn run(build: impl FnOnce(&mut Builder), inputs: &[Array]) -> Array {
    let mut b = Builder::default();
    build(&mut b);
    let graph = import(&b.bytes(), &outputs(&["y"])).unwrap_or_else(|e| panic!("{e}"));
    float::run(&graph, inputs, &mut |_, _| ()).unwrap().remove(0)
}

fn array(shape: &[usize], data: &[f32]) -> Array {
    Array::new(shape.to_vec(), data.to_vec()).unwrap()
}

fn test_input(shape: &[usize]) -> Array {
    array(shape, &numbers(shape.iter().product()))
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

/// An operation on one input and constants of integers: its attributes, the integers (a shape and
/// values each), the shape of the input, the shape of the result, and which element of the input
/// each element of the result is (none: 0).
type Moved<'a> = (
    &'a str,
    Vec<(&'a str, Attr)>,
    &'a [(&'a [i64], &'a [i32])],
    &'a [usize],
    &'a [usize],
    Vec<Option<usize>>,
);

fn same(n: usize) -> Vec<Option<usize>> {
    (0..n).map(Some).collect()
}

/// For each index of a shape, where it comes from.
fn from(shape: &[usize], f: impl Fn(&[usize]) -> Option<usize>) -> Vec<Option<usize>> {
    (0..shape.iter().product())
        .map(|mut i| {
            let mut index = vec![0; shape.len()];
            for (j, &n) in index.iter_mut().zip(shape).rev() {
                (*j, i) = (i % n, i / n);
            }
            f(&index)
        })
        .collect()
}

#[test]
fn movements() {
    const S: &[i64] = &[];
    const V1: &[i64] = &[1];
    const V2: &[i64] = &[2];
    const V3: &[i64] = &[3];
    let i = |v: i64| Attr::I(v);
    let table: Vec<Moved<'_>> = vec![
        ("Reshape", vec![], &[(V1, &[6])], &[2, 3], &[6], same(6)),
        ("Reshape", vec![], &[(V2, &[2, 3])], &[6], &[2, 3], same(6)),
        ("Reshape", vec![], &[(V2, &[3, 2])], &[2, 3], &[3, 2], same(6)),
        ("Reshape", vec![], &[(V1, &[-1])], &[2, 3], &[6], same(6)),
        ("Reshape", vec![], &[(&[0], &[])], &[1], &[], same(1)),
        ("Reshape", vec![], &[(V2, &[2, -1])], &[3, 2, 3], &[2, 9], same(18)),
        ("Reshape", vec![], &[(V2, &[-1, 9])], &[3, 2, 3], &[2, 9], same(18)),
        ("Transpose", vec![], &[(V2, &[1, 0])], &[2, 3], &[3, 2], from(&[3, 2], |i| Some(i[1] * 3 + i[0]))),
        (
            "Transpose",
            vec![],
            &[(V3, &[0, 2, 1])],
            &[2, 4, 3],
            &[2, 3, 4],
            from(&[2, 3, 4], |i| Some((i[0] * 4 + i[2]) * 3 + i[1])),
        ),
        ("Squeeze", vec![], &[], &[1, 2, 1, 3, 1, 1], &[2, 3], same(6)),
        ("Squeeze", vec![("squeeze_dims", ints(&[2, -2]))], &[], &[1, 2, 1, 3, 1, 1], &[1, 2, 3, 1], same(6)),
        ("ExpandDims", vec![], &[(S, &[1])], &[3, 2, 3], &[3, 1, 2, 3], same(18)),
        ("ExpandDims", vec![], &[(S, &[-1])], &[2, 5], &[2, 5, 1], same(10)),
        (
            "Slice",
            vec![],
            &[(V3, &[1, 0, 0]), (V3, &[1, 1, 3])],
            &[3, 2, 3],
            &[1, 1, 3],
            from(&[3], |i| Some(6 + i[0])),
        ),
        (
            "Slice",
            vec![],
            &[(V3, &[1, 0, 0]), (V3, &[-1, 1, -1])],
            &[3, 2, 3],
            &[2, 1, 3],
            from(&[2, 3], |i| Some(6 + i[0] * 6 + i[1])),
        ),
        // x[1:, ::-1]
        (
            "StridedSlice",
            vec![("end_mask", i(3)), ("begin_mask", i(2))],
            &[(V2, &[1, 0]), (V2, &[0, 0]), (V2, &[1, -1])],
            &[3, 2],
            &[2, 2],
            from(&[2, 2], |i| Some((1 + i[0]) * 2 + 1 - i[1])),
        ),
        // x[1]
        (
            "StridedSlice",
            vec![("shrink_axis_mask", i(1))],
            &[(V1, &[1]), (V1, &[2]), (V1, &[1])],
            &[3, 2],
            &[2],
            from(&[2], |i| Some(2 + i[0])),
        ),
        // x[..., -1, newaxis]
        (
            "StridedSlice",
            vec![("ellipsis_mask", i(1)), ("shrink_axis_mask", i(2)), ("new_axis_mask", i(4))],
            &[(V3, &[0, -1, 0]), (V3, &[0, 0, 0]), (V3, &[1, 1, 1])],
            &[3, 2, 4],
            &[3, 2, 1],
            from(&[6], |i| Some(i[0] * 4 + 3)),
        ),
        // x[:, ::2] of a picture, as in a shortcut with a stride
        (
            "StridedSlice",
            vec![("begin_mask", i(7)), ("end_mask", i(7))],
            &[(V3, &[0, 0, 0]), (V3, &[0, 0, 0]), (V3, &[1, 2, 2])],
            &[1, 4, 5, 2],
            &[1, 2, 3, 2],
            from(&[2, 3, 2], |i| Some((i[0] * 2 * 5 + i[1] * 2) * 2 + i[2])),
        ),
        // x[5:1:-2] of four elements
        ("StridedSlice", vec![], &[(V1, &[5]), (V1, &[0]), (V1, &[-2])], &[4], &[2], vec![Some(3), Some(1)]),
        // x[2:2]
        ("StridedSlice", vec![], &[(V1, &[2]), (V1, &[2]), (V1, &[1])], &[4], &[0], vec![]),
        (
            "Pad",
            vec![],
            &[(&[4, 2], &[1, 1, 1, 2, 1, 1, 1, 3])],
            &[1, 2, 2, 1],
            &[3, 5, 4, 5],
            from(&[3, 5, 4, 5], |i| {
                let inside = i[0] == 1 && (1..3).contains(&i[1]) && (1..3).contains(&i[2]) && i[3] == 1;
                inside.then(|| (i[1] - 1) * 2 + i[2] - 1)
            }),
        ),
        (
            "MirrorPad",
            vec![("mode", text("REFLECT"))],
            &[(&[2, 2], &[1, 1, 2, 2])],
            &[2, 3],
            &[4, 7],
            from(&[4, 7], |i| Some([1, 0, 1, 0][i[0]] * 3 + [2, 1, 0, 1, 2, 1, 0][i[1]])),
        ),
        (
            "MirrorPad",
            vec![("mode", text("SYMMETRIC"))],
            &[(&[2, 2], &[1, 1, 2, 2])],
            &[2, 3],
            &[4, 7],
            from(&[4, 7], |i| Some([0, 0, 1, 1][i[0]] * 3 + [1, 0, 0, 1, 2, 2, 1][i[1]])),
        ),
        (
            "Tile",
            vec![],
            &[(V2, &[2, 3])],
            &[2, 3],
            &[4, 9],
            from(&[4, 9], |i| Some(i[0] % 2 * 3 + i[1] % 3)),
        ),
        ("BroadcastTo", vec![], &[(V3, &[2, 4, 3])], &[4, 1], &[2, 4, 3], from(&[2, 4, 3], |i| Some(i[1]))),
        ("ReverseV2", vec![], &[(V1, &[1])], &[2, 3], &[2, 3], from(&[2, 3], |i| Some(i[0] * 3 + 2 - i[1]))),
        (
            "DepthToSpace",
            vec![("block_size", i(2))],
            &[],
            &[1, 2, 3, 8],
            &[1, 4, 6, 2],
            from(&[4, 6, 2], |i| Some((i[0] / 2 * 3 + i[1] / 2) * 8 + (i[0] % 2 * 2 + i[1] % 2) * 2 + i[2])),
        ),
        (
            "SpaceToDepth",
            vec![("block_size", i(2))],
            &[],
            &[1, 4, 6, 2],
            &[1, 2, 3, 8],
            from(&[2, 3, 8], |i| {
                let (block, c) = (i[2] / 2, i[2] % 2);
                Some(((i[0] * 2 + block / 2) * 6 + i[1] * 2 + block % 2) * 2 + c)
            }),
        ),
        (
            "SpaceToBatchND",
            vec![],
            &[(V2, &[2, 2]), (&[2, 2], &[1, 0, 0, 1])],
            &[1, 3, 3, 1],
            &[4, 2, 2, 1],
            from(&[2, 2, 2, 2], |i| {
                let (y, x) = (i[2] * 2 + i[0], i[3] * 2 + i[1]);
                (y >= 1 && x < 3).then(|| (y - 1) * 3 + x)
            }),
        ),
        (
            "BatchToSpaceND",
            vec![],
            &[(V2, &[2, 2]), (&[2, 2], &[1, 0, 0, 1])],
            &[4, 2, 2, 1],
            &[1, 3, 3, 1],
            from(&[3, 3], |i| {
                let (y, x) = (i[0] + 1, i[1]);
                Some((y % 2 * 2 + x % 2) * 4 + y / 2 * 2 + x / 2)
            }),
        ),
        (
            "ResizeNearestNeighbor",
            vec![],
            &[(V2, &[4, 9])],
            &[1, 2, 3, 2],
            &[1, 4, 9, 2],
            from(&[4, 9, 2], |i| Some((i[0] / 2 * 3 + i[1] / 3) * 2 + i[2])),
        ),
        ("Identity", vec![], &[], &[2, 2], &[2, 2], same(4)),
        ("StopGradient", vec![], &[], &[], &[], same(1)),
        ("CheckNumerics", vec![], &[], &[2], &[2], same(2)),
        ("EnsureShape", vec![], &[], &[2], &[2], same(2)),
    ];
    for (op, attrs, constants, input, shape, places) in table {
        let x = test_input(input);
        let got = run(
            |b| {
                b.input("a", &dims(input));
                let mut names = vec!["a".to_owned()];
                for (i, (shape, values)) in constants.iter().enumerate() {
                    names.push(format!("c{i}"));
                    b.integers(&names[i + 1], shape, values);
                }
                b.node("y", op, &names.iter().map(String::as_str).collect::<Vec<_>>(), &attrs);
            },
            std::slice::from_ref(&x),
        );
        let want: Vec<f32> = places.iter().map(|p| p.map_or(0.0, |p| x.data[p])).collect();
        assert_eq!((&got.shape[..], got.data.as_slice()), (shape, want.as_slice()), "{op} of {input:?}");
    }
}

/// A function of the elements of two inputs.
type Two = fn(f32, f32) -> f32;

#[test]
fn arithmetic() {
    let two = |op: &str, sa: &[usize], sb: &[usize], constant: bool| {
        let (a, b) = (test_input(sa), array(sb, &vec![5.0; sb.iter().product()]));
        let inputs = if constant { vec![a.clone()] } else { vec![a.clone(), b.clone()] };
        run(
            |g| {
                g.input("a", &dims(sa));
                if constant {
                    g.floats("b", &dims(sb), &b.data)
                } else {
                    g.input("b", &dims(sb))
                };
                g.node("y", op, &["a", "b"], &[]);
            },
            &inputs,
        )
    };
    let table: [(&str, bool, Two); 12] = [
        ("Add", false, |a, b| a + b),
        ("AddV2", false, |a, b| a + b),
        ("AddV2", true, |a, b| a + b),
        ("AddN", false, |a, b| a + b),
        ("Sub", false, |a, b| a - b),
        ("Mul", true, |a, b| a * b),
        ("Div", true, |a, b| a / b),
        ("RealDiv", true, |a, b| a / b),
        ("Maximum", false, f32::max),
        ("Maximum", true, f32::max),
        ("Minimum", false, f32::min),
        ("Minimum", true, f32::min),
    ];
    for (op, constant, f) in table {
        for (sa, sb) in
            [(&[4, 4][..], &[4, 4][..]), (&[2, 2], &[1]), (&[2, 2], &[]), (&[3, 1, 2, 1], &[2, 1, 1])]
        {
            if op == "AddN" && sa != sb {
                continue;
            }
            let want: Vec<f32> = numbers(sa.iter().product()).into_iter().map(|a| f(a, 5.0)).collect();
            let got = two(op, sa, sb, constant);
            if sb.len() <= 1 || sa == sb {
                assert_eq!(got.data.as_slice(), want, "{op}");
            } else {
                assert_eq!(got.shape, [3, 2, 2, 1], "{op}");
            }
        }
    }
}

#[test]
fn functions_of_one_operand() {
    let table: [(&str, &[(&str, Attr)], fn(f32) -> f32); 8] = [
        ("Relu", &[], |v| v.max(0.0)),
        ("Relu6", &[], |v| v.clamp(0.0, 6.0)),
        ("LeakyRelu", &[], |v| if v > 0.0 { v } else { 0.2 * v }),
        ("LeakyRelu", &[("alpha", Attr::F(0.5))], |v| if v > 0.0 { v } else { 0.5 * v }),
        ("Neg", &[], |v| -v),
        ("Abs", &[], f32::abs),
        ("ZerosLike", &[], |_| 0.0),
        ("OnesLike", &[], |_| 1.0),
    ];
    for (op, attrs, f) in table {
        for shape in [&[4, 4][..], &[1], &[]] {
            let x = test_input(shape);
            let got = run(
                |b| {
                    b.input("a", &dims(shape)).node("f", op, &["a"], attrs).node(
                        "y",
                        "AddV2",
                        &["f", "z"],
                        &[],
                    );
                    // Zeros that depend on the input, so that constants are outputs too.
                    b.floats("zero", &[], &[0.0]).node("z", "Mul", &["a", "zero"], &[]);
                },
                std::slice::from_ref(&x),
            );
            for (got, x) in got.data.iter().zip(x.data.iter()) {
                assert!((got - f(*x)).abs() < 1e-6, "{op} of {x} is {got}");
            }
        }
    }
}

#[test]
fn reductions() {
    type Axes<'a> = (&'a [i64], &'a [i32]);
    let table: [(&[usize], Axes<'_>, bool, &[usize]); 7] = [
        (&[3, 2], (&[2], &[0, 1]), false, &[]),
        (&[3, 2], (&[], &[0]), false, &[2]),
        (&[3, 2], (&[], &[1]), false, &[3]),
        (&[3, 2, 4], (&[], &[-2]), false, &[3, 4]),
        (&[3, 2, 4], (&[2], &[2, 1]), false, &[3]),
        (&[3, 2], (&[1], &[0]), true, &[1, 2]),
        (&[3, 2], (&[0], &[]), false, &[3, 2]),
    ];
    for op in ["Mean", "Sum"] {
        for (input, (shape, axes), keep, result) in table {
            let x = test_input(input);
            let got = run(
                |b| {
                    b.input("a", &dims(input)).integers("axes", shape, axes);
                    b.node("y", op, &["a", "axes"], &[("keep_dims", Attr::B(keep))]);
                },
                std::slice::from_ref(&x),
            );
            assert_eq!(got.shape, result, "{op} of {input:?} over {axes:?}");
            let (sum, want): (f32, f32) = (got.data.iter().sum(), x.data.iter().sum());
            let n = if op == "Mean" { x.data.len() / got.data.len() } else { 1 } as f32;
            assert!((sum * n - want).abs() < 1e-4, "{op} of {input:?} over {axes:?}: {sum}, {want}");
        }
    }
    let picture = test_input(&[1, 3, 4, 2]);
    let got = run(
        |b| {
            b.input("a", &[1, 3, 4, 2]).integers("axes", &[2], &[1, 2]).node("y", "Max", &["a", "axes"], &[]);
        },
        std::slice::from_ref(&picture),
    );
    let largest = |c: usize| picture.data.iter().skip(c).step_by(2).copied().fold(f32::MIN, f32::max);
    assert_eq!((got.shape.as_slice(), got.data.as_slice()), (&[1, 2][..], &[largest(0), largest(1)][..]));
    let rows = array(&[2, 3], &[1.0, 3.0, 2.0, 5.0, 4.0, 0.0]);
    let got = run(
        |b| {
            b.input("a", &[2, 3]).integers("axis", &[], &[-1]).node("y", "ArgMax", &["a", "axis"], &[]);
        },
        &[rows],
    );
    assert_eq!(got.data.as_slice(), [1.0, 0.0]);
}

#[test]
fn matrices() {
    let (a, b) = (test_input(&[3, 2]), test_input(&[2, 3]));
    let product = |i: usize, j: usize| (0..2).map(|k| a.data[i * 2 + k] * b.data[k * 3 + j]).sum::<f32>();
    let want: Vec<f32> = (0..9).map(|i| product(i / 3, i % 3)).collect();
    let transposed: Vec<f32> = (0..6).map(|i| b.data[i % 2 * 3 + i / 2]).collect();
    for transpose in [false, true] {
        let got = run(
            |g| {
                g.input("a", &[3, 2]);
                if transpose {
                    g.floats("w", &[3, 2], &transposed)
                } else {
                    g.floats("w", &[2, 3], &b.data)
                };
                g.node("y", "MatMul", &["a", "w"], &[("transpose_b", Attr::B(transpose))]);
            },
            std::slice::from_ref(&a),
        );
        assert_eq!(got.data.as_slice(), want);
    }
    // A stack of matrices by one.
    let stack = array(&[1, 3, 2], &a.data);
    let got = run(
        |g| {
            g.input("a", &[1, 3, 2]).floats("w", &[2, 3], &b.data).node(
                "y",
                "BatchMatMulV2",
                &["a", "w"],
                &[],
            );
        },
        &[stack],
    );
    assert_eq!((got.shape.as_slice(), got.data.as_slice()), (&[1, 3, 3][..], &want[..]));
}

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

#[test]
fn biases_and_normalisation() {
    let x = test_input(&[4, 1, 4]);
    let bias = [1.0, 2.0, 3.0, 4.0];
    let table: [(&[usize], &str, fn(usize) -> usize); 3] = [
        (&[4, 1, 4], "NHWC", |i| i % 4),
        (&[4, 4, 1], "NCHW", |i| i % 4),
        (&[2, 4, 2], "NCHW", |i| i / 2 % 4),
    ];
    for (shape, format, channel) in table {
        let x = array(shape, &x.data);
        let got = run(
            |b| {
                b.input("a", &dims(shape)).floats("b", &[4], &bias);
                b.node("y", "BiasAdd", &["a", "b"], &[("data_format", text(format))]);
            },
            std::slice::from_ref(&x),
        );
        let want: Vec<f32> = x.data.iter().enumerate().map(|(i, v)| v + bias[channel(i)]).collect();
        assert_eq!(got.data.as_slice(), want, "{format} {shape:?}");
    }
    for (op, format) in
        [("FusedBatchNorm", "NHWC"), ("FusedBatchNormV3", "NHWC"), ("FusedBatchNormV3", "NCHW")]
    {
        let first = format == "NCHW";
        let shape = if first { [1, 2, 2, 3] } else { [1, 2, 3, 2] };
        let x = test_input(&shape);
        let got = run(
            |b| {
                b.input("a", &dims(&shape)).floats("g", &[2], &[1.5, -2.0]).floats("b", &[2], &[0.5, 0.25]);
                b.floats("m", &[2], &[0.1, -0.3]).floats("v", &[2], &[0.5, 2.0]);
                let attrs = [
                    ("is_training", Attr::B(false)),
                    ("epsilon", Attr::F(0.01)),
                    ("data_format", text(format)),
                ];
                b.node("n", op, &["a", "g", "b", "m", "v"], &attrs).node("y", "Relu", &["n:0"], &[]);
            },
            std::slice::from_ref(&x),
        );
        for (i, (got, x)) in got.data.iter().zip(x.data.iter()).enumerate() {
            let c = if first { i / 6 } else { i % 2 };
            let (g, b, m, v) = ([1.5, -2.0][c], [0.5, 0.25][c], [0.1, -0.3][c], [0.5f32, 2.0][c]);
            let want = (g * (x - m) / (v + 0.01).sqrt() + b).max(0.0);
            assert!((got - want).abs() < 1e-5, "{op} {format}: {got}, {want}");
        }
    }
}

/// Shapes that a graph computes: `reshape(x, [shape(x)[0], -1])`, as Keras' Flatten does.
#[test]
fn shapes_computed_in_the_graph() {
    let x = test_input(&[2, 3, 4]);
    let got = run(
        |b| {
            b.input("a", &[-1, 3, 4]).node("shape", "Shape", &["a"], &[]);
            b.integers("zero", &[1], &[0]).integers("one", &[1], &[1]).integers("minus", &[], &[-1]);
            let shrink = [("shrink_axis_mask", Attr::I(1))];
            b.node("n", "StridedSlice", &["shape", "zero", "one", "one"], &shrink);
            b.node("size", "Size", &["a"], &[]).node("rest", "FloorDiv", &["size", "n"], &[]);
            b.node("halves", "Split", &["axis", "shape"], &[("num_split", Attr::I(3))]).integers(
                "axis",
                &[],
                &[0],
            );
            b.node("last", "Squeeze", &["halves:2"], &[]).node("twice", "AddV2", &["last", "last"], &[]);
            b.node("third", "FloorDiv", &["rest", "twice"], &[]).node(
                "less",
                "Sub",
                &["third", "third"],
                &[],
            );
            b.node("sum", "AddV2", &["rest", "less"], &[]);
            b.node("target", "Pack", &["n", "sum"], &[("axis", Attr::I(0))]);
            b.node("y", "Reshape", &["a", "target"], &[]);
        },
        &[array(&[1, 3, 4], &x.data[..12])],
    );
    assert_eq!(got.shape, [1, 12]);
}

/// A batch normalisation written out over constants, and constants converted, filled, counted and
/// gathered.
#[test]
fn constants_computed_in_the_graph() {
    let got = run(
        |b| {
            b.input("a", &[1, 2]).floats("v", &[2], &[4.0, 16.0]).node("r", "Rsqrt", &["v"], &[]);
            b.integers("two", &[], &[2]).integers("dims", &[1], &[2]);
            let types =
                [("SrcT", Attr::Type(DataType::Int32 as i32)), ("DstT", Attr::Type(DataType::Float as i32))];
            b.node("twof", "Cast", &["two"], &types).node("fill", "Fill", &["dims", "twof"], &[]);
            b.node("scale", "Mul", &["r", "fill"], &[]).node("x", "Mul", &["a", "scale"], &[]);
            b.integers("zero", &[], &[0]).integers("one", &[], &[1]).integers("picks", &[2], &[1, 0]);
            b.node("range", "Range", &["zero", "two", "one"], &[]);
            b.node("picked", "GatherV2", &["range", "picks", "zero"], &[]).node(
                "p",
                "Cast",
                &["picked"],
                &types,
            );
            b.node("y", "AddV2", &["x", "p"], &[]);
        },
        &[array(&[1, 2], &[3.0, 5.0])],
    );
    assert_eq!(got.data.as_slice(), [3.0 + 1.0, 5.0 / 2.0]);
}

#[test]
fn several_results_and_operands() {
    let x = test_input(&[2, 10]);
    let sum = |places: [usize; 2]| x.data[places[0]] + x.data[places[1]];
    let table: [(&str, &[&str], &[(&str, Attr)], usize, [usize; 2]); 3] = [
        ("Split", &["one", "a"], &[("num_split", Attr::I(5))], 4, [8, 19]),
        ("SplitV", &["a", "sizes", "one"], &[], 2, [3, 19]),
        ("Unpack", &["a"], &[("axis", Attr::I(1)), ("num", Attr::I(10))], 7, [7, 17]),
    ];
    for (op, inputs, attrs, port, ends) in table {
        let got = run(
            |b| {
                b.input("a", &[2, 10]).integers("one", &[], &[1]).integers("sizes", &[3], &[1, 2, -1]);
                b.node("parts", op, inputs, attrs).node("y", "Relu", &[&format!("parts:{port}")], &[]);
            },
            std::slice::from_ref(&x),
        );
        let (first, last) = (got.data[0], got.data[got.data.len() - 1]);
        assert_eq!([first, last], ends.map(|e| x.data[e].max(0.0)), "{op}, sum {}", sum(ends));
    }
    let (a, b) = (test_input(&[2, 3]), test_input(&[3, 3]));
    for (op, inputs) in [("ConcatV2", ["a", "b", "axis"]), ("Concat", ["axis", "a", "b"])] {
        let got = run(
            |g| {
                g.input("a", &[2, 3]).input("b", &[3, 3]).integers("axis", &[], &[0]).node(
                    "y",
                    op,
                    &inputs,
                    &[],
                );
            },
            &[a.clone(), b.clone()],
        );
        assert_eq!(got.shape, [5, 3]);
        assert_eq!(got.data[6..], b.data[..]);
    }
    let got = run(
        |g| {
            g.input("a", &[2, 3]).node("y", "Pack", &["a", "a"], &[("axis", Attr::I(1))]);
        },
        std::slice::from_ref(&a),
    );
    assert_eq!((got.shape.as_slice(), &got.data[3..6]), (&[2, 2, 3][..], &a.data[..3]));
    let got = run(
        |g| {
            g.input("a", &[2, 3]).integers("p", &[2, 2], &[1, 0, 0, 1]).floats("v", &[], &[1.2]);
            g.node("y", "PadV2", &["a", "p", "v"], &[]);
        },
        std::slice::from_ref(&a),
    );
    let v = 1.2;
    let want = [v, v, v, v, a.data[0], a.data[1], a.data[2], v, a.data[3], a.data[4], a.data[5], v];
    assert_eq!((got.shape.as_slice(), got.data.as_slice()), (&[3, 4][..], &want[..]));
}

/// Sums of products of any number of operands, and of diagonals.
#[test]
fn sums_of_products() {
    let (a, b) = (test_input(&[3, 3]), test_input(&[3, 3]));
    let at = |x: &Array, i: usize, j: usize| x.data[3 * i + j];
    let product = |x: &Array, y: &Array| -> Vec<f32> {
        let sum = |i: usize, j: usize| (0..3).map(|k| at(x, i, k) * at(y, k, j)).sum();
        (0..9).map(|n| sum(n / 3, n % 3)).collect()
    };
    let twice = product(&array(&[3, 3], &product(&a, &b)), &a);
    let table: [(&str, &[&str], Vec<f32>); 3] = [
        ("ij,jk,kl->il", &["a", "b", "a"], twice),
        ("ii->i", &["a"], (0..3).map(|i| at(&a, i, i)).collect()),
        ("ii,jj", &["a", "b"], vec![(0..9).map(|n| at(&a, n / 3, n / 3) * at(&b, n % 3, n % 3)).sum()]),
    ];
    for (equation, operands, want) in table {
        let build = |g: &mut Builder| {
            g.input("a", &[3, 3]).input("b", &[3, 3]);
            g.node("y", "Einsum", operands, &[("equation", text(equation))]);
        };
        let inputs = if operands.contains(&"b") { vec![a.clone(), b.clone()] } else { vec![a.clone()] };
        let found = run(build, &inputs);
        let far = found.data.iter().zip(&want).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(found.data.len() == want.len() && far < 1e-4, "{equation}: {:?}, not {want:?}", found.data);
    }
}

/// What has known operands is computed when importing; it is added to the input `a`.
#[test]
fn known_values() {
    type Make = fn(&mut Builder);
    let align = |b: &mut Builder| {
        // Two diagonals of 3 × 2.
        b.floats("d", &[2, 2], &[1.0, 2.0, 3.0, 4.0]).integers("k", &[2], &[-1, 0]);
        b.integers("rows", &[], &[3]).integers("columns", &[], &[2]).floats("beside", &[], &[9.0]);
        b.node("c", "MatrixDiagV3", &["d", "k", "rows", "columns", "beside"], &[]);
    };
    let table: [(&str, Make, &[i64], &[f32]); 12] = [
        (
            "band",
            |b| {
                b.floats("m", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
                b.integers("low", &[], &[-1]).integers("high", &[], &[0]);
                b.node("c", "MatrixBandPart", &["m", "low", "high"], &[]);
            },
            &[2, 3],
            &[1.0, 0.0, 0.0, 4.0, 5.0, 0.0],
        ),
        (
            "diagonal",
            |b| {
                b.floats("d", &[2], &[3.0, 4.0]).node("c", "MatrixDiag", &["d"], &[]);
            },
            &[2, 2],
            &[3.0, 0.0, 0.0, 4.0],
        ),
        ("diagonals", align, &[3, 2], &[1.0, 9.0, 3.0, 2.0, 9.0, 4.0]),
        (
            "diagonal above",
            |b| {
                b.floats("m", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).integers("k", &[], &[1]);
                b.floats("zero", &[], &[0.0]).node("c", "MatrixDiagPartV3", &["m", "k", "zero"], &[]);
            },
            &[2],
            &[2.0, 6.0],
        ),
        (
            "other diagonal",
            |b| {
                b.floats("m", &[2, 2], &[1.0, 2.0, 3.0, 4.0]).floats("d", &[2], &[8.0, 9.0]);
                b.integers("k", &[], &[0]).node("c", "MatrixSetDiagV3", &["m", "d", "k"], &[]);
            },
            &[2, 2],
            &[8.0, 2.0, 3.0, 9.0],
        ),
        (
            "equal distances",
            |b| {
                b.floats("from", &[], &[1.0]).floats("to", &[], &[2.0]).integers("n", &[], &[5]);
                b.node("c", "LinSpace", &["from", "to", "n"], &[]);
            },
            &[5],
            &[1.0, 1.25, 1.5, 1.75, 2.0],
        ),
        (
            "shapes",
            |b| {
                b.integers("s", &[2], &[1, 2]).integers("t", &[2], &[3, 1]).floats("one", &[], &[1.0]);
                b.node("both", "BroadcastArgs", &["s", "t"], &[]).node("c", "Fill", &["both", "one"], &[]);
            },
            &[3, 2],
            &[1.0; 6],
        ),
        (
            "products",
            |b| {
                b.floats("m", &[2, 2], &[2.0, 3.0, 5.0, 7.0]).integers("axis", &[], &[0]);
                b.node("c", "Cumprod", &["m", "axis"], &[]);
            },
            &[2, 2],
            &[2.0, 3.0, 10.0, 21.0],
        ),
        (
            "products before",
            |b| {
                b.floats("m", &[3], &[2.0, 3.0, 5.0]).integers("axis", &[], &[0]);
                let attrs = [("exclusive", Attr::B(true)), ("reverse", Attr::B(true))];
                b.node("c", "Cumprod", &["m", "axis"], &attrs);
            },
            &[3],
            &[15.0, 5.0, 1.0],
        ),
        (
            "inverse",
            |b| {
                b.floats("m", &[2, 2], &[0.0, 2.0, 4.0, 0.0]).node("c", "MatrixInverse", &["m"], &[]);
            },
            &[2, 2],
            &[0.0, 0.25, 0.5, 0.0],
        ),
        (
            "determinant",
            |b| {
                b.floats("m", &[2, 2], &[0.0, 2.0, 4.0, 0.0]).node("c", "MatrixDeterminant", &["m"], &[]);
            },
            &[],
            &[-8.0],
        ),
        (
            "finite",
            |b| {
                b.floats("m", &[3], &[1.0, f32::INFINITY, f32::NAN]).node("is", "IsFinite", &["m"], &[]);
                let attrs = [("SrcT", Attr::Type(DataType::Bool as i32)), ("DstT", Attr::Type(1))];
                b.node("c", "Cast", &["is"], &attrs);
            },
            &[3],
            &[1.0, 0.0, 0.0],
        ),
    ];
    for (what, make, shape, wanted) in table {
        let y = run(
            |b| {
                b.input("a", shape);
                make(b);
                b.node("y", "AddV2", &["a", "c"], &[]);
            },
            &[Array::filled(shape.iter().map(|&n| n as usize).collect(), 0.0).unwrap()],
        );
        assert_eq!(y.data.as_slice(), wanted, "{what}");
    }
}

/// A secret is finite; its diagonals and bands are movements.
#[test]
fn of_secrets() {
    let table: [(&str, &[f32]); 4] = [
        ("IsNan", &[0.0; 4]),
        ("IsInf", &[0.0; 4]),
        ("IsFinite", &[1.0, 2.0, 3.0, 4.0]),
        ("MatrixBandPart", &[1.0, 2.0, 0.0, 4.0]),
    ];
    for (op, wanted) in table {
        let y = run(
            |b| {
                b.input("a", &[2, 2]).integers("none", &[], &[0]).integers("all", &[], &[-1]);
                if op == "MatrixBandPart" {
                    b.node("y", op, &["a", "none", "all"], &[]);
                } else {
                    b.node("is", op, &["a"], &[]).floats("zero", &[], &[0.0]);
                    b.node("y", "SelectV2", &["is", "a", "zero"], &[]);
                }
            },
            &[array(&[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        );
        assert_eq!(y.data.as_slice(), wanted, "{op}");
    }
}
