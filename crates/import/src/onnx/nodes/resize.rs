//! Changing the lengths of axes: nearest neighbours are gathered; linear and cubic interpolation is
//! a product with a constant matrix, an axis at a time.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, row};
use crate::budget::check_made;
use crate::compose::MATRIX_PRODUCT;
use crate::docs as doc;
use crate::value::{Fault, axes};
use cryptflow_graph::{Arithmetic, Array, NodeId, Op};

pub(super) const TABLE: &[Row] = &[
    row(
        "Resize",
        resize,
        doc::LINEAR.note(
            "of neighbours, linear or cubic, an axis at a time; nearest neighbours are a movement; \
             scales and sizes are public",
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
struct Plan {
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
    let mode = node.attr_text("mode", "nearest")?.to_owned();
    let manner = Manner {
        mode,
        transformation: "asymmetric".into(),
        nearest: "floor".into(),
        cubic: -0.75,
        exclude_outside: false,
        extrapolation: 0.0,
        antialias: false,
    };
    let all = (0..shape.len()).collect();
    let plans = by_scales(&shape, all, &scales)?;
    run(node, &shape, plans, &manner)
}

fn by_scales(shape: &[usize], axes: Vec<usize>, scales: &[f32]) -> Result<Vec<Plan>, Fault> {
    if scales.len() != axes.len() || scales.iter().any(|s| !(1e-6..=1e6).contains(s)) {
        return Err(format!("scales {} axes by {scales:?}", axes.len()).into());
    }
    let plan = |(&axis, &scale): (&usize, &f32)| {
        let (from, scale) = (shape[axis], f64::from(scale));
        Plan { axis, from, to: (from as f64 * scale).floor() as usize, scale, crop: [0.0, 1.0] }
    };
    Ok(axes.iter().zip(scales).map(plan).collect())
}

fn by_sizes(node: &Node<'_>, shape: &[usize], axes: Vec<usize>, sizes: &[usize]) -> Result<Vec<Plan>, Fault> {
    if sizes.len() != axes.len() || axes.iter().any(|&a| shape[a] == 0) {
        return Err(format!("resizes {} axes of {shape:?} to {sizes:?}", axes.len()).into());
    }
    let ratio = |(&axis, &to): (&usize, &usize)| to as f64 / shape[axis] as f64;
    let ratios: Vec<f64> = axes.iter().zip(sizes).map(ratio).collect();
    let one = match node.attr_text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => None,
        "not_larger" => ratios.iter().copied().reduce(f64::min),
        "not_smaller" => ratios.iter().copied().reduce(f64::max),
        _ => return Err(Node::wrong("keep_aspect_ratio_policy")),
    };
    let plan = |((&axis, &to), &ratio): ((&usize, &usize), &f64)| {
        let from = shape[axis];
        match one {
            None => Plan { axis, from, to, scale: ratio, crop: [0.0, 1.0] },
            Some(scale) => {
                let to = (scale * from as f64).round() as usize;
                Plan { axis, from, to, scale, crop: [0.0, 1.0] }
            }
        }
    };
    Ok(axes.iter().zip(sizes).zip(&ratios).map(plan).collect())
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
    let mut plans = if is_given(3)? {
        by_sizes(node, &shape, axes.clone(), &node.lengths(3)?)?
    } else if is_given(2)? {
        by_scales(&shape, axes.clone(), &node.known(2)?.data)?
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
        for (i, plan) in plans.iter_mut().enumerate() {
            plan.crop = [region.data[i].into(), region.data[i + n].into()];
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
    run(node, &shape, plans, &manner)
}

fn run(node: &mut Node<'_>, shape: &[usize], plans: Vec<Plan>, manner: &Manner) -> Results {
    if !TRANSFORMATIONS.contains(&manner.transformation.as_str()) {
        return Err(format!(
            "places its elements in the unknown way {:?}; {} are known",
            manner.transformation,
            TRANSFORMATIONS.join(", ")
        )
        .into());
    }
    let crops = manner.transformation == "tf_crop_and_resize";
    let plans: Vec<Plan> = plans.into_iter().filter(|p| p.from != p.to || p.scale != 1.0 || crops).collect();
    for plan in &plans {
        check_made(&[plan.from.max(1), plan.to])?;
        if plan.from == 0 {
            return Err(format!("resizes {shape:?}, which is empty").into());
        }
    }
    if manner.mode == "nearest" {
        let mut steps = Vec::new();
        for plan in &plans {
            let place = |i| nearest(plan.place(i, manner), manner, plan.from);
            let indices = (0..plan.to).map(place).collect::<Option<Vec<_>>>();
            let indices = indices.ok_or_else(|| Node::wrong("nearest_mode"))?;
            steps.push(Movement::Gather { axis: plan.axis, indices });
        }
        if steps.is_empty() {
            steps.push(Movement::Reshape { shape: shape.to_vec() });
        }
        if crops && plans.iter().any(|p| (0..p.to).any(|i| p.is_outside(i, manner))) {
            return Err("crops more than the picture with nearest neighbours. Pad it first".into());
        }
        let value = node.operand(0)?.clone();
        return node.moved(&value, steps);
    }
    let mut x = node.tensor(0)?;
    for plan in &plans {
        x = interpolated(node, x, plan, manner)?;
    }
    node.result(Op::Identity, &[x])
}

/// A product with the matrix of the axis's weights, the axis last for the time.
fn interpolated(node: &mut Node<'_>, x: NodeId, plan: &Plan, manner: &Manner) -> Result<NodeId, Fault> {
    let a = plan.axis;
    let mut matrix = vec![0.0; plan.from * plan.to];
    let mut outside = vec![0.0; plan.to];
    let crops = manner.transformation == "tf_crop_and_resize";
    for i in 0..plan.to {
        if crops && plan.is_outside(i, manner) {
            outside[i] = manner.extrapolation;
            continue;
        }
        for (at, weight) in weights(plan, i, manner)? {
            matrix[at * plan.to + i] += weight as f32;
        }
    }
    let matrix = node.add_constant(&format!("weights_{a}"), Array::new(vec![plan.from, plan.to], matrix)?);
    let rank = node.shape(x).len();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(a, rank - 1);
    let swap = Movement::Transpose { permutation };
    let last = node.move_part(&format!("last_{a}"), swap.clone(), x)?;
    let mut shape = node.shape(last).to_vec();
    let rows = shape[..rank - 1].iter().product();
    let rows =
        node.move_part(&format!("rows_{a}"), Movement::Reshape { shape: vec![rows, plan.from] }, last)?;
    let product = Op::Linear(MATRIX_PRODUCT);
    let mut y = node.add_part(&format!("resized_{a}"), product, &[rows, matrix])?;
    if outside.iter().any(|v| *v != 0.0) {
        let outside = node.add_constant(&format!("outside_{a}"), Array::vector(outside));
        y = node.add_part(&format!("with_outside_{a}"), Arithmetic::Add, &[y, outside])?;
    }
    shape[rank - 1] = plan.to;
    let whole = node.move_part(&format!("whole_{a}"), Movement::Reshape { shape }, y)?;
    node.move_part(&format!("back_{a}"), swap, whole)
}

impl Plan {
    /// Where an element of the result lies in the operand.
    fn place(&self, i: usize, manner: &Manner) -> f64 {
        // The length that the scale gives may be no whole number.
        let (i, from, exact) = (i as f64, self.from as f64, self.from as f64 * self.scale);
        match manner.transformation.as_str() {
            "asymmetric" => i / self.scale,
            "align_corners" if self.to > 1 => i * (from - 1.0) / (exact - 1.0),
            "align_corners" => 0.0,
            "pytorch_half_pixel" if self.to <= 1 => 0.0,
            // The whole lengths share their centre with the exact ones.
            "half_pixel_symmetric" => {
                from / 2.0 * (1.0 - self.to as f64 / exact) + (i + 0.5) / self.scale - 0.5
            }
            "tf_crop_and_resize" => {
                let [start, end] = self.crop;
                if self.to > 1 {
                    start * (from - 1.0) + i * (end - start) * (from - 1.0) / (exact - 1.0)
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
fn weights(plan: &Plan, i: usize, manner: &Manner) -> Result<Vec<(usize, f64)>, Fault> {
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
    let place = plan.place(i, manner);
    // With antialiasing the kernel is as wide as what becomes one element.
    let stretch = if manner.antialias { plan.scale.min(1.0) } else { 1.0 };
    let last = plan.from as i64 - 1;
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
