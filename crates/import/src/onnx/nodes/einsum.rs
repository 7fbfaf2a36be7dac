//! Einstein's summation: transposes, reductions and a product of matrices.

use cryptflow_ring::Movement;

use super::product::product;
use super::{Node, Results, Row, row};
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::{NodeId, Reduce, Reduction};

pub(super) const TABLE: &[Row] = &[row(
    "Einsum",
    einsum,
    doc::LINEAR.note("of any number of operands, one after another; a product, where two are secret"),
)];

/// A term's letters, one an axis. Axes under an ellipsis get digits, counted from the right.
type Letters = Vec<char>;

fn einsum(node: &mut Node<'_>) -> Results {
    let equation: String = node.attr_text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let operands = node.tensors()?;
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left.to_owned(), Some(right.to_owned())),
        None => (equation.clone(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != operands.len() || operands.is_empty() {
        return Err(format!("sums {equation:?} of {} operands", operands.len()).into());
    }
    let mut letters = Vec::new();
    for (term, &x) in terms.iter().zip(&operands) {
        let rank = node.shape(x).len();
        let found =
            spelled(term, rank).ok_or_else(|| format!("sums {equation:?} of an operand of {rank} axes"))?;
        letters.push(found);
    }
    let result = match right {
        Some(right) => {
            let dots =
                letters.iter().flatten().filter(|c| c.is_ascii_digit()).max().map_or(0, |&c| c as usize - 47);
            let rank =
                right.replace("...", "").chars().count() + if right.contains("...") { dots } else { 0 };
            spelled(&right, rank).ok_or_else(|| format!("sums to {right:?}"))?
        }
        None => implied(&letters),
    };
    if result.iter().any(|c| !letters.iter().flatten().any(|l| l == c)) {
        return Err(format!("sums {equation:?}, whose result has axes that no operand has").into());
    }
    let mut terms: Vec<(NodeId, Letters)> = Vec::new();
    for (i, (&x, own)) in operands.iter().zip(letters).enumerate() {
        terms.push(diagonal(node, x, own, &format!("term_{i}"))?);
    }
    // One after another, from the left; an axis that nothing later needs is summed away.
    let mut rest = terms.into_iter().enumerate();
    let Some((_, mut all)) = rest.next() else { return Err("sums nothing".into()) };
    let mut rest: Vec<_> = rest.collect();
    while !rest.is_empty() {
        let (i, other) = rest.remove(0);
        let later: Letters =
            rest.iter().flat_map(|(_, (_, l))| l.iter().copied()).chain(result.iter().copied()).collect();
        all = pair(node, all, other, &later, &format!("pair_{i}"))?;
    }
    let summed = summed(node, all, &result, "sums")?;
    let order: Option<Vec<usize>> = result.iter().map(|c| summed.1.iter().position(|l| l == c)).collect();
    let permutation = order.filter(|o| o.len() == summed.1.len());
    let permutation =
        permutation.ok_or_else(|| format!("sums {equation:?}, which repeats an axis of the result"))?;
    node.result(Movement::Transpose { permutation }, &[summed.0])
}

/// The letters of a term for an operand of this rank.
fn spelled(term: &str, rank: usize) -> Option<Letters> {
    let (before, after) = match term.split_once("...") {
        Some((before, after)) => (before, Some(after)),
        None => (term, None),
    };
    let dots = match after {
        Some(after) => rank.checked_sub(before.chars().count() + after.chars().count())?,
        None => 0,
    };
    if dots > 10 {
        return None;
    }
    let under = (0..dots).rev().filter_map(|i| char::from_digit(i as u32, 10));
    let letters: Letters = before.chars().chain(under).chain(after.unwrap_or("").chars()).collect();
    let legal = letters.iter().enumerate().all(|(i, c)| {
        c.is_ascii_alphabetic()
            || (c.is_ascii_digit() && (before.chars().count()..before.chars().count() + dots).contains(&i))
    });
    (legal && letters.len() == rank).then_some(letters)
}

/// The result where the equation does not say it: the ellipsis, then the letters that come once, in
/// their order.
fn implied(terms: &[Letters]) -> Letters {
    let all: Letters = terms.iter().flatten().copied().collect();
    let mut dots: Letters = all.iter().copied().filter(char::is_ascii_digit).collect();
    dots.sort_unstable_by(|a, b| b.cmp(a));
    dots.dedup();
    let mut once: Letters = all.iter().copied().filter(char::is_ascii_alphabetic).collect();
    once.retain(|c| all.iter().filter(|l| *l == c).count() == 1);
    once.sort_unstable();
    dots.extend(once);
    dots
}

/// A term without repeated letters: of axes of one letter the diagonal is taken.
fn diagonal(
    node: &mut Node<'_>,
    mut x: NodeId,
    mut own: Letters,
    part: &str,
) -> Result<(NodeId, Letters), Fault> {
    let mut round = 0;
    while let Some((i, j)) = repeated(&own) {
        let shape = node.shape(x).to_vec();
        let n = shape[i];
        if shape[j] != n {
            return Err(format!("takes the diagonal of {shape:?}").into());
        }
        // The two axes last, as one of n² elements, of which every (n + 1)-th is taken.
        let mut permutation: Vec<usize> = (0..shape.len()).filter(|a| *a != i && *a != j).collect();
        let mut flat: Vec<usize> = permutation.iter().map(|&a| shape[a]).collect();
        let letters = permutation.iter().map(|&a| own[a]).chain([own[i]]).collect();
        permutation.extend([i, j]);
        flat.push(n * n);
        let axis = flat.len() - 1;
        let mut steps = [
            Movement::Transpose { permutation },
            Movement::Reshape { shape: flat },
            Movement::Gather { axis, indices: (0..n).map(|k| k * (n + 1)).collect() },
        ]
        .into_iter();
        for (step, name) in steps.by_ref().zip(["last", "flat", "diagonal"]) {
            x = node.move_part(&format!("{part}_{name}_{round}"), step, x)?;
        }
        own = letters;
        round += 1;
    }
    Ok((x, own))
}

fn repeated(letters: &[char]) -> Option<(usize, usize)> {
    (0..letters.len())
        .find_map(|i| (i + 1..letters.len()).find(|&j| letters[i] == letters[j]).map(|j| (i, j)))
}

/// A term without the axes that are not among these letters.
fn summed(
    node: &mut Node<'_>,
    (x, own): (NodeId, Letters),
    kept: &[char],
    part: &str,
) -> Result<(NodeId, Letters), Fault> {
    let axes: Vec<usize> = (0..own.len()).filter(|&i| !kept.contains(&own[i])).collect();
    if axes.is_empty() {
        return Ok((x, own));
    }
    let x = node.add_part(part, Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[x])?;
    Ok((x, own.into_iter().filter(|c| kept.contains(c)).collect()))
}

/// The product of two terms as one of matrices: axes that both have and that are needed go along,
/// those that are not are summed.
fn pair(
    node: &mut Node<'_>,
    a: (NodeId, Letters),
    b: (NodeId, Letters),
    later: &[char],
    part: &str,
) -> Result<(NodeId, Letters), Fault> {
    // What only one of them has, and nobody needs, is summed first.
    let keep = |other: &Letters| other.iter().chain(later).copied().collect::<Letters>();
    let (for_a, for_b) = (keep(&b.1), keep(&a.1));
    let (a, la) = summed(node, a, &for_a, &format!("{part}_left_sum"))?;
    let (b, lb) = summed(node, b, &for_b, &format!("{part}_right_sum"))?;
    let both = |c: &&char| lb.contains(c);
    let stacked: Letters = la.iter().filter(both).filter(|c| later.contains(c)).copied().collect();
    let contracted: Letters = la.iter().filter(both).filter(|c| !later.contains(c)).copied().collect();
    let rows: Letters = la.iter().filter(|c| !lb.contains(c)).copied().collect();
    let columns: Letters = lb.iter().filter(|c| !la.contains(c)).copied().collect();
    let length = |node: &Node<'_>, c: &char| -> usize {
        let of = |x: NodeId, own: &Letters| own.iter().position(|l| l == c).map_or(1, |i| node.shape(x)[i]);
        of(a, &la).max(of(b, &lb))
    };
    let lengths =
        |node: &Node<'_>, letters: &Letters| letters.iter().map(|c| length(node, c)).collect::<Vec<_>>();
    let stack = lengths(node, &stacked);
    let (m, n) = (lengths(node, &rows), lengths(node, &columns));
    let matrices = |node: &mut Node<'_>, x: NodeId, own: &Letters, order: [&Letters; 3], part: String| {
        let letters: Vec<char> = order.iter().flat_map(|l| l.iter().copied()).collect();
        let permutation = letters.iter().filter_map(|c| own.iter().position(|l| l == c)).collect();
        let turned = node.move_part(&format!("{part}_turned"), Movement::Transpose { permutation }, x)?;
        // Axes of length 1 broadcast, as those under an ellipsis may.
        let whole: Vec<usize> = letters.iter().map(|c| length(node, c)).collect();
        let wide = if node.shape(turned) == whole {
            turned
        } else {
            node.move_part(&format!("{part}_wide"), Movement::Broadcast { shape: whole }, turned)?
        };
        let size = |l: &Letters| l.iter().map(|c| length(node, c)).product::<usize>();
        let mut shape: Vec<usize> = order[0].iter().map(|c| length(node, c)).collect();
        shape.extend([size(order[1]), size(order[2])]);
        node.move_part(&format!("{part}_matrices"), Movement::Reshape { shape }, wide)
    };
    let left = matrices(node, a, &la, [&stacked, &rows, &contracted], format!("{part}_left"))?;
    let right = matrices(node, b, &lb, [&stacked, &contracted, &columns], format!("{part}_right"))?;
    let name = node.name.clone();
    node.name = format!("{name}/{part}");
    let y = product(node, left, right);
    node.name = name;
    let shape = [stack, m, n].concat();
    let y = node.move_part(&format!("{part}_whole"), Movement::Reshape { shape }, y?)?;
    Ok((y, [stacked, rows, columns].concat()))
}
