//! More clients than seats; parties that are told to stop, and to read their configuration again.

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote::{Opened, Site};
use cryptflow_party::code::Code;
use cryptflow_protocols::ProtocolName;

use crate::sites::{PATIENCE, Sites};

const PARTIES: [&str; 3] = ["p0", "p1", "p2"];

/// Parties with such limits, to which the tiny model is deployed.
fn started(limits: &str) -> Sites {
    let mut sites = Sites::new(false);
    for party in PARTIES {
        sites.edit(party, "[session]\n", &format!("[session]\n{limits}"));
    }
    sites.start();
    sites.deploy("mirror").unwrap();
    sites
}

fn alice(sites: &Sites) -> Site {
    Site::read(&sites.config("client"), None).unwrap()
}

/// A session of alice's, which stays open.
fn open(site: &Site, patience: &mut Patience<'_>) -> Result<Opened, String> {
    let (deployment, program) = site.describe("tiny").unwrap();
    site.open(&deployment, &program, ProtocolName::Mirror, patience).map_err(|error| error.to_string())
}

fn audit(sites: &Sites, index: usize) -> String {
    std::fs::read_to_string(sites.site(PARTIES[index]).join("audit.jsonl")).unwrap()
}

/// Twelve clients at once, two seats: all are served, each in its turn.
#[test]
fn more_clients_than_seats_are_all_served() {
    let sites = started("max_sessions = 2\n");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..12).map(|_| scope.spawn(|| sites.predict())).collect();
        clients.into_iter().for_each(|client| drop(client.join().unwrap().unwrap()));
    });
    sites.await_rest();
    let log = audit(&sites, 0);
    assert_eq!(log.matches("\"outcome\":\"finished\"").count(), 12, "{log}");
    assert!(!log.contains("clients wait here already"), "{log}");
}

/// Who waits hears how many are before it, is served when its turn comes, and gives up when its patience
/// is at an end.
#[test]
fn a_client_that_waits_knows_its_place() {
    let sites = started("max_sessions = 1\n");
    let alice = alice(&sites);
    let held = open(&alice, &mut Patience::none()).unwrap();
    let error = open(&alice, &mut Patience::none()).map(drop).unwrap_err();
    for part in ["P0 cannot now", "1 sessions run here", "there is no room for another now"] {
        assert!(error.contains(part), "{error}");
    }
    let told = Mutex::new(Vec::new());
    let error = open(
        &alice,
        &mut Patience::of(Duration::from_secs(3), &mut |what| told.lock().unwrap().push(what.to_string())),
    );
    let error = error.map(drop).unwrap_err();
    assert!(error.contains("after 3 s in line there are 0 before this client"), "{error}");
    let said = told.lock().unwrap().join("\n");
    assert!(said.contains("waiting in line at P0: 0 before this one"), "{said}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sites.predict());
        await_waiting(&sites, 1);
        drop(held);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_line_has_an_end() {
    let sites = started("max_sessions = 1\nmax_waiting = 0\n");
    let alice = alice(&sites);
    let _held = open(&alice, &mut Patience::none()).unwrap();
    let error = open(&alice, &mut Patience::none()).map(drop).unwrap_err();
    assert!(error.contains("0 clients wait here already (session.max_waiting)"), "{error}");
}

/// A session that does nothing gives its place to whoever waits, and is told why; one that works does not.
#[test]
fn an_idle_session_yields_to_who_waits() {
    let sites = started("max_sessions = 2\nyield_seconds = 2\n");
    let alice = alice(&sites);
    let (_, program) = alice.describe("tiny").unwrap();
    let join = || {
        let opened = open(&alice, &mut Patience::none()).unwrap();
        Client::join(opened.links, &program, &opened.manifest, false).unwrap()
    };
    let ask = |client: &Client<'_>| {
        let rows = crate::common::rows(crate::common::BATCH);
        let input = cryptflow::fixed::encode(&rows.concat(), crate::common::SCALE);
        client.infer(&[input], &mut |_| ()).map(drop).map_err(|error| error.to_string())
    };
    let (idle, busy) = (join(), join());
    ask(&idle).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sites.predict());
        while !waiting.is_finished() {
            ask(&busy).unwrap();
            thread::sleep(Duration::from_millis(100));
        }
        waiting.join().unwrap().unwrap();
    });
    assert!(idle.is_over() && !busy.is_over());
    let error = ask(&idle).unwrap_err();
    assert!(error.contains("others wait for its place (session.yield_seconds)"), "{error}");
    ask(&busy).unwrap();
    busy.finish().unwrap();
}

/// Programs that together take more memory than there is run one after the other.
#[test]
fn sessions_share_the_memory_that_there_is() {
    let sites = started("max_sessions = 4\nmemory_mb = 1\nmax_memory_mb = 1000\n");
    let alice = alice(&sites);
    let held = open(&alice, &mut Patience::none()).unwrap();
    let error = open(&alice, &mut Patience::none()).map(drop).unwrap_err();
    assert!(error.contains("1 sessions run here"), "{error}");
    drop(held);
    sites.predict().unwrap();
}

/// A client that goes while it waits, or before its session has begun, leaves no place taken.
#[test]
fn who_goes_gives_its_place_back() {
    let sites = started("max_sessions = 1\n");
    let alice = alice(&sites);
    let held = open(&alice, &mut Patience::none()).unwrap();
    let (_, input) = crate::common::write(sites.folder.path(), 3);
    let mut waiting = sites.client(&["predict", "tiny", "--input", input.to_str().unwrap()]).spawn().unwrap();
    await_waiting(&sites, 1);
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    await_waiting(&sites, 0);
    drop(held);
    sites.predict().unwrap();
}

/// A party that is started again meanwhile is waited for.
#[test]
fn a_party_that_comes_back_is_waited_for() {
    let mut sites = started("");
    sites.predict().unwrap();
    sites.kill(1);
    let alice = alice(&sites);
    let (deployment, program) = {
        sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
        let described = alice.describe("tiny").unwrap();
        sites.kill(1);
        described
    };
    thread::scope(|scope| {
        let (alice, deployment, program) = (&alice, &deployment, &program);
        let (heard, hears) = std::sync::mpsc::channel();
        let opened = scope.spawn(move || {
            let mut told = |what: &str| drop(heard.send(what.to_string()));
            let mut patience = Patience::of(Duration::from_secs(60), &mut told);
            alice
                .open(deployment, program, ProtocolName::Mirror, &mut patience)
                .map(drop)
                .map_err(|error| error.to_string())
        });
        let what = hears.recv_timeout(PATIENCE).unwrap();
        assert!(what.contains("cannot connect to P1") && what.contains("trying again"), "{what}");
        sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
        opened.join().unwrap().unwrap();
    });
}

/// A command waits for it from its first question on.
#[test]
fn a_command_waits_for_a_party_that_comes_back() {
    let mut sites = started("");
    sites.kill(1);
    let (_, input) = crate::common::write(sites.folder.path(), 3);
    let mut command = sites.client(&["predict", "tiny", "--input", input.to_str().unwrap()]);
    let asking = command.spawn().unwrap();
    // Longer than connecting alone takes.
    thread::sleep(Duration::from_secs(6));
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    let output = crate::sites::finish(asking);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cannot connect to P1") && said.contains("trying again for"), "{said}");
}

/// A party that is to stop leaves its session the time to end, begins no other, and goes with all
/// written down.
#[test]
fn a_party_that_is_told_to_stop_lets_its_sessions_end() {
    let mut sites = started("");
    let alice = alice(&sites);
    let (_, program) = alice.describe("tiny").unwrap();
    let held = open(&alice, &mut Patience::none()).unwrap();
    sites.signal(1, "-TERM");
    sites.await_log(1, "stopping: 1 sessions have 60 s to end");
    let error = open(&alice, &mut Patience::none()).map(drop).unwrap_err();
    assert!(error.contains("P1 cannot now: this party is being stopped"), "{error}");
    // The session that runs is as good as any.
    let client = Client::join(held.links, &program, &held.manifest, false).unwrap();
    client.finish().unwrap();
    assert_eq!(sites.await_end(1), Some(0));
    let log = audit(&sites, 1);
    let events = ["\"event\":\"stopping\"", "\"outcome\":\"finished\"", "\"event\":\"stopped\""];
    let places = events.map(|event| log.find(event).unwrap_or_else(|| panic!("{event} is not in {log}")));
    assert!(places.is_sorted(), "{log}");
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    sites.predict().unwrap();
}

/// The time is limited, and everybody hears why the session ends.
#[test]
fn a_session_that_does_not_end_is_ended_when_its_party_stops() {
    let mut sites = started("drain_seconds = 0.5\n");
    let alice = alice(&sites);
    let (_, program) = alice.describe("tiny").unwrap();
    let held = open(&alice, &mut Patience::none()).unwrap();
    let client = Client::join(held.links, &program, &held.manifest, false).unwrap();
    sites.signal(2, "-TERM");
    assert_eq!(sites.await_end(2), Some(0));
    let error = client.finish().unwrap_err();
    assert_eq!(Code::from(&error), Code::Gone, "{error}");
    assert!(error.to_string().contains("the operator of a party has stopped it"), "{error}");
    let log = audit(&sites, 2);
    assert!(log.contains("\"sessions_ended\":1"), "{log}");
    sites.await_log(0, "the operator of a party has stopped it");
}

/// Told twice, it goes at once.
#[test]
fn a_party_that_is_told_twice_goes_at_once() {
    let mut sites = started("");
    let _held = open(&alice(&sites), &mut Patience::none()).unwrap();
    sites.signal(0, "-INT");
    sites.await_log(0, "stopping: 1 sessions have 60 s to end");
    sites.signal(0, "-INT");
    assert_eq!(sites.await_end(0), Some(0));
}

/// Clients come and go while the parties run. Sessions of others go on; those of who is revoked end.
#[test]
fn clients_are_added_and_revoked_while_parties_run() {
    let sites = started("");
    let alice = alice(&sites);
    let (_, program) = alice.describe("tiny").unwrap();
    let held = open(&alice, &mut Patience::none()).unwrap();
    let client = Client::join(held.links, &program, &held.manifest, false).unwrap();

    let key = sites.another_client("bob");
    let bob = Site::read(&sites.config("bob"), None).unwrap();
    let error = bob.describe("tiny").map(drop).unwrap_err().to_string();
    assert!(error.contains("does not accept this key"), "{error}");
    let entry = format!("[clients.bob]\nfingerprint = \"{key}\"\nmay = [\"predict\"]\n");
    for party in PARTIES {
        sites.edit(party, "[session]\n", &format!("{entry}[session]\n"));
    }
    reload(&sites, "the configuration was read again: client bob is new");
    let of_bob = open(&bob, &mut Patience::none()).unwrap();
    let of_bob = Client::join(of_bob.links, &program, &of_bob.manifest, false).unwrap();

    sites.edit("p1", &entry, "");
    reload_one(&sites, 1, "the configuration was read again: client bob is gone");
    let error = of_bob.finish().unwrap_err();
    // Whichever party told him first.
    assert_eq!(Code::from(&error), Code::Forbidden, "{error}");
    let error = error.to_string();
    assert!(error.contains("the operator of a party has taken this client's right to it away"), "{error}");
    let error = bob.describe("tiny").map(drop).unwrap_err().to_string();
    assert!(error.contains("P1") && error.contains("does not accept this key"), "{error}");
    client.finish().unwrap();
    let log = audit(&sites, 1);
    assert!(log.contains("\"event\":\"reloaded\"") && log.contains("client bob is gone"), "{log}");
    assert!(log.contains("\"sessions_ended\":1"), "{log}");
}

/// What is wrong, or cannot be changed, changes nothing.
#[test]
fn a_configuration_that_is_wrong_is_not_loaded() {
    let sites = started("");
    sites.edit("p0", "protocols", "no_such_limit = 3\nprotocols");
    reload_one(&sites, 0, "was not loaded, and all stays as it was");
    assert!(sites.log(0).contains("no_such_limit"), "{}", sites.log(0));
    sites.edit("p0", "no_such_limit = 3\n", "");
    sites.edit("p0", &format!("listen = \"{}\"", sites.addresses[0]), "listen = \"127.0.0.1:1\"");
    reload_one(&sites, 0, "site.listen differs from what this party runs with");
    std::fs::remove_file(sites.config("p0")).unwrap();
    reload_one(&sites, 0, "it does not exist");
    sites.predict().unwrap();
}

/// Limits take effect at once, for those who wait, too.
#[test]
fn limits_are_changed_while_clients_wait() {
    let sites = started("max_sessions = 1\n");
    let alice = alice(&sites);
    let _held = open(&alice, &mut Patience::none()).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sites.predict());
        await_waiting(&sites, 1);
        for party in PARTIES {
            sites.edit(party, "max_sessions = 1", "max_sessions = 3");
        }
        reload(&sites, "the limits of sessions are others");
        waiting.join().unwrap().unwrap();
    });
}

fn reload(sites: &Sites, said: &str) {
    (0..3).for_each(|index| reload_one(sites, index, said));
}

fn reload_one(sites: &Sites, index: usize, said: &str) {
    let before = sites.log(index).len();
    sites.signal(index, "-HUP");
    sites.await_log_after(index, before, said);
}

/// Waits until so many clients wait at P0.
fn await_waiting(sites: &Sites, clients: usize) {
    let end = Instant::now() + PATIENCE;
    let site = alice(sites);
    while site.status()[0].as_ref().is_ok_and(|status| status.waiting != clients) {
        assert!(Instant::now() < end, "never {clients} clients wait");
        thread::sleep(Duration::from_millis(10));
    }
}

/// What an operator measures: requests through sessions that stay open, and through sessions of their own.
#[test]
fn a_service_is_measured() {
    let sites = started("");
    for more in [&[][..], &["--sessions"]] {
        let mut command =
            sites.client(&["bench", "service", "tiny", "--clients", "2", "--seconds", "1", "--json"]);
        command.args(more);
        let said = crate::sites::outcome(command).unwrap();
        let figures: serde_json::Value = serde_json::from_str(&said).unwrap();
        let number = |pointer: &str| figures.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap();
        let (requests, seconds) = (number("/requests"), number("/seconds"));
        assert!(
            requests > 0.0 && (requests / seconds - number("/requests_per_second")).abs() < 1e-6,
            "{said}"
        );
        let times = ["median", "p90", "p99"].map(|at| number(&format!("/milliseconds/{at}")));
        assert!(times[0] > 0.0 && times.is_sorted(), "{said}");
    }
    let error = crate::sites::outcome(sites.client(&["bench", "service", "none"])).unwrap_err();
    assert!(error.contains("no model \"none\" is deployed"), "{error}");
}
