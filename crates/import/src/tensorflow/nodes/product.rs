//! Products of matrices, and sums of products.

use super::{Node, Results, Row, row};
use crate::compose;
use crate::docs as doc;
use cryptflow_graph::Linear;

pub(super) const TABLE: &[Row] = &[
    row("MatMul", mat_mul, doc::LINEAR.note(doc::notes::SECRETS)),
    row("BatchMatMul", batch_mat_mul, doc::LINEAR.note(doc::notes::STACK)),
    row("BatchMatMulV2", batch_mat_mul, doc::LINEAR.note(doc::notes::STACK)),
    row("BatchMatMulV3", batch_mat_mul, doc::LINEAR.note(doc::notes::STACK)),
    row("Einsum", einsum, doc::LINEAR.note(doc::notes::EINSUM)),
];

fn mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.floats(0)?, node.floats(1)?);
    let transpose_a = node.attr_flag("transpose_a", false)?;
    let transpose_b = node.attr_flag("transpose_b", false)?;
    node.result(Linear::MatMul { transpose_a, transpose_b }, &[a, b])
}

/// Products of stacks of matrices.
fn batch_mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.floats(0)?, node.floats(1)?);
    let (adjoint_a, adjoint_b) = (node.attr_flag("adj_x", false)?, node.attr_flag("adj_y", false)?);
    node.composed(|c| compose::matmul(c, (a, adjoint_a), (b, adjoint_b), 1))
}

fn einsum(node: &mut Node<'_>) -> Results {
    let equation = node.attr_text("equation", "")?.to_owned();
    let operands = (0..node.operands.len()).map(|i| node.floats(i)).collect::<Result<Vec<_>, _>>()?;
    node.composed(|c| compose::einsum(c, &equation, &operands))
}
