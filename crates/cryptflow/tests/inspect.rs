//! The command `inspect`, as a user runs it: the table of functions of a model that has some.

use std::path::{Path, PathBuf};
use std::process::Command;

use cryptflow::clear_runner::ClearRunner;
use cryptflow_athos::fix::FixedRunner;
use cryptflow_model_file as file;
use serde_json::Value;

use crate::graph_def::graph;

fn cryptflow(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cryptflow")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A graph on an input `[2, 3]` of −4 to 4, compiled at 12 fractional bits.
fn compiled(folder: &Path, nodes: &[(&str, &str, &[&str])]) -> PathBuf {
    let (model, out) = (folder.join("model.pb"), folder.join("model.safetensors"));
    std::fs::write(&model, graph(nodes)).unwrap();
    let paths = [model.to_str().unwrap(), out.to_str().unwrap()];
    cryptflow(&["compile", paths[0], "-o", paths[1], "--range", "-4,4", "--scale", "12"]);
    out
}

/// A sigmoid at an output, and a softmax with an operation behind it.
const NODES: &[(&str, &str, &[&str])] = &[
    ("x", "Placeholder", &[]),
    ("gate", "Sigmoid", &["x"]),
    ("shares", "Softmax", &["x"]),
    ("behind", "Neg", &["shares"]),
];

/// A row of the table of functions: the function, its node, and the numbers.
struct Row {
    function: String,
    of: String,
    low: f64,
    high: f64,
    pieces: usize,
    degree: usize,
    largest_error: f64,
}

/// The table of functions in what `inspect` prints.
fn rows(text: &str) -> Vec<Row> {
    let header = ["function", "from", "to", "pieces", "degree", "largest", "error", "zero", "below", "of"];
    let lines = text.lines().skip_while(|l| !l.split_whitespace().eq(header)).skip(1);
    let rows = lines.take_while(|l| !l.is_empty()).map(|l| l.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|cells| {
        // What is zero near zero has one more.
        let (&[function, low, high, pieces, degree, error, of]
        | &[function, low, high, pieces, degree, error, _, of]) = cells.as_slice()
        else {
            return None;
        };
        Some(Row {
            function: function.into(),
            of: of.into(),
            low: low.parse().unwrap(),
            high: high.parse().unwrap(),
            pieces: pieces.parse().unwrap(),
            degree: degree.parse().unwrap(),
            largest_error: error.parse().unwrap(),
        })
    })
    .collect()
}

#[test]
fn functions_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let out = compiled(folder.path(), NODES);
    let text = cryptflow(&["inspect", out.to_str().unwrap()]);
    let rows = rows(&text);
    // Function, node, and what it must be made for at least: a sum of three terms, one of which is
    // 1.
    let table =
        [("sigmoid", "gate", -4.0, 4.0), ("exp", "shares", -8.0, 0.0), ("reciprocal", "shares", 1.0, 3.0)];
    assert_eq!(rows.len(), table.len(), "{text}");
    for (row, (function, of, low, high)) in rows.iter().zip(table) {
        assert_eq!((row.function.as_str(), row.of.as_str()), (function, of), "{text}");
        assert!(row.low <= low && row.high >= high, "{function}: {} to {}", row.low, row.high);
        assert!(row.pieces > 1 || row.degree > 1, "{function}: {} of {}", row.pieces, row.degree);
        assert!(row.largest_error > 0.0 && row.largest_error < 2e-3, "{function}: {}", row.largest_error);
    }

    let json: Value =
        serde_json::from_str(&cryptflow(&["inspect", out.to_str().unwrap(), "--json"])).unwrap();
    let functions = json["report"]["functions"].as_array().unwrap();
    let layers = json["layers"].as_array().unwrap();
    assert_eq!(functions.len(), rows.len());
    for (found, row) in functions.iter().zip(&rows) {
        assert_eq!(
            (&found["function"], &found["name"]),
            (&row.function.as_str().into(), &row.of.as_str().into())
        );
        assert_eq!(found["pieces"], row.pieces);
        assert_eq!(found["degree"], row.degree);
        for (key, shown) in [("low", row.low), ("high", row.high)] {
            assert!((found[key].as_f64().unwrap() - shown).abs() <= 5e-5, "{key} of {}", row.function);
        }
        // All thresholds are compared with at once, and one piece has none.
        let compares = |l: &&Value| l["operation"] == "compare" && l["name"] == found["name"];
        let thresholds = layers.iter().filter(compares).map(|l| l["shape"][0].as_u64().unwrap());
        let all = thresholds.into_iter().any(|n| n + 1 == row.pieces as u64);
        assert!(row.pieces == 1 || all, "{}: {layers:?}", row.function);
    }

    // Under Porthos as published a truncation can fail.
    for (protocol, fails) in [("mirror", false), ("porthos", true), ("porthos-exact", false)] {
        let text = cryptflow(&["inspect", out.to_str().unwrap(), "--protocol", protocol]);
        assert_eq!(text.contains("a truncation of a run fails"), fails, "{protocol}: {text}");
        assert_eq!(self::rows(&text).len(), rows.len(), "{protocol}");
    }
}

/// What is stated of a function is what it computes.
#[test]
fn the_largest_error_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = compiled(folder.path(), NODES);
    let stated = rows(&cryptflow(&["inspect", out.to_str().unwrap()]))[0].largest_error;
    let model = file::read(&out).unwrap();
    let gate = model.program.outputs.iter().position(|o| o.name == "gate").unwrap();
    let unit = f64::from(model.program.scale).exp2();
    let opened = f64::from(model.program.scale_of(model.program.outputs[gate].value)).exp2();
    let mut largest: f64 = 0.0;
    for start in (-(4 << 12)..4 << 12).step_by(6 * 7) {
        let x: Vec<i64> = (0..6).map(|i| start + 7 * i).collect();
        let weights = model.weights.as_ref().unwrap();
        let y = ClearRunner.run(&model.program, weights, std::slice::from_ref(&x), &mut |_, _| ());
        for (x, y) in x.iter().zip(&y.unwrap()[gate]) {
            let sigmoid = 1.0 / (1.0 + (-(*x as f64) / unit).exp());
            largest = largest.max((*y as f64 / opened - sigmoid).abs());
        }
    }
    // Shown with two digits.
    assert!(largest <= 1.06 * stated, "off by {largest}, stated {stated}");
    assert!(largest > 0.0);
}

#[test]
fn a_model_without_functions_has_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let out = compiled(folder.path(), &[("x", "Placeholder", &[]), ("y", "Relu", &["x"])]);
    let text = cryptflow(&["inspect", out.to_str().unwrap()]);
    assert!(text.contains("relu") && !text.contains("largest error"), "{text}");
}
