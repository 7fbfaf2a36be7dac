//! The numbers that decide what a plan becomes.

/// The numbers that decide what a plan becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    /// Fractional bits of activations.
    pub(crate) scale: u32,
    /// K.
    pub(crate) ring_bits: u32,
    /// Bits by which bounds exceed the ranges.
    pub(crate) margin: f64,
    /// Whether weights may lose precision where the ring is small.
    pub(crate) may_round_weights: bool,
    /// Bits of magnitude of a layer's largest weight, at most.
    pub(crate) weight_bits: u32,
}
