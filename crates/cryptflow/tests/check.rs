//! The command `check`, as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::graph_def::graph;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn check(model: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cryptflow")).arg("check").arg(model).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn models_that_compile() {
    // (model, an operation of it, how many nodes of it)
    let table = [
        ("models/digits/model.pb", "MatMul", 2),
        ("crates/import/tests/data/saved_models/keras", "Relu", 1),
        ("crates/import/tests/data/onnx/residual.onnx", "Conv", 1),
    ];
    for (model, operation, least) in table {
        let path = repository(model);
        let output = check(&path, &["--json"]);
        assert!(output.status.success(), "{model}: {}", String::from_utf8_lossy(&output.stderr));
        let found = json(&output);
        assert_eq!(found["compiles"], true, "{model}");
        assert_eq!(found["unsupported"].as_array().unwrap().len(), 0);
        let operations = found["operations"].as_array().unwrap();
        let one = operations.iter().find(|o| o["operation"] == operation);
        let count =
            one.unwrap_or_else(|| panic!("{model} has no {operation}: {operations:?}"))["supported"].as_u64();
        assert!(count >= Some(least), "{model}: {count:?}");
        let text = String::from_utf8(check(&path, &[]).stdout).unwrap();
        assert!(text.contains(operation) && text.contains("supported"), "{text}");
    }
}

#[test]
fn everything_that_stands_in_the_way_is_in_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pb");
    let nodes: [(&str, &str, &[&str]); 6] = [
        ("x", "Placeholder", &[]),
        ("unknown", "MadeUp", &["x"]),
        ("behind", "Relu", &["unknown"]),
        ("fine", "Relu", &["x"]),
        ("twice", "MadeUpToo", &["fine"]),
        ("y", "Identity", &["fine"]),
    ];
    std::fs::write(&path, graph(&nodes)).unwrap();
    let output = check(&path, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = json(&output);
    assert_eq!(found["compiles"], false);
    let names: Vec<&str> =
        found["unsupported"].as_array().unwrap().iter().map(|n| n["node"].as_str().unwrap()).collect();
    assert_eq!(names, ["unknown", "twice"]);
    // What a program reads apart: the node, its operation, of what kind the reason is, and advice with names filled in.
    let first = &found["unsupported"][0];
    assert_eq!((&first["operation"], &first["kind"]), (&"MadeUp".into(), &"operation".into()));
    assert_eq!(first["reason"], "there is no such operation here");
    assert!(first["advice"].as_str().unwrap().contains("--input unknown="), "{first}");
    let relu = found["operations"].as_array().unwrap().iter().find(|o| o["operation"] == "Relu").unwrap();
    assert_eq!((relu["supported"].as_u64(), relu["unreached"].as_u64()), (Some(1), Some(1)));
    let status = |name: &str| {
        let nodes = found["nodes"].as_array().unwrap();
        nodes.iter().find(|n| n["node"] == name).unwrap()["status"].as_str().unwrap().to_string()
    };
    let statuses = ["x", "unknown", "behind", "fine", "twice"].map(status);
    assert_eq!(statuses, ["supported", "unsupported", "unknown", "supported", "unsupported"]);
    let listed = String::from_utf8(check(&path, &["--nodes"]).stdout).unwrap();
    assert!(listed.lines().any(|l| l.split_whitespace().eq(["behind", "Relu", "unknown"])), "{listed}");
    let text = check(&path, &[]);
    let (out, err) = (String::from_utf8(text.stdout).unwrap(), String::from_utf8(text.stderr).unwrap());
    assert!(out.contains("MadeUp") && out.contains("behind a node that cannot be imported"), "{out}");
    assert!(err.contains("2 nodes of the model cannot be compiled"), "{err}");
    // With another output there is nothing in the way.
    assert!(check(&path, &["--output", "y"]).status.success());
}

#[test]
fn conditions_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pb");
    let nodes: [(&str, &str, &[&str]); 4] = [
        ("x", "Placeholder", &[]),
        ("free", "Log", &["x"]),
        ("not negative", "Relu", &["x"]),
        ("bound", "Sqrt", &["not negative"]),
    ];
    std::fs::write(&path, graph(&nodes)).unwrap();
    let output = check(&path, &["--json", "--output", "free", "--output", "bound"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&output);
    let conditional = found["conditional"].as_array().unwrap();
    assert_eq!(conditional.len(), 1, "{conditional:?}");
    assert_eq!(conditional[0]["node"], "free");
    assert_eq!(conditional[0]["condition"], "its operand stays above 0");
    let text = String::from_utf8(check(&path, &["--output", "free", "--output", "bound"]).stdout).unwrap();
    assert!(text.contains("supported under a condition") && text.contains("stays above 0"), "{text}");
    assert!(text.contains("Calibration data decide"), "{text}");
}

#[test]
fn what_is_no_model_is_said() {
    let output = check(&repository("README.md"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("README.md"));
}
