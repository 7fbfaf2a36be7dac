//! Every operation's float evaluation against loops written out from its definition.

// Expected values are written with the digits that they have.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Linear, Op, Order, Pool, Pooling, Reduce, Reduction,
};
use cryptflow_ring::{Movement, Window};

fn numbers(shape: &[usize], seed: usize) -> Array {
    let n = shape.iter().product::<usize>();
    let data = (0..n).map(|i| ((i * 7 + seed * 13 + i * i % 5) % 23) as f32 / 8.0 - 1.25).collect();
    Array::new(shape.to_vec(), data).unwrap()
}

fn close(got: &Array, shape: &[usize], want: &[f32], what: &str) {
    assert_eq!(got.shape, shape, "{what}");
    for (i, (a, b)) in got.data.iter().zip(want).enumerate() {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()) || a == b, "{what}: element {i} is {a}, not {b}");
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], padding: [[usize; 2]; 2]) -> Window {
    Window { kernel, stride, dilation, padding }
}

/// The pixels under a window: for each tap, the row and column of the input, or nothing in the
/// padding.
fn taps(w: &Window, input: [usize; 2], oy: usize, ox: usize) -> Vec<Option<[usize; 2]>> {
    let mut taps = Vec::new();
    for ky in 0..w.kernel[0] {
        for kx in 0..w.kernel[1] {
            let y = (oy * w.stride[0] + ky * w.dilation[0]) as isize - w.padding[0][0] as isize;
            let x = (ox * w.stride[1] + kx * w.dilation[1]) as isize - w.padding[1][0] as isize;
            let inside = (0..input[0] as isize).contains(&y) && (0..input[1] as isize).contains(&x);
            taps.push(inside.then_some([y as usize, x as usize]));
        }
    }
    taps
}

fn windows() -> Vec<Window> {
    vec![
        window([1, 1], [1, 1], [1, 1], [[0, 0], [0, 0]]),
        window([3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]]),
        window([3, 2], [2, 1], [1, 1], [[0, 1], [1, 0]]),
        window([2, 3], [1, 2], [2, 2], [[2, 1], [0, 3]]),
        window([5, 6], [1, 1], [1, 1], [[0, 0], [0, 0]]),
        window([1, 1], [2, 2], [1, 1], [[0, 0], [0, 0]]),
    ]
}

#[test]
fn convolution() {
    for w in windows() {
        for (channels, groups, out) in [(1, 1, 2), (4, 1, 3), (4, 2, 6), (4, 4, 4), (3, 3, 6), (2, 1, 1)] {
            for bias in [false, true] {
                let x = numbers(&[2, 5, 6, channels], 1);
                let f = numbers(&[w.kernel[0], w.kernel[1], channels / groups, out], 2);
                let b = numbers(&[out], 3);
                let op = Op::Linear(Linear::Conv2d { window: w.clone(), groups });
                let got = if bias { op.evaluate(&[&x, &f, &b]) } else { op.evaluate(&[&x, &f]) }.unwrap();
                let [h, wide] = w.output([5, 6]).unwrap();
                let mut want = Vec::new();
                for n in 0..2 {
                    for oy in 0..h {
                        for ox in 0..wide {
                            for o in 0..out {
                                let group = o / (out / groups);
                                let mut sum = if bias { b.data[o] } else { 0.0 };
                                for (t, tap) in taps(&w, [5, 6], oy, ox).into_iter().enumerate() {
                                    let Some([y, x0]) = tap else { continue };
                                    for i in 0..channels / groups {
                                        let c = group * (channels / groups) + i;
                                        sum += x.data[((n * 5 + y) * 6 + x0) * channels + c]
                                            * f.data[(t * (channels / groups) + i) * out + o];
                                    }
                                }
                                want.push(sum);
                            }
                        }
                    }
                }
                close(&got, &[2, h, wide, out], &want, &format!("{w:?}, {channels}/{groups} to {out}"));
            }
        }
    }
}

#[test]
fn pooling() {
    for w in windows() {
        let x = numbers(&[2, 5, 6, 3], 4);
        let [h, wide] = w.output([5, 6]).unwrap();
        let mut want: [Vec<f32>; 4] = Default::default();
        for n in 0..2 {
            for oy in 0..h {
                for ox in 0..wide {
                    for c in 0..3 {
                        let all = taps(&w, [5, 6], oy, ox);
                        let seen: Vec<f32> = all
                            .iter()
                            .flatten()
                            .map(|[y, x0]| x.data[((n * 5 + y) * 6 + x0) * 3 + c])
                            .collect();
                        let sum: f32 = seen.iter().sum();
                        want[0].push(seen.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                        want[1].push(sum / seen.len() as f32);
                        want[2].push(sum / all.len() as f32);
                        want[3].push(sum);
                    }
                }
            }
        }
        let ops = [
            Op::Pool(Pool { kind: Pooling::Max, window: w.clone() }),
            Op::Pool(Pool { kind: Pooling::Average { count_padding: false }, window: w.clone() }),
            Op::Pool(Pool { kind: Pooling::Average { count_padding: true }, window: w.clone() }),
            Op::Pool(Pool { kind: Pooling::Sum, window: w.clone() }),
        ];
        for (op, want) in ops.iter().zip(&want) {
            // An average over padding alone is 0 / 0 in both.
            let want: Vec<f32> = want.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
            let mut got = op.evaluate(&[&x]).unwrap();
            got.data = got.data.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect::<Vec<_>>().into();
            close(&got, &[2, h, wide, 3], &want, &format!("{op:?}"));
        }
    }
}

#[test]
fn matrices() {
    let (m, k, n) = (3, 5, 4);
    for (transpose_a, transpose_b, bias) in
        [(false, false, false), (true, false, true), (false, true, true), (true, true, false)]
    {
        let a = numbers(&if transpose_a { [k, m] } else { [m, k] }, 1);
        let b = numbers(&if transpose_b { [n, k] } else { [k, n] }, 2);
        let c = numbers(&[n], 3);
        let op = Op::Linear(Linear::MatMul { transpose_a, transpose_b });
        let got = if bias { op.evaluate(&[&a, &b, &c]) } else { op.evaluate(&[&a, &b]) }.unwrap();
        let mut want = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let a = |l: usize| a.data[if transpose_a { l * m + i } else { i * k + l }];
                let b = |l: usize| b.data[if transpose_b { j * k + l } else { l * n + j }];
                want.push((0..k).map(|l| a(l) * b(l)).sum::<f32>() + if bias { c.data[j] } else { 0.0 });
            }
        }
        close(&got, &[m, n], &want, &format!("{op:?}"));
    }
}

#[test]
fn diagonal_layers() {
    let x = numbers(&[2, 3, 4], 1);
    let v: Vec<Array> = (2..6).map(|s| numbers(&[4], s)).collect();
    let variance = Array::vector(v[3].data.iter().map(|v| v.abs() + 0.1).collect());
    let got = Op::Linear(Linear::Scale).evaluate(&[&x, &v[0], &v[1]]).unwrap();
    let want: Vec<f32> = (0..24).map(|i| x.data[i] * v[0].data[i % 4] + v[1].data[i % 4]).collect();
    close(&got, &[2, 3, 4], &want, "scale");
    let got = Op::Linear(Linear::BatchNorm { epsilon: 0.01 })
        .evaluate(&[&x, &v[0], &v[1], &v[2], &variance])
        .unwrap();
    let normal = |i: usize| (x.data[i] - v[2].data[i % 4]) / (variance.data[i % 4] + 0.01).sqrt();
    let want: Vec<f32> = (0..24).map(|i| v[0].data[i % 4] * normal(i) + v[1].data[i % 4]).collect();
    close(&got, &[2, 3, 4], &want, "batch norm");
}

#[test]
fn arithmetic_broadcasts() {
    let table: [(&[usize], &[usize], &[usize]); 8] = [
        (&[4, 4], &[4, 4], &[4, 4]),
        (&[2, 2], &[1], &[2, 2]),
        (&[3, 1, 2, 1], &[2, 1, 4], &[3, 2, 2, 4]),
        (&[2, 2], &[], &[2, 2]),
        (&[], &[], &[]),
        (&[], &[3], &[3]),
        (&[0, 3], &[3], &[0, 3]),
        (&[2, 1], &[1, 3], &[2, 3]),
    ];
    for (sa, sb, shape) in table {
        let (a, b) = (numbers(sa, 1), numbers(sb, 2));
        let b = Array::new(b.shape.clone(), b.data.iter().map(|v| v + 5.0).collect()).unwrap();
        let at = |x: &Array, index: &[usize]| {
            let skip = index.len() - x.shape.len();
            let place =
                x.shape.iter().zip(&index[skip..]).fold(0, |p, (&n, &i)| p * n + if n == 1 { 0 } else { i });
            x.data[place]
        };
        let n: usize = shape.iter().product();
        for (op, f) in [
            (Op::Arithmetic(Arithmetic::Add), (|a, b| a + b) as fn(f32, f32) -> f32),
            (Op::Arithmetic(Arithmetic::Sub), |a, b| a - b),
            (Op::Arithmetic(Arithmetic::Mul), |a, b| a * b),
            (Op::Arithmetic(Arithmetic::Div), |a, b| a / b),
            (Op::Arithmetic(Arithmetic::Maximum), f32::max),
            (Op::Arithmetic(Arithmetic::Minimum), f32::min),
            (Op::Arithmetic(Arithmetic::Compare(Comparison::Less)), |a, b| (a < b).into()),
            (Op::Arithmetic(Arithmetic::Compare(Comparison::LessEqual)), |a, b| (a <= b).into()),
            (Op::Arithmetic(Arithmetic::Compare(Comparison::Greater)), |a, b| (a > b).into()),
            (Op::Arithmetic(Arithmetic::Compare(Comparison::GreaterEqual)), |a, b| (a >= b).into()),
            (Op::Arithmetic(Arithmetic::Compare(Comparison::Equal)), |a, b| (a == b).into()),
            (Op::Arithmetic(Arithmetic::Compare(Comparison::NotEqual)), |a, b| (a != b).into()),
        ] {
            let want: Vec<f32> = (0..n)
                .map(|mut i| {
                    let mut index = vec![0; shape.len()];
                    for (j, &n) in index.iter_mut().zip(shape).rev() {
                        (*j, i) = (i % n, i / n);
                    }
                    f(at(&a, &index), at(&b, &index))
                })
                .collect();
            close(&op.evaluate(&[&a, &b]).unwrap(), shape, &want, &format!("{op:?} {sa:?} {sb:?}"));
        }
    }
}

#[test]
fn reductions() {
    let table: [(&[usize], &[usize], bool, &[usize]); 8] = [
        (&[3, 2], &[0, 1], false, &[]),
        (&[3, 2], &[0], false, &[2]),
        (&[3, 2], &[1], false, &[3]),
        (&[3, 2, 4], &[1], false, &[3, 4]),
        (&[3, 2, 4], &[1, 2], false, &[3]),
        (&[3, 2, 4], &[0, 2], true, &[1, 2, 1]),
        (&[3, 2], &[0], true, &[1, 2]),
        (&[], &[], false, &[]),
    ];
    for (from, axes, keep_dims, shape) in table {
        let x = numbers(from, 3);
        let mut sums = vec![0.0f32; shape.iter().product()];
        for (i, v) in x.data.iter().enumerate() {
            let mut rest = i;
            let mut index = vec![0; from.len()];
            for (j, &n) in index.iter_mut().zip(from).rev() {
                (*j, rest) = (rest % n, rest / n);
            }
            let place = (0..from.len()).filter(|a| !axes.contains(a)).fold(0, |p, a| p * from[a] + index[a]);
            sums[place] += v;
        }
        let n = (x.data.len() / sums.len()) as f32;
        let axes = axes.to_vec();
        let got = Op::Reduce(Reduce { kind: Reduction::Sum, axes: axes.clone(), keep_dims })
            .evaluate(&[&x])
            .unwrap();
        close(&got, shape, &sums, &format!("sum of {from:?} over {axes:?}"));
        let means: Vec<f32> = sums.iter().map(|s| s / n).collect();
        close(
            &Op::Reduce(Reduce { kind: Reduction::Mean, axes: axes.clone(), keep_dims })
                .evaluate(&[&x])
                .unwrap(),
            shape,
            &means,
            "mean",
        );
        let (mut high, mut low) = (vec![f32::MIN; sums.len()], vec![f32::MAX; sums.len()]);
        for (i, &v) in x.data.iter().enumerate() {
            let mut rest = i;
            let mut place = (0, 1);
            for (axis, &n) in from.iter().enumerate().rev() {
                if !axes.contains(&axis) {
                    place = (place.0 + rest % n * place.1, place.1 * n);
                }
                rest /= n;
            }
            high[place.0] = high[place.0].max(v);
            low[place.0] = low[place.0].min(v);
        }
        let max = Op::Reduce(Reduce { kind: Reduction::Max, axes: axes.clone(), keep_dims });
        close(&max.evaluate(&[&x]).unwrap(), shape, &high, "max");
        close(
            &Op::Reduce(Reduce { kind: Reduction::Min, axes, keep_dims }).evaluate(&[&x]).unwrap(),
            shape,
            &low,
            "min",
        );
    }
}

#[test]
fn batches_of_matrices() {
    let (m, k, n) = (2, 3, 4);
    for (ta, tb, shared) in
        [(false, false, false), (true, true, false), (false, true, true), (true, false, true)]
    {
        let a = numbers(&if ta { [2, 5, k, m] } else { [2, 5, m, k] }, 1);
        let matrix = if tb { [n, k] } else { [k, n] };
        let b = numbers(&if shared { matrix.to_vec() } else { [[2, 5], matrix].concat() }, 2);
        let op = Op::Linear(Linear::MatMul { transpose_a: ta, transpose_b: tb });
        let got = op.evaluate(&[&a, &b]).unwrap();
        let part = |x: &Array, at: usize, shape: &[usize]| {
            let size: usize = shape.iter().product();
            Array::new(shape.to_vec(), x.data[at * size..][..size].to_vec()).unwrap()
        };
        let want: Vec<f32> = (0..10)
            .flat_map(|i| {
                let one = part(&a, i, &a.shape[2..]);
                let other = part(&b, if shared { 0 } else { i }, &matrix);
                op.evaluate(&[&one, &other]).unwrap().data.to_vec()
            })
            .collect();
        close(&got, &[2, 5, m, n], &want, &format!("{ta} {tb} {shared}"));
    }
}

#[test]
fn selection_broadcasts() {
    let condition = Array::new(vec![2, 1], vec![0.0, 1.0]).unwrap();
    let got = Op::Arithmetic(Arithmetic::Select).evaluate(&[
        &condition,
        &Array::vector(vec![1.0, 2.0]),
        &Array::scalar(7.0),
    ]);
    close(&got.unwrap(), &[2, 2], &[7.0, 7.0, 1.0, 2.0], "select");
}

#[test]
fn top_k_sorts_and_takes_the_first_of_several() {
    let x = Array::new(vec![2, 4], vec![1.0, 5.0, 5.0, 2.0, -2.0, -7.0, -2.0, 0.0]).unwrap();
    for (axis, k, largest, shape, values, places) in [
        (1, 2, true, [2, 2], [5.0, 5.0, 0.0, -2.0], [1.0, 2.0, 3.0, 0.0]),
        (1, 2, false, [2, 2], [1.0, 2.0, -7.0, -2.0], [0.0, 3.0, 1.0, 0.0]),
        (0, 1, true, [1, 4], [1.0, 5.0, 5.0, 2.0], [0.0; 4]),
    ] {
        for (indices, want) in [(false, values), (true, places)] {
            let got = Op::Order(Order::TopK { axis, k, largest, indices }).evaluate(&[&x]).unwrap();
            close(&got, &shape, &want, &format!("{k} along {axis}"));
        }
    }
}

#[test]
fn ids_have_rows_with_a_one_at_their_place() {
    let x = Array::new(vec![2, 2], vec![0.0, 2.0, 3.0, -1.0]).unwrap();
    let want = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    close(&Op::Order(Order::OneHot { classes: 3 }).evaluate(&[&x]).unwrap(), &[2, 2, 3], &want, "three ids");
}

/// Each function at a few points, with values computed elsewhere to more digits than a float has.
#[test]
fn functions_at_points() {
    let table: &[(Function, &[(f32, f32)])] = &[
        (Function::ABS, &[(-1.5, 1.5), (2.0, 2.0)]),
        (Function::EXP, &[(1.0, 2.7182817), (-3.0, 0.049787067)]),
        (Function::LOG, &[(10.0, std::f32::consts::LN_10)]),
        (Function::SQRT, &[(2.0, std::f32::consts::SQRT_2)]),
        (Function::RSQRT, &[(4.0, 0.5)]),
        (Function::RECIPROCAL, &[(-8.0, -0.125)]),
        (Function::SIGMOID, &[(0.0, 0.5), (2.0, 0.8807971), (-100.0, 0.0)]),
        (Function::TANH, &[(0.5, 0.46211717)]),
        (Function::ERF, &[(0.5, 0.5204999), (-1.0, -0.8427008)]),
        (Function::GELU, &[(1.0, 0.8413447), (-1.0, -0.15865526)]),
        (Function::GELU_TANH, &[(1.0, 0.841192), (-1.0, -0.158808)]),
        (Function::elu(2.0), &[(1.0, 1.0), (-1.0, -1.2642411)]),
        (Function::selu(1.6732632, 1.0507009), &[(1.0, 1.0507009), (-1.0, -1.1113307)]),
        (Function::celu(2.0), &[(1.0, 1.0), (-2.0, -1.2642411)]),
        (Function::SOFTPLUS, &[(0.0, std::f32::consts::LN_2), (100.0, 100.0), (-100.0, 0.0)]),
        (Function::SOFTSIGN, &[(-3.0, -0.75)]),
        (Function::SWISH, &[(2.0, 1.7615942)]),
        (Function::MISH, &[(1.0, 0.8650984)]),
        (Function::hard_sigmoid(0.2, 0.5), &[(1.0, 0.7), (9.0, 1.0), (-9.0, 0.0)]),
        (Function::HARD_SWISH, &[(1.0, 0.6666667), (4.0, 4.0), (-4.0, 0.0)]),
        (Function::leaky_relu(0.1), &[(2.0, 2.0), (-2.0, -0.2)]),
        (Function::thresholded_relu(1.0), &[(1.0, 0.0), (1.5, 1.5)]),
        (Function::FLOOR, &[(-1.5, -2.0), (2.7, 2.0)]),
        (Function::CEIL, &[(-1.5, -1.0), (2.2, 3.0)]),
        (Function::ROUND, &[(0.5, 0.0), (1.5, 2.0), (-2.5, -2.0), (2.6, 3.0)]),
        (Function::TRUNCATE, &[(-1.7, -1.0), (1.7, 1.0)]),
        (Function::SIGN, &[(-3.0, -1.0), (0.0, 0.0), (2.0, 1.0)]),
        (Function::SIN, &[(1.0, 0.84147096)]),
        (Function::COS, &[(1.0, 0.5403023)]),
        (Function::TAN, &[(1.0, 1.5574077)]),
        (Function::ASIN, &[(0.5, std::f32::consts::FRAC_PI_6)]),
        (Function::ACOS, &[(0.5, std::f32::consts::FRAC_PI_3)]),
        (Function::ATAN, &[(1.0, std::f32::consts::FRAC_PI_4)]),
        (Function::SINH, &[(1.0, 1.1752012)]),
        (Function::COSH, &[(1.0, 1.5430806)]),
        (Function::ASINH, &[(1.0, 0.8813736)]),
        (Function::ACOSH, &[(2.0, 1.316_958)]),
        (Function::ATANH, &[(0.5, 0.54930615)]),
        (Function::power(1.5), &[(4.0, 8.0)]),
        (Function::shrink(1.0, 0.5), &[(-2.0, -1.5), (0.5, 0.0), (2.0, 1.5)]),
    ];
    for (function, points) in table {
        let (x, y): (Vec<f32>, Vec<f32>) = points.iter().copied().unzip();
        let got = Op::Function(*function).evaluate(&[&Array::vector(x)]).unwrap();
        close(&got, &[y.len()], &y, function.name());
        assert!(function.at(f64::NAN).is_nan(), "{} of NaN", function.name());
    }
}

#[test]
fn arg_max_takes_the_first_of_several() {
    let x = Array::new(vec![2, 3], vec![1.0, 5.0, 5.0, -2.0, -7.0, -2.0]).unwrap();
    close(&Op::Order(Order::ArgMax { axis: 1 }).evaluate(&[&x]).unwrap(), &[2], &[1.0, 0.0], "along rows");
    close(
        &Op::Order(Order::ArgMax { axis: 0 }).evaluate(&[&x]).unwrap(),
        &[3],
        &[0.0, 0.0, 0.0],
        "along columns",
    );
}

#[test]
fn activations() {
    let x = Array::new(vec![2, 3], vec![-1.0, 0.5, 7.0, 1000.0, 1001.0, -1000.0]).unwrap();
    let e = std::f32::consts::E;
    let row: Vec<f32> = [-1.0f32, 0.5, 7.0].iter().map(|v| v.exp()).collect();
    let sum: f32 = row.iter().sum();
    let softmax = [row[0] / sum, row[1] / sum, row[2] / sum, 1.0 / (1.0 + e), e / (1.0 + e), 0.0];
    for (op, want) in [
        (Op::Activation(Activation::Relu), [0.0, 0.5, 7.0, 1000.0, 1001.0, 0.0]),
        (Op::Activation(Activation::ClippedRelu { limit: 6.0 }), [0.0, 0.5, 6.0, 6.0, 6.0, 0.0]),
        (Op::Activation(Activation::Softmax), softmax),
        (Op::Identity, [-1.0, 0.5, 7.0, 1000.0, 1001.0, -1000.0]),
    ] {
        close(&op.evaluate(&[&x]).unwrap(), &[2, 3], &want, op.name());
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let conv = |groups| Op::Linear(Linear::Conv2d { window: windows()[1].clone(), groups });
    let plain = Op::Linear(Linear::MatMul { transpose_a: false, transpose_b: false });
    let reshape = Op::Movement(Movement::Reshape { shape: vec![5] });
    let table: [(Op, &[&[usize]], &str); 18] = [
        (Op::Input, &[], "given from outside"),
        (Op::Activation(Activation::Relu), &[&[1], &[1]], "needs one operand(s), not 2"),
        (plain.clone(), &[&[2, 3], &[4, 5]], "the inner extents differ"),
        (plain.clone(), &[&[2, 3, 4], &[5]], "must be matrices"),
        (plain.clone(), &[&[2, 3, 4], &[3, 4, 5]], "the axes before the matrices"),
        (
            Op::Order(Order::TopK { axis: 0, k: 3, largest: true, indices: true }),
            &[&[2, 3]],
            "the 3 largest of 2",
        ),
        (
            Op::Reduce(Reduce { kind: Reduction::Max, axes: vec![1], keep_dims: false }),
            &[&[2, 0]],
            "is empty along",
        ),
        (Op::Arithmetic(Arithmetic::Select), &[&[2], &[3], &[3]], "do not broadcast"),
        (plain, &[&[2, 3], &[3, 5], &[4]], "the bias must have the shape [5]"),
        (conv(1), &[&[1, 5, 5, 3], &[3, 3, 2, 4]], "do not go with 3 channels"),
        (conv(2), &[&[1, 5, 5, 4], &[3, 3, 2, 3]], "in 2 groups"),
        (conv(1), &[&[1, 5, 5, 3], &[2, 2, 3, 4]], "the window is [3, 3]"),
        (conv(1), &[&[5, 5, 3], &[3, 3, 3, 4]], "four axes"),
        (
            Op::Pool(Pool { kind: Pooling::Max, window: windows()[4].clone() }),
            &[&[1, 4, 6, 1]],
            "does not fit an input of 4",
        ),
        (Op::Arithmetic(Arithmetic::Add), &[&[2, 3], &[2]], "do not broadcast"),
        (Op::Linear(Linear::Scale), &[&[2, 3], &[3], &[2]], "a vector has the shape [2]"),
        (
            Op::Reduce(Reduce { kind: Reduction::Mean, axes: vec![2], keep_dims: false }),
            &[&[2, 3]],
            "has no axis 2",
        ),
        (reshape, &[&[2, 3]], "[2, 3]"),
    ];
    for (op, shapes, reason) in table {
        let error = op.shape(shapes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
