//! Pictures of another size: nearest neighbours are gathered, in between it is a product with
//! constant weights, an axis at a time.

use cryptflow_ring::Movement;

use super::{Fault, Node, Results, Row, row};
use crate::compose::{self, Weights};
use crate::docs as doc;

pub(super) const TABLE: &[Row] = &[
    row("ResizeNearestNeighbor", nearest, doc::MOVEMENT),
    row("ResizeBilinear", bilinear, doc::LINEAR.note("of neighbours, an axis at a time")),
];

/// How the places of an axis correspond.
struct Places {
    from: usize,
    to: usize,
    corners: bool,
    centres: bool,
}

impl Places {
    fn scale(&self) -> f32 {
        if self.corners && self.to > 1 {
            (self.from as f32 - 1.0) / (self.to as f32 - 1.0)
        } else {
            self.from as f32 / self.to as f32
        }
    }

    /// Which element is nearest, as TensorFlow rounds in single precision.
    fn nearest(&self, i: usize) -> usize {
        let place = if self.centres { (i as f32 + 0.5) * self.scale() } else { i as f32 * self.scale() };
        let place = if self.corners { place.round() } else { place.floor() };
        (place.max(0.0) as usize).min(self.from.saturating_sub(1))
    }

    /// The two elements around a place, and the second one's part.
    fn around(&self, i: usize) -> (usize, usize, f32) {
        let place =
            if self.centres { (i as f32 + 0.5) * self.scale() - 0.5 } else { i as f32 * self.scale() };
        let below = place.floor();
        let last = self.from.saturating_sub(1);
        let lower = (below.max(0.0) as usize).min(last);
        let upper = ((below + 1.0).max(0.0) as usize).min(last);
        (lower, upper, place - below)
    }
}

/// The two axes of a picture with channels last.
fn places(node: &Node<'_>) -> Result<[Places; 2], Fault> {
    let shape = node.shape_of(0)?;
    let (&[_, height, width, _], &[to_height, to_width]) = (shape.as_slice(), node.lengths(1)?.as_slice())
    else {
        return Err(format!("resizes {shape:?}; a picture of four axes and a size of two are needed").into());
    };
    let (corners, centres) =
        (node.attr_flag("align_corners", false)?, node.attr_flag("half_pixel_centers", false)?);
    if [height, width, to_height, to_width].contains(&0) {
        return Err(format!("resizes {height} by {width} to {to_height} by {to_width}").into());
    }
    Ok([(height, to_height), (width, to_width)].map(|(from, to)| Places { from, to, corners, centres }))
}

fn nearest(node: &mut Node<'_>) -> Results {
    let axes = places(node)?;
    let x = node.floats(0)?;
    node.composed(|c| {
        let mut y = x;
        for (i, axis) in axes.iter().enumerate() {
            let indices = (0..axis.to).map(|p| axis.nearest(p)).collect();
            y = c.move_elements(Movement::Gather { axis: i + 1, indices }, y)?;
        }
        Ok(y)
    })
}

fn bilinear(node: &mut Node<'_>) -> Results {
    let axes = places(node)?;
    let x = node.floats(0)?;
    node.composed(|c| {
        let mut y = x;
        for (i, axis) in axes.iter().enumerate().filter(|(_, a)| a.from != a.to) {
            let mut weights = Weights::new(axis.from, axis.to)?;
            for p in 0..axis.to {
                let (lower, upper, part) = axis.around(p);
                weights.add(lower, p, 1.0 - part);
                weights.add(upper, p, part);
            }
            y = compose::along(c, y, i + 1, weights)?;
        }
        Ok(y)
    })
}
