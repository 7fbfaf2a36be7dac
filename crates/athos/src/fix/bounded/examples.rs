//! Examples, and what the float model says to them.

use cryptflow_graph::{Array, Graph, NodeId};
use cryptflow_program::{OutputTransform, Program};
use cryptflow_ring::Movement;

use super::agreement::{Agreement, Allowed, Margins, Says, margin};
use crate::answer::{answer, numbers};
use crate::fix::Defect;
use crate::fix::options::{Accuracy, Tolerance};

/// An output as it is opened: the node whose value it is, and the movements from there to the
/// opened value.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// The output's name.
    pub(crate) name: String,
    pub(crate) node: NodeId,
    pub(crate) movements: Vec<Movement>,
    /// Shape of the opened value.
    pub(crate) shape: Vec<usize>,
    /// What the client makes of it.
    pub(crate) transform: Option<OutputTransform>,
    /// Whether its elements are integers, whatever the input.
    pub(crate) whole: bool,
}

impl Opened {
    /// What it says as it is opened, or as the client gives it on. Where decisions count, rows of numbers are
    /// scores, whoever takes the largest of them.
    fn says(&self, answered: bool, accuracy: Accuracy) -> Says {
        let last = self.shape.last().copied().unwrap_or(1);
        // A single axis is one of rows.
        let columns = Says::Columns(if self.shape.len() > 1 { last } else { 1 });
        match self.transform {
            Some(OutputTransform::Softmax) if last > 1 => Says::Classes(last),
            Some(OutputTransform::ArgMax | OutputTransform::TopK { .. }) if last > 1 && !answered => {
                Says::Classes(last)
            }
            None if accuracy == Accuracy::Labels && self.shape.len() > 1 && last > 1 && !self.whole => {
                Says::Classes(last)
            }
            // Indices are right or wrong, and no choice among classes any more.
            Some(
                OutputTransform::ArgMax
                | OutputTransform::TopK { .. }
                | OutputTransform::Softmax
                | OutputTransform::Class { .. },
            )
            | None => columns,
        }
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
        let array = Array::new(self.shape.clone(), opened.to_vec())?;
        Ok(answer(self.transform, array)?.data.to_vec())
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
    /// For each output, what errors are allowed.
    allowed: Vec<Allowed>,
    tolerance: Tolerance,
    accuracy: Accuracy,
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
        wanted: (&Tolerance, Accuracy),
    ) -> Result<Examples, Defect> {
        let of_example = |values: &Vec<Array>| {
            if values.len() != opened.len() {
                return Err(Defect::NoFloatValue);
            }
            opened.iter().zip(values).map(|(opened, value)| opened.moved(value)).collect()
        };
        let outputs = values.iter().map(of_example).collect::<Result<_, _>>()?;
        Ok(Examples::judged(inputs, opened, outputs, false, wanted))
    }

    /// The same examples, of which something else is wanted.
    pub(crate) fn wanted(self, wanted: (&Tolerance, Accuracy)) -> Examples {
        Examples::judged(self.inputs, self.opened, self.outputs, false, wanted)
    }

    /// Whether an output is a choice among classes, as decisions are to be kept.
    pub(crate) fn decide(&self) -> bool {
        let says = |opened: &Opened| opened.says(false, Accuracy::Labels);
        self.opened.iter().any(|opened| matches!(says(opened), Says::Classes(_)))
    }

    /// How far classes are apart, where decisions are to be kept: of the output where that is least.
    pub(crate) fn margins(&self) -> Option<Margins> {
        if self.accuracy == Accuracy::Exact {
            return None;
        }
        let of = |(index, opened): (usize, &Opened)| match opened.says(false, self.accuracy) {
            Says::Classes(classes) => Some(Margins::of_output(&self.of_output(index), classes)),
            Says::Columns(_) => None,
        };
        let all = self.opened.iter().enumerate().filter_map(of);
        all.min_by(|one, other| one.thinnest.total_cmp(&other.thinnest))
    }

    fn of_output(&self, index: usize) -> Vec<&[f32]> {
        self.outputs.iter().filter_map(|outputs| outputs.get(index)).map(Vec::as_slice).collect()
    }

    fn judged(
        inputs: Vec<Vec<Array>>,
        opened: Vec<Opened>,
        outputs: Vec<Vec<Vec<f32>>>,
        answered: bool,
        (tolerance, accuracy): (&Tolerance, Accuracy),
    ) -> Examples {
        let allowed = |(index, opened): (usize, &Opened)| {
            let values: Vec<&[f32]> =
                outputs.iter().filter_map(|outputs| outputs.get(index)).map(Vec::as_slice).collect();
            let says = opened.says(answered, accuracy);
            let allowed = Allowed::of(&opened.name, says, &values, (tolerance, accuracy));
            let probabilities = accuracy == Accuracy::Exact && !answered && !tolerance.is_strict();
            match opened.transform {
                Some(OutputTransform::Softmax) if probabilities => allowed.of_softmax(),
                Some(_) | None => allowed,
            }
        };
        let allowed = opened.iter().enumerate().map(allowed).collect();
        Examples { inputs, opened, outputs, allowed, tolerance: tolerance.clone(), accuracy }
    }

    /// What outputs say where the parties compute what a client would have applied to them.
    ///
    /// # Errors
    /// An answer that cannot be computed: a defect.
    pub(crate) fn answered(&self) -> Result<Examples, Defect> {
        let all = |outputs: &Vec<Vec<f32>>| {
            self.opened.iter().zip(outputs).map(|(opened, output)| opened.answer(output)).collect()
        };
        let outputs = self.outputs.iter().map(all).collect::<Result<_, _>>()?;
        let (inputs, opened) = (self.inputs.clone(), self.opened.clone());
        Ok(Examples::judged(inputs, opened, outputs, true, (&self.tolerance, self.accuracy)))
    }

    /// The examples with the thinnest margins, at most so many.
    pub(crate) fn hardest(&self, most: usize) -> Vec<usize> {
        let classes = |opened: &Opened| match opened.says(false, self.accuracy) {
            Says::Classes(classes) => Some(classes),
            Says::Columns(_) => None,
        };
        let classes: Vec<Option<usize>> = self.opened.iter().map(classes).collect();
        let thinnest = |outputs: &Vec<Vec<f32>>| {
            let rows = outputs.iter().zip(&classes).filter_map(|(o, n)| n.map(|n| o.chunks_exact(n.max(1))));
            rows.flatten().map(margin).fold(f64::INFINITY, f64::min)
        };
        let mut order: Vec<(usize, f64)> = self.outputs.iter().map(thinnest).enumerate().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        order.into_iter().take(most).map(|(index, _)| index).collect()
    }

    /// For each output's node, each element with a sign over what it may be off by; of all elements
    /// of an output together it comes to one.
    pub(crate) fn tolerances(&self, graph: &Graph, sign: &mut dyn FnMut() -> f64) -> Vec<(NodeId, Array)> {
        let start = |(opened, allowed): (&Opened, &Allowed)| {
            let mut shape = graph.node(opened.node).shape.clone();
            let count: usize = shape.iter().product();
            // Where each opened element comes from.
            let mut places: Vec<usize> = (0..count).collect();
            for movement in &opened.movements {
                places = movement.apply(&[(&shape, &places)]).ok()?;
                shape = movement.output_shape(&[&shape]).ok()?;
            }
            let all = (places.len() as f64).sqrt();
            let mut data = vec![0.0f32; count];
            for (at, &place) in places.iter().enumerate() {
                if let Some(element) = data.get_mut(place) {
                    *element += (sign() / (allowed.at(at) * all)) as f32;
                }
            }
            Some((opened.node, Array::new(graph.node(opened.node).shape.clone(), data).ok()?))
        };
        self.opened.iter().zip(&self.allowed).filter_map(start).collect()
    }

    /// For each output the fractional bits that mean something, where the tolerance says so; of integers none
    /// does.
    pub(crate) fn digits(&self) -> Vec<Option<u32>> {
        let of =
            |(opened, allowed): (&Opened, &Allowed)| if opened.whole { Some(0) } else { allowed.digits() };
        self.opened.iter().zip(&self.allowed).map(of).collect()
    }

    /// Adds what a program gave for one example to what is known of the agreement.
    pub(crate) fn add_to(
        &self,
        agreement: &mut Agreement,
        index: usize,
        outputs: &[Vec<i64>],
        program: &Program,
    ) {
        let floats = self.outputs.get(index).into_iter().flatten();
        for (output, ((float, fixed), allowed)) in floats.zip(outputs).zip(&self.allowed).enumerate() {
            let fixed: Vec<f64> = match program.outputs.get(output) {
                Some(declared) => match program.values.get(declared.value.0) {
                    Some(value) => numbers(declared, value, fixed),
                    None => Vec::new(),
                },
                None => Vec::new(),
            };
            agreement.add(output, allowed, float, &fixed);
        }
        agreement.examples += 1;
    }

    /// Where the largest error of an agreement is, as people read it.
    pub(crate) fn place(&self, agreement: &Agreement) -> String {
        let name = self.opened.get(agreement.output).map_or("", |opened| opened.name.as_str());
        match agreement.column {
            Some(column) => format!("output {name}, column {column}"),
            None => format!("output {name}"),
        }
    }
}
