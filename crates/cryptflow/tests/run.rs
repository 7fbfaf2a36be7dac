//! `cryptflow run` with real processes.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::common;
use crate::process::{PATIENCE, cryptflow, finish};

fn run(arguments: &[&str]) -> Output {
    finish(cryptflow(arguments).spawn().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The processes that a process started, in the order in which it did.
fn children_of(parent: u32) -> Vec<u32> {
    let mut children: Vec<u32> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit(')').next().unwrap_or_default().to_owned();
            let mut fields = after_name.split_whitespace();
            let (state, ppid) = (fields.next(), fields.next());
            state != Some("Z") && ppid == Some(&parent.to_string())
        })
        .collect();
    children.sort_unstable();
    children
}

fn await_that(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "it never happens that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn three_processes_give_the_right_answer() {
    let folder = tempfile::tempdir().unwrap();
    // Five rows in batches of two: the last one is filled up.
    let (model, input) = common::write(folder.path(), 5);
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, "cat\ndog\nnewt\n").unwrap();
    let logits = folder.path().join("y.npy");
    let rows = common::rows(5);
    for (protocol, units) in [("clear", 0.0), ("mirror", 16.0), ("porthos", 16.0)] {
        let output = run(&[
            "run",
            text(&model),
            "--input",
            text(&input),
            "--protocol",
            protocol,
            "--labels",
            text(&labels),
            "--output",
            text(&logits),
            "--json",
        ]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}: {error}");
        assert_eq!(error, "", "{protocol}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

        let bytes = std::fs::read(&logits).unwrap();
        let array = cryptflow_arrays::npy::read_npy(&bytes[..], bytes.len() as u64, true).unwrap();
        assert_eq!(array.shape, [5, 3]);
        let cryptflow_arrays::npy::Elements::Floats(floats) = array.elements else { panic!("no floats") };
        for (row, (got, x)) in floats.chunks(3).zip(&rows).enumerate() {
            let expected = common::expected(x);
            for (a, b) in got.iter().zip(expected) {
                assert!((a - b).abs() <= units / 4096.0, "{protocol}, row {row}: {got:?}, {expected:?}");
            }
            let best = (0..3).max_by(|&i, &j| got[i].total_cmp(&got[j]).then(j.cmp(&i))).unwrap();
            assert_eq!(json["labels"][row], ["cat", "dog", "newt"][best], "{protocol}, row {row}");
        }
        let number = |pointer: &str| json.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap();
        assert!(number("/seconds/share") > 0.0 && number("/seconds/online") > 0.0);
        let links: f64 =
            json["bytes"]["links"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
        assert_eq!(number("/bytes/total"), links);
        assert_eq!(number("/bytes/total"), number("/bytes/dealt") + number("/bytes/online"));
        assert_eq!(number("/bytes/total") > 0.0, protocol != "clear");
        assert_eq!(number("/rounds") > 0.0, protocol != "clear");
        if cfg!(target_os = "linux") {
            assert!(["p0", "p1", "p2"].iter().all(|p| number(&format!("/peak_rss/{p}")) > 1e5));
        }
    }
    let output = run(&["run", text(&model), "--input", text(&input), "--protocol", "clear"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["x.npy", "class ", "5 inputs in 3 batches, protocol clear", "rounds"] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
}

/// Three batches in the rounds of one, unless somebody wants fewer at once.
#[test]
fn batches_share_rounds_as_far_as_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 5);
    // (how many, how many ran at once, how often the parties ran)
    let table = [(None, 3, 1), (Some("1"), 1, 3), (Some("2"), 2, 2), (Some("100"), 3, 1)];
    let mut of_one = None;
    for (wanted, at_once, times) in table {
        let mut arguments = vec!["run", text(&model), "--input", text(&input), "--json"];
        arguments.extend(wanted.iter().flat_map(|wanted| ["--at-once", wanted]));
        let output = run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["batches_at_once"], at_once, "{wanted:?}");
        let rounds = json["rounds"].as_u64().unwrap();
        // Where one begins, another party may be a round behind.
        let of_one = *of_one.get_or_insert(rounds);
        assert!((of_one * times..=(of_one + 1) * times).contains(&rounds), "{wanted:?}: {rounds}");
        assert_eq!(json["top"].as_array().unwrap().len(), 5);
    }
    let none = run(&["run", text(&model), "--input", text(&input), "--at-once", "0"]);
    assert!(!none.status.success());
    let shown = run(&["run", text(&model), "--input", text(&input)]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(", of all batches at once"), "{shown}");
}

#[test]
fn bad_arguments_are_errors_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 2);
    let (model, input) = (text(&model), text(&input));
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let broken = file("broken.npy", &std::fs::read(input).unwrap()[..100]);
    let truncated = file("truncated.safetensors", &std::fs::read(model).unwrap()[..300]);
    let labels = file("labels.txt", b"cat\ndog\n");
    let public = folder.path().join("public.safetensors");
    cryptflow_model_file::write_public(&public, &cryptflow_program::validate(common::program().0).unwrap())
        .unwrap();
    let wrong_shape = folder.path().join("shape.npy");
    let tensor = cryptflow_arrays::npy::Tensor { shape: vec![2, 5], data: vec![0.0; 10] };
    cryptflow_arrays::npy::write_npy(&mut std::fs::File::create(&wrong_shape).unwrap(), &tensor).unwrap();
    let folder_of_model = folder.path().join("saved");
    std::fs::create_dir(&folder_of_model).unwrap();
    let empty_folder = folder.path().to_str().unwrap().to_owned();
    std::fs::write(folder_of_model.join("saved_model.pb"), b"\x08\x01").unwrap();
    let onnx = file("model.onnx", b"\x08\x07\x12\x07pytorch");
    let frozen = file("model.pb", b"\x0a\x11\x0a\x01x");
    let keras = file("model.h5", b"\x89HDF\r\n\x1a\n");
    // (arguments, what the error says)
    let table: [(&[&str], &str); 17] = [
        (&[model, "--input", "/nowhere/x.npy"], "/nowhere/x.npy"),
        (&[model, "--input", &broken], "broken.npy"),
        (&[model, "--input", text(&wrong_shape)], "[2, 5]"),
        (&["/nowhere/m.safetensors", "--input", input], "/nowhere/m.safetensors"),
        (&[&truncated, "--input", input], "truncated.safetensors"),
        (&[text(&public), "--input", input], "give the file with its weights"),
        (&[model, "--input", input, "--labels", &labels], "2 labels"),
        (&[model, "--input", input, "--output", "/nowhere/y.npy"], "/nowhere/y.npy"),
        (&[model, "--input", input, "--timeout", "0"], "--timeout"),
        // What is compiled where a model is wanted, and the other way round.
        (&[text(&folder_of_model), "--input", input], "the folder of a SavedModel, which is not compiled"),
        (&[&onnx, "--input", input], "an ONNX model, which is not compiled"),
        (&[&onnx, "--input", input], "model.onnx --calibrate"),
        (&[&frozen, "--input", input], "a frozen TensorFlow graph, which is not compiled"),
        (&[&keras, "--input", input], "an HDF5 file (Keras .h5). To compile a model"),
        (&[&empty_folder, "--input", input], "this is a folder. Give the file"),
        (&[model, "--input", input, "--compare", model], "it is compiled already"),
        (&[model, "--input", model], "it is compiled already"),
    ];
    for (arguments, expected) in table {
        let output = run(&[&["run"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(error.contains(expected), "{arguments:?}: {error}\nlacks {expected}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 2);
    let output =
        run(&["run", text(&model), "--input", text(&input), "--protocol", "clear", "-o", "/dev/full"]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("/dev/full"), "{error}");
}

/// A party that dies or falls silent in the middle ends the run: its name is told, everybody ends,
/// nothing is written.
#[cfg(target_os = "linux")]
#[test]
fn a_lost_party_ends_the_run_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 200_000);
    let lose = &|protocol: &str, how: &str, party: usize, named: &str, told: Option<&str>| {
        let logits = folder.path().join(format!("{protocol}{how}{party}.npy"));
        let arguments = ["run", text(&model), "--input", text(&input), "--protocol", protocol];
        let more = ["--output", text(&logits), "--timeout", "3"];
        let child = cryptflow(&[&arguments[..], &more[..]].concat()).spawn().unwrap();
        let pid = child.id();
        await_that("three parties run", || children_of(pid).len() == 3);
        let parties = children_of(pid);
        // In the middle: the parties are connected, and batches run.
        std::thread::sleep(Duration::from_millis(500));
        signal(how, parties[party]);
        let output = finish(child);
        let error = String::from_utf8_lossy(&output.stderr);
        let case = format!("{protocol} {how} P{party}: {error}");
        assert!(!output.status.success(), "{case}");
        assert!(error.contains(named), "{case}");
        assert!(told.is_none_or(|told| error.contains(told)), "{case}");
        assert!(output.stdout.is_empty() && !logits.exists(), "{case}");
        for pid in parties {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{case}: process {pid} is left");
        }
    };
    let table = [
        ("clear", "-KILL", 1, "P1 closed the connection", Some("the process of P1 was ended by signal 9")),
        ("mirror", "-KILL", 0, "P0 closed the connection", Some("the process of P0 was ended by signal 9")),
        ("mirror", "-KILL", 2, "P2 closed the connection", Some("the process of P2 was ended by signal 9")),
        ("mirror", "-STOP", 1, "P1 has been silent", None),
        ("mirror", "-STOP", 2, "P2 has been silent", None),
    ];
    // They mostly wait: at once, so that the waits are one.
    std::thread::scope(|scope| {
        for (protocol, how, party, named, told) in table {
            scope.spawn(move || lose(protocol, how, party, named, told));
        }
    });
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// Parties do not outlive the command, whatever ends it.
#[cfg(target_os = "linux")]
#[test]
fn parties_end_with_their_launcher() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 200_000);
    for how in ["-TERM", "-KILL"] {
        let child = cryptflow(&["run", text(&model), "--input", text(&input), "--protocol", "clear"])
            .spawn()
            .unwrap();
        let pid = child.id();
        await_that("three parties run", || children_of(pid).len() == 3);
        let parties = children_of(pid);
        std::thread::sleep(Duration::from_millis(200));
        signal(how, pid);
        assert!(!finish(child).status.success());
        await_that("its parties end", || {
            parties.iter().all(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.is_empty() || stat.contains(") Z ")
            })
        });
    }
}
