//! What the parties keep is one version at all of them, whoever stops at whichever moment; and the way
//! back, and out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptflow::remote::Site;
use cryptflow_model_file as file;
use cryptflow_party::code::Code;
use cryptflow_party::commitments::commit;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::greeting::{Ask, ready, say};
use cryptflow_party::holding::Held;
use cryptflow_party::messages::SessionError;
use cryptflow_party::store::read_part;
use cryptflow_program::{LinearTerm, Operation, Program, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_ring::LinearMap;
use serde_json::Value;

use crate::acts::Random;
use crate::common;
use crate::owner::{Owner, greeted, offered};
use crate::relay::between;
use crate::sites::{PATIENCE, Sites, outcome};

fn site(sites: &Sites) -> Site {
    Site::read(&sites.config("client"), None).unwrap()
}

fn running() -> Sites {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites
}

fn restart(sites: &mut Sites, party: usize) {
    sites.kill(party);
    sites.start_with(party, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
}

/// The digest of what an answer was computed with; the answer is right.
fn used(sites: &Sites) -> String {
    sites.predict().unwrap()["session"]["deployment"].as_str().unwrap().to_string()
}

/// The version that all parties use, by their own stores.
fn version(sites: &Sites) -> (u64, String) {
    let each = [0, 1, 2].map(|party| {
        let version = sites.store(party).current("tiny").unwrap().unwrap().version;
        let digest = version.content.digest();
        (version.generation, digest.map(|byte| format!("{byte:02x}")).concat())
    });
    assert!(each.iter().all(|one| *one == each[0]), "{each:?}");
    each[0].clone()
}

/// Models that are as the tiny one, and larger: more columns, which are zeros.
fn wide(columns: usize) -> (Program, Vec<Vec<i64>>) {
    let (mut program, weights) = common::program();
    let widened = |row: &[i64]| row.iter().copied().chain(std::iter::repeat(0)).take(columns).collect();
    let rows = |weight: &[i64]| weight.chunks(3).flat_map(|row| -> Vec<i64> { widened(row) }).collect();
    let last: Vec<i64> = weights[2].iter().copied().chain(std::iter::repeat(0)).take(3 * columns).collect();
    let changed = vec![rows(&weights[0]), widened(&weights[1]), last];
    program.weights[0].shape = vec![4, columns];
    program.weights[1].shape = vec![columns];
    program.weights[2].shape = vec![columns, 3];
    program.values[1].shape = vec![common::BATCH, columns];
    program.values[2].shape = vec![common::BATCH, columns];
    let maps = [(0, 4, columns), (2, columns, 3)];
    for (step, inner, columns) in maps {
        let Operation::Linear(linear) = &mut program.steps[step].operation else { panic!() };
        let [LinearTerm { map, .. }] = &mut linear.terms[..] else { panic!() };
        *map = LinearMap::MatMul { rows: common::BATCH, inner, columns };
    }
    (program, changed)
}

pub(crate) fn written(sites: &Sites, columns: usize) -> PathBuf {
    let path = sites.folder.path().join(format!("wide-{columns}.safetensors"));
    let (program, weights) = wide(columns);
    file::write(&path, &validate(program).unwrap(), &weights, None).unwrap();
    path
}

/// A second version, staged at some parties, by an owner who may stop there.
fn staged(site: &Site, at: &[usize]) -> (Owner, Vec<Held>) {
    let mut owner = Owner::alone(site, "tiny");
    let (program, weights) = common::program();
    let shares = ProtocolName::Mirror.owner(program.ring_bits);
    let mut parts = vec![Vec::new(); 3];
    for weight in &weights {
        let words: Vec<u64> = weight.iter().map(|&w| w as u64).collect();
        parts
            .iter_mut()
            .zip(shares.share_weight(&words, program.ring_bits).unwrap())
            .for_each(|(all, part)| all.push(part));
    }
    let told = commit(ProtocolName::Mirror, &parts).unwrap();
    let program = serde_json::to_string(&program).unwrap();
    let held = at.iter().map(|&party| {
        let (protocol, commitments) = (ProtocolName::Mirror, told[party].commitments.clone());
        let deployment = Deployment { name: "tiny".into(), program: program.clone(), protocol, commitments };
        let channel = &mut owner.channels[party];
        offered(channel, owner.generation, deployment, &told[party], &parts[party]).unwrap()
    });
    let held = held.collect();
    (owner, held)
}

fn commit_at(owner: &mut Owner, party: usize, held: &[Held]) {
    let (name, generation) = ("tiny".to_string(), owner.generation);
    let channel = &mut owner.channels[party];
    say(channel, &Ask::Commit { name, generation, held: held.to_vec() }).unwrap();
    ready(channel).unwrap();
}

/// Before all hold their parts, nothing has changed; once one party has what all signed, all get it.
#[test]
fn an_owner_who_stops_at_any_step_leaves_one_version() {
    let sites = running();
    let site = site(&sites);
    let mut expected = version(&sites);
    for at in [&[][..], &[0], &[1, 2], &[0, 1, 2]] {
        drop(staged(&site, at));
        assert_eq!(used(&sites), expected.1, "staged at {at:?}");
        assert_eq!(version(&sites), expected, "staged at {at:?}");
    }
    for at in [&[0][..], &[1], &[0, 2], &[0, 1, 2]] {
        let (mut owner, held) = staged(&site, &[0, 1, 2]);
        at.iter().for_each(|&party| commit_at(&mut owner, party, &held));
        let generation = owner.generation;
        drop(owner);
        let digest = used(&sites);
        assert!(generation > expected.0 && digest != expected.1, "committed at {at:?}");
        expected = (generation, digest);
        assert_eq!(version(&sites), expected, "committed at {at:?}");
    }
    // Whoever comes next goes on from there.
    let (mut owner, held) = staged(&site, &[0, 1, 2]);
    commit_at(&mut owner, 2, &held);
    let generation = owner.generation;
    drop(owner);
    sites.deploy("mirror").unwrap();
    assert_eq!(version(&sites).0, generation + 1);
    let shown = shown(&sites, &["show", "tiny"]);
    let numbers: Vec<u64> =
        shown["versions"].as_array().unwrap().iter().map(|v| v["version"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [generation + 1, generation]);
    // No party signs two parts under one number, nor changes a model for who has not kept others out.
    let mut channel = greeted(&site, 1).unwrap();
    say(&mut channel, &Ask::Remove { name: "tiny".into(), generation: generation + 2 }).unwrap();
    let error = ready(&mut channel).unwrap_err().to_string();
    assert!(error.contains("has not kept the others out"), "{error}");
    let mut owner = Owner::alone(&site, "tiny");
    let again = Ask::Remove { name: "tiny".into(), generation: generation + 1 };
    say(&mut owner.channels[0], &again).unwrap();
    let error = ready(&mut owner.channels[0]).unwrap_err().to_string();
    assert!(error.contains("is here already"), "{error}");
}

/// A party that is killed, at any step, is there again with what it promised.
#[test]
fn a_party_that_is_killed_at_any_step_leaves_one_version() {
    let mut sites = running();
    let site = site(&sites);
    for killed in 0..3 {
        // While it holds what is staged, and nobody has committed it.
        let before = version(&sites);
        let (owner, _) = staged(&site, &[0, 1, 2]);
        restart(&mut sites, killed);
        drop(owner);
        assert_eq!(used(&sites), before.1, "P{killed}");
        // After another one has committed it, and before and after this one has.
        for at in [&[(killed + 1) % 3][..], &[killed], &[killed, (killed + 1) % 3]] {
            let (mut owner, held) = staged(&site, &[0, 1, 2]);
            at.iter().for_each(|&party| commit_at(&mut owner, party, &held));
            let generation = owner.generation;
            restart(&mut sites, killed);
            drop(owner);
            used(&sites);
            assert_eq!(version(&sites).0, generation, "P{killed}, committed at {at:?}");
        }
    }
}

/// The command, killed at any moment.
#[test]
fn a_deployment_that_is_killed_at_any_moment_leaves_one_version() {
    let sites = running();
    let model = written(&sites, 3000);
    let mut random = Random::new(7);
    let deploy = ["deploy", model.to_str().unwrap(), "--name", "tiny", "--replace"];
    let begun = Instant::now();
    outcome(sites.client(&deploy)).unwrap();
    let whole = begun.elapsed();
    for _ in 0..12 {
        let before = version(&sites);
        let mut process = sites.client(&deploy).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(random.below(1000) as f64 / 900.0));
        let _ = process.kill();
        process.wait().unwrap();
        let digest = used(&sites);
        let after = version(&sites);
        assert_eq!(after.1, digest);
        assert!(after.0 >= before.0);
    }
    sites.deploy("mirror").unwrap();
    used(&sites);
}

/// Two owners at once, again and again: the one is told who the other is, and the stores are the same.
#[test]
fn two_deployments_at_once_leave_one_version() {
    let mut sites = Sites::new(false);
    let bob = sites.another_client("bob");
    for party in ["p0", "p1", "p2"] {
        let table = format!("[clients.bob]\nfingerprint = \"{bob}\"\nmay = [\"deploy\"]\n[clients.alice]\n");
        sites.edit(party, "[clients.alice]\n", &table);
    }
    sites.start();
    let model = written(&sites, 3000);
    let deploy = |client: &str| {
        let mut command = crate::sites::cryptflow(&["deploy", model.to_str().unwrap(), "--name", "tiny"]);
        command.args(["--replace", "--json", "--config"]).arg(sites.config(client));
        command
    };
    let mut refused = 0;
    for _ in 0..10 {
        let both = ["client", "bob"].map(|client| deploy(client).spawn().unwrap());
        let [alice, bob] = both.map(crate::sites::finish);
        let mut said = Vec::new();
        for (output, other) in [(alice, "bob"), (bob, "alice")] {
            if output.status.success() {
                let report: Value = serde_json::from_slice(&output.stdout).unwrap();
                said.push(report["version"].as_u64().unwrap());
            } else {
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(error.contains(&format!("client {other} changes the model \"tiny\"")), "{error}");
                refused += 1;
            }
        }
        assert_eq!(version(&sites).0, *said.iter().max().unwrap());
    }
    assert!(refused > 0);
    used(&sites);
}

/// What a command of `models` shows, as JSON.
fn shown(sites: &Sites, arguments: &[&str]) -> Value {
    let all = [&["models"], arguments, &["--json"]].concat();
    serde_json::from_str(&outcome(sites.client(&all)).unwrap()).unwrap()
}

#[test]
fn the_version_before_comes_back_and_goes_again() {
    let sites = running();
    let first = version(&sites);
    let error = outcome(sites.client(&["models", "rollback", "tiny"])).unwrap_err();
    assert!(error.contains("there is no earlier version of \"tiny\""), "{error}");
    sites.deploy("porthos-exact").unwrap();
    let second = version(&sites);
    // As a new version of the same parts, twice.
    for (number, expected) in [(3, &first.1), (4, &second.1)] {
        let said = outcome(sites.client(&["models", "rollback", "tiny"])).unwrap();
        assert!(said.contains(&format!("version {number}\ndigest {expected}")), "{said}");
        assert_eq!(version(&sites), (number, expected.clone()));
        assert_eq!(used(&sites), *expected);
    }
    let error = outcome(sites.client(&["models", "rollback", "tiny", "--to", "1"])).unwrap_err();
    assert!(error.contains("there is no version 1") && error.contains("keep: 4, 3"), "{error}");
    outcome(sites.client(&["models", "rollback", "tiny", "--to", "3"])).unwrap();
    assert_eq!(version(&sites), (5, first.1.clone()));
    let list = outcome(sites.client(&["models", "list"])).unwrap();
    assert!(list.contains("tiny") && list.contains(&first.1[..16]) && list.contains("at all"), "{list}");
    let show = outcome(sites.client(&["models", "show", "tiny"])).unwrap();
    assert!(show.contains("used") && show.contains("P0 has it, P1 has it, P2 has it"), "{show}");
    // Every party wrote down what it committed.
    let log = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
    cryptflow_party::audit::check(&log).unwrap();
    // What it was is what the parties have written down.
    for party in ["p0", "p1", "p2"] {
        let log = std::fs::read_to_string(sites.site(party).join("audit.jsonl")).unwrap();
        let count = |event: &str| log.matches(&format!("\"event\":\"{event}\"")).count();
        assert_eq!((count("deployed"), count("rolled-back")), (2, 3), "{log}");
    }
    assert!(sites.log(0).contains("alice rolled back tiny, version 3, "), "{}", sites.log(0));
}

#[test]
fn what_is_removed_is_gone_everywhere_and_a_session_goes_on() {
    let mut sites = running();
    let (client_site, opened, ring_bits) = crate::liar::open(&sites);
    // A party that is away, or comes back, brings nothing back.
    let mut owner = Owner::alone(&client_site, "tiny");
    let generation = owner.generation;
    let held: Vec<Held> = (owner.channels.iter_mut())
        .map(|channel| {
            say(channel, &Ask::Remove { name: "tiny".into(), generation }).unwrap();
            cryptflow_party::greeting::held(channel).unwrap()
        })
        .collect();
    assert_eq!(version(&sites).0, 1);
    commit_at(&mut owner, 0, &held);
    drop(owner);
    restart(&mut sites, 2);
    let error = sites.predict().unwrap_err();
    assert!(error.contains("\"tiny\" was removed (version 2)"), "{error}");
    for party in 0..3 {
        assert!(sites.store(party).current("tiny").unwrap().is_none());
        let kept = std::fs::read_dir(sites.site(&format!("p{party}")).join("store/tiny.model")).unwrap();
        assert!(kept.flatten().all(|file| file.path().extension().unwrap() != "part"), "P{party}");
    }
    assert_eq!(shown(&sites, &["list"])["models"][0]["version"], 2);
    let list = outcome(sites.client(&["models", "list"])).unwrap();
    assert!(list.contains("no model is deployed"), "{list}");
    drop((client_site, opened, ring_bits));

    // The same by the command, while a session runs.
    sites.deploy("mirror").unwrap();
    let (_, opened, _) = crate::liar::open(&sites);
    let program = validate(common::program().0).unwrap();
    outcome(sites.client(&["models", "rm", "tiny"])).unwrap();
    crate::frames::inputs(&opened.links, program.ring_bits, &[0, 1, 2]);
    for link in &opened.links {
        loop {
            if let cryptflow_party::messages::Reply::Outputs { .. } =
                cryptflow_party::messages::receive(link).unwrap()
            {
                break;
            }
        }
    }
    let error = outcome(sites.client(&["models", "rm", "never"])).unwrap_err();
    assert!(error.contains("no model \"never\" is deployed"), "{error}");
    let log = std::fs::read_to_string(sites.site("p2").join("audit.jsonl")).unwrap();
    assert_eq!(log.matches("\"event\":\"removed\"").count(), 2, "{log}");
}

/// The operator of one party sees what it keeps, and can be rid of it alone.
#[test]
fn a_party_shows_and_removes_what_it_keeps_itself() {
    let mut sites = running();
    let config = sites.config("p1");
    let local = |arguments: &[&str]| {
        let mut command = crate::sites::cryptflow(&[&["models"], arguments].concat());
        command.arg("--config").arg(&config);
        outcome(command)
    };
    let digest = version(&sites).1;
    for arguments in [&["list"][..], &["show", "tiny"]] {
        let said = local(arguments).unwrap();
        assert!(said.contains(&digest[..16]) && said.contains("has it"), "{said}");
    }
    assert!(local(&["show", "none"]).unwrap_err().contains("keeps nothing of \"none\""));
    assert!(local(&["rollback", "tiny"]).unwrap_err().contains("at all parties or at none"));
    let said = local(&["rm", "tiny"]).unwrap();
    assert!(said.contains("all that P1 kept of tiny is removed"), "{said}");
    let error = sites.predict().unwrap_err();
    assert!(
        error.contains("no version of \"tiny\" that all parties keep") && error.contains("P1 none"),
        "{error}"
    );
    let list = outcome(sites.client(&["models", "list"])).unwrap();
    assert!(list.contains("version 1 is not at P1"), "{list}");
    // The party has written that down when it was asked next, and only once.
    let removed = |sites: &Sites| {
        let log = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
        let of_operator = |line: &&str| line.contains("\"event\":\"removed\"") && line.contains("here alone");
        assert!(log.lines().filter(of_operator).all(|line| line.contains("\"model\":\"tiny\"")), "{log}");
        let checked = outcome(crate::sites::cryptflow(&[
            "audit",
            sites.site("p1").join("audit.jsonl").to_str().unwrap(),
        ]));
        assert!(checked.unwrap().contains("each follows the one before it"));
        log.lines().filter(of_operator).count()
    };
    assert!(said.contains("before it serves whoever connects next"), "{said}");
    assert_eq!(removed(&sites), 1);
    assert_eq!(std::fs::read_dir(sites.site("p1").join("store/notes")).unwrap().count(), 0);
    sites.deploy("mirror").unwrap();
    assert_eq!(version(&sites).0, 2);
    assert_eq!(removed(&sites), 1);

    // Where the party does not run, the command writes it down itself.
    sites.kill(1);
    let said = local(&["rm", "tiny"]).unwrap();
    assert!(said.contains("The party's log says so"), "{said}");
    assert_eq!(removed(&sites), 2);
    assert!(local(&["rm", "tiny"]).unwrap_err().contains("keeps nothing of \"tiny\""));
    sites.start_with(1, std::path::Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    assert_eq!(removed(&sites), 2);
}

/// A version that one party has lost is not passed over in silence.
#[test]
fn a_version_that_a_party_lost_is_named() {
    let sites = running();
    let first = version(&sites);
    sites.deploy("mirror").unwrap();
    let folder = sites.site("p2").join("store/tiny.model");
    std::fs::remove_file(folder.join("2.version")).unwrap();
    let (_, input) = common::write(sites.folder.path(), 1);
    let command = sites.client(&["predict", "tiny", "--json", "--input", input.to_str().unwrap()]);
    let output = crate::sites::finish({ command }.spawn().unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("version 2 of \"tiny\" was decided, and P2 has it not"), "{said}");
    assert!(said.contains("version 1 is used"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["session"]["deployment"], *first.1);
    // Such a version is no reason to give up what all have.
    sites.deploy("mirror").unwrap();
    used(&sites);
}

/// What was deployed before there were versions is used, replaced, and brought back.
#[test]
fn stores_of_before_are_taken_over() {
    let mut sites = running();
    let digest = version(&sites).1;
    for party in 0..3 {
        sites.kill(party);
        let (part, store) = (sites.part(party, "tiny"), sites.site(&format!("p{party}")).join("store"));
        std::fs::rename(part, store.join("tiny.part")).unwrap();
        std::fs::remove_dir_all(store.join("tiny.model")).unwrap();
        assert!(read_part(&store.join("tiny.part"), party).is_ok());
    }
    sites.start();
    assert_eq!(used(&sites), digest);
    assert_eq!(version(&sites), (1, digest.clone()));
    sites.await_log(1, "tiny was kept by an older version of this program");
    sites.deploy("mirror").unwrap();
    assert_eq!(version(&sites).0, 2);
    outcome(sites.client(&["models", "rollback", "tiny"])).unwrap();
    assert_eq!(used(&sites), digest);
}

/// An uplink that brings a byte now and then is one on which bytes flow; meanwhile all others are kept
/// out, and are told by whom. One that brings none is not waited for for ever.
#[test]
fn a_deployment_lasts_as_long_as_bytes_flow() {
    let mut sites = Sites::new(false);
    for role in ["p0", "p1", "p2", "client"] {
        sites.edit(role, "deadline_seconds = 10", "deadline_seconds = 5");
    }
    sites.start();
    sites.deploy("mirror").unwrap();
    let slow = Arc::new(|_: usize, record: Vec<u8>| {
        std::thread::sleep(Duration::from_millis(record.len() as u64 / 260));
        vec![record]
    });
    let mut addresses = sites.addresses.clone();
    addresses[1] = between(&sites.addresses[1], slow);
    let through = |sites: &Sites, addresses: &[String; 3]| {
        let text = std::fs::read_to_string(sites.config("client")).unwrap();
        let text = text.replace(&sites.addresses[1], &addresses[1]);
        std::fs::write(sites.site("client").join("slow.toml"), text).unwrap();
    };
    through(&sites, &addresses);
    let model = written(&sites, 30_000);
    let deploy = || {
        let mut command = crate::sites::cryptflow(&["deploy", model.to_str().unwrap(), "--name", "tiny"]);
        command.arg("--replace").arg("--config").arg(sites.site("client").join("slow.toml"));
        command
    };
    let begun = Instant::now();
    let process = deploy().spawn().unwrap();
    let arriving = || {
        let kept = std::fs::read_dir(sites.site("p1").join("store/tiny.model")).unwrap().flatten();
        kept.into_iter().any(|file| file.path().extension().is_some_and(|kind| kind == "arriving"))
    };
    while !arriving() {
        assert!(begun.elapsed() < PATIENCE, "nothing arrives at P1");
        std::thread::sleep(Duration::from_millis(10));
    }
    let error = outcome(sites.client(&["models", "rollback", "tiny"])).unwrap_err();
    assert!(error.contains("client alice changes the model \"tiny\" at this moment"), "{error}");
    let output = crate::sites::finish(process);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(begun.elapsed() > Duration::from_secs(6), "{:?}", begun.elapsed());
    let second = version(&sites);
    assert_eq!((second.0, used(&sites)), (2, second.1.clone()));

    let stops = Arc::new(|number: usize, record: Vec<u8>| if number < 30 { vec![record] } else { vec![] });
    addresses[1] = between(&sites.addresses[1], stops);
    through(&sites, &addresses);
    let error = outcome(deploy()).unwrap_err();
    assert!(error.contains("P1"), "{error}");
    assert_eq!(used(&sites), second.1);
    sites.deploy("mirror").unwrap();
}

/// A disk that is full says so, where and whose it is, and what was there is used as before.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_one_party_leaves_what_was_there() {
    let may = Command::new("unshare").args(["-Urm", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine lets nobody mount a file system of its own");
        return;
    }
    let mut sites = Sites::new(false);
    sites.start();
    sites.kill(1);
    let store = sites.site("p1").join("store");
    let mut small = Command::new("unshare");
    small.args([
        "-Urm",
        "sh",
        "-c",
        "mount -t tmpfs -o size=512k none \"$1\" && exec \"$2\" party --config \"$3\"",
    ]);
    small.arg("sh").arg(&store).arg(env!("CARGO_BIN_EXE_cryptflow")).arg(sites.config("p1"));
    sites.start_command(1, small);
    sites.deploy("mirror").unwrap();
    let digest = used(&sites);
    let model = written(&sites, 30_000);
    for _ in 0..3 {
        let deploy = ["deploy", model.to_str().unwrap(), "--name", "tiny", "--replace"];
        let error = outcome(sites.client(&deploy)).unwrap_err();
        for part in ["P1", "store/tiny.model", "No space left"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        assert_eq!(used(&sites), digest);
    }
    // What did not fit has left nothing behind: there is room for what does fit.
    sites.deploy("mirror").unwrap();
    assert_ne!(used(&sites), digest);
}

/// What there is no room for is refused before any of it comes: part of the disk stays the party's own.
#[test]
fn a_model_leaves_room_on_the_disk() {
    let sites = running();
    let before = used(&sites);
    let whole = before_anything_comes(&sites, 1e15);
    assert!(whole.contains("models.reserve_mb") && whole.contains("P1 refuses"), "{whole}");
    assert_eq!(used(&sites), before);
    let folder = sites.model_folder(1, "tiny");
    let arriving = std::fs::read_dir(folder)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "arriving"));
    assert_eq!(arriving.count(), 0);
    sites.edit("p1", "reserve_mb = 1000000000000000.0", "reserve_mb = 0");
    let log = sites.log(1).len();
    sites.signal(1, "-HUP");
    sites.await_log_after(1, log, "models.reserve_mb is another");
    sites.deploy("mirror").unwrap();
    sites.edit("p1", "reserve_mb = 0", "reserve_mb = -1");
    let error = cryptflow_party::config::Config::read(&sites.config("p1")).map(drop).unwrap_err().to_string();
    assert!(error.contains("models.reserve_mb is -1"), "{error}");
}

/// What a deployment says where so much of P1's disk is to stay free.
fn before_anything_comes(sites: &Sites, reserve_mb: f64) -> String {
    sites.edit("p1", "[session]\n", &format!("[models]\nreserve_mb = {reserve_mb:.1}\n[session]\n"));
    let log = sites.log(1).len();
    sites.signal(1, "-HUP");
    sites.await_log_after(1, log, "models.reserve_mb is another");
    sites.deploy("mirror").unwrap_err()
}

/// The owner says to a party that it is there.
fn still(owner: &mut Owner, party: usize) -> Result<(), SessionError> {
    let channel = &mut owner.channels[party];
    channel.extend(Instant::now() + PATIENCE);
    say(channel, &Ask::Still).and_then(|()| ready(channel))
}

/// A party that is told to stop lets a deployment end, and begins no other.
#[test]
fn a_party_that_is_told_to_stop_lets_a_deployment_end() {
    let mut sites = running();
    let site = site(&sites);
    let (mut owner, held) = staged(&site, &[0, 1, 2]);
    sites.signal(1, "-TERM");
    sites.await_log(1, "stopping: 0 sessions, and 1 changes of models, have 60 s to end");
    let mut other = greeted(&site, 1).unwrap();
    say(&mut other, &Ask::Lock { name: "other".into() }).unwrap();
    let error = ready(&mut other).unwrap_err();
    assert!(error.passes(), "{error}");
    assert!(error.to_string().contains("P1 cannot now: this party is being stopped"), "{error}");
    still(&mut owner, 1).unwrap();
    for party in 0..3 {
        commit_at(&mut owner, party, &held);
    }
    let generation = owner.generation;
    drop(owner);
    assert_eq!(sites.await_end(1), Some(0));
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    assert_eq!(version(&sites).0, generation);
    used(&sites);
}

/// The time is limited, and whoever deploys hears why nothing comes of it.
#[test]
fn a_deployment_is_told_that_its_party_stops() {
    let mut sites = running();
    let before = version(&sites);
    sites.kill(1);
    sites.edit("p1", "[session]\n", "[session]\ndrain_seconds = 0.5\n");
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    let site = site(&sites);
    let (mut owner, _) = staged(&site, &[0, 1]);
    sites.signal(1, "-TERM");
    let end = Instant::now() + PATIENCE;
    let error = loop {
        match still(&mut owner, 1) {
            Ok(()) => assert!(Instant::now() < end, "P1 goes on for ever"),
            Err(error) => break error,
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(Code::from(&error), Code::Busy, "{error}");
    let said = "P1 refuses: this party is being stopped in the middle of a change of the model \"tiny\"";
    assert!(error.to_string().contains(said), "{error}");
    drop(owner);
    assert_eq!(sites.await_end(1), Some(0));
    let log = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
    assert!(log.contains("\"changes_broken_off\":1"), "{log}");
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    assert_eq!(used(&sites), before.1);
    sites.deploy("mirror").unwrap();
}
