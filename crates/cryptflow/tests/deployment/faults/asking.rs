//! A request that is under way while something happens.

use std::process::Child;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Asked;
use crate::common;
use crate::sites::{PATIENCE, Sites, check, finish};

/// Rows of a request that takes a while: thirty batches.
const MANY: usize = 60;

/// A client's command that runs.
pub(super) struct Asking {
    process: Child,
    rows: usize,
    _folder: TempDir,
}

impl Asking {
    /// Has a client ask for so many rows, with more options.
    pub(super) fn begin(sites: &Sites, client: &str, rows: usize, more: &[&str]) -> Asking {
        let folder = tempfile::tempdir_in(sites.folder.path()).unwrap();
        let (_, input) = common::write(folder.path(), rows);
        let arguments = ["predict", "tiny", "--json", "--input", input.to_str().unwrap()];
        let process = sites.command_of(client, &[&arguments[..], more].concat()).spawn().unwrap();
        Asking { process, rows, _folder: folder }
    }

    /// One that the network holds after so many packets of this place; and whether it came to that.
    pub(super) fn held(
        sites: &Sites,
        client: &str,
        rows: usize,
        place: &str,
        packets: u64,
    ) -> (Asking, bool) {
        sites.tell_network(&format!("hold {place} {packets}"));
        let mut asking = Asking::begin(sites, client, rows, &[]);
        let held = await_hold(sites, &mut asking.process);
        (asking, held)
    }

    /// One of many rows, held in the middle of its run.
    pub(super) fn in_the_middle(sites: &Sites, party: usize) -> Asking {
        Asking::in_the_middle_of(sites, "client", party)
    }

    /// The same, of another client's.
    pub(super) fn in_the_middle_of(sites: &Sites, client: &str, party: usize) -> Asking {
        let place = format!("p{party}");
        let whole = packets(sites, &place, || Asking::begin(sites, client, MANY, &[]).end().unwrap());
        let (asking, held) = Asking::held(sites, client, MANY, &place, whole * 3 / 4);
        assert!(held, "it ended before its middle");
        asking
    }

    /// What the client gets in the end.
    pub(super) fn end(self) -> Asked {
        judged(finish(self.process), self.rows)
    }

    pub(super) fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

/// Whether the network holds its packets before this command has ended.
pub(super) fn await_hold(sites: &Sites, command: &mut Child) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        if sites.tell_network("held") == "yes" {
            return true;
        }
        if command.try_wait().unwrap().is_some() {
            sites.tell_network("release");
            return false;
        }
        assert!(Instant::now() < end, "the network holds nothing, and nothing ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Packets that go to a place and come from it meanwhile.
pub(super) fn packets<T>(sites: &Sites, place: &str, meanwhile: impl FnOnce() -> T) -> u64 {
    let seen = || sites.tell_network(&format!("seen {place}")).parse::<u64>().unwrap();
    let before = seen();
    meanwhile();
    seen() - before
}

/// What a command that was asked for JSON says: its report, or the error.
pub(super) fn reported(output: std::process::Output) -> Asked {
    let said = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
    if output.status.success() {
        return Ok(report);
    }
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    Err(report["error"].clone())
}

/// The same, where the report is an answer to so many rows, which is right.
pub(super) fn judged(output: std::process::Output, rows: usize) -> Asked {
    reported(output).inspect(|report| check(report, rows))
}

/// A request of alice's, who waits for nobody.
pub(super) fn ask(sites: &Sites) -> Asked {
    ask_as(sites, "client")
}

/// The same, of another client.
pub(super) fn ask_as(sites: &Sites, client: &str) -> Asked {
    Asking::begin(sites, client, 3, &["--patience", "1"]).end()
}
