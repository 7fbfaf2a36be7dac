//! Leak tests on the real party code: what a corrupted evaluator receives, enumerated over every
//! pad that it does not know, on rings of a few bits.
//!
//! Every step works element by element, so one run on 2^u elements enumerates u bits of pads: the
//! same secret everywhere, element e under the pads that e's own bits spell. The view of an element
//! must then be uniform: every value equally often, whatever the secret. A pad that is forgotten,
//! or used twice, breaks this, and the test plants each such bug to show that it would be found.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use cryptflow_mpc::Party;
use cryptflow_mpc::Term;
use cryptflow_mpc::keys::{Key, Keys};
use cryptflow_mpc::stream::Source;
use cryptflow_mpc::turn::alone;
use cryptflow_operation::Looks;
use cryptflow_ring::LinearMap;
use cryptflow_ring::pack::{packed_len, unpack};
use cryptflow_ring::planes::plane_bytes;
use cryptflow_wire::LinkOptions;
use cryptflow_wire::local::{Recorded, recorded_mesh};

use crate::circuit::Circuit;
use crate::less_than::less_than_and_sign;
use crate::share::{Masked, MirroredWeight, WeightPart, low_bits};
use crate::tree::Tree;
use crate::tuning::cut;
use crate::{Mirror, Tuning};

/// A block's elements, in these tests and usually.
const BLOCK: usize = Tuning::USUAL.block;
const HALF: usize = BLOCK / 2;
const HALF_WORDS: usize = HALF / 64;

/// What one stream (by its number) is drawn for; tensors may hold several copies of the enumerated
/// elements.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// Shares that P2 deals, or pads of values: one word an element.
    Values { bits: usize, dealt: bool, copies: usize },
    /// Pads of opened planes.
    Planes { count: usize, copies: usize },
    /// Shares of planes that P2 deals.
    DealtPlanes { count: usize, copies: usize },
}

impl Use {
    /// Bits for one copy of an element.
    fn bits(self) -> usize {
        match self {
            Use::Values { bits, .. } => bits,
            Use::Planes { count, .. } | Use::DealtPlanes { count, .. } => count,
        }
    }

    /// Copies of the enumerated elements in the stream's tensor.
    fn copies(self) -> usize {
        match self {
            Use::Values { copies, .. } | Use::Planes { copies, .. } | Use::DealtPlanes { copies, .. } => {
                copies
            }
        }
    }

    fn width(uses: &[Use]) -> usize {
        uses.iter().map(|u| u.bits() * u.copies()).sum()
    }
}

/// A bug in the handling of pads.
#[derive(Clone, Copy, Debug)]
enum Bug {
    Forgotten(u64),
    UsedTwice(u64, u64),
}

/// The streams of the key that the corrupted evaluator does not have: they spell the element's
/// number.
struct Enumerated {
    uses: Vec<Use>,
    /// Elements enumerated; a stream's second copy has pads of its own.
    n: usize,
    /// Which half of a block the key's pads serve where P2 deals: k02 the first, k12 the second.
    second_half: bool,
    bug: Option<Bug>,
}

/// Number of the pads that an element gets: the halves of all blocks are enumerated alike.
fn assignment(element: usize) -> usize {
    element / BLOCK * HALF + element % HALF
}

impl Enumerated {
    /// Bit `bit` of what the stream `domain` gives to an element.
    fn bit(&self, domain: usize, element: usize, bit: usize) -> u64 {
        let (copy, element) = (element / self.n, element % self.n);
        let at = Use::width(&self.uses[..domain]) + copy * self.uses[domain].bits() + bit;
        (assignment(element) >> at & 1) as u64
    }
}

impl Source for Enumerated {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        let domain = match self.bug {
            Some(Bug::Forgotten(d)) if d == domain => return out.fill(0),
            Some(Bug::UsedTwice(d, other)) if d == domain => other,
            _ => domain,
        } as usize;
        for (word, out) in (first as usize..).zip(out) {
            let plane = |count: usize, words: usize, first: usize| {
                let (block, within) =
                    (word / (BLOCK / 64 * count), word % (BLOCK / 64 * count) - first * count);
                let (plane, at) = (within / words, within % words);
                let start = block * BLOCK + (first + at) * 64;
                (0..64).map(|j| self.bit(domain, start + j, plane) << j).sum()
            };
            *out = match self.uses[domain] {
                Use::Values { bits, .. } => (0..bits).map(|b| self.bit(domain, word, b) << b).sum(),
                Use::Planes { count, .. } => plane(count, BLOCK / 64, 0),
                Use::DealtPlanes { count, .. } => {
                    plane(count, HALF_WORDS, if self.second_half { HALF_WORDS } else { 0 })
                }
            };
        }
    }
}

/// A key that the corrupted party knows: the same words for every element.
struct Known;

impl Source for Known {
    fn words(&self, domain: u64, _: u64, out: &mut [u64]) {
        out.fill(if domain % 3 == 1 { u64::MAX } else { 0 });
    }
}

/// A step, the streams that it draws, and the secrets between which it must not tell.
struct Problem {
    name: &'static str,
    ring: u32,
    /// The ring of the input.
    bits: u32,
    uses: Vec<Use>,
    /// Secret inputs and weights.
    secrets: Vec<(u64, u64)>,
    step: fn(&mut Mirror, &Masked, &MirroredWeight),
}

/// Runs the step with everything that the corrupted evaluator knows held fixed, and returns what it
/// received.
fn transcript(
    problem: &Problem,
    corrupted: Party,
    secret: (u64, u64),
    bug: Option<Bug>,
) -> (usize, Vec<Recorded>) {
    let n = (2usize << Use::width(&problem.uses)).max(BLOCK);
    let enumerated: Arc<dyn Source> =
        Arc::new(Enumerated { uses: problem.uses.clone(), n, second_half: corrupted == Party::P0, bug });
    let known: Arc<dyn Source> = Arc::new(Known);
    let key = |a: Party, b: Party| {
        let hidden = a != corrupted && b != corrupted;
        Key::insecure_from_source(Arc::clone(if hidden { &enumerated } else { &known }))
    };
    // m, the corrupted party's mask and its share of the weight stay the same; the other mask makes
    // up for the secret.
    let (x, w) = secret;
    let mask = low_bits(problem.bits);
    let (m, own, weight) = (5 & mask, 3 & mask, 6);
    let other = m.wrapping_sub(x).wrapping_sub(own) & mask;
    let (r0, r1) = if corrupted == Party::P0 { (own, other) } else { (other, own) };
    let e = if corrupted == Party::P0 { w.wrapping_sub(weight) } else { u64::wrapping_sub(weight, w) };

    let (links, transcript) = recorded_mesh(3, LinkOptions::default()).unwrap();
    thread::scope(|scope| {
        for (party, links) in Party::all(3).zip(links) {
            let others = [party.next(3), party.previous(3)];
            let keys =
                Keys::insecure_from_keys(party, others.map(|other| (other, key(party, other)))).unwrap();
            scope.spawn(move || {
                let mut mirror = Mirror::insecure_with_keys(
                    links,
                    keys,
                    problem.ring,
                    Tuning { bits_per_round: 0, ..Tuning::USUAL },
                )
                .unwrap();
                let (a, b, part) = match party {
                    Party::P0 => (m, r0, WeightPart::Evaluator(vec![w.wrapping_sub(e)].into())),
                    Party::P1 => (m, r1, WeightPart::Evaluator(vec![w.wrapping_add(e)].into())),
                    _ => (r0, r1, WeightPart::Difference(vec![e].into())),
                };
                let x = Masked { a: vec![a; n], b: vec![b; n], bits: problem.bits };
                (problem.step)(&mut mirror, &x, &MirroredWeight { part, len: 1, bits: 64 });
            });
        }
    });
    let confirmation = 32;
    let received = transcript.take().into_iter();
    let received = received.filter(|r| r.to == corrupted.index() && r.payload.len() != confirmation);
    (n, received.collect())
}

/// The view of each element, from the messages of P2 and of the other evaluator, as the uses say
/// how to read them.
fn views(problem: &Problem, corrupted: Party, n: usize, received: &[Recorded]) -> Vec<u128> {
    let mut views = vec![0u128; n];
    let mut width = 0;
    let from = |party: usize| received.iter().filter(move |r| r.from == party).map(|r| r.payload.as_slice());
    let (mut dealer, mut peer) = (from(2), from(1 - corrupted.index()));
    // Streams are drawn in another order than messages come in (planes are dealt before the
    // openings whose pads were drawn first), but each sender's messages come in the order of its
    // streams. What is left of P2's message for a block: one message holds all that is dealt for
    // one opening.
    let mut rests: HashMap<usize, &[u8]> = HashMap::new();
    for using in &problem.uses {
        for block in Tuning::USUAL.blocks(n * using.copies()) {
            let half = cut(block.len());
            let mine = match corrupted {
                Party::P0 => block.start + half..block.end,
                _ => block.start..block.start + half,
            };
            let (message, range) = match using {
                Use::Values { bits, dealt: true, .. } => {
                    let rest = rests.remove(&block.start).or_else(|| dealer.next()).unwrap();
                    let (message, rest) = rest.split_at(packed_len(mine.len(), *bits as u32));
                    if !rest.is_empty() {
                        rests.insert(block.start, rest);
                    }
                    (message, mine)
                }
                Use::DealtPlanes { .. } => (dealer.next().unwrap(), mine),
                _ => (peer.next().unwrap(), block),
            };
            let len = range.len();
            let mut values = vec![0; len];
            match using {
                Use::Values { bits, .. } => {
                    assert_eq!(message.len(), packed_len(len, *bits as u32), "{}", problem.name);
                    unpack(message, *bits as u32, &mut values);
                }
                Use::Planes { count, .. } | Use::DealtPlanes { count, .. } => {
                    assert_eq!(message.len(), count * plane_bytes(len), "{}", problem.name);
                    for (p, plane) in message.chunks_exact(plane_bytes(len)).enumerate() {
                        for (i, v) in values.iter_mut().enumerate() {
                            *v |= u64::from(plane[i / 8] >> (i % 8) & 1) << p;
                        }
                    }
                }
            }
            for (element, v) in range.zip(values) {
                let copy = element / n;
                views[element % n] |= u128::from(v) << (width + copy * using.bits());
            }
        }
        width += using.bits() * using.copies();
    }
    assert!(
        rests.is_empty() && dealer.next().is_none() && peer.next().is_none(),
        "{}: messages are left",
        problem.name
    );
    views
}

/// Whether the views are uniform, each value equally often, on as many bits as pads were
/// enumerated.
fn uniform(problem: &Problem, corrupted: Party, secret: (u64, u64), bug: Option<Bug>) -> Result<(), String> {
    let (n, received) = transcript(problem, corrupted, secret, bug);
    let views = views(problem, corrupted, n, &received);
    let mut seen = 0;
    for second in [false, true] {
        let mut histogram: HashMap<u128, usize> = HashMap::new();
        let mut ones = 0;
        for (element, view) in views.iter().enumerate() {
            if (element % BLOCK >= HALF) == second {
                *histogram.entry(*view).or_default() += 1;
                ones |= view;
            }
        }
        // One half of a block is sent no corrections: its views have fewer bits.
        let expected = (n / 2) >> ones.count_ones();
        if histogram.len() != 1 << ones.count_ones() || histogram.values().any(|&c| c != expected) {
            return Err(format!("{} values of {} bits", histogram.len(), ones.count_ones()));
        }
        seen = seen.max(ones.count_ones() as usize);
    }
    let all = Use::width(&problem.uses);
    if seen == all { Ok(()) } else { Err(format!("{seen} of {all} bits vary")) }
}

const fn dealt(bits: usize) -> Use {
    Use::Values { bits, dealt: true, copies: 1 }
}

const fn opened(bits: usize) -> Use {
    Use::Values { bits, dealt: false, copies: 1 }
}

const fn planes(count: usize) -> Use {
    Use::Planes { count, copies: 1 }
}

const fn dealt_planes(count: usize) -> Use {
    Use::DealtPlanes { count, copies: 1 }
}

fn leaves(sizes: &[u32]) -> Tree {
    Tree::Branch(sizes.iter().map(|&s| Tree::Leaf(s)).collect())
}

fn compare(mirror: &mut Mirror, x: &Masked, tree: &Tree) {
    alone(less_than_and_sign(&mut mirror.session, x, &[0], &Circuit::new(tree, 1), 0)).unwrap();
}

fn compare_twice(mirror: &mut Mirror, x: &Masked, tree: &Tree) {
    alone(less_than_and_sign(&mut mirror.session, x, &[0, 3], &Circuit::new(tree, 2), 0)).unwrap();
}

fn multiply(mirror: &mut Mirror, x: &Masked, w: &MirroredWeight) -> Masked {
    let map = LinearMap::Scale { rows: x.len(), channels: 1 };
    alone(mirror.linear(&[Term { map: &map, x, w }], Some(w), 1, x.bits())).unwrap()
}

fn product(mirror: &mut Mirror, x: &Masked, y: &Masked) -> Masked {
    let map = LinearMap::Scale { rows: 1, channels: x.len() };
    alone(mirror.product(&map, x, y, 1)).unwrap()
}

fn problems() -> Vec<Problem> {
    let all = |bits: u32| (0..1 << bits).map(|x| (x, 0)).collect::<Vec<_>>();
    let pairs = vec![(0, 0), (1, 1), (31, 0), (7, 19), (16, 16), (15, 31)];
    let problem = |name, ring, bits, uses, secrets, step| Problem { name, ring, bits, uses, secrets, step };
    vec![
        problem("linear", 5, 5, vec![dealt(3), opened(3)], pairs.clone(), |m, x, w| {
            multiply(m, x, w);
        }),
        problem(
            "the same x and w twice",
            5,
            5,
            vec![dealt(3), opened(3), dealt(3), opened(3)],
            pairs.clone(),
            |m, x, w| {
                multiply(m, x, w);
                multiply(m, x, w);
            },
        ),
        problem("square", 5, 5, vec![dealt(3), opened(3)], all(5), |m, x, _| {
            product(m, x, x);
        }),
        problem(
            "product of a value with what shares its masks, twice",
            5,
            5,
            vec![dealt(3), opened(3), dealt(3), opened(3)],
            all(5),
            |m, x, _| {
                let (sum, tripled) = (x.add(x), x.combined(&[3], &[1], m.session.is_dealer()).unwrap());
                product(m, &sum, &tripled);
                product(m, x, &tripled);
            },
        ),
        problem(
            "comparison with a threshold",
            4,
            3,
            vec![planes(1), dealt_planes(3), dealt(4), opened(4)],
            all(3),
            |m, x, _| {
                alone(m.compare(x, &[1], Looks::at_all(3), 4)).unwrap();
            },
        ),
        problem(
            "comparison with two thresholds",
            2,
            2,
            vec![
                planes(2),
                dealt_planes(1),
                Use::Values { bits: 2, dealt: true, copies: 2 },
                Use::Values { bits: 2, dealt: false, copies: 2 },
            ],
            all(2),
            |m, x, _| {
                alone(m.compare(x, &[0, 1], Looks::at_all(2), 2)).unwrap();
            },
        ),
        problem("public factor", 4, 4, vec![opened(2)], all(4), |m, x, _| {
            alone(m.scale_public(x, &[3], 2)).unwrap();
        }),
        problem("input masked anew", 4, 4, vec![opened(4)], all(4), |m, x, _| {
            alone(m.mask_anew(x.len(), &x.a, &x.b)).unwrap();
        }),
        problem("leaf of three bits", 4, 4, vec![planes(1), dealt_planes(7)], all(4), |m, x, _| {
            compare(m, x, &Tree::Leaf(3));
        }),
        problem(
            "node of two leaves",
            4,
            4,
            vec![planes(2), planes(1), dealt_planes(5)],
            all(4),
            |m, x, _| compare(m, x, &leaves(&[1, 2])),
        ),
        problem(
            "leaf of three bits, two thresholds",
            4,
            4,
            vec![planes(2), dealt_planes(7)],
            all(4),
            |m, x, _| {
                compare_twice(m, x, &Tree::Leaf(3));
            },
        ),
        problem(
            "node of two leaves, two thresholds",
            4,
            4,
            vec![planes(4), planes(2), dealt_planes(6)],
            all(4),
            |m, x, _| compare_twice(m, x, &leaves(&[1, 2])),
        ),
        problem(
            "node of three leaves",
            4,
            4,
            vec![planes(4), planes(1), dealt_planes(8)],
            all(4),
            |m, x, _| compare(m, x, &leaves(&[1, 1, 1])),
        ),
        problem(
            "two levels",
            4,
            4,
            vec![planes(3), planes(2), planes(1), dealt_planes(6)],
            all(4),
            |m, x, _| compare(m, x, &Tree::Branch(vec![Tree::Leaf(1), leaves(&[1, 1])])),
        ),
        problem(
            "relu, widened",
            4,
            3,
            vec![planes(1), dealt_planes(3), dealt(3), dealt(3), opened(3), dealt(1), dealt(1), opened(1)],
            all(3),
            |m, x, _| {
                alone(m.relu(x, Looks::at_all(3), Some(4))).unwrap();
            },
        ),
        problem(
            "relu whose sign is dealt, as older releases do",
            3,
            3,
            vec![planes(1), dealt_planes(4), dealt(3), dealt(3), opened(3)],
            all(3),
            |m, x, _| {
                m.session.tuning.masks_signs = false;
                alone(m.relu(x, Looks::at_all(3), None)).unwrap();
            },
        ),
        problem(
            "relu that skips a bit, widened",
            4,
            3,
            vec![planes(1), dealt_planes(1), dealt(3), dealt(3), opened(3), dealt(1), dealt(1), opened(1)],
            all(3),
            |m, x, _| {
                alone(m.relu(x, Looks { bits: 3, skipped: 1 }, Some(4))).unwrap();
            },
        ),
        problem(
            "relu, chosen in the large ring",
            3,
            2,
            vec![planes(1), dealt_planes(1), dealt(3), dealt(3), dealt(1), dealt(1), dealt(1), opened(3)],
            all(2),
            |m, x, _| {
                m.session.tuning = Tuning { bits_per_round: u64::MAX, chooses_wide: true, ..Tuning::USUAL };
                alone(m.relu(x, Looks::at_all(2), Some(3))).unwrap();
            },
        ),
        problem("widen", 5, 4, vec![dealt(1), dealt(1), opened(1)], all(4), |m, x, _| {
            alone(m.widen(x, 5)).unwrap();
        }),
        problem(
            "clipped relu",
            2,
            2,
            vec![planes(2), dealt_planes(1), dealt(2), dealt(2), dealt(2), dealt(2), opened(2)],
            all(2),
            |m, x, _| {
                alone(m.clipped_relu(x, 1, Looks::at_all(2), None)).unwrap();
            },
        ),
    ]
}

#[test]
fn every_view_is_uniform_whatever_the_secret() {
    for problem in problems() {
        for corrupted in [Party::P0, Party::P1] {
            for &secret in &problem.secrets {
                uniform(&problem, corrupted, secret, None)
                    .unwrap_or_else(|e| panic!("{}: {corrupted} on {secret:?}: {e}", problem.name));
            }
        }
    }
}

#[test]
fn planted_bugs_are_found() {
    for problem in problems() {
        let mut bugs: Vec<Bug> = (0..problem.uses.len() as u64).map(Bug::Forgotten).collect();
        for (i, a) in problem.uses.iter().enumerate() {
            for (j, b) in problem.uses.iter().enumerate().take(i) {
                if a.bits() == b.bits() && std::mem::discriminant(a) == std::mem::discriminant(b) {
                    bugs.push(Bug::UsedTwice(i as u64, j as u64));
                }
            }
        }
        for bug in bugs {
            for corrupted in [Party::P0, Party::P1] {
                let found =
                    problem.secrets.iter().any(|&s| uniform(&problem, corrupted, s, Some(bug)).is_err());
                assert!(found, "{}: {bug:?} against {corrupted} goes unnoticed", problem.name);
            }
        }
    }
}
