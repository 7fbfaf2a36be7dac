//! What goes wrong is told to programs in words that stay the same, and by exit codes.

use std::path::Path;

use cryptflow_party::code::Code;
use serde_json::Value;

use crate::sites::{Sites, cryptflow, finish, outcome};

/// What a command prints on its standard output though it fails.
pub(crate) fn failed(mut command: std::process::Command) -> Value {
    let output = finish(command.spawn().unwrap());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn code(report: &Value) -> &str {
    assert!(report["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{report}");
    report["error"]["code"].as_str().unwrap()
}

#[test]
fn errors_have_words() {
    let mut sites = Sites::new(false);
    sites.start();
    let input = crate::common::write(sites.folder.path(), 3).1;
    let predict = |sites: &Sites, model: &str| {
        let input = input.to_str().unwrap();
        sites.client(&["predict", model, "--json", "--input", input, "--patience", "1"])
    };
    assert_eq!(code(&failed(predict(&sites, "tiny"))), "unknown-model");
    sites.deploy("mirror").unwrap();
    let mut other = predict(&sites, "tiny");
    other.args(["--digest", "00"]);
    assert_eq!(code(&failed(other)), "different-model");

    // Another model than elsewhere under the same name, at one party.
    let kept = sites.set_aside(1, "tiny");
    sites.deploy("porthos").unwrap();
    sites.put_back(1, "tiny", &kept);
    let status = failed(sites.client(&["status", "--json"]));
    assert_eq!(status["unusable"][0]["code"], "different-model", "{status}");
    assert_eq!(status["unusable"][0]["model"], "tiny");

    // It cannot be read.
    std::fs::write(sites.part(1, "tiny"), b"no part of a model").unwrap();
    assert_eq!(code(&failed(predict(&sites, "tiny"))), "damaged-model");
    let status = failed(sites.client(&["status", "--json"]));
    assert_eq!(status["unusable"][0]["code"], "damaged-model", "{status}");
    assert_eq!(status["unusable"][0]["party"], 1);
    std::fs::remove_dir_all(sites.model_folder(1, "tiny")).unwrap();
    let error = outcome(sites.client(&["status"])).unwrap_err();
    assert!(error.contains("model tiny is not to be had at P1"), "{error}");

    sites.deploy("mirror").unwrap();
    outcome(sites.client(&["status"])).unwrap();
    sites.edit("client", &sites.addresses[2].clone(), &sites.addresses[1].clone());
    assert_eq!(code(&failed(predict(&sites, "tiny"))), "wrong-key");
    sites.configure("client", &sites.addresses);
    sites.kill(2);
    assert_eq!(code(&failed(predict(&sites, "tiny"))), "unreachable");
    let status = failed(sites.client(&["status", "--json"]));
    assert_eq!(status["parties"][2]["code"], "unreachable", "{status}");
    assert_eq!(status["unusable"][0]["party"], 2);
}

#[test]
fn a_site_is_one_process_s() {
    let mut sites = Sites::new(false);
    sites.start();
    let second = || {
        // It would find its port taken, but later.
        let mut command = cryptflow(&["party"]);
        command.arg("--config").arg(sites.config("p1"));
        outcome(command).unwrap_err()
    };
    let error = second();
    let holder = format!("another process, {}, runs the party of this site already", sites.id(1));
    assert!(error.contains(&holder), "{error}");
    // Nothing was written into the log of the first.
    let log = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
    cryptflow_party::audit::check(&log).unwrap();
    assert_eq!(log.matches("\"event\":\"started\"").count(), 1, "{log}");
    // However a process ends, the site is free.
    sites.kill(1);
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
}

#[test]
fn words_are_explained() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let page = std::fs::read_to_string(path).unwrap();
    let words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    for (i, word) in words.iter().enumerate() {
        assert!(!words[..i].contains(word), "{word} means two things");
        assert!(page.contains(&format!("| `{word}` | ")), "{path} does not explain {word}");
    }
}
