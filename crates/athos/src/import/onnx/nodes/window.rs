//! Windows as ONNX describes them: kernels, strides, dilations and padding as attributes, one number for each axis of the
//! picture.

use cryptflow_ring::{Movement, Window};

use super::Node;
use crate::graph::{NodeId, Op};
use crate::import::value::Fault;

/// No window is larger, and none steps further.
const MAX: i64 = 1 << 20;

/// Numbers of a window, one for each axis of the picture.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    /// Before and after each axis.
    pub(super) padding: Vec<[usize; 2]>,
}

impl Axes {
    /// How far a window reaches along an axis.
    pub(super) fn extent(&self, axis: usize) -> usize {
        self.kernel[axis].saturating_sub(1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// The window over two axes. One axis is a picture of one row.
    pub(super) fn window(&self) -> Option<Window> {
        let two = |numbers: &[usize]| match *numbers {
            [n] => Some([1, n]),
            [m, n] => Some([m, n]),
            _ => None,
        };
        let padding = match *self.padding.as_slice() {
            [n] => [[0; 2], n],
            [m, n] => [m, n],
            _ => return None,
        };
        Some(Window {
            kernel: two(&self.kernel)?,
            stride: two(&self.stride)?,
            dilation: two(&self.dilation)?,
            padding,
        })
    }
}

impl Node<'_> {
    /// Numbers of an attribute, one for each of `rank` axes.
    fn per_axis(&self, name: &str, rank: usize, low: i64) -> Result<Option<Vec<usize>>, Fault> {
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

    /// The window of this kernel over a picture with these lengths, its padding made explicit.
    pub(super) fn window(&self, kernel: Vec<usize>, picture: &[usize]) -> Result<Axes, Fault> {
        let rank = picture.len();
        if let Some(stated) = self.per_axis("kernel_shape", rank, 1)?
            && stated != kernel
        {
            return Err(
                format!("its filter is {kernel:?}, but its attribute kernel_shape says {stated:?}").into()
            );
        }
        let stride = self.per_axis("strides", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let dilation = self.per_axis("dilations", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let mut axes = Axes { kernel, stride, dilation, padding: vec![[0; 2]; rank] };
        match self.attr_text("auto_pad", "NOTSET")? {
            "" | "NOTSET" => {
                if let Some(pads) = self.per_axis("pads", 2 * rank, 0)? {
                    axes.padding = (0..rank).map(|i| [pads[i], pads[i + rank]]).collect();
                }
            }
            "VALID" => {}
            auto @ ("SAME_UPPER" | "SAME_LOWER") => {
                for (i, &n) in picture.iter().enumerate() {
                    let outputs = n.div_ceil(axes.stride[i]);
                    let reach = outputs.saturating_sub(1).saturating_mul(axes.stride[i]);
                    let needed = reach.saturating_add(axes.extent(i)).saturating_sub(n);
                    let less = needed / 2;
                    axes.padding[i] =
                        if auto == "SAME_UPPER" { [less, needed - less] } else { [needed - less, less] };
                }
            }
            other => return Err(format!("has the unknown auto_pad {other:?}").into()),
        }
        Ok(axes)
    }

    /// A picture operand `[batch, channels, …]` with channels last and two axes between, and the lengths of its own axes.
    pub(super) fn picture(&mut self, i: usize) -> Result<(NodeId, Vec<usize>), Fault> {
        let x = self.tensor(i)?;
        let shape = self.shape(x).to_vec();
        if shape.len() < 3 {
            return Err(format!(
                "its operand must have a batch, channels, and at least one more axis, but has the shape {shape:?}"
            )
            .into());
        }
        let mut last =
            self.moved_part("channels_last", Movement::Transpose { permutation: to_last(shape.len()) }, x)?;
        if let &[batch, channels, length] = shape.as_slice() {
            let shape = vec![batch, 1, length, channels];
            last = self.moved_part("row", Movement::Reshape { shape }, last)?;
        }
        Ok((last, shape[2..].to_vec()))
    }

    /// Turns a result with channels last into the order of axes that ONNX has; `axes` is how many the picture has.
    pub(super) fn unpicture(&mut self, x: NodeId, axes: usize) -> Result<NodeId, Fault> {
        let mut x = x;
        if let (1, &[batch, 1, length, channels]) = (axes, self.shape(x)) {
            let shape = vec![batch, length, channels];
            x = self.moved_part("line", Movement::Reshape { shape }, x)?;
        }
        let permutation = from_last(self.shape(x).len());
        self.add(Op::Movement(Movement::Transpose { permutation }), &[x])
    }
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
