//! How far a secure run is from the float model.

use std::path::Path;

use cryptflow_graph::{Array, Graph, float};
use cryptflow_import::{ImportOptions, from_path};
use cryptflow_program::Program;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::labels::top;
use crate::report::Ranked;

/// The difference of two sets of logits.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Rows whose largest element is at the same place.
    pub same_top1: usize,
    /// Rows.
    pub rows: usize,
    /// Largest absolute difference of two elements.
    pub largest_difference: f64,
    /// Largest absolute element of the float model, for comparison.
    pub largest_logit: f64,
    /// The rows whose largest element is elsewhere.
    pub different: Vec<usize>,
    /// The float model's top class of each row; filled in by who knows the labels.
    pub top1: Vec<Ranked>,
}

impl Comparison {
    /// Compares two sets of rows of logits.
    pub fn new(secure: &[Vec<f32>], float: &[Vec<f32>]) -> Comparison {
        Comparison::by(secure, float, &|row| top(row, 1).first().map(|&(class, _)| class))
    }

    /// Compares two sets of rows; `best` is the class that a row is for.
    pub fn by(secure: &[Vec<f32>], float: &[Vec<f32>], best: &dyn Fn(&[f32]) -> Option<usize>) -> Comparison {
        let mut comparison = Comparison { rows: secure.len(), ..Comparison::default() };
        for (row, (a, b)) in secure.iter().zip(float).enumerate() {
            if best(a) == best(b) {
                comparison.same_top1 += 1;
            } else {
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
    /// Reads the graph (of this signature, if it is a SavedModel and has another than the default),
    /// with the program's input shapes, up to the values that the program opens.
    ///
    /// # Errors
    /// The file is no model, or not the one that the program was compiled from.
    pub fn read(path: &Path, program: &Program, signature: Option<&str>) -> Result<FloatModel> {
        let value = |id: cryptflow_program::ValueId| {
            program.values.get(id.0).ok_or_else(|| Error::new("the compiled model is malformed"))
        };
        let mut options = ImportOptions { signature: signature.map(Into::into), ..ImportOptions::default() };
        let mut shapes = Vec::new();
        for input in &program.inputs {
            let shape = &value(input.value)?.shape;
            options.inputs.push((input.name.clone(), shape.clone()));
            shapes.push(shape.clone());
        }
        for output in &program.outputs {
            // The logits, where the model goes on to a softmax or an arg-max.
            let logits = output.transform.map(|_| value(output.value)).transpose()?;
            options.outputs.push(logits.map_or(&output.name, |value| &value.name).clone());
        }
        let graph = from_path(path, &options).map_err(|e| Error::at(path, e))?;
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
