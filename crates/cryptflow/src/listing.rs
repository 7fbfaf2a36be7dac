//! What a compiled model does, layer by layer, and what it costs.

use cryptflow_engine::{Estimate, estimate, input_check, masked_anew, truncations};
use cryptflow_mpc::{Cost, CostModel};
use cryptflow_party::commitments;
use cryptflow_program::{Checked, Demand, Input, Output, demand, digest, guard, liveness};
use cryptflow_protocols::ProtocolName;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::forecast::Forecast;

/// A step, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The node of the source model.
    pub name: String,
    /// What it computes.
    pub operation: &'static str,
    /// Shape of the result.
    pub shape: Vec<usize>,
    /// Fractional bits of the result.
    pub scale: u32,
    /// Bits of the ring of the result.
    pub ring_bits: u32,
    /// Whether it lives in the large ring.
    pub wide: bool,
    /// Smallest number that the result may be.
    pub low: f64,
    /// Largest number that it may be.
    pub high: f64,
    /// Bits that a comparison looks at.
    pub compare_bits: Option<u32>,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Rounds.
    pub rounds: u64,
    /// Bytes from a party that only deals.
    pub dealt_bytes: u64,
    /// The other bytes between parties.
    pub online_bytes: u64,
}

/// All steps together.
#[derive(Clone, Debug, Serialize)]
pub struct Totals {
    /// Steps.
    pub steps: usize,
    /// Elements of all weights.
    pub parameters: u64,
    /// Bytes of each party's parts of all weights, by its index: what whoever shares them sends it.
    pub weight_bytes: Vec<u64>,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Elements that are alive at one time, at most.
    pub peak_elements: u64,
    /// Bytes that a run takes at a party, at most, about.
    pub memory: u64,
    /// Operations that a run takes at a party, about, in the time of a multiplication.
    pub work: u64,
    /// Rounds.
    pub rounds: u64,
    /// Bytes from a party that only deals.
    pub dealt_bytes: u64,
    /// The other bytes between parties.
    pub online_bytes: u64,
    /// All bytes between parties.
    pub bytes: u64,
    /// What the guard takes of all that, where there is one.
    pub guard: Option<Share>,
    /// What it takes beside all that to refuse inputs that are not within their bounds, where the client
    /// is somebody else.
    pub input_check: Share,
    /// What it takes beside all that to find out, before a run, whether the parts of its inputs go
    /// together.
    pub agreement: Share,
    /// What runs take of the network whose dealing was made ahead, where the protocol has such: the online
    /// bytes, and what masks inputs anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dealt_ahead: Option<Share>,
    /// An upper bound of the probability that a truncation of a run fails, where the protocol's
    /// can.
    pub truncation_failure: Option<f64>,
}

/// A part of what a run takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    /// Rounds.
    pub rounds: u64,
    /// Bytes between parties.
    pub bytes: u64,
}

/// A compiled model, and its costs in a protocol.
#[derive(Clone, Debug, Serialize)]
pub struct Listing<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// Digest of the program.
    pub digest: String,
    /// The protocol.
    pub protocol: &'static str,
    /// Bits of the large ring.
    pub ring_bits: u32,
    /// Fractional bits of activations.
    pub scale: u32,
    /// What a round is worth, in bits that a link carries meanwhile, where the program is for no local network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_round: Option<u64>,
    /// The inputs.
    pub inputs: &'a [Input],
    /// The outputs.
    pub outputs: &'a [Output],
    /// The steps.
    pub layers: Vec<Line>,
    /// All of them together.
    pub totals: Totals,
    /// What one run will take, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What the compiler said.
    pub report: Option<&'a serde_json::Value>,
}

/// Lists the steps of a program, and what they cost in a protocol.
///
/// # Errors
/// A program that the estimate or the digest cannot be made of.
pub fn listing<'a>(
    program: &'a Checked,
    report: Option<&'a serde_json::Value>,
    protocol: ProtocolName,
) -> Result<Listing<'a>> {
    let costs = protocol.costs(program.ring_bits, program.bits_per_round);
    let estimate = estimate(program, costs.as_ref()).map_err(Error::new)?;
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
                macs: step.operation.macs(),
                rounds: cost.rounds,
                dealt_bytes: cost.dealt(dealer),
                online_bytes: cost.online(dealer),
            })
        })
        .collect();
    let Demand { memory, work, .. } = demand(program);
    let totals = Totals {
        steps: layers.len(),
        parameters: program.weights.iter().map(|w| w.shape.iter().product::<usize>() as u64).sum(),
        weight_bytes: weight_bytes(program, costs.as_ref()),
        macs: layers.iter().map(|l| l.macs).sum(),
        peak_elements: liveness::peak_elements(program),
        memory,
        work,
        rounds: estimate.total.rounds,
        dealt_bytes: estimate.total.dealt(dealer),
        online_bytes: estimate.total.online(dealer),
        bytes: estimate.total.total(),
        guard: program.guard.map(|_| guard_share(program, &estimate)),
        input_check: input_check(program, costs.as_ref()).map_err(Error::new)?.into(),
        agreement: commitments::cost(protocol.facts().parties).into(),
        dealt_ahead: protocol.facts().ahead.then(|| {
            let anew = masked_anew(program, costs.as_ref());
            let bytes = estimate.total.online(dealer) + anew.total();
            Share { rounds: estimate.total.rounds + anew.rounds, bytes }
        }),
        truncation_failure: protocol.failure(&truncations(program)),
    };
    Ok(Listing {
        name: &program.name,
        digest: digest(program).map_err(Error::new)?.to_string(),
        protocol: protocol.name(),
        ring_bits: program.ring_bits,
        scale: program.scale,
        bits_per_round: program.bits_per_round,
        inputs: &program.inputs,
        outputs: &program.outputs,
        layers,
        totals,
        forecast: None,
        report,
    })
}

/// Bytes of each party's parts of all weights.
fn weight_bytes(program: &Checked, costs: &dyn CostModel) -> Vec<u64> {
    let mut all = Vec::new();
    for (weight, bits) in program.weights.iter().zip(program.weight_rings()) {
        let parts = costs.weight(weight.shape.iter().product(), program.ring_bits, bits);
        all.resize(parts.len(), 0);
        all.iter_mut().zip(parts).for_each(|(all, part)| *all += part);
    }
    all
}

/// What the steps of the guard take.
fn guard_share(program: &Checked, estimate: &Estimate) -> Share {
    let steps = guard::steps(program);
    let costs = estimate.steps.iter().zip(steps).filter_map(|(cost, guards)| guards.then_some(cost));
    costs.sum::<Cost>().into()
}

impl From<Cost> for Share {
    fn from(cost: Cost) -> Share {
        Share { rounds: cost.rounds, bytes: cost.total() }
    }
}
