//! Reductions over axes.

use cryptflow_import::tensorflow::messages::Attr;

use super::{array, dims, run, test_input};

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
