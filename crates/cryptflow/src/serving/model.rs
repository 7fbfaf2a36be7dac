//! A deployed model as the Open Inference Protocol has it: what it takes and gives, and what a request is to
//! it.

use std::path::PathBuf;

use cryptflow_arrays::npy::{Elements, Names, NpyArray, WrittenAs};
use cryptflow_athos::{Meaning, answer};
use cryptflow_gateway::{Answer, Datatype, Failure, Model, Tensor, TensorSpec};
use cryptflow_graph::Array;
use cryptflow_party::deployment::Deployment;
use cryptflow_program::{Checked, Output};

use crate::batches::Batches;
use crate::deployed::Described;
use crate::error::{Error, Result};
use crate::input::{self, Given};
use crate::job::{self, Job};
use crate::labels::Labels;
use crate::report::{Answers, Known, OutputReport, Report, Rows, named};

/// What programs and people are told, or why they are not.
type Told<T> = std::result::Result<T, Failure>;

/// Any number of rows, as the protocol writes it.
const ANY: i64 = -1;

/// The file with the names of a model's classes, where there is one.
pub(super) type LabelsOf = Option<PathBuf>;

/// What is deployed under a name.
pub(super) struct Served {
    pub(super) deployment: Deployment,
    pub(super) program: Checked,
    /// What whoever gets an answer should hear.
    pub(super) warning: Option<String>,
    /// Names of classes, and the outputs that they are for.
    labels: Option<(Labels, Vec<bool>)>,
    /// What the program itself calls the classes of each output.
    own: Vec<Option<Labels>>,
}

fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::Defect(error.to_string())
}

fn datatype(kind: WrittenAs) -> Datatype {
    match kind {
        WrittenAs::Float32 => Datatype::Fp32,
        WrittenAs::Int32 => Datatype::Int32,
        WrittenAs::Int64 => Datatype::Int64,
        WrittenAs::Bool => Datatype::Bool,
    }
}

/// A shape as the protocol writes it: any number of rows, where the first axis counts them.
fn shape(row: &[usize], counts: bool) -> Vec<i64> {
    let rows = counts.then_some(ANY);
    rows.into_iter().chain(row.iter().map(|&n| n as i64)).collect()
}

impl Served {
    /// What the parties keep, with the names of its classes.
    ///
    /// # Errors
    /// The names cannot be read, or do not go with any output.
    pub(super) fn new(described: Described, labels: &LabelsOf) -> Result<Served> {
        let Described { deployment, program, warning, .. } = described;
        let labels = match labels {
            None => None,
            Some(file) => {
                let (outputs, batches) = (job::outputs(&program)?, job::batches(&program)?);
                let rows: Vec<Rows<'_>> = (outputs.iter().zip(&program.outputs))
                    .map(|((_, value), output)| {
                        let row = batches.row(&value.shape).0;
                        Rows::opened(row, &value.shape, output.transform, Meaning::default())
                    })
                    .collect();
                let counts: Vec<usize> = rows.iter().filter_map(Rows::names).collect();
                let labels = Labels::read(file, &counts).map_err(Error::new)?;
                let named = named(&rows, labels.count());
                Some((labels, named))
            }
        };
        let own = program.outputs.iter().map(|output| output.classes.as_ref().map(Labels::of)).collect();
        Ok(Served { deployment, program, warning, labels, own })
    }

    /// What a client makes of an output. What the numbers mean beside that is in the model's own file, which
    /// the gateway does not have.
    fn known<'a>(&'a self, index: usize, output: &'a Output) -> Known<'a> {
        let labels = match &self.labels {
            Some((labels, named)) => Some(labels).filter(|_| named.get(index) == Some(&true)),
            None => self.own.get(index).and_then(Option::as_ref),
        };
        Known { transform: output.transform, labels, classes: output.classes.as_ref(), ..Known::default() }
    }

    /// What is told of it.
    pub(super) fn described(&self) -> Told<Model> {
        let batches = job::batches(&self.program).map_err(defect)?;
        let input = |spec: input::InputSpec| {
            let (row, counts) = batches.row(&spec.shape);
            TensorSpec { shape: shape(row, counts), name: spec.name, datatype: Datatype::Fp32 }
        };
        let inputs = job::specs(&self.program).map_err(defect)?.into_iter().map(input).collect();
        let outputs = self.program.outputs.iter().enumerate();
        let outputs = outputs.map(|(index, output)| self.output(index, output, &batches));
        Ok(Model {
            name: self.deployment.name.clone(),
            version: hex::encode(self.deployment.digest()),
            platform: format!("cryptflow_{}", self.deployment.protocol.name()),
            inputs,
            outputs: outputs.collect::<Told<_>>()?,
        })
    }

    fn output(&self, index: usize, output: &Output, batches: &Batches) -> Told<TensorSpec> {
        let value =
            self.program.values.get(output.value.0).ok_or_else(|| defect("an output has no value"))?;
        let (row, counts) = batches.row(&value.shape);
        let one: Vec<usize> = counts.then_some(1).into_iter().chain(row.iter().copied()).collect();
        // What the client makes of zeros has the shape of what it makes of anything.
        let zeros = Array::filled(one, 0.0).map_err(defect)?;
        let given = answer(output.transform, zeros).map_err(defect)?.shape;
        let row = given.get(usize::from(counts).min(given.len())..).unwrap_or_default();
        let name = output.name.clone();
        Ok(TensorSpec {
            name,
            datatype: datatype(self.known(index, output).written_as()),
            shape: shape(row, counts),
        })
    }

    /// The rows of a request.
    pub(super) fn job(&self, inputs: &[Tensor]) -> Told<Job<'_>> {
        let given = |tensor: &Tensor| {
            // Bytes are pixels, as in files.
            let elements = match tensor.datatype {
                Datatype::Uint8 => Elements::Bytes(tensor.data.iter().map(|&v| v as u8).collect()),
                _ => Elements::Floats(tensor.data.clone()),
            };
            let array = NpyArray { shape: tensor.shape.clone(), elements };
            Given { input: Some(tensor.name.clone()), label: format!("input {:?}", tensor.name), array }
        };
        let mut all: Vec<Given> = inputs.iter().map(given).collect();
        let mut read = |specs: &[input::InputSpec]| input::arrays(std::mem::take(&mut all), specs);
        Job::read(&self.program, &mut read).map_err(|error| Failure::Request(error.to_string()))
    }

    /// The answer to a request, and the report with it.
    pub(super) fn answer(
        &self,
        job: &Job<'_>,
        given: &job::Given,
        mut report: Report,
    ) -> Told<(Answer, Report)> {
        if !given.left.is_empty() {
            let why = job.held_back(&given.left, None).unwrap_or_else(|error: Error| error);
            return Err(Failure::Held(why.to_string()));
        }
        let (mut outputs, mut reports) = (Vec::new(), Vec::new());
        for (index, (results, output)) in given.results.iter().zip(&self.program.outputs).enumerate() {
            let known = self.known(index, output);
            reports.push(OutputReport::new(results, None, known).map_err(defect)?);
            let mut tensor = results.answered(known.transform).map_err(defect)?.tensor();
            // Texts are told by the report: a tensor of these has their indices.
            if let Some(Names::Numbers(numbers)) = known.written_names() {
                for index in &mut tensor.data {
                    let number = numbers.get(index.round() as usize);
                    *index = *number.ok_or_else(|| defect("a class has no name"))? as f32;
                }
            }
            outputs.push(Tensor {
                name: output.name.clone(),
                datatype: datatype(known.written_as()),
                shape: tensor.shape,
                data: tensor.data,
            });
        }
        report.answers = Answers::new(job.names(), reports);
        let warnings = report.warnings().into_iter().chain(self.warning.clone()).collect();
        Ok((Answer { outputs, warnings }, report))
    }
}
