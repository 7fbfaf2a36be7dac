//! Pooling.

use cryptflow_ring::{Movement, Window};

use super::window::Axes;
use super::{Import, Node, Results, Table, Value};
use crate::graph::{NodeId, Op};
use crate::import::value::Fault;

pub(super) const TABLE: Table = &[
    ("MaxPool", max),
    ("AveragePool", average),
    ("GlobalAveragePool", global_average),
    ("GlobalMaxPool", global_max as Import),
];

/// A pooling's picture, and its window with the padding that rounding up needs.
struct Pool {
    x: NodeId,
    axes: usize,
    window: Window,
    /// The padding that the node states; the window may have more behind.
    stated: [[usize; 2]; 2],
}

fn pool(node: &mut Node<'_>) -> Result<Pool, Fault> {
    let (x, picture) = node.picture(0)?;
    let mut axes = node.window(node.kernel(picture.len())?, &picture)?;
    let too_many = || format!("pools over {} axes. One and two are supported", picture.len());
    let stated = axes.window().ok_or_else(too_many)?.padding;
    if node.attr_flag("ceil_mode", false)? {
        round_up(&mut axes, &picture);
    }
    let window = axes.window().ok_or_else(too_many)?;
    Ok(Pool { x, axes: picture.len(), window, stated })
}

/// Widens the padding behind so that the last window, which sees only a part, counts; one that would begin behind the
/// picture does not.
fn round_up(axes: &mut Axes, picture: &[usize]) {
    for (i, &n) in picture.iter().enumerate() {
        let [before, after] = axes.padding[i];
        let (stride, extent) = (axes.stride[i], axes.extent(i));
        let padded = before + n + after;
        let Some(room) = padded.checked_sub(extent) else { continue };
        let mut outputs = room.div_ceil(stride) + 1;
        if (outputs - 1) * stride >= n + before {
            outputs -= 1;
        }
        let reach = outputs.saturating_sub(1) * stride + extent;
        axes.padding[i][1] += reach.saturating_sub(padded);
    }
}

fn max(node: &mut Node<'_>) -> Results {
    if node.is_wanted(1) {
        return Err(
            "gives the places of its maxima, which would show secrets. Export the model without them".into(),
        );
    }
    let Pool { x, axes, window, .. } = pool(node)?;
    let y = node.part("pool", Op::MaxPool { window }, &[x])?;
    Ok(vec![Value::Tensor(node.unpicture(y, axes)?)])
}

fn average(node: &mut Node<'_>) -> Results {
    let Pool { mut x, axes, mut window, stated } = pool(node)?;
    let mut count_padding = node.attr_flag("count_include_pad", false)?;
    if count_padding && window.padding != stated {
        // The stated padding counts, and what rounding up adds does not: the former becomes zeros of the picture.
        let [[top, bottom], [left, right]] = stated;
        let pad = Movement::Pad { before: vec![0, top, left, 0], after: vec![0, bottom, right, 0] };
        x = node.moved_part("padded", pad, x)?;
        for (own, stated) in window.padding.iter_mut().zip(stated) {
            *own = [own[0] - stated[0], own[1] - stated[1]];
        }
        count_padding = false;
    }
    let y = node.part("pool", Op::AvgPool { window, count_padding }, &[x])?;
    Ok(vec![Value::Tensor(node.unpicture(y, axes)?)])
}

/// The axes of the whole picture.
fn whole(node: &mut Node<'_>) -> Result<(NodeId, Vec<usize>), Fault> {
    let x = node.tensor(0)?;
    let rank = node.shape(x).len();
    if rank < 3 {
        return Err(format!("pools a picture of the shape {:?}", node.shape(x)).into());
    }
    Ok((x, (2..rank).collect()))
}

fn global_average(node: &mut Node<'_>) -> Results {
    let (x, axes) = whole(node)?;
    node.result(Op::Mean { axes, keep_dims: true }, &[x])
}

/// The maximum over a whole picture is a pooling with one window.
fn global_max(node: &mut Node<'_>) -> Results {
    let (x, picture) = node.picture(0)?;
    let &[_, height, width, _] = node.shape(x) else {
        return Err(format!("pools over {} axes. One and two are supported", picture.len()).into());
    };
    let kernel = [height, width];
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
    let y = node.part("pool", Op::MaxPool { window }, &[x])?;
    Ok(vec![Value::Tensor(node.unpicture(y, picture.len())?)])
}
