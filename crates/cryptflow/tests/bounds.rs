//! What a run says of numbers that left the bounds of a program.

use cryptflow_arrays::npy::{Tensor, write_npz};
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
    let model = cryptflow_program::file::read(&files.path("m.safetensors")).unwrap();
    let mut program = model.program.into_program();
    let scores = program.outputs[0].value.0;
    (program.values[scores].low, program.values[scores].high) = (-1, 1);
    let program = cryptflow_program::validate(program).unwrap();
    let weights = model.weights.unwrap();
    let path = files.path("m.safetensors");
    cryptflow_program::file::write(&path, &program, &weights, model.report.as_ref()).unwrap();
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
