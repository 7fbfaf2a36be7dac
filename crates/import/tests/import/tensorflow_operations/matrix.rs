//! Products of matrices, and sums of products.

use cryptflow_graph::Array;
use cryptflow_import::tensorflow::messages::Attr;

use super::{array, run, test_input};
use crate::graph_def::{Builder, text};

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
