//! Compiling.

use std::path::PathBuf;

use cryptflow::batches::Reader;
use cryptflow::clear_runner::ClearRunner;
use cryptflow::compare::FloatModel;
use cryptflow::compiling::{self, Wanted};
use cryptflow::input::{self, InputSpec};
use cryptflow::notation::{self, RoundWorth};
use cryptflow_athos::compile::{CompileOptions, Progress, Ring, Scale, Tolerance};
use cryptflow_athos::fix::{FixedRunner, LoadedProgram, RunError};
use cryptflow_import::ImportOptions;
use cryptflow_program::{Checked, Preprocessing, ValueId};
use pyo3::prelude::*;
use serde::Deserialize;

use crate::arrays::{self, Bytes};
use crate::failure::Failure;
use crate::program::{Model, Program};
use crate::waiting::{self, Teller};

/// What Python says of a compilation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    import: Import,
    rows: usize,
    range: Option<(f64, f64)>,
    accuracy: String,
    scale: Option<u32>,
    ring: Option<u32>,
    margin: Option<f64>,
    tolerance: Option<f64>,
    tolerances: Vec<(String, f64)>,
    weight_bits: Option<u32>,
    hide_logits: bool,
    guard: bool,
    network: String,
    name: Option<String>,
    preprocessing: Preprocessing,
    /// What the model is called in the report.
    source: String,
    /// The options, as they are shown in the report.
    given: Vec<(String, String)>,
    /// The file will not be there later, but somebody may want to compare.
    keep_float: bool,
}

/// What Python says of a model that is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    inputs: Vec<(String, Vec<usize>)>,
    outputs: Vec<String>,
    signature: Option<String>,
    batch: Option<usize>,
    #[serde(default)]
    set: Vec<(String, String)>,
}

impl From<Import> for ImportOptions {
    fn from(import: Import) -> ImportOptions {
        let Import { inputs, outputs, signature, batch, set } = import;
        ImportOptions { inputs, outputs, signature, batch, set }
    }
}

/// Compiles the model of a file. `options` is JSON; `examples` are inputs of the model, or nothing;
/// `progress` is called with how many of how many are done, and with what happens (of none, where
/// that is not known).
#[pyfunction]
pub(crate) fn compile(
    py: Python<'_>,
    model: PathBuf,
    options: &str,
    examples: Option<Vec<Bytes>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Program> {
    let options: Options = serde_json::from_str(options).map_err(|e| Failure::option(e).raise(py))?;
    waiting::work(py, progress, |teller| compiled(model, options, examples, teller)).map(Program::new)
}

fn compiled(
    path: PathBuf,
    options: Options,
    examples: Option<Vec<Bytes>>,
    teller: &Teller,
) -> Result<Model, Failure> {
    let (signature, set) = (options.import.signature.clone(), options.import.set.clone());
    let network = notation::network(&options.network);
    let RoundWorth(bits_per_round) =
        network.map_err(|e| Failure::option(format_args!("network={:?}: {e}", options.network)))?;
    let wanted = Wanted {
        model: path.clone(),
        import: options.import.into(),
        rows: options.rows,
        range: options.range,
        preprocessing: options.preprocessing,
        options: CompileOptions {
            name: options.name,
            accuracy: notation::accuracy(&options.accuracy)
                .map_err(|error| Failure::option(format_args!("accuracy={:?}: {error}", options.accuracy)))?,
            scale: options.scale.map_or(Scale::Auto, Scale::Bits),
            ring: options.ring.map_or(Ring::Auto, Ring::Bits),
            margin: options.margin,
            tolerance: Tolerance {
                share: options.tolerance.unwrap_or(Tolerance::default().share),
                outputs: options.tolerances,
            },
            weight_bits: options.weight_bits,
            hide_logits: options.hide_logits,
            guard: options.guard,
            bits_per_round,
            ..CompileOptions::default()
        },
    };
    let calibrated = examples.is_some();
    let mut given = arrays::given(examples.unwrap_or_default())?;
    let mut read = |specs: &[InputSpec]| input::arrays(std::mem::take(&mut given), specs);
    let examples: Option<Reader<'_>> = if calibrated { Some(&mut read) } else { None };
    let compiled = compiling::compile(&wanted, examples, &Watched::new(teller), &mut |progress| {
        teller.go_on();
        let (done, total) = match progress {
            Progress::Calibrating { done, total } => (done, total),
            Progress::Tried { .. } | Progress::Relaxing | Progress::Measuring => (0, 0),
        };
        teller.tell(done, total, || progress.to_string());
    })?;
    let float = match options.keep_float {
        true => Some(
            FloatModel::read(&path, &compiled.program, signature.as_deref(), &set)
                .map_err(Failure::program)?,
        ),
        false => None,
    };
    Ok(Model {
        report: Some(serde_json::to_value(&compiled.report).map_err(Failure::program)?),
        program: compiled.program,
        weights: Some(compiled.weights),
        source: options.source,
        given: options.given,
        float,
    })
}

/// Runs programs for the compiler, as the command does, and ends where Python wants no more.
struct Watched<'t> {
    runner: ClearRunner,
    teller: &'t Teller,
}

impl Watched<'_> {
    fn new(teller: &Teller) -> Watched<'_> {
        Watched { runner: ClearRunner, teller }
    }
}

impl FixedRunner for Watched<'_> {
    fn load<'a>(
        &'a self,
        program: &'a Checked,
        weights: &mut dyn Iterator<Item = Vec<i64>>,
    ) -> Result<Box<dyn LoadedProgram + 'a>, RunError> {
        let loaded = self.runner.load(program, weights)?;
        Ok(Box::new(WatchedProgram { loaded, teller: self.teller }))
    }
}

struct WatchedProgram<'a> {
    loaded: Box<dyn LoadedProgram + 'a>,
    teller: &'a Teller,
}

impl LoadedProgram for WatchedProgram<'_> {
    fn at_once(&self) -> usize {
        self.loaded.at_once()
    }

    fn beside(&self) -> usize {
        self.loaded.beside()
    }

    fn pass_over(&self, examples: usize) {
        self.loaded.pass_over(examples);
    }

    fn run_several(&self, examples: &[Vec<Vec<i64>>]) -> Result<Vec<Vec<Vec<i64>>>, RunError> {
        let mut all = Vec::with_capacity(examples.len());
        for examples in examples.chunks((self.at_once() * self.beside()).max(1)) {
            self.teller.go_on();
            all.extend(self.loaded.run_several(examples)?);
        }
        Ok(all)
    }

    fn run_watched(
        &self,
        inputs: &[Vec<i64>],
        watched: &dyn Fn(ValueId) -> bool,
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        let each_step = |id| {
            self.teller.go_on();
            watched(id)
        };
        self.loaded.run_watched(inputs, &each_step, observe)
    }
}
