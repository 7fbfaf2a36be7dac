//! Tensors over Z_2^64 and everything that a party computes on them alone: matrix products,
//! convolution, pooling sums, movements of elements, bit planes, packing to exact widths and
//! pseudo-random streams.
//!
//! Nothing here knows of parties or of models. Every kernel has a portable path; SIMD is chosen at
//! run time.
//!
//! Functions that take a geometry (a [`LinearMap`], a [`Window`], a [`Movement`]) return an error
//! where it does not fit their data, because geometries come from files. Functions on plain slices
//! ([`pack()`], [`planes`], [`Prf`]) state the lengths that they need, and panic like
//! [`slice::copy_from_slice`] where the caller breaks them.

pub mod bilinear;
mod common;
mod drawn;
mod gemm;
pub mod geometry;
pub mod movement;
pub mod pack;
mod packed;
pub mod planes;
pub mod pool;
pub mod prf;
mod simd;
pub mod small_field;
mod words;

pub use bilinear::{bilinear, bilinear_into};
pub use common::{Common, Misshapen, Place};
pub use drawn::{Draw, Drawn};
pub use geometry::{Conv2d, GeometryError, LinearMap, Window};
pub use movement::Movement;
pub use pack::{pack, pack_signed, packed_len, signed_width, unpack, unpack_signed};
pub use packed::{Bits, Packed};
pub use pool::{sum_pool, taps, window_counts};
pub use prf::Prf;
pub use words::{Elements, Words};
