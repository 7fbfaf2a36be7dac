//! Windows as TensorFlow describes them: strides, dilations and padding as attributes, in either
//! order of axes; along two spatial axes or three.

use super::{Fault, Node};
use crate::compose::{MAX_WINDOW, Slide};
use crate::picture::Format;
use cryptflow_graph::NodeId;

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
        match self.attr_text("data_format", "NHWC")? {
            "NHWC" | "NDHWC" => Ok(Format::ChannelsLast),
            "NCHW" | "NCDHW" => Ok(Format::ChannelsFirst),
            other => Err(format!("has the data format {other}. Export the graph with NHWC").into()),
        }
    }

    /// An operand with so many spatial axes, channels last.
    pub(super) fn grid(&mut self, i: usize, spatial: usize, format: Format) -> Result<NodeId, Fault> {
        let x = self.floats(i)?;
        let shape = self.shape(x);
        if shape.len() != spatial + 2 {
            let axes = if spatial == 2 { "four" } else { "five" };
            return Err(format!("its operand must have {axes} axes, but has the shape {shape:?}").into());
        }
        self.channels_last(x, format)
    }

    /// A kernel given as the attribute `ksize`.
    pub(super) fn kernel(&self, spatial: usize, format: Format) -> Result<Vec<usize>, Fault> {
        self.per_axis("ksize", spatial, format)?.ok_or_else(|| Node::wrong("ksize"))
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
        let mut slides = Slide::bare(kernel, &stride, &dilation);
        match self.attr_text("padding", "")? {
            "VALID" => {}
            "SAME" => {
                for (slide, &input) in slides.iter_mut().zip(spatial) {
                    let needed = slide.missing(input);
                    slide.padding = [needed / 2, needed - needed / 2];
                }
            }
            "EXPLICIT" => {
                let pairs = self.attr_ints("explicit_paddings")?.unwrap_or_default();
                let (pairs, rest) = pairs.as_chunks::<2>();
                if pairs.len() != n + 2 || !rest.is_empty() {
                    return Err(Node::wrong("explicit_paddings"));
                }
                if format.others(pairs) != Some([[0; 2]; 2]) {
                    return Err("pads the batch or the channels, which no window can".into());
                }
                for (slide, pair) in slides.iter_mut().zip(format.spatial(pairs)) {
                    for (to, &value) in slide.padding.iter_mut().zip(pair) {
                        let value = usize::try_from(value).ok().filter(|&v| v <= MAX_WINDOW as usize);
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
        let values = self.attr_ints(name)?.unwrap_or_default();
        if values.is_empty() {
            return Ok(None);
        }
        if values.len() != spatial + 2 {
            return Err(Node::wrong(name));
        }
        if values.iter().any(|v| !(1..=MAX_WINDOW).contains(v)) {
            return Err(format!("has the impossible {name} {values:?}").into());
        }
        if format.others(&values) != Some([1, 1]) {
            return Err(format!("has {name} of {values:?}: along batch and channels they must be 1").into());
        }
        Ok(Some(format.spatial(&values).iter().map(|&v| v as usize).collect()))
    }
}
