//! Is it found out whether inputs are within their bounds, at the declared cost?

use std::thread;

use cryptflow_mpc::clear::sign_extend;
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Cost, CostModel, Definition, Error, Owner, Party, Protocol};
use cryptflow_operation::Bounds;
use cryptflow_wire::{LinkOptions, Links, local};

use super::generate::Random;
use super::problem::elements;
use super::{Report, Traits};

/// One session: two inputs, the second of which has bounds of its own.
struct Case {
    ring_bits: u32,
    inputs: [(Vec<i64>, Bounds); 2],
}

/// Whether a session's parties went on, and what the check took, as each saw it.
type Outcome = Vec<Result<Cost, Error>>;

/// Every end of bounds, and elements beyond them, near and far, in several places of tensors of one and
/// of several blocks.
pub fn check_inputs<D: Definition + Sync>(definition: &D, traits: &Traits) -> Report {
    let mut report = Report::default();
    let rings = [*traits.ring_bits.start(), 8, 37, *traits.ring_bits.end()];
    for ring_bits in rings.into_iter().filter(|ring| traits.ring_bits.contains(ring) && *ring >= 4) {
        let quarter = 1i64 << (ring_bits - 2);
        let several = [
            Bounds { low: -quarter, high: quarter - 1 },
            Bounds { low: 0, high: quarter - 1 },
            Bounds { low: -2, high: 1 },
            Bounds { low: -quarter, high: 1 - quarter },
            Bounds { low: 1, high: 1 },
        ];
        for (number, bounds) in several.into_iter().enumerate() {
            // Blocks know nothing of bounds: the first will do.
            let long = traits.blocks.iter().max().map(|block| 2 * block + 70).filter(|_| number == 0);
            for len in [1, 65].into_iter().chain(long) {
                for (element, within) in probes(bounds, ring_bits, len == 1) {
                    let place = if element % 2 == 0 { len - 1 } else { len / 2 };
                    let other = Bounds { low: -1, high: 0 };
                    let mut x = Random::named("inputs").edgy(len, bounds.low, bounds.high);
                    x[place] = element;
                    let inputs = [(x, bounds), (vec![0, -1, 0], other)];
                    report.problems += 1;
                    if let Err(what) = judge(definition, &Case { ring_bits, inputs }, within) {
                        let Bounds { low, high } = bounds;
                        report.failures.push(format!(
                            "K={ring_bits}, {len} elements from {low} to {high}, {element} at {place}: {what}"
                        ));
                    }
                }
            }
        }
    }
    report
}

/// Elements, and whether they are within their bounds: all that are near an end of the bounds or of the
/// ring, or a large power of two away from an end; for long tensors a few of these.
fn probes(bounds: Bounds, ring_bits: u32, all: bool) -> Vec<(i64, bool)> {
    let Bounds { low, high } = bounds;
    let mut found = Vec::new();
    for end in [low, high] {
        for away in [0, 1i64.wrapping_shl(ring_bits - 1), 1 << (ring_bits - 2), 3 << (ring_bits - 3)] {
            for near in -2..=2 {
                found.push(sign_extend((end.wrapping_add(away).wrapping_add(near)) as u64, ring_bits));
            }
        }
    }
    if !all {
        found = vec![low, high, sign_extend((low.wrapping_sub(1)) as u64, ring_bits), high + 1];
        found.push(sign_extend((low as u64).wrapping_add(1 << (ring_bits - 1)), ring_bits));
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|x| (x, low <= x && x <= high)).collect()
}

fn judge<D: Definition + Sync>(definition: &D, case: &Case, within: bool) -> Result<(), String> {
    let outcome = run(definition, case).map_err(|error| error.to_string())?;
    if !within {
        // A dealer need not hear of it; the others must, each by itself or from who found out.
        let dealer = D::FACTS.dealer;
        let mut found = false;
        for (party, result) in Party::all(outcome.len()).zip(&outcome) {
            match result {
                Err(Error::Outside) => found = true,
                Ok(_) if dealer != Some(party) => return Err(format!("{party} goes on")),
                Err(Error::Wire(_)) | Ok(_) => {}
                Err(error) => return Err(format!("{party}: {error}")),
            }
        }
        return if found { Ok(()) } else { Err("nobody finds it".into()) };
    }
    let mut seen = Cost::FREE;
    for (party, result) in Party::all(outcome.len()).zip(outcome) {
        let own = result.map_err(|error| format!("{party}: {error}"))?;
        seen.bytes += &own.bytes;
        seen.rounds = seen.rounds.max(own.rounds);
    }
    let inputs = case.inputs.each_ref().map(|(x, bounds)| (x.len(), *bounds));
    let declared = definition.costs(case.ring_bits).input_check(&inputs, case.ring_bits);
    if seen == declared { Ok(()) } else { Err(format!("{declared:?} is declared, and {seen:?} was seen")) }
}

fn run<D: Definition + Sync>(definition: &D, case: &Case) -> Result<Outcome, Error> {
    let owner = definition.owner(case.ring_bits);
    let mut parts: Vec<Vec<Vec<u8>>> = vec![Vec::new(); D::FACTS.parties];
    for (x, _) in &case.inputs {
        let shared = owner.share_value(&elements(x, case.ring_bits))?;
        parts.iter_mut().zip(shared).for_each(|(party, part)| party.push(part));
    }
    let links = local::mesh(D::FACTS.parties, LinkOptions::default())?;
    Ok(thread::scope(|scope| {
        let start = |(links, parts)| scope.spawn(move || party(definition, links, case, parts));
        let threads: Vec<_> = links.into_iter().zip(parts).map(start).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    }))
}

/// Brings all round clocks to the same, but for the last party's, which is behind by one: no message of
/// the set-up is on the longest chain then.
fn meet(links: &Links) -> Result<(), Error> {
    let last = links.parties() - 1;
    if links.index() != last {
        links.to(last).send(vec![0])?;
        links.to(last).recv(1)?;
        return Ok(());
    }
    links.others().try_for_each(|other| links.to(other).recv(1).map(drop))?;
    Ok(links.others().try_for_each(|other| links.to(other).send(vec![0]))?)
}

fn party<D: Definition>(
    definition: &D,
    links: Links,
    case: &Case,
    parts: Vec<Vec<u8>>,
) -> Result<Cost, Error> {
    let breaker = links.breaker();
    // A handle that outlives the protocol: as a party's service does it.
    let open = links.clone();
    let step = |links: Links| {
        let mut party = definition.begin(links, &Scope::insecure_of_ring(case.ring_bits))?;
        let mut values = Vec::new();
        for (part, (x, bounds)) in parts.into_iter().zip(&case.inputs) {
            values.push((party.receive_value("x", x.len(), part)?, *bounds));
        }
        let inputs: Vec<_> = values.iter().map(|(x, bounds)| (x, *bounds)).collect();
        meet(&open)?;
        let before = party.metered();
        party.require_within(&inputs)?;
        Ok(party.metered().since(&before))
    };
    let result = step(links);
    if let Err(error) = &result {
        let error: &Error = error;
        breaker.abort_all(error.to_string().as_str());
    }
    drop(open);
    result
}
