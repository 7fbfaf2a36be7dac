//! Where the time of a run went: the table by layer, and the time line.

use std::time::Duration;

use cryptflow::profile::{At, Batch, Clocks, Layer, PartyTime, layers, text, trace};
use cryptflow_engine::StepRecord;
use cryptflow_party::profile::{Profile, StepProfile, WaitRecord};
use serde_json::Value;

use crate::common;
use crate::process::{cryptflow, finish};

/// A party of two, in a program of three steps of two layers: every step takes a second, and a part of it is
/// waited for the other one.
fn at(party: usize, begun: u64, waits: [f64; 3]) -> At {
    let other = 1 - party;
    let steps = waits.iter().enumerate().map(|(i, &wait)| {
        let mut waited = vec![0.0; 2];
        waited[other] = wait;
        StepProfile { begun: i as f64, seconds: 1.0, waited }
    });
    let waits = waits.iter().enumerate().map(|(i, &seconds)| WaitRecord {
        peer: other,
        begun: i as f64 + 0.25,
        seconds,
    });
    let mut sent = vec![0; 2];
    // What a party sends to itself counts for nothing.
    (sent[other], sent[party]) = (10 + party as u64, 1000);
    let record = StepRecord { seconds: 1.0, rounds: 2 + party as u64, sent };
    At {
        profile: Profile { begun, steps: steps.collect(), waits: waits.collect() },
        records: vec![record; 3],
        rounds: 6 + 3 * party as u64,
        seconds: 3.0,
    }
}

fn batch(begun: u64) -> Batch {
    Batch {
        parties: vec![at(0, begun, [0.5, 0.0, 0.25]), at(1, begun + 7, [0.0, 0.125, 0.0])],
        left_out: false,
    }
}

/// The test program, with its second step a part of the first layer.
fn program() -> cryptflow_program::Program {
    let (mut program, _) = common::program();
    program.steps[1].name = "hidden".into();
    program
}

#[test]
fn steps_of_one_layer_are_one_row_in_all_batches() {
    let found = layers(&program(), &[batch(0), batch(10)]);
    let time = |computing, waiting| PartyTime { computing, waiting };
    let expected = [
        Layer {
            name: "hidden".into(),
            operations: vec!["matmul", "relu"],
            parties: vec![time(3.0, 1.0), time(3.75, 0.25)],
            bytes: 2 * 2 * 21,
            rounds: 2 * 2 * 3,
        },
        Layer {
            name: "logits".into(),
            operations: vec!["matmul"],
            parties: vec![time(1.5, 0.5), time(2.0, 0.0)],
            bytes: 2 * 21,
            rounds: 2 * 3,
        },
    ];
    assert_eq!(found, expected);
    let lines: Vec<Vec<String>> =
        text(&found).lines().map(|line| line.split_whitespace().map(String::from).collect()).collect();
    assert_eq!(lines[0].join(" "), "P0 ms waits P1 ms waits computing bytes rounds layer operations");
    assert_eq!(lines[1].join(" "), "3000.0 1000.0 3750.0 250.0 65.9 % 84 B 12 hidden matmul, relu");
    assert_eq!(lines[3].join(" "), "4500.0 1500.0 5750.0 250.0 100.0 % 126 B 18 all layers");
    // Nothing ran: nothing is divided by it.
    assert!(text(&layers(&program(), &[])).contains("0.0 %"));
}

/// The slices of a trace: process, name, begin and length.
fn slices(trace: &Value) -> Vec<(u64, String, f64, f64)> {
    let events = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    let slice = |event: &Value| {
        let text = event["name"].as_str().unwrap().to_string();
        (event["pid"].as_u64().unwrap(), text, event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap())
    };
    events.map(slice).collect()
}

#[test]
fn a_time_line_has_parties_steps_and_waits() {
    let batches = [batch(1_000_000), batch(6_000_000).without_waits()];
    for (clocks, later, second) in [(Clocks::One, 7.0, 5e6), (Clocks::Several, 0.0, 3e6)] {
        let trace = trace(&program(), &batches, clocks);
        let slices = slices(&trace);
        let has = |pid: u64, name: &str, begun: f64, took: f64| {
            let slice = (pid, name.to_string(), begun, took);
            assert!(slices.contains(&slice), "{clocks:?}: {slice:?} is not in {slices:#?}");
        };
        // In both batches, for each of two parties: the batch and its three steps; the waits of one batch.
        assert_eq!(slices.len(), 2 * 2 * 4 + 2 * 3);
        has(1, "run 1", 0.0, 3e6);
        has(2, "run 1", later, 3e6);
        has(1, "run 2 (single waits left out)", second, 3e6);
        has(1, "matmul", 2e6, 1e6);
        has(2, "relu", later + 1e6, 1e6);
        has(1, "waits for P1", 0.25e6, 0.5e6);
        has(2, "waits for P0", later + 1.25e6, 0.125e6);
    }
    let trace = trace(&program(), &[], Clocks::One);
    assert_eq!(trace["traceEvents"], serde_json::json!([]));
}

/// Steps that ran at the same time are on threads of their own, and so are the waits.
#[test]
fn slices_of_a_thread_do_not_overlap() {
    let mut batch = batch(0);
    batch.parties.truncate(1);
    batch.parties[0].profile.steps[1].begun = 0.5;
    let trace = trace(&program(), &[batch], Clocks::One);
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let of = |kind: &str| -> Vec<u64> {
        let events = events.clone().filter(|event| event["cat"] == kind);
        events.map(|event| event["tid"].as_u64().unwrap()).collect()
    };
    assert_eq!((of("run"), of("step")), (vec![1], vec![1, 3, 1]));
    assert!(of("wait").iter().all(|thread| *thread == 2));
}

#[test]
fn a_time_line_of_something_else_is_none() {
    let (good, steps, parties) = (at(0, 0, [0.5; 3]).profile, 3, 2);
    assert!(good.fits(steps, parties));
    assert!(!good.fits(2, parties) && !good.fits(steps, 3));
    let wrong = |change: &dyn Fn(&mut Profile)| {
        let mut profile = good.clone();
        change(&mut profile);
        profile.fits(steps, parties)
    };
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(!wrong(&|p| p.steps[1].begun = bad) && !wrong(&|p| p.steps[0].seconds = bad), "{bad}");
        assert!(!wrong(&|p| p.steps[2].waited[1] = bad) && !wrong(&|p| p.waits[0].seconds = bad), "{bad}");
        assert!(!wrong(&|p| p.waits[2].begun = bad), "{bad}");
    }
    assert!(!wrong(&|p| p.waits[0].peer = 2));
}

/// The whole command: the layers of the program with all bytes and rounds of the report, and a time line in which
/// every slice of a party lies within its run.
#[test]
fn a_run_shows_where_its_time_went() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 3);
    let file = folder.path().join("t.json");
    let parties = 3;
    for (protocol, talks) in [("clear", false), ("mirror", true), ("porthos", true)] {
        let mut command = cryptflow(&["run", "--protocol", protocol, "--profile", "--json"]);
        command.arg(&model).arg("--input").arg(&input).arg("--trace").arg(&file);
        let output = finish(command.spawn().unwrap());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{protocol}: {error}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let layers = report["layers"].as_array().unwrap();
        let names: Vec<_> = layers.iter().map(|layer| layer["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["hidden", "hidden/relu", "logits"], "{protocol}");
        let sum = |what: &str| layers.iter().map(|layer| layer[what].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum("bytes"), report["bytes"]["total"], "{protocol}");
        assert_eq!(sum("rounds"), report["rounds"], "{protocol}");
        assert!(
            layers.iter().all(|layer| layer["parties"].as_array().unwrap().len() == parties),
            "{protocol}"
        );

        let trace: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let slices = slices(&trace);
        let runs: Vec<_> = slices.iter().filter(|slice| slice.1.starts_with("run ")).collect();
        assert_eq!(runs.len(), 2 * parties, "{protocol}: two batches");
        let inside = slices.iter().filter(|slice| !slice.1.starts_with("run "));
        for slice in inside.clone() {
            let within = |run: &&&(u64, String, f64, f64)| {
                slice.0 == run.0 && slice.2 >= run.2 - 1.0 && slice.2 + slice.3 <= run.2 + run.3 + 1.0
            };
            assert!(runs.iter().any(|run| within(&run)), "{protocol}: {slice:?} is outside of {runs:?}");
        }
        let waits = inside.filter(|slice| slice.1.starts_with("waits for")).count();
        assert_eq!(waits > 0, talks, "{protocol}: {slices:?}");
    }
    // As text, the table stands below the report.
    let mut command = cryptflow(&["run", "--profile"]);
    command.arg(&model).arg("--input").arg(&input);
    let output = finish(command.spawn().unwrap());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("P2 ms") && said.contains("all layers"), "{said}");
}

#[test]
fn a_time_line_is_written_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 1);
    let nowhere = folder.path().join("no/such/t.json");
    let output = folder.path().join("y.npy");
    for (path, said) in [
        (&model, "--trace would write over the model"),
        (&input, "--trace would write over --input"),
        (&output, "--output would write over --trace"),
        (&nowhere, "t.json"),
    ] {
        let mut command = cryptflow(&["run"]);
        command.arg(&model).arg("--input").arg(&input).arg("--output").arg(&output).arg("--trace").arg(path);
        let begun = std::time::Instant::now();
        let done = finish(command.spawn().unwrap());
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && error.contains(said), "{said}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(60) && !output.exists());
    }
}
