//! Every ONNX model of the shared data, against what TensorFlow computed on the same inputs with
//! the network that it was made from.

use super::shared::{self, bytes, data, npy, without_softmax};
use cryptflow_athos::passes;
use cryptflow_graph::{Array, Graph, Op, float};
use cryptflow_import::{self as import, ImportOptions};

/// A model: its name, and the operations that the passes leave.
type Row = (&'static str, &'static [(&'static str, usize)]);

const TABLE: [Row; 6] = [
    ("lenet_c", &[("conv", 2), ("matmul", 2), ("max pool", 2), ("relu", 3), ("reshape", 2)]),
    (
        "resnet20_cifar10",
        &[
            ("add", 9),
            ("conv", 19),
            ("matmul", 1),
            ("pad", 2),
            ("relu", 19),
            ("slice", 2),
            ("sum", 1),
            ("transpose", 1),
        ],
    ),
    (
        "squeezenet_imagenet",
        &[
            ("average pool", 1),
            ("concat", 8),
            ("conv", 26),
            ("max pool", 3),
            ("relu", 24),
            ("reshape", 1),
            ("transpose", 1),
        ],
    ),
    (
        "resnet50",
        &[
            ("add", 16),
            ("conv", 53),
            ("matmul", 1),
            ("max pool", 1),
            ("relu", 49),
            ("sum", 1),
            ("transpose", 1),
        ],
    ),
    (
        "densenet121",
        &[
            ("concat", 58),
            ("conv", 120),
            ("matmul", 1),
            ("max pool", 1),
            ("relu", 121),
            ("scale", 62),
            ("sum", 1),
            ("transpose", 1),
        ],
    ),
    ("mobilenet_v2", &[("add", 10), ("clipped relu", 35), ("conv", 52), ("matmul", 1), ("sum", 1)]),
];

/// One picture, in the order of axes that the graph takes.
fn picture(graph: &Graph, all: &Array) -> Array {
    let mut shape = all.shape.clone();
    shape[0] = 1;
    let n: usize = shape.iter().product();
    let one = Array::new(shape, all.data[..n].to_vec()).unwrap();
    if graph.node(graph.inputs[0]).shape == one.shape {
        return one;
    }
    let permutation = vec![0, 3, 1, 2];
    Op::Movement(cryptflow_ring::Movement::Transpose { permutation }).evaluate(&[&one]).unwrap()
}

/// The largest difference, relative to the largest element of what was expected.
fn difference(graph: &Graph, x: &Array, want: &Array) -> f32 {
    let got = float::run(graph, std::slice::from_ref(x), &mut |_, _| ()).unwrap().remove(0);
    shared::difference(&got.data, &want.data[..got.data.len()])
}

#[test]
fn agree_with_tensorflow() {
    let Some(data) = data("onnx") else { return };
    for (name, operations) in TABLE {
        let graph = import::onnx::import(
            &bytes(&data.join(format!("onnx/{name}.onnx"))),
            None,
            &ImportOptions::default(),
        );
        let mut graph = without_softmax(graph.unwrap_or_else(|e| panic!("{name}: {e}")));
        let x = picture(&graph, &npy(&data.join(format!("reference/{name}/input.npy"))));
        let want = npy(&data.join(format!("reference/{name}/logits.npy")));
        let imported = difference(&graph, &x, &want);
        passes::optimise(&mut graph);
        let optimised = difference(&graph, &x, &want);
        println!("{name}: imported {imported:.1e}, optimised {optimised:.1e} of the largest");
        assert!(imported < 1e-3 && optimised < 1e-3, "{name}: {imported} {optimised}");
        assert_eq!(shared::operations(&graph), operations, "{name}");
    }
}
