//! `cryptflow doctor`, before parties that have faults.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::sites::{Sites, cryptflow, finish, free_address};

/// What is found at a site, and the exit code.
fn doctor(sites: &Sites, role: &str) -> (i32, Value) {
    let mut command = cryptflow(&["doctor", "--json", "--config"]);
    command.arg(sites.config(role));
    let output = finish(command.spawn().unwrap());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// The checks of this kind, of a party or of the site.
fn of<'a>(report: &'a Value, check: &str, party: Option<usize>) -> Vec<&'a Value> {
    let all = report["findings"].as_array().unwrap();
    all.iter().filter(|found| found["check"] == check && found["party"] == serde_json::json!(party)).collect()
}

/// The failure of this kind.
fn failure<'a>(report: &'a Value, check: &str, party: Option<usize>) -> &'a Value {
    let found = of(report, check, party).into_iter().find(|found| found["outcome"] == "failed");
    let found = found.unwrap_or_else(|| panic!("no {check} of {party:?} failed: {report}"));
    assert!(found["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{found}");
    found
}

#[test]
fn all_is_well() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    for role in ["client", "p0", "p2"] {
        let (code, report) = doctor(&sites, role);
        assert_eq!((code, &report["failed"]), (0, &0.into()), "{role}: {report:#}");
        for party in (0..3).filter(|party| role != format!("p{party}")) {
            for check in ["connection", "version", "rtt", "bandwidth"] {
                assert_eq!(of(&report, check, Some(party))[0]["outcome"], "ok", "{role}: {report:#}");
            }
        }
    }
    // For people, too.
    let mut command = cryptflow(&["doctor", "--config"]);
    command.arg(sites.config("p1"));
    let text = crate::sites::outcome(command).unwrap();
    assert!(text.contains("policy, protocols, 1 models and clock are alike"), "{text}");
}

#[test]
fn each_fault_has_its_advice() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let restart = |sites: &mut Sites, index| {
        sites.kill(index);
        sites.start_with(index, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    };

    // Nobody listens there; somebody else does; there is no such name.
    let right = sites.addresses.clone();
    sites.configure("client", &[right[0].clone(), free_address(), right[0].clone()]);
    let (code, report) = doctor(&sites, "client");
    assert_eq!(code, 1);
    assert_eq!(failure(&report, "connection", Some(1))["code"], "unreachable");
    assert_eq!(failure(&report, "connection", Some(2))["code"], "wrong-key");
    sites.configure("p0", &[right[0].clone(), "no-such-host.invalid:7843".into(), right[2].clone()]);
    let (_, report) = doctor(&sites, "p0");
    assert_eq!(failure(&report, "address", Some(1))["code"], "unreachable");
    assert_eq!(of(&report, "connection", Some(2))[0]["outcome"], "ok");
    sites.configure("client", &right);
    sites.configure("p0", &right);

    // A party that does not know this one's key.
    let own = sites.fingerprints[0].to_string();
    sites.edit("p1", &own, &["b259-f8c5"; 8].join("-"));
    restart(&mut sites, 1);
    let (_, report) = doctor(&sites, "p0");
    assert_eq!(failure(&report, "connection", Some(1))["code"], "key-not-accepted");
    sites.configure("p1", &right);
    restart(&mut sites, 1);

    // Another model.
    std::fs::remove_dir_all(sites.site("p2").join("store/tiny.model")).unwrap();
    let (_, report) = doctor(&sites, "client");
    assert_eq!(failure(&report, "models", None)["code"], "unknown-model");
    let (code, report) = doctor(&sites, "p0");
    assert_eq!(code, 1);
    assert_eq!(failure(&report, "agreement", Some(2))["code"], "unknown-model");

    // Protocols that do not meet.
    sites.edit("p2", "[\"mirror\", \"porthos\", \"porthos-exact\"]", "[\"porthos\"]");
    sites.edit("p0", "[\"mirror\", \"porthos\", \"porthos-exact\"]", "[\"mirror\"]");
    restart(&mut sites, 2);
    let (_, report) = doctor(&sites, "p0");
    assert!(report.to_string().contains("P2 runs porthos, and this party mirror"), "{report:#}");

    // A party that is down.
    sites.kill(1);
    let (_, report) = doctor(&sites, "p0");
    assert_eq!(failure(&report, "connection", Some(1))["code"], "unreachable");
    assert_eq!(of(&report, "own party", None)[0]["outcome"], "ok");
    let (_, report) = doctor(&sites, "p1");
    assert_eq!(of(&report, "own party", None)[0]["outcome"], "warning");

    // Rights.
    let open = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    open(&sites.site("p0").join("store"), 0o755);
    let (code, report) = doctor(&sites, "p0");
    assert_eq!(code, 1);
    assert!(
        failure(&report, "permissions", None)["advice"].as_str().unwrap().starts_with("chmod go-rwx"),
        "{report:#}"
    );
    // It has looked, and changed nothing.
    assert_eq!(
        std::fs::metadata(sites.site("p0").join("store")).unwrap().permissions().mode() & 0o777,
        0o755
    );
    open(&sites.site("p0").join("store"), 0o700);
    // A secret is as much its owner's as a private key.
    let token = sites.site("p0").join("token");
    std::fs::write(&token, "a-token-that-nobody-guesses\n").unwrap();
    let listen = format!("[operator]\nlisten = \"{}\"\ntoken = \"token\"\n[session]\n", free_address());
    sites.edit("p0", "[session]\n", &listen);
    let owner = rustix::process::geteuid().as_raw();
    for (mode, what) in [(0o400, None), (0o600, None), (0o440, Some("token")), (0o604, Some("token"))] {
        open(&token, mode);
        let (_, report) = doctor(&sites, "p0");
        let found = of(&report, "permissions", None);
        match what {
            None => assert_eq!(found[0]["outcome"], "ok", "{mode:o}: {found:?}"),
            Some(what) => {
                assert!(found[0]["message"].as_str().unwrap().contains(what), "{mode:o}: {found:?}")
            }
        }
    }
    // Kubernetes hands it over as root's, for the group of a process that is not root's.
    if owner == 0 {
        let (folder, nobody) = (sites.folder.path(), 65_532);
        open(folder, 0o755);
        let copy = folder.join("copy");
        std::fs::create_dir(&copy).unwrap();
        for file in ["cryptflow.toml", "site.cert.pem", "site.key.pem", "token"] {
            std::fs::copy(sites.site("p0").join(file), copy.join(file)).unwrap();
            open(&copy.join(file), 0o440);
            std::os::unix::fs::chown(copy.join(file), Some(0), Some(nobody)).unwrap();
        }
        let mut command = cryptflow(&["doctor", "--json", "--config"]);
        std::os::unix::process::CommandExt::uid(&mut command, nobody);
        std::os::unix::process::CommandExt::gid(&mut command, nobody);
        let output = finish(command.arg(copy.join("cryptflow.toml")).spawn().unwrap());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(of(&report, "permissions", None)[0]["outcome"], "ok", "{report:#}");
    }
    open(&sites.site("p0").join("site.key.pem"), 0o644);
    let (_, report) = doctor(&sites, "p0");
    assert!(
        failure(&report, "configuration", None)["message"].as_str().unwrap().contains("chmod 600"),
        "{report:#}"
    );
    std::fs::write(sites.config("client"), "[site]\nrole = \"client\"\n").unwrap();
    let (code, report) = doctor(&sites, "client");
    assert_eq!((code, report["findings"].as_array().unwrap().len()), (1, 1));
}
