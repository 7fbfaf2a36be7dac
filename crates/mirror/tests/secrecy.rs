//! What holds of every message of a whole program: no pad serves twice, every field is uniform, P2 receives nothing, and
//! lengths and order do not depend on any secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use cryptflow_mirror::{Mirror, MirrorOwner, Tuning};
use cryptflow_mpc::keys::{Key, Keys, Source, random};
use cryptflow_mpc::{Owner, Party, Protocol, Term};
use cryptflow_ring::{Conv2d, LinearMap, Prf, Window};
use cryptflow_wire::LinkOptions;
use cryptflow_wire::local::{Recorded, recorded_mesh};

const RING: u32 = 64;
const SHAPE: [usize; 4] = [1, 32, 32, 32];

/// A key's words, with a ledger of which were drawn, and a bug on demand.
struct Watched {
    prf: Prf,
    drawn: Mutex<HashMap<u64, Vec<(u64, u64)>>>,
    /// A stream whose words are forgotten: zero.
    forgotten: Option<u64>,
}

impl Source for Watched {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        self.drawn.lock().unwrap().entry(domain).or_default().push((first, first + out.len() as u64));
        if self.forgotten == Some(domain) {
            out.fill(0);
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
    fn ledger(&self) -> Result<HashMap<u64, Vec<(u64, u64)>>, String> {
        let mut drawn = self.drawn.lock().unwrap().clone();
        for (domain, ranges) in &mut drawn {
            ranges.retain(|(from, to)| from < to);
            ranges.sort_unstable();
            if let Some(pair) = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
                return Err(format!("stream {domain}: {:?} and {:?} overlap", pair[0], pair[1]));
            }
            // Neighbouring ranges become one, so that ledgers can be compared whatever the size of the draws.
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

/// A program with every operation, reused values and reused weights, on tensors of several blocks.
fn zoo(party: &mut Mirror, x: Vec<u8>, w: Vec<u8>, b: Vec<u8>) {
    let [n, h, width, c] = SHAPE;
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [[1, 1], [1, 1]] };
    let conv = Conv2d {
        batch: n,
        input: [h, width],
        in_channels: c,
        out_channels: c,
        groups: 1,
        window: window.clone(),
    };
    let map = LinearMap::Conv2d(conv);
    let x = party.receive_value("x", SHAPE.iter().product(), x).unwrap();
    let w = party.receive_weight("w", map.weight_len(), w).unwrap();
    let b = party.receive_weight("b", c, b).unwrap();
    let term = |x| Term { map: &map, x, w: &w };
    let z = party.linear(&[term(&x)], Some(&b), 12).unwrap();
    let again = party.linear(&[term(&x), term(&x)], None, 12).unwrap();
    let sum = party.add(&z, &again).unwrap();
    let y = party.relu(&sum, 24, true).unwrap();
    let wide = party.widen(&z).unwrap();
    let clipped = party.clipped_relu(&again, 6 << 12, 24, true).unwrap();
    let pooled = party
        .max_pool(
            &z,
            SHAPE,
            &Window { kernel: [3, 3], stride: [2, 2], dilation: [1, 1], padding: [[0, 1]; 2] },
            24,
        )
        .unwrap();
    let scaled = party.scale_public(&y, &[1365], 12).unwrap();
    for value in [&y, &wide, &clipped, &pooled, &scaled] {
        party.reveal(value).unwrap();
    }
}

/// Runs the zoo on a constant input. `forgotten`: which key (0: P0–P1, 1: P1–P2, 2: P2–P0) forgets which stream.
fn run(input: u64, forgotten: Option<(usize, u64)>) -> Run {
    let owner = MirrorOwner::new(RING);
    let len = SHAPE.iter().product();
    let x = owner.share_value(&vec![input; len]).unwrap();
    let w = owner.share_weight(&vec![input.wrapping_mul(3); 9 * SHAPE[3] * SHAPE[3]]).unwrap();
    let b = owner.share_weight(&[input; 32]).unwrap();
    let mut seeds = [[0u8; 16]; 3];
    seeds.iter_mut().for_each(|s| random(s).unwrap());
    let watched = |key: usize| Watched::new(seeds[key], forgotten.filter(|f| f.0 == key).map(|f| f.1));
    let (links, transcript) = recorded_mesh(LinkOptions::default()).unwrap();
    let keys: Vec<[Arc<Watched>; 2]> =
        Party::ALL.iter().map(|p| [watched(p.index()), watched(p.previous().index())]).collect();
    thread::scope(|scope| {
        for (party, links) in Party::ALL.into_iter().zip(links) {
            let [next, previous] = keys[party.index()].clone();
            let i = party.index();
            let (x, w, b) = (x[i].clone(), w[i].clone(), b[i].clone());
            scope.spawn(move || {
                let keys = Keys::insecure_from_keys(
                    party,
                    Key::insecure_from_source(next),
                    Key::insecure_from_source(previous),
                );
                let mut mirror = Mirror::insecure_with_keys(links, keys, RING, Tuning::default()).unwrap();
                zoo(&mut mirror, x, w, b);
            });
        }
    });
    Run { messages: transcript.take(), keys }
}

/// Pearson's statistic of a message's bytes against the uniform distribution: 255 on average, ± 22.6.
fn chi_square(bytes: &[u8]) -> f64 {
    let mut counts = [0f64; 256];
    for b in bytes {
        counts[usize::from(*b)] += 1.0;
    }
    let expected = bytes.len() as f64 / 256.0;
    counts.iter().map(|c| (c - expected).powi(2) / expected).sum()
}

/// A message of at least this many bytes is tested; shorter ones hold a few parameters.
const TESTED: usize = 1024;
/// Twelve standard deviations: among the thousand messages of these tests, none by chance.
const TOO_MUCH: f64 = 255.0 + 12.0 * 22.6;

fn suspicious(messages: &[Recorded]) -> Vec<(usize, usize, usize, f64)> {
    messages
        .iter()
        .enumerate()
        .filter(|(_, m)| m.payload.len() >= TESTED)
        .map(|(i, m)| (i, m.from, m.to, chi_square(&m.payload)))
        .filter(|(.., chi)| *chi > TOO_MUCH)
        .collect()
}

#[test]
fn no_pad_serves_twice_and_both_holders_draw_the_same() {
    let run = run(77, None);
    for party in Party::ALL {
        let next = run.keys[party.index()][0].ledger().unwrap();
        let theirs = run.keys[party.next().index()][1].ledger().unwrap();
        assert!(!next.is_empty());
        if party == Party::P0 {
            // The zero shares of revealed outputs are all that comes from the evaluators' key.
            assert_eq!(next.len(), 5);
        }
        assert_eq!(next, theirs, "{party} and {} do not draw the same words", party.next());
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
    for input in [0, 1, 77] {
        let found = suspicious(&run(input, None).messages);
        assert!(found.is_empty(), "input {input}: {found:?}");
    }
}

/// A dealt correction without its pad is the value itself, and far from uniform. (An opening without its pad still looks uniform,
/// as the dealt addend hides it from the outside; the enumeration of views finds that.)
#[test]
fn a_forgotten_pad_is_seen_in_the_message() {
    let streams = {
        let run = run(0, None);
        let mut streams: Vec<u64> = run.keys[2][0].ledger().unwrap().into_keys().collect();
        streams.sort_unstable();
        streams
    };
    // Streams that P2 and P0 share; the first one pads the first linear layer's dealt addend.
    let found: Vec<u64> =
        streams.iter().copied().filter(|&s| !suspicious(&run(0, Some((2, s))).messages).is_empty()).collect();
    assert!(found.len() * 3 >= streams.len(), "only {found:?} of {} streams", streams.len());
}

#[test]
fn the_helper_receives_nothing_and_sizes_do_not_depend_on_secrets() {
    let shape = |input| -> Vec<(usize, usize, usize)> {
        let messages = run(input, None).messages;
        assert!(messages.iter().all(|m| m.to != Party::P2.index()), "P2 received a message");
        let mut shapes: Vec<_> = messages.iter().map(|m| (m.from, m.to, m.payload.len())).collect();
        // Links run side by side; what one sends to another is in order.
        shapes.sort_by_key(|(from, to, _)| (*from, *to));
        shapes
    };
    assert_eq!(shape(0), shape(12345));
}
