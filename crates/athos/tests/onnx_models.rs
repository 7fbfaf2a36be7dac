//! Every model in `tests/data/onnx` (made by `models/testgraphs/onnx_models.py`), against what ONNX Runtime computed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/arrays.rs"]
mod arrays;

use std::path::Path;

use cryptflow_athos::passes;
use cryptflow_graph::Graph;
use cryptflow_import::{self as import, ImportOptions};

#[test]
fn answers_are_those_of_onnx_runtime() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx");
    let mut models: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    models.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    models.sort();
    assert!(models.len() >= 14, "{} models in {}", models.len(), folder.display());

    let mut wrong = Vec::new();
    for path in &models {
        if let Err(reason) = check(path) {
            wrong.push(format!("{}: {reason}", path.file_stem().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} models:\n{}", wrong.len(), models.len(), wrong.join("\n"));
}

fn check(path: &Path) -> Result<(), String> {
    let batch = arrays::npz(&path.with_extension("npz"))["x"].shape[0];
    let options = ImportOptions { batch: Some(batch), ..ImportOptions::default() };
    let mut graph = import::from_path(path, &options).map_err(|e| e.to_string())?;
    compare(&graph, path).map_err(|e| format!("as imported: {e}"))?;
    passes::optimise(&mut graph);
    compare(&graph, path).map_err(|e| format!("after the passes: {e}"))
}

fn compare(graph: &Graph, path: &Path) -> Result<(), String> {
    let (inputs, outputs) = arrays::npz(&path.with_extension("npz"))
        .into_iter()
        .partition(|(name, _)| !graph.output_names.contains(name));
    arrays::compare(graph, inputs, outputs)
}
