//! What every command that runs a model does: inputs in, batches, outputs and a report out.

use std::path::{Path, PathBuf};

use clap::Args;
use cryptflow::batches::Batches;
use cryptflow::client::Client;
use cryptflow::compare::FloatModel;
use cryptflow::error::{Error, Result};
use cryptflow::first_beyond::first_beyond;
use cryptflow::input::{InputSpec, Row};
use cryptflow::labels::Labels;
use cryptflow::report::{Answers, OutputReport, Report, Showing, classes};
use cryptflow::results::Results;
use cryptflow::{fixed, output};
use cryptflow_program::{Checked, Program, Value, ValueId, file};
use indicatif::{ProgressBar, ProgressStyle};

/// What goes in and what comes out.
#[derive(Args)]
pub(crate) struct Files {
    /// What to run it on: .npy, .npz, .png or .jpg files, or folders of them. For a model with
    /// several inputs: .npz files with an array for each input by its name, or NAME=FILE for each
    /// input.
    #[arg(long, short, required = true, num_args = 1.., value_name = "FILE|NAME=FILE")]
    input: Vec<PathBuf>,
    /// Write the outputs here, one row an input, before a softmax or an arg-max (logits): every
    /// output by its name (.npz), or the only one (.npy).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Names of the classes: a name a line. They go with every output of so many classes.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Run the float model, too, and report the difference: the SavedModel, .pb or .onnx that was
    /// compiled.
    #[arg(long, value_name = "MODEL")]
    compare: Option<PathBuf>,
    /// The signature of the SavedModel to compare with, where it was compiled with one.
    #[arg(long, value_name = "NAME", requires = "compare")]
    signature: Option<String>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Everything that is known before a party is asked for anything.
pub(crate) struct Job {
    pub(crate) program: Checked,
    batches: Batches,
    /// The rows of each input: as many of each.
    columns: Vec<Vec<Row>>,
    /// Where the results of each output will go.
    empty: Vec<Results>,
    labels: Option<Labels>,
    float: Option<FloatModel>,
}

impl Job {
    /// Reads and checks everything that the command line names.
    pub(crate) fn prepare(program: Checked, files: &Files) -> Result<Job> {
        let inputs = specs(&program)?;
        let outputs = outputs(&program)?;
        let batches = Batches::new(program.batch, inputs.iter().map(|input| input.shape.as_slice()));
        if let Some(path) = &files.output {
            file::check_writable(path).map_err(Error::new)?;
            check_names(path, &outputs)?;
        }
        let labels = match &files.labels {
            Some(path) => {
                let only = outputs.len() == 1;
                let counts = outputs.iter().zip(&program.outputs).filter_map(|((_, value), output)| {
                    classes(batches.row(&value.shape).0, output.transform, only)
                });
                Some(Labels::read(path, &counts.collect::<Vec<_>>()).map_err(Error::new)?)
            }
            None => None,
        };
        let float = match &files.compare {
            Some(path) => Some(FloatModel::read(path, &program, files.signature.as_deref())?),
            None => None,
        };
        let columns = batches.read(&files.input, inputs).map_err(Error::new)?;
        let rows = columns.first().map_or(0, Vec::len);
        let empty = outputs
            .iter()
            .map(|(name, value)| Results::expect(name, &value.shape, &batches, rows).map_err(Error::new))
            .collect::<Result<_>>()?;
        Ok(Job { program, batches, columns, empty, labels, float })
    }

    /// A bar for all batches, on standard error, where that is a terminal.
    pub(crate) fn progress(&self) -> ProgressBar {
        let bar = ProgressBar::new((self.runs() * self.program.steps.len()) as u64);
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }

    /// One batch after another, in a session whose parties hold the weights. `between` is called
    /// before each batch. Returns what every output gave, before what the client applies to it, and
    /// adds to the report what it took.
    pub(crate) fn run(
        &self,
        client: Client<'_>,
        bar: &ProgressBar,
        report: &mut Report,
        between: &mut dyn FnMut(&Client<'_>) -> Result<()>,
    ) -> Result<Vec<Results>> {
        let mut results = self.empty.clone();
        for run in 0..self.runs() {
            between(&client)?;
            let done = run * self.program.steps.len();
            let answer = client
                .infer(&fixed::inputs(&self.program, &self.batch(run))?, &mut |step| {
                    bar.set_position((done + step) as u64);
                    if let Some(step) = self.program.steps.get(step) {
                        bar.set_message(format!("{} {}", step.operation.name(), step.name));
                    }
                })
                .map_err(Error::new)?;
            report.add(&answer);
            for ((results, output), opened) in
                results.iter_mut().zip(&self.program.outputs).zip(&answer.outputs)
            {
                results.open(value(&self.program, output.value, "an output")?, output.digits, opened);
            }
        }
        report.bytes.share = client.sent();
        report.set_peak_rss(&client.finish().map_err(Error::new)?);
        bar.finish_and_clear();
        Ok(results)
    }

    /// Completes the report, writes the outputs, and prints. Whoever has the `weights` is told where
    /// inside of the model values left their bounds, if they ask for a comparison.
    pub(crate) fn conclude(
        &self,
        mut report: Report,
        results: &[Results],
        files: &Files,
        weights: Option<&[Vec<i64>]>,
    ) -> Result<()> {
        let float = match &self.float {
            Some(model) => Some(self.float_results(model)?),
            None => None,
        };
        if let Some(weights) = weights.filter(|_| float.is_some()) {
            report.first_out_of_bounds = first_beyond(&self.program, weights, &self.batches, &self.columns)?;
            report.looked_inside = true;
        }
        let only = self.program.outputs.len() == 1;
        let outputs =
            self.program.outputs.iter().zip(results).enumerate().map(|(index, (output, results))| {
                let showing = Showing { transform: output.transform, labels: self.labels.as_ref(), only };
                OutputReport::new(results, float.as_ref().and_then(|float| float.get(index)), showing)
            });
        let names = self.columns.iter().take(1).flatten().map(|row| row.name.clone());
        report.answers = Answers::new(names.collect(), outputs.collect());
        if let Some(path) = &files.output {
            write(path, results)?;
        }
        if files.json {
            super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)?;
        } else {
            super::print(&report.text())?;
        }
        report.warnings().iter().for_each(|warning| eprintln!("warning: {warning}"));
        Ok(())
    }

    fn runs(&self) -> usize {
        self.batches.runs(self.columns.first().map_or(0, Vec::len))
    }

    /// Every input of one run.
    fn batch(&self, run: usize) -> Vec<Vec<f32>> {
        self.columns.iter().map(|column| self.batches.fill(run, column)).collect()
    }

    /// What the float model says.
    fn float_results(&self, model: &FloatModel) -> Result<Vec<Results>> {
        let mut results = self.empty.clone();
        for run in 0..self.runs() {
            for (results, opened) in results.iter_mut().zip(model.run(self.batch(run))?) {
                results.add(&opened);
            }
        }
        Ok(results)
    }
}

/// What each input must be, with the shapes that the program was compiled for.
fn specs(program: &Program) -> Result<Vec<InputSpec>> {
    if program.inputs.is_empty() {
        return Err(Error::new("the model has no inputs: it gives the same whatever it is run on"));
    }
    let spec = |input: &cryptflow_program::Input| {
        Ok(InputSpec {
            name: input.name.clone(),
            shape: value(program, input.value, "an input")?.shape.clone(),
            low: input.low,
            high: input.high,
            factors: input.factors.clone(),
            preprocessing: input.preprocessing.clone(),
        })
    };
    program.inputs.iter().map(spec).collect()
}

/// The names and values of the outputs.
fn outputs(program: &Program) -> Result<Vec<(&str, &Value)>> {
    let output = |output: &'_ cryptflow_program::Output| value(program, output.value, "an output");
    program.outputs.iter().map(|o| Ok((o.name.as_str(), output(o)?))).collect()
}

fn value<'a>(program: &'a Program, id: ValueId, what: &str) -> Result<&'a Value> {
    let value = program.values.get(id.0);
    value.ok_or_else(|| Error::new(format!("{what} of the model has no value; compile it again")))
}

/// Whether a file can hold all outputs.
fn check_names(path: &Path, outputs: &[(&str, &Value)]) -> Result<()> {
    if !output::is_archive(path) {
        let [_] = outputs else {
            let names: Vec<&str> = outputs.iter().map(|&(name, _)| name).collect();
            let reason = format!(
                "one array cannot hold the {} outputs of the model ({}): give a file that is called .npz",
                names.len(),
                names.join(", ")
            );
            return Err(Error::at(path, reason));
        };
        return Ok(());
    }
    for (index, (name, _)) in outputs.iter().enumerate() {
        if outputs.iter().skip(index + 1).any(|(other, _)| other == name) {
            let reason =
                format!("two outputs of the model are called {name:?}: compile it with other --output");
            return Err(Error::at(path, reason));
        }
    }
    Ok(())
}

/// Writes all outputs by name, or the only one.
fn write(path: &Path, results: &[Results]) -> Result<()> {
    if output::is_archive(path) {
        let tensors: Vec<_> = results.iter().map(|r| (r.name.as_str(), r.tensor())).collect();
        return output::write_npz(path, &tensors).map_err(Error::new);
    }
    let only = results.first().ok_or_else(|| Error::new("the model has no output; compile it again"))?;
    output::write_npy(path, &only.tensor()).map_err(Error::new)
}
