//! Gradients of poolings.

use rayon::prelude::*;

use super::Step;
use crate::graph::Array;
use crate::operations::pool::inside;
use crate::operations::{OpError, Pool, Pooling, nhwc};

pub(super) fn towards(pool: &Pool, step: &Step<'_>) -> Result<Array, OpError> {
    let x = step.only(pool.name())?;
    let [_, height, width, channels] = nhwc(pool.name(), &x.shape)?;
    let [_, out_height, out_width, _] = nhwc(pool.name(), &step.result.shape)?;
    let mut back = vec![0.0; x.data.len()];
    let image = (height * width * channels).max(1);
    back.par_chunks_mut(image).enumerate().for_each(|(n, back)| {
        let x = &x.data[n * image..][..image];
        let mut found = vec![false; channels];
        for (oy, ox) in (0..out_height).flat_map(|oy| (0..out_width).map(move |ox| (oy, ox))) {
            let at = ((n * out_height + oy) * out_width + ox) * channels;
            let gradient = &step.gradient.data[at..][..channels];
            let result = &step.result.data[at..][..channels];
            let rows = inside(&pool.window, 0, oy, height);
            let columns = inside(&pool.window, 1, ox, width);
            let count = match pool.kind {
                Pooling::Average { count_padding: false } => rows.clone().count() * columns.clone().count(),
                Pooling::Average { count_padding: true } => pool.window.kernel.iter().product(),
                Pooling::Max | Pooling::Sum => 1,
            };
            found.fill(false);
            for (iy, ix) in rows.flat_map(|iy| columns.clone().map(move |ix| (iy, ix))) {
                let from = (iy * width + ix) * channels;
                let back = back[from..][..channels].iter_mut().zip(gradient);
                match pool.kind {
                    // The first of equal ones has all of it.
                    Pooling::Max => {
                        let x = x[from..][..channels].iter().zip(result);
                        for ((found, (back, gradient)), (x, result)) in found.iter_mut().zip(back).zip(x) {
                            if x == result && !std::mem::replace(found, true) {
                                *back += gradient;
                            }
                        }
                    }
                    Pooling::Average { .. } | Pooling::Sum => {
                        back.for_each(|(back, gradient)| *back += gradient / count as f32);
                    }
                }
            }
        }
    });
    Array::new(x.shape.clone(), back)
}
