//! What holds of every message of a whole program: no pad serves twice, every field is uniform, what P2 sees of a comparison is
//! uniform but for one zero or none, and lengths and order do not depend on any secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use cryptflow_mpc::keys::{Key, Keys, Source, random};
use cryptflow_mpc::{Owner, Party, Protocol, Term};
use cryptflow_porthos::{Porthos, PorthosOwner};
use cryptflow_ring::{LinearMap, Prf, Window};
use cryptflow_wire::LinkOptions;
use cryptflow_wire::local::{Recorded, recorded_mesh};

/// The modulus of the bytes of a comparison.
const P: u8 = 127;
/// Elements of a value: several blocks, the last one not full and its last group neither.
const LEN: usize = 2 * (1 << 14) + 1000;

/// Words drawn: from one to before another.
type Range = (u64, u64);

/// A key's words, with a ledger of which were drawn, and a bug on demand.
struct Watched {
    prf: Prf,
    drawn: Mutex<HashMap<u64, Vec<Range>>>,
    /// A stream whose words are forgotten: zero.
    forgotten: Option<u64>,
}

impl Source for Watched {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        self.drawn.lock().unwrap().entry(domain).or_default().push((first, first + out.len() as u64));
        if self.forgotten == Some(domain) {
            // Any constant will do; a byte of 1 is an element and not zero.
            out.fill(u64::from_le_bytes([1; 8]));
        } else {
            self.prf.fill_words(domain, first, out);
        }
    }
}

impl Watched {
    fn new(key: [u8; 16], forgotten: Option<u64>) -> Arc<Watched> {
        Arc::new(Watched { prf: Prf::new(key), drawn: Mutex::default(), forgotten })
    }

    /// The ranges drawn, by stream; an error if a word was drawn twice.
    fn ledger(&self) -> Result<HashMap<u64, Vec<Range>>, String> {
        let mut drawn = self.drawn.lock().unwrap().clone();
        for (domain, ranges) in &mut drawn {
            ranges.retain(|(from, to)| from < to);
            ranges.sort_unstable();
            if let Some(pair) = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
                return Err(format!("stream {domain}: {:?} and {:?} overlap", pair[0], pair[1]));
            }
            ranges.dedup_by(|next, last| {
                let touching = last.1 == next.0;
                if touching {
                    last.1 = next.1;
                }
                touching
            });
        }
        drawn.retain(|_, ranges| !ranges.is_empty());
        Ok(drawn)
    }
}

/// What a run left behind: messages, and each party's ledgers of its keys with the next and the previous party.
struct Run {
    messages: Vec<Recorded>,
    keys: Vec<[Arc<Watched>; 2]>,
}

/// Which operations a run makes.
#[derive(Clone, Copy, PartialEq)]
enum Program {
    /// All, with a value and a weight used twice.
    Zoo,
    /// One ReLU.
    Relu,
}

fn play(program: Program, party: &mut Porthos, x: Vec<u8>, w: Vec<u8>) {
    let x = party.receive_value("x", LEN, x).unwrap();
    let w = party.receive_weight("w", 1, w).unwrap();
    if program == Program::Relu {
        party.relu(&x, 24, true).unwrap();
        return;
    }
    let map = LinearMap::Scale { rows: LEN, channels: 1 };
    let term = |x| Term { map: &map, x, w: &w };
    let z = party.linear(&[term(&x)], Some(&w), 12).unwrap();
    let again = party.linear(&[term(&x), term(&z)], None, 12).unwrap();
    let sum = party.add(&z, &again).unwrap();
    let y = party.relu(&sum, 24, true).unwrap();
    let clipped = party.clipped_relu(&again, 6 << 12, 24, true).unwrap();
    let window = Window { kernel: [3, 1], stride: [2, 1], dilation: [1, 1], padding: [[1, 1], [0, 0]] };
    let pooled = party.max_pool(&z, [1, LEN / 8, 8, 1], &window, 24).unwrap();
    let scaled = party.scale_public(&y, &[1365], 12).unwrap();
    for value in [&y, &clipped, &pooled, &scaled] {
        party.reveal(value).unwrap();
    }
}

/// Runs a program on constant inputs. `forgotten`: which key (0: P0–P1, 1: P1–P2, 2: P2–P0) forgets which stream.
fn run(program: Program, input: u64, forgotten: Option<(usize, u64)>) -> Run {
    let owner = PorthosOwner::new(64);
    let x = owner.share_value(&vec![input; LEN]).unwrap();
    let w = owner.share_weight(&[input.wrapping_mul(3)]).unwrap();
    let mut seeds = [[0u8; 16]; 3];
    seeds.iter_mut().for_each(|s| random(s).unwrap());
    let watched = |key: usize| Watched::new(seeds[key], forgotten.filter(|f| f.0 == key).map(|f| f.1));
    let (links, transcript) = recorded_mesh(LinkOptions::default()).unwrap();
    let keys: Vec<[Arc<Watched>; 2]> =
        Party::ALL.iter().map(|p| [watched(p.index()), watched(p.previous().index())]).collect();
    thread::scope(|scope| {
        for (party, links) in Party::ALL.into_iter().zip(links) {
            let [next, previous] = keys[party.index()].clone();
            let (x, w) = (x[party.index()].clone(), w[party.index()].clone());
            scope.spawn(move || {
                let (next, previous) = (Key::insecure_from_source(next), Key::insecure_from_source(previous));
                let keys = Keys::insecure_from_keys(party, next, previous);
                play(program, &mut Porthos::insecure_with_keys(links, keys), x, w);
            });
        }
    });
    Run { messages: transcript.take(), keys }
}

/// Pearson's statistic of bytes against the uniform distribution on `values` values, in standard deviations from its mean.
fn far_from_uniform(bytes: impl Iterator<Item = u8>, values: std::ops::Range<usize>) -> f64 {
    let mut counts = [0f64; 256];
    bytes.for_each(|b| counts[usize::from(b)] += 1.0);
    let total: f64 = counts.iter().sum();
    let inside: f64 = counts[values.clone()].iter().sum();
    if inside < total {
        return f64::INFINITY;
    }
    let (n, expected) = (values.len() as f64 - 1.0, total / values.len() as f64);
    let chi: f64 = counts[values].iter().map(|c| (c - expected).powi(2) / expected).sum();
    (chi - n) / (2.0 * n).sqrt()
}

/// Nothing is this far from uniform by chance.
const TOO_FAR: f64 = 12.0;
/// A message of at least this many bytes is tested.
const TESTED: usize = 4096;

/// Messages of words are told from messages of bytes modulo 127 by their length: the latter have 64 bytes an element.
fn suspicious(messages: &[Recorded]) -> Vec<(usize, usize, usize)> {
    let far = |m: &Recorded| {
        let bytes = || m.payload.iter().copied();
        let modular = bytes().all(|b| b < P);
        far_from_uniform(bytes(), if modular { 0..usize::from(P) } else { 0..256 }) > TOO_FAR
    };
    let tested = messages.iter().filter(|m| m.payload.len() >= TESTED);
    tested.filter(|m| far(m)).map(|m| (m.from, m.to, m.payload.len())).collect()
}

/// The messages of a comparison to P2 from one evaluator, one after another: 64 rows of each group.
fn cells(messages: &[Recorded], from: usize) -> Vec<u8> {
    let to_helper =
        messages.iter().filter(|m| m.from == from && m.to == 2 && m.payload.iter().all(|b| *b < P));
    to_helper.filter(|m| m.payload.len() >= TESTED).flat_map(|m| m.payload.clone()).collect()
}

#[test]
fn no_pad_serves_twice() {
    let run = run(Program::Zoo, 77, None);
    for party in Party::ALL {
        let own = run.keys[party.index()][0].ledger().unwrap();
        let theirs = run.keys[party.next().index()][1].ledger().unwrap();
        assert!(!own.is_empty());
        if party == Party::P0 {
            assert_eq!(own, theirs, "P0 and P1 do not draw the same words");
        }
    }
}

#[test]
fn the_ledger_finds_a_word_that_is_drawn_twice() {
    let source = Watched::new([1; 16], None);
    let mut out = [0; 8];
    source.words(3, 0, &mut out);
    source.words(3, 8, &mut out);
    source.words(4, 4, &mut out);
    assert!(source.ledger().is_ok());
    source.words(3, 15, &mut out);
    assert!(source.ledger().unwrap_err().contains("stream 3"));
}

#[test]
fn every_message_is_uniform() {
    for input in [0, 1, 77, 5u64.wrapping_neg()] {
        let found = suspicious(&run(Program::Zoo, input, None).messages);
        assert!(found.is_empty(), "input {input}: {found:?}");
    }
}

/// What is wrong with what P2 puts together of the two comparisons of each element of a ReLU. There must be one zero in a
/// uniform row, or none, each as often, and uniform bytes besides.
fn helpers_view(messages: &[Recorded]) -> Result<(), String> {
    let (a, b) = (cells(messages, 0), cells(messages, 1));
    if (a.len(), b.len()) != (2 * 64 * LEN, 2 * 64 * LEN) {
        return Err(format!("{} and {} bytes", a.len(), b.len()));
    }
    let sums: Vec<u8> = a.iter().zip(&b).map(|(a, b)| (a + b) % P).collect();
    if far_from_uniform(sums.iter().copied().filter(|v| *v != 0), 1..usize::from(P)) > TOO_FAR {
        return Err("the cells that are not zero are not uniform".into());
    }
    let mut rest = sums.as_slice();
    for comparison in 0..2 {
        let (mut rows, mut left) = (Vec::new(), LEN);
        // Groups of 64 elements; the tensor ends in a smaller one.
        while left > 0 {
            let lanes = left.min(64);
            let (group, after) = rest.split_at(64 * lanes);
            (rest, left) = (after, left - lanes);
            for lane in 0..lanes {
                let zeros: Vec<usize> = (0..64).filter(|row| group[row * lanes + lane] == 0).collect();
                if zeros.len() > 1 {
                    return Err(format!("comparison {comparison} shows {} zeros", zeros.len()));
                }
                rows.extend(zeros.iter().map(|&row| row as u8));
            }
        }
        let (yes, half, sd) = (rows.len() as f64, LEN as f64 / 2.0, (LEN as f64).sqrt() / 2.0);
        if (yes - half).abs() > 6.0 * sd {
            return Err(format!("comparison {comparison} shows {yes} zeros in {LEN} elements"));
        }
        if far_from_uniform(rows.into_iter(), 0..64) > TOO_FAR {
            return Err(format!("comparison {comparison}: the zeros' rows are not uniform"));
        }
    }
    Ok(())
}

#[test]
fn the_helper_sees_one_zero_or_none_whatever_the_input() {
    for input in [0, 1, 1u64.wrapping_neg(), 12345, 1 << 61] {
        helpers_view(&run(Program::Relu, input, None).messages).unwrap();
    }
}

/// Streams that are forgotten, one at a time. Between P0 and P1: β, the factors and the places of both comparisons show in P2's
/// view. With P2: the dealt wraps, bits, lowest bits and answers show in messages. The other pads hide what is uniform anyhow to
/// somebody who lacks all keys: a share of x, a product of masks.
#[test]
fn forgotten_pads_are_seen() {
    let kinds: [(usize, usize); 3] = [(0, 6), (1, 5), (2, 6)];
    for (key, expected) in kinds {
        let streams = run(Program::Relu, 0, None).keys[key][0].ledger().unwrap();
        let seen = |stream: &u64| {
            let messages = run(Program::Relu, 0, Some((key, *stream))).messages;
            !suspicious(&messages).is_empty() || helpers_view(&messages).is_err()
        };
        let found = streams.keys().filter(|s| seen(s)).count();
        assert!(found >= expected, "key {key}: {found} of {} streams", streams.len());
    }
}

#[test]
fn sizes_and_order_do_not_depend_on_secrets() {
    let shape = |input| -> Vec<(usize, usize, usize)> {
        let messages = run(Program::Zoo, input, None).messages;
        let mut shapes: Vec<_> = messages.iter().map(|m| (m.from, m.to, m.payload.len())).collect();
        // Links run side by side; what one sends to another is in order.
        shapes.sort_by_key(|(from, to, _)| (*from, *to));
        shapes
    };
    assert_eq!(shape(0), shape(12345));
}
