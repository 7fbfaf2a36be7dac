//! `cryptflow run`: a compiled model on inputs that no party sees, between three processes on this machine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use cryptflow::client::Client;
use cryptflow::compare::FloatModel;
use cryptflow::error::{Error, Result};
use cryptflow::input::{self, InputSpec, Row};
use cryptflow::labels::Labels;
use cryptflow::local::Parties;
use cryptflow::npy::Tensor;
use cryptflow::report::Report;
use cryptflow::session::ProtocolName;
use cryptflow::{fixed, output};
use cryptflow_program::{Input, Program, Value, file};
use cryptflow_wire::Link;
use indicatif::{ProgressBar, ProgressStyle};

use super::network::Emulated;

/// Run a compiled model on inputs that no party sees, between three processes on this machine.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model.
    model: PathBuf,
    /// What to run it on: .npy, .npz, .png or .jpg files, or folders of them.
    #[arg(long, short, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// The protocol.
    #[arg(long, value_enum, default_value = "mirror")]
    protocol: ProtocolName,
    /// Write the logits here, one row an input (.npy).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Names of the classes: a name a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Run the float model, too, and report the difference: the .pb that was compiled.
    #[arg(long, value_name = "MODEL.pb")]
    compare: Option<PathBuf>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
    #[command(flatten)]
    network: Emulated,
}

/// Everything that is known before a party is started.
struct Job {
    program: Program,
    weights: Vec<Vec<i64>>,
    rows: Vec<Row>,
    protocol: ProtocolName,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let timeout = Duration::try_from_secs_f64(arguments.timeout)
        .ok()
        .filter(|t| !t.is_zero())
        .ok_or_else(|| Error::new(format!("--timeout {}: give a number of seconds", arguments.timeout)))?;
    let network = arguments.network.network()?;
    let model = file::read(&arguments.model).map_err(Error::new)?;
    let weights = model.weights.ok_or_else(|| {
        Error::at(&arguments.model, "this is the public part of a model; give the file with its weights")
    })?;
    let program = model.program;
    let (input, value) = only_input(&program)?;
    if let Some(path) = &arguments.output {
        file::check_writable(path).map_err(Error::new)?;
    }
    let labels = match &arguments.labels {
        Some(path) => Some(Labels::read(path, row_len(output_value(&program)?)).map_err(Error::new)?),
        None => None,
    };
    let float = match &arguments.compare {
        Some(path) => Some(FloatModel::read(path, &program)?),
        None => None,
    };
    let spec = InputSpec {
        name: input.name.clone(),
        shape: value.shape.iter().skip(1).copied().collect(),
        low: input.low,
        high: input.high,
        preprocessing: input.preprocessing.clone(),
    };
    let rows = input::read(&arguments.input, &spec).map_err(Error::new)?;

    let job = Job { program, weights, rows, protocol: arguments.protocol };
    let executable = std::env::current_exe().map_err(|e| {
        Error::new(format!("cannot find the file of this command, which the parties run: {e}"))
    })?;
    let (parties, links) = Parties::launch(&executable, timeout, network).map_err(Error::new)?;
    let result = job.run(links);
    let oddities = parties.end();
    let (mut report, logits) = result.map_err(|error| {
        Error::new(std::iter::once(error.to_string()).chain(oddities).collect::<Vec<_>>().join("; "))
    })?;

    report.network = network.map(Into::into);
    let transform = job.program.outputs.first().and_then(|output| output.transform);
    for (row, logits) in job.rows.iter().zip(&logits) {
        report.add_row(&row.name, logits, transform, labels.as_ref());
    }
    if let Some(float) = float {
        report.add_comparison(&logits, &job.float_logits(&float)?, transform, labels.as_ref());
    }
    if let Some(path) = &arguments.output {
        let mut shape = vec![logits.len()];
        shape.extend(output_value(&job.program)?.shape.iter().skip(1));
        output::write_npy(path, &Tensor { shape, data: logits.concat() }).map_err(Error::new)?;
    }
    if arguments.json {
        super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)
    } else {
        super::print(&report.text())
    }
}

impl Job {
    /// The whole session: one batch after another. Returns the logits of every row.
    fn run(&self, links: [Link; 3]) -> Result<(Report, Vec<Vec<f32>>)> {
        let mut report = Report { protocol: self.protocol.to_string(), ..Report::default() };
        let output = output_value(&self.program)?;
        let (batches, batch_len) = self.batches()?;
        let bar = progress_bar(batches.len() * self.program.steps.len());

        let begun = Instant::now();
        bar.set_message("sharing the weights");
        let client = Client::begin(links, &self.program, self.protocol).map_err(Error::new)?;
        client.deploy(&self.weights).map_err(Error::new)?;
        report.seconds.share = begun.elapsed().as_secs_f64();

        let mut logits = Vec::with_capacity(self.rows.len());
        for (index, batch) in batches.into_iter().enumerate() {
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
        Ok((report, logits))
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

/// A bar on standard error, where that is a terminal.
fn progress_bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
