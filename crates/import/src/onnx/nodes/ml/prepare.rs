//! What stands before a model: scalers, normalisation, missing values, picking columns.

use cryptflow_ring::Movement;

use super::{Node, lacks};
use crate::compose::kept;
use crate::docs as doc;
use crate::node::{Results, Value};
use crate::onnx::nodes::{Gives, Number, Row, row};
use crate::value::{Fault, place};
use cryptflow_graph::{Activation, Arithmetic, Array, Comparison, Function, Op, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("Scaler", scaler, doc::LINEAR).gives(Gives::All(Number::Float)),
    row("Normalizer", normalizer, doc::QUOTIENT.note(doc::notes::NORMS)).gives(Gives::All(Number::Float)),
    row("Binarizer", binarizer, doc::COMPARISON.note("with the threshold")),
    row("Imputer", imputer, doc::CHOICE.note(doc::notes::IMPUTED)),
    row(
        "FeatureVectorizer",
        feature_vectorizer,
        doc::MOVEMENT.note("of numbers; all columns of every operand"),
    )
    .gives(Gives::All(Number::Float)),
    row("ArrayFeatureExtractor", extractor, doc::MOVEMENT.note(doc::notes::EXTRACTED)),
];

/// `(x − offset) · scale`.
fn scaler(node: &mut Node<'_>) -> Results {
    let (mut x, [_, columns]) = node.rows(0)?;
    let fitting = |numbers: Vec<f32>, name: &str| match numbers.len() {
        n if n == columns || n == 1 => Ok(Array::vector(numbers)),
        _ => Err(Node::wrong(name)),
    };
    let offset =
        node.attr_floats("offset")?.filter(|v| !v.is_empty()).map(|v| fitting(v, "offset")).transpose()?;
    let scale =
        node.attr_floats("scale")?.filter(|v| !v.is_empty()).map(|v| fitting(v, "scale")).transpose()?;
    if let Some(offset) = offset {
        let offset = node.add_constant("offset", offset);
        x = node.add_part_or_result(scale.as_ref().map(|_| "shifted"), Arithmetic::Sub, &[x, offset])?;
        if scale.is_none() {
            return Ok(vec![Value::Tensor(x)]);
        }
    }
    match scale {
        Some(scale) => {
            let scale = node.add_constant("scale", scale);
            node.result(Arithmetic::Mul, &[x, scale])
        }
        None => node.result(Op::Identity, &[x]),
    }
}

/// Rows divided by a norm of them. A softmax is divided by its sum already.
fn normalizer(node: &mut Node<'_>) -> Results {
    let (x, _) = node.rows(0)?;
    let norm = node.attr_text("norm", "MAX")?.to_owned();
    let sums_to_one = matches!(node.graph.node(x).op, Op::Activation(Activation::Softmax));
    let divisor = match norm.as_str() {
        "L1" if sums_to_one => return node.result(Op::Identity, &[x]),
        "L1" | "MAX" => {
            let sizes = node.add_part("sizes", Function::ABS, &[x])?;
            let kind = if norm == "L1" { Reduction::Sum } else { Reduction::Max };
            node.add_part("norm", kept(kind, vec![1]), &[sizes])?
        }
        "L2" => {
            let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
            let sum = node.add_part("sum", kept(Reduction::Sum, vec![1]), &[squares])?;
            node.add_part("norm", Function::SQRT, &[sum])?
        }
        _ => return Err(Node::wrong("norm")),
    };
    node.result(Arithmetic::Div, &[x, divisor])
}

/// 1 where a number is above the threshold, 0 elsewhere.
fn binarizer(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let threshold = node.attr_float("threshold", 0.0)?;
    let threshold = node.add_number("threshold", threshold);
    node.result(Arithmetic::Compare(Comparison::Greater), &[x, threshold])
}

/// What is missing gets a number. A NaN cannot be shared, so no operand has one; another number that stands
/// for what is missing is compared with.
fn imputer(node: &mut Node<'_>) -> Results {
    let (numbers, missing) = match node.attr_floats("imputed_value_floats")?.filter(|v| !v.is_empty()) {
        Some(numbers) => (numbers, node.attr_float("replaced_value_float", f32::NAN)?),
        None => {
            let numbers =
                node.attr_ints("imputed_value_int64s")?.ok_or_else(|| lacks("imputed_value_floats"))?;
            let missing = node.attr_int("replaced_value_int64", 0)?;
            (numbers.into_iter().map(|v| v as f32).collect(), missing as f32)
        }
    };
    let (x, [_, columns]) = node.rows(0)?;
    if numbers.len() != columns && numbers.len() != 1 {
        return Err(Node::wrong("imputed_value_floats"));
    }
    if missing.is_nan() {
        return node.result(Op::Identity, &[x]);
    }
    let missing = node.add_number("missing", missing);
    let here = node.add_part("here", Arithmetic::Compare(Comparison::Equal), &[x, missing])?;
    let numbers = node.add_constant("numbers", Array::vector(numbers));
    node.result(Arithmetic::Select, &[here, numbers, x])
}

/// The columns of all operands side by side.
fn feature_vectorizer(node: &mut Node<'_>) -> Results {
    let dimensions = node.attr_ints("inputdimensions")?;
    let mut parts = Vec::with_capacity(node.operands.len());
    for i in 0..node.operands.len() {
        let (x, [_, columns]) = node.rows(i)?;
        let wanted = dimensions.as_ref().and_then(|d| d.get(i)).map(|&d| usize::try_from(d));
        if wanted.is_some_and(|wanted| wanted != Ok(columns)) {
            return Err(format!("takes another number of columns of operand {i} than its {columns}").into());
        }
        parts.push(x);
    }
    node.result(Movement::Concat { axis: 1 }, &parts)
}

/// Columns with known numbers; or the names of classes with secret ones, which the client looks up.
fn extractor(node: &mut Node<'_>) -> Results {
    let known = match node.operand(1)? {
        Value::Tensor(id) => node.constant_of(*id).is_some(),
        _ => true,
    };
    if !known {
        return super::classes::looked_up(node);
    }
    let wanted = node.ints(1)?;
    let value = match node.shaped(0)? {
        (value, shape) if shape.len() == 1 => {
            let row = Movement::Reshape { shape: vec![1, shape[0]] };
            node.move_value_as(format!("{}/row", node.name), &value, [row])?
        }
        (value, _) => value,
    };
    let shape = node.shape_of_value(&value)?;
    let Some((&columns, _)) = shape.split_last() else {
        return Err("picks columns of a single number".into());
    };
    let indices = wanted.data.iter().map(|&i| place(i, columns)).collect::<Result<Vec<_>, Fault>>()?;
    node.moved(&value, [Movement::Gather { axis: shape.len() - 1, indices }])
}
