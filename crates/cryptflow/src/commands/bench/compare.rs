//! `cryptflow bench compare`: whether another build of this command is faster, by runs of both in turns.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use cryptflow_bench::machine::children_cpu_seconds;
use cryptflow_bench::paired::{FEWEST, Judgement, Verdict};
use cryptflow_figures::table::bytes;
use cryptflow_protocols::ProtocolName;
use serde::Serialize;
use serde_json::Value;

use super::super::{print, protocol};
use crate::error::{Error, Result};
use crate::local::Executable;
use crate::notation;

/// Judge a change: run a compiled model with an older build of this command and with this one, in turns.
///
/// Numbers of another hour say little about a machine that others use, too: what counts is the ratio within each pair
/// of runs, one right after the other. Each pair begins with the build that the one before has ended with.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The older build: a `cryptflow` executable.
    old: PathBuf,
    /// The compiled model.
    model: PathBuf,
    /// The newer build; this executable where none is named.
    #[arg(long, value_name = "EXECUTABLE")]
    new: Option<PathBuf>,
    /// The model for the older build, where it was compiled by another one: to judge a change of the compiler.
    #[arg(long, value_name = "FILE")]
    old_model: Option<PathBuf>,
    /// What to run it on, as for `cryptflow run`. More rows are longer runs, which vary less.
    #[arg(long, short, required = true, num_args = 1.., value_name = "FILE|NAME=FILE")]
    input: Vec<OsString>,
    /// Pairs of runs.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(FEWEST as i64..=10_000))]
    pairs: u32,
    /// The protocol.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// Round trip of an emulated network between the parties, as for `cryptflow run`: milliseconds, or 10ms.
    #[arg(long, value_name = "MS", value_parser = notation::milliseconds)]
    rtt: Option<f64>,
    /// Its bandwidth: Mbit/s, or 1gbit.
    #[arg(long, value_name = "MBIT", value_parser = notation::megabits)]
    bandwidth: Option<f64>,
    /// Fail where the new build is shown to take more than so many times the old one's online seconds or bytes.
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true)]
    at_most: Option<f64>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    /// Seconds from the inputs' shares to the outputs.
    online: Judgement,
    /// Processor seconds of the whole command, all parties and the sharing included; absent where the system does
    /// not tell, or where a run takes too few to be counted.
    cpu: Option<Judgement>,
    /// Bytes between the parties, with the old build and the new one.
    bytes: [u64; 2],
    /// Rounds.
    rounds: [u64; 2],
    /// The most memory of a party.
    memory: [Option<u64>; 2],
    /// Online seconds of each pair.
    seconds: Vec<[f64; 2]>,
}

/// What one run took.
struct Run {
    online: f64,
    cpu: Option<f64>,
    bytes: u64,
    rounds: u64,
    memory: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    if let Some(wrong) = arguments.at_most.filter(|ratio| !(ratio.is_finite() && *ratio > 0.0)) {
        return Err(Error::new(format_args!("--at-most {wrong}: give a ratio, as in 1.05")));
    }
    let old_model = arguments.old_model.as_ref().unwrap_or(&arguments.model);
    let old = || once(arguments, Command::new(&arguments.old), &arguments.old, old_model);
    let new = || match &arguments.new {
        Some(file) => once(arguments, Command::new(file), file, &arguments.model),
        None => {
            let command = executable.command().map_err(Error::new)?;
            let this = PathBuf::from(command.get_program());
            once(arguments, command, &this, &arguments.model)
        }
    };
    // Once each for the caches, and to see that both can.
    let first = [old()?, new()?];
    let mut pairs = Vec::new();
    for pair in 0..arguments.pairs {
        let both = match pair % 2 {
            0 => {
                let old = old()?;
                [old, new()?]
            }
            _ => {
                let new = new()?;
                [old()?, new]
            }
        };
        eprintln!(
            "pair {} of {}: {:.3} s, {:.3} s",
            pair + 1,
            arguments.pairs,
            both[0].online,
            both[1].online
        );
        pairs.push(both);
    }
    let seconds: Vec<[f64; 2]> = pairs.iter().map(|pair| pair.each_ref().map(|run| run.online)).collect();
    let cpu = pairs.iter().map(|[old, new]| Some([old.cpu?, new.cpu?])).collect::<Option<Vec<_>>>();
    let most = |of: fn(&Run) -> u64| {
        [0, 1].map(|i| pairs.iter().chain([&first]).filter_map(|pair| pair.get(i)).map(of).max().unwrap_or(0))
    };
    let found = Found {
        online: Judgement::of(&seconds)
            .ok_or_else(|| Error::new("a run took no time: nothing can be said"))?,
        cpu: cpu.as_deref().and_then(Judgement::of),
        bytes: most(|run| run.bytes),
        rounds: most(|run| run.rounds),
        memory: most(|run| run.memory.unwrap_or(0)).map(|memory| (memory > 0).then_some(memory)),
        seconds,
    };
    match arguments.json {
        true => print(&serde_json::to_string_pretty(&found).map_err(Error::new)?)?,
        false => print(&text(&found))?,
    }
    arguments.at_most.map_or(Ok(()), |most| held(&found, most))
}

/// Whether nothing was shown to take more than so many times as much.
fn held(found: &Found, most: f64) -> Result<()> {
    if found.online.interval[0] > most {
        return Err(Error::new(format_args!("the new build takes more than {most} times the seconds")));
    }
    if found.bytes[1] as f64 > most * found.bytes[0] as f64 {
        return Err(Error::new(format_args!("the new build sends more than {most} times the bytes")));
    }
    Ok(())
}

fn text(found: &Found) -> String {
    let mut text = format!("online   {}\n", found.online);
    text += &match &found.cpu {
        Some(cpu) => format!("cpu      {cpu}\n"),
        None => "cpu      not counted\n".into(),
    };
    let ratio = |[old, new]: [u64; 2]| match old {
        0 => String::new(),
        _ => format!(" ({:.3})", new as f64 / old as f64),
    };
    text +=
        &format!("bytes    {} → {}{}\n", bytes(found.bytes[0]), bytes(found.bytes[1]), ratio(found.bytes));
    text += &format!("rounds   {} → {}{}\n", found.rounds[0], found.rounds[1], ratio(found.rounds));
    if let [Some(old), Some(new)] = found.memory {
        text += &format!(
            "memory   {} → {}{}, of the party that holds most\n",
            bytes(old),
            bytes(new),
            ratio([old, new])
        );
    }
    if found.online.verdict == Verdict::Open {
        text += "More --pairs narrow the interval, with their square root; so do more rows of --input.\n";
    }
    text
}

/// One run of a build.
fn once(arguments: &Arguments, mut command: Command, file: &Path, model: &Path) -> Result<Run> {
    command.arg("run").arg(model).arg("--input").args(&arguments.input);
    command.args(["--json", "--protocol", arguments.protocol.name()]);
    for (option, value) in [("--rtt", arguments.rtt), ("--bandwidth", arguments.bandwidth)] {
        command.args(value.iter().flat_map(|value| [option.to_string(), value.to_string()]));
    }
    let before = children_cpu_seconds();
    let output = command.stdin(Stdio::null()).output().map_err(|e| Error::at(file, e))?;
    let cpu = before.zip(children_cpu_seconds()).map(|(before, after)| after - before);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::at(file, format!("it failed, {}: {}", output.status, said.trim())));
    }
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::at(file, format!("`run --json` printed no report: {e}")))?;
    let missing = |what: &str| Error::at(file, format!("the report of `run --json` has no {what}"));
    let count = |what: &str| report.pointer(what).and_then(Value::as_u64).ok_or_else(|| missing(what));
    let peaks = report.get("peak_rss").and_then(Value::as_object);
    Ok(Run {
        online: report
            .pointer("/seconds/online")
            .and_then(Value::as_f64)
            .ok_or_else(|| missing("seconds"))?,
        cpu,
        bytes: count("/bytes/total")?,
        rounds: count("/rounds")?,
        memory: peaks.and_then(|peaks| peaks.values().filter_map(Value::as_u64).max()),
    })
}
