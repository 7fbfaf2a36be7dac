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

mod gateway;
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
    const fn new(
        name: &'static str,
        run: fn(&[u8], &Path),
        seeds: fn() -> Vec<Vec<u8>>,
        base: usize,
        factor: usize,
    ) -> Target {
        Target { name, run, seeds, base, factor }
    }

    /// The most bytes that it may hold while it reads so many.
    pub fn allowance(&self, length: usize) -> usize {
        self.base + self.factor * length
    }
}

/// Room for what does not depend on the input: tables, buffers, texts.
const SMALL: usize = 4 << 20;

/// All targets: name, function, seeds, and what it may hold.
pub const TARGETS: &[Target] = &[
    // A message of two bytes is a struct of some hundred; what a graph may make of constants is
    // `athos::import`'s to say.
    Target::new("graph_def", models::graph_def, models::graphs, 1 << 30, 1024),
    Target::new("onnx", models::onnx, models::onnx_models, 1 << 30, 1024),
    Target::new("saved_model", models::saved_model, models::saved_models, 1 << 30, 1024),
    Target::new("checkpoint_index", models::index, models::indices, SMALL, 1024),
    Target::new("checkpoint_block", models::block, models::blocks, SMALL, 1024),
    Target::new("compiled_model", models::compiled, models::compiled_models, SMALL, 64),
    Target::new("program", models::program, models::programs, SMALL, 256),
    Target::new("npy", inputs::npy, inputs::arrays, SMALL, 64),
    // Deflate makes at most 1032 bytes of one, and a byte becomes a float.
    Target::new("npz", inputs::npz, inputs::archives, SMALL, 1032 * 8),
    Target::new("csv", inputs::csv, inputs::tables, SMALL, 64),
    // A flat picture of a few bytes has thousands of pixels for each: `BYTES_PER_BYTE` there, and
    // floats here.
    Target::new("input_file", inputs::file, inputs::files, 16 << 20, 4096 * 8),
    Target::new("labels", inputs::labels, inputs::label_files, SMALL, 64),
    // A frame's payload is allocated when it is announced, up to 64 MiB.
    Target::new("frames", network::frames, network::frame_streams, 72 << 20, 16),
    Target::new("hello", network::hello, network::hellos, SMALL, 16),
    Target::new("greetings", network::greetings, network::greeting_messages, SMALL, 64),
    Target::new("messages", network::messages, network::session_messages, SMALL, 64),
    Target::new("opened_parts", network::opened, network::output_parts, SMALL, 64),
    Target::new("policy", trust::policy, trust::policies, SMALL, 512),
    Target::new("evidence", trust::evidence, trust::quotes, SMALL, 256),
    Target::new("snp_certificates", trust::certificates, trust::certificate_tables, SMALL, 256),
    Target::new("collateral", trust::collateral, trust::collaterals, SMALL, 256),
    // A firmware's memory is measured page by page, as much as it says there is.
    Target::new("firmware", trust::firmware, trust::firmwares, 16 << 20, 64),
    Target::new("site", trust::site, trust::sites, SMALL, 512),
    Target::new("identity", trust::identity, trust::identities, SMALL, 64),
    Target::new("stored_part", trust::part, trust::parts, SMALL, 64),
    Target::new("stored_version", trust::version, trust::versions, SMALL, 256),
    Target::new("audit_log", trust::audit, trust::audits, SMALL, 256),
    Target::new("gateway_upload", gateway::upload, gateway::upload_bodies, SMALL, 256),
    Target::new("gateway_request", gateway::request, gateway::request_bodies, SMALL, 256),
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
