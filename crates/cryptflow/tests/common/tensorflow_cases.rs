//! Cases that a script has made with TensorFlow: a graph, its inputs and TensorFlow's answer each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use cryptflow_arrays::npy::{Elements, NpyArray, read_npz_all};
use cryptflow_athos::compile::{CompileOptions, Scale};
use cryptflow_graph::{Array, float};
use cryptflow_import::{ImportOptions, from_path};

use crate::whole;

/// What `numpy.testing.assert_almost_equal` allows at two decimals.
const TOLERANCE: f32 = 1.5e-2;

/// A file of cases.
pub(crate) struct Cases {
    arrays: BTreeMap<String, NpyArray>,
    /// Members of the archive, as NAME and what comes after it.
    pub(crate) members: BTreeMap<String, BTreeSet<String>>,
}

impl Cases {
    /// Those of a file beside the tests.
    pub(crate) fn read(name: &str) -> Cases {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let arrays: BTreeMap<_, _> = read_npz_all(File::open(&file).unwrap()).unwrap().into_iter().collect();
        for name in arrays.keys() {
            let (case, member) = name.split_once('/').unwrap();
            members.entry(case.into()).or_default().insert(member.into());
        }
        Cases { arrays, members }
    }

    fn elements(&self, name: &str) -> (Vec<usize>, Elements) {
        let array = self.arrays[name].clone();
        (array.shape, array.elements)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let (_, Elements::Bytes(data)) = self.elements(name) else { panic!("{name} holds no bytes") };
        data
    }

    fn array(&self, name: &str) -> Array {
        let (shape, Elements::Floats(data)) = self.elements(name) else { panic!("{name} holds bytes") };
        Array::new(shape, data).unwrap()
    }

    /// A case as floats, on plain integers and by three parties, against TensorFlow's answer.
    fn check(&self, folder: &Path, case: &str, members: &BTreeSet<String>) -> Result<(), String> {
        let path = folder.join("graph.pb");
        std::fs::write(&path, self.bytes(&format!("{case}/graph"))).unwrap();
        let fetch = String::from_utf8(self.bytes(&format!("{case}/fetch"))).unwrap();
        let expected = self.array(&format!("{case}/output"));
        let options = ImportOptions { outputs: vec![fetch], ..ImportOptions::default() };
        let graph = from_path(&path, &options).map_err(|e| e.to_string())?;
        let inputs: Vec<Array> = graph
            .inputs
            .iter()
            .map(|&id| {
                let name = format!("input/{}", graph.node(id).name);
                assert!(members.contains(&name), "{case} has no {name}");
                self.array(&format!("{case}/{name}"))
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

    /// Every case; what is wrong with those that fail.
    pub(crate) fn failures(&self) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let one = |(case, members): (&String, &BTreeSet<String>)| {
            Some(format!("{case}: {}", self.check(folder.path(), case, members).err()?))
        };
        self.members.iter().filter_map(one).collect()
    }
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
