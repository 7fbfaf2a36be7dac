//! Leak tests on the real party code: what a corrupted party receives, enumerated over pads that it
//! does not know, on words of a few bits (the sessions of [`Session`] over L bits; 64 in
//! production).
//!
//! Every step works element by element, so one run on many elements enumerates many pads: the same
//! secret everywhere, element e under the pads that the digits of e spell. `evaluators` has the
//! views of P0 and P1, `helper` that of P2.
//!
//! What is enumerated and what is not:
//! * words modulo 2^L and modulo N = 2^L − 1: all values of every pad, jointly, where a step has
//!   few pads; else those of the opened messages jointly and those of the dealt ones jointly, the
//!   other pads held fixed at several samples. Pads modulo N are drawn as elements: as words they
//!   are uniform up to 2^−L, and the tests show that they see that difference;
//! * bytes modulo 127, 64 for each element: all values of one byte at a time, the others held fixed
//!   at samples. They are made of separate words of their streams, each drawn once (the ledger of
//!   `tests/secrecy.rs`), so they are independent;
//! * local truncation, sums and movements send nothing.
//!
//! Each test is shown to fail: pads are forgotten, shared by two messages, or not uniform, one
//! stream at a time.

mod evaluators;
mod helper;

use std::sync::Arc;
use std::thread;

use cryptflow_mpc::Party;
use cryptflow_mpc::keys::{Key, Keys};
use cryptflow_mpc::stream::Source;
use cryptflow_wire::LinkOptions;
use cryptflow_wire::local::{Recorded, recorded_mesh};

use crate::Tuning;
use crate::session::Session;
use crate::truncation::Truncation;

/// The modulus of the bytes of a comparison.
const P: usize = 127;
/// Lanes of a group.
const LANES: usize = 64;
/// Words of a group of bytes.
const GROUP_WORDS: usize = 512;

/// A bug in the handling of a key's streams.
#[derive(Clone, Copy, Debug)]
enum Bug {
    /// The stream's pads are all the same.
    Forgotten(u64),
    /// A stream has another one's pads.
    UsedTwice(u64, u64),
    /// Pads modulo N are taken from 2^L words, of which two stand for 0.
    NotUniform(u64),
}

/// A byte that is legal everywhere, 1 to 126, for a number.
fn sample(number: u64) -> u8 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8 % 126 + 1
}

/// A key that the corrupted party knows, by a number: the same words for every element.
struct Known(u64);

/// The evaluators' key where one of them is corrupted: the same, and in the streams of coins the
/// same bit everywhere.
struct Common {
    seed: u64,
    coins: &'static [u64],
}

impl Source for Common {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        if self.coins.contains(&domain) {
            let bit = u64::from(sample(self.seed + domain)) & 1;
            return out.fill(0u64.wrapping_sub(bit));
        }
        Known(self.seed).words(domain, first, out);
    }
}

impl Source for Known {
    fn words(&self, domain: u64, _: u64, out: &mut [u64]) {
        out.fill(u64::from_le_bytes([sample(self.0 + 100 * domain); 8]));
    }
}

/// The elements of a run: each half of a block enumerates the same pads.
struct Layout {
    assignments: usize,
    half: usize,
    n: usize,
}

impl Layout {
    fn new(assignments: usize) -> Layout {
        let half = (Tuning::USUAL.block / 2).min(assignments.next_multiple_of(LANES));
        Layout { assignments, half, n: assignments.div_ceil(half) * 2 * half }
    }

    /// The number whose digits are the pads of an element.
    fn number(&self, element: usize) -> usize {
        element / (2 * self.half) * self.half + element % self.half
    }

    fn second_half(&self, element: usize) -> bool {
        element % (2 * self.half) >= self.half
    }
}

/// Runs a step in all three parties, over words of L bits. `key` gives the source of the key
/// between two parties, `share` a party's share. Returns the evaluators' results and the messages.
fn run<const L: u32>(
    key: impl Fn(Party, Party) -> Arc<dyn Source>,
    step: impl Fn(&mut Session<L>) -> Vec<u64> + Sync,
) -> ([Vec<u64>; 3], Vec<Recorded>) {
    let (links, transcript) = recorded_mesh(3, LinkOptions::default()).unwrap();
    let results: Vec<Vec<u64>> = thread::scope(|scope| {
        let step = &step;
        let threads: Vec<_> = links
            .into_iter()
            .zip(Party::all(3))
            .map(|(links, party)| {
                let source = |other| (other, Key::insecure_from_source(key(party, other)));
                let others = [party.next(3), party.previous(3)];
                let keys = Keys::insecure_from_keys(party, others.map(source)).unwrap();
                let truncation = Truncation::Dealt;
                scope.spawn(move || step(&mut Session::<L>::new(links, keys, truncation, Tuning::USUAL)))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    (results.try_into().unwrap(), transcript.take())
}

/// All bytes from one party to another.
fn sent(messages: &[Recorded], from: usize, to: usize) -> Vec<u8> {
    let of = messages.iter().filter(|m| (m.from, m.to) == (from, to));
    of.flat_map(|m| m.payload.iter().copied()).collect()
}

/// The group, row and lane of each byte of a word that is drawn for bytes modulo 127, as (element,
/// row).
fn places(word: usize) -> impl Iterator<Item = (usize, usize)> {
    let (group, at) = (word / GROUP_WORDS, word % GROUP_WORDS * 8);
    (at..at + 8).map(move |at| (group * LANES + at % LANES, at / LANES))
}
