//! The command line, in this process.

use cryptflow::command_line;
use cryptflow::local::Executable;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs the `cryptflow` command with these arguments, of which the first is its name, and returns
/// the exit code. Processes that it starts run `executable`: a file, and its first arguments.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>, executable: Vec<OsString>) -> u8 {
    py.detach(|| command_line::main(arguments, &through(executable)))
}

/// What a party's process runs.
pub(crate) fn through(executable: Vec<OsString>) -> Executable {
    let mut parts = executable.into_iter();
    match parts.next() {
        Some(file) => Executable::Through { file: PathBuf::from(file), arguments: parts.collect() },
        None => Executable::This,
    }
}
