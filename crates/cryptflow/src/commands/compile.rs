//! `cryptflow compile`: a TensorFlow or ONNX model to a compiled one.

use std::path::{Path, PathBuf};

use crate::batches::Reader;
use crate::clear_runner::ClearRunner;
use crate::compile_report::{self, Subject};
use crate::compiling::{self, CompilingError, Wanted};
use crate::error::{Error, Result};
use crate::input::{self, InputSpec};
use crate::notation::{self, RoundWorth};
use crate::refusals;
use clap::Args;
use cryptflow_athos::compile::{Accuracy, CompileOptions, Compiled, Progress, Ring, Scale, Tolerance};
use cryptflow_athos::fix::counted;
use cryptflow_engine::{Estimate, estimate, price_of_a_bit};
use cryptflow_figures::table::{bytes, count, table};
use cryptflow_model_file as file;
use cryptflow_program::{Batch, Preprocessing, write_whole};
use cryptflow_protocols::ProtocolName;
use indicatif::{ProgressBar, ProgressStyle};

use super::model::Model;
use super::overwriting;

/// The protocol whose costs the summary and the report have.
const PRICED: ProtocolName = ProtocolName::DEFAULT;

/// Layers of the summary's list of thin margins, at most.
const THIN_LISTED: usize = 5;

/// Compile a TensorFlow or ONNX model for private inference.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: Model,
    /// Where the compiled model goes.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Examples of inputs, from which bounds and scale follow: .npy, .npz, .csv, .png, .jpg files, or
    /// folders of them. Float arrays are taken as they are, bytes and pictures are prepared first
    /// (see below). For a model with several inputs: .npz files with an array for each input by its
    /// name, or NAME=FILE for each input.
    #[arg(long, value_name = "FILE|NAME=FILE", num_args = 1..)]
    calibrate: Vec<PathBuf>,
    /// At most so many rows of the examples are used.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = notation::rows)]
    rows: usize,
    /// The range of the inputs, where there are no examples.
    #[arg(long, value_name = "LOW,HIGH", value_parser = notation::range, allow_hyphen_values = true, conflicts_with = "calibrate")]
    range: Option<(f64, f64)>,
    /// What the program keeps of the float model: `exact` keeps the numbers (see --tolerance), `labels` keeps
    /// which class is the best, with the fewest bytes, and says what it saves.
    #[arg(long, value_name = "exact|labels", default_value = "exact", value_parser = notation::accuracy)]
    accuracy: Accuracy,
    /// Fractional bits of activations: `auto` is the smallest number that keeps the float model's
    /// answers.
    #[arg(long, value_name = "auto|BITS", default_value = "auto", value_parser = notation::scale)]
    scale: Scale,
    /// Bits of the ring of all layers: `auto` is for each the smallest number that keeps the float model's
    /// answers. Fewer bits are fewer bytes.
    #[arg(long, value_name = "auto|BITS", default_value = "auto", value_parser = notation::ring)]
    ring: Ring,
    /// Bits by which bounds exceed the extremes of the examples (default: 1, or 2 with fewer than
    /// 32 rows, and one more where values have few elements, so that it costs next to nothing).
    #[arg(long, value_name = "BITS")]
    margin: Option<f64>,
    /// How far outputs may be from the float model: as a part of what each column of an output (its
    /// last axis) spans over the calibration data (`1%`; default: 0.05%), or as the largest error of
    /// one output (`NAME=0.01`). Can be repeated.
    #[arg(long, value_name = "SHARE|NAME=ERROR", value_parser = notation::tolerance)]
    tolerance: Vec<(Option<String>, f64)>,
    /// Bits of a layer's largest weight, 7 to 31 (default: 31). Fewer make a local truncation, as
    /// Porthos', fail more rarely.
    #[arg(long, value_name = "BITS")]
    weight_bits: Option<u32>,
    /// Open the answer alone: the parties compute a softmax or an arg-max that ends the model, and
    /// the client does not learn the logits. It takes more rounds and bytes.
    #[arg(long)]
    hide_logits: bool,
    /// Have the parties compare every value with its bounds, and give no output where one is
    /// outside: an input unlike the calibration data gets an error and never a wrong answer.
    /// `inspect` shows what it costs.
    #[arg(long)]
    guard: bool,
    /// The network between the parties: `lan` (one machine, one room), `wan` (two cities: 40 ms and 100 Mbit/s), or what it is,
    /// as MS,MBIT: the round trip, and what a link carries a second. The slower a round trip, the more bytes are
    /// spent on fewer rounds.
    #[arg(long, value_name = "lan|wan|MS,MBIT", value_parser = notation::network, default_value = "lan")]
    network: RoundWorth,
    /// A page about the compiled model (HTML, one file): accuracy, errors, bits and bytes, layer by
    /// layer.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The model's name in reports.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    prepare: Prepare,
}

/// How pictures and bytes become inputs.
#[derive(Args)]
#[command(next_help_heading = "How pictures and bytes become inputs (stored in the compiled model)")]
struct Prepare {
    /// Scale pictures to this height and width.
    #[arg(long, value_name = "HxW", value_parser = notation::size)]
    resize: Option<[usize; 2]>,
    /// Cut this height and width from the middle.
    #[arg(long, value_name = "HxW", value_parser = notation::size)]
    crop: Option<[usize; 2]>,
    /// Blue, green, red instead of red, green, blue.
    #[arg(long)]
    bgr: bool,
    /// One channel of brightness.
    #[arg(long)]
    grey: bool,
    /// Divide by this (255 for pixels between 0 and 1).
    #[arg(long, value_name = "X", value_parser = notation::divisor)]
    divide: Option<f64>,
    /// Subtract these, one a channel.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', allow_hyphen_values = true, value_parser = notation::finite)]
    mean: Vec<f64>,
    /// Divide by these, one a channel.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = notation::divisor)]
    std: Vec<f64>,
    /// Channels before height and width.
    #[arg(long)]
    channels_first: bool,
}

impl Prepare {
    /// That there is as much as is cut out.
    fn check(&self) -> Result<()> {
        let ([height, width], [high, wide]) = match (self.resize, self.crop) {
            (Some(resize), Some(crop)) => (resize, crop),
            _ => return Ok(()),
        };
        if high <= height && wide <= width {
            return Ok(());
        }
        Err(Error::new(format_args!(
            "--crop {high}x{wide} is larger than --resize {height}x{width}, which comes before it"
        )))
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing {
            resize: self.resize,
            crop: self.crop,
            bgr: self.bgr,
            grey: self.grey,
            divide: self.divide,
            mean: self.mean.clone(),
            std: self.std.clone(),
            channels_first: self.channels_first,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    arguments.keep_apart()?;
    arguments.prepare.check()?;
    arguments.warn_of_idle_options();
    for path in std::iter::once(&arguments.out).chain(&arguments.report) {
        file::check_writable(path).map_err(Error::new)?;
    }
    let wanted = arguments.wanted();
    let bar = ProgressBar::no_length().with_style(style());
    let mut read = |specs: &[InputSpec]| input::columns(&arguments.calibrate, specs);
    let examples: Option<Reader<'_>> = if arguments.calibrate.is_empty() { None } else { Some(&mut read) };
    let compiled = compiling::compile(&wanted, examples, &ClearRunner, &mut |p| show(&bar, &p));
    bar.finish_and_clear();
    let compiled = compiled.map_err(|error| refusal(&wanted.model, error))?;
    let report = serde_json::to_value(&compiled.report).map_err(Error::new)?;
    file::write(&arguments.out, &compiled.program, &compiled.weights, Some(&report)).map_err(Error::new)?;
    let costs = PRICED.costs(compiled.program.ring_bits, compiled.program.bits_per_round);
    let cost = estimate(&compiled.program, costs.as_ref()).map_err(Error::new)?;
    let price = price_of_a_bit(&compiled.program, costs.as_ref()).map_err(Error::new)?.iter().sum();
    if let Some(path) = &arguments.report {
        let subject = Subject {
            program: &compiled.program,
            report: &compiled.report,
            protocol: PRICED,
            cost: &cost,
            source: wanted.model.display().to_string(),
            options: arguments.given(),
        };
        let page = compile_report::page(&subject);
        write_whole(path, |writer| writer.write_all(page.as_bytes())).map_err(|e| Error::at(path, e))?;
    }
    summary(arguments, &compiled, &cost, price)
}

impl Arguments {
    /// What shall be compiled.
    fn wanted(&self) -> Wanted {
        Wanted {
            model: self.model.model.clone(),
            import: self.model.options(),
            rows: self.rows,
            range: self.range,
            preprocessing: self.prepare.preprocessing(),
            options: CompileOptions {
                name: self.name.clone(),
                accuracy: self.accuracy,
                scale: self.scale,
                ring: self.ring,
                margin: self.margin,
                tolerance: self.tolerance(),
                weight_bits: self.weight_bits,
                hide_logits: self.hide_logits,
                guard: self.guard,
                bits_per_round: self.network.0,
                ..CompileOptions::default()
            },
        }
    }

    /// What is about examples says nothing where there are none.
    fn warn_of_idle_options(&self) {
        let idle = [("--tolerance", !self.tolerance.is_empty()), ("--margin", self.margin.is_some())];
        for (option, given) in idle {
            if given && self.calibrate.is_empty() {
                eprintln!("warning: {option} has no effect without calibration data (--calibrate)");
            }
        }
    }

    /// That nothing is written over what is read.
    fn keep_apart(&self) -> Result<()> {
        let report = self.report.iter().map(|path| ("--report", path.as_path()));
        let written: Vec<_> = std::iter::once(("--out", self.out.as_path())).chain(report).collect();
        let data = self.calibrate.iter().map(|path| ("--calibrate", input::file_of(path)));
        let read: Vec<_> = std::iter::once(("the model", self.model.model.as_path())).chain(data).collect();
        overwriting::refuse(&written, &read)
    }

    /// How far outputs may be off; of what is given twice, the last counts.
    fn tolerance(&self) -> Tolerance {
        let mut tolerance = Tolerance::default();
        for (name, error) in self.tolerance.iter().cloned() {
            match name {
                Some(name) => tolerance.outputs.push((name, error)),
                None => tolerance.share = error,
            }
        }
        tolerance
    }

    /// The options that decide what the program is, as they were given.
    fn given(&self) -> Vec<(String, String)> {
        let mut given = Vec::new();
        let mut add = |name: &str, value: String| given.push((name.to_string(), value));
        for path in &self.calibrate {
            add("calibrate", path.display().to_string());
        }
        if let Some((low, high)) = self.range {
            add("range", format!("{low},{high}"));
        }
        if self.accuracy == Accuracy::Labels {
            add("accuracy", "labels".into());
        }
        match self.scale {
            Scale::Auto => add("scale", "auto".into()),
            Scale::Bits(bits) => add("scale", bits.to_string()),
        }
        match self.ring {
            Ring::Auto => add("ring", "auto".into()),
            Ring::Bits(bits) => add("ring", bits.to_string()),
        }
        for (name, error) in &self.tolerance {
            let error = error.to_string();
            add("tolerance", name.as_ref().map_or(error.clone(), |name| format!("{name}={error}")));
        }
        if let Some(margin) = self.margin {
            add("margin", margin.to_string());
        }
        if let Some(bits) = self.weight_bits {
            add("weight-bits", bits.to_string());
        }
        if self.hide_logits {
            add("hide-logits", String::new());
        }
        if self.guard {
            add("guard", String::new());
        }
        given
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Progress on standard error: a moving line for what goes fast, a line of its own for each trial.
fn show(bar: &ProgressBar, progress: &Progress) {
    match progress {
        Progress::Tried { .. } => bar.suspend(|| eprintln!("{progress}")),
        _ => {
            bar.set_message(progress.to_string());
            bar.tick();
        }
    }
}

/// Why nothing was written: of the model's file, where it is about that; everything that stands in
/// the way, where that is known.
fn refusal(model: &Path, error: CompilingError) -> Error {
    match &error {
        CompilingError::Unsupported(nodes) => {
            Error::new(format_args!("{error}; nothing was written\n{}", refusals::text(nodes).trim_end()))
        }
        CompilingError::Import(error) => Error::import(model, error),
        CompilingError::RowsMixed { .. } => Error::at(model, error),
        CompilingError::Prepare { .. } | CompilingError::Examples(_) | CompilingError::Compile(_) => {
            Error::new(error)
        }
    }
}

/// What it saves that only decisions are kept, and how far these are from being others.
fn saved(compiled: &Compiled, cost: &Estimate) -> Result<Option<String>> {
    let (Some(exact), Some(decisions)) = (&compiled.exact, &compiled.report.decisions) else {
        return Ok(None);
    };
    let before = estimate(exact, PRICED.costs(exact.ring_bits, exact.bits_per_round).as_ref())
        .map_err(Error::new)?
        .total
        .total();
    let now = cost.total.total();
    Ok(Some(format!(
        "decisions alone are kept: {} in place of {} that keep the numbers ({:.1} %); classes are {:.3e} apart in half of \
         the examples, {:.3e} where they are closest",
        bytes(now),
        bytes(before),
        100.0 * now as f64 / before.max(1) as f64,
        decisions.median_margin,
        decisions.thinnest_margin
    )))
}

fn summary(arguments: &Arguments, compiled: &Compiled, cost: &Estimate, price: u64) -> Result<()> {
    let (program, report) = (&compiled.program, &compiled.report);
    let dealer = PRICED.facts().dealer;
    let row = |name: &str, text: String| vec![name.to_string(), text];
    let mut rows = vec![
        row("model", format!("{} -> {}", arguments.model.model.display(), arguments.out.display())),
        row(
            "size",
            format!(
                "{} layers, {} parameters, {} multiplications; at most {} values at a time",
                report.layers.len(),
                count(report.parameters),
                count(report.macs),
                count(report.peak_elements)
            ),
        ),
        row("scale", format!("{} fractional bits: {}", program.scale, report.scale_reason)),
        row("ring", format!("{} bits: {}", program.ring_bits, report.ring_reason)),
    ];
    if program.batch == Batch::Whole {
        rows.push(row("rows", "the first axis counts none: a run takes a whole array for each input".into()));
    }
    if let Some(a) = &report.agreement {
        let choices = match a.rows {
            0 => String::new(),
            rows => format!("; {} of {rows} arg-max differ", a.flips),
        };
        rows.push(row(
            "agreement",
            format!(
                "on {}, each run {} times: largest error {:.3e} ({}), {:.3e} is allowed{choices}",
                counted(a.examples, "example"),
                a.draws,
                a.largest_error,
                a.place,
                a.tolerance
            ),
        ));
    }
    rows.extend(saved(compiled, cost)?.map(|text| row("labels", text)));
    let thin: Vec<String> = report
        .thinnest()
        .iter()
        .take(THIN_LISTED)
        .map(|(name, margin)| format!("{name} {margin:.1}"))
        .collect();
    rows.push(row(
        "margins",
        format!(
            "{}, and one more where it is cheap; for all it would take {} more; the thinnest: {}",
            report.margin(),
            bytes(price),
            thin.join(", ")
        ),
    ));
    rows.push(row(
        "cost",
        format!(
            "{PRICED}: {} ({} dealt, {} online), {} rounds a run",
            bytes(cost.total.total()),
            bytes(cost.total.dealt(dealer)),
            bytes(cost.total.online(dealer)),
            cost.total.rounds
        ),
    ));
    super::print(&table(&rows, 2..))?;
    for warning in &report.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(())
}
