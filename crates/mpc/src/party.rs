//! [`Party`]: who computes.

/// One of a protocol's parties, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party(usize);

impl Party {
    /// The first. Where a protocol has a helper, it is an evaluator.
    pub const P0: Party = Party(0);
    /// The second. Where a protocol has a helper, it is an evaluator.
    pub const P1: Party = Party(1);
    /// The third: the helper of protocols with two evaluators.
    pub const P2: Party = Party(2);

    /// The party with this index.
    pub const fn new(index: usize) -> Party {
        Party(index)
    }

    /// The parties of a protocol, in order.
    pub fn all(parties: usize) -> impl DoubleEndedIterator<Item = Party> + ExactSizeIterator + Clone {
        (0..parties).map(Party)
    }

    /// Its index, from 0.
    pub const fn index(self) -> usize {
        self.0
    }

    /// The one after it of so many: P0 → P1 → … → P0.
    pub const fn next(self, parties: usize) -> Party {
        if self.0 + 1 < parties { Party(self.0 + 1) } else { Party(0) }
    }

    /// The one before it of so many: P0 → the last one → … → P0.
    pub const fn previous(self, parties: usize) -> Party {
        match self.0.checked_sub(1) {
            Some(index) => Party(index),
            None => Party(parties.saturating_sub(1)),
        }
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "P{}", self.0)
    }
}
