//! The secrecy suite, beside [`crate::suite`]: what must hold of every message and of every draw
//! from a key in a run of whole programs, whatever the protocol of two evaluators, P0 and P1, and a
//! helper, P2.
//!
//! A protocol's crate describes itself once, as a [`Subject`], and asks in its tests for a
//! [`check`] of each [`Scenario`], and for the planted [`Fault`]s and leaks to be found:
//!
//! ```ignore
//! secrecy::check(&MIRROR, &Zoo, &[77, 0, 1]).unwrap();
//! ```
//!
//! [`check`] runs the parties' own code with recorded links and watched keys, and finds
//! * a word of a stream that is drawn twice, or that the holders of a key draw differently
//!   ([`Run::ledger`]);
//! * a message that is not uniform over its alphabet, seen from the outside ([`Run::uniform`]);
//! * lengths or an order of messages that depend on a secret ([`Run::same_shape`]);
//! * a message to P2, where P2 must receive none ([`Subject::listens`]), or a byte of P2's view
//!   that depends on a secret then ([`Run::same_to_the_helper`]).
//!
//! The streams of a scenario's keys can carry a fault ([`Fault`]), and the messages of a [`Run`]
//! can be changed: so each protocol shows that each of these checks finds the bug which it is there
//! for.

pub mod coupling;
pub mod network;
mod owners;
mod scenario;
mod session;
mod watched;

use std::collections::HashMap;
use std::sync::Arc;

use cryptflow_ring::pack::{pack, unpack};
use cryptflow_wire::Links;
use cryptflow_wire::local::Recorded;

use cryptflow_mpc::clear::sign_extend;
use cryptflow_mpc::keys::Keys;
use cryptflow_mpc::stream::Source;
use cryptflow_mpc::{Definition, Error, Owner, Party, Protocol};

pub use owners::{Share, check_owner, check_sharing};
pub use scenario::{OneRelu, Scenario, Zoo};
pub use session::{Sources, in_session};
pub use watched::{Fault, Ledger, Watched, covers};

/// A protocol as this suite sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<D: Definition> {
    /// What it says of itself.
    pub definition: D,
    /// Whether P2 receives messages once the keys are agreed.
    pub listens: bool,
    /// How many values a uniform byte of a message may have: 256, or 127 for bytes modulo 127. A
    /// message must be uniform over one of these.
    pub alphabets: &'static [usize],
    /// For each party, how many bytes of its part of an input come before the words that depend on
    /// the secret; nothing if the part is seeds alone.
    pub value_words: [Option<usize>; 3],
    /// The same of a weight.
    pub weight_words: [Option<usize>; 3],
    /// The width of a part's words, which are packed; that of the program's ring where none is
    /// said.
    pub part_bits: Option<u32>,
    /// Whether P2 draws from its keys exactly what the evaluator at the other end draws, or more.
    pub helper_draws_the_same: bool,
    /// Whether runs are dealt ahead: the helper gets no part of an input.
    pub ahead: bool,
    /// Begins a session with keys that were not agreed on.
    pub insecure_begin: fn(&D, Links, Keys, u32) -> Result<D::Protocol, Error>,
}

/// The parties: two evaluators and a helper.
pub const PARTIES: [Party; 3] = [Party::P0, Party::P1, Party::P2];

/// The three pairwise keys: that of a party with the next one, at the party's index.
pub type Seeds = [[u8; 16]; 3];

/// Seeds that are told apart by a number, for tests that shall come out the same each time.
pub fn seeds(number: u64) -> Seeds {
    std::array::from_fn(|key| {
        let mut seed = [key as u8 + 1; 16];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        seed
    })
}

/// The parts of a scenario's inputs and weights: `[input][party]`.
#[derive(Clone)]
pub struct Parts {
    /// Of the inputs.
    pub values: Vec<[Vec<u8>; 3]>,
    /// Of the weights.
    pub weights: Vec<[Vec<u8>; 3]>,
}

/// What a run left behind.
pub struct Run {
    /// Messages of the program; those of one sender to one receiver are in order. What is said
    /// before the program begins is left out.
    pub messages: Vec<Recorded>,
    /// What each party revealed to the client.
    pub revealed: [Vec<Vec<u8>>; 3],
    /// Each party's words of its keys with the next and the previous party.
    keys: Vec<[Arc<Watched>; 2]>,
}

/// Shares a scenario's secrets.
///
/// # Errors
/// The owner's.
pub fn share<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    secret: u64,
) -> Result<Parts, Error> {
    let owner = subject.definition.owner(scenario.ring_bits());
    let three = |parts: Vec<Vec<u8>>| {
        let came = parts.len();
        <[Vec<u8>; 3]>::try_from(parts).map_err(|_| Error::parts("a secret", came, 3))
    };
    let inputs = scenario.inputs(secret);
    let values = inputs.iter().map(|x| three(owner.share_value(x)?)).collect::<Result<_, _>>()?;
    let weights = scenario.weights(secret);
    let weights = weights
        .iter()
        .map(|w| three(owner.share_weight(w, scenario.ring_bits())?))
        .collect::<Result<_, _>>()?;
    Ok(Parts { values, weights })
}

/// Parts of another secret, shared with the same randomness: seeds stay, what depends on the secret
/// moves with it.
pub fn share_again<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    parts: &Parts,
    from: u64,
    to: u64,
) -> Parts {
    let ring = scenario.ring_bits();
    let bits = subject.part_bits.unwrap_or(ring);
    let mut parts = parts.clone();
    let shift =
        |all: &mut Vec<[Vec<u8>; 3]>, places: [Option<usize>; 3], old: Vec<Vec<u64>>, new: Vec<Vec<u64>>| {
            for (parts, (old, new)) in all.iter_mut().zip(old.iter().zip(&new)) {
                for (part, seeds) in parts.iter_mut().zip(places) {
                    let Some(seeds) = seeds.filter(|_| !old.is_empty()) else { continue };
                    let mut words = vec![0; old.len()];
                    unpack(&part[seeds..], bits, &mut words);
                    for (w, (old, new)) in words.iter_mut().zip(old.iter().zip(new)) {
                        let [old, new] = [old, new].map(|v| sign_extend(*v, ring) as u64);
                        *w = w.wrapping_add(new.wrapping_sub(old));
                    }
                    part.truncate(seeds);
                    pack(&words, bits, part);
                }
            }
        };
    shift(&mut parts.values, subject.value_words, scenario.inputs(from), scenario.inputs(to));
    shift(&mut parts.weights, subject.weight_words, scenario.weights(from), scenario.weights(to));
    parts
}

/// Runs a scenario on a secret, with a fault in one of its keys.
///
/// # Errors
/// What a party or the owner says. A run with a fault computes something wrong, but must not fail.
pub fn run<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    secret: u64,
    seeds: Seeds,
    fault: Fault,
) -> Result<Run, Error> {
    run_on(subject, scenario, &share(subject, scenario, secret)?, seeds, fault)
}

/// The same, on parts that were made before.
///
/// # Errors
/// As [`run`].
pub fn run_on<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    parts: &Parts,
    seeds: Seeds,
    fault: Fault,
) -> Result<Run, Error> {
    let source = |key: Party| Watched::new(seeds[key.index()], fault.of(key));
    let keys: Vec<_> = PARTIES.map(|p| [source(p), source(p.previous(3))]).to_vec();
    run_with(subject, scenario, parts, keys)
}

/// The same, with words that the caller chose: each party's, of its keys with the next and the
/// previous party.
///
/// # Errors
/// As [`run`].
pub fn run_with<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    parts: &Parts,
    keys: Vec<[Arc<Watched>; 2]>,
) -> Result<Run, Error> {
    let sources =
        PARTIES.map(|party| keys[party.index()].each_ref().map(|key| Arc::clone(key) as Arc<dyn Source>));
    let (revealed, messages) =
        in_session(subject, scenario.ring_bits(), sources, |party, _| play(subject, scenario, party, parts))?;
    Ok(Run { messages, revealed, keys })
}

/// A party's side.
fn play<D: Definition>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    party: &mut D::Protocol,
    parts: &Parts,
) -> Result<Vec<Vec<u8>>, Error> {
    let without = subject.ahead && D::FACTS.dealer == Some(party.party());
    let index = party.party().index();
    let (inputs, weights) = scenario.lengths();
    let mut values = Vec::new();
    for (parts, len) in parts.values.iter().zip(inputs) {
        let part = if without { Vec::new() } else { parts[index].clone() };
        values.push(party.receive_value("an input", len, part)?);
    }
    let mut shared = Vec::new();
    for (parts, len) in parts.weights.iter().zip(weights) {
        shared.push(party.receive_weight("a weight", len, parts[index].clone(), u64::BITS)?);
    }
    let outputs = scenario.play(party, values, shared)?;
    outputs.iter().map(|y| party.reveal(y)).collect()
}

/// Pearson's statistic of bytes against the uniform distribution on `values` values, in standard
/// deviations from its mean.
pub fn far_from_uniform(bytes: impl Iterator<Item = u8>, values: std::ops::Range<usize>) -> f64 {
    let mut counts = [0f64; 256];
    bytes.for_each(|b| counts[usize::from(b)] += 1.0);
    let total: f64 = counts.iter().sum();
    let inside = &counts[values];
    if inside.iter().sum::<f64>() < total {
        return f64::INFINITY;
    }
    let (freedom, expected) = (inside.len() as f64 - 1.0, total / inside.len() as f64);
    let chi: f64 = inside.iter().map(|c| (c - expected).powi(2) / expected).sum();
    (chi - freedom) / (2.0 * freedom).sqrt()
}

/// Nothing is this far from uniform by chance.
pub const TOO_FAR: f64 = 12.0;
/// A message of at least this many bytes is tested for uniformity; shorter ones hold a few
/// elements.
const TESTED: usize = 1024;

impl Run {
    /// The streams from which words were drawn of the key of `key` with its next party, as that
    /// party drew them.
    ///
    /// # Errors
    /// A word was drawn twice.
    pub fn streams(&self, key: Party) -> Result<Vec<u64>, String> {
        let mut streams: Vec<u64> = self.keys[key.index()][0].ledger()?.into_keys().collect();
        streams.sort_unstable();
        Ok(streams)
    }

    /// Whether words of the same numbers were drawn of two streams (of the key of `key` with its
    /// next party): whether one stream in place of both would serve twice.
    ///
    /// # Errors
    /// A word was drawn twice.
    pub fn overlap(&self, key: Party, a: u64, b: u64) -> Result<bool, String> {
        let ledger = self.keys[key.index()][0].ledger()?;
        let ranges = |stream: u64| ledger.get(&stream).map_or(&[][..], Vec::as_slice);
        Ok(ranges(a).iter().any(|(from, to)| ranges(b).iter().any(|(other, end)| from < end && other < to)))
    }

    /// No word of a stream is drawn twice by one party, P0 and P1 draw the same words of their key,
    /// and P2 draws those that the evaluators draw, or more if the subject says so.
    ///
    /// # Errors
    /// The word, or the key.
    pub fn ledger<D: Definition>(&self, subject: &Subject<D>) -> Result<(), String> {
        for party in PARTIES {
            let own = self.keys[party.index()][0].ledger()?;
            let theirs = self.keys[party.next(3).index()][1].ledger()?;
            if own.is_empty() {
                return Err(format!("nothing was drawn of the key of {party} and {}", party.next(3)));
            }
            let evaluators = party == Party::P0;
            let alike = if evaluators || subject.helper_draws_the_same {
                own == theirs
            } else {
                let (helper, evaluator) = if party == Party::P2 { (&own, &theirs) } else { (&theirs, &own) };
                covers(helper, evaluator)
            };
            if !alike {
                return Err(format!("{party} and {} do not draw the same words", party.next(3)));
            }
        }
        Ok(())
    }

    /// Every long message is uniform over one of the alphabets.
    ///
    /// # Errors
    /// The messages that are not.
    pub fn uniform<D: Definition>(&self, subject: &Subject<D>) -> Result<(), String> {
        let far = |m: &Recorded| {
            subject.alphabets.iter().all(|&n| far_from_uniform(m.payload.iter().copied(), 0..n) > TOO_FAR)
        };
        let tested = self.messages.iter().filter(|m| m.payload.len() >= TESTED);
        let found: Vec<String> = tested
            .filter(|m| far(m))
            .map(|m| format!("{} bytes from P{} to P{}", m.payload.len(), m.from, m.to))
            .collect();
        if found.is_empty() { Ok(()) } else { Err(format!("not uniform: {}", found.join(", "))) }
    }

    /// As many messages of the same lengths in the same order, on every link, and as many bytes
    /// revealed.
    ///
    /// # Errors
    /// The first difference.
    pub fn same_shape(&self, other: &Run) -> Result<(), String> {
        for (from, to) in pairs() {
            let lengths = |run: &Run| -> Vec<usize> { run.between(from, to).map(<[u8]>::len).collect() };
            if lengths(self) != lengths(other) {
                return Err(format!("the messages of P{from} to P{to} differ in number, length or order"));
            }
        }
        let lengths = |run: &Run| run.revealed.each_ref().map(|r| r.iter().map(Vec::len).collect::<Vec<_>>());
        if lengths(self) == lengths(other) {
            Ok(())
        } else {
            Err("what is revealed differs in length".into())
        }
    }

    /// P2 received nothing.
    ///
    /// # Errors
    /// It did.
    pub fn helper_is_deaf(&self) -> Result<(), String> {
        match self.messages.iter().find(|m| m.to == Party::P2.index()) {
            Some(m) => Err(format!("P2 received {} bytes from P{}", m.payload.len(), m.from)),
            None => Ok(()),
        }
    }

    /// P2's view is the same in both runs, byte for byte: what it received, and what it made of it
    /// and of its keys.
    ///
    /// # Errors
    /// The first difference.
    pub fn same_to_the_helper(&self, other: &Run) -> Result<(), String> {
        for (from, to) in pairs().filter(|(from, to)| *from == 2 || *to == 2) {
            let (a, b): (Vec<_>, Vec<_>) =
                (self.between(from, to).collect(), other.between(from, to).collect());
            if a.len() != b.len() {
                return Err(format!("P{from} sent P{to} {} messages and {}", a.len(), b.len()));
            }
            if let Some(i) = (0..a.len()).find(|&i| a[i] != b[i]) {
                return Err(format!("message {i} of P{from} to P{to} differs"));
            }
        }
        Ok(())
    }

    /// The messages of one party to another, in order.
    pub fn between(&self, from: usize, to: usize) -> impl Iterator<Item = &[u8]> {
        self.messages.iter().filter(move |m| (m.from, m.to) == (from, to)).map(|m| m.payload.as_slice())
    }

    /// Each party's ledger of each key, to be compared with another run's.
    ///
    /// # Errors
    /// A word was drawn twice.
    pub fn drawn(&self) -> Result<Vec<HashMap<u64, Vec<(u64, u64)>>>, String> {
        self.keys.iter().flatten().map(|k| k.ledger()).collect()
    }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..3).flat_map(|from| (0..3).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

/// Everything that this suite checks of a scenario, on several secrets that are shared with the
/// same randomness, under the same keys.
///
/// # Errors
/// What is wrong, and on which secret.
pub fn check<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    secrets: &[u64],
) -> Result<(), String> {
    let Some((&secret, others)) = secrets.split_first() else { return Err("no secret was given".into()) };
    let parts = share(subject, scenario, secret).map_err(|e| e.to_string())?;
    let play = |parts: &Parts| {
        let run = run_on(subject, scenario, parts, seeds(0), Fault::None).map_err(|e| e.to_string())?;
        run.ledger(subject)?;
        run.uniform(subject)?;
        if subject.listens { Ok(run) } else { run.helper_is_deaf().map(|()| run) }
    };
    let first = play(&parts).map_err(|e| format!("secret {secret}: {e}"))?;
    for &other in others {
        let run = play(&share_again(subject, scenario, &parts, secret, other));
        let compared = run.and_then(|run| {
            first.same_shape(&run)?;
            if first.drawn()? != run.drawn()? {
                return Err("which words are drawn depends on the secret".into());
            }
            if subject.listens { Ok(()) } else { first.same_to_the_helper(&run) }
        });
        compared.map_err(|e| format!("secret {other}: {e}"))?;
    }
    Ok(())
}

/// Each stream of a key takes in turn the words of the one before, where words of the same numbers
/// are drawn of both, and the ledger must find it. Returns how many such pairs of streams there are,
/// of how many streams.
///
/// # Errors
/// A run's, or the pair that was not found.
pub fn repeats_are_found<D: Definition + Sync>(
    subject: &Subject<D>,
    scenario: &impl Scenario,
    key: Party,
) -> Result<(usize, usize), String> {
    let run = |fault| run(subject, scenario, 1, seeds(7), fault).map_err(|e| e.to_string());
    let clean = run(Fault::None)?;
    let streams = clean.streams(key)?;
    let mut pairs = 0;
    for (&other, &stream) in streams.iter().zip(streams.iter().skip(1)) {
        if clean.overlap(key, other, stream)? {
            let found = run(Fault::Repeated { key, stream, other })?.ledger(subject);
            if !found.is_err_and(|found| found.contains("overlap")) {
                return Err(format!("{key}: stream {stream} repeats {other}, and nobody finds it"));
            }
            pairs += 1;
        }
    }
    Ok((pairs, streams.len()))
}

/// Bugs that change what is seen of messages from the outside, and their names.
pub const SHAPE_BUGS: [(&str, fn(&mut Vec<Recorded>)); 3] = [
    ("zeros are cut off", |m| m[0].payload.truncate(1)),
    ("an early exit", |m| drop(m.pop())),
    ("another order", |m| m.sort_by_key(|m| m.payload.len())),
];
