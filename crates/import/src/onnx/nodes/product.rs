//! Products of matrices, and sums of products.

use super::{Node, Results, Row, row};
use crate::compose;
use crate::docs as doc;
use cryptflow_graph::{Arithmetic, Linear, Op};

pub(super) const TABLE: &[Row] = &[
    row("Gemm", gemm, doc::LINEAR.note(doc::notes::SECRETS)),
    row("MatMul", mat_mul, doc::LINEAR.note(doc::notes::STACK)),
    row("Einsum", einsum, doc::LINEAR.note(doc::notes::EINSUM)),
];

/// `alpha · A · B + beta · C`.
pub(super) fn gemm(node: &mut Node<'_>) -> Results {
    let (a, mut b) = (node.tensor(0)?, node.tensor(1)?);
    let transpose_a = node.attr_flag("transA", false)?;
    let transpose_b = node.attr_flag("transB", false)?;
    let (alpha, beta) = (node.attr_float("alpha", 1.0)?, node.attr_float("beta", 1.0)?);
    if alpha != 1.0 {
        let factor = node.add_number("alpha", alpha);
        b = node.add_part("scaled", Arithmetic::Mul, &[b, factor])?;
    }
    let product = Op::Linear(Linear::MatMul { transpose_a, transpose_b });
    if !node.has(2) || beta == 0.0 {
        return node.result(product, &[a, b]);
    }
    let mut c = node.tensor(2)?;
    if beta != 1.0 {
        let factor = node.add_number("beta", beta);
        c = node.add_part("offset", Arithmetic::Mul, &[c, factor])?;
    }
    let y = node.add_part("product", product, &[a, b])?;
    node.result(Arithmetic::Add, &[y, c])
}

pub(super) fn mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    node.composed(|c| compose::numpy_product(c, a, b))
}

fn einsum(node: &mut Node<'_>) -> Results {
    let equation = node.attr_text("equation", "")?.to_owned();
    let operands = node.tensors()?;
    node.composed(|c| compose::einsum(c, &equation, &operands))
}
