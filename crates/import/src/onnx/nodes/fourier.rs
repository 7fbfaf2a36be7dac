//! Fourier transforms: linear maps along an axis, whose weights are known.

use std::f64::consts::TAU;

use cryptflow_ring::Movement;

use super::{Node, Results, Row, row};
use crate::budget::check_made;
use crate::compose::{self, Weights};
use crate::docs as doc;
use crate::value::{Fault, axis};

pub(super) const TABLE: &[Row] = &[
    row("DFT", transform, doc::LINEAR.note("of all numbers of an axis; not the inverse of one side")),
    row("STFT", of_frames, doc::LINEAR.note("of all numbers of a frame; the window and the step are public")),
];

/// A transform of `length` numbers, of which some may be left out or zero, into so many frequencies.
struct Transform {
    length: usize,
    frequencies: usize,
    inverse: bool,
}

impl Transform {
    /// The weights from rows of `given` numbers, each of one part or of two, to rows of frequencies of two parts
    /// each. What each number is multiplied with first is said by `window`.
    fn weights(&self, given: usize, parts: usize, window: &dyn Fn(usize) -> f64) -> Result<Weights, Fault> {
        let mut weights = Weights::new(given * parts, self.frequencies * 2)?;
        let (turn, size) = if self.inverse { (TAU, 1.0 / self.length as f64) } else { (-TAU, 1.0) };
        for at in 0..given.min(self.length) {
            for frequency in 0..self.frequencies {
                let angle = turn * ((at * frequency) % self.length) as f64 / self.length as f64;
                let (sine, cosine) = angle.sin_cos();
                let size = size * window(at);
                let (from, to) = (at * parts, frequency * 2);
                weights.add(from, to, (cosine * size) as f32);
                weights.add(from, to + 1, (sine * size) as f32);
                if parts == 2 {
                    weights.add(from + 1, to, (-sine * size) as f32);
                    weights.add(from + 1, to + 1, (cosine * size) as f32);
                }
            }
        }
        Ok(weights)
    }
}

/// Real and imaginary parts lie along the last axis.
fn parts(shape: &[usize]) -> Result<usize, Fault> {
    match shape.last() {
        Some(&parts @ 1..=2) if shape.len() > 1 => Ok(parts),
        _ => Err(format!("transforms {shape:?}, which has no last axis of one part or of two").into()),
    }
}

/// An operand that is one length.
fn length(node: &Node<'_>, i: usize) -> Result<usize, Fault> {
    match node.lengths(i)?.as_slice() {
        [length] => Ok(*length),
        several => Err(format!("operand {i} must be one length, not {}", several.len()).into()),
    }
}

fn transform(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let parts = parts(&shape)?;
    let (rank, last) = (shape.len(), shape.len() - 1);
    let along = if node.has(2) {
        node.int(2)?
    } else {
        node.attr_int("axis", if node.message.opset < 20 { 1 } else { -2 })?
    };
    let along = axis(along, rank)?;
    if along == last {
        return Err("transforms the axis of real and imaginary parts".into());
    }
    let length = if node.has(1) { length(node, 1)? } else { shape[along] };
    let (inverse, one_sided) = (node.attr_flag("inverse", false)?, node.attr_flag("onesided", false)?);
    if inverse && one_sided {
        return Err("is the inverse of one side of a transform, for which there is no rule here".into());
    }
    if length == 0 {
        return Err("transforms nothing".into());
    }
    let frequencies = if one_sided { length / 2 + 1 } else { length };
    let weights = Transform { length, frequencies, inverse }.weights(shape[along], parts, &|_| 1.0)?;
    node.composed(|c| {
        let front: Vec<usize> = (0..rank).filter(|&a| a != along && a != last).collect();
        let y = c.transpose([&front[..], &[along, last]].concat(), x)?;
        let lead: Vec<usize> = front.iter().map(|&a| shape[a]).collect();
        let y = c.reshape([&lead[..], &[shape[along] * parts]].concat(), y)?;
        let y = compose::along(c, y, lead.len(), weights)?;
        let y = c.reshape([&lead[..], &[frequencies, 2]].concat(), y)?;
        // The axis goes back from behind.
        let back = (0..rank).map(|a| match a {
            a if a == along => rank - 2,
            a if a == last => rank - 1,
            a => a - usize::from(a > along),
        });
        c.transpose(back.collect(), y)
    })
}

/// Transforms of frames, one after another.
fn of_frames(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let (batch, given, parts) = match *shape.as_slice() {
        [batch, given] => (batch, given, 1),
        [batch, given, _] => (batch, given, parts(&shape)?),
        ref other => return Err(format!("transforms a signal of the shape {other:?}").into()),
    };
    let step = length(node, 1)?;
    let window = if node.has(2) { Some(node.known(2)?) } else { None };
    let length = match (node.has(3), &window) {
        (true, _) => length(node, 3)?,
        (false, Some(window)) => window.data.len(),
        (false, None) => return Err("says neither a window nor the length of a frame".into()),
    };
    if length == 0 || length > given || step == 0 || window.as_ref().is_some_and(|w| w.data.len() != length) {
        return Err(format!("takes frames of {length} numbers out of {given}").into());
    }
    let one_sided = node.attr_flag("onesided", true)?;
    let frequencies = if one_sided { length / 2 + 1 } else { length };
    let by_window = |at: usize| window.as_ref().map_or(1.0, |w| f64::from(w.data[at]));
    let weights = Transform { length, frequencies, inverse: false }.weights(length, parts, &by_window)?;
    let frames = (given - length) / step + 1;
    check_made(&[frames, length])?;
    let indices = (0..frames).flat_map(|frame| (0..length).map(move |at| frame * step + at)).collect();
    node.composed(|c| {
        let x = c.reshape(vec![batch, given, parts], x)?;
        let all = c.move_elements(Movement::Gather { axis: 1, indices }, x)?;
        let all = c.reshape(vec![batch, frames, length * parts], all)?;
        let y = compose::along(c, all, 2, weights)?;
        c.reshape(vec![batch, frames, frequencies, 2], y)
    })
}
