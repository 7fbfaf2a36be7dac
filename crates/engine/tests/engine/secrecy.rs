//! A small network, executed by the engine over each protocol: no pad serves twice in the whole
//! program, P2's view of Mirror is the same byte for byte whatever the secrets are, and every field
//! of every message is uniform for its receiver.

use cryptflow_conformance::secrecy::{self, Fault, PARTIES, Parts, Run, Subject, repeats_are_found, seeds};
use cryptflow_mirror::{MirrorDefinition, Tuning};
use cryptflow_mpc::{Definition, Party};

use super::mirror;
use super::net::Net;
use super::porthos::DEALT as PORTHOS;

const MIRROR: Subject<MirrorDefinition> = mirror::subject(Tuning { bits_per_round: 0, ..Tuning::USUAL });

/// Secrets: all zero, and another.
const SECRETS: [u64; 2] = [0, 1];
/// Runs with a fresh key for each secret.
const RUNS: u64 = 64;
/// Pearson's statistic with seven degrees of freedom is larger than this once in 10^14 times; a
/// field that is constant has 448.
const TOO_FAR: f64 = 80.0;

/// The key that a party lacks, as the one of its first holder with the next.
fn lacks(party: Party) -> Party {
    party.next(3)
}

/// One field, a byte of a message, over the runs with one secret.
#[derive(Clone, Copy)]
struct Field {
    counts: [u16; 256],
}

/// For each sender, message and byte to `receiver`: what it is over runs on `secret` in which
/// nothing but the key that the receiver lacks changes.
fn fields<D: Definition + Sync>(
    subject: &Subject<D>,
    net: &Net,
    parts: &Parts,
    receiver: Party,
    fault: Fault,
) -> Vec<Vec<Field>> {
    let mut fields: Vec<Vec<Field>> = Vec::new();
    for number in 0..RUNS {
        let mut keys = seeds(1_000_000);
        keys[lacks(receiver).index()] = seeds(number)[lacks(receiver).index()];
        let run: Run = secrecy::run_on(subject, net, parts, keys, fault).unwrap();
        let messages = (0..3).flat_map(|from| run.between(from, receiver.index()));
        let mut messages: Vec<&[u8]> = messages.collect();
        // P2 may be the client, too: a share of the output must tell it nothing.
        if receiver == Party::P2 {
            messages.extend(run.revealed[..2].iter().flatten().map(Vec::as_slice));
        }
        if fields.is_empty() {
            fields = messages.iter().map(|m| vec![Field { counts: [0; 256] }; m.len()]).collect();
        }
        assert_eq!(fields.len(), messages.len());
        for (fields, message) in fields.iter_mut().zip(messages) {
            fields.iter_mut().zip(message).for_each(|(f, b)| f.counts[usize::from(*b)] += 1);
        }
    }
    fields
}

/// Pearson's statistic of a byte's highest three bits that change at all, or, of a number modulo
/// 127, of eight ranges.
fn statistic(counts: &[u16; 256], changing: u8, modular: bool) -> f64 {
    let (mut seen, mut due) = ([0f64; 8], [0f64; 8]);
    for (value, count) in counts.iter().enumerate() {
        let (class, weight) = if modular {
            (value / 16, if value < 127 { 1.0 / 127.0 } else { 0.0 })
        } else {
            let bits = (0..8).rev().filter(|bit| changing >> bit & 1 == 1).take(3);
            (bits.fold(0, |class, bit| class << 1 | (value >> bit & 1)), 1.0 / 256.0)
        };
        seen[class % 8] += f64::from(*count);
        due[class % 8] += weight * RUNS as f64;
    }
    seen.iter().zip(due).filter(|(_, due)| *due > 0.0).map(|(s, due)| (s - due).powi(2) / due).sum()
}

/// What is not uniform over the key that the receiver lacks. Each secret is shared afresh, so that
/// bits which are the same in all runs depend on nothing but keys that the receiver has: spare bits
/// of packed words, and what it could draw itself.
fn not_uniform<D: Definition + Sync>(
    subject: &Subject<D>,
    net: &Net,
    receiver: Party,
    fault: Fault,
) -> Option<String> {
    let fields_of = |&secret: &u64| {
        let parts = secrecy::share(subject, net, secret).unwrap();
        fields(subject, net, &parts, receiver, fault)
    };
    let runs: Vec<Vec<Vec<Field>>> = SECRETS.iter().map(fields_of).collect();
    let runs = &runs;
    for message in 0..runs[0].len() {
        let values =
            |byte: usize| (0..256).filter(move |&v| runs.iter().any(|run| run[message][byte].counts[v] > 0));
        let len = runs[0][message].len();
        let modular = subject.alphabets.contains(&127) && (0..len).flat_map(values).all(|v| v < 127);
        for byte in 0..len {
            let first = values(byte).next().unwrap() as u8;
            let changing = values(byte).fold(0, |changing, v| changing | (v as u8 ^ first));
            if changing == 0 {
                continue;
            }
            for (run, secret) in runs.iter().zip(SECRETS) {
                let far = statistic(&run[message][byte].counts, changing, modular);
                if far > TOO_FAR {
                    return Some(format!("secret {secret}, message {message}, byte {byte} of {len}: {far}"));
                }
            }
        }
    }
    None
}

#[test]
fn no_pad_serves_twice_and_the_helper_learns_nothing() {
    let net = Net::new();
    secrecy::check(&MIRROR, &net, &[0, 1, 2]).unwrap();
    secrecy::check(&PORTHOS, &net, &[0, 1, 2]).unwrap();
}

#[test]
fn every_field_is_uniform_for_its_receiver() {
    let net = Net::new();
    for receiver in PARTIES {
        assert_eq!(not_uniform(&MIRROR, &net, receiver, Fault::None), None, "Mirror, {receiver}");
        assert_eq!(not_uniform(&PORTHOS, &net, receiver, Fault::None), None, "Porthos, {receiver}");
    }
}

#[test]
fn planted_bugs_are_found() {
    let net = Net::new();
    let forgotten = |receiver, stream| (receiver, Fault::Forgotten { key: lacks(receiver), stream });
    let skewed = |receiver, stream| (receiver, Fault::Skewed { key: lacks(receiver), stream });
    // The first layer's dealt addend and opening; the output's share of zero. Other pads hide what
    // is uniform anyhow by itself, though not with the rest of the view: the enumeration of views
    // finds those.
    for (receiver, fault) in [
        forgotten(Party::P0, 0),
        forgotten(Party::P1, 0),
        forgotten(Party::P0, 1),
        skewed(Party::P1, 1),
        forgotten(Party::P2, 0),
    ] {
        assert!(not_uniform(&MIRROR, &net, receiver, fault).is_some(), "{fault:?}");
    }
    // The first layer's A and B, and what is dealt for its truncation; masks of the first ReLU; the
    // output's share of zero. Shares of zero, factors, places and coins show in P2's view as a
    // whole: Porthos' own tests find them (`coupling`).
    for (receiver, fault) in [
        forgotten(Party::P0, 0),
        forgotten(Party::P1, 1),
        forgotten(Party::P0, 5),
        skewed(Party::P1, 4),
        forgotten(Party::P2, 0),
        skewed(Party::P2, 1),
        forgotten(Party::P2, 40),
    ] {
        assert!(not_uniform(&PORTHOS, &net, receiver, fault).is_some(), "{fault:?}");
    }
    for key in [Party::P1, Party::P2] {
        for found in [repeats_are_found(&MIRROR, &net, key), repeats_are_found(&PORTHOS, &net, key)] {
            let (pairs, streams) = found.unwrap();
            assert!(pairs * 4 > streams);
        }
    }
}
