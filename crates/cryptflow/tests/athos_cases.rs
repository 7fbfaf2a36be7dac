//! The unit cases of the first CrypTFlow's compiler, those that it skipped too (made by `models/conformance/athos_cases.py`):
//! as floats, on plain integers, over Mirror and over Porthos, against TensorFlow, to two decimals as there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/whole.rs"]
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use cryptflow::npy::{Elements, read_npz};
use cryptflow_athos::compile::{CompileOptions, Scale};
use cryptflow_athos::import::{ImportOptions, from_path};
use cryptflow_athos::{Array, float};

/// What `numpy.testing.assert_almost_equal` allows at two decimals.
const TOLERANCE: f32 = 1.5e-2;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/athos_cases.npz")
}

/// Members of the archive, as NAME and what comes after it.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let mut cases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let archive = zip::ZipArchive::new(File::open(file()).unwrap()).unwrap();
    for name in archive.file_names() {
        let name = name.unwrap();
        let (case, member) = name.strip_suffix(".npy").unwrap().split_once('/').unwrap();
        cases.entry(case.into()).or_default().insert(member.into());
    }
    cases
}

fn bytes(name: &str) -> Vec<u8> {
    let (_, array) = read_npz(File::open(file()).unwrap(), name).unwrap();
    let Elements::Bytes(data) = array.elements else { panic!("{name} holds no bytes") };
    data
}

fn array(name: &str) -> Array {
    let (_, array) = read_npz(File::open(file()).unwrap(), name).unwrap();
    let Elements::Floats(data) = array.elements else { panic!("{name} holds bytes") };
    Array::new(array.shape, data).unwrap()
}

fn compare(what: &str, found: &[f32], expected: &Array, tolerance: f32) -> Result<(), String> {
    if found.len() != expected.data.len() {
        return Err(format!("{what}: {} elements, TensorFlow has {:?}", found.len(), expected.shape));
    }
    let far = found.iter().zip(expected.data.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if far.is_nan() || far > tolerance {
        return Err(format!("{what}: differs by {far}: {found:?}, TensorFlow has {:?}", expected.data));
    }
    Ok(())
}

fn check(folder: &Path, case: &str, members: &BTreeSet<String>) -> Result<(), String> {
    let path = folder.join("graph.pb");
    std::fs::write(&path, bytes(&format!("{case}/graph"))).unwrap();
    let fetch = String::from_utf8(bytes(&format!("{case}/fetch"))).unwrap();
    let expected = array(&format!("{case}/output"));
    let options = ImportOptions { outputs: vec![fetch], ..ImportOptions::default() };
    let graph = from_path(&path, &options).map_err(|e| e.to_string())?;
    let inputs: Vec<Array> = graph
        .inputs
        .iter()
        .map(|&id| {
            let name = format!("input/{}", graph.node(id).name);
            assert!(members.contains(&name), "{case} has no {name}");
            array(&format!("{case}/{name}"))
        })
        .collect();
    let floats = float::run(&graph, &inputs, &mut |_, _| ()).map_err(|e| e.to_string())?;
    if floats[0].shape != expected.shape {
        return Err(format!("has the shape {:?}, TensorFlow has {:?}", floats[0].shape, expected.shape));
    }
    let largest = expected.data.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    compare("floats", &floats[0].data, &expected, 1e-5 * largest)?;
    let compile = CompileOptions { scale: Scale::Bits(14), ..CompileOptions::default() };
    let (_, answers) = whole::run(graph, &inputs, &compile)?;
    for whole::Answers { protocol, outputs } in answers {
        compare(protocol, &outputs[0].1, &expected, TOLERANCE)?;
    }
    Ok(())
}

#[test]
fn all_cases_agree_with_tensorflow() {
    let cases = members();
    assert_eq!(cases.len(), 132);
    let folder = tempfile::tempdir().unwrap();
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|(case, members)| Some(format!("{case}: {}", check(folder.path(), case, members).err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
