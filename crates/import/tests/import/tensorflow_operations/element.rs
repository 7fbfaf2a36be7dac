//! Arithmetic and functions, element by element.

use cryptflow_import::tensorflow::messages::Attr;

use super::{array, dims, run, test_input};
use crate::graph_def::numbers;

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
