//! Windows as ONNX describes them: kernels, strides, dilations and padding as attributes, one
//! number for each axis of the picture.

use cryptflow_ring::Movement;

use super::Node;
use crate::builder::Builder;
use crate::compose::Slide;
use crate::value::Fault;
use cryptflow_graph::NodeId;

/// No window is larger, and none steps further.
const MAX: i64 = 1 << 20;

impl Node<'_> {
    /// Numbers of an attribute, one for each of `rank` axes.
    pub(super) fn per_axis(&self, name: &str, rank: usize, low: i64) -> Result<Option<Vec<usize>>, Fault> {
        let Some(values) = self.attr_ints(name)? else { return Ok(None) };
        if values.len() != rank || values.iter().any(|v| !(low..=MAX).contains(v)) {
            return Err(format!("has the impossible {name} {values:?} for {rank} axes").into());
        }
        Ok(Some(values.into_iter().map(|v| v as usize).collect()))
    }

    /// The kernel that a node states, which it must.
    pub(super) fn kernel(&self, rank: usize) -> Result<Vec<usize>, Fault> {
        self.per_axis("kernel_shape", rank, 1)?.ok_or_else(|| Node::wrong("kernel_shape"))
    }

    /// How a window of this kernel slides over a picture with these lengths, without its padding.
    pub(super) fn bare_slides(&self, kernel: &[usize]) -> Result<Vec<Slide>, Fault> {
        let rank = kernel.len();
        if let Some(stated) = self.per_axis("kernel_shape", rank, 1)?
            && stated != kernel
        {
            return Err(
                format!("its filter is {kernel:?}, but its attribute kernel_shape says {stated:?}").into()
            );
        }
        let stride = self.per_axis("strides", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let dilation = self.per_axis("dilations", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let slide =
            |i: usize| Slide { kernel: kernel[i], stride: stride[i], dilation: dilation[i], padding: [0; 2] };
        Ok((0..rank).map(slide).collect())
    }

    /// The padding that the attribute says, if it does.
    pub(super) fn stated_padding(&self, rank: usize) -> Result<Option<Vec<[usize; 2]>>, Fault> {
        let pads = self.per_axis("pads", 2 * rank, 0)?;
        Ok(pads.map(|pads| (0..rank).map(|i| [pads[i], pads[i + rank]]).collect()))
    }

    /// How a window of this kernel slides over a picture with these lengths, its padding made
    /// explicit.
    pub(super) fn slides(&self, kernel: &[usize], picture: &[usize]) -> Result<Vec<Slide>, Fault> {
        let mut slides = self.bare_slides(kernel)?;
        match self.attr_text("auto_pad", "NOTSET")? {
            "" | "NOTSET" => {
                let padding = self.stated_padding(slides.len())?;
                for (slide, padding) in slides.iter_mut().zip(padding.into_iter().flatten()) {
                    slide.padding = padding;
                }
            }
            "VALID" => {}
            auto @ ("SAME_UPPER" | "SAME_LOWER") => {
                for (slide, &n) in slides.iter_mut().zip(picture) {
                    let reach = n.div_ceil(slide.stride).saturating_sub(1).saturating_mul(slide.stride);
                    let needed = reach.saturating_add(slide.extent()).saturating_sub(n);
                    slide.padding = halves(needed, auto);
                }
            }
            other => return Err(format!("has the unknown auto_pad {other:?}").into()),
        }
        Ok(slides)
    }

    /// A picture operand `[batch, channels, …]` with channels last, and the lengths of its own
    /// axes.
    pub(super) fn picture(&mut self, i: usize) -> Result<(NodeId, Vec<usize>), Fault> {
        let x = self.tensor(i)?;
        let shape = self.shape(x).to_vec();
        if !(3..=5).contains(&shape.len()) {
            return Err(format!(
                "its operand must have a batch, channels, and one to three more axes, but has the shape {shape:?}"
            )
            .into());
        }
        let permutation = to_last(shape.len());
        let last = self.move_part("channels_last", Movement::Transpose { permutation }, x)?;
        Ok((last, shape[2..].to_vec()))
    }

    /// Composes what comes before this node's result, with channels last.
    pub(super) fn before_result(&mut self) -> Builder<'_> {
        let name = format!("{}/result", self.name);
        self.under(name)
    }

    /// Turns a result with channels last into the order of axes that ONNX has.
    pub(super) fn unpicture(&mut self, x: NodeId) -> Result<NodeId, Fault> {
        let permutation = from_last(self.shape(x).len());
        self.add(Movement::Transpose { permutation }, &[x])
    }
}

/// Padding on both sides; the odd element behind, or before.
pub(super) fn halves(padding: usize, auto: &str) -> [usize; 2] {
    let less = padding / 2;
    if auto == "SAME_LOWER" { [padding - less, less] } else { [less, padding - less] }
}

/// The permutation that puts axis 1 last.
pub(super) fn to_last(rank: usize) -> Vec<usize> {
    let mut permutation: Vec<usize> = (0..rank).collect();
    if rank > 2 {
        permutation[1..].rotate_left(1);
    }
    permutation
}

/// The permutation that puts the last axis second.
pub(super) fn from_last(rank: usize) -> Vec<usize> {
    let mut permutation: Vec<usize> = (0..rank).collect();
    if rank > 2 {
        permutation[1..].rotate_right(1);
    }
    permutation
}
