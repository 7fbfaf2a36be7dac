//! The rules of each operation: shapes, scales, rings, bounds.

use cryptflow_ring::movement::elements;
use cryptflow_ring::{LinearMap, Movement, Window};

use super::misfit;
use crate::bounds;
use crate::operation::{Activation, LinearTerm, Operation};
use crate::program::{Program, Step, Value, Weight};

type Check = Result<(), String>;

/// Checks one step, whose values are declared and defined; `rings` as [`bounds::rings`] gives them.
pub(super) fn check(program: &Program, rings: &[u32], step: &Step) -> Check {
    let value = |id: usize| program.values.get(id).ok_or_else(|| format!("value {id} is not declared"));
    let out = value(step.output.0)?;
    let inputs = step.inputs.iter().map(|id| value(id.0)).collect::<Result<Vec<_>, _>>()?;
    let input_rings: Vec<u32> = step.inputs.iter().filter_map(|id| rings.get(id.0).copied()).collect();
    let ring = bounds::result_ring(&step.operation, &input_rings, program.ring_bits)
        .ok_or_else(|| format!("its shift leaves nothing of a ring of {} bits", program.ring_bits))?;
    operands(&step.operation, &inputs)?;
    // Nothing is computed on nothing; constants and movements may be empty.
    let places = match &step.operation {
        Operation::Linear { terms, .. } => terms.is_empty(),
        Operation::Movement(_) => true,
        _ => false,
    };
    if let Some(empty) = inputs.iter().chain([&out]).find(|v| !places && v.shape.contains(&0)) {
        return Err(format!("the shape {:?} has no elements", empty.shape));
    }
    match &step.operation {
        Operation::Linear { terms, bias, shift } => {
            linear(program, terms, &inputs, out, *shift)?;
            if terms.is_empty() {
                let bias = bias.ok_or("it has neither a term nor a bias")?;
                constant(weight(program, bias.0)?, out, *shift)?;
            } else if let Some(id) = bias {
                bias_fits(weight(program, id.0)?, terms, program, &inputs, out)?;
            }
        }
        Operation::Product { map, shift } => product(map, &inputs, out, *shift)?,
        Operation::Compare { thresholds, .. } => compare(thresholds, &inputs, out)?,
        Operation::Combine { factors, offsets } => combine(factors, offsets, &inputs, out)?,
        Operation::ScalePublic { factors, shift } => scale_public(factors, *shift, &inputs, out)?,
        Operation::MaxPool { input, window, .. } | Operation::SumPool { input, window } => {
            pool(&inputs, *input, window, out)?
        }
        Operation::Movement(movement) => {
            let shapes: Vec<&[usize]> = inputs.iter().map(|v| v.shape.as_slice()).collect();
            let shape = movement.output_shape(&shapes).map_err(|e| e.to_string())?;
            same_shape(&shape, out)?;
        }
        _ => inputs.iter().try_for_each(|x| same_shape(&x.shape, out))?,
    }
    if !changes_scale(&step.operation)
        && let Some(x) = inputs.iter().find(|x| x.scale != out.scale)
    {
        return Err(format!("its operand has {} fractional bits, its result {}", x.scale, out.scale));
    }
    width(&step.operation, &inputs, out)?;
    comparison(&step.operation, &inputs, &input_rings)?;
    contains(&step.operation, &inputs, out)?;
    match misfit(out, ring) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

/// Whether an operation has rules of its own for scales.
fn changes_scale(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Linear { .. }
            | Operation::Product { .. }
            | Operation::Compare { .. }
            | Operation::Combine { .. }
            | Operation::ScalePublic { .. }
    )
}

fn weight(program: &Program, id: usize) -> Result<&Weight, String> {
    program.weights.get(id).ok_or_else(|| format!("weight {id} is not declared"))
}

fn same_shape(shape: &[usize], out: &Value) -> Check {
    if out.shape == shape {
        return Ok(());
    }
    Err(format!("its result has the shape {shape:?}, and {:?} is declared", out.shape))
}

/// The number of operands.
fn operands(operation: &Operation, inputs: &[&Value]) -> Check {
    let fits = match operation {
        Operation::Linear { terms, .. } => terms.is_empty() == inputs.is_empty(),
        Operation::Movement(_) => !inputs.is_empty(),
        Operation::Add | Operation::Sub | Operation::Product { .. } => inputs.len() == 2,
        _ => inputs.len() == 1,
    };
    if fits { Ok(()) } else { Err(format!("{} operands are not what it takes", inputs.len())) }
}

fn linear(program: &Program, terms: &[LinearTerm], inputs: &[&Value], out: &Value, shift: u32) -> Check {
    if shift == 0 {
        return Err("a linear operation shifts out at least one bit".into());
    }
    for (index, term) in terms.iter().enumerate() {
        let x = inputs.get(term.input).ok_or_else(|| format!("term {index} uses operand {}", term.input))?;
        let w = weight(program, term.weight.0)?;
        let [input, filter, result] = map_shapes(&term.map).map_err(|e| format!("term {index}: {e}"))?;
        let rows = |shape: &[usize]| shape.split_last().map(|(_, rows)| rows.iter().product::<usize>());
        // A matrix product and a scale see all leading axes as rows; a convolution is exact about its four.
        let fits = |shape: &[usize], wanted: &[usize]| match term.map {
            LinearMap::Conv2d(_) => shape == wanted,
            _ => shape.last() == wanted.last() && rows(shape) == rows(wanted),
        };
        if !fits(&x.shape, &input) {
            return Err(format!("term {index} takes {input:?}, and its operand is {:?}", x.shape));
        }
        if w.shape != filter {
            return Err(format!("term {index} takes weights of {filter:?}, and its weight is {:?}", w.shape));
        }
        if !fits(&out.shape, &result) {
            return Err(format!("term {index} gives {result:?}, and the result is {:?}", out.shape));
        }
        if x.scale + w.scale != out.scale + shift {
            return Err(format!(
                "term {index} has {} + {} fractional bits, and the result {} after a shift by {shift}",
                x.scale, w.scale, out.scale
            ));
        }
    }
    Ok(())
}

/// A constant: a bias without products.
fn constant(bias: &Weight, out: &Value, shift: u32) -> Check {
    same_shape(&bias.shape, out)?;
    if bias.shape.len() != 1 {
        return Err(format!("a constant has one axis, not the shape {:?}", bias.shape));
    }
    if bias.scale != out.scale + shift {
        return Err(format!(
            "it has {} fractional bits, and the result {} after a shift by {shift}",
            bias.scale, out.scale
        ));
    }
    Ok(())
}

/// A product of two secrets: each is a tensor with as many elements as its side of the map has.
fn product(map: &LinearMap, inputs: &[&Value], out: &Value, shift: u32) -> Check {
    let [x, y] = inputs else { return Err("it takes two operands".into()) };
    map.check().map_err(|e| e.to_string())?;
    if shift == 0 {
        return Err("a product shifts out at least one bit".into());
    }
    let lengths =
        [("left", x, map.input_len()), ("right", y, map.weight_len()), ("result", &out, map.output_len())];
    for (what, value, due) in lengths {
        if elements(&value.shape).map_err(|e| e.to_string())? != due {
            return Err(format!("its {what} has {due} elements, and {:?} is declared", value.shape));
        }
    }
    if x.scale + y.scale != out.scale + shift {
        return Err(format!(
            "its operands have {} + {} fractional bits, and the result {} after a shift by {shift}",
            x.scale, y.scale, out.scale
        ));
    }
    Ok(())
}

fn compare(thresholds: &[i64], inputs: &[&Value], out: &Value) -> Check {
    if thresholds.is_empty() {
        return Err("it compares with nothing".into());
    }
    if out.scale != 0 {
        return Err(format!("bits have no fractional bits, and {} are declared", out.scale));
    }
    inputs.iter().try_for_each(|x| {
        let shape: Vec<usize> = std::iter::once(thresholds.len()).chain(x.shape.iter().copied()).collect();
        same_shape(&shape, out)
    })
}

fn combine(factors: &[i64], offsets: &[i64], inputs: &[&Value], out: &Value) -> Check {
    let [x] = inputs else { return Err("it takes one operand".into()) };
    let rows = offsets.len();
    let columns = factors.len().checked_div(rows).unwrap_or(0);
    if columns == 0 || rows * columns != factors.len() {
        return Err(format!("{} factors do not make {rows} rows", factors.len()));
    }
    // What follows the first axis; where it is 1, the axis may be missing.
    let rest = |shape: &[usize], first: usize| -> Vec<Vec<usize>> {
        let cut = shape.split_first().filter(|(n, _)| **n == first).map(|(_, rest)| rest.to_vec());
        cut.into_iter().chain((first == 1).then(|| shape.to_vec())).collect()
    };
    let after = rest(&out.shape, rows);
    if !rest(&x.shape, columns).iter().any(|shape| after.contains(shape)) {
        return Err(format!(
            "{rows} rows of {columns} factors do not lead from {:?} to {:?}",
            x.shape, out.shape
        ));
    }
    if out.scale < x.scale {
        return Err(format!("its operand has {} fractional bits, its result {}", x.scale, out.scale));
    }
    Ok(())
}

/// The shapes that a map takes and gives: of x, of w, of the result.
fn map_shapes(map: &LinearMap) -> Result<[Vec<usize>; 3], String> {
    map.check().map_err(|e| e.to_string())?;
    Ok(match map {
        LinearMap::MatMul { rows, inner, columns } => {
            [vec![*rows, *inner], vec![*inner, *columns], vec![*rows, *columns]]
        }
        LinearMap::BatchMatMul { .. } => return Err("a batched product is one of two secrets".into()),
        LinearMap::Scale { rows, channels } => {
            [vec![*rows, *channels], vec![*channels], vec![*rows, *channels]]
        }
        LinearMap::Conv2d(c) => {
            let [h, w] = c.window.output(c.input).map_err(|e| e.to_string())?;
            let [kh, kw] = c.window.kernel;
            [
                vec![c.batch, c.input[0], c.input[1], c.in_channels],
                vec![kh, kw, c.in_channels / c.groups.max(1), c.out_channels],
                vec![c.batch, h, w, c.out_channels],
            ]
        }
    })
}

fn bias_fits(
    bias: &Weight,
    terms: &[LinearTerm],
    program: &Program,
    inputs: &[&Value],
    out: &Value,
) -> Check {
    if bias.shape.as_slice() != out.shape.last().map_or(&[][..], std::slice::from_ref) {
        return Err(format!("a bias of the shape {:?} does not go with {:?}", bias.shape, out.shape));
    }
    let products = terms.first().and_then(|t| Some((inputs.get(t.input)?, program.weights.get(t.weight.0)?)));
    match products {
        Some((x, w)) if x.scale + w.scale != bias.scale => Err(format!(
            "its bias has {} fractional bits, the products have {}",
            bias.scale,
            x.scale + w.scale
        )),
        _ => Ok(()),
    }
}

fn scale_public(factors: &[u64], shift: u32, inputs: &[&Value], out: &Value) -> Check {
    inputs.iter().try_for_each(|x| same_shape(&x.shape, out))?;
    if shift == 0 {
        return Err("a multiplication by public factors shifts out at least one bit".into());
    }
    let mut axes = 1usize;
    let fits = factors.len() == 1
        || out.shape.iter().rev().any(|&d| {
            axes = axes.saturating_mul(d);
            axes == factors.len()
        });
    if fits {
        return Ok(());
    }
    Err(format!(
        "{} factors are not as many as the last axes of {:?} have elements",
        factors.len(),
        out.shape
    ))
}

fn pool(inputs: &[&Value], input: [usize; 4], window: &Window, out: &Value) -> Check {
    if inputs.iter().any(|x| x.shape != input) {
        return Err(format!("it takes {input:?}, and its operand is not of this shape"));
    }
    let [h, w] = window.output([input[1], input[2]]).map_err(|e| e.to_string())?;
    same_shape(&[input[0], h, w, input[3]], out)
}

/// Wide and narrow, as documented on [`Operation`].
fn width(operation: &Operation, inputs: &[&Value], out: &Value) -> Check {
    let all_wide = inputs.iter().all(|x| x.wide);
    let wide = match operation {
        Operation::Linear { .. }
        | Operation::Product { .. }
        | Operation::ScalePublic { .. }
        | Operation::SumPool { .. }
            if !all_wide =>
        {
            return Err("it takes wide operands, and one is narrow".into());
        }
        Operation::Linear { .. } | Operation::Product { .. } | Operation::ScalePublic { .. } => false,
        Operation::Widen if all_wide => return Err("its operand is wide already".into()),
        Operation::Widen | Operation::Activation { widen: true, .. } | Operation::Compare { .. } => true,
        _ => all_wide,
    };
    if wide == out.wide {
        return Ok(());
    }
    let name = |wide: bool| if wide { "wide" } else { "narrow" };
    Err(format!("its result is {}, and {} is declared", name(wide), name(out.wide)))
}

fn comparison(operation: &Operation, inputs: &[&Value], rings: &[u32]) -> Check {
    let (Some(x), Some(&ring)) = (inputs.first(), rings.first()) else {
        return Ok(());
    };
    if let Operation::Widen = operation {
        let needed = bounds::widen_bits(x.low, x.high);
        if needed > ring {
            return Err(format!(
                "to widen values from {} to {} takes a ring of {needed} bits, and there are {ring}",
                x.low, x.high
            ));
        }
    }
    if let Operation::Activation { function: Activation::ClippedRelu { limit }, .. } = operation
        && (*limit == 0 || *limit > bounds::largest(ring) as u64)
    {
        return Err(format!("its limit {limit} is zero, or does not fit a ring of {ring} bits"));
    }
    let (Operation::Activation { compare_bits, .. }
    | Operation::MaxPool { compare_bits, .. }
    | Operation::Compare { compare_bits, .. }) = operation
    else {
        return Ok(());
    };
    let needed = bounds::comparison(operation, x).unwrap_or(bounds::SMALLEST_COMPARISON);
    if needed > *compare_bits {
        return Err(format!(
            "values from {} to {} are compared on {needed} bits, and it looks at {compare_bits}",
            x.low, x.high
        ));
    }
    if *compare_bits > ring {
        return Err(format!("it compares {compare_bits} bits in a ring of {ring}"));
    }
    Ok(())
}

/// Where the result's bounds follow from the operands', they may not be tighter than that.
fn contains(operation: &Operation, inputs: &[&Value], out: &Value) -> Check {
    let low = inputs.iter().map(|x| x.low).min().unwrap_or(0);
    let high = inputs.iter().map(|x| x.high).max().unwrap_or(0);
    let (low, high) = match operation {
        Operation::Movement(Movement::Pad { .. }) => (low.min(0), high.max(0)),
        Operation::Widen | Operation::MaxPool { .. } | Operation::Movement(_) => (low, high),
        Operation::Compare { .. } => (0, 1),
        Operation::Activation { function: Activation::Relu, .. } => (low.max(0), high.max(0)),
        Operation::Activation { function: Activation::ClippedRelu { limit }, .. } => {
            let clip = |v: i64| v.clamp(0, i64::try_from(*limit).unwrap_or(i64::MAX));
            (clip(low), clip(high))
        }
        _ => return Ok(()),
    };
    if out.low <= low && high <= out.high {
        return Ok(());
    }
    Err(format!("its result takes values from {low} to {high}, and {} to {} is declared", out.low, out.high))
}
