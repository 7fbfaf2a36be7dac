//! The commands `compile` and `inspect`, as a user runs them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cryptflow::clear_runner::ClearRunner;
use cryptflow::compare::FloatModel;
use cryptflow::fixed;
use cryptflow_arrays::npy::{Elements, read_npy, read_npz};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_model_file::{self as file, Model};
use serde_json::Value;

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits").join(name)
}

fn cryptflow<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cryptflow")).args(arguments).output().unwrap()
}

/// Runs `cryptflow compile MODEL -o OUT ARGUMENTS`.
fn compile(model: &Path, out: &Path, arguments: &[&str]) -> Output {
    let mut all: Vec<&OsStr> = vec!["compile".as_ref(), model.as_ref(), "-o".as_ref(), out.as_ref()];
    all.extend(arguments.iter().map(OsStr::new));
    cryptflow(&all)
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let length = bytes.len() as u64;
    match read_npy(&mut bytes.as_slice(), length, true).unwrap().elements {
        Elements::Floats(data) => data,
        Elements::Bytes(_) => panic!("{} holds bytes", path.display()),
    }
}

/// The opened outputs of a model on rows of floats, as many as fill whole batches: all outputs of
/// one batch after the other.
fn run(model: &Model, rows: &[f32]) -> Vec<Vec<f64>> {
    let program = &model.program;
    let batch: usize = program.values[0].shape.iter().product();
    let mut outputs = vec![Vec::new(); program.outputs.len()];
    for x in rows.chunks_exact(batch) {
        let x = fixed::inputs(program, &[x.to_vec()]).unwrap();
        let y = ClearRunner.run(program, model.weights.as_ref().unwrap(), &x, &mut |_, _| ()).unwrap();
        for ((all, y), output) in outputs.iter_mut().zip(y).zip(&program.outputs) {
            let unit = f64::from(program.scale_of(output.value)).exp2();
            all.extend(y.iter().map(|&v| v as f64 / unit));
        }
    }
    outputs
}

fn worst(got: &[f64], want: &[f32]) -> f64 {
    got.iter().zip(want).fold(0.0, |m, (g, w)| m.max((g - f64::from(*w)).abs()))
}

#[test]
fn the_shipped_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("digits.safetensors");
    let calibration = digits("calibration.npy");
    let data = ["--calibrate", calibration.to_str().unwrap(), "--output", "logits", "--batch", "4"];
    for more in [&[][..], &["--ring", "auto"], &["--scale", "12", "--margin", "3", "--name", "ten digits"]] {
        let said = stdout(&compile(&digits("model.pb"), &out, &[&data[..], more].concat()));
        for word in ["fractional bits", "ring", "margins", "rounds a run"] {
            assert!(said.contains(word), "{said}");
        }
        let model = file::read(&out).unwrap();
        assert_eq!(model.program.values[0].shape, [4, 8, 8, 1]);
        let (got, want) = (&run(&model, &floats(&digits("inputs.npy")))[0], floats(&digits("expected.npy")));
        assert_eq!(got.len(), want.len());
        let error = worst(got, &want);
        assert!(error < 0.25, "{more:?}: a logit is off by {error}");

        let text = stdout(&cryptflow(&["inspect".as_ref(), out.as_os_str()]));
        assert!(text.contains("max pool") && text.contains("mirror:") && text.contains("conv"), "{text}");
        let json: Value = serde_json::from_str(&stdout(&cryptflow(&[
            "inspect".as_ref(),
            out.as_os_str(),
            "--json".as_ref(),
        ])))
        .unwrap();
        assert_eq!(json["layers"].as_array().unwrap().len(), model.program.steps.len());
        let sum: u64 =
            json["layers"].as_array().unwrap().iter().map(|l| l["online_bytes"].as_u64().unwrap()).sum();
        assert_eq!(json["totals"]["online_bytes"], sum);
        assert!(sum > 0 && json["totals"]["rounds"].as_u64().unwrap() > 0);
        assert_eq!(json["report"]["layers"][0]["operation"], "conv");
    }
    let model = file::read(&out).unwrap();
    assert_eq!((model.program.scale, model.program.name.as_str()), (12, "ten digits"));
    assert_eq!(model.report.unwrap()["margin_bits"], 3.0);
}

/// Fewer rounds for more bytes, the same answers, and as many bytes as was said before, to the byte.
#[test]
fn a_slow_network() {
    let folder = tempfile::tempdir().unwrap();
    let (model, y) = (folder.path().join("digits.safetensors"), folder.path().join("y.npy"));
    let (calibration, input) = (digits("calibration.npy"), digits("inputs.npy"));
    let data = ["--calibrate", calibration.to_str().unwrap(), "--output", "logits", "--batch", "20"];
    let mut found = Vec::new();
    // (the network, what a round is worth)
    for (network, worth) in [
        (None, Some(2_500_000)),
        (Some("lan"), Some(2_500_000)),
        (Some("wan"), Some(4_000_000)),
        (Some("10us,1gbit"), Some(10_000)),
    ] {
        let network: Vec<&str> = network.into_iter().flat_map(|network| ["--network", network]).collect();
        stdout(&compile(&digits("model.pb"), &model, &[&data[..], &network].concat()));
        let parse = |output: &Output| serde_json::from_str::<Value>(&stdout(output)).unwrap();
        let said = parse(&cryptflow(&[
            "inspect".as_ref(),
            model.as_os_str(),
            "--json".as_ref(),
            "--protocol".as_ref(),
            "mirror".as_ref(),
        ]));
        assert_eq!(said["bits_per_round"].as_u64(), worth);
        let inspected = stdout(&cryptflow(&["inspect".as_ref(), model.as_os_str()]));
        assert_eq!(
            inspected.contains("for a network on which a round is worth"),
            worth != Some(2_500_000),
            "{inspected}"
        );
        let run = [
            "run".as_ref(),
            model.as_os_str(),
            "--input".as_ref(),
            input.as_os_str(),
            "--output".as_ref(),
            y.as_os_str(),
            "--json".as_ref(),
        ];
        let took = parse(&cryptflow(&run));
        let of = |name: &str| said["totals"][name].as_u64().unwrap();
        let (rounds, bytes) = (of("rounds"), of("online_bytes") + of("dealt_bytes"));
        assert_eq!(took["bytes"]["total"], bytes, "{network:?}");
        // Where a party begins late, another one's first message counts.
        assert!((rounds..=rounds + 2).contains(&took["rounds"].as_u64().unwrap()), "{network:?}: {took}");
        let got: Vec<f64> = floats(&y).into_iter().map(f64::from).collect();
        let error = worst(&got, &floats(&digits("expected.npy")));
        assert!(error < 0.25, "{network:?}: a logit is off by {error}");
        found.push((rounds, bytes));
    }
    assert_eq!(found[0], found[1]);
    let ((near, few), (far, more)) = (found[3], found[2]);
    assert!(far + 2 <= near && more > few, "{found:?}");
    assert!((far..=near).contains(&found[0].0), "{found:?}");
    let wrong = compile(&digits("model.pb"), &model, &[&data[..], &["--network", "far"]].concat());
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("lan, wan, or a round trip"), "{said}");
}

/// The marks of every column of a page's charts: bars that touch each other at most, and then
/// lines.
fn nothing_is_hidden(html: &str) {
    let number = |rect: &str, name: &str| -> f64 {
        let rest = rect.split_once(&format!(" {name}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let mut several = 0;
    for column in html.split("<g>").skip(1).map(|part| part.split_once("</g>").unwrap().0) {
        let marks: Vec<&str> =
            column.split("<rect").skip(1).filter(|r| !r.contains("class=\"all\"")).collect();
        let line = |rect: &str| number(rect, "height") == 2.5;
        assert!(marks.is_sorted_by_key(|rect| line(rect)), "{column}");
        let bars: Vec<&&str> = marks.iter().filter(|rect| !line(rect)).collect();
        for pair in bars.windows(2) {
            let end = number(pair[1], "y") + number(pair[1], "height");
            assert!(end <= number(pair[0], "y") + 0.2, "{column}");
        }
        several += usize::from(marks.len() > 1);
    }
    assert!(several > 8, "{several}");
}

#[test]
fn a_page_about_the_compiled_model() {
    let folder = tempfile::tempdir().unwrap();
    let (out, page) = (folder.path().join("m.safetensors"), folder.path().join("report.html"));
    let examples = digits("calibration.npy");
    let arguments =
        ["--calibrate", examples.to_str().unwrap(), "--report", page.to_str().unwrap(), "--name", "a<b>&c"];
    stdout(&compile(&digits("model.pb"), &out, &arguments));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    for part in [
        "a&lt;b&gt;&amp;c",
        "Accuracy at each scale",
        "Error of each layer",
        "Bits of each layer",
        "Largest costs",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
    // Nothing from outside, and no number that is none.
    for foreign in ["http://", "https://", "src=", "@import", "a<b>", ">NaN<", "\"NaN\"", ">inf<"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    // A line for every layer, and every tag closed.
    let model = file::read(&out).unwrap();
    let layers = model.report.unwrap()["layers"].as_array().unwrap().clone();
    let table = html.rsplit_once("<h2>Layers</h2>").unwrap().1;
    assert_eq!(table.matches("<tr><td>").count(), layers.len());
    for tag in ["table", "tr", "svg", "g", "ul", "h2", "tbody"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    nothing_is_hidden(&html);
    // In a folder that is not there, nothing is compiled.
    let lost = folder.path().join("no/such/report.html");
    std::fs::remove_file(&out).unwrap();
    let output = compile(&digits("model.pb"), &out, &["--range", "0,1", "--report", lost.to_str().unwrap()]);
    assert!(!output.status.success() && !out.exists());
}

#[test]
fn pictures_and_worst_cases() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m.safetensors");
    let picture = digits("digit_four.png");
    let prepared = ["--divide", "255", "--output", "logits"];
    let said = compile(
        &digits("model.pb"),
        &out,
        &[&["--calibrate", picture.to_str().unwrap()], &prepared[..]].concat(),
    );
    assert!(String::from_utf8_lossy(&said.stderr).contains("1 example only"), "{said:?}");
    stdout(&said);
    let preprocessing = file::read(&out).unwrap().program.inputs[0].preprocessing.clone();
    assert_eq!(preprocessing.divide, Some(255.0));

    // Without examples the range of pixels is what there is to start from.
    let said = compile(&digits("model.pb"), &out, &prepared);
    assert!(String::from_utf8_lossy(&said.stderr).contains("no calibration data"), "{said:?}");
    stdout(&said);
    let model = file::read(&out).unwrap();
    assert!(model.program.inputs[0].high >= 1.0 && model.program.inputs[0].low <= 0.0);
    let error = worst(&run(&model, &floats(&digits("inputs.npy")))[0], &floats(&digits("expected.npy")));
    assert!(error < 0.1, "a logit is off by {error}");
}

#[test]
fn what_goes_wrong_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = std::fs::read(digits("model.pb")).unwrap();
    std::fs::write(at("cut.pb"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at("text.pb"), "this is no model").unwrap();
    // MatMul becomes an operation that nobody knows, in every node.
    let mut strange = whole.clone();
    for i in 0..strange.len() - 6 {
        if &strange[i..i + 6] == b"MatMul" && strange[i - 1] == 6 {
            strange[i..i + 6].copy_from_slice(b"MutMal");
        }
    }
    std::fs::write(at("strange.pb"), strange).unwrap();
    let model = digits("model.pb");
    let calibration = digits("calibration.npy");
    let data = ["--calibrate", calibration.to_str().unwrap()];
    let classes = digits("classes.npy");
    let out = at("m.safetensors");
    let cases: &[(PathBuf, PathBuf, Vec<&str>, &[&str])] = &[
        (at("absent.pb"), out.clone(), data.to_vec(), &["absent.pb"]),
        (at("cut.pb"), out.clone(), data.to_vec(), &["cut.pb"]),
        (at("text.pb"), out.clone(), data.to_vec(), &["text.pb"]),
        (
            at("strange.pb"),
            out.clone(),
            data.to_vec(),
            &["(MutMal)", "there is no such operation", "nothing was written"],
        ),
        (model.clone(), out.clone(), vec![], &["--calibrate"]),
        (model.clone(), out.clone(), vec!["--calibrate", classes.to_str().unwrap()], &["classes.npy"]),
        (model.clone(), out.clone(), vec!["--calibrate", "/no/such/file.npy"], &["/no/such/file.npy"]),
        (model.clone(), out.clone(), [&data[..], &["--input", "x=1,9,9,1"]].concat(), &["x"]),
        (model.clone(), out.clone(), [&data[..], &["--output", "nowhere"]].concat(), &["nowhere"]),
        (model.clone(), out.clone(), [&data[..], &["--ring", "20"]].concat(), &["--ring"]),
        (model.clone(), at("no/folder/m.safetensors"), data.to_vec(), &["cannot write", "no/folder"]),
        (model.clone(), folder.path().to_path_buf(), data.to_vec(), &["cannot write", "folder"]),
    ];
    for (model, out, arguments, says) in cases {
        let output = compile(model, out, arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{model:?} {arguments:?}: {text}");
        for word in *says {
            assert!(text.contains(word), "{model:?} {arguments:?} must say {word}: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "only the broken models are there: {left:?}");
    let text = cryptflow(&["inspect".as_ref(), at("text.pb").as_os_str()]);
    assert_eq!(text.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&text.stderr).contains("this is text"), "{text:?}");
}

fn saved(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/data/saved_models").join(name)
}

/// An array of the SavedModels' answers.
fn answer(model: &str, name: &str) -> Vec<f32> {
    let archive = std::fs::File::open(saved(model).with_extension("npz")).unwrap();
    match read_npz(archive, name).unwrap().1.elements {
        Elements::Floats(data) => data,
        Elements::Bytes(_) => panic!("{name} of {model} holds bytes"),
    }
}

#[test]
fn a_saved_model_and_its_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m.safetensors");
    stdout(&compile(&saved("keras"), &out, &["--range", "-2,2"]));
    let model = file::read(&out).unwrap();
    assert_eq!((model.program.name.as_str(), model.program.inputs[0].name.as_str()), ("keras", "picture"));
    let (x, want) =
        (answer("keras", "serving_default.in.picture"), answer("keras", "serving_default.out.output_0"));
    let logits = &run(&model, &x)[0];
    // The client applies the softmax.
    let sum: f64 = logits.iter().map(|v| v.exp()).sum();
    let softmax: Vec<f64> = logits.iter().map(|v| v.exp() / sum).collect();
    assert!(worst(&softmax, &want) < 1e-2, "{softmax:?} and {want:?}");

    // What `run --compare` does.
    let float = FloatModel::read(&saved("keras"), &model.program, None, &[]).unwrap();
    assert!(worst(logits, &float.run(vec![x]).unwrap()[0]) < 1e-2);
    let error =
        FloatModel::read(&saved("keras"), &model.program, Some("other"), &[]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("has no signature \"other\""), "{error}");

    // The other signature has other inputs and outputs.
    stdout(&compile(&saved("module"), &out, &["--signature", "add", "--range", "-1,1"]));
    let program = file::read(&out).unwrap().program;
    let inputs: Vec<&str> = program.inputs.iter().map(|i| i.name.as_str()).collect();
    assert_eq!((inputs, program.outputs[0].name.as_str()), (vec!["a", "p"], "result"));

    let refused = compile(&saved("module"), &out, &["--signature", "serve", "--range", "-1,1"]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains("Give one of these with --signature NAME") && text.contains("add(a: "), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m.safetensors");
    // A limit on file sizes makes the write fail as a full disk does.
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_cryptflow"),
            "compile",
        ])
        .args([digits("model.pb").as_os_str(), "-o".as_ref(), out.as_os_str(), "--calibrate".as_ref()])
        .arg(digits("calibration.npy"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot write"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

fn shared_data() -> Option<PathBuf> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("CRYPTFLOW_DATA").map_or(near, PathBuf::from);
    let found = data.join("frozen").is_dir();
    if !found {
        println!("skipped: no frozen graphs in {}", data.display());
    }
    found.then_some(data)
}

/// Compiles a frozen graph with its reference inputs, runs it in the clear on them, and compares
/// with TensorFlow's logits.
fn frozen(data: &Path, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut model = data.join(format!("frozen/{name}.pb"));
    if !model.exists() {
        let packed = data.join(format!("frozen/{name}.pb.xz"));
        let unpacked = Command::new("xz").arg("-dc").arg(packed).output().expect("xz unpacks the graph");
        model = folder.path().join("model.pb");
        std::fs::write(&model, unpacked.stdout).unwrap();
    }
    let out = folder.path().join("m.safetensors");
    let reference = data.join("reference").join(name);
    let input = reference.join("input.npy");
    let said = stdout(&compile(&model, &out, &["--calibrate", input.to_str().unwrap()]));
    let compiled = file::read(&out).unwrap();
    let Ok(want) = std::panic::catch_unwind(|| floats(&reference.join("logits.npy"))) else {
        println!("{name}: no logits to compare with");
        return;
    };
    let classes = 1000.min(
        want.len() / (floats(&input).len() / compiled.program.values[0].shape.iter().product::<usize>()),
    );
    let got = run(&compiled, &floats(&input));
    let logits = &got[0];
    assert_eq!(logits.len(), want.len(), "{name}");
    let best = |row: &[f64]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    for (got, want) in logits.chunks(classes).zip(want.chunks(classes)) {
        let want: Vec<f64> = want.iter().map(|&v| v.into()).collect();
        assert_eq!(best(got), best(&want), "{name}");
    }
    println!("{name}: largest error of a logit {:.4}\n{said}", worst(logits, &want));
}

#[test]
fn frozen_graphs_of_the_literature() {
    let Some(data) = shared_data() else { return };
    for name in [
        "mnist_logreg",
        "secureml_a",
        "minionn_b",
        "lenet_c",
        "chameleon_d",
        "lenet5_keras",
        "minionn_cifar10",
    ] {
        frozen(&data, name);
    }
}

#[test]
fn resnet_20() {
    let Some(data) = shared_data() else { return };
    frozen(&data, "resnet20_cifar10");
}

/// Takes minutes, and runs where CRYPTFLOW_SLOW_TESTS is set.
#[test]
fn frozen_graphs_for_imagenet() {
    if std::env::var_os("CRYPTFLOW_SLOW_TESTS").is_none() {
        println!("skipped: it takes minutes; set CRYPTFLOW_SLOW_TESTS=1");
        return;
    }
    let Some(data) = shared_data() else { return };
    for name in ["squeezenet_imagenet", "mobilenet_v2", "densenet121", "resnet50"] {
        frozen(&data, name);
    }
}
