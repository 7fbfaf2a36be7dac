//! One test: as floats, on plain integers, by three parties.

use cryptflow::clear_runner::ClearRunner;
use cryptflow::fixed::{self, decode};
use cryptflow_athos::compile::{
    Bounds, CompileError, CompileOptions, Compiled, DEFAULT_SCALE, Scale, compile,
};
use cryptflow_athos::fix::{FixError, FixedRunner};
use cryptflow_athos::{answer, passes};
use cryptflow_graph::{Array, Graph, Op, float};
use cryptflow_import::{ImportError, ImportOptions, onnx};
use prost::Message;

use crate::case::{Case, Secret, array};
use crate::whole::{mirror, porthos};

/// What became of a test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The answer is right, with these inputs secret.
    Passed(Secret),
    /// The answer is right, and no input is secret: it is known when compiling.
    Known,
    /// It cannot be computed; why.
    Unsupported(String),
    /// The answer is wrong, or something broke.
    Failed(String),
}

/// The verdicts on floats, on plain integers, and on three parties over each protocol.
pub(crate) fn judge(case: &Case) -> [Verdict; 4] {
    if !case.skip.is_empty() {
        return [(); 4].map(|()| Verdict::Unsupported(format!("the test is of {}", case.skip)));
    }
    let expected: Vec<Array> = case.output.iter().map(array).collect();
    let mut floats: Option<Verdict> = None;
    let mut refusals = [const { None }; 2];
    for secret in Secret::ALL {
        let (model, inputs) = case.with(secret);
        let graph = match onnx::import(&model.encode_to_vec(), None, &ImportOptions::default()) {
            Ok(graph) => graph,
            Err(ImportError::Unsupported(nodes)) => {
                // What only the public inputs allow says most.
                if secret <= Secret::Floats || refusals[0].is_none() {
                    let reason = nodes.iter().find(|n| n.op != "output").unwrap_or(&nodes[0]);
                    refusals[0] = Some(format!("{}: {}", reason.op, reason.reason));
                }
                continue;
            }
            Err(error) => {
                refusals[0] = Some(error.to_string());
                continue;
            }
        };
        let inputs: Vec<Array> = graph
            .inputs
            .iter()
            .map(|&id| inputs.iter().find(|(name, _)| *name == graph.node(id).name).unwrap().1.clone())
            .collect();
        let refused = graph.inputs.iter().zip(&inputs).any(|(&id, x)| {
            let none = |classes| x.data.iter().any(|&v| v < 0.0 || v >= classes as f32);
            graph.classes(id).is_some_and(none)
        });
        if refused {
            refusals[0] = Some("a client gives no ids that count from the end, or that there are not".into());
            continue;
        }
        let known = graph.outputs.iter().all(|&id| matches!(graph.node(id).op, Op::Constant(_)));
        if floats.is_none() {
            let verdict = match as_floats(&graph, &inputs, &expected, case) {
                Ok(()) if known => Verdict::Known,
                Ok(()) => Verdict::Passed(secret),
                Err(_) if !finite(case) => {
                    Verdict::Unsupported("the test is of infinities, which fixed point does not have".into())
                }
                Err(reason) => Verdict::Failed(format!("{secret:?} secret: {reason}")),
            };
            if known || matches!(verdict, Verdict::Failed(_) | Verdict::Unsupported(_)) {
                return [(); 4].map(|()| verdict.clone());
            }
            floats = Some(verdict);
        }
        if known {
            break;
        }
        match compiled(graph, &inputs) {
            Ok(compiled) => {
                let floats = floats.unwrap_or(Verdict::Passed(secret));
                let [clear, mirror, porthos] =
                    run(&compiled, &inputs, &expected).map(|result| match result {
                        Ok(()) => Verdict::Passed(secret),
                        Err(reason) => Verdict::Failed(format!("{secret:?} secret: {reason}")),
                    });
                return [floats, clear, mirror, porthos];
            }
            Err(reason) => {
                refusals[1].get_or_insert(reason);
            }
        }
    }
    let [import, fix] = refusals;
    let import = Verdict::Unsupported(import.unwrap_or_default());
    let (floats, others) = match (floats, fix) {
        (Some(floats), Some(fix)) => (floats, Verdict::Unsupported(fix)),
        (Some(floats), None) => (floats, import),
        (None, _) => (import.clone(), import),
    };
    [floats, others.clone(), others.clone(), others]
}

/// Whether all numbers of a test are numbers.
fn finite(case: &Case) -> bool {
    case.value.iter().chain(&case.output).all(|t| array(t).data.iter().all(|v| v.is_finite()))
}

fn as_floats(graph: &Graph, inputs: &[Array], expected: &[Array], case: &Case) -> Result<(), String> {
    let mut graph = graph.clone();
    let (relative, absolute) = if case.short == 1 { (4e-3, 4e-3) } else { (1e-3, 1e-5) };
    for what in ["as imported", "after the passes"] {
        let found = float::run(&graph, inputs, &mut |_, _| ()).map_err(|e| format!("{what}: {e}"))?;
        for ((found, expected), name) in found.iter().zip(expected).zip(&graph.output_names) {
            if found.shape != expected.shape {
                return Err(format!("{what}: {name} has shape {:?}, not {:?}", found.shape, expected.shape));
            }
            let largest = expected.data.iter().filter(|v| v.is_finite()).fold(1f32, |m, v| m.max(v.abs()));
            near(&found.data, &expected.data, |e| absolute * largest + relative * e.abs())
                .map_err(|e| format!("{what}: {name}: {e}"))?;
        }
        if what == "as imported" {
            passes::optimise(&mut graph);
        }
    }
    Ok(())
}

/// Whether numbers are as near as they must be; infinities and what is no number must be the same.
fn near(found: &[f32], expected: &[f32], allowed: impl Fn(f32) -> f32) -> Result<(), String> {
    let wrong = |(a, e): &(&f32, &f32)| {
        let same = a == e || (a.is_nan() && e.is_nan());
        let far = (*a - *e).abs();
        !same && (far.is_nan() || far > allowed(**e))
    };
    match found.iter().zip(expected).position(|pair| wrong(&pair)) {
        None => Ok(()),
        Some(i) => Err(format!("element {i} is {}, not {}", found[i], expected[i])),
    }
}

/// Calibrated on the test's own inputs. What the search takes for enough suits classes; here every
/// element counts.
fn compiled(mut graph: Graph, inputs: &[Array]) -> Result<Compiled, String> {
    passes::optimise(&mut graph);
    let compile = |scale: Scale| {
        let bounds = Bounds::Examples(vec![inputs.to_vec()]);
        let options = CompileOptions { scale, ..CompileOptions::default() };
        compile(&graph, bounds, &options, &ClearRunner, &mut |_| ())
    };
    let refused = |error: CompileError| match error {
        CompileError::Fix(FixError::Unsupported(nodes)) => {
            nodes.first().map(|n| format!("{}: {}", n.operation, n.reason)).unwrap_or_default()
        }
        other => other.to_string(),
    };
    let found = compile(Scale::Auto).map_err(refused)?;
    match found.program.scale {
        ..DEFAULT_SCALE => Ok(compile(Scale::Bits(DEFAULT_SCALE)).unwrap_or(found)),
        _ => Ok(found),
    }
}

/// On plain integers, and by three parties.
fn run(compiled: &Compiled, inputs: &[Array], expected: &[Array]) -> [Result<(), String>; 3] {
    let program = &compiled.program;
    let numbers: Vec<Vec<f32>> = inputs.iter().map(|x| x.data.to_vec()).collect();
    let fixed = fixed::inputs(program, &numbers).unwrap();
    let clear =
        ClearRunner.run(program, &compiled.weights, &fixed, &mut |_, _| ()).map_err(|e| e.to_string());
    let check = |found: Vec<Vec<i64>>| {
        for ((output, found), expected) in program.outputs.iter().zip(found).zip(expected) {
            let value = &program.values[output.value.0];
            let opened = Array::new(value.shape.clone(), decode(&found, value.scale)).unwrap();
            let found = answer(output.transform, opened).map_err(|e| e.to_string())?.data;
            if found.len() != expected.data.len() {
                return Err(format!("{} has {} elements", output.name, found.len()));
            }
            near(&found, &expected.data, |e| 0.02f32.max(0.01 * e.abs()))
                .map_err(|e| format!("{}: {e} (scale {})", output.name, program.scale))?;
        }
        Ok(())
    };
    [clear.and_then(check), check(mirror(compiled, &fixed)), check(porthos(compiled, &fixed))]
}
