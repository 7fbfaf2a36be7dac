//! From scores of classes to probabilities and a class: what the classifiers of `ai.onnx.ml` have in
//! common.
//!
//! What only orders the scores, or is a softmax of them, is left to the client at the end of a model. So a
//! sigmoid of one score, σ(s) beside 1 − σ(s), is written as a softmax of 0 and s, which it is.

use super::Node;
use crate::compose::kept;
use crate::node::{Results, Value};
use crate::value::Fault;
use cryptflow_graph::{
    Activation, Arithmetic, Array, ClassNames, Comparison, Function, Linear, NodeId, Op, Order, Reduction,
};

/// What is made of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    None,
    Logistic,
    Softmax,
    /// A softmax in which zeros have no weight.
    SoftmaxZero,
    Probit,
}

impl Post {
    pub(super) fn of(node: &Node<'_>) -> Result<Post, Fault> {
        Ok(match node.attr_text("post_transform", "NONE")? {
            "NONE" => Post::None,
            "LOGISTIC" => Post::Logistic,
            "SOFTMAX" => Post::Softmax,
            "SOFTMAX_ZERO" => Post::SoftmaxZero,
            "PROBIT" => Post::Probit,
            _ => return Err(Node::wrong("post_transform")),
        })
    }

    /// That nothing is made of the numbers of a regressor: runtimes differ in it.
    pub(super) fn none(node: &Node<'_>) -> Result<(), Fault> {
        match Post::of(node)? {
            Post::None => Ok(()),
            post => Err(format!(
                "makes {post:?} of its numbers, which ONNX's reference does not define and ONNX Runtime leaves out. Export \
                 the regressor without it, and let the client apply it"
            )
            .into()),
        }
    }
}

/// `x · weights + bias`: the numbers of several classes, or of one score for two classes.
pub(super) struct Scores {
    /// For each class, its weights.
    pub(super) weights: Vec<Vec<f32>>,
    /// For each class what is added.
    pub(super) bias: Vec<f32>,
}

impl Scores {
    /// One score s of two classes as two: 1 − s and s where nothing is made of them and `whole` says that they
    /// are parts of one, −s and s otherwise. Two sigmoids of these are the softmax of 0 and s.
    pub(super) fn paired(self, post: Post, whole: bool) -> (Scores, Post) {
        match post {
            Post::Logistic => (self.with_first(0.0, 0.0), Post::Softmax),
            Post::None | Post::Probit if whole => (self.with_first(-1.0, 1.0), post),
            Post::None | Post::Probit | Post::Softmax | Post::SoftmaxZero => {
                (self.with_first(-1.0, 0.0), post)
            }
        }
    }

    /// With a first class whose score is `factor · s + offset`.
    fn with_first(mut self, factor: f32, offset: f32) -> Scores {
        if let ([weights], [bias]) = (self.weights.as_slice(), self.bias.as_slice()) {
            // No zero has a sign.
            let first = weights.iter().map(|w| factor * w + 0.0).collect();
            let bias = factor * bias + offset;
            self.weights.insert(0, first);
            self.bias.insert(0, bias);
        }
        self
    }

    /// The numbers of rows `[rows, columns]`: `[rows, classes]`.
    pub(super) fn of(self, node: &mut Node<'_>, part: Option<&str>, x: NodeId) -> Result<NodeId, Fault> {
        let columns = self.weights.first().map_or(0, Vec::len);
        let weights = Array::new(vec![self.weights.len(), columns], self.weights.concat())?;
        let weights = node.add_constant("weights", weights);
        let product = Op::Linear(Linear::MatMul { transpose_a: false, transpose_b: true });
        if self.bias.iter().all(|&b| b == 0.0) {
            return node.add_part_or_result(part, product, &[x, weights]);
        }
        let y = node.add_part("product", product, &[x, weights])?;
        let bias = node.add_constant("bias", Array::vector(self.bias));
        node.add_part_or_result(part, Arithmetic::Add, &[y, bias])
    }
}

/// The results of a classifier: the class of each row, and the scores after the post transform. `raw` are
/// `[rows, classes]`, of which the largest says the class.
pub(super) fn classified(node: &mut Node<'_>, raw: NodeId, post: Post, names: Option<ClassNames>) -> Results {
    let class = node.add(Order::ArgMax { axis: 1 }, &[raw])?;
    let label = match &names {
        Some(names) => node.named(class, names.clone()),
        None => Value::Tensor(class),
    };
    let name = node.result_name(1);
    if let Some(names) = names.filter(|names| !names.are_indices()) {
        node.name_columns(name.clone(), &names);
    }
    let scores = transformed(node, name, raw, post)?;
    Ok(vec![label, Value::Tensor(scores)])
}

/// What is made of scores, under a name.
fn transformed(node: &mut Node<'_>, name: String, raw: NodeId, post: Post) -> Result<NodeId, Fault> {
    match post {
        Post::None => node.add_as(name, Op::Identity, &[raw]),
        Post::Logistic => node.add_as(name, Function::SIGMOID, &[raw]),
        Post::Softmax => node.add_as(name, Activation::Softmax, &[raw]),
        Post::SoftmaxZero => {
            let zero = node.add_number("zero", 0.0);
            let zeros = node.add_part("zeros", Arithmetic::Compare(Comparison::Equal), &[raw, zero])?;
            let softmax = node.add_part("softmax", Activation::MaskedSoftmax, &[raw, zeros])?;
            // A row of zeros is one of halves.
            let nothing = node.add_part("nothing", kept(Reduction::Min, vec![1]), &[zeros])?;
            let half = node.add_number("half", 0.5);
            let halves = node.add_part("halves", Arithmetic::Mul, &[nothing, half])?;
            node.add_as(name, Arithmetic::Add, &[softmax, halves])
        }
        Post::Probit => {
            Err("has the post transform PROBIT, for which there is no rule here. Export the model with raw \
                             scores, and let the client apply it"
                .into())
        }
    }
}
