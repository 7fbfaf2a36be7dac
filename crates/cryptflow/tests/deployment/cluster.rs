//! Three sites, a client and a gateway on one machine: as the page of three organisations says, word for word.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sites::{cryptflow, finish, free_address, outcome};

/// This project's folder.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The commands of the page's section.
fn commands() -> Vec<String> {
    let page = std::fs::read_to_string(project().join("docs/deployment.md")).unwrap();
    let section = page.split("## On one machine first").nth(1).unwrap().split("\n## ").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("    ")).map(String::from).collect()
}

/// Runs the page's commands in one shell, with ports that are free. What each prints stands behind its line.
#[test]
fn the_page_word_for_word() {
    let commands = commands();
    assert!(commands.len() >= 8 && commands[0].starts_with("cryptflow local-cluster"), "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(project().join("models"), folder.path().join("models")).unwrap();
    let port = free_address().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    // The next two are the other parties'.
    let (_, _, gateway) = (free_address(), free_address(), free_address());
    let mut script = "set -em\n".to_string();
    for command in &commands {
        let mut command = command.replace("127.0.0.1:8080", &gateway);
        if let Some(rest) = command.strip_prefix("cryptflow local-cluster cluster &") {
            assert!(rest.is_empty());
            // Who types is slower than a script.
            command = format!(
                "cryptflow local-cluster cluster --port {port} --gateway {gateway} >out 2>err &\n\
                 until grep -q 'three parties and a gateway run' out; do sleep 0.1; kill -0 %1; done"
            );
        }
        script += &format!("echo '$ {}'\n{command}\n", command.replace('\'', "").replace('\n', " "));
    }
    script += "wait %1 || true\n";
    let binary = Path::new(env!("CARGO_BIN_EXE_cryptflow")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("timeout");
    bash.args(["-k", "5", "120", "bash", "-c", &script]).env("PATH", path).current_dir(folder.path());
    let output =
        finish(bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    let cluster = std::fs::read_to_string(folder.path().join("err")).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{complaints}\nthe cluster said:\n{cluster}");
    for part in ["inputs.npy[0]   four", "version 0.1.0, up", "every", "\"inputs\":[", "deployed"] {
        assert!(said.contains(part), "{part} is missing: {said}\n{complaints}\nthe cluster said:\n{cluster}");
    }
    // All have stopped in good order, and nothing is left.
    for party in ["p0", "p1", "p2"] {
        let log =
            std::fs::read_to_string(folder.path().join("cluster").join(party).join("audit.jsonl")).unwrap();
        assert!(log.contains("\"event\":\"stopped\""), "{party}: {log}\nthe cluster said:\n{cluster}");
    }
}

/// Sites that attest with a simulated root; a second start takes them as they are.
#[test]
fn a_cluster_that_attests() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("cluster");
    let make = || {
        outcome(cryptflow(&[
            "local-cluster",
            cluster.to_str().unwrap(),
            "--no-start",
            "--insecure-simulated-tee",
        ]))
        .unwrap()
    };
    assert!(make().contains("made the sites"));
    let read = |file: &str| std::fs::read_to_string(cluster.join(file)).unwrap();
    let before = read("p1/cryptflow.toml");
    assert!(before.contains("[attestation]") && before.contains("[clients.alice]"), "{before}");
    assert!(read("policy.toml").contains("insecure_allow = true"));
    assert!(!read("alice/cryptflow.toml").contains("[clients"));
    assert!(make().contains("the sites are there already"));
    assert_eq!(read("p1/cryptflow.toml"), before);
}
