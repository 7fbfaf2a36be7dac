//! What P2 sees of a whole program in Porthos is the same, byte for byte, for other inputs and
//! weights: for every view under one secret there is exactly one choice of the evaluators' pads
//! that gives the same view under another. P2's own keys stay fixed; the test finds the pads, from
//! the first message to the last, and runs the parties' code with them.

use std::collections::BTreeMap;

use cryptflow_conformance::secrecy::{self, Fault, PARTIES, Parts, Run, Watched, seeds};
use cryptflow_mpc::Party;
use cryptflow_ring::Prf;

use super::net::Net;
use super::porthos::LOCAL as PORTHOS;

/// Rows of a comparison, and lanes of a group.
const LANES: usize = 64;
/// The modulus of a comparison's bytes.
const P: u8 = 127;
/// Streams of the evaluators' key in a ReLU: r0, r1, and for each comparison β, factors, shares of
/// zero, places.
const STREAMS: u64 = 10;
/// Messages of an evaluator to P2 in a ReLU: a hidden word, and two comparisons.
const MESSAGES: usize = 3;

/// The evaluators' pads: bytes, stream by stream.
type Pads = BTreeMap<u64, Vec<u8>>;

fn multiply(a: u8, b: u8) -> u8 {
    (u16::from(a) * u16::from(b) % u16::from(P)) as u8
}

/// `a / b` modulo 127.
fn divide(a: u8, b: u8) -> u8 {
    (1..P).find(|q| multiply(*q, b) == a).unwrap()
}

fn subtract(a: u8, b: u8) -> u8 {
    (a + P - b) % P
}

/// Pads for ReLUs of these lengths, each byte legal in its stream.
fn pads(lengths: &[usize]) -> Pads {
    let prf = Prf::new([9; 16]);
    let mut pads = Pads::new();
    for (call, &n) in lengths.iter().enumerate() {
        let groups = n.div_ceil(LANES);
        let cells = groups * LANES * LANES;
        let bytes = [n * 8, n * 8, groups * 8, cells, cells, groups * LANES];
        for (i, len) in bytes.into_iter().chain(bytes[2..].iter().copied()).enumerate() {
            let stream = call as u64 * STREAMS + i as u64;
            let mut pad = vec![0; len];
            prf.fill_bytes(stream, 0, &mut pad);
            // Factors are 1 to 126, shares of zero 0 to 126.
            match i {
                3 | 7 => pad.iter_mut().for_each(|b| *b = 1 + *b % (P - 1)),
                4 | 8 => pad.iter_mut().for_each(|b| *b %= P),
                _ => {}
            }
            pads.insert(stream, pad);
        }
    }
    pads
}

/// Runs the network with these pads in the evaluators' key, and a fault in it.
fn run(net: &Net, parts: &Parts, pads: &Pads, fault: Fault) -> Run {
    let words = |bytes: &Vec<u8>| bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
    let written: BTreeMap<u64, Vec<u64>> =
        pads.iter().map(|(stream, bytes)| (*stream, words(bytes))).collect();
    let source = |key: Party| match key {
        Party::P0 => Watched::with_words(seeds(5)[0], fault, written.clone()),
        _ => Watched::new(seeds(5)[key.index()], Fault::None),
    };
    let keys = PARTIES.map(|p| [source(p), source(p.previous(3))]).to_vec();
    secrecy::run_with(&PORTHOS, net, parts, keys).unwrap()
}

/// The messages of P0 and P1 to P2.
fn heard(run: &Run) -> [Vec<&[u8]>; 2] {
    [0, 1].map(|from| run.between(from, 2).collect())
}

/// Where the cell of a row of an element lies in a message of `n` elements.
fn cell(n: usize, element: usize, row: usize) -> usize {
    let group = element / LANES * LANES;
    group * LANES + row * LANES.min(n - group) + element - group
}

/// Changes the pads of a comparison so that P2 sees in it what it saw under the other secret.
/// `seen` and `now` are the evaluators' messages; `streams` begin with that of β.
fn solve_comparison(pads: &mut Pads, streams: u64, seen: [&[u8]; 2], now: [&[u8]; 2]) {
    let n = seen[0].len() / LANES;
    let sum = |m: [&[u8]; 2], at: usize| (m[0][at] + m[1][at]) % P;
    let zero = |m, element| (0..LANES).find(|&row| sum(m, cell(n, element, row)) == 0);
    let mut pad = |stream: u64| pads.remove(&(streams + stream)).unwrap();
    let (mut coins, mut factors, mut zeros, mut places) = (pad(0), pad(1), pad(2), pad(3));
    for element in 0..n {
        let (there, here) = (zero(seen, element), zero(now, element));
        if there.is_some() != here.is_some() {
            // The other question: all cells are new, and are solved in the next run.
            coins[element / 8] ^= 1 << (element % 8);
            continue;
        }
        let moved = there.unwrap_or(0) ^ here.unwrap_or(0);
        let place = &mut places[element];
        *place ^= moved as u8;
        let place = usize::from(*place & 63);
        for row in 0..LANES {
            let (due, is) = (cell(n, element, row), cell(n, element, row ^ moved));
            let ratio = if sum(now, is) == 0 { 1 } else { divide(sum(seen, due), sum(now, is)) };
            let at = element / LANES * LANES * LANES + (row ^ place) * LANES + element % LANES;
            let bare = subtract(now[0][is], zeros[at]);
            factors[at] = multiply(factors[at], ratio);
            zeros[at] = subtract(seen[0][due], multiply(bare, ratio));
        }
    }
    for (i, pad) in [coins, factors, zeros, places].into_iter().enumerate() {
        pads.insert(streams + i as u64, pad);
    }
}

/// Finds pads under which P2's view of the network on one secret is what it was on another.
fn couple(net: &Net, secrets: [u64; 2], fault: Fault) -> Result<(), String> {
    let parts = secrecy::share(&PORTHOS, net, secrets[0]).unwrap();
    let lengths: Vec<usize> = {
        let bare = run(net, &parts, &Pads::new(), Fault::None);
        heard(&bare)[0].iter().step_by(MESSAGES).map(|m| m.len() / 8).collect()
    };
    let mut pads = pads(&lengths);
    let first = run(net, &parts, &pads, fault);
    let seen = heard(&first);
    assert_eq!(seen[0].len(), lengths.len() * MESSAGES);
    let parts = secrecy::share_again(&PORTHOS, net, &parts, secrets[0], secrets[1]);
    // A comparison's coins are solved first, then its cells.
    let mut tries = [0; 2];
    loop {
        let second = run(net, &parts, &pads, fault);
        let now = heard(&second);
        let differs = |i: &usize| (0..2).any(|from| seen[from][*i] != now[from][*i]);
        let Some(message) = (0..seen[0].len()).find(differs) else {
            assert!(lengths.iter().all(|&n| n > 0));
            return first.same_to_the_helper(&second);
        };
        tries = if tries[0] == message { [message, tries[1] + 1] } else { [message, 1] };
        if tries[1] > 2 {
            return Err(format!("message {message} cannot be the same"));
        }
        let streams = (message / MESSAGES) as u64 * STREAMS;
        match message % MESSAGES {
            0 => {
                for from in 0..2 {
                    let pad = pads.get_mut(&(streams + from as u64)).unwrap();
                    let words = seen[from][message]
                        .as_chunks::<8>()
                        .0
                        .iter()
                        .zip(now[from][message].as_chunks::<8>().0);
                    for (pad, (seen, now)) in pad.as_chunks_mut::<8>().0.iter_mut().zip(words) {
                        let [r, seen, now] = [*pad, *seen, *now].map(u64::from_le_bytes);
                        *pad = r.wrapping_add(seen).wrapping_sub(now).to_le_bytes();
                    }
                }
            }
            comparison => {
                let streams = streams + if comparison == 1 { 2 } else { 6 };
                let of = |m: &[Vec<&[u8]>; 2]| -> [Vec<u8>; 2] {
                    [m[0][message].to_vec(), m[1][message].to_vec()]
                };
                let (seen, now) = (of(&seen), of(&now));
                solve_comparison(&mut pads, streams, [&seen[0], &seen[1]], [&now[0], &now[1]]);
            }
        }
    }
}

#[test]
fn the_helpers_view_is_the_same_for_other_secrets() {
    let net = Net::new();
    for secrets in [[1, 2], [2, 1], [1, 0], [0, 1]] {
        couple(&net, secrets, Fault::None).unwrap();
    }
}

#[test]
fn planted_bugs_are_found() {
    let names = ["r0", "r1", "β", "factors", "zeros", "places", "the second β", "factors", "zeros", "places"];
    let net = Net::new();
    for (stream, name) in (0..STREAMS).zip(names) {
        let fault = Fault::Forgotten { key: Party::P0, stream };
        assert!(couple(&net, [1, 2], fault).is_err(), "{name} of stream {stream}: forgotten");
    }
    // (a stream, the one whose pads it repeats): r1 of r0, β of r0, the second comparison's pads of
    // the first one's, the next ReLU's masks of the last one's.
    for (stream, other) in [(1, 0), (2, 0), (7, 3), (8, 4), (11, 1)] {
        let fault = Fault::Repeated { key: Party::P0, stream, other };
        assert!(couple(&net, [1, 2], fault).is_err(), "stream {stream} repeats {other}");
    }
}
