//! Windows, tap by tap: written for clarity, as the reference of the kernels.

use cryptflow_ring::{GeometryError, Window};

use crate::Error;

/// Calls `f` with the elements that each window sees (padding left out), in the order of the result
/// (NHWC).
pub(super) fn each_window(
    x: &[i64],
    [batch, height, width, channels]: [usize; 4],
    window: &Window,
    mut f: impl FnMut(&[i64]) -> Result<(), Error>,
) -> Result<(), Error> {
    let [rows, columns] = window.output([height, width])?;
    if batch * height * width * channels != x.len() {
        let reason = format!("a pool of {batch}x{height}x{width}x{channels} elements is given {}", x.len());
        return Err(GeometryError::Mismatch(reason).into());
    }
    let mut taps = Vec::with_capacity(window.kernel[0] * window.kernel[1]);
    for image in x.chunks_exact((height * width * channels).max(1)) {
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            for channel in 0..channels {
                taps.clear();
                for i in (0..window.kernel[0]).filter_map(|tap| place(window, 0, row, tap, height)) {
                    let line = (0..window.kernel[1]).filter_map(|tap| place(window, 1, column, tap, width));
                    taps.extend(line.filter_map(|j| image.get((i * width + j) * channels + channel)));
                }
                f(&taps)?;
            }
        }
    }
    Ok(())
}

/// Where a tap of an output position falls on an axis of the input, or nothing where it falls on
/// padding.
fn place(window: &Window, axis: usize, output: usize, tap: usize, extent: usize) -> Option<usize> {
    let padded = output * window.stride[axis] + tap * window.dilation[axis];
    padded.checked_sub(window.padding[axis][0]).filter(|&i| i < extent)
}
