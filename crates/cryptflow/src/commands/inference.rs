//! What every command that runs a model does: inputs in, batches, outputs and a report out.

use std::path::{Path, PathBuf};

use clap::Args;
use cryptflow::batches::Batches;
use cryptflow::client::Client;
use cryptflow::compare::FloatModel;
use cryptflow::error::{Error, Result};
use cryptflow::first_beyond::first_beyond;
use cryptflow::fixed;
use cryptflow::input::{self, InputSpec, Row};
use cryptflow::labels::Labels;
use cryptflow::report::{Answers, Known, OutputReport, Report, Rows, held_back, named};
use cryptflow::results::Results;
use cryptflow_athos::Meaning;
use cryptflow_program::{Checked, Output, Program, Value, ValueId, file};
use indicatif::{ProgressBar, ProgressStyle};

use super::overwriting;
use super::written::{self, OutputForm};

/// What goes in and what comes out.
#[derive(Args)]
pub(crate) struct Files {
    /// What to run it on: .npy, .npz, .png or .jpg files, or folders of them. For a model with
    /// several inputs: .npz files with an array for each input by its name, or NAME=FILE for each
    /// input.
    #[arg(long, short, required = true, num_args = 1.., value_name = "FILE|NAME=FILE")]
    input: Vec<PathBuf>,
    /// Write the outputs here, one row an input: every output by its name (.npz), or the only one
    /// (.npy).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is written: what the parties opened (logits, where the model ends in a softmax, an
    /// arg-max or a top-k), or what the model itself returns, with these applied.
    #[arg(long, value_name = "FORM", default_value = "opened", requires = "output")]
    output_form: OutputForm,
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

impl Files {
    /// That outputs are not written over what is read.
    fn keep_apart(&self, output: &Path) -> Result<()> {
        let inputs = self.input.iter().map(|path| ("--input", input::file_of(path)));
        let labels = self.labels.iter().map(|path| ("--labels", path.as_path()));
        let compare = self.compare.iter().map(|path| ("--compare", path.as_path()));
        let read: Vec<_> = inputs.chain(labels).chain(compare).collect();
        overwriting::refuse(&[("--output", output)], &read)
    }

    /// That outputs are not written over the compiled model.
    pub(super) fn spare_model(&self, model: &Path) -> Result<()> {
        self.output.iter().try_for_each(|output| {
            overwriting::refuse(&[("--output", output.as_path())], &[("the model", model)])
        })
    }
}

/// Everything that is known before a party is asked for anything.
pub(crate) struct Job {
    pub(crate) program: Checked,
    batches: Batches,
    /// The rows of each input: as many of each.
    columns: Vec<Vec<Row>>,
    /// Where the results of each output will go.
    empty: Vec<Results>,
    /// What the numbers of each output say, as far as that is known.
    meanings: Vec<Meaning>,
    labels: Option<Labels>,
    /// The outputs that the labels are for.
    named: Vec<bool>,
    float: Option<FloatModel>,
}

impl Job {
    /// Reads and checks everything that the command line names. `meanings` is what the file of the
    /// model says of its outputs, where there is one; the float model tells better.
    pub(crate) fn prepare(program: Checked, files: &Files, meanings: Vec<Meaning>) -> Result<Job> {
        let inputs = specs(&program)?;
        let outputs = outputs(&program)?;
        let batches = Batches::new(program.batch, inputs.iter().map(|input| input.shape.as_slice()));
        if let Some(path) = &files.output {
            files.keep_apart(path)?;
            file::check_writable(path).map_err(Error::new)?;
            written::check_names(path, &outputs)?;
        }
        let float = match &files.compare {
            Some(path) => Some(FloatModel::read(path, &program, files.signature.as_deref())?),
            None => None,
        };
        let meanings = match &float {
            Some(float) => float.meanings(),
            None => meanings,
        };
        let rows: Vec<Rows<'_>> = (outputs.iter().zip(&program.outputs).enumerate())
            .map(|(index, ((_, value), output))| {
                let meaning = meanings.get(index).copied().unwrap_or_default();
                Rows::opened(batches.row(&value.shape).0, &value.shape, output.transform, meaning)
            })
            .collect();
        let labels = match &files.labels {
            Some(path) => {
                let counts: Vec<usize> = rows.iter().filter_map(Rows::names).collect();
                Some(Labels::read(path, &counts).map_err(Error::new)?)
            }
            None => None,
        };
        let named = labels.as_ref().map(|labels| named(&rows, labels.count())).unwrap_or_default();
        let columns = batches.read(&files.input, inputs).map_err(Error::new)?;
        let rows = columns.first().map_or(0, Vec::len);
        let empty = outputs
            .iter()
            .map(|(name, value)| Results::expect(name, &value.shape, &batches, rows).map_err(Error::new))
            .collect::<Result<_>>()?;
        Ok(Job { program, batches, columns, empty, meanings, labels, named, float })
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
    /// adds to the report what it took. Whoever has the `weights` is told where values left their
    /// bounds, if that is why there are no outputs.
    pub(crate) fn run(
        &self,
        client: Client<'_>,
        bar: &ProgressBar,
        report: &mut Report,
        weights: Option<&[Vec<i64>]>,
        between: &mut dyn FnMut(&Client<'_>) -> Result<()>,
    ) -> Result<Vec<Results>> {
        let mut results = self.empty.clone();
        let rows = self.columns.first().map_or(0, Vec::len);
        let mut left = Vec::new();
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
            let Some(outputs) = &answer.outputs else {
                left.extend(self.batches.rows_of(run, rows));
                continue;
            };
            for ((results, output), opened) in results.iter_mut().zip(&self.program.outputs).zip(outputs) {
                results.open(value(&self.program, output.value, "an output")?, output.digits, opened);
            }
        }
        report.bytes.share = client.sent();
        report.set_peak_rss(&client.finish().map_err(Error::new)?);
        bar.finish_and_clear();
        // Nobody but the client learns that: the parties have given their parts, and gone.
        if left.is_empty() { Ok(results) } else { Err(self.held_back(&left, weights)?) }
    }

    /// Why there is no answer for these rows.
    fn held_back(&self, left: &[usize], weights: Option<&[Vec<i64>]>) -> Result<Error> {
        let first = match weights {
            Some(weights) => first_beyond(&self.program, weights, &self.batches, &self.columns)?,
            None => None,
        };
        Ok(Error::new(held_back(left, first.as_ref(), &self.names())))
    }

    /// What was given for each row.
    fn names(&self) -> Vec<String> {
        self.columns.iter().take(1).flatten().map(|row| row.name.clone()).collect()
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
        let known = |index: usize, output: &Output| Known {
            transform: output.transform,
            meaning: self.meanings.get(index).copied().unwrap_or_default(),
            labels: self.labels.as_ref().filter(|_| self.named.get(index) == Some(&true)),
        };
        let known: Vec<Known<'_>> =
            self.program.outputs.iter().enumerate().map(|(index, output)| known(index, output)).collect();
        let outputs = known.iter().zip(results).enumerate().map(|(index, (&known, results))| {
            OutputReport::new(results, float.as_ref().and_then(|float| float.get(index)), known)
        });
        let outputs = outputs.collect::<std::result::Result<_, _>>().map_err(Error::new)?;
        report.answers = Answers::new(self.names(), outputs);
        if let Some(path) = &files.output {
            written::write(path, results, &known, files.output_form)?;
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
