//! Rings, margins and scales: what is chosen, and what is refused.

use cryptflow_athos::compile::{Bounds, CompileError, CompileOptions, Progress, Ring, Scale, compile};
use cryptflow_athos::fix::FixError;
use cryptflow_athos::fix::report::CompileReport;
use cryptflow_graph::{Array, Graph, Linear, Range};
use cryptflow_operation::bits;
use cryptflow_program::{Activation, Operation, validate};

use crate::fix::executor::Naive;
use crate::fix::graphs::GRAPHS;
use crate::fix::small::{compiled, examples};

/// In every ring from the smallest that compiles, the program is valid, and one bit less is refused
/// with advice.
#[test]
fn every_ring_that_compiles_is_valid() {
    for (name, graph) in GRAPHS {
        let graph = graph();
        let attempt = |bits: u32| {
            let options = CompileOptions {
                scale: Scale::Bits(10),
                ring: Ring::Bits(bits),
                ..CompileOptions::default()
            };
            compile(&graph, Bounds::Examples(examples(&graph, 3, 5)), &options, &Naive::exact(), &mut |_| ())
        };
        let mut fits = false;
        for bits in 16..=64 {
            match attempt(bits) {
                Ok(model) => {
                    fits = true;
                    validate(model.program.clone().into_program()).unwrap();
                }
                Err(CompileError::Fix(FixError::DoesNotFit { needed, there, .. })) => {
                    assert!(!fits, "{name}: fits {} bits, but not {bits}", bits - 1);
                    assert!(needed > there && there == bits, "{name}: needs {needed} of {there}");
                }
                Err(other) => panic!("{name} in a ring of {bits}: {other}"),
            }
        }
        assert!(fits, "{name} fits no ring");
    }
}

/// What leaves the bounds of an output does not come around into them before it is four times as large.
#[test]
fn opened_values_have_room_beyond_their_bounds() {
    for (name, graph) in GRAPHS {
        let graph = graph();
        let options = CompileOptions { scale: Scale::Bits(10), ..CompileOptions::default() };
        let program = compiled(&graph, &options).program;
        for output in &program.outputs {
            let value = &program.values[output.value.0];
            let (ring, own) = (program.rings()[output.value.0], bits::ring_bits(value.low, value.high));
            assert!(ring >= own + 2, "{name}, {}: {ring} bits for {own}", output.name);
        }
    }
}

#[test]
fn margins_widen_comparisons() {
    let graph = GRAPHS.iter().find(|(n, _)| *n == "two dense layers with relu").unwrap().1();
    let bits = |margin: f64| {
        let options =
            CompileOptions { scale: Scale::Bits(12), margin: Some(margin), ..CompileOptions::default() };
        let model = compiled(&graph, &options);
        let compare = model.program.steps.iter().find_map(|s| match s.operation {
            Operation::Activation(Activation { compare_bits, .. }) => Some(compare_bits),
            _ => None,
        });
        compare.unwrap()
    };
    let none = bits(0.0);
    for margin in [1u32, 2, 5] {
        assert_eq!(bits(margin.into()), none + margin);
    }
}

/// Who asks for no margin gets another bit where values have few elements, and elsewhere what the
/// number of examples says.
#[test]
fn what_is_cheap_has_another_bit() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 100]);
    let w = g.add_constant(
        "w",
        Array::new(vec![100, 1], (0..100).map(|i| (i % 7) as f32 - 3.0).collect()).unwrap(),
    );
    let bias = g.add_constant("b", Array::vector(vec![0.0]));
    let matmul = Linear::MatMul { transpose_a: false, transpose_b: false };
    let few = g.add("few", matmul.clone(), &[x, w, bias]).unwrap();
    let relu = g.add("relu", cryptflow_graph::Activation::Relu, &[few]).unwrap();
    // What is opened is compared with nothing: it has what the margin says.
    let opened = g.add("opened", matmul, &[x, w, bias]).unwrap();
    g.add_output("relu", relu);
    g.add_output("opened", opened);
    let high = |margin: Option<f64>| {
        let model =
            compiled(&g, &CompileOptions { margin, ring: Ring::Bits(64), ..CompileOptions::default() });
        let value = &model.program.values[model.program.outputs[0].value.0];
        (value.high as f64 / f64::from(value.scale).exp2(), model.report.margin_bits)
    };
    let (default, bits) = high(None);
    let (asked, _) = high(Some(bits));
    assert!((1.9..2.1).contains(&(default / asked)), "{default} and {asked}");
}

/// The margin that was asked for is there, whatever the operations; where it is thin, the report
/// says so.
#[test]
fn margins_are_kept_and_thin_ones_told() {
    let mut told = 0;
    for (name, graph) in GRAPHS {
        let report = |margin: f64| {
            let options = CompileOptions {
                scale: Scale::Bits(12),
                margin: Some(margin),
                hide_logits: true,
                ..CompileOptions::default()
            };
            compiled(&graph(), &options).report
        };
        let warning = |report: &CompileReport| {
            let mut of_margins = report.warnings.iter().filter(|w| w.contains("bits of margin"));
            of_margins.next().cloned()
        };
        let narrow = report(0.0);
        match (narrow.thinnest().first(), warning(&narrow)) {
            (Some(&(layer, margin)), Some(warning)) if margin < 0.5 => {
                assert!(warning.contains(&format!("{layer} {margin:.2}")), "{name}: {warning}");
                told += 1;
            }
            (Some(&(_, 0.5..)) | None, None) => {}
            other => panic!("{name}: {other:?}"),
        }
        for margin in [1.0, 2.0] {
            let wide = report(margin);
            assert!(wide.thinnest().iter().all(|&(_, m)| m >= margin), "{name}: {:?}", wide.thinnest());
            assert_eq!(warning(&wide), None, "{name}");
        }
    }
    assert!(told > 0);
}

#[test]
fn a_value_that_cannot_fit_names_its_layer() {
    let graph = GRAPHS.iter().find(|(n, _)| *n == "two dense layers with relu").unwrap().1();
    let huge = vec![Range { low: -1e12, high: 1e12 }];
    let options = CompileOptions { scale: Scale::Bits(20), ..CompileOptions::default() };
    let error = compile(&graph, Bounds::Ranges(huge), &options, &Naive::exact(), &mut |_| ()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CompileError::Fix(FixError::DoesNotFit { .. })), "{text}");
    assert!(text.contains("matmul") && text.contains("64") && text.contains("--scale"), "{text}");
    assert!(text.contains("--range"), "{text}");

    // With examples and a scale that is searched for, neither is advised.
    let huge: Vec<Vec<Array>> = examples(&graph, 3, 5)
        .into_iter()
        .map(|row| {
            let larger =
                |x: Array| Array::new(x.shape.clone(), x.data.iter().map(|v| v * 1e18).collect()).unwrap();
            row.into_iter().map(larger).collect()
        })
        .collect();
    let mut said = Vec::new();
    let tried = &mut |p: Progress| said.push(p.to_string());
    let error = compile(&graph, Bounds::Examples(huge), &CompileOptions::default(), &Naive::exact(), tried);
    let text = error.unwrap_err().to_string();
    assert!(!text.contains("--scale") && !text.contains("--range") && text.contains("--margin"), "{text}");
    assert!(!said.is_empty() && said.iter().all(|line| !line.contains("--")), "{said:?}");
}

#[test]
fn options_are_checked() {
    let graph = GRAPHS[0].1();
    let attempt = |bounds: Bounds, options: CompileOptions| {
        compile(&graph, bounds, &options, &Naive::exact(), &mut |_| ()).unwrap_err().to_string()
    };
    let some = || Bounds::Examples(examples(&graph, 1, 1));
    let default = CompileOptions::default;
    assert!(attempt(Bounds::Unknown, default()).contains("--calibrate"));
    assert!(attempt(Bounds::Examples(vec![]), default()).contains("--calibrate"));
    assert!(attempt(some(), CompileOptions { scale: Scale::Bits(31), ..default() }).contains("31"));
    assert!(attempt(some(), CompileOptions { ring: Ring::Bits(65), ..default() }).contains("65"));
    assert!(attempt(some(), CompileOptions { margin: Some(-1.0), ..default() }).contains("-1"));
    assert!(attempt(some(), CompileOptions { margin: Some(f64::NAN), ..default() }).contains("NaN"));
    assert!(attempt(Bounds::Ranges(vec![]), default()).contains("0 ranges"));
    assert!(attempt(Bounds::Ranges(vec![Range { low: 1.0, high: -1.0 }]), default()).contains("not a range"));
    let mut broken = examples(&graph, 1, 1);
    std::sync::Arc::make_mut(&mut broken[0][0].data)[3] = f32::NAN;
    assert!(attempt(Bounds::Examples(broken), default()).contains("example 0"));
}
