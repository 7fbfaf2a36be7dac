//! What an operation costs, as a formula of its shapes. The conformance suite checks the meters
//! against it, to the byte.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use cryptflow_operation::{Bounds, Operation};
use cryptflow_wire::Links;

use crate::{Error, Party, Traffic};

/// Rounds and payload bytes of an operation (frame headers are not counted).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Length of the longest chain of messages, each of which depends on the one before.
    pub rounds: u64,
    /// Payload bytes from party to party.
    pub bytes: Traffic,
}

impl Cost {
    /// Nothing is sent.
    pub const FREE: Cost = Cost { rounds: 0, bytes: Traffic::NONE };

    /// What a party has seen on its links so far: its round clock, and what it sent.
    pub fn seen(links: &Links) -> Cost {
        let bytes = Traffic::sent_by(Party::new(links.index()), &links.sent());
        Cost { rounds: links.rounds(), bytes }
    }

    /// What was added to what was seen before.
    #[must_use]
    pub fn since(mut self, earlier: &Cost) -> Cost {
        self.rounds = self.rounds.saturating_sub(earlier.rounds);
        self.bytes -= &earlier.bytes;
        self
    }

    /// A step on at most `wave` elements after another.
    pub fn in_waves(len: usize, wave: usize, step: impl Fn(usize) -> Cost) -> Cost {
        let mut cost = Cost::FREE;
        for start in (0..len).step_by(wave) {
            cost += step(wave.min(len - start));
        }
        cost
    }

    /// Bytes over all links.
    pub fn total(&self) -> u64 {
        self.bytes.total()
    }

    /// Bytes that the party sends that only deals, where a protocol has one: none of them depends
    /// on an input.
    pub fn dealt(&self, dealer: Option<Party>) -> u64 {
        dealer.map_or(0, |dealer| self.bytes.sent(dealer).iter().sum())
    }

    /// Bytes that are not dealt.
    pub fn online(&self, dealer: Option<Party>) -> u64 {
        self.total() - self.dealt(dealer)
    }
}

impl Add for Cost {
    type Output = Cost;
    fn add(mut self, other: Cost) -> Cost {
        self += other;
        self
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self += &other;
    }
}

impl AddAssign<&Cost> for Cost {
    /// One operation after another: rounds add up.
    fn add_assign(&mut self, other: &Cost) {
        self.rounds += other.rounds;
        self.bytes += &other.bytes;
    }
}

impl<'a> Sum<&'a Cost> for Cost {
    fn sum<I: Iterator<Item = &'a Cost>>(costs: I) -> Cost {
        costs.fold(Cost::FREE, |mut sum, cost| {
            sum += cost;
            sum
        })
    }
}

/// What a cost formula needs to know of a value: how many elements, in a ring of how many bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of elements.
    pub len: usize,
    /// The value lives in Z_2^bits.
    pub bits: u32,
}

/// What a cost formula knows of a step beside its operation.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The layouts of the operands.
    pub inputs: &'a [Layout],
    /// Elements of the result.
    pub len: usize,
    /// Bits of the ring to which the step goes if it widens; see [`crate::Operands::ring_bits`].
    pub ring_bits: u32,
}

impl Place<'_> {
    /// The layout of the first operand.
    ///
    /// # Errors
    /// There is none.
    pub fn x(&self) -> Result<Layout, Error> {
        let missing = Error::Operand { index: 0, given: self.inputs.len() };
        self.inputs.first().copied().ok_or(missing)
    }

    /// Bits of the smallest ring of the operands; K where there are none.
    pub fn narrowest(&self) -> u32 {
        self.inputs.iter().map(|x| x.bits).min().unwrap_or(self.ring_bits)
    }
}

/// What the operations of a protocol cost.
pub trait CostModel {
    /// The layout of a fresh input, in a program over Z_2^ring_bits.
    fn input(&self, len: usize, ring_bits: u32) -> Layout;
    /// Bytes of each party's part of a weight ([`crate::Owner::share_weight`]), by the party's index: of `len` elements
    /// that are used in rings of up to `bits` bits, in a program over Z_2^ring_bits.
    fn weight(&self, len: usize, ring_bits: u32, bits: u32) -> Vec<u64>;
    /// What it costs to take an input in a run that is dealt ahead: to mask it anew. Nothing where the
    /// protocol has no such runs.
    fn input_ahead(&self, len: usize, ring_bits: u32) -> Cost {
        let _ = (len, ring_bits);
        Cost::FREE
    }
    /// What [`crate::Protocol::require_within`] costs, for inputs of these lengths with these bounds.
    fn input_check(&self, inputs: &[(usize, Bounds)], ring_bits: u32) -> Cost;
    /// Whether steps run beside each other ([`crate::Protocol::beside`]), in which case the rounds of several are those of the longest.
    fn beside(&self) -> bool {
        false
    }
    /// What [`crate::Protocol::apply`] costs, and the layout of its result.
    ///
    /// # Errors
    /// A step without one of its operands.
    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error>;
}
