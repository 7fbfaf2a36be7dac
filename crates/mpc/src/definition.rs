//! [`Definition`]: what a protocol says of itself, once. Whoever runs, offers, prices or documents
//! protocols takes it from there.

use cryptflow_ring::Words;
use cryptflow_wire::Links;

use crate::keys::{Fresh, Scope};
use crate::{CostModel, Error, Owner, Party, Protocol};

/// What holds of a protocol in every session.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// As the user types it.
    pub name: &'static str,
    /// As it is called in a text.
    pub title: &'static str,
    /// One line for the person who chooses.
    pub help: &'static str,
    /// How many parties run it.
    pub parties: usize,
    /// The party that only deals, if there is one: nothing that it sends depends on an input.
    pub dealer: Option<Party>,
    /// Whether evaluators can keep what the dealer sends for runs to come ([`Definition::begin_ahead`]).
    pub ahead: bool,
    /// The name of the way in which owners share secrets for it. Parts that were made for one
    /// protocol serve all others with the same.
    pub sharing: &'static str,
    /// The pieces of a sharing, of a value and of a weight alike. A party's part is the pieces that it
    /// gets, in this order, one after another.
    pub pieces: &'static [Piece],
    /// Whether parties run it where their configuration names no protocols.
    pub usual: bool,
    /// Why organisations cannot run it with one another, where it does not protect their secrets.
    pub unprotected: Option<&'static str>,
    /// Bits of the largest weight above which its truncations fail too often for benchmarks;
    /// nothing where they never fail.
    pub weight_bits: Option<u32>,
}

/// A piece of a sharing: bytes that its owner gives to certain parties, to all of them the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Who gets it.
    pub holders: &'static [Party],
    /// How long it is; nothing where it is the rest of its holders' parts.
    pub bytes: Option<usize>,
}

impl Facts {
    /// The pieces that a party's part consists of, each with its number; nothing where the part is
    /// shorter than they are, or longer.
    pub fn pieces_of<'a>(&self, party: Party, part: &'a [u8]) -> Option<Vec<(usize, &'a [u8])>> {
        let mut rest = part;
        let mut found = Vec::new();
        for (number, piece) in self.held_by(party) {
            let (bytes, behind) = rest.split_at_checked(piece.bytes.unwrap_or(rest.len()))?;
            rest = behind;
            found.push((number, bytes));
        }
        rest.is_empty().then_some(found)
    }

    /// The pieces that a party gets, each with its number.
    pub fn held_by(&self, party: Party) -> impl Iterator<Item = (usize, &'static Piece)> + use<> {
        self.pieces.iter().enumerate().filter(move |(_, piece)| piece.holders.contains(&party))
    }
}

/// What parties of older releases do otherwise, the oldest first: each does what those behind it do as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Older {
    /// Steps run one by one ([`Protocol::beside`]).
    OneByOne,
    /// The signs of what a comparison knows are dealt, and not a part of the masks of what it finds.
    DealtSigns,
}

/// A protocol's description of itself. The value holds its settings.
pub trait Definition: Default {
    /// A party of it.
    type Protocol: Protocol;
    /// The owner of secrets.
    type Owner: Owner + 'static;
    /// What its operations cost.
    type Costs: CostModel + 'static;

    /// What holds in every session.
    const FACTS: Facts;

    /// With a round worth so many bits of the slowest link, if it is said: what follows are more bytes for fewer rounds, or
    /// the other way round, where the protocol has a choice.
    #[must_use]
    fn for_network(self, bits_per_round: Option<u64>) -> Self;

    /// Begins a session, in a party's own thread: agrees on keys over the links, which must be
    /// authenticated and confidential. Keys follow from the scope, the protocol's name and its
    /// settings.
    ///
    /// # Errors
    /// A link fails, there is another number of parties, or they do not mean the same.
    fn begin(&self, links: Links, scope: &Scope) -> Result<Self::Protocol, Error>;

    /// What a party computes with of a weight, made of its part ([`crate::Owner::share_weight`]) alone: the
    /// same in all sessions of a model, which can have it in common ([`Protocol::take_weight`]). Nothing in a
    /// protocol whose weights are each session's own. `part` and `bits` are as in [`Protocol::receive_weight`].
    ///
    /// # Errors
    /// The part is not one of such a weight.
    fn prepare_weight(
        &self,
        party: Party,
        ring_bits: u32,
        name: &str,
        len: usize,
        part: &[u8],
        bits: u32,
    ) -> Result<Option<Words>, Error> {
        let _ = (party, ring_bits, name, len, part, bits);
        Ok(None)
    }

    /// The same for a session with parties of such a release.
    #[must_use]
    fn with_older(self, release: Older) -> Self
    where
        Self: Sized,
    {
        let _ = release;
        self
    }

    /// Agrees with these parties on keys of one run that is dealt ahead, the scope's: the dealer with each
    /// evaluator. They serve in [`Definition::begin_ahead`], of that run alone.
    ///
    /// # Errors
    /// A link fails, they do not mean the same, or nothing is dealt ahead in this protocol.
    fn agree_ahead(
        &self,
        links: &Links,
        others: &[Party],
        scope: &Scope,
    ) -> Result<Vec<(Party, Fresh)>, Error> {
        let _ = (links, others, scope);
        Err(Error::ahead(Self::FACTS.name))
    }

    /// Begins one run that is dealt ahead: at the dealer, to deal, with both keys; at an evaluator later,
    /// with its key and, in the place of the dealer's link, what the dealer sent. On keys that are missing it
    /// agrees over the links, as in [`Definition::begin`]. The dealer's part of an input is empty: its masks
    /// are the run's own.
    ///
    /// # Errors
    /// As [`Definition::begin`]; and where nothing is dealt ahead in this protocol.
    fn begin_ahead(
        &self,
        links: Links,
        scope: &Scope,
        keys: Vec<(Party, Fresh)>,
    ) -> Result<Self::Protocol, Error> {
        let _ = (links, scope, keys);
        Err(Error::ahead(Self::FACTS.name))
    }

    /// An owner of secrets of programs over Z_2^ring_bits.
    fn owner(&self, ring_bits: u32) -> Self::Owner;

    /// The costs of programs over Z_2^ring_bits.
    fn costs(&self, ring_bits: u32) -> Self::Costs;

    /// A bound of the probability that any truncation of a run fails; nothing where none can.
    fn failure(&self, truncations: &[Truncation<'_>]) -> Option<f64> {
        let _ = truncations;
        None
    }

    /// Whether it computes a program with these truncations as it should.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn supports(&self, truncations: &[Truncation<'_>]) -> Result<(), Unsupported> {
        let _ = truncations;
        Ok(())
    }
}

/// A step of a program that shifts bits out of its result.
#[derive(Clone, Copy, Debug)]
pub struct Truncation<'a> {
    /// The step's name.
    pub step: &'a str,
    /// Whether it multiplies by public factors, and not a secret by a secret.
    pub public: bool,
    /// Elements of its result.
    pub len: u64,
    /// The largest absolute value of its result, after the shift.
    pub largest: u64,
    /// Bits that are shifted out.
    pub shift: u32,
}

/// A program that a protocol cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);
