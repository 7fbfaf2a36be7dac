//! What an operation costs, as a formula of its shapes. The conformance suite checks the meters against it, to the byte.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use cryptflow_ring::{LinearMap, Movement, Window};

use crate::{Party, Traffic};

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

    /// Bytes over all links.
    pub fn total(&self) -> u64 {
        self.bytes.total()
    }

    /// Bytes that the party sends that only deals, where a protocol has one: none of them depends on an input.
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

/// The cost of each operation of [`crate::Protocol`], with the layout of its result. Same names, same attributes.
pub trait CostModel {
    /// The layout of a fresh input or of anything wide, in a program over Z_2^ring_bits.
    fn wide(&self, len: usize, ring_bits: u32) -> Layout;
    /// [`crate::Protocol::linear`]; `sum` is the layout of the sum before the shift.
    fn linear(&self, maps: &[&LinearMap], sum: Layout, shift: u32) -> (Cost, Layout);
    /// [`crate::Protocol::product`].
    fn product(&self, map: &LinearMap, x: Layout, y: Layout, shift: u32) -> (Cost, Layout);
    /// [`crate::Protocol::compare`], with so many thresholds.
    fn compare(&self, x: Layout, thresholds: usize, compare_bits: u32, ring_bits: u32) -> (Cost, Layout);
    /// [`crate::Protocol::combine`], with so many factors and rows. It is free.
    fn combine(&self, x: Layout, factors: usize, rows: usize) -> (Cost, Layout) {
        let columns = factors.checked_div(rows).unwrap_or(0);
        (Cost::FREE, Layout { len: x.len.checked_div(columns).unwrap_or(0) * rows, bits: x.bits })
    }
    /// [`crate::Protocol::scale_public`].
    fn scale_public(&self, x: Layout, shift: u32) -> (Cost, Layout);
    /// [`crate::Protocol::widen`].
    fn widen(&self, x: Layout, ring_bits: u32) -> (Cost, Layout);
    /// [`crate::Protocol::relu`].
    fn relu(&self, x: Layout, compare_bits: u32, widen_to: Option<u32>) -> (Cost, Layout);
    /// [`crate::Protocol::clipped_relu`].
    fn clipped_relu(&self, x: Layout, compare_bits: u32, widen_to: Option<u32>) -> (Cost, Layout);
    /// [`crate::Protocol::max_pool`].
    fn max_pool(&self, x: Layout, input: [usize; 4], window: &Window, compare_bits: u32) -> (Cost, Layout);
    /// [`crate::Protocol::sum_pool`].
    fn sum_pool(&self, x: Layout, input: [usize; 4], window: &Window) -> (Cost, Layout);
    /// [`crate::Protocol::add`] and [`crate::Protocol::sub`].
    fn add(&self, x: Layout, y: Layout) -> (Cost, Layout);
    /// [`crate::Protocol::movement`]; `len` is the number of elements of the result.
    fn movement(&self, movement: &Movement, inputs: &[Layout], len: usize) -> (Cost, Layout);
}
