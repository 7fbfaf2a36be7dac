//! Examples, what the float model says to them, and how far a program is from that.

use cryptflow_graph::{Activation, Array, NodeId, Op, Order};
use cryptflow_program::OutputTransform;
use cryptflow_ring::Movement;

use crate::fix::Defect;
use crate::fix::units::exp2;

/// An output as it is opened: the node whose value it is, and the movements from there to the
/// opened value.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) node: NodeId,
    pub(crate) movements: Vec<Movement>,
    /// Shape of the opened value.
    pub(crate) shape: Vec<usize>,
    /// What the client makes of it.
    pub(crate) transform: Option<OutputTransform>,
}

impl Opened {
    /// The number of classes (the last axis), where it is a choice among classes.
    fn classes(&self) -> Option<usize> {
        let last = self.shape.last().copied().filter(|&n| n > 1);
        last.filter(|_| self.transform.is_some() || self.shape.len() == 2)
    }

    /// The opened value in floats, for that of the node.
    fn moved(&self, value: &Array) -> Result<Vec<f32>, Defect> {
        let (mut shape, mut data) = (value.shape.clone(), value.data.to_vec());
        for movement in &self.movements {
            data = movement.apply(&[(&shape, &data)])?;
            shape = movement.output_shape(&[&shape])?;
        }
        Ok(data)
    }

    /// What a client makes of this opened value.
    fn answer(&self, opened: &[f32]) -> Result<Vec<f32>, Defect> {
        let op = match self.transform {
            None | Some(OutputTransform::Class { .. }) => return Ok(opened.to_vec()),
            Some(OutputTransform::Softmax) => Op::Activation(Activation::Softmax),
            Some(OutputTransform::ArgMax) => {
                Op::Order(Order::ArgMax { axis: self.shape.len().saturating_sub(1) })
            }
            Some(OutputTransform::TopK { axis, k, largest, indices }) => {
                Op::Order(Order::TopK { axis, k, largest, indices })
            }
        };
        let array = Array::new(self.shape.clone(), opened.to_vec())?;
        Ok(op.evaluate(&[&array])?.data.to_vec())
    }
}

/// Examples and what the float model says to them.
#[derive(Debug)]
pub(crate) struct Examples {
    /// For each example, one value for each input.
    pub(crate) inputs: Vec<Vec<Array>>,
    /// The outputs.
    opened: Vec<Opened>,
    /// For each example, each output in floats.
    outputs: Vec<Vec<Vec<f32>>>,
    /// For each output, the number of classes (the last axis), if it is a choice among classes at
    /// all.
    classes: Vec<Option<usize>>,
}

/// How far fixed point is from the float model, over all examples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Agreement {
    /// The largest error of an output.
    pub(crate) error: f64,
    /// The largest error that is allowed.
    pub(crate) tolerance: f64,
    /// Rows of outputs that are choices among classes.
    pub(crate) rows: usize,
    /// Rows with another arg-max, the float model's ties not counted.
    pub(crate) flips: usize,
}

impl Agreement {
    /// Whether fixed point agrees.
    pub(crate) fn holds(&self) -> bool {
        self.flips == 0 && self.error <= self.tolerance
    }
}

impl Examples {
    /// For each example its inputs, and the values of the nodes that outputs open, in the order of
    /// outputs.
    ///
    /// # Errors
    /// A value that is missing, or cannot be moved as it is opened: a defect.
    pub(crate) fn new(
        inputs: Vec<Vec<Array>>,
        values: &[Vec<Array>],
        opened: Vec<Opened>,
    ) -> Result<Examples, Defect> {
        let of_example = |values: &Vec<Array>| {
            if values.len() != opened.len() {
                return Err(Defect::NoFloatValue);
            }
            opened.iter().zip(values).map(|(opened, value)| opened.moved(value)).collect()
        };
        let outputs = values.iter().map(of_example).collect::<Result<_, _>>()?;
        let classes = opened.iter().map(Opened::classes).collect();
        Ok(Examples { inputs, opened, outputs, classes })
    }

    /// What outputs say where the parties compute what a client would have applied to them.
    ///
    /// # Errors
    /// An answer that cannot be computed: a defect.
    pub(crate) fn answered(&self) -> Result<Examples, Defect> {
        let all = |outputs: &Vec<Vec<f32>>| {
            self.opened.iter().zip(outputs).map(|(opened, output)| opened.answer(output)).collect()
        };
        // Indices are right or wrong, and no choice among classes any more.
        let chosen = |(classes, opened): (&Option<usize>, &Opened)| {
            classes.filter(|_| matches!(opened.transform, None | Some(OutputTransform::Softmax)))
        };
        Ok(Examples {
            inputs: self.inputs.clone(),
            opened: self.opened.clone(),
            outputs: self.outputs.iter().map(all).collect::<Result<_, _>>()?,
            classes: self.classes.iter().zip(&self.opened).map(chosen).collect(),
        })
    }

    /// Half the way from the best class to the second, row by row, of the float model's outputs
    /// that are choices.
    fn margins(&self) -> Vec<f64> {
        let mut margins = Vec::new();
        for outputs in &self.outputs {
            for (output, classes) in outputs.iter().zip(&self.classes) {
                let rows = classes.map(|n| output.chunks_exact(n.max(1)));
                margins.extend(rows.into_iter().flatten().map(margin));
            }
        }
        margins
    }

    /// The largest error that is allowed: a 64th of the median margin between the best and the
    /// second class; for outputs that are no choice among classes, a 256th of the largest output.
    pub(crate) fn tolerance(&self) -> f64 {
        let largest = self.outputs.iter().flatten().flatten().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
        let floor = largest / 65536.0;
        let mut margins = self.margins();
        margins.sort_by(f64::total_cmp);
        match margins.get(margins.len() / 2) {
            Some(median) => (median / 64.0).max(floor),
            None => largest / 256.0,
        }
    }

    /// The examples with the thinnest margins, at most so many.
    pub(crate) fn hardest(&self, most: usize) -> Vec<usize> {
        let thinnest = |outputs: &Vec<Vec<f32>>| {
            let rows =
                outputs.iter().zip(&self.classes).filter_map(|(o, n)| n.map(|n| o.chunks_exact(n.max(1))));
            rows.flatten().map(margin).fold(f64::INFINITY, f64::min)
        };
        let mut order: Vec<(usize, f64)> = self.outputs.iter().map(thinnest).enumerate().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        order.into_iter().take(most).map(|(index, _)| index).collect()
    }

    /// Adds what a program of this scale gave for one example to what is known of the agreement.
    pub(crate) fn add_to(&self, agreement: &mut Agreement, index: usize, outputs: &[Vec<i64>], scale: u32) {
        let unit = exp2(scale);
        for ((float, fixed), classes) in self.outputs[index].iter().zip(outputs).zip(&self.classes) {
            let fixed: Vec<f64> = fixed.iter().map(|&v| v as f64 / unit).collect();
            let largest = float.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
            if float.len() != fixed.len() {
                agreement.error = f64::INFINITY;
            }
            for (&a, b) in float.iter().zip(&fixed) {
                agreement.error = agreement.error.max((f64::from(a) - b).abs());
            }
            let Some(classes) = *classes else { continue };
            for (float, fixed) in float.chunks_exact(classes.max(1)).zip(fixed.chunks_exact(classes.max(1))) {
                agreement.rows += 1;
                let reals: Vec<f64> = float.iter().map(|&v| v.into()).collect();
                let tie = margin(float) <= largest / 1024.0;
                if !tie && arg_max(&reals) != arg_max(fixed) {
                    agreement.flips += 1;
                }
            }
        }
    }
}

/// The distance between the largest and the second largest number.
fn margin(row: &[f32]) -> f64 {
    let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for v in row.iter().map(|&v| f64::from(v)) {
        if v > first {
            (first, second) = (v, first);
        } else if v > second {
            second = v;
        }
    }
    first - second
}

fn arg_max(row: &[f64]) -> Option<usize> {
    row.iter()
        .enumerate()
        .fold(None, |best: Option<(usize, f64)>, (i, &v)| match best {
            Some((_, most)) if most >= v => best,
            _ => Some((i, v)),
        })
        .map(|(i, _)| i)
}
