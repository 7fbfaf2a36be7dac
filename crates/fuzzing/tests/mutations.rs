//! Every target on valid files, on files that fuzzing has found before, and on files that were
//! changed at random, the same in every run.
//!
//! `CRYPTFLOW_FUZZ_ROUNDS` sets how many files are changed for each target.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cryptflow_fuzzing::mutate::{Random, mutated};
use cryptflow_fuzzing::{TARGETS, Target, regressions};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One target at a time: memory is counted for the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// How long one file may take. What is not endless takes far less, on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn rounds() -> usize {
    std::env::var("CRYPTFLOW_FUZZ_ROUNDS").map_or(400, |text| text.parse().unwrap())
}

/// Runs a target on a file: it comes back, and holds no more memory than it may.
fn check(target: &Target, bytes: &[u8], folder: &Path) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    (target.run)(bytes, folder);
    let held = MEMORY.peak_usage().saturating_sub(before);
    let allowed = target.allowance(bytes.len());
    assert!(
        held <= allowed,
        "it holds {held} bytes at a time for a file of {}, and {allowed} are allowed",
        bytes.len()
    );
    held
}

/// Where a file lies on which a target fails.
fn keep(target: &Target, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failed-{}", target.name));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn files(target: &Target) -> Vec<Vec<u8>> {
    let seeds = (target.seeds)();
    let mut all = seeds.clone();
    all.extend(regressions(target.name).into_iter().map(|(_, bytes)| bytes));
    all.extend([Vec::new(), vec![0], vec![0xff; 64]]);
    let mut random = Random(target.name.bytes().fold(1, |n: u64, b| n.wrapping_mul(31) + u64::from(b)));
    for round in 0..rounds() {
        let seed = &seeds[round % seeds.len()];
        let other = &seeds[random.below(seeds.len())];
        all.push(mutated(seed, other, &mut random));
    }
    all
}

fn survives(target: &'static Target) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let files = files(target);
    let all = files.clone();
    let (done, progress) = channel();
    let path = folder.path().to_path_buf();
    let worker = std::thread::spawn(move || {
        let mut worst = (0, 0);
        for file in &files {
            let held = check(target, file, &path);
            if held > worst.0 {
                worst = (held, file.len());
            }
            if done.send(()).is_err() {
                break;
            }
        }
        worst
    });
    for file in &all {
        match progress.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} hangs on {}", target.name, keep(target, file).display())
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("{} fails on {} (see above)", target.name, keep(target, file).display())
            }
        }
    }
    let (held, length) = worker.join().unwrap();
    println!("{}: {} files; at most {held} bytes held, for a file of {length}", target.name, all.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            survives(cryptflow_fuzzing::target(stringify!($name)).unwrap());
        })*

        #[test]
        fn every_target_is_tested_and_has_a_binary() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
            let manifest = std::fs::read_to_string(manifest).unwrap();
            for name in names {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no binary {name}");
            }
        }
    };
}

targets! {
    graph_def onnx saved_model checkpoint_index checkpoint_block compiled_model program npy npz csv input_file labels
    frames hello greetings messages opened_parts policy evidence snp_certificates collateral firmware site identity
    stored_part stored_version audit_log gateway_upload gateway_request
}
