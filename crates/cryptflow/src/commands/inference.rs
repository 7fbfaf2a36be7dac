//! What every command that runs a model does: inputs in, batches, outputs and a report out.

use std::path::PathBuf;

use clap::Args;
use cryptflow::client::Client;
use cryptflow::compare::FloatModel;
use cryptflow::error::{Error, Result};
use cryptflow::input::{self, InputSpec, Row};
use cryptflow::labels::Labels;
use cryptflow::npy::Tensor;
use cryptflow::report::Report;
use cryptflow::{fixed, output};
use cryptflow_program::{Input, Program, Value, file};
use indicatif::{ProgressBar, ProgressStyle};

/// What goes in and what comes out.
#[derive(Args)]
pub(crate) struct Files {
    /// What to run it on: .npy, .npz, .png or .jpg files, or folders of them.
    #[arg(long, short, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Write the logits here, one row an input (.npy).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Names of the classes: a name a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Run the float model, too, and report the difference: the SavedModel or .pb that was compiled.
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
    pub(crate) program: Program,
    rows: Vec<Row>,
    labels: Option<Labels>,
    float: Option<FloatModel>,
}

impl Job {
    /// Reads and checks everything that the command line names.
    pub(crate) fn prepare(program: Program, files: &Files) -> Result<Job> {
        let (input, value) = only_input(&program)?;
        if let Some(path) = &files.output {
            file::check_writable(path).map_err(Error::new)?;
        }
        let labels = match &files.labels {
            Some(path) => Some(Labels::read(path, row_len(output_value(&program)?)).map_err(Error::new)?),
            None => None,
        };
        let float = match &files.compare {
            Some(path) => Some(FloatModel::read(path, &program, files.signature.as_deref())?),
            None => None,
        };
        let spec = InputSpec {
            name: input.name.clone(),
            shape: value.shape.iter().skip(1).copied().collect(),
            low: input.low,
            high: input.high,
            preprocessing: input.preprocessing.clone(),
        };
        let rows = input::read(&files.input, &spec).map_err(Error::new)?;
        Ok(Job { program, rows, labels, float })
    }

    /// A bar for all batches, on standard error, where that is a terminal.
    pub(crate) fn progress(&self) -> Result<ProgressBar> {
        let bar = ProgressBar::new((self.batches()?.0.len() * self.program.steps.len()) as u64);
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(bar)
    }

    /// One batch after another, in a session whose parties hold the weights. `between` is called before each batch. Returns the logits
    /// of every row, and adds to the report what it took.
    pub(crate) fn run(
        &self,
        client: Client<'_>,
        bar: &ProgressBar,
        report: &mut Report,
        between: &mut dyn FnMut(&Client<'_>) -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let output = output_value(&self.program)?;
        let (batches, batch_len) = self.batches()?;
        let mut logits = Vec::with_capacity(self.rows.len());
        for (index, batch) in batches.into_iter().enumerate() {
            between(&client)?;
            let fixed = fixed::encode(&batch, only_input(&self.program)?.1.scale);
            let done = index * self.program.steps.len();
            let answer = client
                .infer(&[fixed], &mut |step| {
                    bar.set_position((done + step) as u64);
                    if let Some(step) = self.program.steps.get(step) {
                        bar.set_message(format!("{} {}", step.operation.name(), step.name));
                    }
                })
                .map_err(Error::new)?;
            report.add(&answer);
            let opened = answer.outputs.first().map(|y| fixed::decode(y, output.scale)).unwrap_or_default();
            let wanted = batch_len.min(self.rows.len() - logits.len());
            logits.extend(opened.chunks(row_len(output).max(1)).take(wanted).map(<[f32]>::to_vec));
        }
        report.bytes.share = client.sent();
        let [p0, p1, p2] = client.finish().map_err(Error::new)?;
        report.peak_rss = cryptflow::report::PeakRss { p0, p1, p2 };
        bar.finish_and_clear();
        Ok(logits)
    }

    /// Completes the report, writes the outputs, and prints.
    pub(crate) fn conclude(&self, mut report: Report, logits: &[Vec<f32>], files: &Files) -> Result<()> {
        let transform = self.program.outputs.first().and_then(|output| output.transform);
        for (row, logits) in self.rows.iter().zip(logits) {
            report.add_row(&row.name, logits, transform, self.labels.as_ref());
        }
        if let Some(float) = &self.float {
            report.add_comparison(logits, &self.float_logits(float)?, transform, self.labels.as_ref());
        }
        if let Some(path) = &files.output {
            let mut shape = vec![logits.len()];
            shape.extend(output_value(&self.program)?.shape.iter().skip(1));
            output::write_npy(path, &Tensor { shape, data: logits.concat() }).map_err(Error::new)?;
        }
        if files.json {
            super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)
        } else {
            super::print(&report.text())
        }
    }

    /// The inputs of each batch, and the rows of a batch. The last one is filled up with copies of the last row.
    fn batches(&self) -> Result<(Vec<Vec<f32>>, usize)> {
        let size = only_input(&self.program)?.1.shape.first().copied().unwrap_or(1).max(1);
        let batches = self.rows.chunks(size).map(|rows| {
            let filled = rows.iter().chain(std::iter::repeat(&rows[rows.len() - 1])).take(size);
            filled.flat_map(|row| row.data.iter().copied()).collect()
        });
        Ok((batches.collect(), size))
    }

    /// What the float model says.
    fn float_logits(&self, model: &FloatModel) -> Result<Vec<Vec<f32>>> {
        let len = row_len(output_value(&self.program)?).max(1);
        let mut logits = Vec::with_capacity(self.rows.len());
        for batch in self.batches()?.0 {
            logits.extend(model.run(batch)?.chunks(len).map(<[f32]>::to_vec));
        }
        logits.truncate(self.rows.len());
        Ok(logits)
    }
}

/// The program's input: the command feeds models that have one.
fn only_input(program: &Program) -> Result<(&Input, &Value)> {
    let [input] = program.inputs.as_slice() else {
        return Err(Error::new(format!(
            "the model has {} inputs, and this command runs models with one",
            program.inputs.len()
        )));
    };
    let value = program.values.get(input.value.0);
    Ok((input, value.ok_or_else(|| Error::new("the model's input has no value; compile it again"))?))
}

/// The value of the program's first output.
fn output_value(program: &Program) -> Result<&Value> {
    let value = program.outputs.first().and_then(|output| program.values.get(output.value.0));
    value.ok_or_else(|| Error::new("the model has no output; compile it again"))
}

/// Elements of one row of a value.
fn row_len(value: &Value) -> usize {
    value.shape.iter().skip(1).product()
}
