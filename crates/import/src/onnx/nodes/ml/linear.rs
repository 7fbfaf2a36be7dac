//! Linear models.

use super::Node;
use super::scores::{Post, Scores, classified};
use crate::docs as doc;
use crate::node::{Results, Value};
use crate::onnx::nodes::{Gives, Number, Row, row};
use crate::value::Fault;

pub(super) const TABLE: &[Row] = &[
    row("LinearRegressor", regressor, doc::LINEAR.note("without a `post_transform`"))
        .gives(Gives::All(Number::Float)),
    row("LinearClassifier", classifier, doc::LINEAR.note(doc::notes::CLASSIFIER))
        .gives(Gives::First(Number::Integer)),
];

fn regressor(node: &mut Node<'_>) -> Results {
    Post::none(node)?;
    let targets = node.attr_int("targets", 1)?;
    let (x, [_, columns]) = node.rows(0)?;
    let scores = read(node, columns)?;
    if usize::try_from(targets).ok() != Some(scores.weights.len()) {
        return Err(Node::wrong("targets"));
    }
    Ok(vec![Value::Tensor(scores.of(node, None, x)?)])
}

/// One row of weights serves two classes, with −s and s.
fn classifier(node: &mut Node<'_>) -> Results {
    let mut post = Post::of(node)?;
    let names = node.class_names("classlabels_ints", "classlabels_strings")?;
    let (x, [_, columns]) = node.rows(0)?;
    let mut scores = read(node, columns)?;
    let classes = names.as_ref().map_or(scores.weights.len(), |names| names.len());
    match (scores.weights.len(), classes) {
        (1, 2) => (scores, post) = scores.paired(post, false),
        (1, _) => return Err("has one score and not two classes: it decides nothing that is defined".into()),
        (n, classes) if n == classes => {}
        (n, classes) => {
            return Err(format!("has {n} rows of weights for {classes} classes: the file is damaged").into());
        }
    }
    let raw = scores.of(node, Some("scores"), x)?;
    classified(node, raw, post, names)
}

/// The attributes of both.
fn read(node: &Node<'_>, columns: usize) -> Result<Scores, Fault> {
    let weights = node.needed_floats("coefficients")?;
    if columns == 0 || weights.is_empty() || !weights.len().is_multiple_of(columns) {
        return Err(format!("has {} coefficients for {columns} columns", weights.len()).into());
    }
    let weights: Vec<Vec<f32>> = weights.chunks(columns).map(<[f32]>::to_vec).collect();
    let bias = node.attr_floats("intercepts")?.unwrap_or_default();
    let bias = match bias.len() {
        0 => vec![0.0; weights.len()],
        n if n == weights.len() => bias,
        1 => vec![bias.first().copied().unwrap_or(0.0); weights.len()],
        _ => return Err(Node::wrong("intercepts")),
    };
    Ok(Scores { weights, bias })
}
