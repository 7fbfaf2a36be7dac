//! What every command that runs a model does: inputs in, batches, outputs and a report out.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::compare::FloatModel;
use crate::error::{Error, Result};
use crate::first_beyond::first_beyond;
use crate::input;
use crate::job::{self, Given};
use crate::labels::Labels;
use crate::notation;
use crate::remote::Renewal;
use crate::report::{Answers, Known, OutputReport, Report, Rows, named};
use crate::results::Results;
use clap::Args;
use cryptflow_athos::Meaning;
use cryptflow_model_file as file;
use cryptflow_program::{Checked, Step};
use indicatif::{ProgressBar, ProgressStyle};

use super::overwriting;
use super::profiled::Profiled;
use super::written::{self, OutputForm};

/// What goes in and what comes out.
#[derive(Args)]
pub(crate) struct Files {
    /// What to run it on: .npy, .npz, .csv, .png or .jpg files, or folders of them. For a model with
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
    /// How many batches the parties compute at once, at most: they take the rounds of one, and memory for all. Without
    /// it, as many as the parties have room for.
    #[arg(long, value_name = "BATCHES")]
    at_once: Option<NonZeroUsize>,
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
    /// What inputs of the model to compare with are bound to, where it was compiled so.
    #[arg(long, value_name = "NAME=VALUE", requires = "compare", value_parser = notation::set)]
    set: Vec<(String, String)>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Files {
    /// That nothing is written over what is read, or over something else that is written.
    fn keep_apart(&self, profiled: &Profiled) -> Result<()> {
        let inputs = self.input.iter().map(|path| ("--input", input::file_of(path)));
        let labels = self.labels.iter().map(|path| ("--labels", path.as_path()));
        let compare = self.compare.iter().map(|path| ("--compare", path.as_path()));
        let read: Vec<_> = inputs.chain(labels).chain(compare).collect();
        overwriting::refuse(&self.written(profiled), &read)
    }

    /// That nothing is written over the compiled model.
    pub(super) fn spare_model(&self, model: &Path, profiled: &Profiled) -> Result<()> {
        overwriting::refuse(&self.written(profiled), &[("the model", model)])
    }

    /// The files that are written.
    fn written<'a>(&'a self, profiled: &'a Profiled) -> Vec<(&'static str, &'a Path)> {
        let output = self.output.iter().map(|path| ("--output", path.as_path()));
        output.chain(profiled.file()).collect()
    }
}

/// Everything that is known before a party is asked for anything.
pub(crate) struct Job<'a> {
    pub(crate) program: &'a Checked,
    job: job::Job<'a>,
    /// What the numbers of each output say, as far as that is known.
    meanings: Vec<Meaning>,
    at_once: Option<NonZeroUsize>,
    labels: Option<Labels>,
    /// What the program itself calls the classes of each output.
    own: Vec<Option<Labels>>,
    /// The outputs that the labels are for.
    named: Vec<bool>,
    float: Option<FloatModel>,
}

impl<'a> Job<'a> {
    /// Reads and checks everything that the command line names. `meanings` is what the file of the
    /// model says of its outputs, where there is one; the float model tells better.
    pub(crate) fn prepare(
        program: &'a Checked,
        files: &Files,
        profiled: &Profiled,
        meanings: Vec<Meaning>,
    ) -> Result<Job<'a>> {
        let outputs = job::outputs(program)?;
        let batches = job::batches(program)?;
        files.keep_apart(profiled)?;
        profiled.check()?;
        if let Some(path) = &files.output {
            file::check_writable(path).map_err(Error::new)?;
            written::check_names(path, &outputs)?;
        }
        let float = match &files.compare {
            Some(path) => Some(FloatModel::read(path, program, files.signature.as_deref(), &files.set)?),
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
        let job = job::Job::read(program, &mut |specs| input::columns(&files.input, specs));
        let own = program.outputs.iter().map(|output| output.classes.as_ref().map(Labels::of)).collect();
        let (job, at_once) = (job.map_err(Error::new)?, files.at_once);
        Ok(Job { program, job, meanings, at_once, labels, own, named, float })
    }

    /// How many runs it takes.
    pub(crate) fn runs(&self) -> usize {
        self.job.runs()
    }

    /// A bar for all batches, on standard error, where that is a terminal.
    pub(crate) fn progress(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.job.steps() as u64);
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }

    /// All batches, in a session whose parties hold the weights, which ends with them; see
    /// [`job::Job::run`]. Whoever has the `weights` is told where values left their bounds, if that
    /// is why there are no outputs.
    pub(crate) fn run(
        &self,
        client: Client<'_>,
        bar: &ProgressBar,
        report: &mut Report,
        weights: Option<&[Vec<i64>]>,
        renewal: &mut Option<Renewal>,
    ) -> Result<Vec<Results>> {
        let client = match self.at_once {
            Some(most) => client.at_once_at_most(most.get()),
            None => client,
        };
        let mut progress = |done: usize, step: &Step| {
            bar.set_position(done as u64);
            bar.set_message(format!("{} {}", step.operation.name(), step.name));
        };
        let Given { results, left } = self.job.run(&client, &mut progress, report, renewal)?;
        report.bytes.share = client.sent();
        report.set_peak_rss(&client.finish()?);
        bar.finish_and_clear();
        // Nobody but the client learns that: the parties have given their parts, and gone.
        if left.is_empty() { Ok(results) } else { Err(self.job.held_back(&left, weights)?) }
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
            Some(model) => Some(self.job.float(model)?),
            None => None,
        };
        if let Some(weights) = weights.filter(|_| float.is_some()) {
            report.first_out_of_bounds =
                first_beyond(self.program, weights, self.job.batches(), self.job.columns())?;
            report.looked_inside = true;
        }
        let known: Vec<Known<'_>> = (self.program.outputs.iter().enumerate())
            .map(|(index, output)| Known {
                transform: output.transform,
                meaning: self.meanings.get(index).copied().unwrap_or_default(),
                labels: match &self.labels {
                    Some(labels) => Some(labels).filter(|_| self.named.get(index) == Some(&true)),
                    None => self.own.get(index).and_then(Option::as_ref),
                },
                classes: output.classes.as_ref(),
            })
            .collect();
        let outputs = known.iter().zip(results).enumerate().map(|(index, (&known, results))| {
            OutputReport::new(results, float.as_ref().and_then(|float| float.get(index)), known)
        });
        let outputs = outputs.collect::<std::result::Result<_, _>>().map_err(Error::new)?;
        report.answers = Answers::new(self.job.names(), outputs);
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
}
