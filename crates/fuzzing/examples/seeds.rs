//! Writes every target's valid examples, and what fuzzing has found before, to `FOLDER/TARGET/`:
//! where a fuzzer begins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use cryptflow_fuzzing::{TARGETS, regressions};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: seeds FOLDER"));
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder).unwrap();
        let found = regressions(target.name).into_iter().map(|(_, bytes)| bytes);
        for (i, bytes) in (target.seeds)().into_iter().chain(found).enumerate() {
            std::fs::write(folder.join(format!("seed-{i}")), bytes).unwrap();
        }
    }
}
