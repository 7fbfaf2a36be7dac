//! The networks of the shared data, which are not there everywhere, and their references.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptflow_arrays::npy;
use cryptflow_graph::{Activation, Array, Graph, Op};

/// The shared data, where it holds such models.
pub(crate) fn data(kind: &str) -> Option<PathBuf> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("CRYPTFLOW_DATA").map_or(near, PathBuf::from);
    let found = data.join(kind).is_dir();
    if !found {
        println!("skipped: there is no {kind} in {}", data.display());
    }
    found.then_some(data)
}

/// The bytes of a file, or of the packed one beside it.
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    if path.exists() {
        return std::fs::read(path).unwrap();
    }
    let packed = format!("{}.xz", path.display());
    let unpacked = Command::new("xz").arg("-dc").arg(packed).output().expect("xz unpacks the model");
    assert!(unpacked.status.success(), "xz: {}", String::from_utf8_lossy(&unpacked.stderr));
    unpacked.stdout
}

/// An array of floats in an `.npy`.
pub(crate) fn npy(path: &Path) -> Array {
    let bytes = std::fs::read(path).unwrap();
    let found = npy::read_npy(bytes.as_slice(), bytes.len() as u64, true).unwrap();
    let npy::Elements::Floats(data) = found.elements else { panic!("{}: bytes", path.display()) };
    Array::new(found.shape, data).unwrap()
}

/// The first rows of a batch.
pub(crate) fn rows(x: &Array, range: std::ops::Range<usize>) -> Array {
    let row: usize = x.shape[1..].iter().product();
    let mut shape = x.shape.clone();
    shape[0] = range.len();
    Array::new(shape, x.data[range.start * row..range.end * row].to_vec()).unwrap()
}

/// The largest difference, relative to the largest element of what was expected.
pub(crate) fn difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    got.iter().zip(want).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// A graph that ends in a softmax, ending in its operand.
pub(crate) fn without_softmax(mut graph: Graph) -> Graph {
    for output in &mut graph.outputs {
        while matches!(graph.nodes[output.0].op, Op::Identity | Op::Activation(Activation::Softmax)) {
            *output = graph.nodes[output.0].inputs[0];
        }
    }
    graph
}

/// How many nodes of each operation a graph has, beside inputs and constants.
pub(crate) fn operations(graph: &Graph) -> Vec<(&str, usize)> {
    let names = graph.nodes.iter().map(|n| n.op.name()).filter(|n| !["input", "constant"].contains(n));
    let kinds = names.fold(BTreeMap::new(), |mut kinds, op| {
        *kinds.entry(op).or_insert(0) += 1;
        kinds
    });
    kinds.into_iter().collect()
}
