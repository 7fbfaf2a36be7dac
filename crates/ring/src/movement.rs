//! Movements: operations that only place elements (reshape, transpose, pad, slice, concatenate).
//! They are free in every protocol, because they act on each party's buffers alone. One definition
//! serves fixed point and floats.

use serde::{Deserialize, Serialize};

use crate::geometry::GeometryError;

/// A movement of elements, with its attributes. Tensors are contiguous and row-major.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// The same elements under another shape.
    Reshape {
        /// The new shape; as many elements as the old one.
        shape: Vec<usize>,
    },
    /// Axis `i` of the result is axis `permutation[i]` of the input.
    Transpose {
        /// A permutation of the axes.
        permutation: Vec<usize>,
    },
    /// Zeros before and after each axis.
    Pad {
        /// Elements added before each axis.
        before: Vec<usize>,
        /// Elements added after each axis.
        after: Vec<usize>,
    },
    /// `size[i]` elements of each axis, from `begin[i]`, `stride[i]` apart (a negative stride walks
    /// backwards).
    Slice {
        /// First element along each axis.
        begin: Vec<usize>,
        /// Number of elements along each axis.
        size: Vec<usize>,
        /// Distance of elements along each axis; not zero.
        stride: Vec<isize>,
    },
    /// The inputs one after another along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// The input repeated along axes of length 1 (numpy's broadcasting; missing axes are added in
    /// front).
    Broadcast {
        /// The new shape.
        shape: Vec<usize>,
    },
    /// Elements `indices[i]` of one axis, in that order; any of them may come several times or not
    /// at all.
    Gather {
        /// The axis.
        axis: usize,
        /// Which of its elements.
        indices: Vec<usize>,
    },
}

/// Number of elements of a shape, or an error where it does not fit a machine word.
pub fn elements(shape: &[usize]) -> Result<usize, GeometryError> {
    shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .ok_or_else(|| GeometryError::TooLarge(shape.to_vec()))
}

fn mismatch(text: String) -> GeometryError {
    GeometryError::Mismatch(text)
}

/// Row-major strides of a shape whose elements were counted.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

impl Movement {
    /// Shape of the result for inputs of these shapes: one input, or one and more for
    /// [`Movement::Concat`].
    ///
    /// # Errors
    /// Where the attributes do not fit the shapes; the message says which number.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, GeometryError> {
        for shape in inputs {
            elements(shape)?;
        }
        let shape = match (self, inputs) {
            (Movement::Concat { axis }, _) => concat_shape(*axis, inputs)?,
            (_, [input]) => self.unary_shape(input)?,
            // A concatenation alone takes several.
            _ => {
                return Err(mismatch(format!(
                    "{} takes one input, not {}",
                    self.with_article(),
                    inputs.len()
                )));
            }
        };
        elements(&shape)?;
        Ok(shape)
    }

    /// The movement's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Movement::Reshape { .. } => "reshape",
            Movement::Transpose { .. } => "transpose",
            Movement::Pad { .. } => "pad",
            Movement::Slice { .. } => "slice",
            Movement::Concat { .. } => "concat",
            Movement::Broadcast { .. } => "broadcast",
            Movement::Gather { .. } => "gather",
        }
    }

    fn with_article(&self) -> &'static str {
        match self {
            Movement::Reshape { .. } => "a reshape",
            Movement::Transpose { .. } => "a transpose",
            Movement::Pad { .. } => "a pad",
            Movement::Slice { .. } => "a slice",
            Movement::Concat { .. } => "a concatenation",
            Movement::Broadcast { .. } => "a broadcast",
            Movement::Gather { .. } => "a gathering",
        }
    }

    fn unary_shape(&self, input: &[usize]) -> Result<Vec<usize>, GeometryError> {
        let of_rank = |n: usize| {
            if n == input.len() {
                return Ok(());
            }
            Err(mismatch(format!("{} of {n} axes cannot act on the shape {input:?}", self.with_article())))
        };
        match self {
            Movement::Reshape { shape } => {
                if elements(shape)? != elements(input)? {
                    return Err(mismatch(format!("the shape {input:?} cannot become {shape:?}")));
                }
                Ok(shape.clone())
            }
            Movement::Transpose { permutation } => {
                of_rank(permutation.len())?;
                let mut seen = vec![false; input.len()];
                let mut shape = Vec::with_capacity(input.len());
                for &axis in permutation {
                    match seen.get_mut(axis) {
                        Some(seen) if !*seen => *seen = true,
                        _ => {
                            return Err(mismatch(format!(
                                "{permutation:?} is not a permutation of the axes"
                            )));
                        }
                    }
                    shape.push(input[axis]);
                }
                Ok(shape)
            }
            Movement::Pad { before, after } => {
                of_rank(before.len())?;
                of_rank(after.len())?;
                let padded = |((n, b), a): ((&usize, &usize), &usize)| n.checked_add(*b)?.checked_add(*a);
                let shape = input.iter().zip(before).zip(after).map(padded).collect::<Option<Vec<_>>>();
                shape.ok_or_else(|| GeometryError::TooLarge(input.to_vec()))
            }
            Movement::Slice { begin, size, stride } => {
                of_rank(begin.len())?;
                of_rank(size.len())?;
                of_rank(stride.len())?;
                for axis in 0..input.len() {
                    slice_fits(axis, input[axis], begin[axis], size[axis], stride[axis])?;
                }
                Ok(size.clone())
            }
            Movement::Broadcast { shape } => {
                let fits = input.len() <= shape.len()
                    && input.iter().rev().zip(shape.iter().rev()).all(|(i, o)| i == o || *i == 1);
                if !fits {
                    return Err(mismatch(format!("the shape {input:?} cannot be broadcast to {shape:?}")));
                }
                Ok(shape.clone())
            }
            Movement::Concat { axis } => concat_shape(*axis, &[input]),
            Movement::Gather { axis, indices } => gather_shape(*axis, indices, input),
        }
    }

    /// Moves the elements of the inputs, each a shape and its contiguous row-major elements.
    /// Padding is `T::default()`.
    ///
    /// # Errors
    /// As [`Movement::output_shape`], and where an input's elements are not as many as its shape
    /// says.
    pub fn apply<T: Copy + Default>(&self, inputs: &[(&[usize], &[T])]) -> Result<Vec<T>, GeometryError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|(shape, _)| *shape).collect();
        let shape = self.output_shape(&shapes)?;
        for (shape, data) in inputs {
            if elements(shape)? != data.len() {
                return Err(GeometryError::Elements { shape: shape.to_vec(), len: data.len() });
            }
        }
        if let (Movement::Reshape { .. }, [(_, data)]) = (self, inputs) {
            return Ok(data.to_vec());
        }
        if let (Movement::Gather { axis, indices }, [(input, data)]) = (self, inputs) {
            return Ok(gather(data, input, *axis, indices));
        }
        let mut out = vec![T::default(); elements(&shape)?];
        let to = strides(&shape);
        let mut at = 0;
        for (input, data) in inputs {
            let (from_begin, to_begin, axes) = self.axes(input, &shape, &to);
            copy(data, from_begin, &mut out, at + to_begin, axes);
            if let Movement::Concat { axis } = self {
                at += input[*axis] * to[*axis];
            }
        }
        Ok(out)
    }

    /// Where the walk begins in the input and in the output, and its axes. The shapes were checked.
    fn axes(&self, input: &[usize], shape: &[usize], to: &[usize]) -> (usize, usize, Vec<Axis>) {
        let from = strides(input);
        let whole = |axis: usize| Axis { len: input[axis], from: from[axis] as isize, to: to[axis] };
        match self {
            // A gathering is no walk with constant distances: `apply` has its own way.
            Movement::Reshape { .. } | Movement::Concat { .. } | Movement::Gather { .. } => {
                (0, 0, (0..input.len()).map(whole).collect())
            }
            Movement::Pad { before, .. } => {
                let begin = before.iter().zip(to).map(|(b, t)| b * t).sum();
                (0, begin, (0..input.len()).map(whole).collect())
            }
            Movement::Transpose { permutation } => {
                let axes = permutation.iter().zip(to).map(|(&p, &to)| Axis { to, ..whole(p) });
                (0, 0, axes.collect())
            }
            Movement::Slice { begin, size, stride } => {
                let start = begin.iter().zip(&from).map(|(b, f)| b * f).sum();
                let axis = |i: usize| Axis { len: size[i], from: stride[i] * from[i] as isize, to: to[i] };
                (start, 0, (0..size.len()).map(axis).collect())
            }
            Movement::Broadcast { .. } => {
                let new = shape.len() - input.len();
                let axis = |i: usize| match i.checked_sub(new) {
                    Some(j) if input[j] != 1 => Axis { to: to[i], ..whole(j) },
                    _ => Axis { len: shape[i], from: 0, to: to[i] },
                };
                (0, 0, (0..shape.len()).map(axis).collect())
            }
        }
    }
}

fn concat_shape(axis: usize, inputs: &[&[usize]]) -> Result<Vec<usize>, GeometryError> {
    let Some(first) = inputs.first() else {
        return Err(mismatch("a concatenation needs an input".to_string()));
    };
    let mut shape = first.to_vec();
    if axis >= shape.len() {
        return Err(mismatch(format!("the shape {first:?} has no axis {axis} to concatenate")));
    }
    for input in &inputs[1..] {
        let same = input.len() == first.len()
            && input.iter().zip(*first).enumerate().all(|(i, (a, b))| i == axis || a == b);
        if !same {
            let message = format!("the shapes {first:?} and {input:?} cannot be concatenated on axis {axis}");
            return Err(mismatch(message));
        }
        let length = shape[axis].checked_add(input[axis]);
        shape[axis] = length.ok_or_else(|| GeometryError::TooLarge(input.to_vec()))?;
    }
    Ok(shape)
}

fn gather_shape(axis: usize, indices: &[usize], input: &[usize]) -> Result<Vec<usize>, GeometryError> {
    let mut shape = input.to_vec();
    let Some(length) = shape.get_mut(axis) else {
        return Err(mismatch(format!("the shape {input:?} has no axis {axis} to gather from")));
    };
    if let Some(index) = indices.iter().find(|i| **i >= *length) {
        return Err(mismatch(format!("a gathering takes element {index} of {length} of axis {axis}")));
    }
    *length = indices.len();
    Ok(shape)
}

/// The elements at these indices of an axis. The shape and the indices were checked.
fn gather<T: Copy>(data: &[T], shape: &[usize], axis: usize, indices: &[usize]) -> Vec<T> {
    let run: usize = shape[axis + 1..].iter().product();
    let block = run * shape[axis];
    let outer: usize = shape[..axis].iter().product();
    let mut out = Vec::with_capacity(outer * indices.len() * run);
    for o in 0..outer {
        for &i in indices {
            out.extend_from_slice(&data[o * block + i * run..][..run]);
        }
    }
    out
}

fn slice_fits(
    axis: usize,
    len: usize,
    begin: usize,
    size: usize,
    stride: isize,
) -> Result<(), GeometryError> {
    if stride == 0 {
        return Err(GeometryError::Zero("a slice's stride"));
    }
    if size == 0 {
        return if begin <= len {
            Ok(())
        } else {
            Err(mismatch(format!("a slice begins at {begin} of {len} elements of axis {axis}")))
        };
    }
    let last = isize::try_from(size - 1).ok().and_then(|n| n.checked_mul(stride));
    let last = last.and_then(|d| begin.checked_add_signed(d));
    match last {
        Some(last) if begin < len && last < len => Ok(()),
        _ => Err(mismatch(format!(
            "{size} elements from {begin}, {stride} apart, reach outside the {len} elements of axis {axis}"
        ))),
    }
}

/// One axis of a walk through two buffers: its length, and the distance of its elements in each.
#[derive(Clone, Copy, Debug)]
struct Axis {
    len: usize,
    from: isize,
    to: usize,
}

/// Elements of a tile's edge, so that the lines that a transposition touches stay in the first
/// cache.
const TILE: usize = 32;

/// Copies one element for every point of the walk. The caller has checked that the walk stays
/// inside both buffers.
fn copy<T: Copy>(x: &[T], from: usize, out: &mut [T], to: usize, axes: Vec<Axis>) {
    if axes.iter().any(|a| a.len == 0) {
        return;
    }
    // Neighbouring axes that are one run in both buffers are one axis.
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len() + 1);
    for axis in axes.into_iter().filter(|a| a.len != 1) {
        match merged.last_mut() {
            Some(outer) if outer.from == axis.from * axis.len as isize && outer.to == axis.to * axis.len => {
                *outer = Axis { len: outer.len * axis.len, ..axis };
            }
            _ => merged.push(axis),
        }
    }
    let inner = merged.pop().unwrap_or(Axis { len: 1, from: 1, to: 1 });
    // The partner of the inner axis in a transposition: the axis along which the input is
    // contiguous.
    let partner = if inner.from == 1 { None } else { merged.iter().position(|a| a.from == 1) };
    let rows = match partner {
        Some(i) => merged.remove(i),
        None => merged.pop().unwrap_or(Axis { len: 1, from: 0, to: 0 }),
    };
    let mut index = vec![0; merged.len()];
    let (mut from, mut to) = (from, to);
    loop {
        plane(x, from, out, to, rows, inner);
        let mut axis = merged.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return };
            axis = next;
            let a = merged[axis];
            index[axis] += 1;
            if index[axis] < a.len {
                from = from.wrapping_add_signed(a.from);
                to += a.to;
                break;
            }
            index[axis] = 0;
            from = from.wrapping_add_signed(-(a.from * (a.len as isize - 1)));
            to -= a.to * (a.len - 1);
        }
    }
}

/// The two inner axes of a walk.
fn plane<T: Copy>(x: &[T], from: usize, out: &mut [T], to: usize, rows: Axis, inner: Axis) {
    let source = |r: usize, c: usize| {
        from.wrapping_add_signed(rows.from * r as isize).wrapping_add_signed(inner.from * c as isize)
    };
    if inner.to == 1 && (inner.from == 1 || inner.from == 0) {
        for r in 0..rows.len {
            let line = &mut out[to + r * rows.to..][..inner.len];
            let at = source(r, 0);
            if inner.from == 1 {
                line.copy_from_slice(&x[at..at + inner.len]);
            } else {
                line.fill(x[at]);
            }
        }
        return;
    }
    for r0 in (0..rows.len).step_by(TILE) {
        for c0 in (0..inner.len).step_by(TILE) {
            let width = TILE.min(inner.len - c0);
            for r in r0..rows.len.min(r0 + TILE) {
                let line = &mut out[to + r * rows.to + c0 * inner.to..];
                let places = line.iter_mut().step_by(inner.to.max(1)).take(width);
                match usize::try_from(inner.from) {
                    Ok(distance) if distance > 0 => {
                        places.zip(x[source(r, c0)..].iter().step_by(distance)).for_each(|(to, &v)| *to = v);
                    }
                    // Backwards, or the same one each time.
                    Ok(_) | Err(_) => {
                        places.enumerate().for_each(|(c, to)| *to = x[source(r, c0 + c)]);
                    }
                }
            }
        }
    }
}
