//! Every frozen graph of the shared data, against what TensorFlow computed on the same inputs.

use super::shared::{bytes, data, difference, npy, operations, rows, without_softmax};
use cryptflow_athos::passes;
use cryptflow_graph::{Array, Graph, float};
use cryptflow_import::{self as import, ImportOptions};

/// A graph: its name, the output to ask for (none: the default), the reference, the rows to
/// compare, and the operations that the passes leave.
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
        &[("average pool", 1), ("concat", 8), ("conv", 26), ("max pool", 3), ("relu", 24), ("reshape", 1)],
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
    let Some(data) = data("frozen") else { return };
    let bytes = bytes(&data.join(format!("frozen/{}.pb", row.name)));
    let options = ImportOptions {
        outputs: row.output.map(str::to_owned).into_iter().collect(),
        ..ImportOptions::default()
    };
    let mut graph =
        import::tensorflow::import(&bytes, &options).unwrap_or_else(|e| panic!("{}: {e}", row.name));
    if row.reference == "logits" {
        graph = without_softmax(graph);
    }
    let input = npy(&data.join(format!("reference/{}/input.npy", row.name)));
    let n = row.rows.min(input.shape[0]);
    let want = rows(&npy(&data.join(format!("reference/{}/{}.npy", row.name, row.reference))), 0..n);
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
    assert_eq!(operations(&graph), row.operations, "{}: {reports:#?}", row.name);
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
