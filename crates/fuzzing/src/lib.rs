//! Everything that reads bytes from outside, each as a function of bytes: the targets of fuzzers.
//!
//! The same [`TARGETS`] run in two ways: under cargo-fuzz (the folder `fuzz` beside the crates),
//! and in this crate's test, which changes valid files at random ([`mutate`]). A target only has to
//! come back: whatever the bytes, there is no panic, no endless work, and no memory that
//! [`Target::allowance`] does not allow.
//!
//! A new parser gets a target here, a line in [`TARGETS`], and an entry in `fuzz/Cargo.toml` (a
//! test compares the two).

// What fails here fails a test: there is nobody to hand an error to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inputs;
mod models;
pub mod mutate;
mod network;
mod trust;

use std::path::{Path, PathBuf};

/// Something that reads bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its binary in `fuzz`.
    pub name: &'static str,
    /// Reads the bytes. The folder is empty at first, the target's own, and stays from call to
    /// call.
    pub run: fn(&[u8], &Path),
    /// Valid examples, small ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes that it may hold at a time, whatever the input's length.
    pub base: usize,
    /// Bytes that it may hold for each byte of the input.
    pub factor: usize,
}

impl Target {
    /// The most bytes that it may hold while it reads so many.
    pub fn allowance(&self, length: usize) -> usize {
        self.base + self.factor * length
    }
}

/// Room for what does not depend on the input: tables, buffers, texts.
const SMALL: usize = 4 << 20;

/// All targets.
pub const TARGETS: &[Target] = &[
    // A message of two bytes is a struct of some hundred; what a graph may make of constants is
    // `athos::import`'s to say.
    Target { name: "graph_def", run: models::graph_def, seeds: models::graphs, base: 1 << 30, factor: 1024 },
    Target { name: "onnx", run: models::onnx, seeds: models::onnx_models, base: 1 << 30, factor: 1024 },
    Target {
        name: "saved_model",
        run: models::saved_model,
        seeds: models::saved_models,
        base: 1 << 30,
        factor: 1024,
    },
    Target {
        name: "checkpoint_index",
        run: models::index,
        seeds: models::indices,
        base: SMALL,
        factor: 1024,
    },
    Target { name: "checkpoint_block", run: models::block, seeds: models::blocks, base: SMALL, factor: 1024 },
    Target {
        name: "compiled_model",
        run: models::compiled,
        seeds: models::compiled_models,
        base: SMALL,
        factor: 64,
    },
    Target { name: "program", run: models::program, seeds: models::programs, base: SMALL, factor: 256 },
    Target { name: "npy", run: inputs::npy, seeds: inputs::arrays, base: SMALL, factor: 64 },
    // Deflate makes at most 1032 bytes of one, and a byte becomes a float.
    Target { name: "npz", run: inputs::npz, seeds: inputs::archives, base: SMALL, factor: 1032 * 8 },
    // A flat picture of a few bytes has thousands of pixels for each: `BYTES_PER_BYTE` there, and
    // floats here.
    Target { name: "input_file", run: inputs::file, seeds: inputs::files, base: 16 << 20, factor: 4096 * 8 },
    Target { name: "labels", run: inputs::labels, seeds: inputs::label_files, base: SMALL, factor: 64 },
    // A frame's payload is allocated when it is announced, up to 64 MiB.
    Target {
        name: "frames",
        run: network::frames,
        seeds: network::frame_streams,
        base: 72 << 20,
        factor: 16,
    },
    Target { name: "hello", run: network::hello, seeds: network::hellos, base: SMALL, factor: 16 },
    Target {
        name: "greetings",
        run: network::greetings,
        seeds: network::greeting_messages,
        base: SMALL,
        factor: 64,
    },
    Target {
        name: "messages",
        run: network::messages,
        seeds: network::session_messages,
        base: SMALL,
        factor: 64,
    },
    Target {
        name: "opened_parts",
        run: network::opened,
        seeds: network::output_parts,
        base: SMALL,
        factor: 64,
    },
    Target { name: "policy", run: trust::policy, seeds: trust::policies, base: SMALL, factor: 512 },
    Target { name: "evidence", run: trust::evidence, seeds: trust::quotes, base: SMALL, factor: 256 },
    Target {
        name: "snp_certificates",
        run: trust::certificates,
        seeds: trust::certificate_tables,
        base: SMALL,
        factor: 256,
    },
    Target {
        name: "collateral",
        run: trust::collateral,
        seeds: trust::collaterals,
        base: SMALL,
        factor: 256,
    },
    // A firmware's memory is measured page by page, as much as it says there is.
    Target { name: "firmware", run: trust::firmware, seeds: trust::firmwares, base: 16 << 20, factor: 64 },
    Target { name: "site", run: trust::site, seeds: trust::sites, base: SMALL, factor: 512 },
    Target { name: "identity", run: trust::identity, seeds: trust::identities, base: SMALL, factor: 64 },
    Target { name: "stored_part", run: trust::part, seeds: trust::parts, base: SMALL, factor: 64 },
    Target { name: "audit_log", run: trust::audit, seeds: trust::audits, base: SMALL, factor: 256 },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// A file of this repository, by its path from the root.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The contents of a file of this repository.
fn read(path: &str) -> Vec<u8> {
    let path = repository(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes a file that a target is about to read.
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// What fuzzing has found before, for a target: the files of `corpus/NAME` in this crate.
pub fn regressions(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name))
    else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}
