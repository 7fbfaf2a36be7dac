//! Trees as files hold them: by numbers of nodes in lists, or since version 5 in tensors.

use std::collections::HashMap;

use super::forest::{Branch, Question, Read, Split, damaged, question};
use super::{Node, lacks};
use crate::onnx::tensor::read_constant;
use crate::tensor::Constant;
use crate::value::Fault;

const LEAF: &str = "LEAF";

/// What a split asks, by its number in version 5.
const MODES: [&str; 7] =
    ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"];

/// The numbers of an attribute, or of the one of the same name that is a tensor.
pub(super) fn numbers(node: &Node<'_>, name: &str) -> Result<Option<Vec<f32>>, Fault> {
    match node.attr_floats(name)?.filter(|numbers| !numbers.is_empty()) {
        None => tensor(node, &format!("{name}_as_tensor")),
        numbers => Ok(numbers),
    }
}

/// The numbers of an attribute that is a tensor.
fn tensor(node: &Node<'_>, name: &str) -> Result<Option<Vec<f32>>, Fault> {
    let Some(message) = node.attr_tensor(name)? else { return Ok(None) };
    Ok(match read_constant(message, node.message.folder)? {
        Constant::Float(array) => Some(array.data.to_vec()),
        Constant::Int(ints) => Some(ints.data.iter().map(|&v| v as f32).collect()),
        Constant::Opaque(_) => return Err(Node::wrong(name)),
    })
}

/// The same, which must be there.
fn needed(node: &Node<'_>, name: &str) -> Result<Vec<f32>, Fault> {
    tensor(node, name)?.ok_or_else(|| lacks(name))
}

/// Trees whose nodes are named by the numbers of the tree and of the node. What leaves give is in attributes
/// that begin with `kind`.
pub(super) fn by_node_numbers(node: &Node<'_>, kind: &str) -> Result<Read, Fault> {
    let [trees, nodes, features, yes, no] =
        ["nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"]
            .map(|name| node.needed_integers(name));
    let (trees, nodes, features, yes, no) = (trees?, nodes?, features?, yes?, no?);
    let modes = node.attr_strings("nodes_modes")?.ok_or_else(|| lacks("nodes_modes"))?;
    let values = numbers(node, "nodes_values")?.ok_or_else(|| lacks("nodes_values"))?;
    let count = trees.len();
    let lengths = [nodes.len(), features.len(), yes.len(), no.len(), modes.len(), values.len()];
    if count == 0 || lengths.iter().any(|&n| n != count) {
        return Err(damaged());
    }
    // Splits and leaves are numbered apart; leaves by the numbers of their nodes.
    let (mut at, mut roots, mut splits) = (HashMap::new(), HashMap::new(), 0);
    let mut branches = Vec::with_capacity(count);
    for (i, (&tree, mode)) in trees.iter().zip(&modes).enumerate() {
        let branch = if mode == LEAF { Branch::Leaf(i) } else { Branch::Split(splits) };
        splits += usize::from(mode != LEAF);
        branches.push(branch);
        roots.entry(tree).or_insert((i, branch));
        let number = nodes.get(i).copied().unwrap_or(0);
        if at.insert((tree, number), branch).is_some() {
            return Err(damaged());
        }
    }
    let mut read =
        Read { splits: Vec::with_capacity(splits), roots: Vec::new(), gives: vec![Vec::new(); count] };
    for i in (0..count).filter(|&i| matches!(branches[i], Branch::Split(_))) {
        let branch = |to: i64| at.get(&(trees[i], to)).copied().ok_or_else(damaged);
        let branches = [branch(yes[i])?, branch(no[i])?];
        read.splits.push(split(&modes[i], features[i], vec![values[i]], branches)?);
    }
    let mut roots: Vec<(usize, Branch)> = roots.into_values().collect();
    roots.sort_unstable_by_key(|root| root.0);
    read.roots = roots.into_iter().map(|root| root.1).collect();
    let list = |name: &str| node.needed_integers(&format!("{kind}_{name}"));
    let (trees, nodes, ids) = (list("treeids")?, list("nodeids")?, list("ids")?);
    let name = format!("{kind}_weights");
    let weights = numbers(node, &name)?.ok_or_else(|| lacks(&name))?;
    if [nodes.len(), ids.len(), weights.len()].iter().any(|&n| n != trees.len()) {
        return Err(damaged());
    }
    for (i, &weight) in weights.iter().enumerate() {
        let Some(&Branch::Leaf(leaf)) = at.get(&(trees[i], nodes[i])) else { return Err(damaged()) };
        let target = usize::try_from(ids[i]).map_err(|_| damaged())?;
        read.gives.get_mut(leaf).ok_or_else(damaged)?.push((target, weight));
    }
    Ok(read)
}

/// Trees in tensors, as version 5 has them.
pub(super) fn by_tensors(node: &Node<'_>) -> Result<Read, Fault> {
    let list = |name: &str| node.needed_integers(name);
    let [features, yes, no] =
        [list("nodes_featureids")?, list("nodes_truenodeids")?, list("nodes_falsenodeids")?];
    let leaves = [list("nodes_trueleafs")?, list("nodes_falseleafs")?];
    let (modes, values) = (needed(node, "nodes_modes")?, needed(node, "nodes_splits")?);
    let count = features.len();
    let lengths = [yes.len(), no.len(), leaves[0].len(), leaves[1].len(), modes.len(), values.len()];
    if count == 0 || lengths.iter().any(|&n| n != count) {
        return Err(damaged());
    }
    let members = tensor(node, "membership_values")?.unwrap_or_default();
    let mut sets = members.split(|v| v.is_nan());
    let branch = |leaf: i64, to: i64| {
        let to = usize::try_from(to).map_err(|_| damaged())?;
        Ok::<Branch, Fault>(if leaf != 0 { Branch::Leaf(to) } else { Branch::Split(to) })
    };
    let mut splits = Vec::with_capacity(count);
    for i in 0..count {
        let branches = [branch(leaves[0][i], yes[i])?, branch(leaves[1][i], no[i])?];
        let mode = (modes[i] >= 0.0).then(|| MODES.get(modes[i] as usize)).flatten();
        let mode = mode.ok_or_else(|| Node::wrong("nodes_modes"))?;
        let numbers = match question(mode) {
            Some((Question::Member, _)) => sets.next().ok_or_else(damaged)?.to_vec(),
            Some(_) | None => vec![values[i]],
        };
        splits.push(split(mode, features[i], numbers, branches)?);
    }
    let split_of = |&root: &i64| usize::try_from(root).map(Branch::Split).map_err(|_| damaged());
    let roots = list("tree_roots")?.iter().map(split_of).collect::<Result<Vec<_>, _>>()?;
    let (targets, weights) = (list("leaf_targetids")?, needed(node, "leaf_weights")?);
    if roots.is_empty() || targets.len() != weights.len() {
        return Err(damaged());
    }
    let gives = |(&target, &weight): (&i64, &f32)| {
        Ok(vec![(usize::try_from(target).map_err(|_| damaged())?, weight)])
    };
    let gives = targets.iter().zip(&weights).map(gives).collect::<Result<Vec<_>, Fault>>()?;
    Ok(Read { splits, roots, gives })
}

/// A split; the branches of a question that is turned are exchanged.
fn split(mode: &str, feature: i64, numbers: Vec<f32>, [yes, no]: [Branch; 2]) -> Result<Split, Fault> {
    let (question, turned) = question(mode).ok_or_else(|| Node::wrong("nodes_modes"))?;
    let feature = usize::try_from(feature).map_err(|_| Node::wrong("nodes_featureids"))?;
    Ok(Split { feature, question, numbers, branches: if turned { [no, yes] } else { [yes, no] } })
}
