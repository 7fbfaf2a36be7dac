//! From the pixels of a picture to a row of a model's input, in the order that [`Preprocessing`]
//! documents: resize, crop, layout and channels, divide, mean, standard deviation.

mod resize;

use cryptflow_program::Preprocessing;

/// Rows and columns of the largest picture.
pub(crate) const LARGEST: usize = 16_384;

/// A picture: bytes from 0 to 255, rows from the top, channels of a pixel side by side (red, green,
/// blue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

/// Why a picture cannot become an input.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PreprocessError {
    /// The numbers of pixels and extents disagree, or one is zero.
    #[error("a picture of {height}×{width} pixels with {channels} channels cannot have {bytes} bytes")]
    Pixels {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
        /// Bytes that are there.
        bytes: usize,
    },
    /// The picture, resized and cropped, does not have the shape of the model's input.
    #[error("the picture has {found}, the model needs {needed}: {advice}")]
    Shape {
        /// What the picture has.
        found: String,
        /// What the model needs.
        needed: String,
        /// Which option to give when compiling.
        advice: String,
    },
    /// What the compiled model says of preprocessing makes no sense.
    #[error("the model's preprocessing cannot be applied: {0}")]
    Settings(#[from] SettingsError),
}

/// What is wrong with a model's preprocessing, for the pictures that it is to be applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A size that no picture has.
    #[error("resizing to {height}×{width}: pictures have 1 to {LARGEST} rows and columns")]
    Size {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// Grey is made of three channels.
    #[error("a picture of {channels} channels cannot be made grey")]
    Grey {
        /// Channels of the picture.
        channels: usize,
    },
    /// Three channels are swapped.
    #[error("blue-green-red needs 3 channels, here are {channels}")]
    Bgr {
        /// Channels of the picture.
        channels: usize,
    },
    /// A divisor of zero.
    #[error("it divides by zero")]
    Zero,
    /// Neither one number nor one for each channel.
    #[error("{what} has {numbers} numbers for {channels} channels")]
    Count {
        /// `mean` or `std`.
        what: &'static str,
        /// How many there are.
        numbers: usize,
        /// Channels of the picture.
        channels: usize,
    },
    /// A mean that is not finite, or a deviation of zero.
    #[error("{what} holds a number that cannot be used")]
    Number {
        /// `mean` or `std`.
        what: &'static str,
    },
}

impl Picture {
    /// A picture of these extents; `pixels` holds `height * width * channels` bytes, with 1 or 3
    /// channels for anything that is to be resized or made grey.
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        pixels: Vec<u8>,
    ) -> Result<Picture, PreprocessError> {
        let bytes = height.checked_mul(width).and_then(|n| n.checked_mul(channels));
        if bytes != Some(pixels.len()) || pixels.is_empty() {
            return Err(PreprocessError::Pixels { height, width, channels, bytes: pixels.len() });
        }
        Ok(Picture { height, width, channels, pixels })
    }

    /// Scales to this height and width: bilinear, averaging over all pixels that a new one covers
    /// (as Pillow does).
    fn resize(&mut self, [height, width]: [usize; 2]) -> Result<(), PreprocessError> {
        if (self.height, self.width) == (height, width) {
            return Ok(());
        }
        let limits = 1..=LARGEST;
        if !limits.contains(&height) || !limits.contains(&width) {
            return Err(SettingsError::Size { height, width }.into());
        }
        self.pixels =
            resize::bilinear(&self.pixels, self.channels, [self.height, self.width], [height, width]);
        (self.height, self.width) = (height, width);
        Ok(())
    }

    /// Cuts this height and width from the middle (half a pixel to the top left of it where it must
    /// be).
    fn crop(&mut self, [height, width]: [usize; 2]) -> Result<(), PreprocessError> {
        if height > self.height || width > self.width {
            return Err(PreprocessError::Shape {
                found: self.extents(),
                needed: format!("at least {height}×{width}, which is cut from its middle"),
                advice: format!("give a larger picture, or compile with --resize {height}x{width} or larger"),
            });
        }
        let (top, left) = ((self.height - height) / 2, (self.width - width) / 2);
        let line = self.width * self.channels;
        self.pixels = self
            .pixels
            .chunks_exact(line)
            .skip(top)
            .take(height)
            .flat_map(|row| row.iter().skip(left * self.channels).take(width * self.channels))
            .copied()
            .collect();
        (self.height, self.width) = (height, width);
        Ok(())
    }

    /// One channel, the luma of ITU-R BT.601 (as Pillow's "L" and TensorFlow's `rgb_to_grayscale`).
    fn grey(&mut self) -> Result<(), PreprocessError> {
        if self.channels == 1 {
            return Ok(());
        }
        if self.channels != 3 {
            return Err(SettingsError::Grey { channels: self.channels }.into());
        }
        let luma = |pixel: &[u8]| match *pixel {
            [r, g, b] => {
                ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
            }
            _ => 0,
        };
        self.pixels = self.pixels.chunks_exact(3).map(luma).collect();
        self.channels = 1;
        Ok(())
    }

    /// The height, width and channels, in words.
    fn extents(&self) -> String {
        extents(self.height, self.width, self.channels)
    }
}

fn extents(height: usize, width: usize, channels: usize) -> String {
    let plural = if channels == 1 { "" } else { "s" };
    format!("{height}×{width} pixels with {channels} channel{plural}")
}

/// Whether the result has another number of elements than the picture.
pub fn changes_size(p: &Preprocessing) -> bool {
    p.resize.is_some() || p.crop.is_some() || p.grey
}

/// Turns a picture into one row of an input of shape `shape` (without the batch axis): `[h, w, c]`
/// (`[c, h, w]` with channels first), `[h, w]`, or any other shape with as many elements.
pub fn apply(mut picture: Picture, p: &Preprocessing, shape: &[usize]) -> Result<Vec<f32>, PreprocessError> {
    if let Some(size) = p.resize {
        picture.resize(size)?;
    }
    if let Some(size) = p.crop {
        picture.crop(size)?;
    }
    if p.grey {
        picture.grey()?;
    }
    fit(&mut picture, p, shape)?;
    if p.bgr {
        if picture.channels != 3 {
            return Err(SettingsError::Bgr { channels: picture.channels }.into());
        }
        picture.pixels.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    }
    let tables = tables(p, picture.channels)?;
    let pixels = picture.pixels.iter().zip(tables.iter().cycle());
    let value = |(&pixel, table): (&u8, &[f32; 256])| table.get(usize::from(pixel)).copied().unwrap_or(0.0);
    if !p.channels_first {
        return Ok(pixels.map(value).collect());
    }
    let (plane, channels) = (picture.height * picture.width, picture.channels);
    let mut row = Vec::with_capacity(plane * channels);
    for (channel, table) in tables.iter().enumerate() {
        let pixels = picture.pixels.iter().skip(channel).step_by(channels);
        row.extend(pixels.map(|pixel| value((pixel, table))));
    }
    Ok(row)
}

/// Whether numbers that are one a channel are as many as a row of this shape has channels, where the
/// shape says how many that is.
///
/// # Errors
/// The numbers that are not.
pub fn check(p: &Preprocessing, shape: &[usize]) -> Result<(), SettingsError> {
    match extents_of(p, shape) {
        Some((_, _, channels)) => tables(p, channels).map(|_| ()),
        None => Ok(()),
    }
}

/// The height, width and channels of a row of this shape, where it is a picture.
fn extents_of(p: &Preprocessing, shape: &[usize]) -> Option<(usize, usize, usize)> {
    match *shape {
        [c, h, w] if p.channels_first => Some((h, w, c)),
        [h, w, c] => Some((h, w, c)),
        [h, w] => Some((h, w, 1)),
        _ => None,
    }
}

/// Checks the extents against the shape of the input; a grey picture is repeated for a model that
/// wants three channels.
fn fit(picture: &mut Picture, p: &Preprocessing, shape: &[usize]) -> Result<(), PreprocessError> {
    let (height, width) = (picture.height, picture.width);
    let wanted = extents_of(p, shape);
    let count: usize = shape.iter().product();
    let channels = match wanted {
        Some((h, w, c)) if (h, w) == (height, width) => Some(c),
        Some((h, w, c)) => return Err(wrong(picture, &extents(h, w, c), advice(h, w))),
        None => [1, 3].into_iter().find(|c| height * width * c == count),
    };
    match channels {
        Some(n) if n == picture.channels => Ok(()),
        Some(3) if picture.channels == 1 => {
            picture.pixels = picture.pixels.iter().flat_map(|&v| [v; 3]).collect();
            picture.channels = 3;
            Ok(())
        }
        Some(1) => Err(wrong(
            picture,
            &extents(height, width, 1),
            "compile with --grey to make pictures grey".into(),
        )),
        Some(n) => {
            let advice = format!("give pictures of {n} channels");
            Err(wrong(picture, &extents(height, width, n), advice))
        }
        None => {
            let needed = format!("{count} numbers (shape {shape:?})");
            Err(wrong(picture, &needed, "compile with --resize HxW or --crop HxW".into()))
        }
    }
}

fn wrong(picture: &Picture, needed: &str, advice: String) -> PreprocessError {
    PreprocessError::Shape { found: picture.extents(), needed: needed.into(), advice }
}

fn advice(height: usize, width: usize) -> String {
    format!(
        "compile with --resize {height}x{width} to scale pictures, or --crop {height}x{width} to cut their middle"
    )
}

/// For every channel, what becomes of each of the 256 values of a byte.
fn tables(p: &Preprocessing, channels: usize) -> Result<Vec<[f32; 256]>, SettingsError> {
    if p.divide.is_some_and(|d| d == 0.0 || !d.is_finite()) {
        return Err(SettingsError::Zero);
    }
    for (what, values) in [("mean", &p.mean), ("std", &p.std)] {
        if !matches!(values.len(), 0 | 1) && values.len() != channels {
            return Err(SettingsError::Count { what, numbers: values.len(), channels });
        }
        if values.iter().any(|v| !v.is_finite()) || what == "std" && values.contains(&0.0) {
            return Err(SettingsError::Number { what });
        }
    }
    let of = |values: &[f64], channel: usize, otherwise: f64| match values {
        [] => otherwise,
        [one] => *one,
        all => all.get(channel).copied().unwrap_or(otherwise),
    };
    Ok((0..channels)
        .map(|channel| {
            let (mean, std) = (of(&p.mean, channel, 0.0), of(&p.std, channel, 1.0));
            std::array::from_fn(|v| ((v as f64 / p.divide.unwrap_or(1.0) - mean) / std) as f32)
        })
        .collect())
}
