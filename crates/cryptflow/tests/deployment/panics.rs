//! Mistakes in a party itself, and what it runs out of: each ends what it happens in, and is written down.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use crate::lying::{self, Breaks};
use crate::sites::{Sites, outcome};

/// What is said of a panic, wherever it was.
const PANICKED: &str = "a thread panicked: a mistake in this program, please report it";

/// Sites whose P1 breaks where it is told to, with the tiny model deployed.
fn breaking(process: &str) -> (Sites, Breaks) {
    let mut sites = Sites::new(true);
    sites.edit("p1", "[session]\n", &format!("[session]\nprocess = \"{process}\"\n"));
    sites.start();
    sites.kill(1);
    let command = lying::command(&sites.config("p1"), &sites.tee(), "breaks");
    sites.start_command(1, command);
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    sites.await_rest();
    let breaks = Breaks::at_site(&sites.site("p1"));
    (sites, breaks)
}

/// P1's last entry about a session.
fn last_entry(sites: &Sites) -> serde_json::Value {
    let text = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
    let log = cryptflow_party::audit::check(&text).unwrap();
    log.entries.iter().rfind(|entry| entry.text("session").is_some()).unwrap().fields.clone()
}

/// A session breaks at P1, and ends with this outcome.
fn one_session_ends(sites: &Sites, outcome: &str) {
    let error = sites.predict().unwrap_err();
    assert!(error.contains("P1"), "{error}");
    ended(sites, outcome);
}

/// The last session of P1 has ended with this outcome, and nothing of it is held any more.
fn ended(sites: &Sites, outcome: &str) {
    sites.await_rest();
    let entry = last_entry(sites);
    assert_eq!(entry["event"], "ended", "{entry}");
    assert!(entry["outcome"].as_str().unwrap().contains(outcome), "{entry}");
}

/// In its own process, and in its party's.
#[test]
fn a_panic_in_a_session_ends_that_session_alone() {
    for process in ["own", "shared"] {
        let (sites, breaks) = breaking(process);
        breaks.set("evidence");
        // More than there are seats.
        for _ in 0..3 {
            one_session_ends(&sites, PANICKED);
        }
        breaks.set("");
        sites.predict().unwrap();
    }
}

/// Where the party itself has a part in a session: before it begins, and while it runs.
#[test]
fn a_panic_in_the_thread_of_a_session_gives_its_seat_back() {
    let (sites, breaks) = breaking("own");
    breaks.set("process");
    // One process waits, or two, and none can be started in their place.
    let served = (0..3).take_while(|_| sites.predict().is_ok()).count();
    assert!((1..=2).contains(&served), "{served}");
    for _ in 0..3 {
        let error = sites.predict().unwrap_err();
        assert!(error.contains(&format!("P1 refuses: {PANICKED}")), "{error}");
        sites.await_rest();
        let entry = last_entry(&sites);
        assert!(entry["event"] == "refused" && entry["reason"] == PANICKED, "{entry}");
    }
    breaks.set("");
    sites.predict().unwrap();
}

/// A client has sixteen places.
#[test]
fn a_panic_in_the_thread_of_a_connection_gives_its_place_back() {
    let (sites, breaks) = breaking("own");
    breaks.set("alice deployed tiny");
    for _ in 0..20 {
        let error = sites.deploy("mirror").unwrap_err();
        assert!(error.contains("P1 closed the connection"), "{error}");
    }
    breaks.set("");
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    let audit = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
    let lines = |event: &str, said: &str| {
        let event = format!("\"event\":\"{event}\"");
        audit.lines().filter(|line| line.contains(&event) && line.contains(said)).count()
    };
    assert_eq!((lines("refused", PANICKED), lines("deployed", "tiny")), (20, 22), "{audit}");
}

/// What a session's process may take is set by the party: the process ends there, and nothing else does.
#[test]
fn a_session_that_takes_more_memory_than_it_may_ends_alone() {
    let (sites, breaks) = breaking("own");
    breaks.set("memory");
    for _ in 0..3 {
        one_session_ends(&sites, "the session's process failed: signal 6 (abort: it had no more memory");
    }
    sites.await_log(1, "memory allocation of 17179869184 bytes failed");
    breaks.set("");
    sites.predict().unwrap();
}

/// The disk that takes what a party says is full: nobody is told, and everybody is served.
#[test]
fn a_party_that_can_tell_its_operator_nothing_goes_on() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.kill(1);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$@\" 2> /dev/full",
        "sh",
        env!("CARGO_BIN_EXE_cryptflow"),
        "party",
        "--config",
    ]);
    command.arg(sites.config("p1"));
    sites.start_command(1, command);
    sites.deploy("mirror").unwrap();
    outcome(sites.client(&["status"])).unwrap();
    sites.predict().unwrap();
    assert_eq!(sites.log(1).matches("finished").count(), 0);
}

/// A party whose files may be so many kilobytes long and no longer, as on a disk that is full then.
fn with_files_of(sites: &mut Sites, index: usize, kilobytes: u64) {
    let mut command = Command::new("sh");
    // The signal that would end it is not what a full disk sends.
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", 2 * kilobytes), "sh"]);
    command.args([env!("CARGO_BIN_EXE_cryptflow"), "party", "--config"]);
    command.arg(sites.config(&format!("p{index}")));
    sites.start_command(index, command);
}

/// Where an entry of the log was half written when the disk was full, that half is taken back.
#[test]
fn a_disk_that_gets_full_leaves_a_log_of_whole_entries() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.kill(1);
    let path = sites.site("p1").join("audit.jsonl");
    with_files_of(&mut sites, 1, std::fs::metadata(&path).unwrap().len() / 1024 + 8);
    // Each session takes two kilobytes of it.
    let error = (0..20).find_map(|_| sites.predict().err()).unwrap();
    assert!(error.contains("P1 refuses: the audit log cannot be written: File too large"), "{error}");
    let whole = || {
        let log = std::fs::read_to_string(&path).unwrap();
        assert!(log.ends_with('\n'), "{log}");
        let log = cryptflow_party::audit::check(&log).unwrap();
        assert!(log.torn.is_none() && log.entries.iter().all(|entry| entry.text("event") != Some("torn")));
        log.entries.len()
    };
    let before = whole();
    sites.kill(1);
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    sites.predict().unwrap();
    sites.await_rest();
    assert!(whole() >= before + 3);
}
