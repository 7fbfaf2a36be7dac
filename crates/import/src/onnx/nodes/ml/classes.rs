//! Names of classes: the parties compute an index, and the client names it.

use std::rc::Rc;

use cryptflow_ring::Movement;

use super::Node;
use crate::docs as doc;
use crate::node::{Results, Value};
use crate::onnx::nodes::{Row, row};
use crate::value::Fault;
use cryptflow_graph::{ClassNames, NodeId, Op, Order};

pub(super) const TABLE: &[Row] = &[row(
    "ZipMap",
    zip_map,
    doc::NONE.note("the numbers of all classes, in their order; the client has the names"),
)];

impl Node<'_> {
    /// What the attributes call the classes, where they do.
    pub(super) fn class_names(&self, numbers: &str, texts: &str) -> Result<Option<ClassNames>, Fault> {
        let numbers = self.attr_ints(numbers)?.filter(|names| !names.is_empty());
        let texts = self.attr_strings(texts)?.filter(|names| !names.is_empty());
        Ok(texts.map(ClassNames::Texts).or(numbers.map(ClassNames::Numbers)))
    }

    /// Indices of classes as what the model gives: where these are called after their indices, the indices.
    pub(super) fn named(&self, index: NodeId, names: ClassNames) -> Value {
        if names.are_indices() { Value::Tensor(index) } else { Value::Label(index, Rc::new(names)) }
    }

    /// How many classes an index may be of, where a value is one as it was found.
    pub(in crate::onnx::nodes) fn index_of(&self, x: NodeId) -> Option<usize> {
        let found = self.graph.node(x);
        match (&found.op, found.inputs.as_slice()) {
            (Op::Order(Order::ArgMax { axis }), [scores]) => self.shape(*scores).get(*axis).copied(),
            (Op::Order(Order::TopK { axis, indices: true, .. }), [scores]) => {
                self.shape(*scores).get(*axis).copied()
            }
            (Op::Movement(Movement::Reshape { .. }) | Op::Identity, [x]) => self.index_of(*x),
            // What is computed from an index is none.
            _ => None,
        }
    }

    /// Notes what the columns of a value are called, for the client.
    pub(super) fn name_columns(&mut self, value: String, names: &ClassNames) {
        self.graph.class_names.insert(value, names.clone());
    }
}

/// A dictionary for each row has the numbers of the row.
fn zip_map(node: &mut Node<'_>) -> Results {
    if let Some(names) = node.class_names("classlabels_int64s", "classlabels_strings")?
        && !names.are_indices()
    {
        let name = node.name.clone();
        node.name_columns(name, &names);
    }
    node.pass_on()
}

/// Constants picked by secret indices: names that the client looks up.
pub(super) fn looked_up(node: &mut Node<'_>) -> Results {
    let index = node.tensor(1)?;
    let names = match node.operand(0)? {
        Value::Opaque(opaque) => ClassNames::Texts(opaque.texts.to_vec()),
        Value::Int(ints) => ClassNames::Numbers(ints.data.clone()),
        Value::Tensor(id) => {
            match node.constant_of(*id) {
                Some(array) if array.data.iter().all(|v| v.fract() == 0.0 && v.abs() < (1 << 24) as f32) => {
                    ClassNames::Numbers(array.data.iter().map(|&v| v as i64).collect())
                }
                _ => {
                    return Err("picks by indices that depend on an input, which only names of classes can be picked by"
                    .into());
                }
            }
        }
        _ => return Err("picks by indices that depend on an input".into()),
    };
    // The largest with its axis kept is the largest, which the client finds.
    let found = node.graph.node(index);
    let index = match found.op {
        Op::Order(Order::TopK { axis, k: 1, largest: true, indices: true }) => {
            let scores = found.inputs.clone();
            node.add_part("class", Order::ArgMax { axis }, &scores)?
        }
        _ => index,
    };
    let count = node.shape(index).iter().product();
    let index = node.add(Movement::Reshape { shape: vec![1, count] }, &[index])?;
    Ok(vec![node.named(index, names)])
}
