//! How far a secure run is from the float model.

use std::path::Path;

use cryptflow_athos::Meaning;
use cryptflow_graph::{Array, Graph, NodeId, float};
use cryptflow_import::{ImportOptions, from_path};
use cryptflow_program::Program;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::job::given_shape;
use crate::labels::top;
use crate::report::Ranked;

/// The difference of two sets of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Rows of which the same class is the top one, or the same number the largest; absent where
    /// rows are about something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_top1: Option<usize>,
    /// Rows.
    pub rows: usize,
    /// Of what rows decide (the class of a row or of a pixel, on which side of 0.5 a probability
    /// is), that which is the same.
    pub same_choices: usize,
    /// All that rows decide; nothing where they hold numbers.
    pub choices: usize,
    /// Largest absolute difference of two elements.
    pub largest_difference: f64,
    /// Largest absolute element of the float model, for comparison.
    pub largest_logit: f64,
    /// The rows that decide otherwise.
    pub different: Vec<usize>,
    /// The float model's top class of each row; filled in by who knows the labels.
    pub top1: Vec<Ranked>,
}

impl Comparison {
    /// Compares two sets of rows of logits.
    pub fn new(secure: &[Vec<f32>], float: &[Vec<f32>]) -> Comparison {
        let best = |row: &[f32]| top(row, 1).iter().map(|&(class, _)| class).collect();
        let comparison = Comparison::by(secure, float, &best);
        Comparison { same_top1: Some(comparison.same_choices), ..comparison }
    }

    /// Compares two sets of rows; `choices` is what a row decides.
    pub fn by(secure: &[Vec<f32>], float: &[Vec<f32>], choices: &dyn Fn(&[f32]) -> Vec<usize>) -> Comparison {
        let mut comparison = Comparison { rows: secure.len(), ..Comparison::default() };
        for (row, (a, b)) in secure.iter().zip(float).enumerate() {
            let (ours, theirs) = (choices(a), choices(b));
            let same = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
            comparison.same_choices += same;
            comparison.choices += theirs.len();
            if same < theirs.len() {
                comparison.different.push(row);
            }
            for (&x, &y) in a.iter().zip(b) {
                let difference = (f64::from(x) - f64::from(y)).abs();
                comparison.largest_difference = comparison.largest_difference.max(difference);
                comparison.largest_logit = comparison.largest_logit.max(f64::from(y).abs());
            }
        }
        comparison
    }
}

/// The float model from which a program was compiled.
pub struct FloatModel {
    graph: Graph,
    /// Shapes of its inputs, in the program's order.
    shapes: Vec<Vec<usize>>,
}

impl FloatModel {
    /// What the numbers of each output say.
    pub fn meanings(&self) -> Vec<Meaning> {
        Meaning::of_outputs(&self.graph)
    }

    /// Reads the graph (of this signature, if it is a SavedModel and has another than the default; with
    /// inputs bound as `set` says), with the program's input shapes, up to the values that the program opens.
    ///
    /// # Errors
    /// The file is no model, or not the one that the program was compiled from.
    pub fn read(
        path: &Path,
        program: &Program,
        signature: Option<&str>,
        set: &[(String, String)],
    ) -> Result<FloatModel> {
        let value = |id: cryptflow_program::ValueId| {
            program.values.get(id.0).ok_or_else(|| Error::new("the compiled model is malformed"))
        };
        let (signature, set) = (signature.map(Into::into), set.to_vec());
        let mut options = ImportOptions { signature, set, ..ImportOptions::default() };
        let mut shapes = Vec::new();
        for input in &program.inputs {
            let shape = given_shape(program, input)?.to_vec();
            options.inputs.push((input.name.clone(), shape.clone()));
            shapes.push(shape);
        }
        options.outputs = program.outputs.iter().map(|output| output.name.clone()).collect();
        let mut graph = from_path(path, &options).map_err(|e| Error::import(path, &e))?;
        // The logits, where the model goes on to a softmax or an arg-max; they may be a part of what one of its
        // nodes is made of.
        let mut logits = Vec::with_capacity(program.outputs.len());
        for output in &program.outputs {
            logits.push(output.transform.map(|_| value(output.value)).transpose()?.map(|value| &value.name));
        }
        let node = |name: &String| graph.nodes.iter().position(|node| node.name == *name).map(NodeId);
        let of_output = |(logits, &own): (&Option<&String>, &NodeId)| logits.map_or(Some(own), node);
        match logits.iter().zip(&graph.outputs).map(of_output).collect::<Option<Vec<NodeId>>>() {
            Some(found) => graph.outputs = found,
            // The graph may have it under another name than the model.
            None => {
                for (output, logits) in options.outputs.iter_mut().zip(logits) {
                    if let Some(logits) = logits {
                        output.clone_from(logits);
                    }
                }
                graph = from_path(path, &options).map_err(|e| Error::import(path, &e))?;
            }
        }
        for (output, &id) in program.outputs.iter().zip(&graph.outputs) {
            let (compiled, found) = (&value(output.value)?.shape, &graph.node(id).shape);
            if compiled != found {
                let name = &output.name;
                let reason = format!(
                    "its output {name:?} has the shape {found:?}, and the compiled model's {compiled:?}: it was compiled from another"
                );
                return Err(Error::at(path, reason));
            }
        }
        Ok(FloatModel { graph, shapes })
    }

    /// The outputs of one batch, logits in the place of what the client makes of them. Inputs and
    /// outputs are in the program's order.
    ///
    /// # Errors
    /// The model cannot be evaluated on it.
    pub fn run(&self, batch: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        let inputs = self.shapes.iter().cloned().zip(batch).map(|(shape, data)| Array::new(shape, data));
        let inputs: Vec<Array> = inputs.collect::<std::result::Result<_, _>>().map_err(Error::new)?;
        let outputs = float::run(&self.graph, &inputs, &mut |_, _| ()).map_err(Error::new)?;
        Ok(outputs.into_iter().map(|output| output.data.to_vec()).collect())
    }
}
