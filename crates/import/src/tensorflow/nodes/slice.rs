//! Slices: parts of a tensor, also as several results.

use cryptflow_ring::Movement;

use super::{Fault, Node, Results, Value};
use crate::value;
pub(super) use crate::value::along;

/// No split has more results.
const MAX_PARTS: usize = 1 << 16;

pub(super) fn slice(node: &mut Node<'_>) -> Results {
    let (operand, from) = node.shaped(0)?;
    let begin = node.lengths(1)?;
    let sizes = &node.ints(2)?.data;
    if begin.len() != from.len() || sizes.len() != from.len() {
        return Err(format!("cuts {from:?} from {begin:?} by {sizes:?}: one number an axis is needed").into());
    }
    let size = sizes.iter().zip(from.iter().zip(&begin)).map(|(&size, (&n, &b))| match size {
        -1 => n.checked_sub(b),
        _ => usize::try_from(size).ok(),
    });
    let size = size.collect::<Option<Vec<_>>>().ok_or_else(|| format!("cuts {from:?} by {sizes:?}"))?;
    let stride = vec![1; from.len()];
    node.moved(&operand, [Movement::Slice { begin, size, stride }])
}

/// What a slice does with one axis of its operand.
#[derive(Clone, Copy)]
struct Cut {
    begin: usize,
    size: usize,
    stride: isize,
    /// The axis disappears.
    dropped: bool,
}

/// Where a cut begins and ends along each index, and how far its steps are.
struct Indices {
    begin: Vec<i64>,
    end: Vec<i64>,
    stride: Vec<i64>,
    masks: Masks,
}

/// A bit for each index.
struct Masks {
    begin: i64,
    end: i64,
    ellipsis: i64,
    new: i64,
    shrink: i64,
}

impl Masks {
    fn read(node: &Node<'_>) -> Result<Masks, Fault> {
        let mask = |name: &str| node.attr_int(name, 0);
        Ok(Masks {
            begin: mask("begin_mask")?,
            end: mask("end_mask")?,
            ellipsis: mask("ellipsis_mask")?,
            new: mask("new_axis_mask")?,
            shrink: mask("shrink_axis_mask")?,
        })
    }
}

/// Whether a mask has a bit.
fn bit(mask: i64, i: usize) -> bool {
    mask >> i & 1 == 1
}

/// numpy's indexing, with the masks that say which index is missing, `...`, a new axis, or a single
/// element.
pub(super) fn strided(node: &mut Node<'_>) -> Results {
    let (operand, from) = node.shaped(0)?;
    let (begin, end) = (node.ints(1)?.data, node.ints(2)?.data);
    let stride = if node.operands.len() > 3 { node.ints(3)?.data } else { vec![1; begin.len()] };
    let n = begin.len();
    if end.len() != n || stride.len() != n || n > 62 {
        return Err(format!("has {n} begins, {} ends and {} strides", end.len(), stride.len()).into());
    }
    let (cuts, result) = Indices { begin, end, stride, masks: Masks::read(node)? }.cuts(&from)?;
    let shape = result.iter().map(|axis| axis.map_or(1, |a| cuts[a].size)).collect();
    let cut = Movement::Slice {
        begin: cuts.iter().map(|c| c.begin).collect(),
        size: cuts.iter().map(|c| c.size).collect(),
        stride: cuts.iter().map(|c| c.stride).collect(),
    };
    if result.iter().copied().eq((0..from.len()).map(Some)) {
        return node.moved(&operand, [cut]);
    }
    node.moved(&operand, [cut, Movement::Reshape { shape }])
}

impl Indices {
    /// What becomes of each axis of an operand, and the axes of the result: of the operand, or new.
    fn cuts(&self, from: &[usize]) -> Result<(Vec<Cut>, Vec<Option<usize>>), Fault> {
        let (n, masks) = (self.begin.len(), &self.masks);
        let consumed = (0..n).filter(|&i| !bit(masks.ellipsis, i) && !bit(masks.new, i)).count();
        let skipped = from.len().checked_sub(consumed).ok_or_else(|| {
            Fault::from(format!("cuts {consumed} axes of {from:?}, which has {}", from.len()))
        })?;
        let mut cuts: Vec<Cut> = Vec::with_capacity(from.len());
        let mut result: Vec<Option<usize>> = Vec::new();
        let whole = |axis: usize| Cut { begin: 0, size: from[axis], stride: 1, dropped: false };
        let mut seen_ellipsis = false;
        for i in 0..n {
            if bit(masks.ellipsis, i) {
                if seen_ellipsis {
                    return Err("has more than one ellipsis".into());
                }
                seen_ellipsis = true;
                for _ in 0..skipped {
                    result.push(Some(cuts.len()));
                    cuts.push(whole(cuts.len()));
                }
            } else if bit(masks.new, i) {
                result.push(None);
            } else {
                let axis = cuts.len();
                let cut = self.cut(i, from[axis])?;
                if !cut.dropped {
                    result.push(Some(axis));
                }
                cuts.push(cut);
            }
        }
        while cuts.len() < from.len() {
            result.push(Some(cuts.len()));
            cuts.push(whole(cuts.len()));
        }
        Ok((cuts, result))
    }

    /// What index i leaves of an axis of so many elements.
    fn cut(&self, i: usize, length: usize) -> Result<Cut, Fault> {
        let (first, last) = (bit(self.masks.begin, i), bit(self.masks.end, i));
        if bit(self.masks.shrink, i) {
            return single(self.begin[i], first, length);
        }
        let ends = ((!first).then_some(self.begin[i]), (!last).then_some(self.end[i]));
        range(ends, self.stride[i], length)
    }
}

fn single(index: i64, masked: bool, n: usize) -> Result<Cut, Fault> {
    Ok(Cut { begin: value::place(if masked { 0 } else { index }, n)?, size: 1, stride: 1, dropped: true })
}

fn range(ends: (Option<i64>, Option<i64>), stride: i64, n: usize) -> Result<Cut, Fault> {
    let (begin, size, stride) = value::range(ends, stride, n)?;
    Ok(Cut { begin, size, stride, dropped: false })
}

pub(super) fn split(node: &mut Node<'_>) -> Results {
    let axis = node.int(0)?;
    let (operand, from) = node.shaped(1)?;
    let axis = value::axis(axis, from.len())?;
    let n = usize::try_from(node.attr_int("num_split", 0)?).unwrap_or(0);
    if !(1..=MAX_PARTS).contains(&n) || !from[axis].is_multiple_of(n) {
        return Err(format!("splits axis {axis} of {from:?} in {n} equal parts").into());
    }
    cut(node, &operand, axis, &vec![from[axis] / n; n], false)
}

pub(super) fn split_sizes(node: &mut Node<'_>) -> Results {
    let (operand, from) = node.shaped(0)?;
    let axis = value::axis(node.int(2)?, from.len())?;
    let asked = node.ints(1)?.data;
    let known = asked.iter().filter(|&&s| s != -1).try_fold(0i64, |n, &s| n.checked_add(s));
    let rest = known.and_then(|known| (from[axis] as i64).checked_sub(known)).unwrap_or(-1);
    let lengths: Vec<i64> = asked.iter().map(|&s| if s == -1 { rest } else { s }).collect();
    let sizes = value::parts(&lengths, from[axis]);
    let sizes = sizes.ok_or_else(|| format!("splits axis {axis} of {from:?} in parts of {asked:?}"))?;
    cut(node, &operand, axis, &sizes, false)
}

pub(super) fn unpack(node: &mut Node<'_>) -> Results {
    let (operand, from) = node.shaped(0)?;
    let axis = value::axis(node.attr_int("axis", 0)?, from.len())?;
    if from[axis] > MAX_PARTS {
        return Err(format!("unpacks {} parts: too many", from[axis]).into());
    }
    cut(node, &operand, axis, &vec![1; from[axis]], true)
}

/// Parts one after another. The first one has the node's name.
fn cut(node: &mut Node<'_>, value: &Value, axis: usize, sizes: &[usize], drop: bool) -> Results {
    node.parts(value, axis, sizes, drop, |node, i| {
        Some(if i == 0 { node.name.clone() } else { format!("{}:{i}", node.name) })
    })
}

pub(super) fn reverse(node: &mut Node<'_>) -> Results {
    let (operand, from) = node.shaped(0)?;
    let (mut begin, mut stride) = (vec![0; from.len()], vec![1; from.len()]);
    for &axis in &node.ints(1)?.data {
        let axis = value::axis(axis, from.len())?;
        (begin[axis], stride[axis]) = (from[axis].saturating_sub(1), -1);
    }
    node.moved(&operand, [Movement::Slice { begin, size: from, stride }])
}
