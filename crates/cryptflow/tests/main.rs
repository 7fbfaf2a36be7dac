//! The command and its library, from outside. One binary: each would be linked with everything that
//! there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub)]

mod common;
#[path = "common/graph_def.rs"]
mod graph_def;
#[path = "common/several.rs"]
mod model;
#[cfg(unix)]
#[path = "common/process.rs"]
mod process;
#[path = "common/tensorflow_cases.rs"]
mod tensorflow_cases;
#[path = "common/whole.rs"]
mod whole;

mod answers;
mod athos_cases;
mod attest;
#[cfg(unix)]
mod bench;
mod bounds;
mod check;
mod classical;
mod columns;
mod compile;
#[cfg(unix)]
mod dealt;
mod documents;
mod examples;
#[cfg(unix)]
mod forecast;
mod input;
mod inspect;
mod labels;
mod measure;
mod notation;
mod operations;
mod policy;
#[cfg(unix)]
mod profile;
mod random_models;
mod report;
mod results;
#[cfg(unix)]
mod run;
mod runner;
mod same_program;
mod session;
#[cfg(unix)]
mod several;
mod standing;
mod tensorflow_graphs;
mod tensorflow_operations;
mod wrong_use;

#[test]
fn every_file_is_part_of_this_binary() {
    let this = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".rs").filter(|name| *name != "main") {
            assert!(this.contains(&format!("mod {name};")), "tests/main.rs lacks {name}");
        }
    }
}
