//! `cryptflow bench`: what runs of networks take, whether a change made them faster, and how many requests a
//! service answers.

mod compare;
pub(super) mod machine;
mod measure;
mod networks;
mod service;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::local::Executable;
use crate::notation;
use clap::{Args, Subcommand};
use cryptflow_athos::compile::Scale;
use cryptflow_bench::machine::{Machine, now};
use cryptflow_bench::{Measurement, Network, Outcome, Results, charts, markdown, published, tensorflow};
use cryptflow_program::write_whole;
use cryptflow_protocols::ProtocolName;

use super::network::Emulated;
use super::protocol;
use measure::{Job, Launch, measure};
use networks::{Files, Ready};

/// Bits of weights: as many as there are.
const PRECISE_WEIGHTS: u32 = 31;

/// Measure what secure runs of networks take.
#[derive(Subcommand)]
pub(crate) enum Arguments {
    Paper(Paper),
    Compare(compare::Arguments),
    Machine(machine::Arguments),
    Service(service::Arguments),
}

/// The networks of CrypTFlow's evaluation, which models/paper/make.py makes: each is compiled and
/// run between three processes of this machine with each protocol, and printed as a Markdown table
/// beside the published figures.
#[derive(Args)]
pub(crate) struct Paper {
    /// The folder of the networks: of each NAME.pb, NAME.calibration.npy and NAME.npy. Networks of
    /// your own are measured, too.
    #[arg(long, value_name = "DIR")]
    models: PathBuf,
    /// The protocols.
    #[arg(long, value_parser = protocol::parser(), value_delimiter = ',', default_value = "mirror,porthos")]
    protocol: Vec<ProtocolName>,
    /// Runs of each network with each protocol, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Only these networks.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Fractional bits of activations, or `auto`; the default is what was published.
    #[arg(long, value_name = "auto|BITS", default_value = "12", value_parser = notation::scale)]
    scale: Scale,
    /// Write bench.md, bench.json, bytes.svg and seconds.svg into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
    #[command(flatten)]
    network: Emulated,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let arguments = match arguments {
        Arguments::Paper(arguments) => arguments,
        Arguments::Machine(arguments) => return machine::run(arguments, executable),
        Arguments::Compare(arguments) => return compare::run(arguments, executable),
        Arguments::Service(arguments) => return service::run(arguments),
    };
    let timeout = super::timeout(arguments.timeout)?;
    let network = arguments.network.network()?;
    let files = networks::find(&arguments.models, &arguments.only)?;
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).map_err(|e| Error::at(folder, e))?;
    }
    let launch = Launch { executable, deadline: timeout, network };

    let mut results = Results {
        cryptflow: env!("CARGO_PKG_VERSION").into(),
        machine: Machine::this(),
        date: now(),
        command: command_line(),
        network: network.map(Into::into),
        runs: arguments.runs.into(),
        tensorflow: None,
        networks: Vec::new(),
    };
    let tensorflow = tensorflow::installed();
    for files in &files {
        let measured = one(arguments, files, &launch, tensorflow, &mut results.tensorflow)?;
        results.networks.push(measured);
        // A long benchmark that is broken off leaves what it has.
        if let Some(folder) = &arguments.out {
            write(folder, &results)?;
        }
    }
    super::print(&markdown::report(&results))?;
    match results.failures() {
        0 => Ok(()),
        n => Err(Error::new(format!("{n} of the measurements failed; the report says which, and why"))),
    }
}

/// Everything about one network. A protocol that cannot run it is part of the result.
fn one(
    arguments: &Paper,
    files: &Files,
    launch: &Launch<'_>,
    tensorflow: bool,
    version: &mut Option<String>,
) -> Result<Network> {
    let say = |text: String| eprintln!("{}: {text}", files.name);
    say("compiling".into());
    let compile = |weight_bits| networks::compile(files, arguments.scale, weight_bits, arguments.runs.into());
    let precise: Ready = compile(PRECISE_WEIGHTS)?;
    // A protocol whose truncations would fail all the time above products that fill the ring has
    // weights with fewer bits.
    let bits = |protocol: &ProtocolName| protocol.facts().weight_bits.unwrap_or(PRECISE_WEIGHTS);
    let mut compiled = BTreeMap::new();
    for bits in arguments.protocol.iter().map(bits).filter(|&bits| bits != PRECISE_WEIGHTS) {
        if let Entry::Vacant(place) = compiled.entry(bits) {
            place.insert(compile(bits)?);
        }
    }
    let tensorflow_seconds = if tensorflow {
        let timed =
            tensorflow::time(&files.model, &files.examples, 5).map_err(|e| Error::at(&files.model, e))?;
        *version = Some(timed.version);
        Some(timed.seconds)
    } else {
        None
    };
    let mut measurements = Vec::with_capacity(arguments.protocol.len());
    for &protocol in &arguments.protocol {
        let weight_bits = bits(&protocol);
        let ready = compiled.get(&weight_bits).unwrap_or(&precise);
        let job = Job {
            program: &ready.compiled.program,
            weights: &ready.compiled.weights,
            examples: &ready.examples,
            expected: &ready.expected,
            protocol,
            runs: arguments.runs.into(),
        };
        let outcome = match measure(&job, launch) {
            Ok(taken) => {
                say(format!("{protocol}: {:.3} s", taken.median_seconds));
                Outcome::Ran(taken)
            }
            Err(error) => {
                say(format!("{protocol}: {error}"));
                Outcome::Failed(error.to_string())
            }
        };
        measurements.push(Measurement { protocol: protocol.to_string(), weight_bits, outcome });
    }
    Ok(Network {
        name: files.name.clone(),
        title: published::title(&files.name),
        parameters: precise.compiled.report.parameters,
        macs: precise.compiled.report.macs,
        scale: precise.compiled.program.scale,
        compile_seconds: precise.seconds,
        published: published::of(&files.name).cloned(),
        tensorflow_seconds,
        measurements,
    })
}

/// Writes the report in all its forms.
fn write(folder: &Path, results: &Results) -> Result<()> {
    let json = serde_json::to_string_pretty(results).map_err(Error::new)? + "\n";
    let files = [
        ("bench.md", markdown::report(results)),
        ("bench.json", json),
        ("bytes.svg", charts::bytes(results)),
        ("seconds.svg", charts::times(results)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        write_whole(&path, |w| w.write_all(text.as_bytes())).map_err(|e| Error::at(&path, e))?;
    }
    Ok(())
}

/// As it was typed, but for the folder of the executable.
fn command_line() -> String {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or(OsStr::new("cryptflow")).to_owned();
    let words = std::iter::once(program).chain(words);
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
