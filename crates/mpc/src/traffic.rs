//! [`Traffic`]: how much went, or goes, from each party to each other one.

use std::ops::{AddAssign, SubAssign};

use crate::Party;

/// Payload bytes from each party to each other one. [`Traffic::NONE`] goes with any number of
/// parties.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    parties: usize,
    /// Row by row: a sender's bytes, by receiver.
    bytes: Vec<u64>,
}

impl Traffic {
    /// Nothing is sent.
    pub const NONE: Traffic = Traffic { parties: 0, bytes: Vec::new() };

    /// What one party sent, by receiver; there are as many parties as receivers.
    pub fn sent_by(party: Party, sent: &[u64]) -> Traffic {
        let mut traffic = Traffic::NONE;
        traffic.grow(sent.len());
        for (cell, bytes) in traffic.row_mut(party.index()).iter_mut().zip(sent) {
            *cell = *bytes;
        }
        traffic
    }

    /// The number of parties; 0 for [`Traffic::NONE`].
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// Bytes from one party to another; 0 for parties that are not there.
    pub fn between(&self, from: Party, to: Party) -> u64 {
        self.sent(from).get(to.index()).copied().unwrap_or(0)
    }

    /// What a party sends, by receiver; empty for a party that is not there.
    pub fn sent(&self, from: Party) -> &[u64] {
        let start = from.index().saturating_mul(self.parties);
        self.bytes.get(start..start.saturating_add(self.parties)).unwrap_or_default()
    }

    /// Bytes over all links.
    pub fn total(&self) -> u64 {
        self.bytes.iter().sum()
    }

    fn row_mut(&mut self, from: usize) -> &mut [u64] {
        self.bytes.chunks_exact_mut(self.parties.max(1)).nth(from).unwrap_or_default()
    }

    /// Room for `parties`, unless there is more already.
    fn grow(&mut self, parties: usize) {
        if parties <= self.parties {
            return;
        }
        let mut grown = Traffic { parties, bytes: vec![0; parties * parties] };
        for from in 0..self.parties {
            let row = self.sent(Party::new(from));
            grown.row_mut(from).iter_mut().zip(row).for_each(|(cell, bytes)| *cell = *bytes);
        }
        *self = grown;
    }

    fn combine(&mut self, other: &Traffic, with: fn(u64, u64) -> u64) {
        self.grow(other.parties);
        for from in 0..other.parties {
            let row = self.row_mut(from).iter_mut().zip(other.sent(Party::new(from)));
            row.for_each(|(cell, bytes)| *cell = with(*cell, *bytes));
        }
    }
}

/// Row by row: `bytes[from][to]`.
impl<const N: usize> From<[[u64; N]; N]> for Traffic {
    fn from(bytes: [[u64; N]; N]) -> Traffic {
        Traffic { parties: N, bytes: bytes.concat() }
    }
}

impl AddAssign<&Traffic> for Traffic {
    fn add_assign(&mut self, other: &Traffic) {
        self.combine(other, u64::wrapping_add);
    }
}

/// What was sent since: never below zero.
impl SubAssign<&Traffic> for Traffic {
    fn sub_assign(&mut self, earlier: &Traffic) {
        self.combine(earlier, u64::saturating_sub);
    }
}

/// A party that is not there sends nothing.
impl PartialEq for Traffic {
    fn eq(&self, other: &Traffic) -> bool {
        let parties = self.parties.max(other.parties);
        let mut pairs = Party::all(parties).flat_map(|from| Party::all(parties).map(move |to| (from, to)));
        pairs.all(|(from, to)| self.between(from, to) == other.between(from, to))
    }
}

impl Eq for Traffic {}
