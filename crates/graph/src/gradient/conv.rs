//! Gradients of convolution: the products of its evaluation, the other way round.

use rayon::prelude::*;

use crate::operations::OpError;
use crate::operations::linear::conv::{BLOCK, Conv};
use crate::operations::linear::gemm::{self, Extent, Strided};

/// The gradient of the input: `gradient · wᵀ` are gradients of patches, and each goes back to where
/// the patch was gathered.
pub(super) fn towards_input(c: &Conv<'_>, w: &[f32], gradient: &[f32]) -> Result<Vec<f32>, OpError> {
    let row = c.input[1] * c.in_channels;
    let image = c.input[0] * row;
    let mut out = vec![0.0; c.batch * image];
    if out.is_empty() {
        return Ok(out);
    }
    if c.is_depth_wise() {
        out.par_chunks_mut(row).enumerate().for_each(|(r, out)| depth_wise(c, w, gradient, r, out));
        return Ok(out);
    }
    // Every thread has rows of the input of its own, and computes all patches that reach into them.
    let band = c.input[0].div_ceil(rayon::current_num_threads().div_ceil(c.batch)).max(1);
    out.par_chunks_mut(image).enumerate().try_for_each(|(n, out)| {
        let bands = out.par_chunks_mut(band * row).enumerate();
        bands.try_for_each_init(Vec::new, |patches, (b, out)| {
            if c.is_direct() {
                direct(c, w, gradient, (n * c.input[0] + b * band) * c.input[1], out)
            } else {
                Band { c, image: n, first: b * band, rows: out.len() / row }.take(w, gradient, patches, out)
            }
        })
    })?;
    Ok(out)
}

/// How a group's output channels lie: in the gradient a row for each pixel, from the first one on;
/// in the filter a row for each term of a sum, from the first one on.
fn channels(c: &Conv<'_>, group: usize, first: usize) -> Strided {
    let start = first * c.out_channels + group * (c.out_channels / c.groups);
    Strided { start, row: c.out_channels, column: 1 }
}

/// The pixels from this one on, where the patches are the input itself.
fn direct(c: &Conv<'_>, w: &[f32], gradient: &[f32], first: usize, out: &mut [f32]) -> Result<(), OpError> {
    let inner = c.out_channels / c.groups;
    let columns = c.in_channels / c.groups;
    let size = Extent { rows: out.len() / c.in_channels, inner, columns };
    for group in 0..c.groups {
        let to = Strided { start: group * columns, row: c.in_channels, column: 1 };
        gemm::multiply(
            size,
            gradient,
            channels(c, group, first),
            w,
            channels(c, group, 0).transposed(),
            out,
            to,
        )?;
    }
    Ok(())
}

/// Some rows of an image of the input.
struct Band<'a> {
    c: &'a Conv<'a>,
    image: usize,
    first: usize,
    rows: usize,
}

impl Band<'_> {
    /// The row in the band under a tap of a row of the output.
    fn row(&self, output: usize, tap: usize) -> Option<usize> {
        self.c.source(0, output, tap)?.checked_sub(self.first).filter(|&row| row < self.rows)
    }

    /// Takes the gradients of all patches that reach into the band, block by block.
    fn take(
        &self,
        w: &[f32],
        gradient: &[f32],
        patches: &mut Vec<f32>,
        out: &mut [f32],
    ) -> Result<(), OpError> {
        let (c, terms) = (self.c, self.c.terms());
        let reach = |oy: &usize| (0..c.window.kernel[0]).any(|ky| self.row(*oy, ky).is_some());
        let mut reaching = (0..c.output[0]).filter(reach);
        let Some(first) = reaching.next() else { return Ok(()) };
        let end = reaching.next_back().unwrap_or(first) + 1;
        let block = (BLOCK / (c.output[1] * terms).max(1)).max(1);
        for oy in (first..end).step_by(block) {
            let rows = block.min(end - oy);
            let size = Extent { rows: rows * c.output[1], inner: c.out_channels / c.groups, columns: terms };
            patches.resize(size.rows * terms, 0.0);
            let pixel = (self.image * c.output[0] + oy) * c.output[1];
            for group in 0..c.groups {
                gemm::multiply(
                    size,
                    gradient,
                    channels(c, group, pixel),
                    w,
                    channels(c, group, 0).transposed(),
                    patches,
                    Strided::rows(terms),
                )?;
                for (r, patches) in patches.chunks_exact((c.output[1] * terms).max(1)).enumerate() {
                    self.scatter_row(oy + r, group, patches, out);
                }
            }
        }
        Ok(())
    }

    /// Adds the patches of one row of the output, one after another, to where they were gathered.
    fn scatter_row(&self, oy: usize, group: usize, patches: &[f32], out: &mut [f32]) {
        let c = self.c;
        let [kh, kw] = c.window.kernel;
        let n = c.in_channels / c.groups;
        for (ox, patch) in patches.chunks_exact((kh * kw * n).max(1)).enumerate() {
            for ky in 0..kh {
                let Some(row) = self.row(oy, ky) else { continue };
                for kx in 0..kw {
                    let Some(ix) = c.source(1, ox, kx) else { continue };
                    let to = (row * c.input[1] + ix) * c.in_channels + group * n;
                    let patch = &patch[(ky * kw + kx) * n..][..n];
                    out[to..to + n].iter_mut().zip(patch).for_each(|(sum, v)| *sum += v);
                }
            }
        }
    }
}

/// One row of the input (counted over the batch), where each output channel is its own small filter.
fn depth_wise(c: &Conv<'_>, w: &[f32], gradient: &[f32], row: usize, out: &mut [f32]) {
    let [kh, kw] = c.window.kernel;
    let (image, iy) = (row / c.input[0], row % c.input[0]);
    let multiplier = c.out_channels / c.in_channels;
    for (ix, out) in out.chunks_exact_mut(c.in_channels).enumerate() {
        for ky in 0..kh {
            let Some(oy) = target(c, 0, iy, ky) else { continue };
            for kx in 0..kw {
                let Some(ox) = target(c, 1, ix, kx) else { continue };
                let at = ((image * c.output[0] + oy) * c.output[1] + ox) * c.out_channels;
                let gradient = &gradient[at..][..c.out_channels];
                let w = &w[(ky * kw + kx) * c.out_channels..][..c.out_channels];
                if multiplier == 1 {
                    for ((sum, w), g) in out.iter_mut().zip(w).zip(gradient) {
                        *sum += w * g;
                    }
                } else {
                    for (o, (w, g)) in w.iter().zip(gradient).enumerate() {
                        out[o / multiplier] += w * g;
                    }
                }
            }
        }
    }
}

/// The output row or column that has an input row or column under a tap, if one has.
fn target(c: &Conv<'_>, axis: usize, input: usize, tap: usize) -> Option<usize> {
    let w = c.window;
    let begin = (input + w.padding[axis][0]).checked_sub(tap * w.dilation[axis])?;
    let output = begin / w.stride[axis];
    (begin.is_multiple_of(w.stride[axis]) && output < c.output[axis]).then_some(output)
}

/// The gradient of the filter: `patchesᵀ · gradient`, summed over blocks of patches.
pub(super) fn towards_filter(c: &Conv<'_>, x: &[f32], gradient: &[f32]) -> Result<Vec<f32>, OpError> {
    let terms = c.terms();
    let columns = c.out_channels / c.groups;
    let mut sums = vec![0.0; terms * c.out_channels];
    let mut product = vec![0.0; terms * columns];
    let mut patches = Vec::new();
    let per_row = (c.output[1] * terms).max(1);
    let block = (BLOCK / per_row).max(1);
    let rows = c.batch * c.output[0];
    for first in (0..rows).step_by(block) {
        let size = Extent { rows: terms, inner: block.min(rows - first) * c.output[1], columns };
        for group in 0..c.groups {
            patches.clear();
            patches.resize(size.inner * terms, 0.0);
            for (r, patch) in patches.chunks_exact_mut(per_row).enumerate() {
                c.gather_row(x, first + r, group, patch);
            }
            let from = Strided::rows(terms).transposed();
            let by = channels(c, group, first * c.output[1]);
            gemm::multiply(size, &patches, from, gradient, by, &mut product, Strided::rows(columns))?;
            for (sums, product) in
                sums.chunks_exact_mut(c.out_channels.max(1)).zip(product.chunks_exact(columns.max(1)))
            {
                sums[group * columns..].iter_mut().zip(product).for_each(|(sum, v)| *sum += v);
            }
        }
    }
    Ok(sums)
}
