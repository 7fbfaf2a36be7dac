//! Every graph in `tests/data` (made by `models/testgraphs/make.py`), against what TensorFlow computed: one padding,
//! one kind of convolution, one pattern of layers each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/arrays.rs"]
mod arrays;

use std::path::Path;

use cryptflow_athos::passes;
use cryptflow_graph::Graph;
use cryptflow_import::{self as import, ImportOptions};

#[test]
fn answers_are_tensorflows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut graphs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    graphs.retain(|p| p.extension().is_some_and(|e| e == "pb"));
    graphs.sort();
    assert!(graphs.len() >= 60, "{} graphs in {}", graphs.len(), folder.display());

    let mut wrong = Vec::new();
    for path in &graphs {
        if let Err(reason) = check(path) {
            wrong.push(format!("{}: {reason}", path.file_stem().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} graphs:\n{}", wrong.len(), graphs.len(), wrong.join("\n"));
}

fn check(path: &Path) -> Result<(), String> {
    let mut graph = import::from_path(path, &ImportOptions::default()).map_err(|e| e.to_string())?;
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
