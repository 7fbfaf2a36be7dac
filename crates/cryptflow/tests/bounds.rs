//! What a run says of numbers that left the bounds of a program.

use cryptflow::clear_runner::ClearRunner;
use cryptflow::fixed;
use cryptflow_arrays::npy::{Tensor, write_npz};
use cryptflow_athos::compile::{Bounds, CompileOptions, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_engine::Beyond;
use cryptflow_graph::{Activation, Array, Graph, Linear};
use serde_json::Value;

use crate::model::{Files, stdout};

/// Rows of a and b: within the ranges that calibration saw of each, in every file. Calibration saw
/// nothing but opposite ones, so that their sum stays near zero.
fn write(files: &Files, name: &str, rows: &[(f32, f32)]) {
    let a = Tensor { shape: vec![rows.len(), 3], data: rows.iter().flat_map(|row| [row.0; 3]).collect() };
    let b = Tensor { shape: vec![rows.len(), 1], data: rows.iter().map(|row| row.1).collect() };
    write_npz(std::fs::File::create(files.path(name)).unwrap(), [("a", &a), ("b", &b)]).unwrap();
}

fn files() -> Files {
    let files = Files::new(false, 2);
    let opposite: Vec<(f32, f32)> = (-20..=20).map(|i| (i as f32 / 8.0, i as f32 / -8.0)).collect();
    write(&files, "seen.npz", &opposite);
    // The third row, in the second batch of two, and the fourth.
    write(&files, "beyond.npz", &[(1.0, -1.0), (-2.0, 2.0), (1.5, 1.5), (-2.5, -2.5), (0.0, 0.0)]);
    files.compile(&["@/seen.npz"]);
    files
}

#[test]
fn opened_outputs_are_held_against_their_bounds() {
    let files = files();
    for protocol in ["clear", "mirror", "porthos"] {
        let run = ["run", "@/m.safetensors", "--protocol", protocol, "--json", "--input"];
        let output = files.run(&[&run[..], &["@/seen.npz"]].concat());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{protocol}");
        let json: Value = serde_json::from_str(&stdout(output)).unwrap();
        assert_eq!(json["outputs"][0].get("out_of_bounds"), None, "{protocol}");

        let output = files.run(&[&run[..], &["@/beyond.npz"]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let [line] = error.lines().collect::<Vec<_>>()[..] else { panic!("{protocol}: {error}") };
        for part in [
            "warning: the output \"scores\" left its bounds in row 3 (beyond.npz[3]): -5",
            "outside of -0.0",
            "2 of 5 rows left them",
            "more calibration data",
            "--margin",
        ] {
            assert!(line.contains(part), "{protocol}: {line}\nlacks {part:?}");
        }
        assert_eq!(line.contains("truncation"), protocol == "porthos", "{protocol}: {line}");
        let json: Value = serde_json::from_str(&stdout(output)).unwrap();
        let told = json["outputs"][0]["out_of_bounds"].as_array().unwrap();
        let rows: Vec<u64> = told.iter().map(|row| row["row"].as_u64().unwrap()).collect();
        assert_eq!(rows, [2, 3], "{protocol}");
        assert!((told[0]["value"].as_f64().unwrap() - 3.0).abs() < 0.01, "{protocol}: {told:?}");
        assert_eq!(told[0]["elements"], 3, "{protocol}");
        assert!(told[0]["high"].as_f64().unwrap() < 0.1, "{protocol}: {told:?}");
        assert_eq!(json["outputs"][1].get("out_of_bounds"), None, "{protocol}");
    }
}

#[test]
fn bounds_that_are_worst_cases_are_not_to_be_calibrated_with_more() {
    let files = files();
    let compile = ["compile", "@/model.pb", "-o", "@/m.safetensors", "--scale", "14", "--range", "-3,3"];
    stdout(files.run(&compile));
    let run = ["run", "@/m.safetensors", "--protocol", "mirror", "--input", "@/beyond.npz"];
    let output = files.run(&run);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // A file whose program promises less than it keeps.
    let model = cryptflow_model_file::read(&files.path("m.safetensors")).unwrap();
    let mut program = model.program.into_program();
    let scores = program.outputs[0].value.0;
    (program.values[scores].low, program.values[scores].high) = (-1, 1);
    let program = cryptflow_program::validate(program).unwrap();
    let weights = model.weights.unwrap();
    let path = files.path("m.safetensors");
    cryptflow_model_file::write(&path, &program, &weights, model.report.as_ref()).unwrap();
    let error = String::from_utf8(files.run(&run).stderr).unwrap();
    assert!(error.contains("bounds are worst cases") && error.contains("please report this"), "{error}");
    assert!(!error.contains("calibration data"), "{error}");
}

#[test]
fn a_comparison_names_the_layer_and_the_row_that_left_bounds_first() {
    let files = files();
    let run = ["run", "@/m.safetensors", "--protocol", "mirror", "--compare", "@/model.pb", "--input"];
    let output = files.run(&[&run[..], &["@/seen.npz"]].concat());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = stdout(output);
    assert!(text.contains("bounds   every value inside of the model stayed within its bounds"), "{text}");

    let output = files.run(&[&run[..], &["@/beyond.npz"]].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    // Both in the second batch of two; the third row is the first of them.
    for part in [
        "warning: inside of the model, values left their bounds first in layer logits (step 1, add)",
        "in row 2 (beyond.npz[2]): 3 is 2.996 outside of ",
        "in 2 of 5 rows values left them",
    ] {
        assert!(error.contains(part), "{error}\nlacks {part:?}");
    }
    assert!(!stdout(output).contains("stayed within"));
    let output = files.run(&[&run[..], &["@/beyond.npz", "--json"]].concat());
    let json: Value = serde_json::from_str(&stdout(output)).unwrap();
    for (pointer, value) in [("/layer", "\"logits\""), ("/step", "1"), ("/row", "2"), ("/rows", "2")] {
        let pointer = format!("/first_out_of_bounds{pointer}");
        assert_eq!(json.pointer(&pointer).unwrap().to_string(), value, "{pointer}: {json}");
    }
}

/// What the guard compares is right however inputs conspire: for each column of a layer the input that
/// leads farthest stays within the bounds of what is computed, and is held.
#[test]
fn the_guard_holds_the_farthest_that_there_is() {
    let shape = [12, 5];
    let weight = |i: usize| ((i * 37 + 11) % 23) as f32 / 7.0 - 1.5;
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, shape[0]]);
    let w = g.add_constant("w", Array::new(shape.to_vec(), (0..60).map(weight).collect()).unwrap());
    let bias = g.add_constant("b", Array::vector(vec![0.5, -3.0, 0.0, 7.0, 1.0]));
    let matmul = Linear::MatMul { transpose_a: false, transpose_b: false };
    let y = g.add("y", matmul, &[x, w, bias]).unwrap();
    let y = g.add("relu", Activation::Relu, &[y]).unwrap();
    g.add_output("relu", y);
    // Inputs of one sign alone, now and then.
    let shown = |row: usize| {
        (0..shape[0]).map(move |i| if (i + row).is_multiple_of(5) { 1.0 } else { 0.0 }).collect()
    };
    let examples = (0..40).map(|row| vec![Array::new(vec![1, shape[0]], shown(row)).unwrap()]).collect();
    let options = CompileOptions { guard: true, margin: Some(0.0), ..CompileOptions::default() };
    let model = compile(&g, Bounds::Examples(examples), &options, &ClearRunner, &mut |_| ()).unwrap();
    let program = &model.program;
    assert!(program.guard.is_some());
    let [low, high] = [program.inputs[0].low, program.inputs[0].high].map(|end| end as f32);
    for column in 0..shape[1] {
        for sign in [1.0, -1.0] {
            let input: Vec<f32> = (0..shape[0])
                .map(|i| if sign * weight(i * shape[1] + column) > 0.0 { high } else { low })
                .collect();
            let inputs = fixed::inputs(program, &[input]).unwrap();
            let mut computed = None;
            let mut observe = |id: cryptflow_program::ValueId, numbers: &[i64]| {
                // The first step computes, the copies of it come later.
                computed.get_or_insert_with(|| Beyond::of(&program.values[id.0], numbers));
            };
            let opened = ClearRunner.run(program, &model.weights, &inputs, &mut observe).unwrap();
            assert_eq!(computed, Some(None), "column {column}");
            assert_eq!(opened[1], [1], "column {column}: {low} to {high} is beyond what was seen");
        }
    }
}
