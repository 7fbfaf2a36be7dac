//! The operators of `ai.onnx.ml`, in which scikit-learn, XGBoost, LightGBM and CatBoost export what they have
//! trained: linear models, trees, support vector machines, and what stands before and behind them.
//!
//! All of them become operations that the graph has already.

mod classes;
mod encode;
mod forest;
mod linear;
mod prepare;
mod read_trees;
mod scores;
mod svm;
mod tree;

use super::{Node, Row};
use crate::value::Fault;
use cryptflow_graph::NodeId;
use cryptflow_ring::Movement;

/// What these operators' domain is called.
pub(in crate::onnx) const DOMAIN: &str = "ai.onnx.ml";

pub(super) const TABLES: &[&[Row]] =
    &[linear::TABLE, tree::TABLE, svm::TABLE, prepare::TABLE, encode::TABLE, classes::TABLE];

impl Node<'_> {
    /// An operand as rows of columns, `[rows, columns]`; a single row may have one axis.
    fn rows(&mut self, i: usize) -> Result<(NodeId, [usize; 2]), Fault> {
        let x = self.tensor(i)?;
        match *self.shape(x) {
            [rows, columns] => Ok((x, [rows, columns])),
            [columns] => {
                let shape = vec![1, columns];
                Ok((self.move_part("row", Movement::Reshape { shape }, x)?, [1, columns]))
            }
            ref shape => Err(format!("its operand has the shape {shape:?}, not rows of columns").into()),
        }
    }

    /// Numbers that an attribute must have.
    fn needed_floats(&self, name: &str) -> Result<Vec<f32>, Fault> {
        self.attr_floats(name)?.ok_or_else(|| lacks(name))
    }

    /// The same of whole numbers.
    fn needed_integers(&self, name: &str) -> Result<Vec<i64>, Fault> {
        self.attr_ints(name)?.ok_or_else(|| lacks(name))
    }
}

fn lacks(name: &str) -> Fault {
    format!("lacks the attribute {name:?}: the file is damaged").into()
}
