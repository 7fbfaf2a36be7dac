//! Arrays that scripts with TensorFlow have left.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use cryptflow_graph::{Array, Graph, float};

/// The arrays of an `.npz`, by name.
pub(crate) fn npz(path: &Path) -> BTreeMap<String, Array> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    (0..archive.len())
        .map(|i| {
            let member = archive.by_index(i).unwrap();
            let name = member.name().unwrap().strip_suffix(".npy").unwrap().to_owned();
            let file = npyz::NpyFile::new(member).unwrap();
            let shape = file.shape().iter().map(|&d| d as usize).collect();
            let data = match file.dtype().descr().as_str() {
                "'<f4'" => file.into_vec::<f32>().unwrap(),
                "'<i8'" => file.into_vec::<i64>().unwrap().into_iter().map(|v| v as f32).collect(),
                other => panic!("{}: {name} has elements of type {other}", path.display()),
            };
            (name, Array::new(shape, data).unwrap())
        })
        .collect()
}

/// An array of floats in an `.npy`.
pub(crate) fn npy(path: &Path) -> Array {
    let file = npyz::NpyFile::new(std::io::BufReader::new(File::open(path).unwrap())).unwrap();
    let shape = file.shape().iter().map(|&d| d as usize).collect();
    Array::new(shape, file.into_vec::<f32>().unwrap()).unwrap()
}

/// Runs a graph on these inputs, by name, and compares with these outputs, all of them.
pub(crate) fn compare(
    graph: &Graph,
    mut inputs: BTreeMap<String, Array>,
    mut outputs: BTreeMap<String, Array>,
) -> Result<(), String> {
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
