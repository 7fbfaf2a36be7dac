//! Models, and what they become.

use std::path::Path;

use cryptflow_athos::passes;
use cryptflow_import::{self as import, ImportOptions};
use cryptflow_model_file as file;
use cryptflow_party::deployment::Deployment;
use cryptflow_protocols::ProtocolName;

use crate::{read, repository, write};

const DATA: &str = "crates/import/tests/data";

fn options() -> ImportOptions {
    ImportOptions { batch: Some(1), ..ImportOptions::default() }
}

/// What follows an import.
fn optimised(graph: Result<cryptflow_graph::Graph, import::ImportError>) {
    match graph {
        Ok(mut graph) => drop(passes::optimise(&mut graph)),
        Err(error) => drop(error.to_string()),
    }
}

pub(crate) fn graph_def(bytes: &[u8], _: &Path) {
    optimised(import::tensorflow::import(bytes, &options()));
}

pub(crate) fn graphs() -> Vec<Vec<u8>> {
    files_of("", "pb")
}

/// The files of a folder of the tests' data with this extension.
fn files_of(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let folder = repository(DATA).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// An ONNX model, beside whose file lie the tests' external weights.
pub(crate) fn onnx(bytes: &[u8], folder: &Path) {
    let weights = folder.join("external.weights");
    if !weights.exists() {
        std::fs::copy(repository(DATA).join("onnx/external.weights"), weights).unwrap();
    }
    optimised(import::onnx::import(bytes, Some(folder), &options()));
}

pub(crate) fn onnx_models() -> Vec<Vec<u8>> {
    files_of("onnx", "onnx")
}

const SAVED: [&str; 6] = ["keras", "module", "builder", "simple_save", "sharded", "loops"];

/// Puts a SavedModel of the tests into a folder, but for one file, whose path is returned.
fn saved(folder: &Path, name: &str, other: &str) -> std::path::PathBuf {
    let path = folder.join(name).join(other);
    if !path.exists() {
        let from = repository(DATA).join("saved_models").join(name);
        std::fs::create_dir_all(folder.join(name).join("variables")).unwrap();
        std::fs::copy(from.join("saved_model.pb"), folder.join(name).join("saved_model.pb")).unwrap();
        for file in std::fs::read_dir(from.join("variables")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(name).join("variables").join(file.file_name())).unwrap();
        }
    }
    path
}

pub(crate) fn saved_model(bytes: &[u8], folder: &Path) {
    write(&saved(folder, "keras", "saved_model.pb"), bytes);
    optimised(import::from_path(&folder.join("keras"), &options()));
}

pub(crate) fn saved_models() -> Vec<Vec<u8>> {
    SAVED.iter().map(|name| read(&format!("{DATA}/saved_models/{name}/saved_model.pb"))).collect()
}

pub(crate) fn index(bytes: &[u8], folder: &Path) {
    write(&saved(folder, "keras", "variables/variables.index"), bytes);
    optimised(import::from_path(&folder.join("keras"), &options()));
}

pub(crate) fn indices() -> Vec<Vec<u8>> {
    SAVED.iter().map(|name| read(&format!("{DATA}/saved_models/{name}/variables/variables.index"))).collect()
}

/// The contents of an index's block, which gets its checksum here: changes would not get past it.
pub(crate) fn block(bytes: &[u8], folder: &Path) {
    let mut file = Vec::new();
    let mut put = |contents: &[u8]| {
        let at = file.len();
        file.extend_from_slice(contents);
        file.push(0);
        let sum = crc32c::crc32c(&file[at..]);
        file.extend((sum.rotate_right(15).wrapping_add(0xa282_ead8)).to_le_bytes());
        [varint(at), varint(contents.len())].concat()
    };
    let restarts = [0u32.to_le_bytes(), 1u32.to_le_bytes()].concat();
    let handle = put(bytes);
    let entry = [varint(0), varint(1), varint(handle.len()), b"k".to_vec(), handle].concat();
    let meta = put(&restarts);
    let whole = put(&[entry, restarts.clone()].concat());
    let mut footer = [meta, whole].concat();
    footer.resize(40, 0);
    file.extend(footer);
    file.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    index(&file, folder);
}

fn varint(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// The tests' indices have one data block, at the beginning of the file; its end is where the next
/// block's trailer lets it be.
pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let contents = |file: Vec<u8>| {
        let sums = |n: &usize| {
            let sum = crc32c::crc32c(&file[..n + 1]).rotate_right(15).wrapping_add(0xa282_ead8);
            file.get(*n) == Some(&0) && file.get(n + 1..n + 5) == Some(&sum.to_le_bytes()[..])
        };
        (0..file.len().saturating_sub(5)).find(sums).map(|n| file[..n].to_vec())
    };
    let found: Vec<Vec<u8>> = indices().into_iter().filter_map(contents).collect();
    assert!(!found.is_empty(), "no index of the tests has an uncompressed block");
    found
}

pub(crate) fn compiled(bytes: &[u8], _: &Path) {
    match file::from_bytes(bytes) {
        // What was read can be written.
        Ok(model) => {
            drop(file::to_bytes(&model.program, model.weights.as_deref(), model.report.as_ref()).unwrap())
        }
        Err(error) => drop(error.to_string()),
    }
}

/// A small program that has most operations, as it was compiled once.
fn example() -> (String, Vec<Vec<i64>>) {
    let json = String::from_utf8(read("crates/fuzzing/seeds/program.json")).unwrap();
    let program: cryptflow_program::Program = serde_json::from_str(&json).unwrap();
    let weights = program.weights.iter().map(|w| vec![1; w.shape.iter().product()]).collect();
    (json, weights)
}

pub(crate) fn compiled_models() -> Vec<Vec<u8>> {
    let (json, weights) = example();
    let program = cryptflow_program::validate(serde_json::from_str(&json).unwrap()).unwrap();
    let report = serde_json::json!({ "any": [1, 2.5, "text"] });
    vec![
        file::to_bytes(&program, Some(&weights), Some(&report)).unwrap(),
        file::to_bytes(&program, None, None).unwrap(),
    ]
}

/// A program as a party gets it from a client.
pub(crate) fn program(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for protocol in [ProtocolName::Mirror, ProtocolName::Porthos] {
        let deployment =
            Deployment { name: "m".into(), program: text.into(), protocol, commitments: vec![[0; 32]; 3] };
        if let Err(error) = deployment.parse() {
            drop(error.to_string());
        }
    }
}

pub(crate) fn programs() -> Vec<Vec<u8>> {
    vec![example().0.into_bytes()]
}
