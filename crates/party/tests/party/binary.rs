//! The binary that gets attested: what it says when it cannot start.

use std::process::Command;

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cryptflow-party")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_says_how_it_is_used() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("--config SITE.toml") && out.contains("protects nothing"), "{out}");
    assert!(run(&["--version"]).1.starts_with("cryptflow-party "));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    // (arguments, what is said)
    let table: [(&[&str], &str); 8] = [
        (&[], "--config is missing"),
        (&["--config"], "--config needs a value"),
        (&["--verbose"], "there is no argument --verbose"),
        (&["--log", "xml"], "\"xml\" is none of these: text, json"),
        (&["--log-level"], "\"\" is none of these: error, warn, info"),
        (&["--session"], "a party starts this for each of its sessions"),
        (&["--config", "/no/such/file"], "/no/such/file: it does not exist; `cryptflow init` writes it"),
        (&["--config", env!("CARGO_MANIFEST_PATH")], "Cargo.toml: "),
    ];
    for (arguments, said) in table {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(err.starts_with("error: ") && err.contains(said), "{arguments:?}: {err}");
    }
}
