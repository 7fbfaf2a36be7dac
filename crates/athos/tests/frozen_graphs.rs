//! Every frozen graph of the shared data, against what TensorFlow computed on the same inputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptflow_athos::passes;
use cryptflow_graph::{Activation, Array, Graph, Op, float};
use cryptflow_import::{self as import, ImportOptions};

/// A graph: its name, the output to ask for (none: the default), the reference, the rows to compare, and the operations
/// that the passes leave.
struct Row {
    name: &'static str,
    output: Option<&'static str>,
    reference: &'static str,
    rows: usize,
    operations: &'static [(&'static str, usize)],
}

const fn row(
    name: &'static str,
    output: Option<&'static str>,
    reference: &'static str,
    rows: usize,
    operations: &'static [(&'static str, usize)],
) -> Row {
    Row { name, output, reference, rows, operations }
}

const TABLE: [Row; 12] = [
    row("mnist_logreg", Some("logits"), "logits", 16, &[("matmul", 1)]),
    row("secureml_a", Some("logits"), "logits", 16, &[("matmul", 3), ("relu", 2)]),
    row(
        "minionn_b",
        Some("logits"),
        "logits",
        16,
        &[("conv", 2), ("matmul", 2), ("max pool", 2), ("relu", 3), ("reshape", 2)],
    ),
    row(
        "lenet_c",
        Some("logits"),
        "logits",
        16,
        &[("conv", 2), ("matmul", 2), ("max pool", 2), ("relu", 3), ("reshape", 2)],
    ),
    row(
        "chameleon_d",
        Some("logits"),
        "logits",
        16,
        &[("conv", 1), ("matmul", 2), ("relu", 2), ("reshape", 2)],
    ),
    row(
        "lenet5_keras",
        None,
        "softmax",
        16,
        &[("conv", 2), ("matmul", 3), ("relu", 4), ("reshape", 1), ("softmax", 1), ("sum pool", 2)],
    ),
    row(
        "minionn_cifar10",
        Some("logits"),
        "logits",
        8,
        &[("average pool", 1), ("conv", 7), ("matmul", 1), ("relu", 7), ("reshape", 1), ("sum pool", 1)],
    ),
    row(
        "resnet20_cifar10",
        Some("logits"),
        "logits",
        8,
        &[("add", 9), ("conv", 19), ("matmul", 1), ("pad", 2), ("relu", 19), ("slice", 2), ("sum", 1)],
    ),
    row(
        "squeezenet_imagenet",
        Some("logits"),
        "logits",
        2,
        &[("average pool", 1), ("concat", 8), ("conv", 26), ("max pool", 3), ("relu", 26), ("reshape", 1)],
    ),
    row(
        "resnet50",
        None,
        "logits",
        1,
        &[("add", 16), ("conv", 53), ("matmul", 1), ("max pool", 1), ("relu", 49), ("sum", 1)],
    ),
    row(
        "densenet121",
        None,
        "logits",
        1,
        &[
            ("concat", 58),
            ("conv", 120),
            ("matmul", 1),
            ("max pool", 1),
            ("relu", 121),
            ("scale", 62),
            ("sum", 1),
        ],
    ),
    row(
        "mobilenet_v2",
        None,
        "logits",
        1,
        &[("add", 10), ("clipped relu", 35), ("conv", 52), ("matmul", 1), ("sum", 1)],
    ),
];

fn data() -> Option<PathBuf> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("CRYPTFLOW_DATA").map_or(near, PathBuf::from);
    let found = data.join("frozen").is_dir();
    if !found {
        println!("skipped: no frozen graphs in {}", data.display());
    }
    found.then_some(data)
}

fn bytes(data: &Path, name: &str) -> Vec<u8> {
    let plain = data.join(format!("frozen/{name}.pb"));
    if plain.exists() {
        return std::fs::read(plain).unwrap();
    }
    let packed = data.join(format!("frozen/{name}.pb.xz"));
    let unpacked = Command::new("xz").arg("-dc").arg(packed).output().expect("xz unpacks the graph");
    assert!(unpacked.status.success(), "xz: {}", String::from_utf8_lossy(&unpacked.stderr));
    unpacked.stdout
}

fn array(path: &Path) -> Array {
    let file = npyz::NpyFile::new(std::io::BufReader::new(std::fs::File::open(path).unwrap())).unwrap();
    let shape = file.shape().iter().map(|&d| d as usize).collect();
    Array::new(shape, file.into_vec::<f32>().unwrap()).unwrap()
}

/// The first rows of a batch.
fn rows(x: &Array, range: std::ops::Range<usize>) -> Array {
    let row: usize = x.shape[1..].iter().product();
    let mut shape = x.shape.clone();
    shape[0] = range.len();
    Array::new(shape, x.data[range.start * row..range.end * row].to_vec()).unwrap()
}

/// The largest difference, relative to the largest element of what was expected.
fn difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    got.iter().zip(want).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// A graph that ends in a softmax, ending in its operand.
fn without_softmax(mut graph: Graph) -> Graph {
    for output in &mut graph.outputs {
        while matches!(graph.nodes[output.0].op, Op::Identity | Op::Activation(Activation::Softmax)) {
            *output = graph.nodes[output.0].inputs[0];
        }
    }
    graph
}

fn logits(graph: &Graph, x: &Array, n: usize) -> Vec<f32> {
    let batch = graph.node(graph.inputs[0]).shape[0];
    let mut all = Vec::new();
    for start in (0..n).step_by(batch) {
        let x = rows(x, start..start + batch);
        all.extend_from_slice(&float::run(graph, &[x], &mut |_, _| ()).unwrap()[0].data);
    }
    all
}

fn check(row: &Row) {
    let Some(data) = data() else { return };
    let bytes = bytes(&data, row.name);
    let options = ImportOptions {
        outputs: row.output.map(str::to_owned).into_iter().collect(),
        ..ImportOptions::default()
    };
    let mut graph =
        import::tensorflow::import(&bytes, &options).unwrap_or_else(|e| panic!("{}: {e}", row.name));
    if row.reference == "logits" {
        graph = without_softmax(graph);
    }
    let input = array(&data.join(format!("reference/{}/input.npy", row.name)));
    let n = row.rows.min(input.shape[0]);
    let want = rows(&array(&data.join(format!("reference/{}/{}.npy", row.name, row.reference))), 0..n);
    let start = std::time::Instant::now();
    let imported = difference(&logits(&graph, &input, n), &want.data);
    println!(
        "{}: {} nodes, {imported:.1e} of the largest, {:?}",
        row.name,
        graph.nodes.len(),
        start.elapsed()
    );
    assert!(imported < 1e-3, "{}: {imported}", row.name);

    let reports = passes::optimise(&mut graph);
    let start = std::time::Instant::now();
    let optimised = difference(&logits(&graph, &input, n), &want.data);
    println!("  optimised: {} nodes, {optimised:.1e}, {:?}", graph.nodes.len(), start.elapsed());
    assert!(optimised < 1e-3, "{}: {optimised} after the passes", row.name);
    let left: Vec<&str> =
        graph.nodes.iter().map(|n| n.op.name()).filter(|n| !["input", "constant"].contains(n)).collect();
    let kinds = left.iter().fold(BTreeMap::new(), |mut kinds, op| {
        *kinds.entry(*op).or_insert(0) += 1;
        kinds
    });
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), row.operations, "{}: {reports:#?}", row.name);
}

#[test]
fn small_graphs_agree_with_tensorflow() {
    TABLE.iter().take(9).for_each(check);
}

#[test]
fn resnet50_agrees_with_tensorflow() {
    check(&TABLE[9]);
}

#[test]
fn densenet121_agrees_with_tensorflow() {
    check(&TABLE[10]);
}

#[test]
fn mobilenet_v2_agrees_with_tensorflow() {
    check(&TABLE[11]);
}
