//! A fuzzer of one target of `cryptflow_fuzzing`, the one that this binary is called after.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use cryptflow_fuzzing::{Target, target};
use libfuzzer_sys::fuzz_target;

static STATE: OnceLock<(&'static Target, PathBuf)> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let (target, folder) = STATE.get_or_init(|| {
        let name = env!("CARGO_BIN_NAME");
        let folder = std::env::temp_dir().join(format!("cryptflow-fuzz-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        (target(name).unwrap(), folder)
    });
    (target.run)(bytes, folder);
});
