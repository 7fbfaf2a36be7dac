//! Movements: operations that only place elements (reshape, transpose, pad, slice, concatenate). They are free in
//! every protocol, because they act on each party's buffers alone. One definition serves fixed point and floats.

use serde::{Deserialize, Serialize};

use crate::geometry::GeometryError;

/// A movement of elements, with its attributes. Tensors are contiguous and row-major.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// The same elements under another shape.
    Reshape {
        /// The new shape; as many elements as the old one.
        shape: Vec<usize>,
    },
    /// Axis `i` of the result is axis `permutation[i]` of the input.
    Transpose {
        /// A permutation of the axes.
        permutation: Vec<usize>,
    },
    /// Zeros before and after each axis.
    Pad {
        /// Elements added before each axis.
        before: Vec<usize>,
        /// Elements added after each axis.
        after: Vec<usize>,
    },
    /// `size[i]` elements of each axis, from `begin[i]`, `stride[i]` apart (a negative stride walks backwards).
    Slice {
        /// First element along each axis.
        begin: Vec<usize>,
        /// Number of elements along each axis.
        size: Vec<usize>,
        /// Distance of elements along each axis; not zero.
        stride: Vec<isize>,
    },
    /// The inputs one after another along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// The input repeated along axes of length 1 (numpy's broadcasting; missing axes are added in front).
    Broadcast {
        /// The new shape.
        shape: Vec<usize>,
    },
}

/// Number of elements of a shape, or an error where it does not fit a machine word.
pub fn elements(shape: &[usize]) -> Result<usize, GeometryError> {
    shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .ok_or_else(|| GeometryError::TooLarge(shape.to_vec()))
}
