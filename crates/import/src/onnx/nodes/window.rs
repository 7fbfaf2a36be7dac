//! Windows as ONNX describes them: kernels, strides, dilations and padding as attributes, one
//! number for each axis of the picture.

use super::Node;
use crate::compose::{MAX_WINDOW, Slide};
use crate::picture::Format;
use crate::value::Fault;
use cryptflow_graph::NodeId;

impl Node<'_> {
    /// Numbers of an attribute, one for each of `rank` axes.
    pub(super) fn per_axis(&self, name: &str, rank: usize, low: i64) -> Result<Option<Vec<usize>>, Fault> {
        let Some(values) = self.attr_ints(name)? else { return Ok(None) };
        if values.len() != rank || values.iter().any(|v| !(low..=MAX_WINDOW).contains(v)) {
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
        Ok(Slide::bare(kernel, &stride, &dilation))
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
                    slide.padding = halves(slide.missing(n), auto);
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
        Ok((self.channels_last(x, Format::ChannelsFirst)?, shape[2..].to_vec()))
    }
}

/// Padding on both sides; the odd element behind, or before.
pub(super) fn halves(padding: usize, auto: &str) -> [usize; 2] {
    let less = padding / 2;
    if auto == "SAME_LOWER" { [padding - less, less] } else { [less, padding - less] }
}
