//! Sessions: three threads that run problems, and what they saw.

use std::thread::{self, ScopedJoinHandle};

use cryptflow_wire::{LinkMeter, LinkOptions, Links, Watch, local, tcp};

use super::judge;
use super::problem::{Problem, elements, relu, scale_public};
use super::{Report, Subject, Transport};
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Cost, Definition, Error, Owner, Party, Protocol};

/// Elements that one session may hold: its problems are shared before it begins.
const SESSION: usize = 1 << 21;

/// A party's meters.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    /// What the protocol reports.
    pub(super) metered: Cost,
    /// What the links counted.
    pub(super) links: Vec<LinkMeter>,
    /// The round clock.
    pub(super) rounds: u64,
}

/// What a party brought back from a problem.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Before the first step and after each.
    pub(super) snapshots: Vec<Snapshot>,
    /// The party's message to a client, for each input and each step.
    pub(super) revealed: Vec<Vec<u8>>,
}

/// What an owner hands to one party for one problem.
#[derive(Default)]
struct Parts {
    inputs: Vec<Vec<u8>>,
    weights: Vec<Vec<u8>>,
}

/// Runs problems, many in one session where they share a ring, and judges them.
pub(super) fn run_all<D: Definition + Sync>(
    subject: &Subject<'_, D>,
    problems: impl Iterator<Item = Problem>,
    report: &mut Report,
) {
    let mut batch: Vec<Problem> = Vec::new();
    let mut held = 0;
    for problem in problems {
        let other_ring = batch.first().is_some_and(|first| first.ring_bits != problem.ring_bits);
        if !batch.is_empty() && (other_ring || held + problem.weight_of_data() > SESSION) {
            run_batch(subject, &batch, report);
            batch.clear();
            held = 0;
        }
        held += problem.weight_of_data();
        batch.push(problem);
    }
    if !batch.is_empty() {
        run_batch(subject, &batch, report);
    }
}

fn run_batch<D: Definition + Sync>(subject: &Subject<'_, D>, batch: &[Problem], report: &mut Report) {
    report.problems += batch.len();
    let Some(ring_bits) = batch.first().map(|p| p.ring_bits) else { return };
    // What follows a warm-up is the steady state: no message of the set-up is the longest chain.
    let warm_up = warm_up(ring_bits, subject);
    let all: Vec<&Problem> = std::iter::once(&warm_up).chain(batch).collect();
    let records = match run_session(subject, ring_bits, &all) {
        Ok(records) => records,
        Err(failure) => return report.failures.push(format!("K={ring_bits}: {failure}")),
    };
    let mut records: Vec<_> = records.into_iter().map(Vec::into_iter).collect();
    for (i, problem) in all.into_iter().enumerate() {
        let Some(records) = records.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>() else { break };
        if i > 0 {
            report.operations += problem.steps.len();
            judge::judge(subject, problem, &records, &mut report.failures);
        }
    }
}

fn warm_up<D: Definition + Sync>(ring_bits: u32, subject: &Subject<'_, D>) -> Problem {
    let mut problem = Problem::new("warm-up", ring_bits, subject.traits.local_truncation);
    let x = problem.input(vec![1, 0, -1]);
    problem.step(scale_public(&[2], 1), &[x]);
    problem.step(relu(2, true), &[x]);
    problem
}

fn share<D: Definition + Sync>(owner: &D::Owner, problem: &Problem) -> Result<Vec<Parts>, Error> {
    let mut parts: Vec<Parts> = (0..D::FACTS.parties).map(|_| Parts::default()).collect();
    for x in &problem.inputs {
        let made = owner.share_value(&elements(x, problem.ring_bits))?;
        parts.iter_mut().zip(made).for_each(|(party, part)| party.inputs.push(part));
    }
    for (w, bits) in problem.weights.iter().zip(problem.weight_rings()) {
        let made = owner.share_weight(&elements(w, problem.ring_bits), bits)?;
        parts.iter_mut().zip(made).for_each(|(party, part)| party.weights.push(part));
    }
    Ok(parts)
}

fn run_session<D: Definition + Sync>(
    subject: &Subject<'_, D>,
    ring_bits: u32,
    problems: &[&Problem],
) -> Result<Vec<Vec<Record>>, String> {
    let owner = subject.definition.owner(ring_bits);
    let mut parts: Vec<Vec<Parts>> = (0..D::FACTS.parties).map(|_| Vec::new()).collect();
    for problem in problems {
        let made =
            share::<D>(&owner, problem).map_err(|e| format!("{}: sharing failed: {e}", problem.name))?;
        parts.iter_mut().zip(made).for_each(|(party, part)| party.push(part));
    }
    let options = LinkOptions::default();
    let links = match subject.transport {
        Transport::InProcess => local::mesh(D::FACTS.parties, options),
        Transport::Tcp => tcp::mesh_on_loopback(D::FACTS.parties, options),
    };
    let links = links.map_err(|e| format!("the parties cannot be linked: {e}"))?;
    let outcomes = thread::scope(|scope| {
        let start = |(parts, links)| scope.spawn(move || party(subject, ring_bits, links, problems, parts));
        let threads: Vec<_> = parts.into_iter().zip(links).map(start).collect();
        let join = |t: ScopedJoinHandle<'_, _>| t.join().unwrap_or_else(|_| Err((true, "panicked".into())));
        threads.into_iter().map(join).collect::<Vec<Result<Vec<Record>, Failure>>>()
    });
    let failed: Vec<(bool, String)> = Party::all(D::FACTS.parties)
        .zip(&outcomes)
        .filter_map(|(p, o)| o.as_ref().err().map(|(own, e)| (*own, format!("{p}: {e}"))))
        .collect();
    // A party that fails breaks its links: the others' errors are echoes, unless there is nothing
    // else.
    let any_own = failed.iter().any(|(own, _)| *own);
    let causes: Vec<String> =
        failed.into_iter().filter(|(own, _)| *own || !any_own).map(|(_, e)| e).collect();
    if !causes.is_empty() {
        return Err(causes.join("; "));
    }
    Ok(outcomes.into_iter().map(Result::unwrap_or_default).collect())
}

/// A failure, and whether it is the party's own (and not that of a link).
type Failure = (bool, String);

fn party<D: Definition + Sync>(
    subject: &Subject<'_, D>,
    ring_bits: u32,
    links: Links,
    problems: &[&Problem],
    parts: Vec<Parts>,
) -> Result<Vec<Record>, Failure> {
    let watch = links.watch();
    let index = links.index();
    let named = |what: &str, e: Error| (!matches!(e, Error::Wire(_)), format!("{what}: {e}"));
    let mut party = subject
        .definition
        .begin(links, &Scope::insecure_of_ring(ring_bits))
        .map_err(|e| named("set-up", e))?;
    if party.party().index() != index {
        return Err((true, format!("calls itself {}", party.party())));
    }
    let mut records = Vec::with_capacity(problems.len());
    for (problem, parts) in problems.iter().zip(parts) {
        let record = solve(&mut party, &watch, problem, parts)
            .map_err(|(step, e)| named(&format!("{}: {step}", problem.name), e))?;
        records.push(record);
    }
    Ok(records)
}

fn snapshot<P: Protocol>(party: &P, watch: &Watch) -> Snapshot {
    Snapshot { metered: party.metered(), links: watch.meters(), rounds: watch.rounds() }
}

fn solve<P: Protocol>(
    party: &mut P,
    watch: &Watch,
    problem: &Problem,
    parts: Parts,
) -> Result<Record, (&'static str, Error)> {
    let mut values = Vec::new();
    for (part, data) in parts.inputs.into_iter().zip(&problem.inputs) {
        values.push(party.receive_value(&problem.name, data.len(), part).map_err(|e| ("input", e))?);
    }
    let mut weights = Vec::new();
    let weights_of = problem.weights.iter().zip(problem.weight_rings());
    for (part, (data, bits)) in parts.weights.into_iter().zip(weights_of) {
        let weight = party.receive_weight(&problem.name, data.len(), part, bits);
        weights.push(weight.map_err(|e| ("weight", e))?);
    }
    let mut record = Record { snapshots: vec![snapshot(party, watch)], revealed: Vec::new() };
    for step in &problem.steps {
        let value = step.apply(party, &values, &weights).map_err(|e| (step.name(), e))?;
        values.push(value);
        record.snapshots.push(snapshot(party, watch));
    }
    for value in &values {
        record.revealed.push(party.reveal(value).map_err(|e| ("reveal", e))?);
    }
    Ok(record)
}
