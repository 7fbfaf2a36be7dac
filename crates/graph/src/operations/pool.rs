//! Pooling: maximum, mean and sum over windows of NHWC.

use cryptflow_ring::Window;
use rayon::prelude::*;

use super::{OpError, nhwc, operands};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

/// A pooling over windows of NHWC.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// What is made of a window's elements.
    pub kind: Pooling,
    /// The window.
    pub window: Window,
}

/// What a pooling makes of the elements of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their maximum; padding never wins.
    Max,
    /// Their mean.
    Average {
        /// Whether padding counts as elements (ONNX's `count_include_pad`); in TensorFlow it does
        /// not.
        count_padding: bool,
    },
    /// Their sum, padding counting as zero: an average whose factor a pass moved into later
    /// weights.
    Sum,
}

impl Pool {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Pooling::Max => "max pool",
            Pooling::Average { .. } => "average pool",
            Pooling::Sum => "sum pool",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let op = self.name();
        let [x] = operands(op, "one", inputs)?;
        let [batch, height, width, channels] = nhwc(op, x)?;
        let [h, w] =
            self.window.output([height, width]).map_err(|source| OpError::Geometry { op, source })?;
        Ok(vec![batch, h, w, channels])
    }

    pub(super) fn evaluate(&self, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        let [_, height, width, channels] = nhwc(self.name(), &x.shape)?;
        let [_, out_height, out_width, _] = nhwc(self.name(), &result)?;
        let start = match self.kind {
            Pooling::Max => f32::NEG_INFINITY,
            Pooling::Average { .. } | Pooling::Sum => 0.0,
        };
        let mut out = vec![start; result.iter().product()];
        let row = out_width * channels;
        if row == 0 || out_height == 0 {
            return Array::new(result, out);
        }
        out.par_chunks_mut(row).enumerate().for_each(|(r, out)| {
            let (image, oy) = (r / out_height, r % out_height);
            let rows = inside(&self.window, 0, oy, height);
            for (ox, out) in out.chunks_exact_mut(channels).enumerate() {
                let columns = inside(&self.window, 1, ox, width);
                for iy in rows.clone() {
                    for ix in columns.clone() {
                        let from = ((image * height + iy) * width + ix) * channels;
                        self.kind.take(out, &x.data[from..from + channels]);
                    }
                }
                if let Pooling::Average { count_padding } = self.kind {
                    let count = if count_padding {
                        self.window.kernel[0] * self.window.kernel[1]
                    } else {
                        rows.clone().count() * columns.count()
                    };
                    out.iter_mut().for_each(|y| *y /= count as f32);
                }
            }
        });
        Array::new(result, out)
    }

    pub(super) fn image(&self, x: Range) -> Range {
        match self.kind {
            Pooling::Max => x,
            Pooling::Average { .. } => x.with_zero(),
            Pooling::Sum => x.any_sum(),
        }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        let rounding = 2.0 * given.rounding.unit;
        match self.kind {
            Pooling::Max => given.first().to_vec(),
            Pooling::Average { count_padding: true } => given.each(|r| r.with_zero().grown(rounding)),
            Pooling::Average { count_padding: false } => given.each(|r| r.grown(rounding)),
            Pooling::Sum => {
                let count = self.window.kernel[0] * self.window.kernel[1];
                given.each(|r| r.sum_of(count, self.window.is_padded()))
            }
        }
    }
}

impl Pooling {
    /// Takes one more element of a window, for each channel, into what there is of the ones before
    /// it.
    fn take(self, so_far: &mut [f32], x: &[f32]) {
        match self {
            // A NaN wins, as in TensorFlow.
            Pooling::Max => so_far.iter_mut().zip(x).for_each(|(y, &x)| {
                if x > *y || x.is_nan() {
                    *y = x;
                }
            }),
            Pooling::Average { .. } | Pooling::Sum => so_far.iter_mut().zip(x).for_each(|(y, &x)| *y += x),
        }
    }
}

/// The rows (axis 0) or columns (axis 1) of the input that the window at this row or column of the
/// output sees, padding left out.
pub(crate) fn inside(
    w: &Window,
    axis: usize,
    output: usize,
    input: usize,
) -> impl Iterator<Item = usize> + Clone + use<> {
    let (start, before) = (output * w.stride[axis], w.padding[axis][0]);
    let dilation = w.dilation[axis];
    (0..w.kernel[axis])
        .filter_map(move |tap| (start + tap * dilation).checked_sub(before))
        .filter(move |&i| i < input)
}

/// How many elements of the input each window over an NHWC picture of this shape sees: the fewest
/// and the most.
fn counts(window: &Window, picture: &[usize]) -> Option<(usize, usize)> {
    let &[_, height, width, _] = picture else { return None };
    let output = window.output([height, width]).ok()?;
    let along = |axis: usize, input: usize| {
        let counts = (0..output[axis]).map(|o| inside(window, axis, o, input).count());
        counts.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)))
    };
    let (rows, columns) = (along(0, height), along(1, width));
    Some((rows.0 * columns.0, rows.1 * columns.1))
}

/// Whether every window sees an element of the input, and not only padding.
pub fn sees_elements(window: &Window, picture: &[usize]) -> bool {
    counts(window, picture).is_some_and(|(fewest, _)| fewest > 0)
}

/// The number of elements that every window sees, if it is the same for all.
pub fn uniform_count(window: &Window, picture: &[usize]) -> Option<usize> {
    counts(window, picture).filter(|(fewest, most)| fewest == most).map(|(n, _)| n)
}
