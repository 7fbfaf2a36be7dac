//! Running the command, with a limit on its time: nothing may hang.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cryptflow_arrays::npy::{Elements, Tensor, read_npy, write_npy};

/// How long a command may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// A file of the network that ships with the project.
pub(crate) fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits").join(name)
}

/// What a command said and how it ended.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as one JSON object.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert!(self.ok(), "{:?}: {}", self.code, self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in\n{}", self.stdout))
    }

    /// It failed, and said so with all of these parts.
    pub(crate) fn fails(&self, what: &str, parts: &[&str]) {
        assert!(!self.ok(), "{what}: succeeded");
        assert!(self.code.is_some(), "{what}: ended by a signal\n{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{what}: {}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{what}: {part:?} is missing in\n{}", self.stderr);
        }
    }
}

/// Runs the command to its end.
pub(crate) fn cryptflow(arguments: &[OsString]) -> Finished {
    finish(start(Command::new(env!("CARGO_BIN_EXE_cryptflow")).args(arguments)))
}

/// Starts a command; its outputs are read by [`finish`].
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end.
pub(crate) fn finish(mut child: Child) -> Finished {
    fn text(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let (stdout, stderr) = (text(child.stdout.take().unwrap()), text(child.stderr.take().unwrap()));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the command hangs; it said\n{}", stderr.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Finished { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// A folder of a test's own.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn npy(&self, name: &str, shape: &[usize], value: impl Fn(usize) -> f32) -> PathBuf {
        let data = (0..shape.iter().product()).map(value).collect();
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &Tensor { shape: shape.to_vec(), data }).unwrap();
        self.file(name, &bytes)
    }

    /// The shipped network, compiled with more options.
    pub(crate) fn compiled(&self, options: &[&str]) -> PathBuf {
        let model = self.path("digits.safetensors");
        let mut arguments = crate::compiling(&digits("model.pb"), &model);
        arguments.extend(options.iter().map(OsString::from));
        let compile = cryptflow(&arguments);
        assert!(compile.ok(), "{}", compile.stderr);
        model
    }
}

/// An array of floats.
pub(crate) fn array(path: &Path) -> Tensor {
    let bytes = std::fs::read(path).unwrap();
    let array = read_npy(bytes.as_slice(), bytes.len() as u64, true).unwrap();
    match array.elements {
        Elements::Floats(data) => Tensor { shape: array.shape, data },
        Elements::Bytes(_) => panic!("{} holds bytes", path.display()),
    }
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
