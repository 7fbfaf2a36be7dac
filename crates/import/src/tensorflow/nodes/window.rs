//! Windows as TensorFlow describes them: strides, dilations and padding as attributes, in either
//! order of axes; along two spatial axes or three.

use cryptflow_ring::{Movement, Window};

use super::{Fault, Node};
use crate::compose::{Slide, window};
use cryptflow_graph::{NodeId, Op};

/// No window is larger, and none steps further.
const MAX: i64 = 1 << 20;

/// Where a node keeps its axes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Format {
    /// Batch, spatial axes, channels.
    ChannelsLast,
    /// Batch, channels, spatial axes.
    ChannelsFirst,
}

impl Format {
    /// The spatial ones among numbers for all axes.
    pub(super) fn spatial<T>(self, axes: &[T]) -> &[T] {
        let range = match self {
            Format::ChannelsLast => 1..axes.len().saturating_sub(1).max(1),
            Format::ChannelsFirst => 2..axes.len(),
        };
        axes.get(range).unwrap_or(&[])
    }

    /// The batch and channels among numbers for all axes.
    fn others<T: Copy>(self, axes: &[T]) -> Option<[T; 2]> {
        let channels = match self {
            Format::ChannelsLast => axes.last(),
            Format::ChannelsFirst => axes.get(1),
        };
        Some([*axes.first()?, *channels?])
    }
}

impl Node<'_> {
    /// The order of axes that the node wants.
    pub(super) fn format(&self) -> Result<Format, Fault> {
        match self.attr_str("data_format", "NHWC")? {
            "NHWC" | "NDHWC" => Ok(Format::ChannelsLast),
            "NCHW" | "NCDHW" => Ok(Format::ChannelsFirst),
            other => Err(format!("has the data format {other}. Export the graph with NHWC").into()),
        }
    }

    /// An image operand, channels last.
    pub(super) fn image(&mut self, i: usize, format: Format) -> Result<NodeId, Fault> {
        self.grid(i, 2, format)
    }

    /// An operand with so many spatial axes, channels last.
    pub(super) fn grid(&mut self, i: usize, spatial: usize, format: Format) -> Result<NodeId, Fault> {
        let x = self.floats(i)?;
        let shape = self.shape(x);
        if shape.len() != spatial + 2 {
            let axes = if spatial == 2 { "four" } else { "five" };
            return Err(format!("its operand must have {axes} axes, but has the shape {shape:?}").into());
        }
        match format {
            Format::ChannelsLast => Ok(x),
            Format::ChannelsFirst => {
                let permutation = std::iter::once(0).chain(2..spatial + 2).chain([1]).collect();
                self.add_part("channels_last", Movement::Transpose { permutation }, &[x])
            }
        }
    }

    /// Adds an operation on images with channels last, and turns its result into the node's order
    /// of axes.
    pub(super) fn add_image(
        &mut self,
        op: impl Into<Op>,
        inputs: &[NodeId],
        format: Format,
    ) -> Result<NodeId, Fault> {
        match format {
            Format::ChannelsLast => self.add(op, inputs),
            Format::ChannelsFirst => {
                let result = self.add_part("result", op, inputs)?;
                self.in_format(result, format)
            }
        }
    }

    /// A result with channels last, in the node's order of axes.
    pub(super) fn in_format(&mut self, x: NodeId, format: Format) -> Result<NodeId, Fault> {
        match format {
            Format::ChannelsLast => Ok(x),
            Format::ChannelsFirst => {
                let rank = self.shape(x).len();
                let permutation = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
                self.add(Movement::Transpose { permutation }, &[x])
            }
        }
    }

    /// A kernel given as the attribute `ksize`.
    pub(super) fn kernel(&self, spatial: usize, format: Format) -> Result<Vec<usize>, Fault> {
        self.per_axis("ksize", spatial, format)?.ok_or_else(|| Node::wrong("ksize"))
    }

    /// The window of this kernel over an image with channels last of this shape, its padding made
    /// explicit.
    pub(super) fn window(
        &self,
        kernel: [usize; 2],
        image: &[usize],
        format: Format,
    ) -> Result<Window, Fault> {
        let slides = self.slides(&kernel, image, format)?;
        let &[h, w] = slides.as_slice() else { return Err(Node::wrong("strides")) };
        Ok(window([h, w]))
    }

    /// How this kernel slides along each spatial axis of an image of this shape with channels last,
    /// its padding made explicit.
    pub(super) fn slides(
        &self,
        kernel: &[usize],
        image: &[usize],
        format: Format,
    ) -> Result<Vec<Slide>, Fault> {
        let n = kernel.len();
        let stride = self.per_axis("strides", n, format)?.ok_or_else(|| Node::wrong("strides"))?;
        let dilation = self.per_axis("dilations", n, format)?.unwrap_or_else(|| vec![1; n]);
        let spatial = Format::ChannelsLast.spatial(image);
        if spatial.len() != n {
            return Err(format!("its operand has the shape {image:?}, its window {n} axes").into());
        }
        let mut slides: Vec<Slide> = (0..n)
            .map(|i| Slide { kernel: kernel[i], stride: stride[i], dilation: dilation[i], padding: [0, 0] })
            .collect();
        match self.attr_str("padding", "")? {
            "VALID" => {}
            "SAME" => {
                for (slide, &input) in slides.iter_mut().zip(spatial) {
                    let outputs = input.div_ceil(slide.stride);
                    let reach = outputs.saturating_sub(1) * slide.stride + slide.extent();
                    let needed = reach.saturating_sub(input);
                    slide.padding = [needed / 2, needed - needed / 2];
                }
            }
            "EXPLICIT" => {
                let pairs = self.attr_ints("explicit_paddings")?;
                let (pairs, rest) = pairs.as_chunks::<2>();
                if pairs.len() != n + 2 || !rest.is_empty() {
                    return Err(Node::wrong("explicit_paddings"));
                }
                if format.others(pairs) != Some([[0; 2]; 2]) {
                    return Err("pads the batch or the channels, which no window can".into());
                }
                for (slide, pair) in slides.iter_mut().zip(format.spatial(pairs)) {
                    for (to, &value) in slide.padding.iter_mut().zip(pair) {
                        let value = usize::try_from(value).ok().filter(|&v| v <= MAX as usize);
                        *to = value.ok_or_else(|| Node::wrong("explicit_paddings"))?;
                    }
                }
            }
            other => return Err(format!("has the unknown padding {other:?}").into()),
        }
        Ok(slides)
    }

    /// A number for each spatial axis out of an attribute with two more; those for batch and
    /// channels must be 1.
    fn per_axis(&self, name: &str, spatial: usize, format: Format) -> Result<Option<Vec<usize>>, Fault> {
        let values = self.attr_ints(name)?;
        if values.is_empty() {
            return Ok(None);
        }
        if values.len() != spatial + 2 {
            return Err(Node::wrong(name));
        }
        if values.iter().any(|v| !(1..=MAX).contains(v)) {
            return Err(format!("has the impossible {name} {values:?}").into());
        }
        if format.others(&values) != Some([1, 1]) {
            return Err(format!("has {name} of {values:?}: along batch and channels they must be 1").into());
        }
        Ok(Some(format.spatial(&values).iter().map(|&v| v as usize).collect()))
    }
}
