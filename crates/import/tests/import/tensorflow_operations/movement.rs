//! Movements of elements.

use cryptflow_import::tensorflow::messages::Attr;

use super::{dims, run, test_input};
use crate::graph_def::{ints, text};

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
