//! Runs that are dealt ahead at organisations: taken without the dealer, each once, whatever is killed, copied,
//! changed or replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use serde_json::{Value, json};

use crate::common;
use crate::gateway::Gateway;
use crate::sites::{PATIENCE, Sites, check, outcome};

/// Parties that keep the model, and so many runs of it.
fn started(runs: u32) -> Sites {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    if runs > 0 {
        deal(&sites, runs).unwrap();
    }
    sites
}

fn deal(sites: &Sites, runs: u32) -> Result<Value, String> {
    let said = outcome(sites.client(&["preprocess", "tiny", "--json", "--runs", &runs.to_string()]))?;
    Ok(serde_json::from_str(&said).unwrap())
}

/// Runs the model on one batch, or so many; checks the answer, and returns the report and what was said beside.
fn predict(sites: &Sites, batches: usize, when: &str) -> Result<Value, String> {
    let own = tempfile::tempdir_in(sites.folder.path()).unwrap();
    let rows = batches * common::BATCH;
    let (_, input) = common::write(own.path(), rows);
    let arguments =
        ["predict", "tiny", "--json", "--patience", "0", "--dealt", when, "--input", input.to_str().unwrap()];
    let report: Value = serde_json::from_str(&outcome(sites.client(&arguments))?).unwrap();
    check(&report, rows);
    Ok(report)
}

/// The stocks that a party keeps of the model.
fn stocks(sites: &Sites, party: usize) -> Vec<PathBuf> {
    let folders = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let shelves = folders(&sites.model_folder(party, "tiny")).into_iter();
    shelves
        .filter(|path| path.extension().is_some_and(|kind| kind == "dealt"))
        .flat_map(|path| folders(&path))
        .collect()
}

/// The only one.
fn stock(sites: &Sites, party: usize) -> PathBuf {
    let mut all = stocks(sites, party);
    assert_eq!(all.len(), 1, "{all:?}");
    all.pop().unwrap()
}

/// The runs that a party's ledger says are taken.
fn taken(stock: &Path) -> Vec<u64> {
    let text = fs::read_to_string(stock.join("ledger")).unwrap();
    text.lines().skip(1).map(|line| line.parse().unwrap()).collect()
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// P2 deals, and is away; when nothing is left, that is said, and with P2 all is as ever.
#[test]
fn runs_are_taken_without_the_dealer() {
    let mut sites = started(0);
    let made = deal(&sites, 4).unwrap();
    assert_eq!(made["runs"], 4);
    // What was said beforehand is what is kept, but for what sealing takes.
    for party in 0..2 {
        let folder = stock(&sites, party);
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        let messages = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "messages"));
        let kept: u64 = messages.map(|file| file.metadata().unwrap().len()).sum();
        let said = made["disk_bytes"][format!("p{party}")].as_u64().unwrap();
        assert!((said..said + 4 * 1024).contains(&kept), "P{party}: {kept}, {made}");
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
    assert!(stocks(&sites, 2).is_empty(), "who deals keeps nothing");

    sites.kill(2);
    let report = predict(&sites, 2, "if-there").unwrap();
    assert_eq!(report["dealt_ahead"], json!({ "left": 2, "at": { "p0": 2, "p1": 2 } }));
    assert_eq!(report["session"]["parties"], json!(["p0", "p1"]));
    assert_eq!(report["bytes"]["dealt"], 0);
    assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], 1);
    // More than there is: it says so, and would go on with P2.
    let error = predict(&sites, 2, "only").unwrap_err();
    assert!(error.contains("2 runs are needed, and 1 that were dealt ahead are left"), "{error}");
    let error = predict(&sites, 2, "if-there").unwrap_err();
    assert!(
        error.contains("P2 deals while the model runs") && error.contains("cannot connect to P2"),
        "{error}"
    );
    sites.start_with(2, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    assert_eq!(predict(&sites, 2, "if-there").unwrap().get("dealt_ahead"), None);
    assert_eq!(predict(&sites, 1, "never").unwrap().get("dealt_ahead"), None);
    // The parties' logs say which sessions took what.
    let number = stock(&sites, 0).file_name().unwrap().to_str().unwrap().to_string();
    for party in ["p0", "p1"] {
        let log = fs::read_to_string(sites.site(party).join("audit.jsonl")).unwrap();
        cryptflow_party::audit::check(&log).unwrap();
        let dealt = log
            .lines()
            .filter(|line| line.contains("\"mode\":\"dealt\"") && line.contains("\"event\":\"ended\""));
        assert_eq!(
            dealt.filter(|line| line.contains(&number) && line.contains("finished")).count(),
            2,
            "{log}"
        );
    }
    // The next dealing takes away what is used up.
    assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], 0);
    let error = predict(&sites, 1, "only").unwrap_err();
    assert!(
        error.contains("a run is needed, and none that was dealt ahead is left (P0 keeps 0, P1 keeps 0)"),
        "{error}"
    );
    deal(&sites, 1).unwrap();
    for party in 0..2 {
        assert_ne!(stock(&sites, party).file_name().unwrap().to_str().unwrap(), number);
    }
}

/// A pipe in the place of a portion's file stops the session right where it would read it: by then the mark is on the
/// disk, and the run is never taken again, at either evaluator.
#[test]
fn what_is_read_was_marked_before() {
    for party in 0..2 {
        let sites = started(3);
        let folder = stock(&sites, party);
        let file = folder.join("000001.messages");
        fs::remove_file(&file).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        thread::scope(|scope| {
            let asked = scope.spawn(|| predict(&sites, 1, "only"));
            await_that("the run is marked before its file is opened", || taken(&folder) == [1]);
            // It waits for whoever writes into the pipe.
            thread::sleep(Duration::from_millis(200));
            assert!(file.exists() && folder.join("000001.secret").exists());
            sites.children(party).into_iter().for_each(|id| crate::sites::signal(id, "-KILL"));
            asked.join().unwrap().unwrap_err();
        });
        sites.await_rest();
        assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], 1);
        // Whoever was not killed wastes what the other one has lost.
        for other in 0..2 {
            let taken = taken(&stock(&sites, other));
            assert_eq!(taken.last(), Some(&2), "P{other}: {taken:?}");
            assert!(!stock(&sites, other).join("000001.secret").exists());
        }
    }
}

/// Evaluators are killed whenever: no number is in a ledger twice, and no run serves two answers.
#[test]
fn kills_at_any_moment_waste_and_never_repeat() {
    let mut sites = started(16);
    let folders = [0, 1].map(|party| stock(&sites, party));
    let mut answered = 0;
    for (round, moment) in [5, 20, 35, 50, 65, 80, 95, 120].into_iter().enumerate() {
        let party = round % 2;
        thread::scope(|scope| {
            let asked = scope.spawn(|| predict(&sites, 1, "only"));
            thread::sleep(Duration::from_millis(moment));
            sites.signal(party, "-KILL");
            answered += usize::from(asked.join().unwrap().is_ok());
        });
        sites.await_end(party);
        sites.start_with(party, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
        sites.await_rest();
    }
    let before = folders.each_ref().map(|folder| taken(folder).last().copied().unwrap_or_default());
    let report = predict(&sites, 1, "only").unwrap();
    let next = before[0].max(before[1]) + 1;
    assert_eq!(report["dealt_ahead"]["left"].as_u64(), Some(16 - next));
    for folder in &folders {
        let all = taken(folder);
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        assert!(all.len() > answered && all.last() == Some(&next), "{all:?} for {answered} answers");
    }
}

/// Sessions at once take from one stock, one after another.
#[test]
fn sessions_at_once_take_different_runs() {
    let sites = started(12);
    thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| predict(&sites, 3, "only"))).collect();
        asked.into_iter().for_each(|asked| drop(asked.join().unwrap().unwrap()));
    });
    for party in 0..2 {
        assert_eq!(taken(&stock(&sites, party)), (1..=12).collect::<Vec<_>>());
    }
}

/// What came back, was changed or is another's does not serve.
#[test]
fn what_was_copied_or_changed_is_refused() {
    let sites = started(3);
    let folder = stock(&sites, 1);
    let file = folder.join("000001.messages");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = predict(&sites, 1, "only").unwrap_err();
    assert!(error.contains("what P2 dealt for run 1 was changed"), "{error}");
    assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], 1);

    // A backup of all that P1 keeps of it.
    let aside = folder.with_extension("aside");
    assert!(Command::new("cp").arg("-a").args([&folder, &aside]).status().unwrap().success());
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let error = predict(&sites, 1, "only").unwrap_err();
    assert!(error.contains("none that was dealt ahead is left (P0 keeps 1, P1 keeps 0)"), "{error}");
    assert_eq!(predict(&sites, 1, "if-there").unwrap().get("dealt_ahead"), None);
}

/// A stock is for the evaluators that it was dealt to, as they were then: it is not offered, and not taken from.
#[test]
fn runs_go_with_the_keys_of_their_evaluators() {
    for party in 0..2 {
        let sites = started(1);
        let label = stock(&sites, party).join("stock.json");
        let mut said: Value = serde_json::from_slice(&fs::read(&label).unwrap()).unwrap();
        let parties = said["parties"].as_str().unwrap().to_string();
        let site = Site::read(&sites.config("client"), None).unwrap();
        let ready = site.dealt("tiny", None, &mut Patience::none()).unwrap();
        assert_eq!(ready.left(), 1);
        said["parties"] = parties.chars().rev().collect::<String>().into();
        fs::write(&label, said.to_string()).unwrap();
        let error = predict(&sites, 1, "only").unwrap_err();
        assert!(error.contains("none that was dealt ahead is left"), "{error}");
        // A client that asks for it all the same.
        let (opened, _) = ready.open(1, &mut Patience::none()).unwrap();
        let joined = Client::join(opened.links, &ready.described.program, &opened.manifest, false);
        let error = joined.map(drop).unwrap_err().to_string();
        assert!(error.contains("dealt for another pair of parties"), "{error}");
        sites.await_rest();
        assert_eq!(taken(&stock(&sites, 0)).len() + taken(&stock(&sites, 1)).len(), 0);
        said["parties"] = parties.into();
        fs::write(&label, said.to_string()).unwrap();
        predict(&sites, 1, "only").unwrap();
    }
}

/// Runs go with the version that they were dealt for, even if that comes back.
#[test]
fn runs_go_with_their_version() {
    let sites = started(2);
    sites.deploy("mirror").unwrap();
    assert!(stocks(&sites, 0).is_empty() && stocks(&sites, 1).is_empty());
    deal(&sites, 2).unwrap();
    outcome(sites.client(&["models", "rollback", "tiny"])).unwrap();
    outcome(sites.client(&["models", "rollback", "tiny"])).unwrap();
    let error = predict(&sites, 1, "only").unwrap_err();
    assert!(error.contains("none that was dealt ahead is left"), "{error}");
    deal(&sites, 2).unwrap();
    outcome(sites.client(&["models", "rm", "tiny"])).unwrap();
    assert!(stocks(&sites, 0).is_empty() && stocks(&sites, 1).is_empty());
}

/// A party that has no room, and one whose operator gives none: nothing is dealt, and what is there stays.
#[test]
fn where_there_is_no_room_nothing_is_dealt() {
    let mut sites = started(1);
    for (setting, expected) in
        [("reserve_mb = 1000000000000.0", "No space left on device"), ("dealt_mb = 0.001", "models.dealt_mb")]
    {
        sites.edit("p1", "[session]\n", &format!("[models]\n{setting}\n[session]\n"));
        sites.signal(1, "-HUP");
        sites.await_log(
            1,
            &format!("{} is another", setting.split(" =").next().unwrap().replacen("", "models.", 1)),
        );
        let error = deal(&sites, 5).unwrap_err();
        assert!(error.contains(expected) && error.contains("P1"), "{error}");
        sites.await_rest();
        assert_eq!([0, 1].map(|party| stocks(&sites, party).len()), [1, 1]);
        sites.edit("p1", &format!("[models]\n{setting}\n"), "");
        let before = sites.log(1).len();
        sites.signal(1, "-HUP");
        sites.await_log_after(1, before, "was read again");
    }
    sites.kill(2);
    assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], 0);
}

/// A program that asks the gateway needs no dealer, as long as there are runs; and the gateway goes on with it.
#[test]
fn a_gateway_takes_them_where_it_is_told_to() {
    let mut sites = started(5);
    let gateway = Gateway::start(&sites, &["--dealt", "if-there", "--sessions", "1"]);
    sites.kill(2);
    gateway.answers(2);
    gateway.answers(3);
    for party in 0..2 {
        assert_eq!(taken(&stock(&sites, party)), [1, 2, 3]);
    }
    // Three more are needed, and two are left.
    sites.start_with(2, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    gateway.answers(5);
    gateway.answers(1);
    assert_eq!(taken(&stock(&sites, 0)).first(), Some(&1));
    drop(gateway);
    // One that is not told to leaves them alone.
    let before = taken(&stock(&sites, 0));
    Gateway::start(&sites, &[]).answers(2);
    assert_eq!(taken(&stock(&sites, 0)), before);
}

/// Whoever keeps runs ready deals what is missing, when half of it is used.
#[test]
fn runs_are_kept_ready() {
    let sites = started(0);
    let mut command = sites.client(&["preprocess", "tiny", "--runs", "2", "--keep"]);
    let mut keeper = command.spawn().unwrap();
    let left = || {
        stocks(&sites, 0)
            .iter()
            .map(|stock| cryptflow_party::stock::look(stock).map_or(0, |it| it.1.count()))
            .sum::<u64>()
    };
    await_that("runs are dealt", || left() == 2);
    sites.await_rest();
    predict(&sites, 2, "only").unwrap();
    await_that("runs are dealt again", || left() == 2);
    keeper.kill().unwrap();
    keeper.wait().unwrap();
}

/// Evidence is about sessions in which all parties are there.
#[test]
fn attested_parties_deal_nothing_ahead() {
    let mut sites = Sites::new(true);
    sites.start();
    sites.deploy("mirror").unwrap();
    let error = deal(&sites, 1).unwrap_err();
    assert!(error.contains("attested parties deal while a program runs"), "{error}");
    let error = predict(&sites, 1, "only").unwrap_err();
    assert!(error.contains("none that was dealt ahead is left"), "{error}");
    predict(&sites, 1, "if-there").unwrap();
}

/// A small disk of its own for a party's store, where this process may mount one.
struct Disk(PathBuf);

impl Disk {
    fn at(folder: PathBuf, size: &str) -> Option<Disk> {
        fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "none"]).arg(&folder);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Disk(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A disk that is full in the middle, as files take more of it than their bytes: what is whole at both stays and serves.
#[test]
fn a_disk_that_is_full_in_the_middle_loses_nothing() {
    let mut sites = Sites::new(false);
    sites.edit("p1", "[session]\n", "[models]\nreserve_mb = 0\n[session]\n");
    let Some(disk) = Disk::at(sites.site("p1").join("store"), "size=400k") else {
        assert!(std::env::var_os("CRYPTFLOW_NAMESPACES").is_none(), "no disk can be mounted");
        eprintln!("skipped: no disk can be mounted");
        return;
    };
    sites.start();
    sites.deploy("mirror").unwrap();
    let error = deal(&sites, 80).unwrap_err();
    assert!(error.contains("P1") && error.contains("No space left on device"), "{error}");
    sites.await_rest();
    let left = |party| cryptflow_party::stock::look(&stock(&sites, party)).unwrap().1.count();
    let whole = left(0).min(left(1));
    assert!(whole > 0 && whole < 80, "{whole}");
    let cut = fs::read_dir(stock(&sites, 1)).unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|kind| kind == "messages") && !path.with_extension("secret").exists()
    });
    assert_eq!(cut.count(), 0, "what was cut is gone");
    sites.kill(2);
    assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], whole - 1);
    drop((sites, disk));
}

/// Whoever cannot, or may not, hears why.
#[test]
fn who_cannot_deal_ahead_says_so() {
    let sites = started(1);
    // An older release at P1.
    sites.edit("p1", "[session]\n", "[session]\nmessages = 8\n");
    sites.signal(1, "-HUP");
    sites.await_log(1, "was read again");
    let error = deal(&sites, 1).unwrap_err();
    assert!(error.contains("speaks version 8 of the messages, in which no runs are dealt ahead"), "{error}");
    let error = predict(&sites, 1, "only").unwrap_err();
    assert!(error.contains("version 8 of the messages"), "{error}");
    assert_eq!(predict(&sites, 1, "if-there").unwrap()["session"]["messages"], 8);
    sites.edit("p1", "[session]\nmessages = 8\n", "[session]\n");
    // A client that may use the model, and change nothing.
    sites.edit("p1", "may = [\"deploy\", \"predict\"]", "may = [\"predict\"]");
    let before = sites.log(1).len();
    sites.signal(1, "-HUP");
    sites.await_log_after(1, before, "was read again");
    let error = deal(&sites, 1).unwrap_err();
    assert!(error.contains("P1 refuses") && error.contains("may not deploy models"), "{error}");
    assert_eq!(predict(&sites, 1, "only").unwrap()["dealt_ahead"]["left"], 0);
    sites.edit("p1", "may = [\"predict\"]", "may = [\"deploy\", \"predict\"]");
    let before = sites.log(1).len();
    sites.signal(1, "-HUP");
    sites.await_log_after(1, before, "was read again");
    // A protocol whose dealing cannot be kept.
    sites.deploy("porthos").unwrap();
    let error = deal(&sites, 1).unwrap_err();
    assert!(error.contains("nothing can be dealt ahead for the protocol porthos"), "{error}");
}
