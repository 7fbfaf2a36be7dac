//! A graph's whole way in one process: made cheaper, turned into fixed point, run on plain integers
//! and by three parties, over each protocol.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cryptflow::clear_runner::ClearRunner;
use cryptflow::fixed;
use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_athos::{answer, passes};
use cryptflow_engine::{Silent, estimate, execute};
use cryptflow_graph::{Array, Graph};
use cryptflow_mirror::{Mirror, MirrorOwner, Tuning};
use cryptflow_mpc::clear::{Clear, ClearValue};
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Error, Owner, Party, Protocol};
use cryptflow_porthos::{Porthos, PorthosOwner, Truncation};
use cryptflow_program::{Checked, repeat};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{LinkOptions, Links, local};

/// What a protocol's parties computed: for each output its name, its elements, and what one unit of
/// fixed point is in it.
pub(crate) struct Answers {
    pub(crate) protocol: &'static str,
    pub(crate) outputs: Vec<(String, Vec<f32>, f32)>,
}

/// Compiles a graph for inputs like these, and runs it on them.
pub(crate) fn run(
    mut graph: Graph,
    inputs: &[Array],
    options: &CompileOptions,
) -> Result<(Compiled, Vec<Answers>), String> {
    passes::optimise(&mut graph);
    let bounds = Bounds::Examples(examples(inputs));
    let compiled = compile(&graph, bounds, options, &ClearRunner, &mut |_| ()).map_err(|e| e.to_string())?;
    let program = &compiled.program;
    let fixed = fixed_inputs(&compiled, inputs)?;
    at_once(&compiled, &examples(inputs)).map_err(|e| format!("several runs at once: {e}"))?;
    let clear =
        ClearRunner.run(program, &compiled.weights, &fixed, &mut |_, _| ()).map_err(|e| e.to_string())?;
    let mut answers = Vec::new();
    let found = [
        ("clear", clear),
        ("mirror", mirror(&compiled, &fixed)),
        ("porthos-exact", porthos(&compiled, &fixed)),
    ];
    for (protocol, found) in found {
        let outputs = program.outputs.iter().zip(found).map(|(output, found)| {
            let value = &program.values[output.value.0];
            let unit = f32::exp2(-(value.scale as f32));
            let opened = found.iter().map(|&v| v as f32 * unit).collect();
            let opened = Array::new(value.shape.clone(), opened).map_err(|e| e.to_string())?;
            let answer = answer(output.transform, opened).map_err(|e| e.to_string())?;
            Ok((output.name.clone(), answer.data.to_vec(), unit))
        });
        answers.push(Answers { protocol, outputs: outputs.collect::<Result<_, String>>()? });
    }
    Ok((compiled, answers))
}

fn fixed_inputs(compiled: &Compiled, inputs: &[Array]) -> Result<Vec<Vec<i64>>, String> {
    let numbers: Vec<Vec<f32>> = inputs.iter().map(|x| x.data.to_vec()).collect();
    fixed::inputs(&compiled.program, &numbers).map_err(|e| e.to_string())
}

/// Runs at once give what each gives alone, where rounding is the same; in every protocol, they cost no more bytes
/// than they do one after another, and rounds that do not grow with their number.
fn at_once(compiled: &Compiled, examples: &[Vec<Array>]) -> Result<(), String> {
    const RUNS: usize = 3;
    let program = &compiled.program;
    let all = repeat(program, RUNS).map_err(|e| e.to_string())?;
    let (mut together, mut apart) = (vec![Vec::new(); program.inputs.len()], Vec::new());
    for example in examples.iter().take(RUNS) {
        let fixed = fixed_inputs(compiled, example)?;
        together.iter_mut().zip(&fixed).for_each(|(all, one)| all.extend_from_slice(one));
        apart.push(exactly(program, &compiled.weights, &fixed)?);
    }
    let together = exactly(all.program(), &compiled.weights, &together)?;
    for (index, opened) in together.iter().enumerate() {
        let apart: Vec<i64> = apart.iter().flat_map(|run| run[index].iter().copied()).collect();
        if *opened != apart {
            return Err(format!("output {index} is {opened:?}, and {apart:?} one after another"));
        }
    }
    for &protocol in ProtocolName::ALL {
        let costs = protocol.costs(program.ring_bits, program.bits_per_round);
        let cost =
            |program: &Checked| estimate(program, &*costs).map(|all| all.total).map_err(|e| e.to_string());
        let (one, all) = (cost(program)?, cost(all.program())?);
        if all.total() > RUNS as u64 * one.total() || all.rounds > one.rounds + one.rounds / 4 + 4 {
            return Err(format!("{protocol}: {RUNS} cost {all:?}, one {one:?}"));
        }
    }
    Ok(())
}

/// On plain integers, rounded to the nearest.
fn exactly(program: &Checked, weights: &[Vec<i64>], inputs: &[Vec<i64>]) -> Result<Vec<Vec<i64>>, String> {
    let ring = program.ring_bits;
    let values =
        |data: &[Vec<i64>]| data.iter().map(|x| ClearValue::from_signed(x, ring)).collect::<Vec<_>>();
    let mut clear = Clear::checked(Party::P0, ring);
    let opened = execute(&mut clear, program, &values(weights), values(inputs), &mut Silent);
    Ok(opened.map_err(|e| e.to_string())?.iter().map(ClearValue::signed).collect())
}

/// Forty inputs like the one that is there: its elements, turned round, scaled by steps up to the
/// original.
fn examples(inputs: &[Array]) -> Vec<Vec<Array>> {
    let example = |i: usize| {
        let turned = |x: &Array| {
            let n = x.data.len();
            let scale = 1.0 - (i % 10) as f32 / 20.0;
            let data = (0..n).map(|j| x.data[(j + i * 7) % n] * scale).collect();
            Array::new(x.shape.clone(), data).unwrap()
        };
        inputs.iter().map(turned).collect()
    };
    (0..40).map(example).collect()
}

fn unsigned(x: &[i64]) -> Vec<u64> {
    x.iter().map(|&v| v as u64).collect()
}

pub(crate) fn mirror(compiled: &Compiled, inputs: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let ring_bits = compiled.program.ring_bits;
    let party = |links| Mirror::new(links, &Scope::insecure_of_ring(ring_bits), Tuning::default());
    parties(&MirrorOwner::new(ring_bits), party, compiled, inputs)
}

/// With the truncation that never fails, so that the answers are Clear's but for rounding.
pub(crate) fn porthos(compiled: &Compiled, inputs: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let ring_bits = compiled.program.ring_bits;
    let party = |links| {
        Porthos::new(links, &Scope::insecure_of_ring(ring_bits), Truncation::Dealt, Default::default())
    };
    parties(&PorthosOwner::new(ring_bits), party, compiled, inputs)
}

/// Three parties in three threads. Returns what is opened: the outputs, and the guard.
fn parties<P: Protocol>(
    owner: &dyn Owner,
    party: impl Fn(Links) -> Result<P, Error> + Sync,
    compiled: &Compiled,
    inputs: &[Vec<i64>],
) -> Vec<Vec<i64>> {
    let program = &compiled.program;
    let weights: Vec<Vec<Vec<u8>>> = compiled
        .weights
        .iter()
        .zip(program.weight_rings())
        .map(|(w, bits)| owner.share_weight(&unsigned(w), bits).unwrap())
        .collect();
    let inputs: Vec<Vec<Vec<u8>>> = inputs.iter().map(|x| owner.share_value(&unsigned(x)).unwrap()).collect();
    let links = local::mesh(3, LinkOptions::default()).unwrap();
    let parts: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
        let parties: Vec<_> = links
            .into_iter()
            .enumerate()
            .map(|(i, links)| {
                let (weights, inputs, party) = (&weights, &inputs, &party);
                scope.spawn(move || {
                    let mut party = party(links).unwrap();
                    let len = |shape: &[usize]| shape.iter().product();
                    let weights: Vec<_> = weights
                        .iter()
                        .zip(&program.weights)
                        .zip(program.weight_rings())
                        .map(|((parts, w), bits)| {
                            party.receive_weight(&w.name, len(&w.shape), parts[i].clone(), bits).unwrap()
                        })
                        .collect();
                    let inputs: Vec<_> = inputs
                        .iter()
                        .zip(&program.inputs)
                        .map(|(parts, x)| {
                            let shape = &program.values[x.value.0].shape;
                            party.receive_value(&x.name, len(shape), parts[i].clone()).unwrap()
                        })
                        .collect();
                    let outputs = execute(&mut party, program, &weights, inputs, &mut Silent).unwrap();
                    outputs.iter().map(|y| party.reveal(y).unwrap()).collect()
                })
            })
            .collect();
        parties.into_iter().map(|p| p.join().unwrap()).collect()
    });
    program
        .opened()
        .enumerate()
        .map(|(i, value)| {
            let len = program.values[value.0].shape.iter().product();
            owner.open(len, &[&parts[0][i], &parts[1][i], &parts[2][i]]).unwrap()
        })
        .collect()
}
