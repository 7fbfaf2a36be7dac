//! What is computed when importing: shapes, constants, and what has known operands; and what some of
//! these operations are of a secret.

use cryptflow_graph::Array;
use cryptflow_import::tensorflow::messages::{Attr, DataType};

use super::{array, run, test_input};
use crate::graph_def::Builder;

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
