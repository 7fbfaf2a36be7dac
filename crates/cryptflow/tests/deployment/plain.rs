//! Parties that follow the protocol, and everything else that can go wrong.

use std::path::Path;
use std::time::Instant;

use cryptflow_wire::tls::Identity;

use crate::several;
use crate::sites::{PATIENCE, Sites, cryptflow, outcome};

#[test]
fn a_model_is_deployed_once_and_used_with_every_protocol() {
    let mut sites = Sites::new(false);
    sites.start();
    for protocol in ["mirror", "porthos", "porthos-exact"] {
        sites.deploy(protocol).unwrap();
        for _ in 0..2 {
            let report = sites.predict().unwrap();
            assert_eq!(report["session"]["security"], "semi-honest");
            assert_eq!(report["session"]["insecure_simulated_tee"], false);
            assert_eq!(report["session"].get("evidence"), None);
        }
    }
    let status = outcome(sites.client(&["status"])).unwrap();
    assert!(status.contains("model tiny, for porthos-exact"), "{status}");
    assert!(status.contains("knows this client as alice, which may deploy, predict"), "{status}");
    // The parties' logs speak of the same sessions, and no line can be taken out unseen.
    for party in ["p0", "p1", "p2"] {
        let log = std::fs::read_to_string(sites.site(party).join("audit.jsonl")).unwrap();
        cryptflow_party::audit::check(&log).unwrap();
        assert_eq!(log.matches("\"outcome\":\"finished\"").count(), 6, "{log}");
    }
    // What a party keeps, nobody else on its machine may read.
    use std::os::unix::fs::PermissionsExt;
    let site = sites.site("p1");
    let table = [
        (site.join("site.key.pem"), 0o600),
        (sites.part(1, "tiny"), 0o600),
        (site.join("audit.jsonl"), 0o600),
        (site.join("store"), 0o700),
        (site.join("store/tiny.model"), 0o700),
    ];
    for (file, rights) in table {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, rights, "{}", file.display());
    }
    // Nor is a key of use that others have rights to, to a party or to a client.
    sites.kill(1);
    for (role, command) in [("p1", "party"), ("client", "status")] {
        let (key, config) = (sites.site(role).join("site.key.pem"), sites.config(role));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = outcome(cryptflow(&[command, "--config", config.to_str().unwrap()])).unwrap_err();
        assert!(error.contains("site.key.pem") && error.contains("640"), "{error}");
    }
}

#[test]
fn a_model_with_several_inputs_and_outputs() {
    let files = several::Files::new(false, 5);
    files.compile(&["@/x.npz"]);
    let mut sites = Sites::new(false);
    sites.start();
    let text = |name: &str| files.path(name).to_str().unwrap().to_owned();
    outcome(sites.client(&["deploy", &text("m.safetensors"), "--name", "two"])).unwrap();
    let inputs = ["a", "b"].map(|name| format!("{name}={}", text(&format!("{name}.npy"))));
    let (results, written) = (files.path("y.npz"), text("y.npz"));
    let arguments = ["predict", "two", "--input", &inputs[0], "--input", &inputs[1], "--output", &written];
    let report = outcome(sites.client(&arguments)).unwrap();
    assert!(report.contains("\n  size [1]    "), "{report}");
    let (_, b) = several::rows(5);
    let (shape, sizes) = several::array(&results, "size");
    assert_eq!(shape, [5, 1]);
    for (found, b) in sizes.iter().zip(b) {
        assert!((found - b.max(0.0)).abs() <= 16.0 / 16384.0, "{sizes:?}");
    }
    assert_eq!(several::array(&results, "scores").0, [5, 3]);
}

#[test]
fn parties_outlive_their_restart() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    (0..3).for_each(|i| sites.kill(i));
    sites.start();
    sites.predict().unwrap();
}

#[test]
fn a_party_that_is_down_is_named_by_everybody() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.kill(2);
    let begun = Instant::now();
    let error = sites.predict().unwrap_err();
    assert!(error.contains("P2") && error.contains("refused"), "{error}");
    let error = outcome(sites.client(&["status"])).unwrap_err();
    assert!(error.contains("2 of 3 parties can be reached"), "{error}");
    assert!(begun.elapsed() < PATIENCE);
}

/// The client reaches all three, but P0 does not reach P1.
#[test]
fn a_party_that_is_cut_off_is_named_by_everybody() {
    let mut sites = Sites::new(false);
    let mut addresses = sites.addresses.clone();
    addresses[1] = crate::sites::free_address();
    sites.configure("p0", &addresses);
    sites.start();
    sites.deploy("mirror").unwrap();
    let error = sites.predict().unwrap_err();
    assert!(error.contains("P1") && error.contains(&addresses[1]), "{error}");
    sites.await_log(0, "cannot connect to P1");
    // The others waited for P0 in vain: until the client told them, or was gone.
    for party in [1, 2] {
        sites.await_log(party, "of alice, tiny: ");
        assert!(!sites.log(party).contains("finished"), "{}", sites.log(party));
    }
}

#[test]
fn a_party_that_stands_still_is_named_within_the_deadline() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.signal(1, "-STOP");
    let error = sites.predict().unwrap_err();
    sites.signal(1, "-CONT");
    assert!(error.contains("P1"), "{error}");
}

#[test]
fn who_is_unknown_or_has_no_right_is_refused() {
    let mut sites = Sites::new(false);
    sites.edit("p1", "may = [\"deploy\", \"predict\"]", "may = [\"predict\"]\nmodels = [\"other\"]");
    sites.start();
    let error = sites.deploy("mirror").unwrap_err();
    assert!(error.contains("P1 refuses") && error.contains("may not deploy"), "{error}");
    // Nobody keeps what not all three hold.
    assert!(sites.store(0).current("tiny").unwrap().is_none());

    let (stranger, file) = (sites.site("stranger"), sites.site("stranger").join("cryptflow.toml"));
    outcome(cryptflow(&["init", "client", "-o", stranger.to_str().unwrap()])).unwrap();
    std::fs::copy(sites.config("client"), &file).unwrap();
    let error = outcome(cryptflow(&["status", "--config", file.to_str().unwrap()])).unwrap_err();
    assert!(error.contains("0 of 3"), "{error}");
    sites.await_log(0, "its key is not in this party's configuration");
}

#[test]
fn configurations_that_cannot_work_are_refused_at_the_start() {
    let sites = Sites::new(false);
    let good = std::fs::read_to_string(sites.config("p0")).unwrap();
    let own = sites.fingerprints[0].to_string();
    // (what is changed, to what, what is said)
    let table = [
        ("role = \"p0\"", "role = \"p7\"".to_string(), "must be p0, p1, p2 or client"),
        ("role = \"p0\"", "role = \"p1\"".to_string(), "the others would refuse it"),
        ("[session]", "[sessions]".to_string(), "sessions"),
        ("listen", "lissen".to_string(), "lissen"),
        ("key = \"site.key.pem\"", "key = \"no.pem\"".to_string(), "no.pem: it cannot be read"),
        ("key = \"site.key.pem\"", "key = \"site.cert.pem\"".to_string(), "no private key"),
        ("key = \"site.key.pem\"", "key = \"../p1/site.key.pem\"".to_string(), "does not carry the key"),
        (&own, String::new(), "ask its operator"),
        (&own, "12-34".to_string(), "is no fingerprint"),
        (&own, sites.fingerprints[1].to_string(), "have the same fingerprint"),
        ("deadline_seconds = 10", "deadline_seconds = -10".to_string(), "give a number of seconds"),
        ("\"mirror\", ", "\"clear\", ".to_string(), "clear shows every secret"),
        (&sites.addresses[1], "nowhere".to_string(), "must be a host and a port"),
    ];
    for (from, to, said) in table {
        std::fs::write(sites.config("p0"), good.replace(from, &to)).unwrap();
        let config = sites.config("p0");
        let error = outcome(cryptflow(&["party", "--config", config.to_str().unwrap()])).unwrap_err();
        assert!(error.contains(said), "{from} -> {to}: {error}");
    }
    let error = outcome(cryptflow(&["party", "--config", sites.config("client").to_str().unwrap()]));
    assert!(error.unwrap_err().contains("site.role is client"));
    let error = outcome(cryptflow(&["init", "p0", "-o", sites.site("p0").to_str().unwrap()])).unwrap_err();
    assert!(error.contains("is there already"), "{error}");
}

#[test]
fn what_parties_wrote_down_goes_together() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    sites.predict().unwrap();
    let path = |party: &str| sites.site(party).join("audit.jsonl");
    let compared = |first: &str, others: [&str; 2]| {
        let mut command = cryptflow(&["audit"]);
        command.arg(path(first)).arg("--compare").args(others.map(path));
        outcome(command)
    };
    let said = compared("p0", ["p1", "p2"]).unwrap();
    for part in ["is signed by P0, ", "everything that P2's log names of it"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    // P1's operator has the key, and cuts off what came after the first session.
    let whole = std::fs::read_to_string(path("p1")).unwrap();
    let first = whole.split_inclusive('\n').scan(false, |ended, line| {
        let before = *ended;
        *ended |= line.contains("\"event\":\"ended\"");
        (!before).then_some(line)
    });
    std::fs::write(path("p1"), first.collect::<String>()).unwrap();
    outcome(cryptflow(&["audit", path("p1").to_str().unwrap()])).unwrap();
    let error = compared("p0", ["p1", "p2"]).unwrap_err();
    for part in ["P1's log lacks an entry that P1 signed", "of P0's log", "of P2's log"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

/// Who has not the key neither changes a log, nor adds to it; and a party goes on with no such log.
#[test]
fn a_log_that_was_forged_or_deleted_is_found_out() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    // The end of the session is written down, too.
    sites.await_rest();
    (0..3).for_each(|party| sites.kill(party));
    let folder = sites.folder.path().to_path_buf();
    let path = |party: &str| folder.join(party).join("audit.jsonl");
    let whole = std::fs::read_to_string(path("p1")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines[lines.len() - 1];
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(i, _)| *i != left_out);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let forged = last.replace("\"outcome\":\"finished\"", "\"outcome\":\"refused\"");
    assert_ne!(forged, last);
    // (how, the log, what is said of it)
    let table = [
        (
            "a last line that was changed",
            whole.replace(last, &forged),
            "was not signed by the key of this log",
        ),
        ("a line of its own", format!("{whole}{last}\n"), "line"),
        ("a line that was taken out", without(1), "line"),
        ("no line at all", String::new(), "no entry that says whose it is"),
    ];
    for (how, log, said) in table {
        std::fs::write(path("p1"), &log).unwrap();
        let error = outcome(cryptflow(&["audit", path("p1").to_str().unwrap()])).expect_err(how);
        assert!(error.contains(said), "{how}: {error}");
        if !log.is_empty() {
            let config = sites.config("p1");
            let error = outcome(cryptflow(&["party", "--config", config.to_str().unwrap()])).expect_err(how);
            assert!(error.contains("Move the file away: it is evidence"), "{how}: {error}");
        }
    }
    // A log that is gone, and begun anew, lacks what the others have seen of it.
    std::fs::remove_file(path("p1")).unwrap();
    sites.start();
    let mut compare = cryptflow(&["audit"]);
    compare.arg(path("p0")).arg("--compare").args([path("p1"), path("p2")]);
    let error = outcome(compare).unwrap_err();
    assert!(error.contains("P1's log lacks an entry that P1 signed"), "{error}");
}

/// A key that is in nobody's configuration is written down, and so is a client without a right.
#[test]
fn who_was_refused_is_written_down() {
    let mut sites = Sites::new(false);
    sites.edit("p0", "may = [\"deploy\", \"predict\"]", "may = [\"predict\"]");
    sites.edit("p2", &client(&sites), &["b259-f8c5"; 8].join("-"));
    sites.start();
    sites.deploy("mirror").unwrap_err();
    outcome(sites.client(&["status"])).unwrap_err();
    let refused = [("p0", "may not deploy models"), ("p2", "its key is not in this party's configuration")];
    for (party, said) in refused {
        let log = std::fs::read_to_string(sites.site(party).join("audit.jsonl")).unwrap();
        let found = log.lines().any(|line| line.contains("\"event\":\"refused\"") && line.contains(said));
        assert!(found, "{party}: {said:?} is not in: {log}");
    }
}

/// The client's fingerprint, as the parties know it.
fn client(sites: &Sites) -> String {
    let site = sites.site("client");
    Identity::read(&site.join("site.cert.pem"), &site.join("site.key.pem")).unwrap().fingerprint().to_string()
}

/// A party whose disk is full serves nobody, rather than unseen.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_down_is_not_done() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.kill(1);
    sites.edit("p1", "key = \"site.key.pem\"\n", "key = \"site.key.pem\"\naudit = \"/dev/full\"\n");
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    let error = sites.predict().unwrap_err();
    assert!(error.contains("P1") && error.contains("the audit log cannot be written"), "{error}");
}
