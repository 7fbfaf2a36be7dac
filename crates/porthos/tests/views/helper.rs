//! The view of P2: hidden words uniform, and of each comparison one zero at a uniform place or
//! none, as a coin says, among uniform bytes; whatever is compared.

use std::collections::HashMap;
use std::sync::Arc;

use cryptflow_mpc::Party;
use cryptflow_mpc::stream::Source;
use cryptflow_ring::small_field::Thresholds;

use super::{Bug, Known, LANES, Layout, P, places, run, sample, sent};
use crate::odd::mask;
use crate::private_compare::Question;
use crate::session::Session;

/// What one stream of the evaluators' key is drawn for.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// Masks of words that P2 is sent.
    Words,
    /// β.
    Coins,
    /// Factors of cells, 1 to 126.
    Factors,
    /// Shares of zero, 0 to 126.
    Zeros,
    /// Places of cells, 0 to 63.
    Places,
}

/// The evaluators' key. Streams with a radix enumerate; the others' bytes are pseudo-random.
struct Enumerated {
    streams: Vec<(Use, usize)>,
    /// For each stream what to divide an element's number by.
    divisors: Vec<usize>,
    /// Which element of the enumeration an element of the tensor is.
    layout: Option<Layout>,
    bug: Option<Bug>,
}

impl Enumerated {
    /// And the number of elements. Where P2 knows other things of the halves of a block, each half
    /// enumerates the pads.
    fn new(streams: &[(Use, usize)], halves: bool, bug: Option<Bug>) -> (Enumerated, usize) {
        let mut elements = 1;
        let mut divisors = Vec::new();
        for (_, radix) in streams {
            divisors.push(elements);
            elements *= radix;
        }
        let layout = halves.then(|| Layout::new(elements));
        let n = layout.as_ref().map_or(elements, |l| l.n);
        (Enumerated { streams: streams.to_vec(), divisors, layout, bug }, n)
    }
}

impl Source for Enumerated {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        let pads = match self.bug {
            Some(Bug::UsedTwice(d, other)) if d == domain => other,
            _ => domain,
        };
        let forgotten = matches!(self.bug, Some(Bug::Forgotten(d)) if d == domain);
        let (_, radix) = self.streams[pads as usize];
        let digit = |element: usize| match (forgotten, radix) {
            (true, _) => 0,
            (_, 1) => sample(1_000_003 * pads + element as u64).into(),
            _ => {
                let number = self.layout.as_ref().map_or(element, |l| l.number(element));
                number / self.divisors[pads as usize] % radix
            }
        };
        for (word, out) in (first as usize..).zip(out) {
            *out = match self.streams[domain as usize].0 {
                Use::Words => digit(word) as u64,
                Use::Coins => (0..64).map(|lane| (digit(word * 64 + lane) as u64 & 1) << lane).sum(),
                Use::Places => {
                    u64::from_le_bytes(std::array::from_fn(|lane| digit(word * 8 + lane) as u8 & 63))
                }
                Use::Factors | Use::Zeros => {
                    let mut at = places(word);
                    // A different element of the enumeration in each row; one that is fixed for all
                    // where nothing is enumerated.
                    u64::from_le_bytes(std::array::from_fn(|_| {
                        let (element, row) = at.next().unwrap();
                        let digit = if radix == 1 { digit(element * LANES + row) } else { digit(element) };
                        match self.streams[domain as usize].0 {
                            Use::Factors => (1 + (digit + row) % (P - 1)) as u8,
                            _ => ((digit + 2 * row) % P) as u8,
                        }
                    }))
                }
            };
        }
    }
}

/// Runs a step under the evaluators' enumerated key. Returns the elements, and what each evaluator
/// sent P2.
fn transcript<const L: u32>(
    streams: &[(Use, usize)],
    halves: bool,
    seed: u64,
    bug: Option<Bug>,
    step: impl Fn(&mut Session<L>, usize) + Sync,
) -> (usize, [Vec<u8>; 2]) {
    let (enumerated, n) = Enumerated::new(streams, halves, bug);
    let hidden: Arc<dyn Source> = Arc::new(enumerated);
    let known: Arc<dyn Source> = Arc::new(Known(seed));
    let key =
        |a: Party, b: Party| Arc::clone(if a == Party::P2 || b == Party::P2 { &known } else { &hidden });
    let (_, messages) = run::<L>(key, |session| {
        step(session, n);
        Vec::new()
    });
    (n, [0, 1].map(|from| sent(&messages, from, 2)))
}

/// Takes `n` words.
fn take_words(rest: &mut &[u8], n: usize) -> Vec<u64> {
    let (words, after) = rest.split_at(n * 8);
    *rest = after;
    words.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect()
}

/// Takes the bytes of a comparison: 64 rows for each element.
fn take_cells(rest: &mut &[u8], n: usize) -> Vec<[u8; LANES]> {
    let mut cells = Vec::new();
    for start in (0..n).step_by(LANES) {
        let lanes = LANES.min(n - start);
        let (group, after) = rest.split_at(LANES * lanes);
        *rest = after;
        cells.extend((0..lanes).map(|lane| std::array::from_fn(|row| group[row * lanes + lane])));
    }
    cells
}

/// The row of the zero among the sums of an element's cells.
fn zero(a: &[u8; LANES], b: &[u8; LANES]) -> Result<Option<usize>, String> {
    let mut zeros = (0..LANES).filter(|&row| usize::from(a[row] + b[row]) % P == 0);
    let first = zeros.next();
    if zeros.next().is_some() { Err("two zeros".into()) } else { Ok(first) }
}

/// A view for each element: words and zeros' rows.
type View = (u64, u64, Vec<Option<usize>>);

/// Reads what P2 was sent: two words for each element if `words`, and comparisons.
fn views(n: usize, sent: &[Vec<u8>; 2], words: bool, comparisons: usize) -> Result<Vec<View>, String> {
    let [mut a, mut b] = sent.each_ref().map(Vec::as_slice);
    let mut views: Vec<View> = vec![(0, 0, Vec::new()); n];
    if words {
        for (view, (x, y)) in
            views.iter_mut().zip(take_words(&mut a, n).into_iter().zip(take_words(&mut b, n)))
        {
            (view.0, view.1) = (x, y);
        }
    }
    for _ in 0..comparisons {
        for (view, (x, y)) in views.iter_mut().zip(take_cells(&mut a, n).iter().zip(&take_cells(&mut b, n))) {
            view.2.push(zero(x, y)?);
        }
    }
    if a.is_empty() && b.is_empty() { Ok(views) } else { Err("messages are left".into()) }
}

fn histogram(views: impl IntoIterator<Item = View>) -> HashMap<View, usize> {
    let mut histogram = HashMap::new();
    views.into_iter().for_each(|view| *histogram.entry(view).or_default() += 1);
    histogram
}

/// Where the zero may be: nowhere, as often as it is somewhere, and in each row as often.
fn outcomes() -> impl Iterator<Item = (Option<usize>, usize)> {
    std::iter::once((None, LANES)).chain((0..LANES).map(|row| (Some(row), 1)))
}

/// The evaluators' shares of a secret; P2 has none.
fn shares(party: Party, secret: u64, first: u64, modulus: u64, n: usize) -> Vec<u64> {
    match party {
        Party::P0 => vec![first % modulus; n],
        Party::P1 => vec![(secret + modulus - first % modulus) % modulus; n],
        _ => Vec::new(),
    }
}

const CONVERT: [(Use, usize); 6] = [
    (Use::Words, 16),
    (Use::Words, 16),
    (Use::Coins, 2),
    (Use::Factors, 1),
    (Use::Zeros, 1),
    (Use::Places, 64),
];
const MSB: [(Use, usize); 4] = [(Use::Coins, 2), (Use::Factors, 1), (Use::Zeros, 1), (Use::Places, 64)];

/// ShareConvert on words of four bits: every mask of both words, every coin, every place.
fn share_convert(secret: u64, bug: Option<Bug>) -> Result<(), String> {
    let (n, sent) = transcript::<4>(&CONVERT, false, secret, bug, |session, n| {
        let x = shares(session.party, secret, 3 * secret + 1, 16, n);
        session.share_convert(&x, n).unwrap();
    });
    let mut due = HashMap::new();
    for (x, y) in (0..16).flat_map(|x| (0..16).map(move |y| (x, y))) {
        due.extend(outcomes().map(|(row, count)| ((x, y, vec![row]), count)));
    }
    if histogram(views(n, &sent, true, 1)?) == due { Ok(()) } else { Err("not uniform".into()) }
}

/// ComputeMSB on words of four bits: every coin, every place.
fn msb(secret: u64, bug: Option<Bug>) -> Result<(), String> {
    let (n, sent) = transcript::<4>(&MSB, false, secret, bug, |session, n| {
        let y = shares(session.party, secret, 2 * secret + 5, mask(4), n);
        session.msb(&y, n).unwrap();
    });
    let due = outcomes().map(|(row, count)| ((0, 0, vec![row]), count)).collect();
    if histogram(views(n, &sent, false, 1)?) == due { Ok(()) } else { Err("not uniform".into()) }
}

/// A whole ReLU on words of three bits: every mask and every coin; of the zeros, whether they are
/// there.
fn relu(secret: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut streams = [&CONVERT[..], &MSB].concat();
    (streams[0].1, streams[1].1, streams[5].1, streams[9].1) = (8, 8, 1, 1);
    let (n, sent) = transcript::<3>(&streams, false, secret, bug, |session, n| {
        let x = shares(session.party, secret, secret + 6, 8, n);
        session.relu(&x, n).unwrap();
    });
    // The products' words go to P1 and P0.
    let views = views(n, &sent, true, 2)?;
    let there = views.into_iter().map(|(x, y, rows)| (x, y, rows.iter().map(|r| r.map(|_| 0)).collect()));
    let histogram = histogram(there);
    if histogram.len() == 8 * 8 * 2 * 2 && histogram.values().all(|&count| count == 1) {
        return Ok(());
    }
    Err(format!("{} views", histogram.len()))
}

/// A question about a word that P2 knows, of 64 bits: is x > t, or is x < t?
#[derive(Clone, Copy, Debug)]
struct Asked {
    x: u64,
    t: u64,
    greater: bool,
}

const ASK: [(Use, usize); 3] = [(Use::Factors, P - 1), (Use::Zeros, P), (Use::Places, 1)];

/// PrivateCompare on words of 64 bits: every factor with every share of zero, row by row. Where the
/// cell is zero, an evaluator's byte is uniform; else its byte and the sum of both are, together.
fn cells(asked: Asked, bug: Option<Bug>) -> Result<(), String> {
    let (n, sent) = transcript::<64>(&ASK, true, 3, bug, |session, n| {
        let thresholds = |_| Thresholds {
            word: [asked.t; LANES],
            greater: [if asked.greater { 0xff } else { 0 }; LANES],
            always: [0; LANES],
        };
        if session.is_dealer() {
            session.deal_bits(&vec![asked.x; n]).unwrap();
            let due = if asked.greater { asked.x > asked.t } else { asked.x < asked.t };
            let answers = session.answer(n).unwrap();
            assert!(bug.is_some() || answers.iter().all(|&yes| yes == u64::from(due)), "{asked:?}");
        } else {
            session.ask(n, &Question { thresholds: &thresholds }).unwrap();
        }
    });
    let [mut a, mut b] = sent.each_ref().map(Vec::as_slice);
    let (a, b) = (take_cells(&mut a, n), take_cells(&mut b, n));
    // Places are pseudo-random, one for each element: the rows are put back.
    let place = |element: usize| usize::from(sample(1_000_003 * 2 + element as u64) & 63);
    let layout = Layout::new(P * (P - 1));
    for (row, second) in (0..LANES).flat_map(|row| [(row, false), (row, true)]) {
        let mut counts = vec![0; P * P];
        let half = |element: &usize| layout.second_half(*element) == second;
        for element in (0..n).filter(half).filter(|&e| layout.number(e) < layout.assignments) {
            let at = row ^ place(element);
            let (a, b) = (usize::from(a[element][at]), usize::from(b[element][at]));
            if a >= P || b >= P {
                return Err(format!("row {row}: {a} and {b}"));
            }
            counts[a * P + (a + b) % P] += 1;
        }
        let zeros = counts.iter().step_by(P).all(|&count| count == P - 1);
        let others = counts.chunks(P).all(|c| c[0] == 0 && c[1..].iter().all(|&count| count == 1));
        if !zeros && !others {
            return Err(format!("row {row} is not uniform"));
        }
    }
    Ok(())
}

fn questions() -> Vec<Asked> {
    let words = [
        (0, 0),
        (5, 4),
        (4, 5),
        (u64::MAX, 0),
        (1 << 63, (1 << 63) - 1),
        (0x1234_5678_9abc_def0, 0x1234_5678_9abc_deff),
    ];
    words.iter().flat_map(|&(x, t)| [true, false].map(|greater| Asked { x, t, greater })).collect()
}

#[test]
fn the_views_of_steps_are_as_the_simulator_makes_them() {
    for secret in 0..15 {
        share_convert(secret, None).unwrap_or_else(|e| panic!("ShareConvert of {secret}: {e}"));
        msb(secret, None).unwrap_or_else(|e| panic!("ComputeMSB of {secret}: {e}"));
    }
    for secret in 0..8 {
        relu(secret, None).unwrap_or_else(|e| panic!("ReLU of {secret}: {e}"));
    }
}

#[test]
fn cells_are_uniform_but_for_one_zero() {
    for asked in questions() {
        cells(asked, None).unwrap_or_else(|e| panic!("{asked:?}: {e}"));
    }
}

#[test]
fn planted_bugs_are_found() {
    type Check = fn(u64, Option<Bug>) -> Result<(), String>;
    // (what the bug is, the test that must find it, the bug)
    let bugs: [(&str, Check, Bug); 13] = [
        ("c̃_0 is not masked", share_convert, Bug::Forgotten(0)),
        ("c̃_1 is not masked", share_convert, Bug::Forgotten(1)),
        ("c̃_0 and c̃_1 have one mask", share_convert, Bug::UsedTwice(1, 0)),
        ("β is zero", share_convert, Bug::Forgotten(2)),
        ("the cells are not moved", share_convert, Bug::Forgotten(5)),
        ("β is a mask's bit", share_convert, Bug::UsedTwice(2, 0)),
        ("β is zero", msb, Bug::Forgotten(0)),
        ("the cells are not moved", msb, Bug::Forgotten(3)),
        ("the place is a coin", msb, Bug::UsedTwice(3, 0)),
        ("c̃_0 is not masked", relu, Bug::Forgotten(0)),
        ("the first β is zero", relu, Bug::Forgotten(2)),
        ("the second β is zero", relu, Bug::Forgotten(6)),
        ("both comparisons have one β", relu, Bug::UsedTwice(6, 2)),
    ];
    for (name, check, bug) in bugs {
        assert!((0..8).any(|secret| check(secret, Some(bug)).is_err()), "{name} goes unnoticed");
    }
    let bugs = [
        ("the factors are all the same", Bug::Forgotten(0)),
        ("no share of zero is added", Bug::Forgotten(1)),
        ("the share of zero is the factor", Bug::UsedTwice(1, 0)),
        ("the factor is the share of zero", Bug::UsedTwice(0, 1)),
    ];
    for (name, bug) in bugs {
        assert!(questions().iter().any(|&asked| cells(asked, Some(bug)).is_err()), "{name} goes unnoticed");
    }
}
