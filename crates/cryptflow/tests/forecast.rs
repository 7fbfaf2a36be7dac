//! What a run will take: the formula, by hand, and the way from a calibration to what `inspect` says.

use std::time::Duration;

use cryptflow::forecast::{Forecast, LARGE, Machines, SMALL, SMALLEST, calibrating, forecast, work};
use cryptflow_bench::calibration::{OfProtocol, Pace};
use cryptflow_bench::rates::Rates;
use cryptflow_engine::estimate;
use cryptflow_program::{Checked, PROCESS, demand, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::Network;
use serde_json::Value;

use crate::common;
use crate::process::{cryptflow, finish};

fn program() -> Checked {
    validate(common::program().0).unwrap()
}

fn network(rtt: f64, mbit: u64) -> Option<Network> {
    Some(Network { rtt: Duration::from_secs_f64(rtt), bandwidth_bits_per_s: mbit * 1_000_000 })
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * b.abs().max(1.0)
}

#[test]
fn kinds_of_work_hold_all_that_is_sent_and_multiplied() {
    let sizes = [(6, 8), (3, 16), (1, 4)];
    for protocol in [ProtocolName::Mirror, ProtocolName::Porthos] {
        for (ring_bits, of_ring) in [(32, 4), (48, 5), (64, 6)] {
            let network = calibrating(ring_bits, &sizes).unwrap();
            let program = &network.program;
            let costs = estimate(program, protocol.costs(ring_bits, None).as_ref()).unwrap();
            let mut sums = [0.0; cryptflow_bench::rates::KINDS];
            for (index, cost) in costs.steps.iter().enumerate() {
                let work = work(program, index, cost);
                sums.iter_mut().zip(work).for_each(|(sum, amount)| *sum += amount);
            }
            let [rounds, truncated, compared, widened, products @ .., moved, read] = sums;
            assert_eq!(rounds, costs.total.rounds as f64);
            assert_eq!(truncated + compared + widened, costs.total.total() as f64, "{protocol}, {ring_bits}");
            assert!(truncated > 0.0 && compared > 0.0 && moved > 0.0);
            let all: u64 = program.steps.iter().map(|step| step.operation.macs()).sum();
            let expected: Vec<f64> =
                (4..7).map(|kind| if kind == of_ring { all as f64 } else { 0.0 }).collect();
            assert_eq!(products.as_slice(), expected, "{ring_bits}");
            let weights: usize = network.weights.iter().map(Vec::len).sum();
            assert_eq!(read, weights as f64);
            // The tensors of weights and inputs are those that the program declares.
            let lens = |tensors: &[Vec<i64>]| tensors.iter().map(Vec::len).collect::<Vec<_>>();
            let due: Vec<usize> = program.weights.iter().map(|w| w.shape.iter().product()).collect();
            assert_eq!((lens(&network.weights), lens(&network.inputs)), (due, vec![6 * 6 * 8]));
        }
    }
    assert!(calibrating(64, &[]).is_err() && calibrating(12, &sizes).is_err());
}

/// Rates of programs that are worth several threads come from such networks, and say what these take; those of others
/// from others.
#[test]
fn a_program_goes_by_the_rates_of_its_size() {
    let protocol = ProtocolName::Mirror;
    let pace = |run| Pace { run, alone: 1.0, ..Pace::default() };
    let of = OfProtocol { several: pace(3.0), one: pace(1.0), ..OfProtocol::default() };
    for ring_bits in [32, 48, 64] {
        for (sizes, expected) in [(LARGE.as_slice(), 3.0), (&SMALL, 1.0), (&SMALLEST, 1.0)] {
            let program = calibrating(ring_bits, sizes).unwrap().program;
            let said = forecast(&program, protocol, &of, None, Machines::One).unwrap();
            assert!(near(said.seconds, expected), "{ring_bits}, {sizes:?}: {said:?}");
        }
    }
}

/// The formula of a run, on rates and networks that make one part of it large at a time.
#[test]
fn a_forecast_is_the_sum_that_the_documents_say() {
    let (program, protocol) = (program(), ProtocolName::Mirror);
    let costs = estimate(&program, protocol.costs(64, None).as_ref()).unwrap();
    let (rounds, bytes) = (costs.total.rounds as f64, costs.total.total());
    let one = Pace { run: 0.5, alone: 0.25, ..Pace::default() };
    let mut of = OfProtocol { one, process: 1e6, held: 0.5, ..OfProtocol::default() };
    let said =
        |of: &OfProtocol, network, machines| forecast(&program, protocol, of, network, machines).unwrap();

    // Nothing takes time but what is beside the steps.
    let Forecast { seconds, computing, memory, .. } = said(&of, None, Machines::One);
    assert!(near(seconds, 0.5) && near(computing, 0.5));
    assert_eq!(memory, 1_000_000 + (demand(&program).memory - PROCESS) / 2);
    // A second for each round; on machines of their own, a quarter of it.
    of.one.rates = Rates([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let one = said(&of, None, Machines::One);
    assert!(near(one.seconds, 0.5 + rounds), "{one:?}");
    assert_eq!((one.rounds, one.bytes), (costs.total.rounds, bytes));
    assert!(near(said(&of, None, Machines::Each).seconds, 0.5 + 0.25 * rounds));
    // Half a round trip for each round, and for the one in which parties see that the inputs go together.
    of.one.rates = Rates::default();
    let far = said(&of, network(2.0, 0), Machines::One);
    // What P2 deals is there after half a round trip: the first step waits for it.
    let waits = far.seconds - (0.5 + rounds + 1.0);
    assert!((-1e-9..=1.0 + 1e-9).contains(&waits), "{far:?}");
    // A line that carries little: what the evaluators send each other, step by step, or what the dealer has to send
    // one of them, in all.
    let slow = said(&of, network(0.0, 1), Machines::One);
    let longest = |party: usize| -> f64 {
        let steps = costs.steps.iter();
        let of_step = |cost: &cryptflow_mpc::Cost| {
            cost.bytes.sent(cryptflow_mpc::Party::new(party)).iter().max().copied().unwrap_or(0)
        };
        steps.map(|cost| of_step(cost) as f64 * 8.0 / 1e6).sum()
    };
    let (between, dealt) = (longest(0), longest(2));
    assert!(slow.seconds >= 0.5 + f64::max(between, dealt) - 1e-6, "{slow:?}");
    assert!(slow.seconds <= 0.5 + between + dealt + 1e-6, "{slow:?}");
    // What computes while messages are under way costs nothing, as long as it is less.
    of.one.rates = Rates([0.0, 1e-9, 1e-9, 1e-9, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let both = said(&of, network(0.0, 1), Machines::One);
    assert!(near(both.seconds, slow.seconds) && both.computing > 0.5, "{both:?}");
}

fn inspect(
    model: &std::path::Path,
    calibration: &std::path::Path,
    arguments: &[&str],
) -> std::process::Output {
    let mut command = cryptflow(&["inspect"]);
    command.arg(model).args(arguments).env("XDG_CACHE_HOME", calibration);
    finish(command.spawn().unwrap())
}

/// A machine is measured once; `inspect` then says what runs take.
#[test]
fn a_machine_is_measured_and_a_run_foretold() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 1);
    // Before, it says what to do.
    let output = inspect(&model, folder.path(), &["--rtt", "10ms"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("`cryptflow bench machine`"), "{error}");
    let kept = folder.path().join("cryptflow").join("machine.json");
    assert!(error.contains(kept.to_str().unwrap()), "{error}");

    let mut command = cryptflow(&["bench", "machine", "--runs", "1"]);
    let output = finish(command.env("XDG_CACHE_HOME", folder.path()).spawn().unwrap());
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    assert!(
        said.contains("byte of comparisons") && said.contains(&format!("kept in {}", kept.display())),
        "{said}"
    );
    let calibration: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    for pace in ["several", "one"] {
        let rates = &calibration["protocols"]["mirror"][pace]["rates"];
        assert_eq!(rates.as_array().unwrap().len(), cryptflow_bench::rates::KINDS, "{pace}");
    }
    assert!(calibration["loopback"]["bytes"].as_f64().unwrap() > 1e6);
    assert!(calibration["kernels"]["products"]["64"].as_f64().unwrap() > 1e6);

    let forecast = |arguments: &[&str]| -> Value {
        let output = inspect(&model, folder.path(), &[&["--json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["forecast"].clone()
    };
    assert!(forecast(&[]).is_null());
    let near = forecast(&["--parties-on-one-machine"]);
    let far = forecast(&["--parties-on-one-machine", "--rtt", "100ms", "--bandwidth", "1gbit"]);
    let seconds = |forecast: &Value| forecast["seconds"].as_f64().unwrap();
    let rounds = near["rounds"].as_f64().unwrap();
    assert!(seconds(&far) >= seconds(&near) + rounds * 0.05 - 1e-6, "{near}, {far}");
    assert_eq!(near["machines"], "one");
    assert_eq!(forecast(&["--rtt", "1"])["machines"], "each");
    // What then happens: as many rounds, and bytes, to the byte.
    let mut command = cryptflow(&["run", "--json"]);
    let output = finish(command.arg(&model).arg("--input").arg(&input).spawn().unwrap());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // (Its clock may begin a round behind the others'.)
    let late = report["rounds"].as_u64().unwrap() - near["rounds"].as_u64().unwrap();
    assert!(late <= 1, "{near}, {report}");
    assert_eq!(near["bytes"].as_u64().unwrap(), report["bytes"]["total"].as_u64().unwrap());

    // Another protocol, another machine, and what is no file of this kind.
    for (change, arguments, said) in [
        (None, &["--protocol", "porthos"][..], "`cryptflow bench machine --protocol porthos`"),
        (Some(("\"version\": 2", "\"version\": 99")), &[], "its version is 99"),
    ] {
        let before = std::fs::read_to_string(&kept).unwrap();
        if let Some((from, to)) = change {
            assert!(before.contains(from), "{before}");
            std::fs::write(&kept, before.replace(from, to)).unwrap();
        }
        let output = inspect(&model, folder.path(), &[&["--parties-on-one-machine"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{said}: {error}");
        std::fs::write(&kept, before).unwrap();
    }
    let text = std::fs::read_to_string(&kept).unwrap();
    let cpu = calibration["cpu"].as_str().unwrap();
    std::fs::write(&kept, text.replace(cpu, "Another CPU")).unwrap();
    let output = inspect(&model, folder.path(), &["--parties-on-one-machine"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("is of another machine (Another CPU"), "{error}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("a run will take about"), "{said}");
}
