//! Transposed convolutions, as convolutions with a small kernel whose result is laid out in blocks.
//!
//! Along one axis, with stride s, a transposed convolution spreads each element over the taps that
//! it meets: `y[i·s + t] = Σ x[i]·w[t]`. With `t = u·s + r`, the elements of y whose index is r
//! modulo s are `y[q·s + r] = Σ_u x[q − u]·w[u·s + r]`: a dense convolution with every s-th tap,
//! backwards. All s phases are channels of one convolution, and no zero is ever multiplied, save
//! where s does not divide the kernel.

use super::{Convolution, Slide, convolution};
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::NodeId;

/// A transposed convolution of `[batch, spatial…, channels]` with a filter of
/// `[taps…, channels / groups, result's channels]`.
#[derive(Clone, Debug)]
pub(crate) struct Transposed<'a> {
    /// The convolution whose transpose this is: its padding is cut off from the whole result.
    pub(crate) slides: &'a [Slide],
    /// Extents of the result.
    pub(crate) output: &'a [usize],
    /// Groups of channels.
    pub(crate) groups: usize,
}

/// One axis of it.
struct Axis {
    stride: usize,
    /// Taps of each phase.
    taps: usize,
    /// The dense convolution.
    dense: Slide,
    /// Blocks that it gives.
    blocks: usize,
    /// Elements of the result's whole axis, and where in it the result begins.
    whole: usize,
    begin: usize,
}

/// Adds a transposed convolution.
pub(crate) fn transposed(
    to: &mut Builder<'_>,
    x: NodeId,
    filter: NodeId,
    what: &Transposed<'_>,
) -> Result<NodeId, Fault> {
    let image = to.shape(x).to_vec();
    let n = what.slides.len();
    if image.len() != n + 2 || to.shape(filter).len() != n + 2 || what.output.len() != n {
        return Err(format!("convolves {image:?} along {n} axes: the ranks do not agree").into());
    }
    let mut axes = Vec::new();
    for (i, (slide, &output)) in what.slides.iter().zip(what.output).enumerate() {
        axes.push(axis(slide, image[i + 1], output)?);
    }
    let filter = phases(to, filter, what, &axes)?;
    let slides: Vec<Slide> = axes.iter().map(|a| a.dense).collect();
    let name = to.name.clone();
    to.name = format!("{name}/phases");
    let y = convolution(to, x, filter, &Convolution { slides: &slides, groups: what.groups });
    to.name = name;
    let mut y = y?;
    // [batch, blocks…, groups · strides… · channels] → [batch, (blocks, stride)…, groups ·
    // channels]
    let channels = to.shape(y).last().copied().unwrap_or(0);
    let strides: usize = axes.iter().map(|a| a.stride).product();
    let of_group = channels / (what.groups * strides).max(1);
    if strides > 1 {
        let mut shape = vec![image[0]];
        shape.extend(axes.iter().map(|a| a.blocks));
        shape.push(what.groups);
        shape.extend(axes.iter().map(|a| a.stride));
        shape.push(of_group);
        y = to.reshape(shape, y)?;
        let mut permutation = vec![0];
        permutation.extend((0..n).flat_map(|i| [1 + i, 2 + n + i]));
        permutation.extend([1 + n, 2 + 2 * n]);
        y = to.transpose(permutation, y)?;
        let mut shape = vec![image[0]];
        shape.extend(axes.iter().map(|a| a.whole));
        shape.push(what.groups * of_group);
        y = to.reshape(shape, y)?;
    }
    for (i, (a, &output)) in axes.iter().zip(what.output).enumerate() {
        // What no tap reaches is zero.
        let reached = a.whole.saturating_sub(a.begin).min(output);
        y = to.cut(i + 1, a.begin, reached, 1, y)?;
        y = to.pad(i + 1, [0, output - reached], y)?;
    }
    Ok(to.finish(y))
}

fn axis(slide: &Slide, input: usize, output: usize) -> Result<Axis, Fault> {
    let Slide { kernel, stride, dilation, padding: [cut, _] } = *slide;
    if kernel == 0 || stride == 0 || dilation == 0 || input == 0 || output == 0 {
        return Err("has an axis without elements, or a stride of zero".into());
    }
    let taps = slide.extent().div_ceil(stride);
    // All blocks that any tap reaches, and those of them that hold elements of the result.
    let all = input + taps - 1;
    let first = (cut / stride).min(taps - 1);
    let end = cut.saturating_add(output).div_ceil(stride).min(all).max(all - (taps - 1)).max(first + 1);
    let dense =
        Slide { kernel: taps, stride: 1, dilation: 1, padding: [taps - 1 - first, taps - 1 - (all - end)] };
    let blocks = end - first;
    Ok(Axis { stride, taps, dense, blocks, whole: blocks * stride, begin: cut - first * stride })
}

/// The filter, its phases as channels: `[taps…, in, groups · out]` →
/// `[taps / stride…, in, groups · strides… · out]`.
fn phases(
    to: &mut Builder<'_>,
    filter: NodeId,
    what: &Transposed<'_>,
    axes: &[Axis],
) -> Result<NodeId, Fault> {
    let n = axes.len();
    let mut w = filter;
    for (i, (axis, slide)) in axes.iter().zip(what.slides).enumerate() {
        let mut shape = to.shape(w).to_vec();
        if slide.dilation > 1 {
            // Zeros between taps: [k] → [k, 1] → [k, dilation] → [k·dilation], without the last
            // ones.
            shape.insert(i + 1, 1);
            w = to.reshape(shape.clone(), w)?;
            w = to.pad(i + 1, [0, slide.dilation - 1], w)?;
            shape.remove(i + 1);
            shape[i] *= slide.dilation;
            w = to.reshape(shape, w)?;
            w = to.cut(i, 0, slide.extent(), 1, w)?;
        }
        w = to.pad(i, [0, axis.taps * axis.stride - slide.extent()], w)?;
    }
    let shape = to.shape(w).to_vec();
    let (inner, outer) = (shape[n], shape[n + 1]);
    if what.groups == 0 || !outer.is_multiple_of(what.groups) {
        return Err(format!("has {} groups for {outer} channels", what.groups).into());
    }
    let of_group = outer / what.groups;
    let mut split: Vec<usize> = axes.iter().flat_map(|a| [a.taps, a.stride]).collect();
    split.extend([inner, what.groups, of_group]);
    w = to.reshape(split, w)?;
    for (i, axis) in axes.iter().enumerate() {
        if axis.taps > 1 {
            w = to.cut(2 * i, axis.taps - 1, axis.taps, -1, w)?;
        }
    }
    let mut permutation: Vec<usize> = (0..n).map(|i| 2 * i).collect();
    permutation.extend([2 * n, 2 * n + 1]);
    permutation.extend((0..n).map(|i| 2 * i + 1));
    permutation.push(2 * n + 2);
    w = to.transpose(permutation, w)?;
    let strides: usize = axes.iter().map(|a| a.stride).product();
    let mut shape: Vec<usize> = axes.iter().map(|a| a.taps).collect();
    shape.extend([inner, outer * strides]);
    to.reshape(shape, w)
}
