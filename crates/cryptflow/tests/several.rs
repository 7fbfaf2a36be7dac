//! A model with two inputs and several outputs, as a user compiles and runs it.

use cryptflow_arrays::npy::{Tensor, write_npy, write_npz};
use cryptflow_model_file as file;
use serde_json::Value;

use crate::model::{Files, array, graph, rows, stdout};

/// What an answer may be off, at 14 fractional bits.
const OFF: f32 = 16.0 / 16384.0;

fn near(found: &[f32], expected: &[f32], case: &str) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= OFF, "{case}: {found:?}, {expected:?}");
    }
}

#[test]
fn every_output_is_written_reported_and_compared() {
    // Five rows in batches of two: the last one is filled up.
    let files = Files::new(false, 5);
    files.compile(&["@/x.npz"]);
    std::fs::write(files.path("labels.txt"), "cat\ndog\nnewt\n").unwrap();
    let (a, b) = rows(5);
    let logits: Vec<f32> = a.iter().zip(&b).flat_map(|(a, b)| a.map(|x| x + b)).collect();
    let sizes: Vec<f32> = b.iter().map(|b| b.max(0.0)).collect();
    let options = ["--labels", "@/labels.txt", "--compare", "@/model.pb", "--output", "@/y.npz"];
    for protocol in ["clear", "mirror", "porthos"] {
        // Both ways of giving the inputs.
        for input in [&["@/x.npz"][..], &["b=@/b.npy", "a=@/a.npy"]] {
            let case = format!("{protocol}, {input:?}");
            let run = ["run", "@/m.safetensors", "--protocol", protocol, "--json", "--input"];
            let output = stdout(files.run(&[&run, input, &options].concat()));
            let json: Value = serde_json::from_str(&output).unwrap();

            let (shape, found) = array(&files.path("y.npz"), "scores");
            assert_eq!(shape, [5, 3], "{case}");
            // What goes into the softmax.
            near(&found, &logits, &case);
            let (shape, found) = array(&files.path("y.npz"), "size");
            assert_eq!(shape, [5, 1], "{case}");
            near(&found, &sizes, &case);

            for gone in ["labels", "top", "compare"] {
                assert_eq!(json.get(gone), None, "{case}");
            }
            let [scores, size] = json["outputs"].as_array().unwrap().as_slice() else { panic!("{json}") };
            assert_eq!((&scores["name"], &size["name"]), (&"scores".into(), &"size".into()), "{case}");
            assert_eq!(
                (&scores["shape"], &size["shape"]),
                (&[5, 3][..].into(), &[5, 1][..].into()),
                "{case}"
            );
            assert_eq!(size.get("top"), None, "{case}");
            for (row, logits) in logits.chunks(3).enumerate() {
                let best = (0..3).max_by(|&i, &j| logits[i].total_cmp(&logits[j]).then(j.cmp(&i))).unwrap();
                let second = (0..3).filter(|&i| i != best).map(|i| logits[i]).fold(f32::MIN, f32::max);
                // Of equal ones, either may be a little larger.
                if logits[best] - second > 2.0 * OFF {
                    assert_eq!(scores["labels"][row], ["cat", "dog", "newt"][best], "{case}, row {row}");
                }
                assert!(scores["top"][row][0]["probability"].as_f64().unwrap() >= 1.0 / 3.0, "{case}");
            }
            for output in [scores, size] {
                let compare = &output["compare"];
                assert_eq!(compare["rows"], 5, "{case}");
                assert!(compare["largest_difference"].as_f64().unwrap() <= OFF.into(), "{case}: {compare}");
                assert!(compare["largest_logit"].as_f64().unwrap() > 1.0, "{case}: {compare}");
            }
        }
    }
    let run =
        ["run", "@/m.safetensors", "--protocol", "clear", "--input", "@/x.npz", "--compare", "@/model.pb"];
    let text = stdout(files.run(&run));
    for part in [
        "x.npz[4]\n",
        "  scores [3]  class ",
        "  size [1]    ",
        "5 inputs in 3 batches",
        "compare  scores: top-1 as the float model on ",
        "         size: largest difference of a number ",
    ] {
        assert!(text.contains(part), "{text}\nlacks {part:?}");
    }
}

#[test]
fn the_form_of_the_model_is_written_where_it_is_wanted() {
    let files = Files::new(false, 5);
    files.compile(&["@/x.npz"]);
    let (a, b) = rows(5);
    let run = ["run", "@/m.safetensors", "--input", "@/x.npz", "--output", "@/y.npz", "--output-form"];
    let logits: Vec<[f32; 3]> = a.iter().zip(&b).map(|(a, b)| a.map(|x| x + b)).collect();
    stdout(files.run(&[&run[..], &["opened"]].concat()));
    near(&array(&files.path("y.npz"), "scores").1, &logits.concat(), "opened");
    stdout(files.run(&[&run[..], &["model"]].concat()));
    let softmax = logits.iter().flat_map(|row| {
        let powers = row.map(f32::exp);
        powers.map(|p| p / powers.iter().sum::<f32>())
    });
    let (shape, found) = array(&files.path("y.npz"), "scores");
    assert_eq!(shape, [5, 3]);
    near(&found, &softmax.collect::<Vec<_>>(), "model");
    assert_eq!(array(&files.path("y.npz"), "size").0, [5, 1]);
    let output = files.run(&["run", "@/m.safetensors", "--input", "@/x.npz", "--output-form", "model"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("--output"));
}

#[test]
fn calibration_data_come_in_the_same_two_ways() {
    let files = Files::new(false, 6);
    let compiled = |calibrate: &[&str]| {
        files.compile(calibrate);
        file::read(&files.path("m.safetensors")).unwrap().program
    };
    let program = compiled(&["@/x.npz"]);
    assert_eq!(program, compiled(&["a=@/a.npy", "b=@/b.npy"]));
    // Each input has the range of its own examples: a reaches lower than b, and the margin widens
    // it.
    let (a, b) = rows(6);
    let lowest = [a.concat(), b].map(|rows| rows.into_iter().fold(f32::MAX, f32::min));
    assert!(lowest[0] < lowest[1], "{lowest:?}");
    for (input, lowest) in program.inputs.iter().zip(lowest) {
        assert!(input.low <= lowest.into(), "{}: {}", input.name, input.low);
    }
    assert!(program.inputs[0].low < program.inputs[1].low, "{:?}", program.inputs);
}

#[test]
fn one_result_for_a_whole_batch() {
    let files = Files::new(true, 2);
    files.compile(&["@/x.npz"]);
    let (a, b) = rows(2);
    let expected: Vec<f32> = (0..3).map(|j| a[0][j] * b[0] + a[1][j] * b[1]).collect();
    let run = ["run", "@/m.safetensors", "--protocol", "mirror", "--input", "@/x.npz", "--output", "@/y.npz"];
    let text = stdout(files.run(&run));
    assert!(text.contains("all inputs together\n  mixed [3, 1]  "), "{text}");
    let (shape, found) = array(&files.path("y.npz"), "mixed");
    assert_eq!(shape, [3, 1]);
    near(&found, &expected, "mixed");
    assert_eq!(array(&files.path("y.npz"), "scores").0, [2, 3]);
}

#[test]
fn inputs_without_a_batch_axis_in_common_are_given_whole() {
    let files = Files::new(false, 2);
    std::fs::write(files.path("model.pb"), graph([1, 3], false)).unwrap();
    let create = |name: &str| std::fs::File::create(files.path(name)).unwrap();
    let counting = |n: usize| (0..n).map(|i| i as f32 / 4.0).collect::<Vec<f32>>();
    // Three rows of whole arrays.
    let (a, b) = (counting(3 * 6), counting(3 * 3));
    write_npy(&mut create("a.npy"), &Tensor { shape: vec![3, 2, 3], data: a.clone() }).unwrap();
    write_npy(&mut create("b.npy"), &Tensor { shape: vec![3, 1, 3], data: b.clone() }).unwrap();
    files.compile(&["a=@/a.npy", "b=@/b.npy"]);
    let run = ["run", "@/m.safetensors", "--input", "a=@/a.npy", "b=@/b.npy", "--output", "@/y.npz"];
    let text = stdout(files.run(&run));
    assert!(text.contains("3 inputs in 3 batches"), "{text}");
    let expected: Vec<f32> = (0..18).map(|i| a[i] + b[i / 6 * 3 + i % 3]).collect();
    let (shape, found) = array(&files.path("y.npz"), "scores");
    assert_eq!(shape, [3, 2, 3]);
    near(&found, &expected, "scores");
    assert_eq!(array(&files.path("y.npz"), "size"), (vec![3, 1, 3], b));

    let rows = Tensor { shape: vec![5, 3], data: vec![0.5; 15] };
    write_npy(&mut create("rows.npy"), &rows).unwrap();
    let output = files.run(&["run", "@/m.safetensors", "--input", "a=@/rows.npy", "b=@/b.npy"]);
    let error = String::from_utf8_lossy(&output.stderr);
    for part in ["needs [N, 2, 3]", "no batch axis in common (a [2, 3], b [1, 3])"] {
        assert!(error.contains(part), "{error}\nlacks {part:?}");
    }
}

#[test]
fn errors_come_before_anything_runs() {
    let files = Files::new(true, 2);
    files.compile(&["@/x.npz"]);
    let create = |name: &str| std::fs::File::create(files.path(name)).unwrap();
    let three = Tensor { shape: vec![3, 3], data: vec![0.5; 9] };
    let column = Tensor { shape: vec![3, 1], data: vec![0.5; 3] };
    write_npy(&mut create("three.npy"), &three).unwrap();
    write_npz(create("three.npz"), [("a", &three), ("b", &column)]).unwrap();
    write_npz(create("only_a.npz"), [("a", &three)]).unwrap();
    let large = Tensor { shape: vec![2, 1], data: vec![0.5, 1e4] };
    write_npy(&mut create("large.npy"), &large).unwrap();
    std::fs::write(files.path("labels.txt"), "cat\ndog\n").unwrap();

    let run: &[&str] = &["run", "@/m.safetensors", "--input"];
    let compile: &[&str] = &["compile", "@/model.pb", "-o", "@/never.safetensors", "--calibrate"];
    // The command, what follows, what the error says.
    let table: [(&[&str], &[&str], &[&str]); 12] = [
        (run, &["@/x.npz", "-o", "@/y.npy"], &["3 outputs", "scores, size, mixed", ".npz"]),
        (run, &["@/x.npz", "-o", "@/y"], &[".npz"]),
        (run, &["@/x.npz", "--labels", "@/labels.txt"], &["2 labels", "3 classes"]),
        (run, &["@/three.npz"], &["\"mixed\"", "[3, 1]", "exactly 2 rows", "--batch 1"]),
        (run, &["@/a.npy"], &["a.npy is for one input", "NAME=FILE"]),
        (run, &["@/only_a.npz"], &["only_a.npz", "\"b\""]),
        (run, &["a=@/three.npy", "b=@/b.npy"], &["different numbers of rows", "a 3, b 2"]),
        (run, &["c=@/a.npy"], &["no input \"c\"", "a, b"]),
        (run, &["a=@/a.npy"], &["\"b\""]),
        (run, &["a=@/a.npy", "b=@/large.npy"], &["large.npy[1]", "10000"]),
        (compile, &["c=@/a.npy"], &["no input \"c\"", "a, b"]),
        (compile, &["a=@/three.npy", "b=@/b.npy"], &["different numbers of rows", "a 3, b 2"]),
    ];
    for (command, arguments, says) in table {
        let output = files.run(&[command, arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        for part in says {
            assert!(error.contains(part), "{arguments:?}: {error}\nlacks {part:?}");
        }
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    for never in ["y.npy", "y", "never.safetensors"] {
        assert!(!files.path(never).exists(), "{never}");
    }
}
