//! Movements in blocks of rows and columns: depth to space and back, space to batch and back
//! (dilated convolutions are often written so).

use cryptflow_ring::Movement;

use super::movement::pairs;
use super::{Fault, Node, Results, Value};
use crate::movement::{blocks, reshape_to, spread};
use crate::value::MAX_ELEMENTS;

fn transpose(permutation: Vec<usize>) -> Movement {
    Movement::Transpose { permutation }
}

/// The operand with its four axes, channels last, and the block size.
fn block(node: &Node<'_>) -> Result<(Value, [usize; 4], usize), Fault> {
    if node.attr_text("data_format", "NHWC")? != "NHWC" {
        return Err("has channels first. Export the graph with NHWC".into());
    }
    node.floats(0)?;
    node.in_blocks("block_size")
}

pub(super) fn depth_to_space(node: &mut Node<'_>) -> Results {
    let (value, [b, h, w, c], s) = block(node)?;
    let d = spread(c, s)?;
    let split = reshape_to(vec![b, h, w, s, s, d]);
    let steps = [split, transpose(vec![0, 1, 3, 2, 4, 5]), reshape_to(vec![b, h * s, w * s, d])];
    node.moved(&value, steps)
}

pub(super) fn space_to_depth(node: &mut Node<'_>) -> Results {
    let (value, [b, h, w, c], s) = block(node)?;
    let [h, w] = blocks([h, w], s)?;
    let split = reshape_to(vec![b, h, s, w, s, c]);
    let steps = [split, transpose(vec![0, 1, 3, 2, 4, 5]), reshape_to(vec![b, h, w, s * s * c])];
    node.moved(&value, steps)
}

/// The lengths of the blocks in operand 1: one for each of the first axes after the batch.
fn block_shape(node: &Node<'_>, rank: usize) -> Result<Vec<usize>, Fault> {
    let blocks = node.lengths(1)?;
    let all = blocks.iter().try_fold(1usize, |n, &b| n.checked_mul(b)).filter(|&n| n <= MAX_ELEMENTS);
    if blocks.contains(&0) || blocks.len() + 1 > rank || all.is_none() {
        return Err(format!("has blocks of {blocks:?} for an operand of {rank} axes").into());
    }
    Ok(blocks)
}

pub(super) fn space_to_batch(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let from = node.shape(x).to_vec();
    let blocks = block_shape(node, from.len())?;
    let m = blocks.len();
    let (mut before, mut after) = pairs(node, 2, m)?;
    before.insert(0, 0);
    after.insert(0, 0);
    before.resize(from.len(), 0);
    after.resize(from.len(), 0);
    let padded: Vec<usize> = (0..from.len()).map(|i| before[i] + from[i] + after[i]).collect();
    if let Some(i) = (0..m).find(|&i| !padded[i + 1].is_multiple_of(blocks[i])) {
        return Err(format!("axis {} of {padded:?} is not made of blocks of {}", i + 1, blocks[i]).into());
    }
    // [n, s1, s2, …] → [n, s1/b1, b1, s2/b2, b2, …] → [b1, b2, n, s1/b1, s2/b2, …]
    let mut split = vec![padded[0]];
    split.extend((0..m).flat_map(|i| [padded[i + 1] / blocks[i], blocks[i]]));
    split.extend(&padded[m + 1..]);
    let mut permutation: Vec<usize> = (0..m).map(|i| 2 + 2 * i).collect();
    permutation.push(0);
    permutation.extend((0..m).map(|i| 1 + 2 * i));
    permutation.extend(1 + 2 * m..split.len());
    let mut shape = vec![padded[0] * blocks.iter().product::<usize>()];
    shape.extend((0..m).map(|i| padded[i + 1] / blocks[i]));
    shape.extend(&padded[m + 1..]);
    let steps =
        [Movement::Pad { before, after }, reshape_to(split), transpose(permutation), reshape_to(shape)];
    node.moved(&Value::Tensor(x), steps)
}

pub(super) fn batch_to_space(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let from = node.shape(x).to_vec();
    let blocks = block_shape(node, from.len())?;
    let m = blocks.len();
    let (before, after) = pairs(node, 2, m)?;
    let all: usize = blocks.iter().product();
    if !from[0].is_multiple_of(all) {
        return Err(format!("a batch of {} is not made of {blocks:?} blocks", from[0]).into());
    }
    // [b1·b2·n, t1, t2, …] → [b1, b2, n, t1, t2, …] → [n, t1, b1, t2, b2, …]
    let mut split = blocks.clone();
    split.push(from[0] / all);
    split.extend(&from[1..]);
    let mut permutation = vec![m];
    permutation.extend((0..m).flat_map(|i| [m + 1 + i, i]));
    permutation.extend(2 * m + 1..split.len());
    let mut whole = vec![from[0] / all];
    whole.extend((0..m).map(|i| from[i + 1] * blocks[i]));
    whole.extend(&from[m + 1..]);
    let (mut begin, mut size) = (vec![0; whole.len()], whole.clone());
    for i in 0..m {
        begin[i + 1] = before[i];
        let cropped = whole[i + 1].checked_sub(before[i]).and_then(|n| n.checked_sub(after[i]));
        size[i + 1] = cropped.ok_or_else(|| format!("crops more than there is of {whole:?}"))?;
    }
    let stride = vec![1; begin.len()];
    let crop = Movement::Slice { begin, size, stride };
    let steps = [reshape_to(split), transpose(permutation), reshape_to(whole), crop];
    node.moved(&Value::Tensor(x), steps)
}
