//! One network in several forms gives one program, up to names.
//! `models/testgraphs/onnx_from_frozen.py` makes the ONNX form of one.

use std::path::{Path, PathBuf};

use cryptflow::clear_runner::ClearRunner;
use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, Scale, compile};
use cryptflow_athos::passes;
use cryptflow_graph::Range;
use cryptflow_import::{ImportOptions, from_path};
use cryptflow_program::Program;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/data").join(name)
}

fn compiled(path: &Path) -> Compiled {
    let name = path.display();
    let mut graph = from_path(path, &ImportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    passes::optimise(&mut graph);
    let bounds = Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }; graph.inputs.len()]);
    let options = CompileOptions { scale: Scale::Bits(12), ..CompileOptions::default() };
    compile(&graph, bounds, &options, &ClearRunner, &mut |_| ()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn nameless(mut program: Program) -> Program {
    let names = program.values.iter_mut().map(|v| &mut v.name);
    let names = names.chain(program.weights.iter_mut().map(|w| &mut w.name));
    let names = names.chain(program.steps.iter_mut().map(|s| &mut s.name));
    let names = names.chain(program.inputs.iter_mut().map(|i| &mut i.name));
    let names = names.chain(program.outputs.iter_mut().map(|o| &mut o.name));
    names.chain([&mut program.name]).for_each(String::clear);
    program
}

/// Files of one network each.
const NETWORKS: &[&[&str]] = &[&["saved_models/keras.pb", "saved_models/keras", "saved_models/keras.onnx"]];

#[test]
fn forms_of_one_network() {
    for forms in NETWORKS {
        let forms: Vec<PathBuf> = forms.iter().map(|name| data(name)).collect();
        same(&forms);
    }
}

/// Any network: `CRYPTFLOW_SAME_PROGRAM` names its forms, with colons between.
#[test]
fn forms_of_a_network_from_outside() {
    match std::env::var_os("CRYPTFLOW_SAME_PROGRAM") {
        Some(forms) => same(&std::env::split_paths(&forms).collect::<Vec<_>>()),
        None => println!("skipped: CRYPTFLOW_SAME_PROGRAM names no models"),
    }
}

fn same(forms: &[PathBuf]) {
    let first = compiled(&forms[0]);
    let program = nameless(first.program.clone().into_program());
    assert!(program.steps.len() > 5, "{}", forms[0].display());
    for form in &forms[1..] {
        let other = compiled(form);
        let found = nameless(other.program.into_program());
        let form = form.display();
        for (step, want) in found.steps.iter().zip(&program.steps) {
            assert_eq!(step, want, "{form}");
        }
        assert!(found == program, "{form}: another program");
        for ((found, want), weight) in other.weights.iter().zip(&first.weights).zip(&program.weights) {
            let differ = found.iter().zip(want).filter(|(a, b)| a != b).count();
            let far = found.iter().zip(want).map(|(a, b)| a.abs_diff(*b)).max();
            assert_eq!(
                differ, 0,
                "{form}: a weight of the shape {:?} differs by up to {far:?}",
                weight.shape
            );
        }
    }
}
