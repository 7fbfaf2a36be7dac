//! What the importers share: integers that are known while importing, and why a node has no result.

use cryptflow_ring::Movement;

use super::{ImportError, NodeRefusal};
use cryptflow_graph::Array;
use cryptflow_graph::operations::{OpError, broadcast};

/// No constant of a model has more elements: a file that claims more is damaged or hostile.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;

/// Known integers are shapes, indices and masks: more than these come from a file's constants only.
pub(super) const MAX_KNOWN: usize = 1 << 22;

/// Integers known when importing: shapes, axes, paddings, conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ints {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<i64>,
}

/// Why a node has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// An operand is unknown; the node that caused it has been reported.
    #[error("an operand is not known")]
    Unknown,
    /// This node cannot be imported: why, and what to do.
    #[error("{0}")]
    Unsupported(NodeRefusal),
    /// Nothing can be imported.
    #[error(transparent)]
    Fatal(ImportError),
}

impl From<OpError> for Fault {
    fn from(error: OpError) -> Fault {
        Fault::Unsupported(NodeRefusal::Rule(error))
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Fault {
        Fault::from(text.as_str())
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Fault {
        Fault::Unsupported(text.into())
    }
}

impl Fault {
    /// An operation that is not supported: why, and what to do.
    pub(super) fn operation(text: &str) -> Fault {
        Fault::Unsupported(NodeRefusal::Operation(text.into()))
    }
}

impl Ints {
    /// Integers in a row.
    pub(super) fn vector(data: Vec<i64>) -> Ints {
        Ints { shape: vec![data.len()], data }
    }

    /// A single integer.
    pub(super) fn scalar(value: i64) -> Ints {
        Ints { shape: Vec::new(), data: vec![value] }
    }

    /// The integers that are left of floats without their fractions.
    pub(super) fn cut_off(array: &Array) -> Ints {
        Ints { shape: array.shape.clone(), data: array.data.iter().map(|&v| v as i64).collect() }
    }

    /// One where a float is not zero.
    pub(super) fn flags(array: &Array) -> Ints {
        Ints { shape: array.shape.clone(), data: array.data.iter().map(|&v| i64::from(v != 0.0)).collect() }
    }

    /// The floats that are nearest to the integers.
    pub(super) fn to_array(&self) -> Result<Array, Fault> {
        Ok(Array::new(self.shape.clone(), self.data.iter().map(|&v| v as f32).collect())?)
    }

    /// The elements moved (with others behind them, for a concatenation).
    pub(super) fn moved(&self, movement: &Movement, others: &[&Ints]) -> Result<Ints, Fault> {
        let all = || std::iter::once(self).chain(others.iter().copied());
        let shapes: Vec<&[usize]> = all().map(|i| i.shape.as_slice()).collect();
        let shape = movement.output_shape(&shapes).map_err(|e| e.to_string())?;
        grown(&shape, all().map(|i| i.data.len()).sum())?;
        let parts: Vec<(&[usize], &[i64])> = all().map(|i| (i.shape.as_slice(), i.data.as_slice())).collect();
        let data = movement.apply(&parts).map_err(|e| e.to_string())?;
        Ok(Ints { shape, data })
    }

    /// A function of each integer.
    pub(super) fn map(&self, f: impl Fn(i64) -> i64) -> Ints {
        Ints { shape: self.shape.clone(), data: self.data.iter().map(|&v| f(v)).collect() }
    }

    /// Where these are not zero the elements of `a`, else those of `b`, broadcasting.
    pub(super) fn choose(&self, a: &Ints, b: &Ints) -> Result<Ints, Fault> {
        // One of the two is zero everywhere.
        let ones = self.with(a, |c, a| Some(if c != 0 { a } else { 0 }))?;
        let others = self.with(b, |c, b| Some(if c != 0 { 0 } else { b }))?;
        ones.with(&others, |a, b| Some(a | b))
    }

    /// Arithmetic of two tensors of integers, broadcasting; where it is not defined, it divides by
    /// zero.
    pub(super) fn with(&self, other: &Ints, f: impl Fn(i64, i64) -> Option<i64>) -> Result<Ints, Fault> {
        let shape = broadcast(&self.shape, &other.shape)
            .ok_or_else(|| format!("{:?} and {:?} do not broadcast", self.shape, other.shape))?;
        grown(&shape, self.data.len() + other.data.len())?;
        let wide = |x: &Ints| x.moved(&Movement::Broadcast { shape: shape.clone() }, &[]);
        let (a, b) = (wide(self)?, wide(other)?);
        let data = a.data.iter().zip(&b.data).map(|(&a, &b)| f(a, b)).collect::<Option<Vec<_>>>();
        Ok(Ints { shape, data: data.ok_or("divides integers by zero")? })
    }
}

/// What a division that is rounded down leaves: it has the divisor's sign.
pub(super) fn floor_remainder(a: i64, b: i64) -> Option<i64> {
    let r = a.checked_rem(b)?;
    Some(if r != 0 && (r < 0) != (b < 0) { r + b } else { r })
}

/// The elements of a shape of known integers that are made of so many others, or why they are not
/// made.
pub(super) fn grown(shape: &[usize], given: usize) -> Result<usize, Fault> {
    let n = fits(shape)?;
    if n > MAX_KNOWN.max(given) {
        return Err(format!("its result is {n} known integers: too many").into());
    }
    Ok(n)
}

/// The elements of a shape, or why a result of that shape is not made.
pub(super) fn fits(shape: &[usize]) -> Result<usize, Fault> {
    match cryptflow_ring::movement::elements(shape) {
        Ok(n) if n <= MAX_ELEMENTS => Ok(n),
        _ => Err(format!("its result of the shape {shape:?} is too large").into()),
    }
}

/// An axis of a tensor of this rank; negative ones count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let from_end = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from_end
        .and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank)
        .ok_or_else(|| Fault::from(format!("there is no axis {axis} in a tensor of {rank} axes")))
}

/// Axes of a tensor of this rank, in the order in which they are given.
pub(super) fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    given.iter().map(|&a| axis(a, rank)).collect()
}

/// Axes of a tensor of this rank, none of them twice, in ascending order.
pub(super) fn distinct_axes(given: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut axes = axes(given, rank)?;
    axes.sort_unstable();
    if axes.windows(2).any(|w| w[0] == w[1]) {
        return Err(format!("names an axis twice: {given:?}").into());
    }
    Ok(axes)
}

/// The elements from `begin` to before `end`, `stride` apart, as numpy counts them (negative: from
/// the end; left out: as far as it goes): where they begin, how many they are.
pub(super) fn range(
    (begin, end): (Option<i64>, Option<i64>),
    stride: i64,
    n: usize,
) -> Result<(usize, usize, isize), Fault> {
    if stride == 0 || stride.unsigned_abs() > 1 << 31 {
        return Err(format!("has the stride {stride}").into());
    }
    let len = n as i64;
    // Where a walk may begin and end: 0..=n forwards, -1..n backwards.
    let (low, high) = if stride > 0 { (0, len) } else { (-1, len - 1) };
    let place = |i: i64| (if i < 0 { i.saturating_add(len) } else { i }).clamp(low, high);
    let begin = begin.map_or(if stride > 0 { low } else { high }, place);
    let end = end.map_or(if stride > 0 { high } else { low }, place);
    let distance = if stride > 0 { end - begin } else { begin - end };
    let size = if distance <= 0 { 0 } else { (distance as usize).div_ceil(stride.unsigned_abs() as usize) };
    // An empty cut begins anywhere; a walk backwards from before the start is empty.
    Ok((if size == 0 { 0 } else { begin as usize }, size, stride as isize))
}

/// The lengths of parts of an axis of `n`, which together are the axis.
pub(super) fn parts(asked: &[i64], n: usize) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = asked.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<_>>()?;
    (sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s))? == n).then_some(sizes)
}

/// The place of an element of an axis of `n`; negative ones count from the end.
pub(super) fn place(index: i64, n: usize) -> Result<usize, Fault> {
    let from_end = if index < 0 { index.checked_add(n as i64) } else { Some(index) };
    let found = from_end.and_then(|i| usize::try_from(i).ok()).filter(|&i| i < n);
    found.ok_or_else(|| Fault::from(format!("takes element {index} of an axis of {n}")))
}

/// The shape that a tensor of this shape gets where one length may be left open (-1).
pub(super) fn reshaped(from: &[usize], asked: &[i64]) -> Result<Vec<usize>, Fault> {
    let count: usize = from.iter().product();
    let known =
        asked.iter().filter(|&&d| d != -1).try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    let known = known.ok_or_else(|| format!("cannot become the impossible shape {asked:?}"))?;
    let open = asked.iter().filter(|&&d| d == -1).count();
    let rest = count.checked_div(known).unwrap_or(0);
    if open > 1 || known.checked_mul(if open == 1 { rest } else { 1 }) != Some(count) {
        return Err(format!(
            "the operand {from:?} cannot become {asked:?}. If the batch is fixed in there, compile for that batch"
        )
        .into());
    }
    Ok(asked.iter().map(|&d| if d == -1 { rest } else { d as usize }).collect())
}

/// `size` elements of one axis, from `first`, `stride` apart; all of the others.
pub(super) fn along(shape: &[usize], axis: usize, first: usize, size: usize, stride: isize) -> Movement {
    let (mut begin, mut sizes, mut strides) = (vec![0; shape.len()], shape.to_vec(), vec![1; shape.len()]);
    (begin[axis], sizes[axis], strides[axis]) = (first, size, stride);
    Movement::Slice { begin, size: sizes, stride: strides }
}
