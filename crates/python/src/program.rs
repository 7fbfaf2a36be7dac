//! A compiled model.

use std::path::PathBuf;
use std::sync::Arc;

use cryptflow::compare::FloatModel;
use cryptflow::compile_report::{self, Subject};
use cryptflow::input;
use cryptflow::job::{self as rows, Given, Job};
use cryptflow::listing::listing;
use cryptflow::report::{Kind, Report, Rows};
use cryptflow_athos::fix::report::CompileReport;
use cryptflow_engine::estimate;
use cryptflow_model_file as file;
use cryptflow_mpc::Party;
use cryptflow_program::Checked;
use cryptflow_protocols::ProtocolName;
use pyo3::prelude::*;

use crate::arrays::{self, Bytes};
use crate::failure::Failure;
use crate::job::{self, Outcome};
use crate::waiting;

/// Everything that is known of a compiled model.
pub(crate) struct Model {
    pub(crate) program: Checked,
    /// None in a public part.
    pub(crate) weights: Option<Vec<Vec<i64>>>,
    /// The compiler's report.
    pub(crate) report: Option<serde_json::Value>,
    /// Where it came from.
    pub(crate) source: String,
    /// The options of its compilation, as they are shown.
    pub(crate) given: Vec<(String, String)>,
    /// What it was compiled from, where that is kept.
    pub(crate) float: Option<FloatModel>,
}

impl Model {
    /// The weights.
    pub(crate) fn weights(&self) -> Result<&[Vec<i64>], Failure> {
        let missing = "this is the public part of a model, without its weights";
        self.weights.as_deref().ok_or_else(|| Failure::program(missing))
    }

    /// The rows that arrays hold.
    pub(crate) fn job(&self, inputs: Vec<Bytes>) -> Result<Job<'_>, Failure> {
        let mut given = arrays::given(inputs)?;
        let mut read = |specs: &[input::InputSpec]| input::arrays(std::mem::take(&mut given), specs);
        Ok(Job::read(&self.program, &mut read)?)
    }

    /// Puts together what is told of opened results.
    pub(crate) fn outcome(
        &self,
        job: &Job<'_>,
        given: &Given,
        report: Report,
        raw: bool,
    ) -> Result<Outcome, Failure> {
        if !given.left.is_empty() {
            let why = job.held_back(&given.left, self.weights.as_deref())?;
            return Err(Failure::new("input-held-back", why));
        }
        let known = job::known(&self.program, &job::meanings(self.report.as_ref()));
        let rows = job.columns().first().map(Vec::as_slice).unwrap_or_default();
        job::outcome(&known, &given.results, rows, report, raw)
    }
}

/// A compiled model.
#[pyclass(frozen, module = "cryptflow._native")]
pub(crate) struct Program {
    pub(crate) model: Arc<Model>,
}

impl Program {
    pub(crate) fn new(model: Model) -> Program {
        Program { model: Arc::new(model) }
    }
}

/// Reads a compiled model.
#[pyfunction]
pub(crate) fn load(py: Python<'_>, path: PathBuf) -> PyResult<Program> {
    let source = path.display().to_string();
    let model = py.detach(|| cryptflow::model_file::read(&path));
    let file::Model { program, weights, report } = model.map_err(|e| Failure::program(e).raise(py))?;
    Ok(Program::new(Model { program, weights, report, source, given: Vec::new(), float: None }))
}

/// The protocol of this name.
pub(crate) fn protocol(py: Python<'_>, name: &str) -> PyResult<ProtocolName> {
    name.parse().map_err(|e| Failure::option(e).raise(py))
}

#[pymethods]
impl Program {
    /// Writes the file of the model, whole or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let Model { program, report, .. } = &*self.model;
        let saved = py.detach(|| match &self.model.weights {
            Some(weights) => file::write(&path, program, weights, report.as_ref()),
            None => file::write_public(&path, program),
        });
        saved.map_err(|e| Failure::program(e).raise(py))
    }

    /// Everything about its steps and what they cost in a protocol, as JSON.
    fn listing(&self, py: Python<'_>, protocol: &str) -> PyResult<String> {
        let protocol = self::protocol(py, protocol)?;
        let Model { program, report, .. } = &*self.model;
        let text = py.detach(|| {
            let listing = listing(program, report.as_ref(), protocol)?;
            serde_json::to_string(&listing).map_err(Failure::bug)
        });
        text.map_err(|failure| failure.raise(py))
    }

    /// The page about it.
    fn page(&self, py: Python<'_>, protocol: &str) -> PyResult<String> {
        let protocol = self::protocol(py, protocol)?;
        let Model { program, report, source, given, .. } = &*self.model;
        let page = py.detach(|| {
            let Some(report) = report else {
                return Err(Failure::program("the file of this model holds no report: compile it again"));
            };
            let report: CompileReport = serde_json::from_value(report.clone()).map_err(Failure::program)?;
            let cost = estimate(program, protocol.costs(program.ring_bits, program.bits_per_round).as_ref())
                .map_err(Failure::program)?;
            let (source, options) = (source.clone(), given.clone());
            let subject = Subject { program, report: &report, protocol, cost: &cost, source, options };
            Ok(compile_report::page(&subject))
        });
        page.map_err(|failure| failure.raise(py))
    }

    /// What a run costs in a protocol: rounds, all bytes between parties, those that are dealt
    /// ahead, and the most that one party sends to another.
    fn cost(&self, py: Python<'_>, protocol: &str) -> PyResult<(u64, u64, u64, u64)> {
        let protocol = self::protocol(py, protocol)?;
        let program = &self.model.program;
        let costs = protocol.costs(program.ring_bits, program.bits_per_round);
        let cost = estimate(program, costs.as_ref()).map_err(|e| Failure::program(e).raise(py))?.total;
        let facts = protocol.facts();
        let parties = || (0..facts.parties).map(Party::new);
        let links = parties().flat_map(|from| parties().map(move |to| (from, to)));
        let busiest = links.map(|(from, to)| cost.bytes.between(from, to)).max().unwrap_or(0);
        Ok((cost.rounds, cost.total(), cost.dealt(facts.dealer), busiest))
    }

    /// How many rows a run takes, and whether the first axis of arrays counts rows.
    fn rows(&self, py: Python<'_>) -> PyResult<usize> {
        let batches = rows::batches(&self.model.program).map_err(|e| Failure::from(e).raise(py))?;
        Ok(batches.rows_a_run())
    }

    /// Of each input: its name, and the shape of a row.
    fn inputs(&self, py: Python<'_>) -> PyResult<Vec<(String, Vec<usize>)>> {
        let found = || {
            let batches = rows::batches(&self.model.program)?;
            let specs = rows::specs(&self.model.program)?;
            let input = |spec: input::InputSpec| (spec.name, batches.row(&spec.shape).0.to_vec());
            Ok(specs.into_iter().map(input).collect())
        };
        found().map_err(|e: cryptflow::Error| Failure::from(e).raise(py))
    }

    /// Of each output: its name, the shape of a row of what is opened, and what it is about.
    fn outputs(&self, py: Python<'_>) -> PyResult<Vec<(String, Vec<usize>, String)>> {
        let program = &self.model.program;
        let meanings = job::meanings(self.model.report.as_ref());
        let found = || {
            let batches = rows::batches(program)?;
            let outputs = rows::outputs(program)?.into_iter().zip(job::known(program, &meanings));
            let output = |((name, value), known): ((&str, &cryptflow_program::Value), _)| {
                let known: cryptflow::report::Known<'_> = known;
                let row = batches.row(&value.shape).0;
                let rows = Rows::opened(row, &value.shape, known.transform, known.meaning);
                (name.to_string(), row.to_vec(), kind(rows.kind(None)))
            };
            Ok(outputs.map(output).collect())
        };
        found().map_err(|e: cryptflow::Error| Failure::from(e).raise(py))
    }

    /// Runs it on plain integers, without any party.
    fn simulate(
        &self,
        py: Python<'_>,
        inputs: Vec<Bytes>,
        raw: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Outcome> {
        let model = &self.model;
        waiting::work(py, progress, |teller| {
            let job = model.job(inputs)?;
            let total = job.steps();
            let given = job.simulate(model.weights()?, &mut |done, step| {
                teller.go_on();
                teller.tell(done, total, || job::step(step));
            })?;
            model.outcome(&job, &given, Report::default(), raw)
        })
    }

    /// What the float model says: the one that it was compiled from, or that of a file.
    fn plain(
        &self,
        py: Python<'_>,
        inputs: Vec<Bytes>,
        raw: bool,
        path: Option<PathBuf>,
        signature: Option<&str>,
    ) -> PyResult<Outcome> {
        let model = &self.model;
        let signature = signature.map(str::to_string);
        waiting::work(py, None, |_| {
            let read;
            let float = match (path, &model.float) {
                (Some(path), _) => {
                    read = FloatModel::read(&path, &model.program, signature.as_deref(), &[])
                        .map_err(|e| Failure::new("model", e))?;
                    &read
                }
                (None, Some(float)) => float,
                (None, None) => {
                    return Err(Failure::option(
                        "this program was read from a file, which does not hold the float model: name the model that it was \
                         compiled from",
                    ));
                }
            };
            let job = model.job(inputs)?;
            let results = Given { results: job.float(float)?, left: Vec::new() };
            model.outcome(&job, &results, Report::default(), raw)
        })
    }

    /// The report of the compiler, as JSON.
    #[getter]
    fn report(&self) -> Option<String> {
        self.model.report.as_ref().map(ToString::to_string)
    }

    /// The name of the model.
    #[getter]
    fn name(&self) -> &str {
        &self.model.program.name
    }

    /// Where the model came from.
    #[getter]
    fn source(&self) -> &str {
        &self.model.source
    }
}

/// What an output is about, in a word.
fn kind(kind: Kind) -> String {
    let word = match kind {
        Kind::Classes => "classes",
        Kind::Class => "class",
        Kind::Decision => "decision",
        Kind::Probabilities => "probabilities",
        Kind::ClassMap => "class_map",
        Kind::IndexMap => "index_map",
        Kind::Mask => "mask",
        Kind::Indices => "indices",
        Kind::Flags => "flags",
        Kind::Numbers => "numbers",
    };
    word.to_string()
}
