//! Changing the lengths of axes: nearest neighbours are gathered; linear and cubic interpolation is
//! a product with a constant matrix, an axis at a time.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, row};
use crate::budget::check_made;
use crate::compose::{self, Weights};
use crate::docs as doc;
use crate::value::{Fault, axes};

pub(super) const TABLE: &[Row] = &[
    row(
        "Resize",
        resize,
        doc::LINEAR.note(
            "of neighbours, linear or cubic, an axis at a time; nearest neighbours are a movement; \
             scales and sizes are public. `align_corners` aligns those of the resized length, as ONNX's text and ONNX \
             Runtime have it; its reference implementation takes the length before it is cut to a whole number",
        ),
    ),
    row(
        "Upsample",
        upsample,
        doc::LINEAR
            .note("of neighbours, an axis at a time; nearest neighbours are a movement; scales are public"),
    ),
];

/// The ways in which places of the result correspond to places of the operand.
const TRANSFORMATIONS: [&str; 7] = [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
];

/// How an axis is resized.
struct Resized {
    axis: usize,
    from: usize,
    to: usize,
    /// Lengths after by lengths before, as the node says it or as the lengths give it.
    scale: f64,
    /// The part of the axis that is cropped, for that transformation.
    crop: [f64; 2],
}

/// What a node says about all axes.
struct Manner {
    mode: String,
    transformation: String,
    nearest: String,
    cubic: f64,
    exclude_outside: bool,
    extrapolation: f32,
    antialias: bool,
}

fn upsample(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    let scales = match node.attr_floats("scales")? {
        Some(scales) => scales,
        None => node.known(1)?.data.to_vec(),
    };
    let manner = Manner {
        mode: node.attr_text("mode", "nearest")?.into(),
        transformation: "asymmetric".into(),
        nearest: "floor".into(),
        cubic: -0.75,
        exclude_outside: false,
        extrapolation: 0.0,
        antialias: false,
    };
    let all: Vec<usize> = (0..shape.len()).collect();
    let resized = by_scales(&shape, &all, &scales)?;
    run(node, &shape, resized, &manner)
}

fn by_scales(shape: &[usize], axes: &[usize], scales: &[f32]) -> Result<Vec<Resized>, Fault> {
    if scales.len() != axes.len() || scales.iter().any(|s| !(1e-6..=1e6).contains(s)) {
        return Err(format!("scales {} axes by {scales:?}", axes.len()).into());
    }
    let resized = |(&axis, &scale): (&usize, &f32)| {
        let (from, scale) = (shape[axis], f64::from(scale));
        Resized { axis, from, to: (from as f64 * scale).floor() as usize, scale, crop: [0.0, 1.0] }
    };
    Ok(axes.iter().zip(scales).map(resized).collect())
}

fn by_sizes(
    node: &Node<'_>,
    shape: &[usize],
    axes: &[usize],
    sizes: &[usize],
) -> Result<Vec<Resized>, Fault> {
    if sizes.len() != axes.len() || axes.iter().any(|&a| shape[a] == 0) {
        return Err(format!("resizes {} axes of {shape:?} to {sizes:?}", axes.len()).into());
    }
    let ratio = |(&axis, &to): (&usize, &usize)| to as f64 / shape[axis] as f64;
    let ratios = || axes.iter().zip(sizes).map(ratio);
    let one = match node.attr_text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => None,
        "not_larger" => ratios().reduce(f64::min),
        "not_smaller" => ratios().reduce(f64::max),
        _ => return Err(Node::wrong("keep_aspect_ratio_policy")),
    };
    let resized = |((&axis, &to), ratio): ((&usize, &usize), f64)| {
        let from = shape[axis];
        let to = one.map_or(to, |scale| (scale * from as f64).round() as usize);
        Resized { axis, from, to, scale: one.unwrap_or(ratio), crop: [0.0, 1.0] }
    };
    Ok(axes.iter().zip(sizes).zip(ratios()).map(resized).collect())
}

fn resize(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    // Version 10 had the scales where the region of interest is since 11.
    if node.message.opset < 11 {
        return upsample(node);
    }
    let axes: Vec<usize> = match node.attr_ints("axes")? {
        Some(given) => axes(&given, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let is_given = |i: usize| -> Result<bool, Fault> {
        Ok(node.has(i) && node.shape_of(i)?.iter().product::<usize>() > 0)
    };
    let mut resized = if is_given(3)? {
        by_sizes(node, &shape, &axes, &node.lengths(3)?)?
    } else if is_given(2)? {
        by_scales(&shape, &axes, &node.known(2)?.data)?
    } else {
        return Err("says neither the scales nor the sizes".into());
    };
    let transformation = node.attr_text("coordinate_transformation_mode", "half_pixel")?.to_owned();
    if transformation == "tf_crop_and_resize" {
        let region = node.known(1)?;
        let n = axes.len();
        if region.data.len() != 2 * n {
            return Err(format!("crops {n} axes to {:?}", region.data).into());
        }
        for (i, resized) in resized.iter_mut().enumerate() {
            resized.crop = [region.data[i].into(), region.data[i + n].into()];
        }
    }
    let manner = Manner {
        mode: node.attr_text("mode", "nearest")?.into(),
        transformation,
        nearest: node.attr_text("nearest_mode", "round_prefer_floor")?.into(),
        cubic: node.attr_float("cubic_coeff_a", -0.75)?.into(),
        exclude_outside: node.attr_flag("exclude_outside", false)?,
        extrapolation: node.attr_float("extrapolation_value", 0.0)?,
        antialias: node.attr_flag("antialias", false)?,
    };
    run(node, &shape, resized, &manner)
}

fn run(node: &mut Node<'_>, shape: &[usize], mut all: Vec<Resized>, manner: &Manner) -> Results {
    if !TRANSFORMATIONS.contains(&manner.transformation.as_str()) {
        return Err(format!(
            "places its elements in the unknown way {:?}; {} are known",
            manner.transformation,
            TRANSFORMATIONS.join(", ")
        )
        .into());
    }
    let crops = manner.transformation == "tf_crop_and_resize";
    all.retain(|r| r.from != r.to || r.scale != 1.0 || crops);
    for resized in &all {
        check_made(&[resized.from.max(1), resized.to])?;
        if resized.from == 0 {
            return Err(format!("resizes {shape:?}, which is empty").into());
        }
    }
    let is_outside = |r: &Resized, i: usize| crops && r.is_outside(i, manner);
    if manner.mode != "nearest" {
        let x = node.tensor(0)?;
        return node.composed(|c| {
            all.iter().try_fold(x, |x, resized| {
                let mut weights = Weights::new(resized.from, resized.to)?;
                for i in 0..resized.to {
                    if is_outside(resized, i) {
                        weights.put(i, manner.extrapolation);
                        continue;
                    }
                    for (at, weight) in neighbours(resized, i, manner)? {
                        weights.add(at, i, weight as f32);
                    }
                }
                compose::along(c, x, resized.axis, weights)
            })
        });
    }
    let mut steps = Vec::new();
    for resized in &all {
        let place = |i| nearest(resized.place(i, manner), manner, resized.from);
        let indices = (0..resized.to).map(place).collect::<Option<Vec<_>>>();
        let indices = indices.ok_or_else(|| Node::wrong("nearest_mode"))?;
        steps.push(Movement::Gather { axis: resized.axis, indices });
    }
    if steps.is_empty() {
        steps.push(Movement::Reshape { shape: shape.to_vec() });
    }
    if all.iter().any(|r| (0..r.to).any(|i| is_outside(r, i))) {
        return Err("crops more than the picture with nearest neighbours. Pad it first".into());
    }
    let value = node.operand(0)?.clone();
    node.moved(&value, steps)
}

impl Resized {
    /// Where an element of the result lies in the operand.
    fn place(&self, i: usize, manner: &Manner) -> f64 {
        // The length that the scale gives may be no whole number. Corners are aligned with those of
        // the whole one, as ONNX's text has it, and the run times; its reference implementation and
        // its node tests take the other.
        let whole = self.to as f64;
        let (i, from, exact) = (i as f64, self.from as f64, self.from as f64 * self.scale);
        match manner.transformation.as_str() {
            "asymmetric" => i / self.scale,
            "align_corners" if self.to > 1 => i * (from - 1.0) / (whole - 1.0),
            "align_corners" => 0.0,
            "pytorch_half_pixel" if self.to <= 1 => 0.0,
            // The whole lengths share their centre with the exact ones.
            "half_pixel_symmetric" => {
                from / 2.0 * (1.0 - self.to as f64 / exact) + (i + 0.5) / self.scale - 0.5
            }
            "tf_crop_and_resize" => {
                let [start, end] = self.crop;
                if self.to > 1 {
                    start * (from - 1.0) + i * (end - start) * (from - 1.0) / (whole - 1.0)
                } else {
                    0.5 * (start + end) * (from - 1.0)
                }
            }
            "tf_half_pixel_for_nn" => (i + 0.5) / self.scale,
            _ => (i + 0.5) / self.scale - 0.5,
        }
    }

    fn is_outside(&self, i: usize, manner: &Manner) -> bool {
        let place = self.place(i, manner);
        place < 0.0 || place > self.from as f64 - 1.0
    }
}

fn nearest(place: f64, manner: &Manner, n: usize) -> Option<usize> {
    let rounded = match manner.nearest.as_str() {
        "round_prefer_floor" => (place - 0.5).ceil(),
        "round_prefer_ceil" => (place + 0.5).floor(),
        "floor" => place.floor(),
        "ceil" => place.ceil(),
        _ => return None,
    };
    Some(rounded.clamp(0.0, n as f64 - 1.0) as usize)
}

/// The elements that an element of the result is a sum of, with their weights.
fn neighbours(resized: &Resized, i: usize, manner: &Manner) -> Result<Vec<(usize, f64)>, Fault> {
    let a = manner.cubic;
    let cubic = |t: f64| match t.abs() {
        t if t <= 1.0 => ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0,
        t if t < 2.0 => ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a,
        _ => 0.0,
    };
    let linear = |t: f64| (1.0 - t.abs()).max(0.0);
    let (kernel, reach): (&dyn Fn(f64) -> f64, f64) = match manner.mode.as_str() {
        "linear" | "bilinear" => (&linear, 1.0),
        "cubic" => (&cubic, 2.0),
        other => {
            return Err(format!(
                "resizes in the unknown mode {other:?}; nearest, linear and cubic are known"
            )
            .into());
        }
    };
    let place = resized.place(i, manner);
    // With antialiasing the kernel is as wide as what becomes one element.
    let stretch = if manner.antialias { resized.scale.min(1.0) } else { 1.0 };
    let last = resized.from as i64 - 1;
    let (first, end) = ((place - reach / stretch).floor() as i64, (place + reach / stretch).ceil() as i64);
    let mut all = Vec::new();
    for at in first..=end {
        let weight = kernel((at as f64 - place) * stretch);
        let inside = (0..=last).contains(&at);
        if weight != 0.0 && (inside || !manner.exclude_outside) {
            all.push((at.clamp(0, last) as usize, weight));
        }
    }
    let sum: f64 = all.iter().map(|(_, w)| w).sum();
    Ok(all.into_iter().map(|(at, w)| (at, w / sum)).collect())
}
