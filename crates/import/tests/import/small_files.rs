//! Small files that would fill any memory, or never end.

use super::graph_def::{Builder, outputs, shape};
use cryptflow_import::tensorflow::import;
use cryptflow_import::tensorflow::messages::{Attr, DataType, TensorProto};

/// What is said of a graph whose outputs are these nodes.
fn refused(b: &Builder, wanted: &[&str]) -> String {
    import(&b.bytes(), &outputs(wanted)).unwrap_err().to_string()
}

/// A square of ones with so many rows.
fn square(b: &mut Builder, name: &str, rows: i32) {
    b.integers(&format!("{name}_shape"), &[2], &[rows, rows]).floats(&format!("{name}_one"), &[], &[1.0]);
    b.node(name, "Fill", &[&format!("{name}_shape"), &format!("{name}_one")], &[]);
}

#[test]
fn one_large_constant() {
    // (what makes it, what is said)
    let mut table: Vec<(Builder, &str)> = Vec::new();
    let mut add = |make: &dyn Fn(&mut Builder), said| {
        let mut b = Builder::default();
        b.input("x", &[1]);
        make(&mut b);
        b.node("y", "Add", &["x", "large"], &[]);
        table.push((b, said));
    };
    add(&|b| square(b, "large", 1 << 13), "too many");
    add(&|b| square(b, "large", 1 << 16), "is too large");
    add(
        &|b| {
            square(b, "some", 1 << 10);
            b.integers("times", &[2], &[1 << 6, 1]).node("large", "Tile", &["some", "times"], &[]);
        },
        "too many",
    );
    add(
        &|b| {
            b.integers("from", &[], &[0]).integers("to", &[], &[1 << 30]).integers("by", &[], &[1]);
            b.node("large", "Range", &["from", "to", "by"], &[]);
        },
        "too many",
    );
    add(
        &|b| {
            let tensor = TensorProto {
                dtype: DataType::Float as i32,
                tensor_shape: Some(shape(&[1 << 27])),
                float_val: vec![1.0],
                ..TensorProto::default()
            };
            b.node("large", "Const", &[], &[("value", Attr::Tensor(tensor))]);
        },
        "but the file holds 1",
    );
    add(
        &|b| {
            b.input("wide", &[1 << 14, 1 << 14]).integers("around", &[2, 2], &[0; 4]);
            b.floats("border", &[], &[1.0]).node("large", "PadV2", &["wide", "around", "border"], &[]);
        },
        "too many",
    );
    add(
        &|b| {
            b.input("large", &[i64::MAX, i64::MAX]);
        },
        "is too large",
    );
    for (b, said) in table {
        let error = refused(&b, &["y"]);
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
}

#[test]
fn many_constants() {
    let mut b = Builder::default();
    let names: Vec<String> = (0..100).map(|i| format!("large_{i}")).collect();
    names.iter().for_each(|name| square(&mut b, name, 1 << 11));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(refused(&b, &names).contains("more of constants than the file's size justifies"));
}

#[test]
fn many_integers() {
    let mut b = Builder::default();
    b.integers("from", &[], &[0]).integers("to", &[], &[1 << 22]).integers("by", &[], &[1]);
    b.node("n0", "Range", &["from", "to", "by"], &[]);
    for i in 0..100 {
        b.node(&format!("n{}", i + 1), "Identity", &[&format!("n{i}")], &[]);
    }
    assert!(refused(&b, &["n100"]).contains("more of constants than the file's size justifies"));
}

#[test]
fn long_products() {
    let mut b = Builder::default();
    square(&mut b, "p0", 1 << 11);
    b.floats("zero", &[1, 1], &[0.0]);
    for i in 0..30 {
        b.node(&format!("p{}", i + 1), "MatMul", &[&format!("p{i}"), "p0"], &[]);
    }
    assert!(refused(&b, &["p30"]).contains("longer than the file's size justifies"));
}
