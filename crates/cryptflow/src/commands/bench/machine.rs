//! `cryptflow bench machine`: what this machine takes for the work of secure runs, so that `cryptflow inspect` can say
//! beforehand what a run takes.

mod kernels;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use cryptflow_bench::calibration::{Calibration, CalibrationError, OfProtocol, Pace, VERSION, usual_path};
use cryptflow_bench::machine::{Machine, cpu_seconds, now};
use cryptflow_bench::median;
use cryptflow_bench::rates::{NAMES, Rates, Work};
use cryptflow_engine::estimate;
use cryptflow_figures::table::{number, table};
use cryptflow_program::{PROCESS, demand, write_whole};
use cryptflow_protocols::ProtocolName;

use super::super::{print, protocol};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::forecast::{LARGE, Measured, SMALL, SMALLEST, calibrating, work};
use crate::local::{Executable, Parties};

/// Bits of their rings: one for each kind of kernel.
const RINGS: [u32; 3] = [32, 48, 64];
/// How often it runs for each run of another one.
const OFTENER: usize = 5;

/// Measure this machine, once, for what `cryptflow inspect --rtt …` says of runs: some seconds, with nothing else
/// running. Networks of many sizes are run between processes of this machine; no model is needed.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The protocol. What is known of others stays.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// Runs of each network, of which the medians count.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Where the calibration is kept (default: cryptflow/machine.json in XDG_CACHE_HOME, or in ~/.cache).
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
    /// Print the calibration as JSON.
    #[arg(long)]
    json: bool,
}

/// The calibration's file: the one that is named, or the usual one.
pub(crate) fn file(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(path) => Ok(path.to_path_buf()),
        None => usual_path(|name| std::env::var_os(name)).map_err(Error::new),
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let deadline = super::super::timeout(arguments.timeout)?;
    let path = file(arguments.calibration.as_deref())?;
    let this = Machine::this();
    // What another machine took, or another release wrote, is no part of this.
    let before = match Calibration::read(&path) {
        Ok(before) if before.cpu == this.cpu && before.cores == this.cores => before.protocols,
        Ok(_) | Err(CalibrationError::None(_) | CalibrationError::Other(..)) => Default::default(),
        Err(error @ (CalibrationError::Unreadable(..) | CalibrationError::NoFolder)) => {
            return Err(Error::new(error));
        }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::at(folder, e))?;
    }
    let mut calibration = Calibration {
        version: VERSION,
        cpu: this.cpu.clone(),
        cores: this.cores,
        kernels: kernels::kernels(),
        loopback: kernels::loopback()?,
        protocols: before,
    };
    let protocol = arguments.protocol;
    let launch = |measured: &Measured, runs| session(executable, deadline, protocol, measured, runs);
    let found = measure(protocol, usize::from(arguments.runs), &launch)?;
    calibration.protocols.insert(protocol.name().into(), found.of);
    let json = serde_json::to_string_pretty(&calibration).map_err(Error::new)? + "\n";
    write_whole(&path, |w| w.write_all(json.as_bytes())).map_err(|e| Error::at(&path, e))?;
    if arguments.json {
        return print(&json);
    }
    print(&text(&calibration, protocol, &found.spread))?;
    print(&format!("\nkept in {}\n", path.display()))?;
    if let Some(load) = this.load.filter(|load| *load > 0.5 * this.cores as f64) {
        eprintln!(
            "warning: other processes wanted {load:.1} of the {} cores: what is measured beside them is too slow",
            this.cores
        );
    }
    Ok(())
}

/// What was found with a protocol, and how well the rates say what the networks took.
struct Found {
    of: OfProtocol,
    spread: Vec<Spread>,
}

/// How well rates say what a network took that they were found by.
struct Spread {
    network: &'static str,
    ring_bits: u32,
    said: f64,
    took: f64,
}

/// A session with one network: what its runs took.
struct Session {
    /// Seconds of each step, the median of all runs.
    steps: Vec<f64>,
    /// Seconds of a run, the median.
    online: f64,
    /// Seconds of all runs, and of these the processor seconds of the busiest party; where the system tells.
    busy: Option<(f64, f64)>,
    /// The most memory of a party.
    memory: Option<u64>,
}

type Launch<'a> = dyn Fn(&Measured, usize) -> Result<Session> + 'a;

fn measure(protocol: ProtocolName, runs: usize, launch: &Launch<'_>) -> Result<Found> {
    let smallest = calibrating(48, &SMALLEST)?;
    let oftener = runs.saturating_mul(OFTENER);
    let least = launch(&smallest, oftener)?;
    let process = least.memory.unwrap_or(PROCESS) as f64;
    let beside = (least.online - least.steps.iter().sum::<f64>()).max(0.0);
    let mut spread = Vec::new();
    let large = paced(protocol, ("large", &LARGE), process, &mut spread, &|network| launch(network, runs))?;
    let small =
        paced(protocol, ("small", &SMALL), process, &mut spread, &|network| launch(network, oftener))?;
    Ok(Found {
        of: OfProtocol {
            cryptflow: env!("CARGO_PKG_VERSION").into(),
            date: now(),
            several: Pace { run: beside, ..large.pace },
            one: Pace { run: beside, ..small.pace },
            process,
            held: large.held,
        },
        spread,
    })
}

/// What networks of these sizes took.
struct Paced {
    /// Without what a run takes beside its steps.
    pace: Pace,
    held: f64,
}

/// Runs a network for each kind of kernel, and finds rates.
fn paced(
    protocol: ProtocolName,
    (name, sizes): (&'static str, &[(usize, usize)]),
    process: f64,
    spread: &mut Vec<Spread>,
    launch: &dyn Fn(&Measured) -> Result<Session>,
) -> Result<Paced> {
    let (mut steps, mut sessions, mut held) = (Vec::<(Work, f64)>::new(), Vec::new(), Vec::new());
    for bits in RINGS {
        let network = calibrating(bits, sizes)?;
        let session = launch(&network)?;
        let costs = protocol.costs(bits, None);
        let costs = estimate(&network.program, costs.as_ref()).map_err(Error::new)?.steps;
        let works: Vec<Work> =
            costs.iter().enumerate().map(|(index, cost)| work(&network.program, index, cost)).collect();
        let most = demand(&network.program).memory.saturating_sub(PROCESS) as f64;
        held.extend(session.memory.map(|memory| (memory as f64 - process).max(0.0) / most.max(1.0)));
        steps.extend(works.iter().copied().zip(session.steps.iter().copied()));
        sessions.push((bits, works, session));
    }
    let rates = Rates::fit(&steps);
    for (bits, works, session) in &sessions {
        let said: f64 = works.iter().map(|work| rates.seconds(work)).sum();
        let took = session.steps.iter().sum();
        spread.push(Spread { network: name, ring_bits: *bits, said, took });
    }
    let busy = sessions.iter().filter_map(|(_, _, session)| session.busy);
    let (wall, cpu) = busy.fold((0.0, 0.0), |(wall, cpu), (w, c)| (wall + w, cpu + c));
    let alone = if wall > 0.0 { (cpu / wall).min(1.0) } else { 1.0 };
    Ok(Paced { pace: Pace { rates, run: 0.0, alone }, held: median(&held) })
}

fn session(
    executable: &Executable,
    deadline: Duration,
    protocol: ProtocolName,
    measured: &Measured,
    runs: usize,
) -> Result<Session> {
    let parties = protocol.facts().parties;
    let (parties, links) = Parties::launch(executable, parties, deadline, None).map_err(Error::new)?;
    let processes = parties.ids();
    let result = Client::begin(links, &measured.program, protocol)
        .map_err(Error::from)
        .and_then(|client| runs_of(client, measured, runs, &processes));
    parties.end(result)
}

fn runs_of(client: Client<'_>, measured: &Measured, runs: usize, processes: &[u32]) -> Result<Session> {
    client.deploy(&measured.weights).map_err(Error::new)?;
    let infer = || client.infer(&measured.inputs, &mut |_| ()).map_err(Error::from);
    // The first one makes what the others find.
    infer()?;
    let cpu = || processes.iter().map(|&process| cpu_seconds(process)).collect::<Option<Vec<f64>>>();
    let before = cpu();
    let (mut online, mut steps) = (Vec::new(), vec![Vec::new(); measured.program.steps.len()]);
    for _ in 0..runs {
        let answer = infer()?;
        online.push(answer.online.as_secs_f64());
        let records = answer.records.first().map(|record| record.steps.as_slice()).unwrap_or_default();
        steps.iter_mut().zip(records).for_each(|(steps, record)| steps.push(record.seconds));
    }
    let busiest = before.zip(cpu()).map(|(before, after)| {
        after.iter().zip(&before).map(|(after, before)| after - before).fold(0.0, f64::max)
    });
    let memory = client.finish().map_err(Error::new)?.into_iter().flatten().max();
    Ok(Session {
        steps: steps.iter().map(|seconds| median(seconds)).collect(),
        busy: busiest.map(|busiest| (online.iter().sum(), busiest)),
        online: median(&online),
        memory,
    })
}

fn text(calibration: &Calibration, protocol: ProtocolName, spread: &[Spread]) -> String {
    let Calibration { cpu, cores, kernels, loopback, protocols, .. } = calibration;
    let giga = |n: f64| format!("{:.2} G", n / 1e9);
    let products: Vec<String> =
        kernels.products.iter().map(|(bits, rate)| format!("{}/s at {bits} bits", giga(*rate))).collect();
    let mut text = format!(
        "machine   {cpu}, {cores} cores\nproducts  {}\nstreams   {}B/s, packing {}B/s\nloopback  {}B/s, a message {} µs\n",
        products.join(", "),
        giga(kernels.stream_bytes),
        giga(kernels.packed_bytes),
        giga(loopback.bytes),
        number(loopback.message * 1e6),
    );
    let Some(of) = protocols.get(protocol.name()) else { return text };
    let time = |seconds: f64| match seconds {
        seconds if seconds < 1e-6 => format!("{} ns", number(seconds * 1e9)),
        seconds if seconds < 1e-3 => format!("{} µs", number(seconds * 1e6)),
        seconds => format!("{} ms", number(seconds * 1e3)),
    };
    text += &format!("\n{protocol}, all parties on this machine:\n");
    let both = of.several.rates.0.iter().zip(of.one.rates.0);
    let rates = NAMES
        .iter()
        .zip(both)
        .map(|(name, (several, one))| vec![format!("  {name}"), time(*several), time(one)]);
    let head = ["  programs that are worth", "several threads", "one"].map(String::from).to_vec();
    let beside = vec!["  a run, beside its steps".into(), time(of.several.run), time(of.one.run)];
    let alone = [of.several.alone, of.one.alone].map(|part| format!("{part:.2} of that"));
    let alone = ["  each on one of its own".to_string()].into_iter().chain(alone).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rates).chain([beside, alone]).collect();
    text += &table(&rows, 1..);
    for Spread { network, ring_bits, said, took } in spread {
        text += &format!(
            "the rates say {} of the {network} network in a ring of {ring_bits} bits, which took {}\n",
            time(*said),
            time(*took)
        );
    }
    text
}
