//! Matrix products.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::compose::MATRIX_PRODUCT;
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::operations::broadcast;
use cryptflow_graph::{Arithmetic, Linear, NodeId, Op};

pub(super) const TABLE: &[Row] = &[
    row("Gemm", gemm, doc::LINEAR.note(doc::notes::SECRETS)),
    row("MatMul", mat_mul, doc::LINEAR.note(doc::notes::STACK)),
];

/// `alpha · A · B + beta · C`.
fn gemm(node: &mut Node<'_>) -> Results {
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

/// As numpy multiplies: vectors become matrices for the time, leading axes broadcast.
fn mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    Ok(vec![Value::Tensor(product(node, a, b)?)])
}

pub(super) fn product(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    let (from_a, from_b) = (node.shape(a).to_vec(), node.shape(b).to_vec());
    if from_a.is_empty() || from_b.is_empty() {
        return Err(format!("multiplies {from_a:?} by {from_b:?} as matrices").into());
    }
    let (row, column) = (from_a.len() == 1, from_b.len() == 1);
    let a = if row { reshaped(node, "row", a, vec![1, from_a[0]])? } else { a };
    let b = if column { reshaped(node, "column", b, vec![from_b[0], 1])? } else { b };
    let (shape_a, shape_b) = (node.shape(a).to_vec(), node.shape(b).to_vec());
    let (lead_a, lead_b) = (&shape_a[..shape_a.len() - 2], &shape_b[..shape_b.len() - 2]);
    let lead = broadcast(lead_a, lead_b).ok_or_else(|| {
        format!("multiplies stacks of matrices {from_a:?} and {from_b:?}, whose leading axes differ")
    })?;
    let plain = Op::Linear(MATRIX_PRODUCT);
    let dropped = row || column;
    let (name, part) = (node.name.clone(), format!("{}/product", node.name));
    let name = |last: bool| if last { name.clone() } else { part.clone() };
    let y = if lead_b.is_empty() && lead_a.len() != 1 && node.constant_of(b).is_some() && shape_a.len() > 2 {
        // A stack by one matrix is a product of one tall matrix.
        let rows: usize = shape_a[..shape_a.len() - 1].iter().product();
        let tall = reshaped(node, "rows", a, vec![rows, shape_a[shape_a.len() - 1]])?;
        let y = node.add_part("tall", plain, &[tall, b])?;
        let mut shape = shape_a.clone();
        shape.pop();
        shape.push(shape_b[shape_b.len() - 1]);
        node.add_as(name(!dropped), Movement::Reshape { shape }, &[y])?
    } else {
        let a = broadcast_lead(node, "left", a, &lead)?;
        let b = if lead_b.is_empty() { b } else { broadcast_lead(node, "right", b, &lead)? };
        node.add_as(name(!dropped), plain, &[a, b])?
    };
    if !dropped {
        return Ok(y);
    }
    let mut shape = lead;
    if !row {
        shape.push(shape_a[shape_a.len() - 2]);
    }
    if !column {
        shape.push(shape_b[shape_b.len() - 1]);
    }
    node.add(Movement::Reshape { shape }, &[y])
}

fn reshaped(node: &mut Node<'_>, part: &str, x: NodeId, shape: Vec<usize>) -> Result<NodeId, Fault> {
    node.move_part(part, Movement::Reshape { shape }, x)
}

/// A stack of matrices with these leading axes.
fn broadcast_lead(node: &mut Node<'_>, part: &str, x: NodeId, lead: &[usize]) -> Result<NodeId, Fault> {
    let shape = node.shape(x);
    if shape[..shape.len() - 2] == *lead {
        return Ok(x);
    }
    let mut wide = lead.to_vec();
    wide.extend(&shape[shape.len() - 2..]);
    node.move_part(part, Movement::Broadcast { shape: wide }, x)
}
