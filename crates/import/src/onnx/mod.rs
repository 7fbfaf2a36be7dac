//! The importer of ONNX models: opset 7 and later of ONNX's own operators, those of `ai.onnx.ml`, and
//! the model's own functions.
//!
//! ONNX keeps pictures as batch, channels, height, width, and the graph keeps them with channels
//! last: an importer of a layer puts transposes around it, which the passes take away again, all
//! but the one at the input.

mod body;
mod control;
mod decode;
mod external;
pub mod messages;
mod nodes;
mod tensor;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use body::{Importer, Scope, needed};
pub(super) use control::DOCS as CONTROL;
use messages::{GraphProto, ValueInfoProto};
pub(super) use nodes::rows;

use super::budget::Budget;
use super::node::Value;
use super::survey::Survey;
use super::value::{Fault, fits};
use super::{Emptiness, ImportError, ImportOptions, unknown};
use cryptflow_graph::Graph;

/// The versions of ONNX's operators that are known here.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Imports an ONNX model. Constants that it keeps in other files are looked for in `folder`, and
/// only there.
///
/// Only the nodes that the outputs need are looked at. Those that cannot be imported are all
/// reported together. Truncated or foreign bytes are errors; nothing larger than the bytes justify
/// is allocated.
pub fn import(bytes: &[u8], folder: Option<&Path>, options: &ImportOptions) -> Result<Graph, ImportError> {
    read(bytes.into(), folder, options, |importer| importer.finish())
}

/// The same of bytes that are given away: they go before constants are made of what was read in them.
pub(super) fn import_given(
    bytes: Vec<u8>,
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Graph, ImportError> {
    read(bytes.into(), folder, options, |importer| importer.finish())
}

/// What can be said of every node of a model.
pub(super) fn survey(
    bytes: Vec<u8>,
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Survey, ImportError> {
    read(bytes.into(), folder, options, |importer| Ok(importer.survey()))
}

/// Imports a model as far as it goes; `finish` says what comes of it.
fn read<T>(
    bytes: Cow<'_, [u8]>,
    folder: Option<&Path>,
    options: &ImportOptions,
    finish: impl FnOnce(Importer<'_>) -> Result<T, ImportError>,
) -> Result<T, ImportError> {
    if let Some(signature) = &options.signature {
        return Err(ImportError::NotASavedModel(signature.clone()));
    }
    let model = decode::model(&bytes)?;
    let budget = Budget::of_file(bytes.len());
    drop(bytes);
    let Some(graph) = &model.graph else {
        return Err(ImportError::Empty(Emptiness::NoGraph));
    };
    let version = |of: fn(&str) -> bool| model.opset_import.iter().find(|o| of(&o.domain)).map(|o| o.version);
    // Trees alone need none of ONNX's own operators, and their exporters say no version of these.
    let classical = version(nodes::is_classical).map(|_| *OPSETS.end());
    let own = version(nodes::is_onnx).or(classical).unwrap_or(1);
    if !OPSETS.contains(&own) {
        return Err(ImportError::Opset { found: own, first: *OPSETS.start(), last: *OPSETS.end() });
    }
    finish(Model { graph, options }.run(Importer::new(&model, own, folder, budget))?)
}

struct Model<'a> {
    graph: &'a GraphProto,
    options: &'a ImportOptions,
}

impl<'a> Model<'a> {
    fn run(&self, mut importer: Importer<'a>) -> Result<Importer<'a>, ImportError> {
        let outputs = self.outputs()?;
        if outputs.is_empty() {
            return Err(ImportError::Empty(Emptiness::NoOutputs));
        }
        let given = self.given()?;
        importer.declare(self.graph, self.options.batch);
        let mut scope = Scope::default();
        let wanted: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let names = needed(&self.graph.node, &wanted, |name| given.contains_key(name));
        if let Some(unneeded) = given.keys().find(|&name| !names.contains(name.as_str())) {
            return Err(ImportError::UnneededInput(unneeded.clone()));
        }
        // The order of inputs: as the options name them, then as in the file.
        for (name, shape) in self.options.inputs.iter().filter_map(|(n, s)| Some((self.value(n)?, s))) {
            let dtype = self.info(&name).map_or(0, dtype);
            let value = match fits(shape) {
                Err(Fault::Unsupported(reason)) => importer.refuse(&name, "input", reason),
                _ => importer.input(&name, shape.clone(), dtype),
            };
            scope.set(&name, value);
        }
        for (name, text) in &self.options.set {
            let inputs = || self.graph.input.iter().map(|i| i.name.as_str()).collect();
            let input = self.info(name).ok_or_else(|| unknown("an input to bind", name, inputs()))?;
            let shape = match input
                .r#type
                .as_ref()
                .and_then(|t| t.tensor_type.as_ref())
                .and_then(|t| t.shape.as_ref())
            {
                Some(_) => match self.shape_of(input, &given) {
                    Ok(shape) => Some(shape),
                    // What is open takes as many numbers as there are.
                    Err(Fault::Unsupported(_) | Fault::Unknown) => None,
                    Err(Fault::Fatal(error)) => return Err(error),
                },
                None => None,
            };
            let value = importer.bound(name, dtype(input), text, shape)?;
            scope.set(name, value);
        }
        importer.initializers(self.graph, &mut scope, &names)?;
        for input in &self.graph.input {
            if names.contains(input.name.as_str()) && !scope.has(&input.name) {
                let value = match self.shape_of(input, &given) {
                    Ok(shape) => importer.input(&input.name, shape, dtype(input)),
                    Err(Fault::Unsupported(reason)) => importer.refuse(&input.name, "input", reason),
                    Err(Fault::Fatal(error)) => return Err(error),
                    Err(Fault::Unknown) => Value::Unknown,
                };
                scope.set(&input.name, value);
            }
        }
        importer.opened = outputs.iter().cloned().collect();
        importer.nodes(&self.graph.node, &mut scope, &names)?;
        for name in &outputs {
            importer.output(name, scope.get(name));
        }
        if given.keys().any(|name| self.info(name).is_none()) {
            importer.drop_unneeded_inputs(|name| given.contains_key(name));
        }
        Ok(importer)
    }

    /// The names of all values.
    fn names(&self) -> impl Iterator<Item = &str> {
        let inputs = self.graph.input.iter().map(|i| i.name.as_str());
        let results = self.graph.node.iter().flat_map(|n| &n.output).map(String::as_str);
        inputs.chain(results).filter(|n| !n.is_empty())
    }

    /// The value that a user means: by its name, or by the name of the node whose first result it
    /// is.
    fn value(&self, name: &str) -> Option<String> {
        if let Some(found) = self.names().find(|n| *n == name) {
            return Some(found.into());
        }
        let with_port = format!("{name}:0");
        if let Some(found) = self.names().find(|n| *n == with_port) {
            return Some(found.into());
        }
        let node = self.graph.node.iter().find(|n| n.name == name)?;
        node.output.first().filter(|n| !n.is_empty()).cloned()
    }

    fn outputs(&self) -> Result<Vec<String>, ImportError> {
        if self.options.outputs.is_empty() {
            return Ok(self.graph.output.iter().map(|o| o.name.clone()).collect());
        }
        // An output may be a constant that nothing computes.
        let constant = |name: &String| {
            let dense = self.graph.initializer.iter().map(|t| &t.name);
            let sparse = self.graph.sparse_initializer.iter().filter_map(|s| Some(&s.values.as_ref()?.name));
            dense.chain(sparse).find(|n| *n == name).cloned()
        };
        let found = |name: &String| self.value(name).or_else(|| constant(name));
        let find =
            |name: &String| found(name).ok_or_else(|| unknown("an output", name, self.names().collect()));
        self.options.outputs.iter().map(find).collect()
    }

    /// The shapes that the options give, by the name of the value.
    fn given(&self) -> Result<HashMap<String, &[usize]>, ImportError> {
        let entries = self.options.inputs.iter().map(|(name, shape)| match self.value(name) {
            Some(found) => Ok((found, shape.as_slice())),
            None => Err(unknown("an input", name, self.names().collect())),
        });
        entries.collect()
    }

    fn info(&self, name: &str) -> Option<&ValueInfoProto> {
        self.graph.input.iter().find(|i| i.name == name)
    }

    /// The shape of an input: open axes take the batch, or the length that a given shape has for
    /// the same name.
    fn shape_of(
        &self,
        input: &ValueInfoProto,
        given: &HashMap<String, &[usize]>,
    ) -> Result<Vec<usize>, Fault> {
        let name = &input.name;
        let Some(tensor) = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()) else {
            return Err("is an input that is no tensor. Only tensors can be shared between parties".into());
        };
        let Some(shape) = &tensor.shape else {
            return Err(format!("does not say its shape. Give it: --input {name}=N,C,H,W").into());
        };
        let rank = shape.dim.len();
        let mut lengths = Vec::with_capacity(rank);
        for (axis, dim) in shape.dim.iter().enumerate() {
            let fixed = dim.dim_value.filter(|&d| d >= 0 && dim.dim_param.is_empty());
            let fixed = fixed.and_then(|d| usize::try_from(d).ok());
            if let (Some(fixed), 0, true) = (fixed, axis, rank > 1)
                && let Some(asked) = self.options.batch.filter(|&b| b != fixed)
            {
                return Err(Fault::Fatal(ImportError::Batch { input: name.clone(), asked, fixed }));
            }
            let length = fixed.or_else(|| self.symbol(&dim.dim_param, given)).or(match axis {
                0 => Some(self.options.batch.unwrap_or(1)),
                _ => None,
            });
            match length {
                Some(length) => lengths.push(length),
                None => {
                    let symbol = if dim.dim_param.is_empty() {
                        "without a length".into()
                    } else {
                        format!("called {:?}", dim.dim_param)
                    };
                    let text: Vec<String> = (0..rank)
                        .map(|i| {
                            let known = shape.dim.get(i).and_then(|d| d.dim_value);
                            known.map_or(if i == 0 { "1".into() } else { "N".into() }, |d| d.to_string())
                        })
                        .collect();
                    return Err(format!(
                        "has an open axis {axis}, {symbol}, and only the first axis may be left open. Give the shape \
                         whole, with a number for each N: --input {name}={}",
                        text.join(",")
                    )
                    .into());
                }
            }
        }
        fits(&lengths)?;
        Ok(lengths)
    }

    /// The length that an axis of this name has in a shape that the options give, or as the batch.
    fn symbol(&self, symbol: &str, given: &HashMap<String, &[usize]>) -> Option<usize> {
        if symbol.is_empty() {
            return None;
        }
        let shape = |i: &ValueInfoProto| i.r#type.clone()?.tensor_type?.shape;
        let axis = |i: &ValueInfoProto| shape(i)?.dim.iter().position(|d| d.dim_param == symbol);
        let from_shape = self
            .graph
            .input
            .iter()
            .find_map(|input| given.get(input.name.as_str()).and_then(|s| s.get(axis(input)?)).copied());
        let is_batch = || self.graph.input.iter().any(|i| axis(i) == Some(0));
        from_shape.or_else(|| self.options.batch.filter(|_| is_batch()))
    }
}

/// The type of an input's elements as its number in `onnx.proto`.
fn dtype(input: &ValueInfoProto) -> i32 {
    input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).map_or(0, |t| t.elem_type)
}
