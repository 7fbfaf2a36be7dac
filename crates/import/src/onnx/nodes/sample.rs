//! Pictures sampled at known places, which a grid says.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, row};
use crate::budget::check_made;
use crate::docs as doc;
use crate::value::{Fault, fits};
use cryptflow_graph::{Arithmetic, Array};

pub(super) const TABLE: &[Row] =
    &[row("GridSample", grid_sample, doc::LINEAR.note("of neighbours; the grid is public"))];

/// How elements between places are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// What lies outside of a picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// How an axis of a picture is sampled.
#[derive(Clone, Copy)]
struct Axis {
    length: usize,
    mode: Mode,
    padding: Padding,
    corners: bool,
}

impl Axis {
    /// The ends between which places are inside.
    fn ends(&self) -> [f64; 2] {
        let last = self.length as f64 - 1.0;
        if self.corners { [0.0, last] } else { [-0.5, last + 0.5] }
    }

    /// A place that lies outside, mirrored at the ends until it is inside.
    fn reflected(&self, place: f64) -> f64 {
        let [low, high] = self.ends();
        let span = high - low;
        if span <= 0.0 {
            return low;
        }
        let away = (place - low).rem_euclid(2.0 * span);
        low + if away > span { 2.0 * span - away } else { away }
    }

    fn last(&self) -> f64 {
        self.length as f64 - 1.0
    }

    /// The place that a number from −1 to 1 says.
    fn place(&self, number: f32) -> f64 {
        let (number, length) = (f64::from(number), self.length as f64);
        let mut place = if self.corners {
            (number + 1.0) / 2.0 * (length - 1.0)
        } else {
            ((number + 1.0) * length - 1.0) / 2.0
        };
        if self.mode == Mode::Nearest {
            place = place.round_ties_even();
        }
        let [low, high] = self.ends();
        if (low..=high).contains(&place) {
            return place;
        }
        match self.padding {
            Padding::Zeros => place,
            Padding::Border => place.clamp(0.0, self.last()),
            Padding::Reflection => self.reflected(place),
        }
    }

    /// The element at a whole place; nothing where there is zero.
    fn element(&self, place: f64) -> Option<usize> {
        if (0.0..=self.last()).contains(&place) {
            return Some(place as usize);
        }
        match self.padding {
            Padding::Zeros => None,
            Padding::Border => Some(place.clamp(0.0, self.last()) as usize),
            Padding::Reflection => Some(self.reflected(place).clamp(0.0, self.last()) as usize),
        }
    }

    /// The elements that one between them is a sum of, and their weights.
    fn neighbours(&self, number: f32) -> Vec<(Option<usize>, f64)> {
        let place = self.place(number);
        let below = place.floor();
        let part = place - below;
        let a = -0.75;
        let near = |t: f64| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
        let far = |t: f64| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
        let (first, weights): (f64, Vec<f64>) = match self.mode {
            Mode::Nearest => (place.round_ties_even(), vec![1.0]),
            Mode::Linear => (below, vec![1.0 - part, part]),
            Mode::Cubic => {
                (below - 1.0, vec![far(1.0 + part), near(part), near(1.0 - part), far(2.0 - part)])
            }
        };
        let at = |(k, weight): (usize, f64)| (self.element(first + k as f64), weight);
        weights.into_iter().enumerate().map(at).collect()
    }
}

fn grid_sample(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let grid = node.known(1).map_err(|fault| match fault {
        Fault::Unsupported(_) => Fault::from(
            "samples at places that depend on an input, which would show them. If it prepares the input, do that before: cut \
             the graph behind it with --input NAME=SHAPE",
        ),
        other => other,
    })?;
    let mode = match node.attr_text("mode", "linear")? {
        "nearest" => Mode::Nearest,
        "linear" | "bilinear" => Mode::Linear,
        "cubic" | "bicubic" => Mode::Cubic,
        _ => return Err(Node::wrong("mode")),
    };
    let padding = match node.attr_text("padding_mode", "zeros")? {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        _ => return Err(Node::wrong("padding_mode")),
    };
    let corners = node.attr_flag("align_corners", false)?;
    let rank = shape.len().saturating_sub(2);
    let fitting = rank > 0
        && grid.shape.len() == shape.len()
        && grid.shape.last() == Some(&rank)
        && grid.shape[0] == shape[0]
        && shape.iter().all(|&n| n > 0);
    if !fitting {
        return Err(format!("samples {shape:?} at {:?}", grid.shape).into());
    }
    let (batch, channels, picture) = (shape[0], shape[1], &shape[2..]);
    let axes: Vec<Axis> = picture.iter().map(|&length| Axis { length, mode, padding, corners }).collect();
    let taps = match mode {
        Mode::Nearest => 1usize,
        Mode::Linear => 2,
        Mode::Cubic => 4,
    };
    let size = fits(picture)?;
    let samples = grid.data.len() / rank;
    let of_one = samples / batch;
    // Combinations of neighbours along all axes.
    let combinations = u32::try_from(rank).ok().and_then(|rank| taps.checked_pow(rank)).unwrap_or(usize::MAX);
    check_made(&[combinations, samples])?;
    let mut rows = vec![vec![0; samples]; combinations];
    let mut weights = vec![vec![0.0f32; samples]; combinations];
    for (sample, numbers) in grid.data.chunks_exact(rank).enumerate() {
        // The last axis comes first.
        let each: Vec<Vec<(Option<usize>, f64)>> =
            axes.iter().zip(numbers.iter().rev()).map(|(axis, &number)| axis.neighbours(number)).collect();
        for combination in 0..combinations {
            let (mut rest, mut place, mut weight) = (combination, Some(0), 1.0);
            for (axis, neighbours) in axes.iter().zip(&each) {
                let (element, part) = neighbours[rest % taps];
                rest /= taps;
                place = place.zip(element).map(|(place, element)| place * axis.length + element);
                weight *= part;
            }
            if let Some(place) = place {
                rows[combination][sample] = sample / of_one.max(1) * size + place;
                weights[combination][sample] = weight as f32;
            }
        }
    }
    let result = [&[batch][..], &grid.shape[1..=rank], &[channels]].concat();
    let behind = rank + 1;
    node.composed(|c| {
        let last = (0..shape.len()).filter(|&a| a != 1).chain([1]).collect();
        let x = c.transpose(last, x)?;
        let x = c.reshape(vec![batch * size, channels], x)?;
        let mut sum = None;
        for (indices, weights) in rows.into_iter().zip(weights) {
            let mut term = c.move_elements(Movement::Gather { axis: 0, indices }, x)?;
            if weights.iter().any(|&w| w != 1.0) {
                let weights = c.add_numbered_constant(Array::new(vec![samples, 1], weights)?);
                term = c.add_numbered(Arithmetic::Mul, &[term, weights])?;
            }
            sum = Some(match sum {
                None => term,
                Some(sum) => c.add_numbered(Arithmetic::Add, &[sum, term])?,
            });
        }
        let sum = sum.ok_or("samples nothing")?;
        let y = c.reshape(result, sum)?;
        c.transpose([0, behind].into_iter().chain(1..behind).collect(), y)
    })
}
