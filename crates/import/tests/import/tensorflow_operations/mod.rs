//! TensorFlow's operations, imported and run: tables of small graphs with what TensorFlow's
//! documentation says that they compute, a file for each family. Among them are the unit cases of the
//! first CrypTFlow system that fall to inference, those that it skipped too.

mod element;
mod known;
mod matrix;
mod movement;
mod normalisation;
mod reduction;
mod several;
mod window;

use super::graph_def::{Builder, numbers, outputs};
use cryptflow_graph::{Array, float};
use cryptflow_import::tensorflow::import;

/// Runs the graph of one operation `y` on inputs `a` and `b` (if it has them).
fn run(build: impl FnOnce(&mut Builder), inputs: &[Array]) -> Array {
    let mut b = Builder::default();
    build(&mut b);
    let graph = import(&b.bytes(), &outputs(&["y"])).unwrap_or_else(|e| panic!("{e}"));
    float::run(&graph, inputs, &mut |_, _| ()).unwrap().remove(0)
}

fn array(shape: &[usize], data: &[f32]) -> Array {
    Array::new(shape.to_vec(), data.to_vec()).unwrap()
}

fn test_input(shape: &[usize]) -> Array {
    array(shape, &numbers(shape.iter().product()))
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}
