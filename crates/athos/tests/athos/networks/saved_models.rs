//! The SavedModels of the shared data, against what TensorFlow computed.

use std::process::Command;

use super::shared::{data, difference, npy};
use cryptflow_athos::passes;
use cryptflow_graph::{Array, float};
use cryptflow_import::{ImportOptions, from_path};

/// A network of the shared data, the reference and the rows to compare.
fn check(name: &str, reference: &str, rows: usize) {
    let Some(data) = data("saved_model") else { return };
    let unpacked = tempfile::tempdir().unwrap();
    let plain = data.join("saved_model").join(name);
    let model = if plain.is_dir() {
        plain
    } else {
        let packed = data.join(format!("saved_model/{name}.tar.xz"));
        let tar = Command::new("tar").arg("-xJf").arg(packed).arg("-C").arg(unpacked.path()).status();
        assert!(tar.expect("tar unpacks the model").success());
        unpacked.path().join(name)
    };
    let mut graph = from_path(&model, &ImportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let input = npy(&data.join(format!("reference/{name}/input.npy")));
    let want = npy(&data.join(format!("reference/{name}/{reference}.npy")));
    let classes: usize = want.shape[1..].iter().product();
    for output in 0..graph.outputs.len() {
        if graph.node(graph.outputs[output]).shape.iter().product::<usize>() == classes
            && (reference == "softmax" || graph.output_names[output] == reference)
        {
            graph.outputs = vec![graph.outputs[output]];
            graph.output_names = vec![graph.output_names[output].clone()];
            break;
        }
    }
    passes::optimise(&mut graph);
    let row: usize = input.shape[1..].iter().product();
    let shape = graph.node(graph.inputs[0]).shape.clone();
    for i in 0..rows {
        let x = Array::new(shape.clone(), input.data[i * row..(i + 1) * row].to_vec()).unwrap();
        let found = &float::run(&graph, &[x], &mut |_, _| ()).unwrap()[0];
        let want = &want.data[i * classes..(i + 1) * classes];
        let far = difference(&found.data, want);
        assert!(far < 1e-3, "{name}, row {i}: {far}");
    }
    println!("{name}: {rows} rows agree, {} nodes", graph.nodes.len());
}

#[test]
fn shared_models_agree_with_tensorflow() {
    for name in [
        "mnist_logreg",
        "secureml_a",
        "minionn_b",
        "lenet_c",
        "chameleon_d",
        "minionn_cifar10",
        "resnet20_cifar10",
    ] {
        check(name, "logits", 4);
    }
    check("lenet5_keras", "softmax", 4);
    check("squeezenet_imagenet", "logits", 1);
}

#[test]
fn shared_keras_applications_agree_with_tensorflow() {
    for name in ["resnet50", "densenet121", "mobilenet_v2"] {
        check(name, "softmax", 1);
    }
}
