//! A deployed model as the Open Inference Protocol has it: what it takes and gives, and what a request is to
//! it.

use cryptflow_arrays::npy::{Elements, NpyArray, WrittenAs};
use cryptflow_athos::answer;
use cryptflow_gateway::{Answer, Datatype, Failure, Model, Tensor, TensorSpec};
use cryptflow_graph::Array;
use cryptflow_party::deployment::Deployment;
use cryptflow_program::{Checked, Output};

use crate::batches::Batches;
use crate::error::Error;
use crate::input::{self, Given};
use crate::job::{self, Job};
use crate::report::Known;
use crate::report::{Answers, OutputReport, Report};

/// Any number of rows, as the protocol writes it.
const ANY: i64 = -1;

/// What is deployed under a name.
pub(super) struct Served {
    pub(super) deployment: Deployment,
    pub(super) program: Checked,
    /// What whoever gets an answer should hear.
    pub(super) warning: Option<String>,
}

fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::Defect(error.to_string())
}

/// What a client makes of an output. What the numbers mean beside that is in the model's own file, which the
/// gateway does not have.
fn known(output: &Output) -> Known<'static> {
    Known { transform: output.transform, ..Known::default() }
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
    /// What is told of it.
    pub(super) fn described(&self) -> Result<Model, Failure> {
        let batches = job::batches(&self.program).map_err(defect)?;
        let input = |spec: input::InputSpec| {
            let (row, counts) = batches.row(&spec.shape);
            TensorSpec { shape: shape(row, counts), name: spec.name, datatype: Datatype::Fp32 }
        };
        let inputs = job::specs(&self.program).map_err(defect)?.into_iter().map(input).collect();
        let outputs = self.program.outputs.iter().map(|output| self.output(output, &batches));
        Ok(Model {
            name: self.deployment.name.clone(),
            version: hex::encode(self.deployment.digest()),
            platform: format!("cryptflow_{}", self.deployment.protocol.name()),
            inputs,
            outputs: outputs.collect::<Result<_, _>>()?,
        })
    }

    fn output(&self, output: &Output, batches: &Batches) -> Result<TensorSpec, Failure> {
        let value =
            self.program.values.get(output.value.0).ok_or_else(|| defect("an output has no value"))?;
        let (row, counts) = batches.row(&value.shape);
        let one: Vec<usize> = counts.then_some(1).into_iter().chain(row.iter().copied()).collect();
        // What the client makes of zeros has the shape of what it makes of anything.
        let zeros = Array::filled(one, 0.0).map_err(defect)?;
        let given = answer(output.transform, zeros).map_err(defect)?.shape;
        let row = given.get(usize::from(counts).min(given.len())..).unwrap_or_default();
        let name = output.name.clone();
        Ok(TensorSpec { name, datatype: datatype(known(output).written_as()), shape: shape(row, counts) })
    }

    /// The rows of a request.
    pub(super) fn job(&self, inputs: &[Tensor]) -> Result<Job<'_>, Failure> {
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

    /// The answer to a request.
    pub(super) fn answer(
        &self,
        job: &Job<'_>,
        given: &job::Given,
        mut report: Report,
    ) -> Result<Answer, Failure> {
        if !given.left.is_empty() {
            let why = job.held_back(&given.left, None).unwrap_or_else(|error: Error| error);
            return Err(Failure::Held(why.to_string()));
        }
        let (mut outputs, mut reports) = (Vec::new(), Vec::new());
        for (results, output) in given.results.iter().zip(&self.program.outputs) {
            let known = known(output);
            reports.push(OutputReport::new(results, None, known).map_err(defect)?);
            let tensor = results.answered(known.transform).map_err(defect)?.tensor();
            outputs.push(Tensor {
                name: output.name.clone(),
                datatype: datatype(known.written_as()),
                shape: tensor.shape,
                data: tensor.data,
            });
        }
        report.answers = Answers::new(job.names(), reports);
        let warnings = report.warnings().into_iter().chain(self.warning.clone());
        Ok(Answer { outputs, warnings: warnings.collect() })
    }
}
