//! The tiny graphs of `crates/import/tests/data`, the whole way: imported, made cheaper, turned
//! into fixed point, run by three parties in one process over Mirror, and compared with what
//! TensorFlow computed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use cryptflow_arrays::npy::{Elements, read_npz};
use cryptflow_athos::compile::CompileOptions;
use cryptflow_graph::Array;
use cryptflow_import::{self as import, ImportOptions};

use crate::whole;

fn graphs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/data");
    let mut graphs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    graphs.retain(|p| p.extension().is_some_and(|e| e == "pb"));
    graphs.sort();
    assert!(graphs.len() >= 60);
    graphs
}

/// An array of an `.npz`.
fn array(path: &Path, name: &str) -> Array {
    let (_, array) = read_npz(File::open(path).unwrap(), name).unwrap();
    let Elements::Floats(data) = array.elements else { panic!("{name} holds bytes") };
    Array::new(array.shape, data).unwrap()
}

fn check(path: &Path) -> Result<(), String> {
    let npz = path.with_extension("npz");
    let graph = import::from_path(path, &ImportOptions::default()).map_err(|e| e.to_string())?;
    let inputs: Vec<Array> = graph.inputs.iter().map(|&id| array(&npz, &graph.node(id).name)).collect();
    let (compiled, answers) = whole::run(graph, &inputs, &CompileOptions::default())?;
    for whole::Answers { protocol, outputs } in answers {
        for (name, found, unit) in outputs {
            let expected = array(&npz, &name);
            if found.len() != expected.data.len() {
                return Err(format!("{protocol}: {name} has {} elements", found.len()));
            }
            let largest = expected.data.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let far = found.iter().zip(expected.data.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Each truncation on the way rounds as its shares have it: a few units, whatever the
            // size of the output.
            if far.is_nan() || far > 0.01 * largest + 8.0 * unit {
                let scale = compiled.program.scale;
                return Err(format!("{protocol}: {name} differs by {far} of {largest}, scale {scale}"));
            }
        }
    }
    Ok(())
}

#[test]
fn answers_are_tensorflows() {
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    let graphs = graphs();
    for path in &graphs {
        if let Err(reason) = check(path) {
            wrong.insert(path.file_stem().unwrap().to_string_lossy().into_owned(), reason);
        }
    }
    assert!(wrong.is_empty(), "{} of {} graphs: {wrong:#?}", wrong.len(), graphs.len());
}
