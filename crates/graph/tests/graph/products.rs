//! Matrix products against a plain one.

use std::sync::Arc;

use cryptflow_graph::{Array, Linear, Op};

/// The elements of `batch` products of m × k and k × n matrices, where one `b` may serve all.
fn plain(a: &Array, ta: bool, b: &Array, tb: bool, [batch, m, k, n]: [usize; 4]) -> Vec<f32> {
    let at = |x: &Array, transposed: bool, [rows, columns]: [usize; 2], [i, row, column]: [usize; 3]| {
        let i = if x.shape.len() > 2 { i } else { 0 };
        x.data[i * rows * columns + if transposed { column * rows + row } else { row * columns + column }]
    };
    let mut products = Vec::new();
    for i in 0..batch {
        for (r, c) in (0..m).flat_map(|r| (0..n).map(move |c| (r, c))) {
            products.push((0..k).map(|j| at(a, ta, [m, k], [i, r, j]) * at(b, tb, [k, n], [i, j, c])).sum());
        }
    }
    products
}

#[test]
fn agree_with_the_plain_product() {
    let numbers = |shape: &[usize], factor: usize, modulus: usize| {
        let data = (0..shape.iter().product()).map(|i| (i * factor % modulus) as f32 - 6.0).collect();
        Array::new(shape.to_vec(), data).unwrap()
    };
    for [m, k, n] in [[1, 1, 1], [3, 5, 2], [17, 9, 33], [64, 70, 65], [2, 0, 3], [0, 4, 4]] {
        for [ta, tb] in [[false, false], [true, false], [false, true], [true, true]] {
            for (batch, shared) in [(1, true), (3, false), (3, true)] {
                let leading = if batch > 1 { vec![batch] } else { vec![] };
                let matrix = |leading: &[usize], rows, columns, transposed: bool| {
                    let two = if transposed { [columns, rows] } else { [rows, columns] };
                    [leading, &two].concat()
                };
                let a = numbers(&matrix(&leading, m, k, ta), 7, 13);
                let b = numbers(&matrix(if shared { &[] } else { &leading }, k, n, tb), 5, 11);
                let op = Op::Linear(Linear::MatMul { transpose_a: ta, transpose_b: tb });
                let got = op.evaluate(&[&a, &b]).unwrap();
                let want = plain(&a, ta, &b, tb, [batch, m, k, n]);
                assert_eq!(
                    *got.data, want,
                    "{batch} × {m} × {k} × {n}, transposed {ta} {tb}, shared {shared}"
                );
            }
        }
    }
}

/// An array whose shape claims more than its elements are.
#[test]
fn a_matrix_outside_its_elements_is_refused() {
    let claims = |elements: usize| Array { shape: vec![2, 2], data: Arc::new(vec![0.0; elements]) };
    for transposed in [false, true] {
        let op = Op::Linear(Linear::MatMul { transpose_a: transposed, transpose_b: transposed });
        op.evaluate(&[&claims(4), &claims(4)]).unwrap();
        for (a, b) in [(3, 4), (4, 3)] {
            op.evaluate(&[&claims(a), &claims(b)]).unwrap_err();
        }
    }
}
