//! `cryptflow bench` with real processes, on a small network.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common;
use crate::process::{cryptflow, finish};

/// Runs `cryptflow bench paper --models MODELS ARGUMENTS` where there is no Python.
fn bench(models: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryptflow"));
    command.args(["bench", "paper", "--models"]).arg(models).args(arguments);
    command.env("PATH", models).output().unwrap()
}

fn models() -> tempfile::TempDir {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("model.pb", "digits.pb"),
        ("calibration.npy", "digits.calibration.npy"),
        ("inputs.npy", "digits.npy"),
    ] {
        std::fs::copy(digits.join(from), folder.path().join(to)).unwrap();
    }
    folder
}

/// Two builds that do the same, or one that is none: what is said, and how the command ends.
#[test]
fn builds_are_compared_in_turns() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 1);
    let this = Path::new(env!("CARGO_BIN_EXE_cryptflow"));
    let compare = |old: &Path, more: &[&str]| {
        let mut command = cryptflow(&["bench", "compare"]);
        command.arg(old).arg(&model).arg("--input").arg(&input).args(["--pairs", "6"]).args(more);
        finish(command.spawn().unwrap())
    };
    let output = compare(this, &["--json", "--at-most", "1000"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("pair 6 of 6"), "{error}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["online"]["pairs"], 6);
    assert_eq!(found["seconds"].as_array().unwrap().len(), 6);
    let [low, high] = [0, 1].map(|end| found["online"]["interval"][end].as_f64().unwrap());
    assert!(low > 0.0 && low <= high, "{found}");
    assert_eq!(found["bytes"][0], found["bytes"][1]);
    assert!(found["bytes"][0].as_u64().unwrap() > 0 && found["rounds"][0] == found["rounds"][1]);
    // It is not a thousandth of itself.
    let output = compare(this, &["--at-most", "0.001", "--protocol", "clear"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("more than 0.001 times the seconds"), "{error}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("of the old (half of 6 pairs") && said.contains("rounds   0 → 0"), "{said}");
    // What is no such build, and what it cannot run.
    let not_ours = folder.path().join("echo");
    std::fs::write(&not_ours, "#!/bin/sh\necho hello\n").unwrap();
    std::fs::set_permissions(&not_ours, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (old, more, said) in [
        (&not_ours, &[][..], "printed no report"),
        (&folder.path().join("nothing"), &[], "nothing: No such file"),
        (
            &this.to_path_buf(),
            &["--old-model", "no.safetensors"],
            "it failed, exit status: 1: error: cannot read no.safetensors",
        ),
        (&this.to_path_buf(), &["--at-most", "-1"], "--at-most"),
        (&this.to_path_buf(), &["--at-most", "NaN"], "--at-most NaN: give a ratio"),
    ] {
        let output = compare(old, more);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_network_is_compiled_run_and_reported() {
    let models = models();
    let out = models.path().join("out");
    let arguments =
        ["--protocol", "mirror,porthos,clear", "--runs", "2", "--rtt", "2", "--bandwidth", "500", "--out"];
    let output = bench(models.path(), &[&arguments[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(std::fs::read_to_string(out.join("bench.md")).unwrap(), text);
    for part in
        ["| digits | mirror |", "| digits | clear |", "2 of 2", "emulated: 2 ms round trip, 500 Mbit/s"]
    {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    assert!(text.contains("TensorFlow not installed"), "{text}");
    for chart in ["bytes.svg", "seconds.svg"] {
        assert!(std::fs::read_to_string(out.join(chart)).unwrap().ends_with("</svg>\n"));
    }

    let json: Value = serde_json::from_slice(&std::fs::read(out.join("bench.json")).unwrap()).unwrap();
    let number = |pointer: &str| json.pointer(pointer).and_then(Value::as_f64).expect(pointer);
    let mirror = "/networks/0/measurements/0/ran";
    assert_eq!(number("/runs"), 2.0);
    assert_eq!(json.pointer(&format!("{mirror}/seconds")).unwrap().as_array().unwrap().len(), 2);
    let (bytes, rounds) = (number(&format!("{mirror}/bytes")), number(&format!("{mirror}/rounds")));
    assert!(bytes > 0.0 && rounds > 0.0);
    assert_eq!(bytes, number(&format!("{mirror}/dealt")) + number(&format!("{mirror}/online")));
    // A round is a message that waited for another: on this network none is faster than a
    // millisecond.
    assert!(number(&format!("{mirror}/median_seconds")) >= rounds * 0.001);
    assert_eq!(number("/networks/0/measurements/2/ran/bytes"), 0.0);
}

#[test]
fn what_is_missing_is_named() {
    let models = models();
    let cases: [(&[&str], &str); 3] = [
        (&["--only", "lenet"], "no lenet.pb"),
        (&["--rtt", "-1"], "--rtt"),
        (&["--protocol", "other"], "other"),
    ];
    for (arguments, part) in cases {
        let output = bench(models.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(part), "{arguments:?}: {said}");
    }
    std::fs::remove_file(models.path().join("digits.calibration.npy")).unwrap();
    let output = bench(models.path(), &["--protocol", "mirror"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("digits.calibration.npy"), "{said}");
}

/// Files that are no networks, but are called so: the first that is compiled is named.
#[test]
fn networks_are_taken_in_the_papers_order() {
    let folder = tempfile::tempdir().unwrap();
    let first = |only: &str| {
        let only: &[&str] = if only.is_empty() { &[] } else { &["--only", only] };
        let output = bench(folder.path(), only);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(first("").contains("make.py"));
    for name in ["own.pb", "own.npy", "resnet50.pb", "another.pb", "logreg.pb", "readme.txt"] {
        std::fs::write(folder.path().join(name), "no network").unwrap();
    }
    for (only, expected) in
        [("", "logreg.pb"), ("own,resnet50", "resnet50.pb"), ("own,another", "another.pb")]
    {
        let said = first(only);
        assert!(said.contains(expected), "{only}: {said}");
    }
}
