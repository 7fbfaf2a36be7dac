//! Trees, any number of them, all at once: three steps, however deep they are.
//!
//! 1. Every split compares its column with its threshold: the columns are gathered (which column a split looks
//!    at is public, as the trees' shape is), and one comparison serves all splits of all trees.
//! 2. A leaf is reached where no split on its way is answered otherwise. What is answered otherwise is counted:
//!    1 − answer where the way goes on with yes, the answer where with no. These are movements and sums of
//!    integers; one comparison with zero, of as few bits as a depth has, serves all leaves.
//! 3. What leaves give is one product with a matrix.
//!
//! Thresholds, and what leaves give, are constants of the model, and secret. Products up the tree, the other
//! way to find the leaves, would take a round for each level in place of one comparison.

use std::collections::HashMap;

use cryptflow_ring::Movement;

use super::Node;
use super::forest::{Forest, Question, Read, Split, damaged};
use super::read_trees::{by_node_numbers, by_tensors, numbers};
use super::scores::{Post, Scores, classified};
use crate::budget::check_made;
use crate::compose::kept;
use crate::docs as doc;
use crate::node::{Results, Value};
use crate::onnx::nodes::{Gives, Number, Row, row};
use crate::value::{Fault, fits};
use cryptflow_graph::{Arithmetic, Array, Comparison, NodeId, Reduce, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("TreeEnsembleRegressor", regressor, doc::TREES.note("without a `post_transform`"))
        .gives(Gives::All(Number::Float)),
    row("TreeEnsembleClassifier", classifier, doc::TREES.note(doc::notes::CLASSIFIER))
        .gives(Gives::First(Number::Integer)),
    row("TreeEnsemble", ensemble, doc::TREES.note("without a `post_transform`"))
        .gives(Gives::All(Number::Float)),
];

/// What is made of what the trees give to a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Average,
    Sum,
    Min,
    Max,
}

fn regressor(node: &mut Node<'_>) -> Results {
    Post::none(node)?;
    let aggregate = match node.attr_text("aggregate_function", "SUM")? {
        "AVERAGE" => Aggregate::Average,
        "SUM" => Aggregate::Sum,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        _ => return Err(Node::wrong("aggregate_function")),
    };
    let targets = targets(node)?;
    let read = by_node_numbers(node, "target")?;
    let base = numbers(node, "base_values")?.unwrap_or_default();
    given(node, read, aggregate, targets, &base)
}

fn classifier(node: &mut Node<'_>) -> Results {
    let mut post = Post::of(node)?;
    let names = node
        .class_names("classlabels_int64s", "classlabels_strings")?
        .ok_or_else(|| Node::wrong("classlabels"))?;
    let read = by_node_numbers(node, "class")?;
    let (x, [_, columns]) = node.rows(0)?;
    let forest = read.forest(node, columns)?;
    let mut base = numbers(node, "base_values")?.unwrap_or_default();
    let mut ids: Vec<usize> = forest.leaves.iter().flat_map(|leaf| leaf.gives.iter().map(|g| g.0)).collect();
    ids.sort_unstable();
    ids.dedup();
    // All leaves give to one class: its number is a score of two.
    let scores = match (ids.as_slice(), names.len()) {
        (&[id @ (0 | 1)], 2) => {
            base.dedup();
            if base.len() > 1 {
                return Err(
                    "has two base values for one score, of which runtimes take one or the other".into()
                );
            }
            let scores = sums(&forest, &[id], &base)?;
            let (scores, made) = scores.paired(post, true);
            post = made;
            scores
        }
        (_, classes) if classes > 1 && ids.last().is_none_or(|&id| id < classes) => {
            sums(&forest, &(0..classes).collect::<Vec<_>>(), &base)?
        }
        (_, classes) => {
            return Err(format!("has {classes} classes, and leaves give to the classes {ids:?}").into());
        }
    };
    let reached = reached(node, x, &forest)?;
    let raw = scores.of(node, Some("scores"), reached)?;
    classified(node, raw, post, Some(names))
}

/// The operator of version 5: trees lie in tensors, and leaves apart from splits.
fn ensemble(node: &mut Node<'_>) -> Results {
    if node.attr_int("post_transform", 0)? != 0 {
        return Err("has a post transform, which ONNX's reference leaves out. Export it without, and let the client apply it".into());
    }
    let aggregate = match node.attr_int("aggregate_function", 1)? {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        _ => return Err(Node::wrong("aggregate_function")),
    };
    let targets = targets(node)?;
    let read = by_tensors(node)?;
    given(node, read, aggregate, targets, &[])
}

fn targets(node: &Node<'_>) -> Result<usize, Fault> {
    let targets = usize::try_from(node.attr_int("n_targets", 1)?).ok().filter(|&n| n > 0 && n <= 1 << 16);
    targets.ok_or_else(|| Node::wrong("n_targets"))
}

/// What trees give to targets, as a node's only result.
fn given(node: &mut Node<'_>, read: Read, aggregate: Aggregate, targets: usize, base: &[f32]) -> Results {
    let (x, [_, columns]) = node.rows(0)?;
    let forest = read.forest(node, columns)?;
    let all: Vec<usize> = (0..targets).collect();
    if forest.leaves.iter().flat_map(|leaf| &leaf.gives).any(|&(target, _)| target >= targets) {
        return Err(damaged());
    }
    let largest = match aggregate {
        Aggregate::Sum | Aggregate::Average => {
            let mut scores = sums(&forest, &all, &[])?;
            if aggregate == Aggregate::Average {
                let share = 1.0 / forest.trees.max(1) as f32;
                scores.weights.iter_mut().flatten().for_each(|w| *w *= share);
            }
            for (at, bias) in scores.bias.iter_mut().enumerate() {
                *bias += base_of(base, at, targets)?;
            }
            let reached = reached(node, x, &forest)?;
            return Ok(vec![Value::Tensor(scores.of(node, None, reached)?)]);
        }
        Aggregate::Min => false,
        Aggregate::Max => true,
    };
    let reached = reached(node, x, &forest)?;
    let kind = if largest { Reduction::Max } else { Reduction::Min };
    let mut columns = Vec::with_capacity(targets);
    for &target in &all {
        let name = format!("{}/target_{target}", node.name);
        let scores = by_trees(&forest, target)?;
        let trees = scores.of(node, Some(&format!("trees_{target}")), reached)?;
        let extreme = node.add_as(name.clone(), kept(kind, vec![1]), &[trees])?;
        let base = base_of(base, target, targets)?;
        columns.push(if base == 0.0 {
            extreme
        } else {
            let base = node.add_number(&format!("base_{target}"), base);
            node.add_as(format!("{name}/sum"), Arithmetic::Add, &[extreme, base])?
        });
    }
    node.result(Movement::Concat { axis: 1 }, &columns)
}

/// One number for all, or one each.
fn base_of(base: &[f32], at: usize, of: usize) -> Result<f32, Fault> {
    match (base.len(), base) {
        (0, _) => Ok(0.0),
        (1, [base]) => Ok(*base),
        (n, base) if n == of => base.get(at).copied().ok_or_else(damaged),
        _ => Err(Node::wrong("base_values")),
    }
}

/// For each of these targets, what every leaf gives to it.
fn sums(forest: &Forest, targets: &[usize], base: &[f32]) -> Result<Scores, Fault> {
    let of_target = |&target: &usize| {
        let of_leaf = |gives: &Vec<(usize, f32)>| gives.iter().filter(|g| g.0 == target).map(|g| g.1).sum();
        forest.leaves.iter().map(|leaf| of_leaf(&leaf.gives)).collect()
    };
    check_made(&[targets.len(), forest.leaves.len()])?;
    let bias = (0..targets.len()).map(|at| base_of(base, at, targets.len())).collect::<Result<_, _>>()?;
    Ok(Scores { weights: targets.iter().map(of_target).collect(), bias })
}

/// For each tree that gives to a target, what its leaves give.
fn by_trees(forest: &Forest, target: usize) -> Result<Scores, Fault> {
    let mut trees: Vec<(usize, Vec<f32>, usize)> = Vec::new();
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    for (at, leaf) in forest.leaves.iter().enumerate() {
        *sizes.entry(leaf.tree).or_default() += 1;
        let mut gives = leaf.gives.iter().filter(|g| g.0 == target).map(|g| g.1);
        let Some(number) = gives.next() else { continue };
        if gives.next().is_some() {
            return Err(
                "has leaves that give twice to a target of which the largest or smallest is taken".into()
            );
        }
        if trees.last().is_none_or(|tree| tree.0 != leaf.tree) {
            check_made(&[trees.len() + 1, forest.leaves.len()])?;
            trees.push((leaf.tree, vec![0.0; forest.leaves.len()], 0));
        }
        let Some((_, weights, leaves)) = trees.last_mut() else { continue };
        weights[at] = number;
        *leaves += 1;
    }
    if trees.is_empty() || trees.iter().any(|(tree, _, leaves)| sizes.get(tree) != Some(leaves)) {
        return Err("takes the largest or smallest of trees some of whose leaves give nothing".into());
    }
    Ok(Scores { bias: vec![0.0; trees.len()], weights: trees.into_iter().map(|tree| tree.1).collect() })
}

/// For each row and leaf, whether it is reached: `[rows, leaves]`.
fn reached(node: &mut Node<'_>, x: NodeId, forest: &Forest) -> Result<NodeId, Fault> {
    let (yes, places) = answers(node, x, forest)?;
    let &[rows, count] = node.shape(yes) else { return Err(damaged()) };
    let one = node.add_number("one", 1.0);
    let no = node.add_part("no", Arithmetic::Sub, &[one, yes])?;
    let answers = node.add_part("answers", Movement::Concat { axis: 1 }, &[no, yes])?;
    let filled = Movement::Pad { before: vec![0, 0], after: vec![0, 1] };
    let answers = node.move_part("filled", filled, answers)?;
    let (leaves, depth) = (forest.leaves.len(), forest.depth().max(1));
    fits(&[rows, leaves, depth])?;
    let mut indices = Vec::with_capacity(leaves * depth);
    for leaf in &forest.leaves {
        for &(split, answer) in &leaf.way {
            let place = places.get(&split).copied().ok_or_else(damaged)?;
            // What is one where the answer is another.
            indices.push(if answer { place } else { count + place });
        }
        // Ways that are shorter end in zeros.
        indices.resize(indices.len() + depth - leaf.way.len(), 2 * count);
    }
    let ways = node.move_part("ways", Movement::Gather { axis: 1, indices }, answers)?;
    if depth == 1 {
        return node.add_part("leaves", Arithmetic::Sub, &[one, ways]);
    }
    let ways = node.move_part("of_leaves", Movement::Reshape { shape: vec![rows, leaves, depth] }, ways)?;
    let sum = Reduce { kind: Reduction::Sum, axes: vec![2], keep_dims: false };
    let otherwise = node.add_part("otherwise", sum, &[ways])?;
    let zero = node.add_number("none", 0.0);
    node.add_part("leaves", Arithmetic::Compare(Comparison::LessEqual), &[otherwise, zero])
}

/// The answers to the splits on the ways to leaves, `[rows, answers]`, and the place of each split among them.
fn answers(
    node: &mut Node<'_>,
    x: NodeId,
    forest: &Forest,
) -> Result<(NodeId, HashMap<usize, usize>), Fault> {
    let mut used: Vec<usize> = forest.leaves.iter().flat_map(|leaf| leaf.way.iter().map(|w| w.0)).collect();
    used.sort_unstable();
    used.dedup();
    let (mut places, mut count, mut all) = (HashMap::new(), 0, Vec::new());
    for question in Question::COMPARED {
        let splits = used.iter().filter_map(|&at| Some((at, forest.splits.get(at)?)));
        let (mut columns, mut thresholds) = (Vec::new(), Vec::new());
        for (at, split) in splits.filter(|(_, split)| split.question == question) {
            places.insert(at, count + columns.len());
            columns.push(split.feature);
            thresholds.extend(&split.numbers);
        }
        // Where nothing is asked at all, there is one question that no way goes by.
        if !columns.is_empty() || (question == Question::LessEqual && used.is_empty()) {
            let answers = compared(node, x, question, columns, thresholds)?;
            count += node.shape(answers).last().copied().unwrap_or(0);
            all.push(answers);
        }
    }
    let members: Vec<usize> = used
        .iter()
        .copied()
        .filter(|&at| forest.splits.get(at).is_some_and(|split| split.question == Question::Member))
        .collect();
    if !members.is_empty() {
        places.extend(members.iter().enumerate().map(|(i, &at)| (at, count + i)));
        all.push(memberships(node, x, forest, &members)?);
    }
    let answers = match all.as_slice() {
        [answers] => *answers,
        several => node.add_part("asked", Movement::Concat { axis: 1 }, several)?,
    };
    Ok((answers, places))
}

/// Columns compared with thresholds. A threshold that is the only one, or the same everywhere, would be
/// public, as the one number is with which values are compared: another one beside it, which nobody asks
/// for, keeps it secret.
fn compared(
    node: &mut Node<'_>,
    x: NodeId,
    question: Question,
    mut columns: Vec<usize>,
    mut thresholds: Vec<f32>,
) -> Result<NodeId, Fault> {
    let first = thresholds.first().copied().unwrap_or(0.0);
    while thresholds.len() < 2 || thresholds.iter().all(|&t| t == first) {
        columns.push(columns.first().copied().unwrap_or(0));
        thresholds.push(if thresholds.is_empty() { first } else { first + first.abs().max(1.0) / 2.0 });
    }
    let part = question.comparison().name().replace(' ', "_");
    let gather = Movement::Gather { axis: 1, indices: columns };
    let columns = node.move_part(&format!("{part}/columns"), gather, x)?;
    let thresholds = node.add_constant(&format!("{part}/thresholds"), Array::vector(thresholds));
    node.add_part(&part, Arithmetic::Compare(question.comparison()), &[columns, thresholds])
}

/// Whether columns are one of several numbers: the sum of the answers for each of these.
fn memberships(node: &mut Node<'_>, x: NodeId, forest: &Forest, members: &[usize]) -> Result<NodeId, Fault> {
    let splits: Vec<&Split> = members.iter().filter_map(|&at| forest.splits.get(at)).collect();
    let most = splits.iter().map(|split| split.numbers.len()).max().unwrap_or(0);
    let (mut columns, mut numbers, mut begins) = (Vec::new(), Vec::new(), Vec::new());
    for split in &splits {
        let mut own = split.numbers.clone();
        own.sort_by(f32::total_cmp);
        own.dedup();
        begins.push((numbers.len(), own.len()));
        columns.extend(std::iter::repeat_n(split.feature, own.len()));
        numbers.extend(own);
    }
    let equal = compared(node, x, Question::Member, columns, numbers)?;
    let &[rows, count] = node.shape(equal) else { return Err(damaged()) };
    let filled = Movement::Pad { before: vec![0, 0], after: vec![0, 1] };
    let equal = node.move_part("members/filled", filled, equal)?;
    check_made(&[splits.len(), most])?;
    fits(&[rows, splits.len(), most])?;
    let place = |begin: usize, len: usize, i: usize| if i < len { begin + i } else { count };
    let indices =
        begins.iter().flat_map(|&(begin, len)| (0..most).map(move |i| place(begin, len, i))).collect();
    let sets = node.move_part("members/of_sets", Movement::Gather { axis: 1, indices }, equal)?;
    let shape = vec![rows, splits.len(), most];
    let sets = node.move_part("members/sets", Movement::Reshape { shape }, sets)?;
    let sum = Reduce { kind: Reduction::Sum, axes: vec![2], keep_dims: false };
    node.add_part("members", sum, &[sets])
}
