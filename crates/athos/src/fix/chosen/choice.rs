//! The numbers that decide what a plan becomes.

/// How wide values get their rings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rings {
    /// All have the same, and weights are as precise as it has room for.
    One,
    /// Each has the one that what is computed of it needs, with weights whose rounding adds an error so many
    /// bits below what is allowed.
    Own(f64),
}

impl Rings {
    /// Of their own, in which no weight loses precision.
    pub(crate) const AMPLE: Rings = Rings::Own(f64::INFINITY);
}

/// The numbers that decide what a plan becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    /// Fractional bits of activations.
    pub(crate) scale: u32,
    /// Bits of the ring of all wide values; of the largest at most, where they have their own.
    pub(crate) ring_bits: u32,
    /// How wide values get their rings.
    pub(crate) rings: Rings,
    /// Bits by which bounds exceed the ranges.
    pub(crate) margin: f64,
    /// Whether weights may lose precision where the ring is small.
    pub(crate) may_round_weights: bool,
    /// Bits of magnitude of a layer's largest weight, at most.
    pub(crate) weight_bits: u32,
}
