//! Movements of elements: reshape, transpose, pad, slice, concatenate, broadcast.

use cryptflow_ring::Movement;

use super::OpError;
use super::arithmetic::broadcast;
use crate::graph::Array;

pub(super) fn shape(
    name: &'static str,
    movement: &Movement,
    inputs: &[&[usize]],
) -> Result<Vec<usize>, OpError> {
    let fail = |reason: String| OpError::Shape { op: name, reason };
    let count = |s: &[usize]| {
        cryptflow_ring::movement::elements(s).map_err(|source| OpError::Geometry { op: name, source })
    };
    if let Movement::Concat { axis } = movement {
        return concat_shape(name, *axis, inputs);
    }
    let &[x] = inputs else {
        return Err(OpError::Operands { op: name, expected: "one", given: inputs.len() });
    };
    let same_rank = |n: usize, what: &str| {
        if n == x.len() {
            Ok(())
        } else {
            Err(fail(format!("{what} has {n} entries, but the operand is {x:?}")))
        }
    };
    let result = match movement {
        Movement::Reshape { shape } => {
            if count(shape)? != count(x)? {
                return Err(fail(format!("{x:?} cannot become {shape:?}: the numbers of elements differ")));
            }
            shape.clone()
        }
        Movement::Transpose { permutation } => {
            same_rank(permutation.len(), "the permutation")?;
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            if sorted.iter().enumerate().any(|(i, &p)| i != p) {
                return Err(fail(format!("{permutation:?} is not a permutation of the axes of {x:?}")));
            }
            permutation.iter().map(|&p| x[p]).collect()
        }
        Movement::Pad { before, after } => {
            same_rank(before.len(), "the padding")?;
            same_rank(after.len(), "the padding")?;
            let padded =
                x.iter().zip(before).zip(after).map(|((n, b), a)| n.checked_add(*b)?.checked_add(*a));
            padded.collect::<Option<Vec<_>>>().ok_or_else(|| fail("the padding is too large".into()))?
        }
        Movement::Slice { begin, size, stride } => {
            same_rank(begin.len(), "begin")?;
            same_rank(size.len(), "size")?;
            same_rank(stride.len(), "stride")?;
            for (axis, &n) in x.iter().enumerate() {
                if stride[axis] == 0 {
                    return Err(fail(format!("the stride along axis {axis} is zero")));
                }
                let last =
                    size[axis].checked_sub(1).map(|k| begin[axis] as i128 + k as i128 * stride[axis] as i128);
                let inside = last.is_none_or(|last| begin[axis] < n && (0..n as i128).contains(&last));
                if !inside {
                    return Err(fail(format!(
                        "{} elements from {} by {} do not lie within axis {axis} of {x:?}",
                        size[axis], begin[axis], stride[axis]
                    )));
                }
            }
            size.clone()
        }
        Movement::Broadcast { shape } => {
            if broadcast(x, shape).as_ref() != Some(shape) {
                return Err(fail(format!("{x:?} does not broadcast to {shape:?}")));
            }
            shape.clone()
        }
        Movement::Concat { .. } => return Err(fail("is not a movement of one operand".into())),
    };
    count(&result)?;
    Ok(result)
}

fn concat_shape(name: &'static str, axis: usize, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    let fail = |reason: String| OpError::Shape { op: name, reason };
    let Some((&first, rest)) = inputs.split_first() else {
        return Err(OpError::Operands { op: name, expected: "one or more", given: 0 });
    };
    let mut result = first.to_vec();
    if axis >= result.len() {
        return Err(fail(format!("the operand {first:?} has no axis {axis}")));
    }
    for &x in rest {
        let agree =
            x.len() == first.len() && x.iter().zip(first).enumerate().all(|(i, (a, b))| i == axis || a == b);
        if !agree {
            return Err(fail(format!("{first:?} and {x:?} differ along another axis than {axis}")));
        }
        result[axis] =
            result[axis].checked_add(x[axis]).ok_or_else(|| fail("the result is too long".into()))?;
    }
    Ok(result)
}

pub(super) fn evaluate(movement: &Movement, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
    if let (Movement::Reshape { .. }, [x]) = (movement, inputs) {
        return Ok(Array { shape: result, data: x.data.clone() });
    }
    if let Movement::Concat { axis } = movement {
        let inner: usize = result[axis + 1..].iter().product();
        let outer: usize = result[..*axis].iter().product();
        let mut out = Vec::with_capacity(result.iter().product());
        for o in 0..outer {
            for x in inputs {
                let n = x.shape[*axis] * inner;
                out.extend_from_slice(&x.data[o * n..(o + 1) * n]);
            }
        }
        return Array::new(result, out);
    }
    let &[x] = inputs else {
        return Err(OpError::Operands { op: "movement", expected: "one", given: inputs.len() });
    };
    let steps = contiguous(&x.shape);
    let data = match movement {
        Movement::Transpose { permutation } => {
            let steps: Vec<isize> = permutation.iter().map(|&p| steps[p]).collect();
            walk(&x.data, 0, &steps, &result)
        }
        Movement::Slice { begin, stride, .. } => {
            let start: isize = begin.iter().zip(&steps).map(|(&b, s)| b as isize * s).sum();
            let steps: Vec<isize> = steps.iter().zip(stride).map(|(a, b)| a * b).collect();
            walk(&x.data, start, &steps, &result)
        }
        Movement::Broadcast { .. } => {
            let missing = result.len() - x.shape.len();
            let mut wide = vec![0; missing];
            wide.extend(x.shape.iter().zip(&steps).map(|(&n, &s)| if n == 1 { 0 } else { s }));
            walk(&x.data, 0, &wide, &result)
        }
        Movement::Pad { before, .. } => pad(x, before, &result),
        Movement::Reshape { .. } | Movement::Concat { .. } => Vec::new(),
    };
    Array::new(result, data)
}

/// Distance of elements along each axis of a row-major tensor.
fn contiguous(shape: &[usize]) -> Vec<isize> {
    let mut steps = vec![0; shape.len()];
    let mut step = 1;
    for (s, &n) in steps.iter_mut().zip(shape).rev() {
        *s = step as isize;
        step *= n;
    }
    steps
}

/// Reads elements along axes of these steps, in row-major order of `shape`.
fn walk(x: &[f32], start: isize, steps: &[isize], shape: &[usize]) -> Vec<f32> {
    let n: usize = shape.iter().product();
    let mut out = Vec::with_capacity(n);
    let (Some((&columns, leading)), Some((&step, outer))) = (shape.split_last(), steps.split_last()) else {
        return x.to_vec();
    };
    if n == 0 {
        return out;
    }
    let mut index = vec![0isize; leading.len()];
    for _ in 0..n / columns {
        let row = start + index.iter().zip(outer).map(|(i, s)| i * s).sum::<isize>();
        out.extend((0..columns as isize).map(|c| x[(row + c * step) as usize]));
        for (i, &n) in index.iter_mut().zip(leading).rev() {
            *i += 1;
            if (*i as usize) < n {
                break;
            }
            *i = 0;
        }
    }
    out
}

fn pad(x: &Array, before: &[usize], result: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0; result.iter().product()];
    let (Some((&columns, leading)), Some((&shift, _))) = (x.shape.split_last(), before.split_last()) else {
        return x.data.to_vec();
    };
    let steps = contiguous(result);
    let mut index = vec![0; leading.len()];
    for row in x.data.chunks_exact(columns.max(1)) {
        let at: usize =
            index.iter().zip(before).zip(&steps).map(|((i, b), s)| (i + b) * *s as usize).sum::<usize>()
                + shift;
        out[at..at + columns].copy_from_slice(row);
        for (i, &n) in index.iter_mut().zip(leading).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    out
}
