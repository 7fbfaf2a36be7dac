//! `cryptflow inspect`: what a compiled model does, layer by layer, and what it will cost.

use std::path::PathBuf;

use clap::Args;
use cryptflow::error::{Error, Result};
use cryptflow_athos::fix::report::FunctionReport;
use cryptflow_engine::{Estimate, estimate, truncations};
use cryptflow_figures::table::{bytes, count, shape, with_header};
use cryptflow_mpc::Cost;
use cryptflow_program::file::Model;
use cryptflow_program::{
    Linear, Operation, Output, OutputTransform, Product, Program, Step, digest, guard, liveness,
};
use cryptflow_protocols::ProtocolName;
use serde::Serialize;

use super::protocol;

/// Show a compiled model: layers, shapes, scales, bounds, costs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model.
    model: PathBuf,
    /// The protocol whose costs are shown.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// A step, as it is shown.
#[derive(Serialize)]
struct Line {
    name: String,
    operation: &'static str,
    shape: Vec<usize>,
    /// Fractional bits of the result.
    scale: u32,
    /// Bits of the ring of the result.
    ring_bits: u32,
    wide: bool,
    /// Bounds of the result, in real numbers.
    low: f64,
    high: f64,
    /// Bits that a comparison looks at.
    compare_bits: Option<u32>,
    macs: u64,
    rounds: u64,
    dealt_bytes: u64,
    online_bytes: u64,
}

#[derive(Serialize)]
struct Totals {
    steps: usize,
    parameters: u64,
    macs: u64,
    peak_elements: u64,
    rounds: u64,
    dealt_bytes: u64,
    online_bytes: u64,
    bytes: u64,
    /// What the guard takes of all that, where there is one.
    guard: Option<Share>,
    /// An upper bound of the probability that a truncation of a run fails, where the protocol's
    /// can.
    truncation_failure: Option<f64>,
}

/// A part of what a run takes.
#[derive(Serialize)]
struct Share {
    rounds: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Listing<'a> {
    name: &'a str,
    digest: String,
    protocol: &'static str,
    ring_bits: u32,
    scale: u32,
    inputs: &'a [cryptflow_program::Input],
    outputs: &'a [Output],
    layers: Vec<Line>,
    totals: Totals,
    report: Option<&'a serde_json::Value>,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let model = super::model::read(&arguments.model)?;
    let costs = arguments.protocol.costs(model.program.ring_bits);
    let estimate = estimate(&model.program, costs.as_ref()).map_err(Error::new)?;
    let listing = listing(&model, &estimate, arguments.protocol)?;
    if arguments.json {
        super::print(&serde_json::to_string_pretty(&listing).map_err(Error::new)?)
    } else {
        super::print(&text(&listing, &model.program))
    }
}

fn listing<'a>(model: &'a Model, estimate: &Estimate, protocol: ProtocolName) -> Result<Listing<'a>> {
    let program = &model.program;
    let dealer = protocol.facts().dealer;
    let rings = program.rings();
    let layers: Vec<Line> = program
        .steps
        .iter()
        .zip(&estimate.steps)
        .filter_map(|(step, cost)| {
            let value = program.values.get(step.output.0)?;
            let real = |v: i64| v as f64 / f64::from(value.scale).exp2();
            Some(Line {
                name: step.name.clone(),
                operation: step.operation.name(),
                shape: value.shape.clone(),
                scale: value.scale,
                ring_bits: rings.get(step.output.0).copied().unwrap_or(program.ring_bits),
                wide: value.wide,
                low: real(value.low),
                high: real(value.high),
                compare_bits: step.operation.compare_bits(),
                macs: macs(step),
                rounds: cost.rounds,
                dealt_bytes: cost.dealt(dealer),
                online_bytes: cost.online(dealer),
            })
        })
        .collect();
    let totals = Totals {
        steps: layers.len(),
        parameters: program.weights.iter().map(|w| w.shape.iter().product::<usize>() as u64).sum(),
        macs: layers.iter().map(|l| l.macs).sum(),
        peak_elements: liveness::peak_elements(program),
        rounds: estimate.total.rounds,
        dealt_bytes: estimate.total.dealt(dealer),
        online_bytes: estimate.total.online(dealer),
        bytes: estimate.total.total(),
        guard: program.guard.map(|_| guard_share(program, estimate)),
        truncation_failure: protocol.failure(&truncations(program)),
    };
    Ok(Listing {
        name: &program.name,
        digest: digest(program).map_err(Error::new)?.to_string(),
        protocol: protocol.name(),
        ring_bits: program.ring_bits,
        scale: program.scale,
        inputs: &program.inputs,
        outputs: &program.outputs,
        layers,
        totals,
        report: model.report.as_ref(),
    })
}

/// What the steps of the guard take.
fn guard_share(program: &Program, estimate: &Estimate) -> Share {
    let steps = guard::steps(program);
    let costs = estimate.steps.iter().zip(steps).filter_map(|(cost, guards)| guards.then_some(cost));
    let total: Cost = costs.sum();
    Share { rounds: total.rounds, bytes: total.total() }
}

fn macs(step: &Step) -> u64 {
    match &step.operation {
        Operation::Linear(Linear { terms, .. }) => terms.iter().map(|t| t.map.macs()).sum(),
        Operation::Product(Product { map, .. }) => map.macs(),
        // Nothing else multiplies numbers of a ring with each other.
        _ => 0,
    }
}

fn text(listing: &Listing<'_>, program: &Program) -> String {
    let mut text = format!(
        "{}: ring of {} bits, {} fractional bits, digest {}\n",
        listing.name, listing.ring_bits, listing.scale, listing.digest
    );
    for input in listing.inputs {
        let dimensions = program.values.get(input.value.0).map_or(String::new(), |v| shape(&v.shape));
        text += &format!("input {} {dimensions}, from {:.4} to {:.4}\n", input.name, input.low, input.high);
    }
    for output in listing.outputs {
        let dimensions = program.values.get(output.value.0).map_or(String::new(), |v| shape(&v.shape));
        let client = match output.transform {
            Some(OutputTransform::Softmax) => ", the client applies softmax",
            Some(OutputTransform::ArgMax) => ", the client applies arg-max",
            Some(OutputTransform::TopK { .. }) => ", the client takes the first few",
            Some(OutputTransform::Class { .. }) => ", the index of a class",
            None => "",
        };
        text += &format!("output {} {dimensions}{client}\n", output.name);
    }
    text.push('\n');
    let nothing = |n: u64, shown: String| if n == 0 { String::new() } else { shown };
    let rows = listing.layers.iter().enumerate().map(|(index, l)| {
        [
            index.to_string(),
            l.operation.to_string(),
            shape(&l.shape),
            l.ring_bits.to_string(),
            format!("{:.4}", l.low),
            format!("{:.4}", l.high),
            l.compare_bits.map_or(String::new(), |b| b.to_string()),
            nothing(l.macs, count(l.macs)),
            nothing(l.dealt_bytes, bytes(l.dealt_bytes)),
            nothing(l.online_bytes, bytes(l.online_bytes)),
            nothing(l.rounds, l.rounds.to_string()),
            l.name.clone(),
        ]
    });
    let header = [
        "",
        "operation",
        "shape",
        "ring",
        "from",
        "to",
        "bits",
        "MACs",
        "dealt",
        "online",
        "rounds",
        "layer",
    ];
    text += &with_header(header, rows, 3..11);
    let t = &listing.totals;
    text += &format!(
        "\n{} steps, {} parameters, {} multiplications, at most {} values at a time\n{}: {} a run ({} dealt, {} online), {} rounds\n",
        t.steps,
        count(t.parameters),
        count(t.macs),
        count(t.peak_elements),
        listing.protocol,
        bytes(t.bytes),
        bytes(t.dealt_bytes),
        bytes(t.online_bytes),
        t.rounds
    );
    text += &match &t.guard {
        Some(guard) => format!(
            "guard: a run in which a value leaves its bounds gives no output; of the above it takes {} and {} rounds\n",
            bytes(guard.bytes),
            guard.rounds
        ),
        None => String::new(),
    };
    text += &functions(listing.report);
    if let Some(failure) = t.truncation_failure {
        let never: Vec<String> = ProtocolName::usual().map(|protocol| format!("{protocol}'s")).collect();
        text += &format!(
            "a truncation of a run fails with a probability of at most {failure:.1e}; {} never does\n",
            never.join(" and ")
        );
    }
    text
}

/// The functions that polynomials stand for, with the range that they are made for and the largest
/// error there.
fn functions(report: Option<&serde_json::Value>) -> String {
    let functions = report.and_then(|r| r.get("functions")).cloned().unwrap_or_default();
    let functions: Vec<FunctionReport> = serde_json::from_value(functions).unwrap_or_default();
    if functions.is_empty() {
        return String::new();
    }
    // What is next to zero is not zero.
    let end = |v: f64| if v != 0.0 && v.abs() < 1e-3 { format!("{v:.1e}") } else { format!("{v:.4}") };
    let rows = functions.into_iter().map(|f| {
        [
            f.function,
            end(f.low),
            end(f.high),
            f.pieces.to_string(),
            f.degree.to_string(),
            format!("{:.1e}", f.largest_error),
            f.zero_below.map_or(String::new(), end),
            f.name,
        ]
    });
    let header = ["function", "from", "to", "pieces", "degree", "largest error", "zero below", "of"];
    format!("\n{}", with_header(header, rows, 1..7))
}
