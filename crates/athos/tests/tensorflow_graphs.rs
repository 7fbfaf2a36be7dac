//! Every graph in `tests/data` (made by `models/testgraphs/make.py`), against what TensorFlow computed: one padding,
//! one kind of convolution, one pattern of layers each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use cryptflow_athos::import::{self, ImportOptions};
use cryptflow_athos::{Array, Graph, float, passes};

/// The arrays of an `.npz`, by name.
fn arrays(path: &Path) -> BTreeMap<String, Array> {
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
    let mut arrays = arrays(&path.with_extension("npz"));
    let mut take = |name: &str| arrays.remove(name).ok_or(format!("{name} is not in the .npz"));
    let inputs: Vec<Array> =
        graph.inputs.iter().map(|&id| take(&graph.node(id).name)).collect::<Result<_, _>>()?;
    let found = float::run(graph, &inputs, &mut |_, _| {}).map_err(|e| e.to_string())?;
    for (name, found) in graph.output_names.iter().zip(&found) {
        let expected = take(name)?;
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
    if !arrays.is_empty() {
        return Err(format!("the graph has no output {:?}", arrays.keys()));
    }
    Ok(())
}
