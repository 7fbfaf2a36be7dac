//! The shapes of linear maps and windows: data only, shared by the graph, the compiled program and
//! the kernels.

use serde::{Deserialize, Serialize};

use crate::movement::elements;

/// What makes an operation impossible on the shapes that it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A window covers more than the padded input.
    #[error("a window of {window} rows or columns does not fit an input of {input} (padding included)")]
    WindowTooLarge {
        /// Extent of the dilated window.
        window: usize,
        /// Extent of the padded input.
        input: usize,
    },
    /// A number that must not be zero is zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// Another number of elements than a shape has.
    #[error("the shape {shape:?} does not go with {len} elements")]
    Elements {
        /// The shape.
        shape: Vec<usize>,
        /// Elements that are there.
        len: usize,
    },
    /// A maximum over nothing.
    #[error(
        "window {window} of a maximum sees only padding (axis of {input}, padding {padding:?}, kernel {kernel}, stride \
         {stride}, dilation {dilation})"
    )]
    OnlyPadding {
        /// Which position of the output.
        window: usize,
        /// Length of the axis.
        input: usize,
        /// Elements added before and after it.
        padding: [usize; 2],
        /// Taps.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Distance between taps.
        dilation: usize,
    },
    /// A ring that words do not hold.
    #[error("a ring of {0} bits: a word holds 1 to 64")]
    RingBits(u32),
    /// Shapes, or attributes and shapes, that do not go together.
    #[error("{0}")]
    Mismatch(String),
    /// The number of elements does not fit a machine word.
    #[error("the shape {0:?} has too many elements")]
    TooLarge(Vec<usize>),
}

/// A two-dimensional sliding window. Axes in the order height, width.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Taps along each axis.
    pub kernel: [usize; 2],
    /// Step along each axis.
    pub stride: [usize; 2],
    /// Distance between taps along each axis; 1 is a dense window.
    pub dilation: [usize; 2],
    /// Elements added before and after each axis.
    pub padding: [[usize; 2]; 2],
}

impl Window {
    /// Height and width of the output for an input of this height and width.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2], GeometryError> {
        let mut out = [0; 2];
        for axis in 0..2 {
            if self.kernel[axis] == 0 {
                return Err(GeometryError::Zero("the kernel's extent"));
            }
            if self.stride[axis] == 0 || self.dilation[axis] == 0 {
                return Err(GeometryError::Zero("a stride or dilation"));
            }
            let [before, after] = self.padding[axis];
            let padded = input[axis].checked_add(before).and_then(|n| n.checked_add(after));
            let padded = padded.ok_or_else(|| GeometryError::TooLarge(vec![input[axis], before, after]))?;
            let extent = (self.kernel[axis] - 1).checked_mul(self.dilation[axis]);
            let extent = extent.and_then(|n| n.checked_add(1)).unwrap_or(usize::MAX);
            if extent > padded {
                return Err(GeometryError::WindowTooLarge { window: extent, input: padded });
            }
            out[axis] = (padded - extent) / self.stride[axis] + 1;
        }
        Ok(out)
    }

    /// True where a window may see padding.
    pub fn is_padded(&self) -> bool {
        self.padding != [[0; 2]; 2]
    }
}

/// A two-dimensional convolution of `[batch, height, width, in_channels]` (NHWC) with weights of
/// `[kernel_h, kernel_w, in_channels / groups, out_channels]` (HWIO). A depth-wise convolution has
/// as many groups as input channels. Padding is zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conv2d {
    /// Number of images.
    pub batch: usize,
    /// Height and width of an image.
    pub input: [usize; 2],
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Groups; divides both numbers of channels.
    pub groups: usize,
    /// Kernel, stride, dilation and padding.
    pub window: Window,
}

/// A map that is linear in each of its two arguments `x` (activations) and `w` (weights).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinearMap {
    /// `[rows, inner] · [inner, columns]`, both row-major.
    MatMul {
        /// Rows of `x` and of the result.
        rows: usize,
        /// Columns of `x`, rows of `w`.
        inner: usize,
        /// Columns of `w` and of the result.
        columns: usize,
    },
    /// `batch` products of `[rows, inner] · [inner, columns]`, one after another: of two
    /// activations, such as the scores of attention.
    BatchMatMul {
        /// Number of products.
        batch: usize,
        /// Rows of each `x` and of each result.
        rows: usize,
        /// Columns of each `x`, rows of each `w`.
        inner: usize,
        /// Columns of each `w` and of each result.
        columns: usize,
    },
    /// A convolution.
    Conv2d(Conv2d),
    /// `x[row, channel] * w[channel]`: a batch normalisation that could not be folded.
    Scale {
        /// Product of all axes of `x` but the last.
        rows: usize,
        /// The last axis.
        channels: usize,
    },
}

impl LinearMap {
    /// Whether the map's shapes go together, and all its tensors can be counted. The other methods
    /// are exact on a map that passed this check.
    pub fn check(&self) -> Result<(), GeometryError> {
        match self {
            LinearMap::MatMul { rows, inner, columns } => {
                elements(&[*rows, *inner])?;
                elements(&[*inner, *columns])?;
                elements(&[*rows, *columns])?;
            }
            LinearMap::BatchMatMul { batch, rows, inner, columns } => {
                elements(&[*batch, *rows, *inner])?;
                elements(&[*batch, *inner, *columns])?;
                elements(&[*batch, *rows, *columns])?;
            }
            LinearMap::Scale { rows, channels } => {
                elements(&[*rows, *channels])?;
            }
            LinearMap::Conv2d(c) => {
                let [h, w] = c.window.output(c.input)?;
                let [kh, kw] = c.window.kernel;
                elements(&[c.batch, c.input[0], c.input[1], c.in_channels])?;
                elements(&[c.batch, h, w, c.out_channels])?;
                elements(&[kh, kw, c.in_channels, c.out_channels])?;
            }
        }
        if let LinearMap::Conv2d(c) = self {
            if c.groups == 0 || c.in_channels == 0 || c.out_channels == 0 {
                return Err(GeometryError::Zero("the number of channels or groups"));
            }
            if !c.in_channels.is_multiple_of(c.groups) || !c.out_channels.is_multiple_of(c.groups) {
                return Err(GeometryError::Mismatch(format!(
                    "{} groups do not divide {} input and {} output channels",
                    c.groups, c.in_channels, c.out_channels
                )));
            }
        }
        Ok(())
    }

    /// Elements of `x`.
    pub fn input_len(&self) -> usize {
        match self {
            LinearMap::MatMul { rows, inner, .. } => rows * inner,
            LinearMap::BatchMatMul { batch, rows, inner, .. } => batch * rows * inner,
            LinearMap::Conv2d(c) => c.batch * c.input[0] * c.input[1] * c.in_channels,
            LinearMap::Scale { rows, channels } => rows * channels,
        }
    }

    /// Elements of `w`.
    pub fn weight_len(&self) -> usize {
        match self {
            LinearMap::MatMul { inner, columns, .. } => inner * columns,
            LinearMap::BatchMatMul { batch, inner, columns, .. } => batch * inner * columns,
            LinearMap::Conv2d(c) => {
                c.window.kernel[0] * c.window.kernel[1] * (c.in_channels / c.groups.max(1)) * c.out_channels
            }
            LinearMap::Scale { channels, .. } => *channels,
        }
    }

    /// Elements of the result; zero if the window does not fit (see [`LinearMap::check`]).
    pub fn output_len(&self) -> usize {
        match self {
            LinearMap::MatMul { rows, columns, .. } => rows * columns,
            LinearMap::BatchMatMul { batch, rows, columns, .. } => batch * rows * columns,
            LinearMap::Conv2d(c) => {
                c.window.output(c.input).map_or(0, |[h, w]| c.batch * h * w * c.out_channels)
            }
            LinearMap::Scale { rows, channels } => rows * channels,
        }
    }

    /// Length of the result's last axis: the length of a bias.
    pub fn out_channels(&self) -> usize {
        match self {
            LinearMap::MatMul { columns, .. } | LinearMap::BatchMatMul { columns, .. } => *columns,
            LinearMap::Conv2d(c) => c.out_channels,
            LinearMap::Scale { channels, .. } => *channels,
        }
    }

    /// Products that are summed into one element of the result.
    pub fn terms(&self) -> usize {
        match self {
            LinearMap::MatMul { inner, .. } | LinearMap::BatchMatMul { inner, .. } => *inner,
            LinearMap::Conv2d(c) => {
                c.window.kernel[0] * c.window.kernel[1] * (c.in_channels / c.groups.max(1))
            }
            LinearMap::Scale { .. } => 1,
        }
    }

    /// Multiply-accumulate operations of one evaluation.
    pub fn macs(&self) -> u64 {
        (self.output_len() as u64).saturating_mul(self.terms() as u64)
    }
}
