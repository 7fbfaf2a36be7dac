//! Models of `ai.onnx.ml`, compiled.

use std::path::{Path, PathBuf};

use cryptflow::clear_runner::ClearRunner;
use cryptflow::compare::FloatModel;
use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, Scale, compile};
use cryptflow_athos::passes;
use cryptflow_graph::Range;
use cryptflow_import::{ImportOptions, from_path};
use cryptflow_program::{Operation, OutputTransform};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/data/onnx").join(name)
}

fn compiled(path: &Path, outputs: &[&str]) -> Compiled {
    let outputs = outputs.iter().map(|name| (*name).to_owned()).collect();
    let mut graph = from_path(path, &ImportOptions { outputs, ..ImportOptions::default() }).unwrap();
    passes::optimise(&mut graph);
    let bounds = Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }; graph.inputs.len()]);
    let options = CompileOptions { scale: Scale::Bits(12), ..CompileOptions::default() };
    compile(&graph, bounds, &options, &ClearRunner, &mut |_| ()).unwrap()
}

/// The client finds classes, softmax and the sigmoid of one score; and the plain model that is compared with
/// ends in the scores that it is told, which no node of the model gives.
#[test]
fn the_client_is_told_scores() {
    let path = data("tree_classifiers.onnx");
    let softmax = ["treeensembleclassifier_2", "treeensembleclassifier_2_1"];
    let sigmoid = ["treeensembleclassifier_4", "treeensembleclassifier_4_1"];
    for outputs in [softmax, sigmoid] {
        let Compiled { program, .. } = compiled(&path, &outputs);
        let transforms: Vec<_> = program.outputs.iter().map(|output| output.transform).collect();
        assert_eq!(transforms, [Some(OutputTransform::ArgMax), Some(OutputTransform::Softmax)]);
        FloatModel::read(&path, &program, None, &[]).unwrap();
    }
}

/// Two comparisons, whatever the number of trees: of splits, and of leaves on as few bits as counts have.
#[test]
fn all_trees_are_compared_at_once() {
    let program = compiled(&data("tree_classifiers.onnx"), &["treeensembleclassifier_1_1"]).program;
    let compared: Vec<u32> = (program.steps.iter())
        .filter_map(|step| match &step.operation {
            Operation::Compare(compare) => Some(compare.compare_bits),
            _ => None,
        })
        .collect();
    let &[splits, leaves] = compared.as_slice() else { panic!("{compared:?}") };
    assert!(splits > 10 && leaves <= 4, "{compared:?}");
}
