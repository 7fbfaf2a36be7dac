//! Tensors over Z_2^64 and everything that a party computes on them alone: matrix products, convolution,
//! pooling sums, movements of elements, bit planes, packing to exact widths and pseudo-random streams.
//!
//! Nothing here knows of parties or of models. Every kernel has a portable path; SIMD is chosen at run time.

pub mod geometry;
pub mod movement;

pub use geometry::{Conv2d, GeometryError, LinearMap, Window};
pub use movement::Movement;
