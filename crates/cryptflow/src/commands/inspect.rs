//! `cryptflow inspect`: what a compiled model does, layer by layer, and what it will cost.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::forecast::{Forecast, Machines, forecast};
use crate::listing::{Listing, listing};
use crate::local;
use crate::notation::{self, RoundWorth};
use clap::Args;
use cryptflow_athos::fix::report::FunctionReport;
use cryptflow_bench::calibration::Calibration;
use cryptflow_bench::machine::Machine;
use cryptflow_figures::table::{bytes, count, number, shape, with_header};
use cryptflow_program::{Checked, OutputTransform, Program};
use cryptflow_protocols::ProtocolName;

use super::bench::machine;
use super::protocol;

/// Show a compiled model: layers, shapes, scales, bounds, costs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model.
    model: PathBuf,
    /// The protocol whose costs are shown.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// Say what a run will take between parties with this round trip: milliseconds, or 10ms, 200us. Like the three
    /// options below, it needs a calibration of this machine: `cryptflow bench machine`, once.
    #[arg(long, value_name = "MS", value_parser = notation::milliseconds, allow_negative_numbers = true)]
    rtt: Option<f64>,
    /// … and with this bandwidth, each way of each link: megabits, or 200mbit, 1gbit.
    #[arg(long, value_name = "MBIT", value_parser = notation::megabits, allow_negative_numbers = true)]
    bandwidth: Option<f64>,
    /// … with all parties on this machine. Without it, each party has a machine like this one to itself.
    #[arg(long)]
    parties_on_one_machine: bool,
    /// The file of the calibration (default: cryptflow/machine.json in XDG_CACHE_HOME, or in ~/.cache).
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// What a run will take, where that was asked for.
    fn forecast(&self, program: &Checked) -> Result<Option<Forecast>> {
        let network = local::network(self.rtt, self.bandwidth)?;
        if network.is_none() && !self.parties_on_one_machine && self.calibration.is_none() {
            return Ok(None);
        }
        let path = machine::file(self.calibration.as_deref())?;
        let calibration = Calibration::read(&path).map_err(Error::new)?;
        let name = self.protocol.name();
        let of = calibration.protocols.get(name).ok_or_else(|| {
            Error::at(
                &path,
                format!("it says nothing of {name}: run `cryptflow bench machine --protocol {name}`"),
            )
        })?;
        let this = Machine::this();
        if (&this.cpu, this.cores) != (&calibration.cpu, calibration.cores) {
            eprintln!(
                "warning: {} is of another machine ({}, {} cores)",
                path.display(),
                calibration.cpu,
                calibration.cores
            );
        }
        if of.cryptflow != env!("CARGO_PKG_VERSION") {
            eprintln!(
                "warning: {} was measured with release {}; make it anew with `cryptflow bench machine`",
                path.display(),
                of.cryptflow
            );
        }
        let machines = if self.parties_on_one_machine { Machines::One } else { Machines::Each };
        forecast(program, self.protocol, of, network, machines).map(Some)
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let model = crate::model_file::read(&arguments.model)?;
    let forecast = arguments.forecast(&model.program)?;
    let listing = Listing { forecast, ..listing(&model.program, model.report.as_ref(), arguments.protocol)? };
    if arguments.json {
        super::print(&serde_json::to_string_pretty(&listing).map_err(Error::new)?)
    } else {
        super::print(&text(&listing, &model.program))
    }
}

fn text(listing: &Listing<'_>, program: &Program) -> String {
    let mut text = format!(
        "{}: ring of {} bits, {} fractional bits, digest {}\n",
        listing.name, listing.ring_bits, listing.scale, listing.digest
    );
    for input in listing.inputs {
        let dimensions = input.given_shape(program).map_or(String::new(), shape);
        text += &match input.classes {
            Some(classes) => {
                let last = classes.saturating_sub(1);
                format!("input {} {dimensions}, ids from 0 to {last}, shared as one-hot rows\n", input.name)
            }
            None => {
                format!("input {} {dimensions}, from {:.4} to {:.4}\n", input.name, input.low, input.high)
            }
        };
    }
    for output in listing.outputs {
        let dimensions = program.values.get(output.value.0).map_or(String::new(), |v| shape(&v.shape));
        let client = match output.transform {
            Some(OutputTransform::Softmax) => ", the client applies softmax",
            Some(OutputTransform::ArgMax) => ", the client applies arg-max",
            Some(OutputTransform::TopK { .. }) => ", the client takes the first few",
            Some(OutputTransform::Class { .. }) => ", the index of a class",
            None => "",
        };
        text += &format!("output {} {dimensions}{client}\n", output.name);
    }
    text.push('\n');
    let nothing = |n: u64, shown: String| if n == 0 { String::new() } else { shown };
    let rows = listing.layers.iter().enumerate().map(|(index, l)| {
        [
            index.to_string(),
            l.operation.to_string(),
            shape(&l.shape),
            l.ring_bits.to_string(),
            format!("{:.4}", l.low),
            format!("{:.4}", l.high),
            l.compare_bits.map_or(String::new(), |b| b.to_string()),
            nothing(l.macs, count(l.macs)),
            nothing(l.dealt_bytes, bytes(l.dealt_bytes)),
            nothing(l.online_bytes, bytes(l.online_bytes)),
            nothing(l.rounds, l.rounds.to_string()),
            l.name.clone(),
        ]
    });
    let header = [
        "",
        "operation",
        "shape",
        "ring",
        "from",
        "to",
        "bits",
        "MACs",
        "dealt",
        "online",
        "rounds",
        "layer",
    ];
    text += &with_header(header, rows, 3..11);
    let t = &listing.totals;
    text += &format!(
        "\n{} steps, {} parameters, {} multiplications, at most {} values at a time: about {} at a party\n{}: {} a run ({} dealt, {} online), {} rounds\n",
        t.steps,
        count(t.parameters),
        count(t.macs),
        count(t.peak_elements),
        bytes(t.memory),
        listing.protocol,
        bytes(t.bytes),
        bytes(t.dealt_bytes),
        bytes(t.online_bytes),
        t.rounds
    );
    if t.weight_bytes.iter().any(|&part| part > 0) {
        let parts =
            t.weight_bytes.iter().enumerate().map(|(party, part)| format!("P{party} {}", bytes(*part)));
        text += &format!("the weights, shared once for all runs: {}\n", parts.collect::<Vec<_>>().join(", "));
    }
    if let Some(bits) = listing.bits_per_round.filter(|&bits| RoundWorth(Some(bits)) != RoundWorth::LAN) {
        text += &format!(
            "for a network on which a round is worth {} bits of a link (compile --network)\n",
            count(bits)
        );
    }
    text += &match &t.guard {
        Some(guard) => format!(
            "guard: a run in which a value leaves its bounds gives no output; of the above it takes {} and {} rounds\n",
            bytes(guard.bytes),
            guard.rounds
        ),
        None => String::new(),
    };
    text += &format!(
        "beside that, each run: {} and {} rounds to refuse inputs beyond their bounds, where the client is somebody else; {} and {} \
         round to see that the parts of the inputs go together\n",
        bytes(t.input_check.bytes),
        t.input_check.rounds,
        bytes(t.agreement.bytes),
        t.agreement.rounds
    );
    text += &match &t.dealt_ahead {
        Some(run) => format!(
            "dealt ahead (cryptflow preprocess), a run takes {} and {} rounds, and {} on the evaluators' disks\n",
            bytes(run.bytes),
            run.rounds,
            bytes(t.dealt_bytes)
        ),
        None => String::new(),
    };
    if let Some(forecast) = &listing.forecast {
        let machines = match forecast.machines {
            Machines::One => "all parties on this machine",
            Machines::Each => "each party on a machine like this one",
        };
        text += &format!(
            "a run will take about {} s, of which computing takes {} s ({machines}), {} and {} rounds; parties will hold up to {}\n",
            number(forecast.seconds),
            number(forecast.computing),
            bytes(forecast.bytes),
            forecast.rounds,
            bytes(forecast.memory)
        );
    }
    text += &functions(listing.report);
    if let Some(failure) = t.truncation_failure {
        let never: Vec<String> = ProtocolName::usual().map(|protocol| format!("{protocol}'s")).collect();
        text += &format!(
            "a truncation of a run fails with a probability of at most {failure:.1e}; {} never does\n",
            never.join(" and ")
        );
    }
    text
}

/// The functions that polynomials stand for, with the range that they are made for and the largest
/// error there.
fn functions(report: Option<&serde_json::Value>) -> String {
    let functions = report.and_then(|r| r.get("functions")).cloned().unwrap_or_default();
    let functions: Vec<FunctionReport> = serde_json::from_value(functions).unwrap_or_default();
    if functions.is_empty() {
        return String::new();
    }
    // What is next to zero is not zero.
    let end = |v: f64| if v != 0.0 && v.abs() < 1e-3 { format!("{v:.1e}") } else { format!("{v:.4}") };
    let rows = functions.into_iter().map(|f| {
        [
            f.function,
            end(f.low),
            end(f.high),
            f.pieces.to_string(),
            f.degree.to_string(),
            format!("{:.1e}", f.largest_error),
            f.zero_below.map_or(String::new(), end),
            f.name,
        ]
    });
    let header = ["function", "from", "to", "pieces", "degree", "largest error", "zero below", "of"];
    format!("\n{}", with_header(header, rows, 1..7))
}
