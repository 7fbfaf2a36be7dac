//! Pictures of another size: nearest neighbours are gathered, in between it is a product with
//! constant weights, an axis at a time.

use cryptflow_ring::Movement;

use super::{Fault, Node, Results, Row, row};
use crate::compose::{self, Weights};
use crate::docs as doc;

pub(super) const TABLE: &[Row] = &[
    row("ResizeNearestNeighbor", nearest, doc::MOVEMENT),
    row(
        "ResizeBilinear",
        |n| weighted(n, Places::linear),
        doc::LINEAR.note("of neighbours, an axis at a time"),
    ),
    row(
        "ResizeBicubic",
        |n| weighted(n, Places::cubic),
        doc::LINEAR.note("of neighbours, an axis at a time"),
    ),
    row(
        "ResizeArea",
        |n| weighted(n, Places::area),
        doc::LINEAR.note("of what an element covers, an axis at a time"),
    ),
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

    /// Where an element lies between those that it is made of.
    fn place(&self, i: usize) -> f32 {
        if self.centres { (i as f32 + 0.5) * self.scale() - 0.5 } else { i as f32 * self.scale() }
    }

    /// An element of an axis, or the last one before it ends.
    fn within(&self, at: f32) -> usize {
        (at.max(0.0) as usize).min(self.from.saturating_sub(1))
    }

    /// The two elements around a place.
    fn linear(&self, i: usize) -> Vec<(usize, f32)> {
        let place = self.place(i);
        let below = place.floor();
        let part = place - below;
        vec![(self.within(below), 1.0 - part), (self.within(below + 1.0), part)]
    }

    /// The four elements around a place. TensorFlow looks weights up that it has made for 1024 places between two
    /// elements; with centres, what lies outside has no weight.
    fn cubic(&self, i: usize) -> Vec<(usize, f32)> {
        let a = if self.centres { -0.5 } else { -0.75 };
        let near = |t: f32| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
        let far = |t: f32| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
        let place = self.place(i);
        let below = place.floor();
        let part = ((place - below) * 1024.0).round() / 1024.0;
        let weights = [far(part + 1.0), near(part), near(1.0 - part), far(2.0 - part)];
        let inside = |at: f32| !self.centres || (0.0..self.from as f32).contains(&at);
        let at = |k: usize| below - 1.0 + k as f32;
        let mut all: Vec<(usize, f32)> =
            (0..4).filter(|&k| inside(at(k))).map(|k| (self.within(at(k)), weights[k])).collect();
        if self.centres {
            let sum: f32 = all.iter().map(|(_, weight)| weight).sum();
            all.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        all
    }

    /// The elements that an element covers, wholly or in part.
    fn area(&self, i: usize) -> Vec<(usize, f32)> {
        let scale = self.scale();
        let (begin, end) = (i as f32 * scale, (i + 1) as f32 * scale);
        let covered = |at: usize| {
            let at_f = at as f32;
            (self.within(at_f), ((at_f + 1.0).min(end) - at_f.max(begin)) / scale)
        };
        (begin.floor() as usize..end.ceil() as usize).map(covered).collect()
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

/// Sums of neighbours, an axis at a time.
fn weighted(node: &mut Node<'_>, neighbours: fn(&Places, usize) -> Vec<(usize, f32)>) -> Results {
    let axes = places(node)?;
    let x = node.floats(0)?;
    node.composed(|c| {
        let mut y = x;
        for (i, axis) in axes.iter().enumerate().filter(|(_, a)| a.from != a.to) {
            let mut weights = Weights::new(axis.from, axis.to)?;
            for p in 0..axis.to {
                for (at, weight) in neighbours(axis, p) {
                    weights.add(at, p, weight);
                }
            }
            y = compose::along(c, y, i + 1, weights)?;
        }
        Ok(y)
    })
}
