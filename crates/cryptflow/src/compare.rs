//! How far a secure run is from the float model.

use std::path::Path;

use cryptflow_athos::import::{ImportOptions, from_path};
use cryptflow_athos::{Array, Graph, float};
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
    /// Compares two sets of rows.
    pub fn new(secure: &[Vec<f32>], float: &[Vec<f32>]) -> Comparison {
        let mut comparison = Comparison { rows: secure.len(), ..Comparison::default() };
        for (row, (a, b)) in secure.iter().zip(float).enumerate() {
            let best = |x: &[f32]| top(x, 1).first().map(|&(class, _)| class);
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
    shape: Vec<usize>,
}

impl FloatModel {
    /// Reads the graph (of this signature, if it is a SavedModel and has another than the default), with the program's input
    /// shape, up to the value that the program opens first.
    ///
    /// # Errors
    /// The file is no model, or not the one that the program was compiled from.
    pub fn read(path: &Path, program: &Program, signature: Option<&str>) -> Result<FloatModel> {
        let value = |id: cryptflow_program::ValueId| {
            program.values.get(id.0).ok_or_else(|| Error::new("the compiled model is malformed"))
        };
        let mut options = ImportOptions { signature: signature.map(Into::into), ..ImportOptions::default() };
        let mut shape = Vec::new();
        for input in &program.inputs {
            shape = value(input.value)?.shape.clone();
            options.inputs.push((input.name.clone(), shape.clone()));
        }
        for output in program.outputs.iter().take(1) {
            // The logits, where the model goes on to a softmax or an arg-max.
            options.outputs.push(value(output.value)?.name.clone());
        }
        let graph = from_path(path, &options).map_err(|e| Error::at(path, e))?;
        Ok(FloatModel { graph, shape })
    }

    /// The logits of one batch.
    ///
    /// # Errors
    /// The model cannot be evaluated on it.
    pub fn run(&self, batch: Vec<f32>) -> Result<Vec<f32>> {
        let input = Array::new(self.shape.clone(), batch).map_err(Error::new)?;
        let outputs = float::run(&self.graph, &[input], &mut |_, _| ()).map_err(Error::new)?;
        let logits = outputs.into_iter().next().ok_or_else(|| Error::new("the float model has no output"))?;
        Ok(logits.data.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_by_row() {
        let secure = [vec![0.0, 1.0], vec![2.0, 1.5], vec![-3.0, 0.0]];
        let float = [vec![0.0, 1.0], vec![1.0, 1.5], vec![-3.5, 0.0]];
        assert_eq!(
            Comparison::new(&secure, &float),
            Comparison {
                same_top1: 2,
                rows: 3,
                largest_difference: 1.0,
                largest_logit: 3.5,
                different: vec![1],
                top1: vec![]
            }
        );
    }
}
