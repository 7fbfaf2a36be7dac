//! Categories: as flags, and as other numbers or names.

use std::collections::HashMap;
use std::rc::Rc;

use cryptflow_ring::Movement;

use super::Node;
use crate::compose::MATRIX_PRODUCT;
use crate::docs as doc;
use crate::node::{Results, Value};
use crate::onnx::nodes::{Gives, Number, Row, row};
use crate::onnx::tensor::read_constant;
use crate::tensor::Constant;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Array, ClassNames, Comparison, NodeId};

pub(super) const TABLE: &[Row] = &[
    row("OneHotEncoder", one_hot, doc::COMPARISON.note(doc::notes::CATEGORIES))
        .gives(Gives::All(Number::Float)),
    row("LabelEncoder", label, doc::COMPARISON.note(doc::notes::RELABELLED)).gives(Gives::All(Number::Float)),
];

/// What is said of texts in a table of categories.
const TEXTS: &str = "has categories that are texts, which no party can compare. Encode them before the input, and cut the \
                     graph behind it with --input NAME=SHAPE";

/// A flag for each category, along a new last axis.
fn one_hot(node: &mut Node<'_>) -> Results {
    let Some(categories) = node.attr_ints("cats_int64s")?.filter(|c| !c.is_empty()) else {
        return Err(TEXTS.into());
    };
    let x = node.tensor(0)?;
    let shape = [node.shape(x), &[1]].concat();
    let each = node.move_part("each", Movement::Reshape { shape }, x)?;
    let categories: Vec<f32> = categories.into_iter().map(|c| c as f32).collect();
    let categories = node.add_constant("categories", Array::vector(categories));
    node.result(Arithmetic::Compare(Comparison::Equal), &[each, categories])
}

/// What categories are called, on one side of a table.
#[derive(Clone, Debug, PartialEq)]
enum Names {
    Numbers(Vec<f32>),
    Texts(Vec<String>),
}

impl Names {
    fn len(&self) -> usize {
        match self {
            Names::Numbers(numbers) => numbers.len(),
            Names::Texts(texts) => texts.len(),
        }
    }
}

/// One side of the table, in whichever attribute it is.
fn side(node: &Node<'_>, side: &str) -> Result<Names, Fault> {
    let name = |kind: &str| format!("{side}_{kind}");
    if let Some(texts) = node.attr_strings(&name("strings"))?.filter(|v| !v.is_empty()) {
        return Ok(Names::Texts(texts));
    }
    if let Some(numbers) = node.attr_ints(&name("int64s"))?.filter(|v| !v.is_empty()) {
        return Ok(Names::Numbers(numbers.into_iter().map(|v| v as f32).collect()));
    }
    if let Some(numbers) = node.attr_floats(&name("floats"))?.filter(|v| !v.is_empty()) {
        return Ok(Names::Numbers(numbers));
    }
    let tensor = name("tensor");
    let message = node.attr_tensor(&tensor)?.ok_or_else(|| super::lacks(&tensor))?;
    Ok(match read_constant(message, node.message.folder)? {
        Constant::Float(array) => Names::Numbers(array.data.to_vec()),
        Constant::Int(ints) => Names::Numbers(ints.data.into_iter().map(|v| v as f32).collect()),
        Constant::Opaque(opaque) => Names::Texts(opaque.texts.to_vec()),
    })
}

/// Other numbers or names in place of categories; what is in no row of the table gets a default.
fn label(node: &mut Node<'_>) -> Results {
    let (keys, values) = (side(node, "keys")?, side(node, "values")?);
    if keys.len() != values.len() || keys.len() == 0 {
        return Err(Node::wrong("keys"));
    }
    match (node.operand(0)?.clone(), keys, values) {
        (Value::Label(index, names), keys, values) => {
            let of_name = |text: String, number: Option<f32>| match &keys {
                Names::Texts(keys) => keys.iter().position(|k| *k == text),
                Names::Numbers(keys) => number.and_then(|n| keys.iter().position(|&k| k == n)),
            };
            let places: Vec<Option<usize>> = match &*names {
                ClassNames::Texts(texts) => texts.iter().map(|t| of_name(t.clone(), None)).collect(),
                ClassNames::Numbers(n) => n.iter().map(|n| of_name(n.to_string(), Some(*n as f32))).collect(),
            };
            renamed(node, index, &places, &values)
        }
        (_, Names::Texts(_), _) => Err(TEXTS.into()),
        (_, Names::Numbers(keys), values @ Names::Texts(_)) => {
            let x = node.tensor(0)?;
            let Some(classes) = node.index_of(x) else {
                return Err(
                    "names numbers that are no indices of classes, which the client could not look up".into(),
                );
            };
            let places: Vec<_> = (0..classes).map(|i| keys.iter().position(|&k| k == i as f32)).collect();
            renamed(node, x, &places, &values)
        }
        (_, Names::Numbers(keys), Names::Numbers(values)) => renumbered(node, &keys, &values),
    }
}

/// Indices under the names that the table has in these places.
fn renamed(node: &Node<'_>, index: NodeId, places: &[Option<usize>], values: &Names) -> Results {
    let names = match values {
        Names::Texts(texts) => {
            let default = node.attr_text("default_string", "_Unused")?.to_owned();
            let name = |at: &Option<usize>| at.and_then(|at| texts.get(at)).unwrap_or(&default).clone();
            ClassNames::Texts(places.iter().map(name).collect())
        }
        Names::Numbers(numbers) => {
            let default = node.attr_int("default_int64", -1)?;
            let name = |at: &Option<usize>| at.and_then(|at| numbers.get(at)).map_or(default, |&v| v as i64);
            ClassNames::Numbers(places.iter().map(name).collect())
        }
    };
    Ok(vec![match names {
        names if names.are_indices() => Value::Tensor(index),
        names => Value::Label(index, Rc::new(names)),
    }])
}

/// `default + Σ [x = key] · (value − default)`.
fn renumbered(node: &mut Node<'_>, keys: &[f32], values: &[f32]) -> Results {
    let default = match node.attr_float("default_float", 0.0)? {
        0.0 if node.has_attribute("values_int64s") => node.attr_int("default_int64", -1)? as f32,
        number => number,
    };
    let mut seen = HashMap::new();
    for (key, value) in keys.iter().zip(values) {
        if key.is_nan() || seen.insert(key.to_bits(), *value).is_some_and(|other| other != *value) {
            return Err("has keys that are no numbers, or that have two values".into());
        }
    }
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let count = shape.iter().product();
    let each = node.move_part("each", Movement::Reshape { shape: vec![count, 1] }, x)?;
    let table = node.add_constant("keys", Array::vector(keys.to_vec()));
    let equal = node.add_part("equal", Arithmetic::Compare(Comparison::Equal), &[each, table])?;
    let data = values.iter().map(|v| v - default).collect();
    let weights = node.add_constant("values", Array::new(vec![values.len(), 1], data)?);
    let sum = node.add_part("sum", MATRIX_PRODUCT, &[equal, weights])?;
    let default = node.add_number("default", default);
    let sum = node.add_part("with_default", Arithmetic::Add, &[sum, default])?;
    node.result(Movement::Reshape { shape }, &[sum])
}
