//! A model with two inputs and several outputs, for tests of the command.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cryptflow_arrays::npy::{Elements, Tensor, read_npz_member, write_npy, write_npz};

/// What a command says that must not fail.
pub(crate) fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An array of an archive: its shape and its elements.
pub(crate) fn array(archive: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let array = read_npz_member(std::fs::File::open(archive).unwrap(), name).unwrap();
    let Elements::Floats(data) = array.elements else { panic!("{name} holds bytes") };
    (array.shape, data)
}

/// A frozen graph in TensorFlow's form: a `[2, 3]` and b of this shape; scores = softmax(a + b),
/// size = relu(b), and, where it is wanted, mixed = aᵀ · b, which has no axis of rows.
pub(crate) fn graph(b: [u8; 2], mixed: bool) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let attribute =
        |name: &str, value: &[u8]| field(5, &[field(1, name.as_bytes()), field(2, value)].concat());
    let float = |name: &str| attribute(name, &[6 << 3, 1]);
    let shape = |dims: [u8; 2]| {
        let dims = dims.map(|d| field(2, &[1 << 3, d])).concat();
        attribute("shape", &field(7, &dims))
    };
    let node = |name: &str, op: &str, inputs: &[&str], attributes: Vec<u8>| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(3, input.as_bytes())).collect();
        field(1, &[field(1, name.as_bytes()), field(2, op.as_bytes()), inputs, attributes].concat())
    };
    let mut nodes = vec![
        node("a", "Placeholder", &[], [float("dtype"), shape([2, 3])].concat()),
        node("b", "Placeholder", &[], [float("dtype"), shape(b)].concat()),
        node("logits", "AddV2", &["a", "b"], float("T")),
        node("scores", "Softmax", &["logits"], float("T")),
        node("size", "Relu", &["b"], float("T")),
    ];
    if mixed {
        let turned = attribute("transpose_a", &[5 << 3, 1]);
        nodes.push(node("mixed", "MatMul", &["a", "b"], [float("T"), turned].concat()));
    }
    nodes.concat()
}

/// Rows of the inputs, quarters of whole numbers: exact in fixed point.
pub(crate) fn rows(n: usize) -> (Vec<[f32; 3]>, Vec<f32>) {
    let number = |i: usize| ((i * 7) % 13) as f32 / 4.0 - 1.5;
    (
        (0..n).map(|i| std::array::from_fn(|j| number(3 * i + 2 * j))).collect(),
        (0..n).map(|i| number(i + 5)).collect(),
    )
}

pub(crate) struct Files {
    pub(crate) folder: tempfile::TempDir,
}

impl Files {
    /// The graph for batches of two, and n rows: as one archive, and as an array for each input.
    pub(crate) fn new(mixed: bool, n: usize) -> Files {
        let files = Files { folder: tempfile::tempdir().unwrap() };
        std::fs::write(files.path("model.pb"), graph([2, 1], mixed)).unwrap();
        let (a, b) = rows(n);
        let a = Tensor { shape: vec![n, 3], data: a.concat() };
        let b = Tensor { shape: vec![n, 1], data: b };
        let create = |name: &str| std::fs::File::create(files.path(name)).unwrap();
        write_npy(&mut create("a.npy"), &a).unwrap();
        write_npy(&mut create("b.npy"), &b).unwrap();
        write_npz(create("x.npz"), [("a", &a), ("b", &b)]).unwrap();
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, with the folder where an argument says `@`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let folder = self.folder.path().to_str().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|a| a.replace('@', folder)).collect();
        Command::new(env!("CARGO_BIN_EXE_cryptflow")).args(arguments).output().unwrap()
    }

    pub(crate) fn compile(&self, calibrate: &[&str]) {
        let fixed = ["compile", "@/model.pb", "-o", "@/m.safetensors", "--scale", "14", "--calibrate"];
        stdout(self.run(&[&fixed, calibrate].concat()));
    }
}
