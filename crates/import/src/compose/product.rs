//! Products of stacks of matrices whose leading axes broadcast, and sums of products after
//! Einstein's convention.

use cryptflow_ring::Movement;

use super::MATRIX_PRODUCT;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::operations::broadcast;
use cryptflow_graph::{Linear, NodeId, Op, Reduce, Reduction};

/// `a · b` of the last two axes, each read transposed on demand; the axes before them broadcast.
/// Operands of two axes at least. A stack of `tall_from` leading axes or more, times one constant
/// matrix, is a product of one tall matrix.
pub(crate) fn matmul(
    c: &mut Builder<'_>,
    (a, transpose_a): (NodeId, bool),
    (b, transpose_b): (NodeId, bool),
    tall_from: usize,
) -> Result<NodeId, Fault> {
    let (shape_a, shape_b) = (c.shape(a).to_vec(), c.shape(b).to_vec());
    let (Some((lead_a, _)), Some((lead_b, _))) =
        (shape_a.split_last_chunk::<2>(), shape_b.split_last_chunk::<2>())
    else {
        return Err(format!("multiplies {shape_a:?} by {shape_b:?}, which are no matrices").into());
    };
    let lead = broadcast(lead_a, lead_b).ok_or_else(|| {
        format!("multiplies stacks of matrices {shape_a:?} and {shape_b:?}, whose leading axes differ")
    })?;
    let product = |transpose_a| Op::Linear(Linear::MatMul { transpose_a, transpose_b });
    if lead_b.is_empty() && lead.len() >= tall_from && !transpose_a && c.constant_of(b).is_some() {
        let inner = shape_a.last().copied().unwrap_or(1);
        let rows = shape_a.iter().take(shape_a.len() - 1).product();
        let tall = c.reshape(vec![rows, inner], a)?;
        let y = c.add_numbered(product(false), &[tall, b])?;
        let columns = c.shape(y).last().copied().unwrap_or(1);
        let shape = shape_a.iter().take(shape_a.len() - 1).copied().chain([columns]).collect();
        return c.reshape(shape, y);
    }
    let a = widened(c, a, &lead)?;
    let b = if lead_b.is_empty() { b } else { widened(c, b, &lead)? };
    c.add_numbered(product(transpose_a), &[a, b])
}

/// `a · b` as numpy multiplies: vectors become matrices for the time.
pub(crate) fn numpy_product(c: &mut Builder<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    let as_row = if let &[n] = c.shape(a) { Some(vec![1, n]) } else { None };
    let as_column = if let &[n] = c.shape(b) { Some(vec![n, 1]) } else { None };
    let (row, column) = (as_row.is_some(), as_column.is_some());
    let a = as_row.map_or(Ok(a), |shape| c.reshape(shape, a))?;
    let b = as_column.map_or(Ok(b), |shape| c.reshape(shape, b))?;
    let y = matmul(c, (a, false), (b, false), 2)?;
    let mut shape = c.shape(y).to_vec();
    let end = shape.len();
    if column {
        shape.remove(end - 1);
    }
    if row {
        shape.remove(end - 2);
    }
    c.reshape(shape, y)
}

/// A stack of matrices with these leading axes.
fn widened(c: &mut Builder<'_>, x: NodeId, lead: &[usize]) -> Result<NodeId, Fault> {
    let shape = c.shape(x).to_vec();
    let Some((own, matrix)) = shape.split_last_chunk::<2>() else { return Ok(x) };
    if own == lead {
        return Ok(x);
    }
    c.move_elements(Movement::Broadcast { shape: lead.iter().chain(matrix).copied().collect() }, x)
}

/// The axes of an operand, and what they are called. Axes under an ellipsis get numbers, from the
/// right.
type Term = (NodeId, Vec<u32>);

/// A sum of products: `equation` names the axes of each operand and of the result by letters, as
/// `ij,jk->ik`.
pub(crate) fn einsum(c: &mut Builder<'_>, equation: &str, operands: &[NodeId]) -> Result<NodeId, Fault> {
    let ranks: Vec<usize> = operands.iter().map(|&x| c.shape(x).len()).collect();
    let Labels { operands: labels, result } = Labels::read(equation, &ranks)?;
    let terms = operands.iter().zip(labels).map(|(&x, labels)| diagonal(c, x, labels));
    let mut rest = terms.collect::<Result<Vec<Term>, Fault>>()?.into_iter();
    let mut all = rest.next().ok_or("sums nothing: the file is damaged")?;
    // One after another, from the left; an axis that nothing later needs is summed away.
    while let Some(other) = rest.next() {
        let later = rest.as_slice().iter().flat_map(|(_, labels)| labels).chain(&result);
        let later: Vec<u32> = later.copied().collect();
        all = product_of(c, all, other, &later)?;
    }
    let (y, labels) = summed(c, all, &result)?;
    let permutation: Option<Vec<usize>> = result.iter().map(|l| labels.iter().position(|m| m == l)).collect();
    let permutation =
        permutation.ok_or_else(|| wrong(equation, "has a letter in the result that no operand has"))?;
    c.transpose(permutation, y)
}

/// The axes of each operand and of the result.
struct Labels {
    operands: Vec<Vec<u32>>,
    result: Vec<u32>,
}

fn wrong(equation: &str, why: &str) -> Fault {
    Fault::from(format!("its equation {equation:?} {why}"))
}

impl Labels {
    /// Reads an equation for operands of so many axes.
    fn read(equation: &str, ranks: &[usize]) -> Result<Labels, Fault> {
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        if text.replace("...", "").replace("->", "").chars().any(|c| c != ',' && !c.is_ascii_alphabetic()) {
            return Err(wrong(equation, "has something else than letters"));
        }
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return Err(wrong(equation, "is not one of as many operands as there are"));
        }
        let mut operands: Vec<Vec<u32>> = Vec::new();
        let mut most = 0;
        for (term, &rank) in terms.iter().zip(ranks) {
            let letters = term.replace("...", "").chars().count();
            let open = rank
                .checked_sub(letters)
                .ok_or_else(|| wrong(equation, "has more letters than an operand has axes"))?;
            if open > 0 && !term.contains("...") {
                return Err(wrong(equation, "has fewer letters than an operand has axes"));
            }
            most = most.max(open);
            operands.push(labels(term, open));
        }
        let result = right.map_or_else(|| implied(&operands, most), |right| labels(right, most));
        if repeated(&result).is_some() {
            return Err(wrong(equation, "has a letter twice in the result"));
        }
        Ok(Labels { operands, result })
    }
}

/// The result of an equation without an arrow: the ellipsis, then what stands once, in alphabetic
/// order.
fn implied(operands: &[Vec<u32>], most: usize) -> Vec<u32> {
    let mut all: Vec<u32> = operands.iter().flatten().copied().collect();
    all.sort_unstable();
    let once = |l: &&u32| all.iter().filter(|m| m == l).count() == 1 && **l >= FIRST_LETTER;
    (0..most as u32).rev().chain(all.iter().filter(once).copied()).collect()
}

const FIRST_LETTER: u32 = 'A' as u32;

/// The axes of a term: letters, and for an ellipsis of `open` axes the numbers from `open − 1` down
/// to 0.
fn labels(term: &str, open: usize) -> Vec<u32> {
    let (before, after) = term.split_once("...").unwrap_or((term, ""));
    let numbers = if term.contains("...") { open } else { 0 };
    before
        .chars()
        .map(u32::from)
        .chain((0..numbers as u32).rev())
        .chain(after.chars().map(u32::from))
        .collect()
}

/// Two axes of one name.
fn repeated(labels: &[u32]) -> Option<(usize, usize)> {
    let after = |i: usize| (i + 1..labels.len()).find(|&j| labels[i] == labels[j]);
    (0..labels.len()).find_map(|i| Some((i, after(i)?)))
}

/// A term without repeated letters: of axes of one letter the diagonal is taken.
fn diagonal(c: &mut Builder<'_>, mut x: NodeId, mut labels: Vec<u32>) -> Result<Term, Fault> {
    while let Some((i, j)) = repeated(&labels) {
        let shape = c.shape(x).to_vec();
        let n = shape[i];
        if shape[j] != n {
            return Err(format!("takes the diagonal of {shape:?}").into());
        }
        // The two axes last, as one of n² elements, of which every (n + 1)-th is taken.
        let mut permutation: Vec<usize> = (0..shape.len()).filter(|&a| a != i && a != j).collect();
        let axis = permutation.len();
        let flat = permutation.iter().map(|&a| shape[a]).chain([n * n]).collect();
        labels = permutation.iter().chain([&i]).map(|&a| labels[a]).collect();
        permutation.extend([i, j]);
        x = c.transpose(permutation, x)?;
        x = c.reshape(flat, x)?;
        x = c.move_elements(Movement::Gather { axis, indices: (0..n).map(|k| k * (n + 1)).collect() }, x)?;
    }
    Ok((x, labels))
}

/// A term without the axes that are not among these.
fn summed(c: &mut Builder<'_>, (x, labels): Term, kept: &[u32]) -> Result<Term, Fault> {
    let axes: Vec<usize> = (0..labels.len()).filter(|&i| !kept.contains(&labels[i])).collect();
    if axes.is_empty() {
        return Ok((x, labels));
    }
    let y = c.add_numbered(Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[x])?;
    Ok((y, labels.into_iter().filter(|l| kept.contains(l)).collect()))
}

/// The product of two terms as one of matrices: what both have and is needed later comes first,
/// what only both have is summed over.
fn product_of(c: &mut Builder<'_>, a: Term, b: Term, later: &[u32]) -> Result<Term, Fault> {
    let (for_a, for_b) = ([b.1.as_slice(), later].concat(), [a.1.as_slice(), later].concat());
    // What only one of them has, and nobody needs, is summed first.
    let (x, first) = summed(c, a, &for_a)?;
    let (y, second) = summed(c, b, &for_b)?;
    let pick = |labels: &[u32], keep: &dyn Fn(&u32) -> bool| -> Vec<u32> {
        labels.iter().copied().filter(keep).collect()
    };
    let batch = pick(&first, &|l| second.contains(l) && later.contains(l));
    let inner = pick(&first, &|l| second.contains(l) && !later.contains(l));
    let rows = pick(&first, &|l| !second.contains(l));
    let columns = pick(&second, &|l| !first.contains(l));
    // Axes of length 1 broadcast, as those under an ellipsis may.
    let (shape_x, shape_y) = (c.shape(x).to_vec(), c.shape(y).to_vec());
    let length =
        |of: &[u32], shape: &[usize], l: &u32| of.iter().position(|m| m == l).map_or(1, |i| shape[i]);
    let lengths = |labels: &[u32]| -> Vec<usize> {
        labels.iter().map(|l| length(&first, &shape_x, l).max(length(&second, &shape_y, l))).collect()
    };
    let count = |labels: &[u32]| lengths(labels).iter().product::<usize>();
    let stack = count(&batch);
    let mut ordered = |x: NodeId, labels: &[u32], [stacked, upper, lower]: [&[u32]; 3]| {
        let order = [stacked, upper, lower].concat();
        let permutation = order.iter().filter_map(|l| labels.iter().position(|m| m == l)).collect();
        let (mut x, whole) = (c.transpose(permutation, x)?, lengths(&order));
        if c.shape(x) != whole {
            x = c.move_elements(Movement::Broadcast { shape: whole }, x)?;
        }
        let matrix = [count(upper), count(lower)];
        c.reshape(if stack == 1 { matrix.to_vec() } else { [&[stack], &matrix[..]].concat() }, x)
    };
    let left = ordered(x, &first, [&batch, &rows, &inner])?;
    let right = ordered(y, &second, [&batch, &inner, &columns])?;
    let product = c.add_numbered(MATRIX_PRODUCT, &[left, right])?;
    let result = [batch.as_slice(), &rows, &columns].concat();
    Ok((c.reshape(lengths(&result), product)?, result))
}
