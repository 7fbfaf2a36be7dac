//! The networks of a folder, and how they are compiled for the benchmark.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::clear_runner::ClearRunner;
use crate::compare::FloatModel;
use crate::error::{Error, Result};
use crate::examples;
use crate::input::{self, InputSpec};
use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, Ring, Scale, compile as compile_graph};
use cryptflow_bench::published;
use cryptflow_import::{self as import, ImportOptions};
use cryptflow_program::{Batch, Preprocessing};

/// Examples that the compiler takes its bounds from, at most.
const CALIBRATION_ROWS: usize = 64;

/// The files of a network.
#[derive(Debug, PartialEq)]
pub(super) struct Files {
    pub(super) name: String,
    pub(super) model: PathBuf,
    calibration: PathBuf,
    pub(super) examples: PathBuf,
}

/// A network that can be run.
pub(super) struct Ready {
    pub(super) compiled: Compiled,
    /// Time to compile it.
    pub(super) seconds: f64,
    /// Inputs.
    pub(super) examples: Vec<Vec<f32>>,
    /// What the float model says of them.
    pub(super) expected: Vec<Vec<f32>>,
}

/// The networks of a folder: the published ones first, in their order, then all others. `only`
/// chooses, where it names any.
pub(super) fn find(folder: &Path, only: &[String]) -> Result<Vec<Files>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::at(folder, e))? {
        let model = entry.map_err(|e| Error::at(folder, e))?.path();
        let Some(name) = model.file_stem().and_then(|s| s.to_str()).map(String::from) else { continue };
        if model.extension().is_some_and(|e| e == "pb") && (only.is_empty() || only.contains(&name)) {
            let [calibration, examples] = ["calibration.npy", "npy"].map(|e| model.with_extension(e));
            found.push(Files { name, model, calibration, examples });
        }
    }
    if let Some(missing) = only.iter().find(|&name| found.iter().all(|f| f.name != *name)) {
        return Err(Error::at(folder, format!("there is no {missing}.pb")));
    }
    if found.is_empty() {
        return Err(Error::at(folder, "there are no networks (.pb); models/paper/make.py makes them"));
    }
    found.sort_by_key(|f| (published::place(&f.name), f.name.clone()));
    Ok(found)
}

/// Compiles a network for batches of one row, as `cryptflow compile` does, and reads examples for
/// so many runs.
pub(super) fn compile(files: &Files, scale: Scale, weight_bits: u32, runs: usize) -> Result<Ready> {
    let begun = Instant::now();
    let options = ImportOptions { batch: Some(1), ..ImportOptions::default() };
    let mut graph = import::from_path(&files.model, &options).map_err(|e| Error::at(&files.model, e))?;
    cryptflow_athos::passes::optimise(&mut graph);
    if graph.inputs.len() != 1 {
        let reason =
            format!("it has {} inputs, and the benchmark runs networks with one", graph.inputs.len());
        return Err(Error::at(&files.model, reason));
    }
    let none = Preprocessing::default();
    let read = |file: &Path, rows| {
        let mut read = |specs: &[InputSpec]| input::columns(&[file.to_path_buf()], specs);
        examples::read(&graph, &mut read, &none, rows, Batch::Rows).map_err(Error::new)
    };
    let bounds = Bounds::Examples(read(&files.calibration, CALIBRATION_ROWS)?);
    let rows = read(&files.examples, runs)?;
    let options = CompileOptions {
        name: Some(files.name.clone()),
        scale,
        // That of the published figures.
        ring: Ring::Bits(64),
        weight_bits: Some(weight_bits),
        ..CompileOptions::default()
    };
    let compiled = compile_graph(&graph, bounds, &options, &ClearRunner, &mut |_| ())
        .map_err(|e| Error::at(&files.model, e))?;
    let seconds = begun.elapsed().as_secs_f64();

    let float = FloatModel::read(&files.model, &compiled.program, None, &[])?;
    let examples: Vec<Vec<f32>> =
        rows.into_iter().filter_map(|row| row.into_iter().next()).map(|x| x.data.to_vec()).collect();
    let expected = examples.iter().map(|x| {
        let outputs = float.run(vec![x.clone()])?;
        outputs.into_iter().next().ok_or_else(|| Error::at(&files.model, "it has no output"))
    });
    let expected = expected.collect::<Result<_>>()?;
    Ok(Ready { compiled, seconds, examples, expected })
}
