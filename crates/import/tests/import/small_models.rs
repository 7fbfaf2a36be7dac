//! The models in `tests/data` (made by `models/testgraphs`), with the answers of TensorFlow and of
//! ONNX Runtime: one padding, one kind of convolution, one pattern of layers each.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use cryptflow_arrays::npy;
use cryptflow_graph::{Array, Graph, float};
use cryptflow_import::{ImportOptions, from_path};

/// The folder of the models.
pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/data")
}

/// A model, how to import it, and what its inputs and outputs are.
pub(crate) struct SmallModel {
    pub(crate) path: PathBuf,
    pub(crate) options: ImportOptions,
    values: BTreeMap<String, Array>,
}

/// The files of a folder that end so.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == extension));
    files.sort();
    files
}

/// TensorFlow's graphs.
pub(crate) fn frozen_graphs() -> Vec<SmallModel> {
    let graphs = files(&data(), "pb");
    assert!(graphs.len() >= 60, "{} graphs in {}", graphs.len(), data().display());
    let model = |path: PathBuf| {
        let values = npz(&path.with_extension("npz"));
        SmallModel { path, options: ImportOptions::default(), values }
    };
    graphs.into_iter().map(model).collect()
}

/// ONNX models.
pub(crate) fn onnx_models() -> Vec<SmallModel> {
    let models = files(&data().join("onnx"), "onnx");
    assert!(models.len() >= 14, "{} models in {}", models.len(), data().display());
    let model = |path: PathBuf| {
        let values = npz(&path.with_extension("npz"));
        let batch = Some(values["x"].shape[0]);
        SmallModel { path, options: ImportOptions { batch, ..ImportOptions::default() }, values }
    };
    models.into_iter().map(model).collect()
}

/// SavedModels, each with one of its signatures.
pub(crate) fn saved_models() -> Vec<SmallModel> {
    let table = [
        ("keras", "serving_default"),
        ("module", "serving_default"),
        ("module", "add"),
        ("simple_save", "serving_default"),
        ("builder", "serving_default"),
        ("sharded", "serving_default"),
        ("recurrent", "serving_default"),
        ("loops", "serving_default"),
    ];
    let model = |(name, signature): (&str, &str)| {
        let path = data().join("saved_models").join(name);
        let whole = |(called, array): (String, Array)| {
            let kind = called.strip_prefix(signature)?;
            let name = kind.strip_prefix(".in.").or(kind.strip_prefix(".out."))?;
            Some((name.to_owned(), array))
        };
        let values = npz(&path.with_extension("npz")).into_iter().filter_map(whole).collect();
        let options = ImportOptions { signature: Some(signature.into()), ..ImportOptions::default() };
        SmallModel { path, options, values }
    };
    table.into_iter().map(model).collect()
}

/// Imports the models, changes their graphs, and compares what these compute with what it should
/// be.
pub(crate) fn check(models: Vec<SmallModel>, change: impl Fn(&mut Graph)) {
    let (mut wrong, n) = (Vec::new(), models.len());
    for SmallModel { path, options, values } in models {
        let graph = from_path(&path, &options).map_err(|e| e.to_string());
        let answer = graph.and_then(|mut graph| {
            change(&mut graph);
            compare(&graph, values)
        });
        if let Err(reason) = answer {
            wrong.push(format!("{}: {reason}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} of {n} models:\n{}", wrong.len(), wrong.join("\n"));
}

/// The arrays of an `.npz`, by name.
fn npz(path: &Path) -> BTreeMap<String, Array> {
    let arrays = npy::read_npz_all(File::open(path).unwrap()).unwrap();
    let array = |found: npy::NpyArray| match found.elements {
        npy::Elements::Floats(data) => Array::new(found.shape, data).unwrap(),
        npy::Elements::Bytes(_) => panic!("{}: bytes", path.display()),
    };
    arrays.into_iter().map(|(name, found)| (name, array(found))).collect()
}

/// Runs a graph on the values that are no outputs, by name, and compares with those that are, all
/// of them.
fn compare(graph: &Graph, values: BTreeMap<String, Array>) -> Result<(), String> {
    let (mut outputs, mut inputs): (BTreeMap<_, _>, BTreeMap<_, _>) =
        values.into_iter().partition(|(name, _)| graph.output_names.contains(name));
    let mut take = |name: &str| inputs.remove(name).ok_or(format!("there is no value for the input {name}"));
    let values: Vec<Array> =
        graph.inputs.iter().map(|&id| take(&graph.node(id).name)).collect::<Result<_, _>>()?;
    let found = float::run(graph, &values, &mut |_, _| {}).map_err(|e| e.to_string())?;
    for (name, found) in graph.output_names.iter().zip(&found) {
        let expected = outputs.remove(name).ok_or(format!("TensorFlow has no output {name}"))?;
        if found.shape != expected.shape {
            return Err(format!("{name} has shape {:?}, TensorFlow's {:?}", found.shape, expected.shape));
        }
        let largest = expected.data.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        let far = found.data.iter().zip(expected.data.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // NaN is no answer either.
        if far.is_nan() || far > 1e-5 * largest {
            return Err(format!("{name} differs by {far}, its largest element is {largest}"));
        }
    }
    if !inputs.is_empty() || !outputs.is_empty() {
        return Err(format!("the graph has no {:?} {:?}", inputs.keys(), outputs.keys()));
    }
    Ok(())
}
