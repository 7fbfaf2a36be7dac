//! Pooling: maximum, mean and sum over windows of NHWC.

use cryptflow_ring::Window;
use rayon::prelude::*;

use super::{OpError, nhwc, operands};
use crate::graph::{Array, Op};

pub(super) fn shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let [batch, height, width, channels] = nhwc(op, x)?;
    let [h, w] =
        window(op)?.output([height, width]).map_err(|source| OpError::Geometry { op: op.name(), source })?;
    Ok(vec![batch, h, w, channels])
}

pub(super) fn evaluate(op: &Op, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let window = window(op)?;
    let [_, height, width, channels] = nhwc(op, &x.shape)?;
    let [_, out_height, out_width, _] = nhwc(op, &result)?;
    let start = if matches!(op, Op::MaxPool { .. }) { f32::NEG_INFINITY } else { 0.0 };
    let mut out = vec![start; result.iter().product()];
    let row = out_width * channels;
    if row == 0 || out_height == 0 {
        return Array::new(result, out);
    }
    out.par_chunks_mut(row).enumerate().for_each(|(r, out)| {
        let (image, oy) = (r / out_height, r % out_height);
        let rows = inside(window, 0, oy, height);
        for (ox, out) in out.chunks_exact_mut(channels).enumerate() {
            let columns = inside(window, 1, ox, width);
            for iy in rows.clone() {
                for ix in columns.clone() {
                    let from = ((image * height + iy) * width + ix) * channels;
                    let x = &x.data[from..from + channels];
                    match op {
                        // A NaN wins, as in TensorFlow.
                        Op::MaxPool { .. } => out.iter_mut().zip(x).for_each(|(y, &x)| {
                            if x > *y || x.is_nan() {
                                *y = x;
                            }
                        }),
                        _ => out.iter_mut().zip(x).for_each(|(y, &x)| *y += x),
                    }
                }
            }
            if let Op::AvgPool { count_padding, .. } = op {
                let count = if *count_padding {
                    window.kernel[0] * window.kernel[1]
                } else {
                    rows.clone().count() * columns.count()
                };
                out.iter_mut().for_each(|y| *y /= count as f32);
            }
        }
    });
    Array::new(result, out)
}

fn window(op: &Op) -> Result<&Window, OpError> {
    match op {
        Op::MaxPool { window } | Op::AvgPool { window, .. } | Op::SumPool { window } => Ok(window),
        _ => Err(OpError::shape(op.name(), "is not a pooling")),
    }
}

/// The rows (axis 0) or columns (axis 1) of the input that the window at this row or column of the output sees, padding
/// left out.
fn inside(
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

/// How many elements of the input each window over an NHWC picture of this shape sees: the fewest and the most.
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
