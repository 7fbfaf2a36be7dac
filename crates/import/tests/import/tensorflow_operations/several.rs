//! Operations with several results or operands.

use cryptflow_import::tensorflow::messages::Attr;

use super::{run, test_input};

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
