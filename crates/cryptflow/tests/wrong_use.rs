//! Wrong files, wrong options and wrong places: each is named for what it is, with what to do, and
//! nothing is written over.

use std::path::{Path, PathBuf};
use std::process::Command;

use cryptflow::output::write_npy;
use cryptflow_arrays::npy::Tensor;

/// Files to misuse: the digits' model, compiled, with inputs, and what is neither.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::copy(digits("model.pb"), folder.at("model.pb")).unwrap();
        let rows = |name: &str, shape: &[usize], value: f32| {
            let tensor = Tensor { shape: shape.to_vec(), data: vec![value; shape.iter().product()] };
            write_npy(&folder.at(name), &tensor).unwrap();
        };
        rows("x.npy", &[2, 8, 8, 1], 0.5);
        rows("nan.npy", &[2, 8, 8, 1], f32::NAN);
        rows("infinite.npy", &[2, 8, 8, 1], f32::INFINITY);
        rows("none.npy", &[0, 8, 8, 1], 0.0);
        rows("other.npy", &[2, 7, 8, 1], 0.0);
        rows("huge.npy", &[2, 8, 8, 1], 1e30);
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 8, 1), }";
        let long = [&b"\x93NUMPY\x01\0\x76\0"[..], format!("{header:<117}\n").as_bytes()].concat();
        let files: [(&str, &[u8]); 9] = [
            ("long.npy", &long),
            ("empty.pb", b""),
            ("empty.npy", b""),
            ("table.csv", b"1,2,3\n4,5,6\n"),
            ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"),
            ("picture.bmp", b"BM\xf6\0\0\0\0\0\0\0\x36\0\0\0"),
            ("picture.webp", b"RIFF\x1e\0\0\0WEBPVP8 \0\0"),
            ("strings.npy", b"\x93NUMPY\x01\0\x46\0{'descr': '<U1', 'fortran_order': False, 'shape': (2,), }            \n"),
            ("labels.txt", b"one\n"),
        ];
        for (name, bytes) in files {
            std::fs::write(folder.at(name), bytes).unwrap();
        }
        std::fs::create_dir(folder.at("folder")).unwrap();
        let said =
            folder.cryptflow("compile model.pb --calibrate x.npy --scale 10 --ring 40 -o m.safetensors");
        assert!(said.is_ok(), "{said:?}");
        folder
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What is said on standard error, and whether it worked.
    fn cryptflow(&self, line: &str) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cryptflow"));
        let output = command.args(line.split_whitespace()).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{line}: {said}");
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// Every file, and what is in it.
    fn contents(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let entries = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(path).ok())).collect();
        files.sort();
        files
    }
}

fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits").join(name)
}

/// Command lines, and what must be said of them.
const WRONG: &[(&str, &[&str])] = &[
    // What is written over what.
    ("compile model.pb --calibrate x.npy -o ./model.pb", &["--out would write over the model"]),
    ("compile model.pb --calibrate x=x.npy -o x.npy", &["--out would write over --calibrate"]),
    (
        "compile model.pb --calibrate x.npy -o q --report folder/../model.pb",
        &["--report would write over the model"],
    ),
    ("compile model.pb --calibrate x.npy -o q --report q", &["--out would write over --report"]),
    ("run m.safetensors --input x.npy --output x.npy", &["--output would write over --input"]),
    ("run m.safetensors --input x.npy --output m.safetensors", &["--output would write over the model"]),
    (
        "run m.safetensors --input x.npy --compare model.pb --output model.pb",
        &["--output would write over --compare"],
    ),
    ("run m.safetensors --input x.npy --output y.csv", &[".npy or .npz", "not as .csv"]),
    ("compile model.pb --calibrate x.npy -o no/q", &["the folder no does not exist"]),
    ("compile model.pb --calibrate x.npy -o table.csv/q", &["table.csv is no folder"]),
    ("compile model.pb --calibrate x.npy -o folder", &["it is a folder"]),
    // What is compiled.
    ("compile m.safetensors --calibrate x.npy -o q", &["compiled already", "cryptflow run"]),
    ("compile empty.pb --calibrate x.npy -o q", &["an empty file", "Copy it again"]),
    ("compile table.csv --calibrate x.npy -o q", &["text", "SavedModel"]),
    ("compile picture.png --calibrate x.npy -o q", &["a picture", "data to calibrate with"]),
    ("compile x.npy --calibrate x.npy -o q", &["a numpy array"]),
    ("compile folder --calibrate x.npy -o q", &["a directory without saved_model.pb"]),
    ("compile absent.pb --calibrate x.npy -o q", &["error: cannot read absent.pb"]),
    // What is run.
    ("run model.pb --input x.npy", &["not compiled", "cryptflow compile model.pb --calibrate"]),
    ("run empty.pb --input x.npy", &["an empty file"]),
    ("run table.csv --input x.npy", &["this is text"]),
    ("run picture.webp --input x.npy", &["a picture", "--input picture.webp"]),
    ("run folder --input x.npy", &["this is a folder"]),
    ("run absent --input x.npy", &["cannot read absent"]),
    // What it is run on.
    ("run m.safetensors --input model.pb", &["a frozen TensorFlow graph", "before the options"]),
    ("run m.safetensors --input m.safetensors", &["compiled already"]),
    ("run m.safetensors --input table.csv", &["table.csv has 3 columns", "needs"]),
    ("run m.safetensors --input picture.bmp", &["a BMP picture", "as PNG"]),
    ("run m.safetensors --input picture.webp", &["a WebP picture", "as PNG"]),
    ("run m.safetensors --input empty.npy", &["it is empty"]),
    ("run m.safetensors --input folder", &["the folder folder holds no"]),
    ("run m.safetensors --input nan.npy", &["nan.npy[0]", "NaN"]),
    ("run m.safetensors --input infinite.npy", &["infinite.npy[0]", "inf"]),
    ("run m.safetensors --input none.npy", &["holds no rows"]),
    ("run m.safetensors --input other.npy", &["[2, 7, 8, 1]", "[N, 8, 8, 1]"]),
    ("run m.safetensors --input huge.npy", &["outside of the range"]),
    ("run m.safetensors --input long.npy", &["truncated"]),
    ("run m.safetensors --input strings.npy", &["<U1", "float32"]),
    ("run m.safetensors --input y=x.npy", &["no input \"y\"", "\"x\""]),
    ("run m.safetensors --input x.npy --labels labels.txt", &["1 label, the model has 10"]),
    ("run m.safetensors --input x.npy --compare m.safetensors", &["compiled already", "made from"]),
    ("run m.safetensors --input x.npy --timeout 0", &["--timeout 0"]),
    // How.
    ("compile model.pb --calibrate nan.npy -o q", &["NaN"]),
    ("compile model.pb --calibrate x.npy --range 0,1 -o q", &["--range", "--calibrate"]),
    ("compile model.pb --calibrate x.npy --rows 0 -o q", &["--rows", "1 or more"]),
    ("compile model.pb --range 0,1 --divide 0 -o q", &["--divide", "not 0"]),
    ("compile model.pb --range 0,1 --std 1,nan -o q", &["--std", "finite"]),
    ("compile model.pb --range 0,1 --mean inf -o q", &["--mean", "a number"]),
    (
        "compile model.pb --range 0,1 --resize 8x8 --crop 9x8 -o q",
        &["--crop 9x8 is larger than --resize 8x8"],
    ),
    (
        "compile model.pb --range 0,1 --mean 1,2,3 -o q",
        &["the input \"x\" cannot be prepared", "mean has 3 numbers for 1 channels"],
    ),
    ("compile model.pb --range 0,1 --input y=1,8,8,1 -o q", &["Did you mean \"x\"? The graph has: x"]),
    ("deploy m.safetensors", &["cryptflow.toml", "cryptflow init"]),
];

#[test]
fn it_is_said_what_is_wrong_and_nothing_is_touched() {
    let folder = Folder::new();
    let before = folder.contents();
    for (line, says) in WRONG {
        let said = folder.cryptflow(line).expect_err(line);
        for words in *says {
            assert!(said.contains(words), "{line} must say {words:?}: {said}");
        }
    }
    assert!(folder.contents() == before, "a file was changed, or left");
}

/// What is given for nothing is said to be.
#[test]
fn options_about_examples_need_some() {
    let folder = Folder::new();
    let said = folder.cryptflow("compile model.pb --range 0,1 --tolerance 1% --margin 2 -o q").unwrap();
    for option in ["--tolerance", "--margin"] {
        assert!(said.contains(&format!("{option} has no effect without calibration data")), "{said}");
    }
}
