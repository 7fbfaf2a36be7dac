//! The views of P0 and P1: uniform, whatever the secret, and the results are right under every pad.

use std::collections::HashMap;
use std::sync::Arc;

use cryptflow_mpc::stream::Source;
use cryptflow_mpc::{Party, Term};
use cryptflow_ring::small_field::Thresholds;
use cryptflow_ring::{LinearMap, Window};

use super::{Bug, Common, Known, LANES, Layout, P, places, run, sample, sent};
use crate::Tuning;
use crate::odd::mask;
use crate::private_compare::Question;
use crate::session::Session;
use crate::share::Share;
use crate::tuning::cut;

/// What one stream (by its number) of the key that the corrupted evaluator lacks is drawn for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    /// Pads of words that P2 deals, modulo 2^L or modulo N.
    Dealt { odd: bool },
    /// Pads of words that the other evaluator sends, modulo 2^L or modulo N.
    Opened { odd: bool },
    /// Pads of the bits of a word that P2 deals; the view is that of one row.
    Bits { row: usize },
    /// P2 sends both shares modulo N: P0's is the word of its own key, which is P1's pad.
    Both,
}

/// A stream's use, and whether its pads are enumerated or held fixed.
#[derive(Clone, Copy)]
struct Stream {
    using: Use,
    enumerated: bool,
}

impl Stream {
    /// How many values the pads take.
    fn radix<const L: u32>(self, corrupted: Party) -> usize {
        let words = 1 << L;
        match self.using {
            _ if !self.enumerated => 1,
            Use::Both if corrupted == Party::P0 => 1,
            Use::Dealt { odd } | Use::Opened { odd } => words - usize::from(odd),
            Use::Both => words - 1,
            Use::Bits { .. } => P,
        }
    }

    /// Whether the corrupted evaluator is sent the message only in one half of a block.
    fn half(self) -> bool {
        matches!(self.using, Use::Dealt { .. } | Use::Bits { .. })
    }
}

/// A step over words of L bits, and the secrets between which it must not tell.
struct Problem<const L: u32> {
    name: &'static str,
    streams: Vec<Stream>,
    /// Pairs of secret words, shared additively.
    secrets: Vec<(u64, u64)>,
    /// The streams of the evaluators' key from which coins are drawn.
    coins: &'static [u64],
    /// The values are shared modulo N, not 2^L.
    odd: bool,
    /// A party's side, on its shares of both tensors and their length.
    step: fn(&mut Session<L>, &[u64], &[u64], usize) -> Vec<u64>,
    /// What the shares of the result are shares of.
    result: fn(u64, u64) -> Option<u64>,
}

/// The key that the corrupted evaluator lacks.
struct Enumerated {
    streams: Vec<Stream>,
    /// For each stream what to divide an assignment's number by, and the digit's radix.
    digits: Vec<(usize, usize)>,
    words: usize,
    layout: Layout,
    bug: Option<Bug>,
    seed: u64,
}

impl Source for Enumerated {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        let pads = match self.bug {
            Some(Bug::UsedTwice(d, other)) if d == domain => other,
            _ => domain,
        };
        let (divisor, radix) = self.digits[pads as usize];
        let forgotten = matches!(self.bug, Some(Bug::Forgotten(d)) if d == domain);
        let skewed = matches!(self.bug, Some(Bug::NotUniform(d)) if d == domain);
        let stream = self.streams[domain as usize];
        let fixed = |row: usize| sample(self.seed + 1000 * pads + row as u64) as usize;
        let digit = |element: usize| {
            let digit = self.layout.number(element) / divisor;
            match (forgotten, skewed) {
                (true, _) => 0,
                // As if the number had been spelled with all words.
                (_, true) => digit % self.words,
                _ => digit % radix,
            }
        };
        for (word, out) in (first as usize..).zip(out) {
            *out = match stream.using {
                Use::Bits { .. } => {
                    let mut at = places(word);
                    u64::from_le_bytes(std::array::from_fn(|_| {
                        let (element, row) = at.next().unwrap();
                        ((fixed(row) + digit(element)) % P) as u8
                    }))
                }
                // A sum modulo N in which every element occurs once.
                Use::Dealt { odd: true } | Use::Opened { odd: true } | Use::Both if !skewed => {
                    ((digit(word) + fixed(0)) % (self.words - 1)) as u64
                }
                _ => ((digit(word) + fixed(0)) % self.words) as u64,
            };
        }
    }
}

/// Whether each view occurs equally often, and the result is right under each pad. `seed` tells the
/// fixed pads apart.
fn uniform<const L: u32>(
    problem: &Problem<L>,
    corrupted: Party,
    secret: (u64, u64),
    seed: u64,
    bug: Option<Bug>,
) -> Result<(), String> {
    let radices: Vec<usize> = problem.streams.iter().map(|s| s.radix::<L>(corrupted)).collect();
    let mut assignments = 1;
    let mut digits = Vec::new();
    for &radix in &radices {
        digits.push((assignments, radix));
        assignments *= radix;
    }
    let layout = || Layout::new(assignments);
    let streams = problem.streams.clone();
    let words = 1 << L;
    let hidden: Arc<dyn Source> =
        Arc::new(Enumerated { streams, digits, words, layout: layout(), bug, seed });
    let known: Arc<dyn Source> = Arc::new(Known(seed));
    let common: Arc<dyn Source> = Arc::new(Common { seed, coins: problem.coins });
    let key = |a: Party, b: Party| {
        let helper = a == Party::P2 || b == Party::P2;
        Arc::clone(match helper {
            false => &common,
            true if a == corrupted || b == corrupted => &known,
            true => &hidden,
        })
    };
    let layout = layout();
    let modulus = words as u64 - u64::from(problem.odd);
    // The corrupted evaluator's shares stay the same.
    let own = [3 + seed, 5 + 2 * seed].map(|v| v % modulus);
    let share = |party: Party, secret: u64, own: u64| match party {
        Party::P2 => Vec::new(),
        _ if party == corrupted => vec![own; layout.n],
        _ => vec![(secret + modulus - own) % modulus; layout.n],
    };
    let (results, messages) = run::<L>(key, |session| {
        let (x, y) = (share(session.party, secret.0, own[0]), share(session.party, secret.1, own[1]));
        (problem.step)(session, &x, &y, layout.n)
    });

    if let (Some(due), None) = ((problem.result)(secret.0, secret.1), bug) {
        let wrong = |(a, b): (&u64, &u64)| a.wrapping_add(*b) & mask(L) != due & mask(L);
        if results[0].iter().zip(&results[1]).any(wrong) || results[0].is_empty() {
            return Err("the result is wrong under some pad".into());
        }
    }

    // The view of each element: a number whose digits are what it was sent.
    let (mut views, mut visible) = (vec![0usize; layout.n], [1usize; 2]);
    let peer = 1 - corrupted.index();
    let (dealer, peer) = (sent(&messages, 2, corrupted.index()), sent(&messages, peer, corrupted.index()));
    let (mut dealer, mut peer) = (dealer.as_slice(), peer.as_slice());
    for (stream, radix) in problem.streams.iter().zip(&radices) {
        let source = if matches!(stream.using, Use::Opened { .. }) { &mut peer } else { &mut dealer };
        let mut record = |element: usize, value: u64| {
            let value = value as usize;
            let legal = match stream.using {
                Use::Bits { .. } => P,
                Use::Dealt { odd } | Use::Opened { odd } => words - usize::from(odd),
                Use::Both => words - 1,
            };
            if value >= legal {
                return Err(format!("{:?} is {value}", stream.using));
            }
            views[element] =
                views[element] * if *radix == 1 { 1 } else { legal } + if *radix == 1 { 0 } else { value };
            Ok(())
        };
        for block in Tuning::USUAL.blocks(layout.n) {
            let half = block.start + cut(block.len());
            let mine = match (stream.half(), corrupted) {
                (false, _) => block,
                (true, Party::P0) => half..block.end,
                (true, _) => block.start..half,
            };
            if let Use::Bits { row } = stream.using {
                for group in mine.clone().step_by(LANES) {
                    let (rows, rest) = source.split_at(LANES * LANES);
                    *source = rest;
                    (0..LANES).try_for_each(|lane| record(group + lane, rows[row * LANES + lane].into()))?;
                }
            } else {
                for element in mine {
                    let (word, rest) = source.split_first_chunk().unwrap();
                    *source = rest;
                    record(element, u64::from_le_bytes(*word))?;
                }
            }
        }
        let both = [0, 1].map(|second| !stream.half() || (second == 1) == (corrupted == Party::P0));
        visible.iter_mut().zip(both).for_each(|(v, sees)| *v *= if sees { *radix } else { 1 });
    }
    if !dealer.is_empty() || !peer.is_empty() {
        return Err("messages are left".into());
    }
    for second in [false, true] {
        let mut histogram: HashMap<usize, usize> = HashMap::new();
        for (element, view) in views.iter().enumerate() {
            if layout.second_half(element) == second && layout.number(element) < assignments {
                *histogram.entry(*view).or_default() += 1;
            }
        }
        let (visible, all) = (visible[usize::from(second)], layout.assignments);
        if histogram.len() != visible || histogram.values().any(|&count| count != all / visible) {
            return Err(format!("{} of {visible} views", histogram.len()));
        }
    }
    Ok(())
}

const DEALT: Use = Use::Dealt { odd: false };
const DEALT_ODD: Use = Use::Dealt { odd: true };
const OPENED: Use = Use::Opened { odd: false };
const OPENED_ODD: Use = Use::Opened { odd: true };
const BITS: Use = Use::Bits { row: 0 };

/// Streams of which those are enumerated that `choose` says.
fn streams(uses: &[Use], choose: fn(Use) -> bool) -> Vec<Stream> {
    uses.iter().map(|&using| Stream { using, enumerated: choose(using) }).collect()
}

fn all(_: Use) -> bool {
    true
}

fn dealt(using: Use) -> bool {
    matches!(using, Use::Dealt { .. })
}

fn opened(using: Use) -> bool {
    matches!(using, Use::Opened { .. })
}

/// All but the bits.
fn words(using: Use) -> bool {
    !matches!(using, Use::Bits { .. })
}

fn product<const L: u32>(session: &mut Session<L>, x: &[u64], y: &[u64], n: usize, shift: u32) -> Vec<u64> {
    let map = LinearMap::Scale { rows: 1, channels: n };
    let [x, w] = [x, y].map(|v| Share { data: v.to_vec(), len: n });
    session.linear(&[Term { map: &map, x: &x, w: &w }], None, shift).unwrap().data
}

/// Asks whether x is larger than 5, or smaller; every odd element is asked the contrary.
fn compare<const L: u32>(session: &mut Session<L>, x: u64, n: usize) -> Vec<u64> {
    let greater = std::array::from_fn(|lane| if lane % 2 == 0 { 0xff } else { 0 });
    let thresholds = |_| Thresholds { word: [5; LANES], greater, always: [0; LANES] };
    if session.is_dealer() {
        session.deal_bits(&vec![x; n]).unwrap();
        session.answer(n).unwrap()
    } else {
        session.ask(n, &Question { thresholds: &thresholds }).unwrap();
        Vec::new()
    }
}

fn signed<const L: u32>(x: u64) -> i64 {
    ((x << (64 - L)) as i64) >> (64 - L)
}

/// relu(x) where a comparison is exact.
fn relu_of<const L: u32>(x: u64) -> Option<u64> {
    let (x, bound) = (signed::<L>(x), 1i64 << (L - 2));
    (-bound..bound).contains(&x).then(|| x.max(0) as u64)
}

const CONVERT: [Use; 3] = [DEALT_ODD, BITS, Use::Both];
const MSB: [Use; 7] = [OPENED_ODD, DEALT, BITS, DEALT, OPENED, OPENED, DEALT];

fn relu_uses() -> Vec<Use> {
    [&CONVERT[..], &MSB, &[OPENED, OPENED, DEALT]].concat()
}

fn pairs<const L: u32>(count: u64) -> Vec<(u64, u64)> {
    (0..count).map(|i| ((i * 7) & mask(L), (i * i * 3 + i) & mask(L))).collect()
}

fn singles(values: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    values.map(|x| (x, 0)).collect()
}

fn linear<const L: u32>(uses: &[Use], repeat: bool) -> Problem<L> {
    Problem {
        name: if repeat { "the same x and w twice" } else { "linear" },
        streams: streams(uses, all),
        secrets: pairs::<L>(6),
        coins: &[],
        odd: false,
        step: match repeat {
            false => |s, x, y, n| product(s, x, y, n, 0),
            true => |s, x, y, n| {
                product(s, x, y, n, 0);
                product(s, x, y, n, 0)
            },
        },
        result: |x, y| Some(x.wrapping_mul(y)),
    }
}

fn truncation<const L: u32>() -> Problem<L> {
    Problem {
        name: "dealt truncation",
        streams: streams(&[OPENED, DEALT, DEALT], all),
        secrets: singles((0..1 << L).step_by(3)),
        coins: &[],
        odd: false,
        step: |s, x, _, n| {
            let mut z = x.to_vec();
            s.truncate(&mut z, n, 1).unwrap();
            z
        },
        result: |_, _| None,
    }
}

fn linear_truncated<const L: u32>() -> Problem<L> {
    Problem {
        name: "linear, truncated",
        streams: streams(&[OPENED, OPENED, DEALT, OPENED, DEALT, DEALT], all),
        secrets: pairs::<L>(4),
        coins: &[],
        odd: false,
        step: |s, x, y, n| product(s, x, y, n, 1),
        result: |_, _| None,
    }
}

/// Numbers that are not N, as ShareConvert wants them.
fn convert<const L: u32>(row: usize) -> Problem<L> {
    Problem {
        name: "ShareConvert",
        streams: streams(&[DEALT_ODD, Use::Bits { row }, Use::Both], all),
        secrets: singles((0..mask(L)).step_by(3)),
        coins: &[2],
        odd: false,
        step: |s, x, _, n| s.share_convert(x, n).unwrap(),
        result: |_, _| None,
    }
}

fn private_compare<const L: u32>(row: usize) -> Problem<L> {
    Problem {
        name: "PrivateCompare",
        streams: streams(&[Use::Bits { row }], all),
        secrets: singles([0, 5, 6, 15].into_iter()),
        coins: &[],
        odd: false,
        // What is compared is P2's.
        step: |s, _, _, n| compare(s, 9, n),
        result: |_, _| None,
    }
}

fn msb<const L: u32>(choose: fn(Use) -> bool) -> Problem<L> {
    Problem {
        name: "ComputeMSB",
        streams: streams(&MSB, choose),
        secrets: singles(0..mask(L).min(7)),
        coins: &[0],
        odd: true,
        step: |s, y, _, n| s.msb(y, n).unwrap(),
        // Under some pads in 2^L the word N is drawn for 0; the result is right then, too.
        result: |y, _| Some(u64::from(2 * y >= mask(L))),
    }
}

fn relu<const L: u32>(choose: fn(Use) -> bool) -> Problem<L> {
    Problem {
        name: "ReLU",
        streams: streams(&relu_uses(), choose),
        secrets: singles(0..1 << L),
        coins: &[2, 6],
        odd: false,
        step: |s, x, _, n| s.relu(x, n).unwrap(),
        result: |x, _| relu_of::<L>(x),
    }
}

fn square<const L: u32>() -> Problem<L> {
    Problem {
        name: "square",
        secrets: singles(0..1 << L),
        step: |s, x, _, n| product(s, x, x, n, 0),
        result: |x, _| Some(x.wrapping_mul(x)),
        ..linear(&[OPENED, OPENED, DEALT], false)
    }
}

fn threshold<const L: u32>(choose: fn(Use) -> bool) -> Problem<L> {
    Problem {
        name: "comparison with a threshold",
        streams: streams(&[&CONVERT[..], &MSB].concat(), choose),
        step: |s, x, _, n| s.compare(&Share { data: x.to_vec(), len: n }, &[1]).unwrap().data,
        result: |x, _| {
            let (d, bound) = (signed::<L>(x.wrapping_sub(1)), 1i64 << (L - 2));
            (-bound..bound).contains(&d).then(|| u64::from(d >= 0))
        },
        ..relu::<L>(choose)
    }
}

fn maximum<const L: u32>(choose: fn(Use) -> bool) -> Problem<L> {
    Problem {
        name: "MaxPool",
        streams: streams(&relu_uses(), choose),
        secrets: pairs::<L>(4),
        coins: &[2, 6],
        odd: false,
        step: |s, x, y, n| {
            let x = Share { data: [x, y].concat(), len: 2 * n };
            let window = Window { kernel: [2, 1], stride: [2, 1], dilation: [1; 2], padding: [[0; 2]; 2] };
            s.max_pool(&x, [1, 2, n, 1], &window).unwrap().data
        },
        result: |x, y| relu_of::<L>(x.wrapping_sub(y)).map(|d| y.wrapping_add(d)),
    }
}

/// Calls `$check` with each problem.
macro_rules! each_problem {
    ($check:ident) => {
        $check(&linear::<5>(&[OPENED, OPENED, DEALT], false));
        $check(&linear::<2>(&[OPENED, OPENED, DEALT, OPENED, OPENED, DEALT], true));
        $check(&square::<4>());
        $check(&threshold::<2>(dealt));
        $check(&threshold::<2>(opened));
        $check(&truncation::<5>());
        $check(&linear_truncated::<2>());
        for row in [0, 1, 3, 63] {
            $check(&private_compare::<4>(row));
        }
        $check(&convert::<3>(2));
        $check(&msb::<2>(words));
        $check(&msb::<4>(dealt));
        $check(&msb::<4>(opened));
        $check(&relu::<2>(dealt));
        $check(&relu::<2>(opened));
        $check(&maximum::<2>(dealt));
        $check(&maximum::<2>(opened));
    };
}

fn holds<const L: u32>(problem: &Problem<L>) {
    for corrupted in [Party::P0, Party::P1] {
        for (i, &secret) in problem.secrets.iter().enumerate() {
            uniform(problem, corrupted, secret, i as u64 % 3, None)
                .unwrap_or_else(|e| panic!("{}, {L} bits: {corrupted} on {secret:?}: {e}", problem.name));
        }
    }
}

#[test]
fn every_view_is_uniform_whatever_the_secret() {
    each_problem!(holds);
    // Too large for a run with every bug.
    holds(&convert::<4>(0));
    holds(&Problem { secrets: singles([0, 1, 3, 7].into_iter()), ..relu::<3>(opened) });
}

/// Each enumerated stream of the key that the evaluator lacks, forgotten, equal to another, or not
/// uniform.
fn finds_bugs<const L: u32>(problem: &Problem<L>) {
    for corrupted in [Party::P0, Party::P1] {
        let pads = |i: &usize| problem.streams[*i].radix::<L>(corrupted) > 1;
        let enumerated: Vec<usize> = (0..problem.streams.len()).filter(pads).collect();
        let mut bugs: Vec<Bug> = enumerated.iter().map(|&i| Bug::Forgotten(i as u64)).collect();
        for pair in enumerated.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|i| problem.streams[i].using);
            if a == b {
                bugs.push(Bug::UsedTwice(pair[1] as u64, pair[0] as u64));
            }
        }
        let odd = enumerated
            .iter()
            .filter(|&&i| [DEALT_ODD, OPENED_ODD, Use::Both].contains(&problem.streams[i].using));
        bugs.extend(odd.map(|&i| Bug::NotUniform(i as u64)));
        for bug in bugs {
            let found =
                problem.secrets.iter().any(|&s| uniform(problem, corrupted, s, 0, Some(bug)).is_err());
            assert!(found, "{}, {L} bits: {bug:?} against {corrupted} goes unnoticed", problem.name);
        }
    }
}

#[test]
fn planted_bugs_are_found() {
    each_problem!(finds_bugs);
}
