//! Windows as TensorFlow describes them: strides, dilations and padding as attributes, in either order of axes.

use cryptflow_ring::{Movement, Window};

use super::{Fault, Node};
use crate::graph::{NodeId, Op};

/// No window is larger, and none steps further.
const MAX: i64 = 1 << 20;

/// Where a node keeps its axes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Format {
    /// Batch, height, width, channels.
    ChannelsLast,
    /// Batch, channels, height, width.
    ChannelsFirst,
}

impl Format {
    /// The height and width among numbers for four axes.
    fn spatial<T: Copy>(self, axes: [T; 4]) -> [T; 2] {
        match self {
            Format::ChannelsLast => [axes[1], axes[2]],
            Format::ChannelsFirst => [axes[2], axes[3]],
        }
    }

    /// The batch and channels among numbers for four axes.
    fn others<T: Copy>(self, axes: [T; 4]) -> [T; 2] {
        match self {
            Format::ChannelsLast => [axes[0], axes[3]],
            Format::ChannelsFirst => [axes[0], axes[1]],
        }
    }
}

impl Node<'_> {
    /// The order of axes that the node wants.
    pub(super) fn format(&self) -> Result<Format, Fault> {
        match self.attr_str("data_format", "NHWC")? {
            "NHWC" => Ok(Format::ChannelsLast),
            "NCHW" => Ok(Format::ChannelsFirst),
            other => Err(format!("has the data format {other}. Export the graph with NHWC").into()),
        }
    }

    /// An image operand, channels last.
    pub(super) fn image(&mut self, i: usize, format: Format) -> Result<NodeId, Fault> {
        let x = self.tensor(i)?;
        let shape = self.shape(x);
        if shape.len() != 4 {
            return Err(format!("its operand must have four axes, but has the shape {shape:?}").into());
        }
        match format {
            Format::ChannelsLast => Ok(x),
            Format::ChannelsFirst => {
                let permutation = vec![0, 2, 3, 1];
                self.add_part("channels_last", Op::Movement(Movement::Transpose { permutation }), &[x])
            }
        }
    }

    /// Adds an operation on images with channels last, and turns its result into the node's order of axes.
    pub(super) fn add_image(&mut self, op: Op, inputs: &[NodeId], format: Format) -> Result<NodeId, Fault> {
        match format {
            Format::ChannelsLast => self.add(op, inputs),
            Format::ChannelsFirst => {
                let result = self.add_part("result", op, inputs)?;
                let permutation = vec![0, 3, 1, 2];
                self.add(Op::Movement(Movement::Transpose { permutation }), &[result])
            }
        }
    }

    /// A kernel given as the attribute `ksize`.
    pub(super) fn kernel(&self, format: Format) -> Result<[usize; 2], Fault> {
        self.per_axis("ksize", format)?.ok_or_else(|| Node::wrong("ksize"))
    }

    /// The window of this kernel over an image with channels last of this shape, its padding made explicit.
    pub(super) fn window(
        &self,
        kernel: [usize; 2],
        image: &[usize],
        format: Format,
    ) -> Result<Window, Fault> {
        let stride = self.per_axis("strides", format)?.ok_or_else(|| Node::wrong("strides"))?;
        let dilation = self.per_axis("dilations", format)?.unwrap_or([1, 1]);
        let &[_, height, width, _] = image else {
            return Err(format!("its operand must have four axes, but has the shape {image:?}").into());
        };
        let mut window = Window { kernel, stride, dilation, padding: [[0; 2]; 2] };
        match self.attr_str("padding", "")? {
            "VALID" => {}
            "SAME" => {
                for (axis, input) in [height, width].into_iter().enumerate() {
                    let extent = kernel[axis].saturating_sub(1) * dilation[axis] + 1;
                    let outputs = input.div_ceil(stride[axis]);
                    let needed = (outputs.saturating_sub(1) * stride[axis] + extent).saturating_sub(input);
                    window.padding[axis] = [needed / 2, needed - needed / 2];
                }
            }
            "EXPLICIT" => {
                let pairs = self.attr_ints("explicit_paddings")?;
                let (pairs, _) = pairs.as_chunks::<2>();
                let pairs: [[i64; 2]; 4] = pairs.try_into().map_err(|_| Node::wrong("explicit_paddings"))?;
                if format.others(pairs) != [[0; 2]; 2] {
                    return Err("pads the batch or the channels, which no window can".into());
                }
                for (axis, pair) in format.spatial(pairs).into_iter().enumerate() {
                    for (side, value) in pair.into_iter().enumerate() {
                        let value = usize::try_from(value).ok().filter(|&v| v <= MAX as usize);
                        window.padding[axis][side] = value.ok_or_else(|| Node::wrong("explicit_paddings"))?;
                    }
                }
            }
            other => return Err(format!("has the unknown padding {other:?}").into()),
        }
        Ok(window)
    }

    /// A number for the height and one for the width out of an attribute with four; those for batch and channels must
    /// be 1.
    fn per_axis(&self, name: &str, format: Format) -> Result<Option<[usize; 2]>, Fault> {
        let values = self.attr_ints(name)?;
        if values.is_empty() {
            return Ok(None);
        }
        let values: [i64; 4] = values.try_into().map_err(|_| Node::wrong(name))?;
        if values.iter().any(|v| !(1..=MAX).contains(v)) {
            return Err(format!("has the impossible {name} {values:?}").into());
        }
        if format.others(values) != [1, 1] {
            return Err(format!("has {name} of {values:?}: along batch and channels they must be 1").into());
        }
        Ok(Some(format.spatial(values).map(|v| v as usize)))
    }
}
