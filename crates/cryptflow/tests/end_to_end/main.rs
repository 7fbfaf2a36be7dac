//! The commands as their users run them, on the network that ships with the project: real
//! processes, real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod digits;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use cryptflow::labels::top;

use digits::{Finished, Scratch, array, cryptflow, digits, finish, largest_difference, start};

/// Words of a command line: texts and paths.
macro_rules! words {
    ($($word:expr),* $(,)?) => { Vec::from([$(OsString::from(&$word)),*]) };
}

/// The names of the classes.
const NAMES: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Runs a compiled model on the inputs that ship with it, beside the float model.
fn run_and_compare(model: &Path, more: &[OsString]) -> Finished {
    let [inputs, labels, plain] = ["inputs.npy", "labels.txt", "model.pb"].map(digits);
    let fixed = words!["run", model, "--input", inputs, "--labels", labels, "--compare", plain];
    cryptflow(&[fixed, more.to_vec()].concat())
}

/// Compiles a model on the examples that ship with the project.
fn compiling(model: &Path, output: &Path) -> Vec<OsString> {
    words!["compile", model, "--calibrate", digits("calibration.npy"), "-o", output]
}

#[test]
fn answers_are_tensorflows() {
    let scratch = Scratch::new();
    let model = scratch.compiled(&[]);
    let expected = array(&digits("expected.npy"));
    let (rows, classes) = (expected.shape[0], expected.shape[1]);
    for protocol in ["mirror", "clear"] {
        let output = scratch.path("y.npy");
        let run = run_and_compare(&model, &words!["--protocol", protocol, "--output", output, "--json"]);
        let report = run.json();

        let found = array(&output);
        assert_eq!(found.shape, expected.shape, "{protocol}");
        // Logits up to 36 at 8 fractional bits.
        let far = largest_difference(&found.data, &expected.data);
        assert!(far < 0.2, "{protocol}: a logit differs from TensorFlow's by {far}");
        for (row, logits) in expected.data.chunks(classes).enumerate() {
            let best = top(logits, 1)[0].0;
            assert_eq!(report["labels"][row], NAMES[best], "{protocol}, row {row}");
        }
        assert_eq!(report["labels"].as_array().unwrap().len(), rows);

        assert!(report["seconds"]["online"].as_f64().unwrap() > 0.0);
        assert!(report["seconds"]["share"].as_f64().unwrap() > 0.0);
        for party in ["p0", "p1", "p2"] {
            assert!(report["peak_rss"][party].as_u64().is_none_or(|bytes| bytes > 1 << 16), "{party}");
        }
        let bytes = |field: &str| report["bytes"][field].as_u64().unwrap();
        assert_eq!(bytes("total"), bytes("dealt") + bytes("online"), "{protocol}");
        let links = report["bytes"]["links"].as_object().unwrap();
        assert_eq!(bytes("total"), links.values().map(|n| n.as_u64().unwrap()).sum::<u64>());
        if protocol == "mirror" {
            assert!(bytes("dealt") > 0 && bytes("online") > 0);
            assert!(report["rounds"].as_u64().unwrap() > 0);
            // The helper only deals: from the keys' agreement on, it receives nothing.
            assert_eq!((&links["p0_p2"], &links["p1_p2"]), (&0.into(), &0.into()));
        }
        assert_eq!(report["compare"]["same_top1"].as_u64(), Some(rows as u64));
        assert!(report["compare"]["largest_difference"].as_f64().unwrap() < 0.2);
    }
}

#[test]
fn more_rows_than_the_batch_and_pictures() {
    let scratch = Scratch::new();
    // A batch of 3 and 20 rows: seven batches, the last one not full.
    let model = scratch.compiled(&["--batch", "3", "--divide", "255"]);
    let output = scratch.path("y.npy");
    let [inputs, seven, four] = ["inputs.npy", "digit_seven.png", "digit_four.png"].map(digits);
    let labels = digits("labels.txt");
    let run = cryptflow(&words![
        "run", model, "--input", inputs, seven, four, "--labels", labels, "--output", output, "--json"
    ]);
    let labels: Vec<String> =
        run.json()["labels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap().to_owned()).collect();
    assert_eq!(labels.len(), 22);
    assert_eq!(labels[20..], ["seven", "four"]);
    let (found, expected) = (array(&output), array(&digits("expected.npy")));
    assert_eq!(found.shape, [22, 10]);
    assert!(largest_difference(&found.data[..200], &expected.data) < 0.2);
}

#[test]
fn text_for_people() {
    let scratch = Scratch::new();
    let model = scratch.compiled(&[]);
    let inspect = cryptflow(&words!["inspect", model]);
    assert!(inspect.ok(), "{}", inspect.stderr);
    for part in ["BiasAdd_1", "pool2", "Relu_2", "logits", "max pool", "arg-max", "rounds", "dealt"] {
        assert!(inspect.stdout.contains(part), "no {part} in\n{}", inspect.stdout);
    }
    let run = run_and_compare(&model, &[]);
    assert!(run.ok(), "{}", run.stderr);
    for part in ["| plaintext: seven", "seconds", "bytes", "rounds", "20 of 20"] {
        assert!(run.stdout.contains(part), "no {part} in\n{}", run.stdout);
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let scratch = Scratch::new();
    let model = scratch.compiled(&[]);
    let truncated = scratch.file("truncated.npy", &std::fs::read(digits("inputs.npy")).unwrap()[..2000]);
    let pixels = scratch.npy("pixels.npy", &[1, 8, 8, 1], |i| (i % 256) as f32 * 4.0);
    let nan = scratch.npy("nan.npy", &[2, 8, 8, 1], |i| if i == 70 { f32::NAN } else { 0.5 });
    let wrong = scratch.npy("wrong.npy", &[1, 9, 8, 1], |_| 0.5);
    let none = scratch.npy("none.npy", &[0, 8, 8, 1], |_| 0.5);
    let labels = scratch.file("labels.txt", b"one\ntwo\n");
    let inputs = digits("inputs.npy");
    let cases: [(&str, &Path, Option<&Path>, &[&str]); 8] = [
        ("another shape", &wrong, None, &["wrong.npy", "[1, 9, 8, 1]", "8, 8, 1"]),
        ("a truncated array", &truncated, None, &["truncated.npy", "truncated", "bytes"]),
        ("values out of range", &pixels, None, &["pixels.npy", "252", "range"]),
        ("no number", &nan, None, &["nan.npy[1]", "element 6", "NaN"]),
        ("no rows", &none, None, &["none.npy", "no rows"]),
        ("no file", Path::new("missing.npy"), None, &["missing.npy", "cannot read"]),
        ("another kind of file", &labels, None, &["labels.txt", "no .npy"]),
        ("too few labels", &inputs, Some(&labels), &["labels.txt", "2 labels", "10 classes"]),
    ];
    for (what, input, labels, parts) in cases {
        let output = scratch.path("y.npy");
        let mut arguments = words!["run", model, "--input", input, "--output", output, "--json"];
        if let Some(labels) = labels {
            arguments.extend(words!["--labels", labels]);
        }
        let run = cryptflow(&arguments);
        run.fails(what, parts);
        assert!(!output.exists(), "{what}: an output was written");
        let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(printed["error"]["code"], "failed", "{what}: {printed}");
        assert_eq!(printed.as_object().unwrap().len(), 1, "{what}: {printed}");
    }
}

#[test]
fn models_that_cannot_be_compiled_are_refused() {
    let scratch = Scratch::new();
    let model = std::fs::read(digits("model.pb")).unwrap();
    let truncated = scratch.file("truncated.pb", &model[..model.len() / 2]);
    let text = scratch.file("text.pb", b"node { name: \"x\" op: \"Placeholder\" }");
    let empty = scratch.file("empty.pb", b"");
    // The three ReLUs, by their operation (field 2, four letters), become something that cannot be
    // computed.
    let mut unsupported = model.clone();
    let places: Vec<usize> =
        (0..model.len() - 6).filter(|&i| model[i..].starts_with(b"\x12\x04Relu")).collect();
    assert_eq!(places.len(), 3);
    places.iter().for_each(|&i| unsupported[i + 2..i + 6].copy_from_slice(b"Zeta"));
    let unsupported = scratch.file("unsupported.pb", &unsupported);
    let cases: [(&str, &Path, &[&str]); 5] = [
        ("a truncated graph", &truncated, &["truncated.pb", "byte"]),
        ("a graph as text", &text, &["text.pb"]),
        ("an empty file", &empty, &["empty.pb"]),
        ("no file", Path::new("missing.pb"), &["missing.pb"]),
        // All of them at once, by name and operation.
        ("unsupported nodes", &unsupported, &["3 nodes", "Relu (Zeta)", "Relu_1 (Zeta)", "Relu_2 (Zeta)"]),
    ];
    for (what, path, parts) in cases {
        let output = scratch.path("m.safetensors");
        let compile = cryptflow(&compiling(path, &output));
        compile.fails(what, parts);
        assert_eq!(compile.code, Some(1), "{what}");
        assert!(!output.exists(), "{what}: a model was written");
    }
}

#[test]
fn compiled_models_that_are_damaged_are_refused() {
    let scratch = Scratch::new();
    let model = std::fs::read(scratch.compiled(&[])).unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("truncated", model[..model.len() - 100].to_vec()),
        ("header cut", model[..100].to_vec()),
        ("empty", vec![]),
        ("another file", std::fs::read(digits("model.pb")).unwrap()),
    ];
    for (what, bytes) in cases {
        let file = scratch.file("damaged.safetensors", &bytes);
        for command in ["inspect", "run"] {
            let mut arguments = words![command, file];
            if command == "run" {
                arguments.extend(words!["--input", digits("inputs.npy")]);
            }
            cryptflow(&arguments).fails(what, &["damaged.safetensors"]);
        }
    }
}

/// The command, with a limit on the size of files so low that writing fails in the middle, as on a
/// full disk.
#[cfg(target_os = "linux")]
fn with_a_small_disk(blocks: u32, words: &[OsString]) -> Finished {
    // Writing past the limit is an error, and no longer a signal, where the signal is ignored.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_cryptflow")).args(words);
    finish(start(&mut shell))
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let scratch = Scratch::new();
    let output = scratch.path("m.safetensors");
    let words = compiling(&digits("model.pb"), &output);
    with_a_small_disk(32, &words).fails("compile", &["m.safetensors"]);
    assert_eq!(scratch.names(), [""; 0], "compile");

    // What was there stays as it was.
    scratch.file("m.safetensors", b"before");
    with_a_small_disk(32, &words).fails("compile over a file", &["m.safetensors"]);
    assert_eq!(scratch.names(), ["m.safetensors"]);
    assert_eq!(std::fs::read(&output).unwrap(), b"before");

    let compiled = scratch.compiled(&[]);
    let words = words!["run", compiled, "--input", digits("inputs.npy"), "--output", scratch.path("y.npy")];
    let before = scratch.names();
    with_a_small_disk(0, &words).fails("run", &["y.npy"]);
    assert_eq!(scratch.names(), before, "run");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_and_stays_a_device() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let compile = cryptflow(&compiling(&digits("model.pb"), full));
    compile.fails("compile", &["/dev/full"]);
    assert!(!std::fs::metadata(full).unwrap().is_file(), "the device was replaced");
}

/// With `--guard` a picture that leads beyond the bounds gets an error and no answer, from every
/// protocol, and others the answers that they would have.
#[test]
fn nothing_is_said_of_what_leaves_its_bounds() {
    let scratch = Scratch::new();
    // Faint digits; a picture all of whose pixels are that bright is none.
    let calibration = array(&digits("calibration.npy"));
    let faint = scratch.npy("faint.npy", &calibration.shape, |i| calibration.data[i] / 4.0);
    let shape = [1, 8, 8, 1];
    let blank = scratch.npy("blank.npy", &shape, |_| 0.5);
    let digit = scratch.npy("digit.npy", &shape, |i| calibration.data[i] / 4.0);
    let mut opened = Vec::new();
    for guard in [&[][..], &["--guard"]] {
        let model = scratch.path("digits.safetensors");
        let options = guard.iter().map(OsString::from).collect::<Vec<_>>();
        let compile = words!["compile", digits("model.pb"), "--calibrate", faint, "-o", model];
        let compile = cryptflow(&[compile, options].concat());
        assert!(compile.ok(), "{}", compile.stderr);
        let inspected = cryptflow(&words!["inspect", model]);
        let priced =
            inspected.stdout.contains("guard: a run in which a value leaves its bounds gives no output");
        assert_eq!(priced, !guard.is_empty(), "{}", inspected.stdout);
        let output = scratch.path("y.npy");
        for protocol in ["mirror", "porthos-exact"] {
            let run =
                |input| words!["run", model, "--input", input, "--output", output, "--protocol", protocol];
            let answer = cryptflow(&run(&digit));
            assert!(answer.ok(), "{}", answer.stderr);
            opened.push(array(&output).data);
            std::fs::remove_file(&output).unwrap();
            let answer = cryptflow(&run(&blank));
            if guard.is_empty() {
                assert!(answer.ok(), "{}", answer.stderr);
                std::fs::remove_file(&output).unwrap();
                continue;
            }
            let why = ["no answer for row 0 (blank.npy", "left its bounds", "layer", "--guard", "--margin"];
            answer.fails(protocol, &why);
            assert!(answer.stdout.is_empty() && !output.exists(), "{}", answer.stdout);
        }
    }
    for found in &opened[1..] {
        assert!(largest_difference(found, &opened[0]) < 0.1, "{found:?}, {:?}", opened[0]);
    }
}

/// With `--hide-logits` the parties find the class, and nothing else is opened.
#[test]
fn a_class_alone() {
    let scratch = Scratch::new();
    let model = scratch.compiled(&["--hide-logits"]);
    let expected = array(&digits("expected.npy"));
    let inspected = cryptflow(&words!["inspect", model]);
    assert!(inspected.ok() && inspected.stdout.contains("the index of a class"), "{}", inspected.stdout);
    for protocol in ["mirror", "porthos-exact"] {
        let output = scratch.path("y.npy");
        let arguments = words!["--protocol", protocol, "--output", output];
        let report = run_and_compare(&model, &[&arguments[..], &words!["--json"]].concat()).json();
        let found = array(&output);
        assert_eq!(found.shape, expected.shape[..1], "{protocol}");
        for (row, logits) in expected.data.chunks(expected.shape[1]).enumerate() {
            let best = top(logits, 1)[0].0;
            assert_eq!(found.data[row], best as f32, "{protocol}, row {row}");
            assert_eq!(report["labels"][row], NAMES[best], "{protocol}, row {row}");
        }
        assert_eq!(report["compare"]["same_top1"], found.shape[0], "{protocol}");
        let text = run_and_compare(&model, &arguments);
        assert!(text.ok() && text.stdout.contains("the same class as the float model"), "{}", text.stdout);
    }
}
