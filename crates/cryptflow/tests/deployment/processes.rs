//! Sessions in processes of their own: whatever ends one ends that session alone.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_party::attested::Instance;
use cryptflow_party::greeting::ready;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::{Arrival, Channel, Identity, Route};

use crate::common;
use crate::fork::Alice;
use crate::sites::{PATIENCE, SPARES, Sites, signal, stat};

/// Whether a process runs, or stands still; one that ended and was not waited for does not.
fn lives(id: u32) -> bool {
    stat(id, 0).is_some_and(|state| state != "Z")
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never comes to this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that a party has beside those, once as many wait as should: for sessions to come.
fn spares(sites: &Sites, index: usize, others: &[u32]) -> Vec<u32> {
    let mut found = Vec::new();
    await_that("processes wait for sessions", || {
        found = sites.children(index).into_iter().filter(|id| !others.contains(id)).collect();
        found.len() == SPARES
    });
    found
}

/// Whether a process serves a session: it has links, with a thread for each direction.
fn serves(id: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return false };
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry?.path().join("comm"));
    threads.filter_map(|entry| name(entry).ok()).any(|name| name.starts_with("from client"))
}

fn files(id: u32) -> Vec<PathBuf> {
    let all = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect()
}

/// A session of the tiny model that is open, and the process of each party that serves it.
struct Open {
    client: Client<'static>,
    processes: [u32; 3],
}

impl Open {
    fn new(sites: &Sites, others: &[&Open]) -> Open {
        let others = [0, 1, 2].map(|party| others.iter().map(|other| other.processes[party]).collect());
        let waiting = [0, 1, 2].map(|party| {
            let others: &Vec<u32> = &others[party];
            spares(sites, party, others)
        });
        let site = Site::read(&sites.config("client"), None).unwrap();
        let (deployment, program) = site.describe("tiny").unwrap();
        let opened = site.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none()).unwrap();
        // Tests leak a program or two.
        let program = Box::leak(Box::new(program));
        let client = Client::join(opened.links, program, &opened.manifest, false).unwrap();
        // One of those that waited serves it.
        let processes = waiting.map(|waiting| {
            let serving: Vec<u32> = waiting.into_iter().filter(|&id| serves(id)).collect();
            assert_eq!(serving.len(), 1);
            serving[0]
        });
        Open { client, processes }
    }

    fn run(&self) -> Result<(), String> {
        let rows = common::rows(common::BATCH);
        let input = cryptflow::fixed::encode(&rows.concat(), common::SCALE);
        let answer = self.client.infer(&[input], &mut |_| ()).map_err(|error| error.to_string())?;
        assert!(answer.of_one().is_some());
        Ok(())
    }
}

fn audit(sites: &Sites, index: usize) -> String {
    std::fs::read_to_string(sites.site(&format!("p{index}")).join("audit.jsonl")).unwrap()
}

fn await_audit(sites: &Sites, index: usize, said: &str) {
    await_that(said, || audit(sites, index).lines().any(|l| l.contains("\"ended\"") && l.contains(said)));
}

/// Sessions that run at a party, as it says.
fn running(sites: &Sites, index: usize) -> usize {
    let site = Site::read(&sites.config("client"), None).unwrap();
    site.status()[index].as_ref().unwrap().sessions.0
}

fn started() -> Sites {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites
}

#[test]
fn what_kills_a_session_ends_that_session_alone() {
    let sites = started();
    for (name, said) in
        [("-KILL", "signal 9 (killed"), ("-ABRT", "signal 6 (abort: it had no more memory, or")]
    {
        let doomed = Open::new(&sites, &[]);
        let other = Open::new(&sites, &[&doomed]);
        other.run().unwrap();
        doomed.run().unwrap();
        // P2 holds this run up, so that it is in its middle.
        let [_, process, helper] = doomed.processes;
        signal(helper, "-STOP");
        let error = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(200));
                signal(process, name);
            });
            doomed.run().unwrap_err()
        });
        signal(helper, "-CONT");
        // The client and the others name the party, and it knows more.
        assert!(error.contains("P1 closed the connection: it stopped, crashed or was killed"), "{error}");
        await_audit(&sites, 1, &format!("the session's process failed: {said}"));
        [0, 2].iter().for_each(|&party| await_audit(&sites, party, "P1 closed the connection"));
        // The other session goes on, and the place is free.
        other.run().unwrap();
        await_that("one session runs", || (0..3).all(|party| running(&sites, party) == 1));
        drop(doomed);
        let again = Open::new(&sites, &[&other]);
        again.run().unwrap();
        again.client.finish().unwrap();
        other.run().unwrap();
        other.client.finish().unwrap();
        await_that("no session runs", || (0..3).all(|party| running(&sites, party) == 0));
    }
    let log = cryptflow_party::audit::check(&audit(&sites, 1)).unwrap();
    let died = log.entries.iter().filter(|e| e.text("outcome").is_some_and(|o| o.contains("process failed")));
    // What the others have shown of their logs was known before.
    died.for_each(|entry| assert_eq!(entry.heads().len(), 2));
    let _spares = [0, 1, 2].map(|party| spares(&sites, party, &[]));
}

#[test]
fn a_process_that_waits_in_vain_is_replaced() {
    let sites = started();
    spares(&sites, 0, &[]).into_iter().for_each(|id| signal(id, "-KILL"));
    signal(spares(&sites, 1, &[])[0], "-TERM");
    sites.predict().unwrap();
}

#[test]
fn a_process_that_stands_still_is_ended() {
    let sites = started();
    let open = Open::new(&sites, &[]);
    signal(open.processes[2], "-STOP");
    await_audit(&sites, 2, "stood still for 10 s");
    assert!(!lives(open.processes[2]));
    let error = open.run().unwrap_err();
    assert!(error.contains("P2"), "{error}");
}

#[test]
fn processes_end_with_their_party() {
    let mut sites = started();
    let open = Open::new(&sites, &[]);
    let all = sites.children(1);
    assert!(all.contains(&open.processes[1]));
    sites.kill(1);
    await_that("they are gone", || !all.iter().any(|&id| lives(id)));
    let error = open.run().unwrap_err();
    assert!(error.contains("P1"), "{error}");
}

/// How many: `CRYPTFLOW_SESSIONS=1000` for a longer look.
#[test]
fn many_sessions_leave_nothing_behind() {
    let sites = started();
    let sessions = std::env::var("CRYPTFLOW_SESSIONS").map_or(20, |text| text.parse().unwrap());
    let settled = || {
        let _spares = [0, 1, 2].map(|party| spares(&sites, party, &[]));
        await_that("no session runs", || (0..3).all(|party| running(&sites, party) == 0));
        [0, 1, 2].map(|party| files(sites.id(party)).len())
    };
    Open::new(&sites, &[]).client.finish().unwrap();
    let before = settled();
    let open = || {
        let site = Site::read(&sites.config("client"), None).unwrap();
        let (deployment, program) = site.describe("tiny").unwrap();
        site.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none())
            .map(drop)
            .map_err(|error| error.to_string())
    };
    for _ in 0..sessions {
        // Those that end may take the place for a moment.
        let end = Instant::now() + PATIENCE;
        while let Err(error) = open() {
            assert!(error.contains("sessions run here, and") && Instant::now() < end, "{error}");
        }
    }
    // The connection over which `running` asks may still be closing.
    await_that("there are as many descriptors as before", || settled() == before);
}

/// A session's process cannot be reached but through its party, and takes no more than it may.
#[test]
fn a_session_has_little_in_its_hands() {
    let mut sites = started();
    // Of what a session has no part in, its party has more.
    sites.kill(1);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -c 4096; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_cryptflow"),
        "party",
        "--config",
    ]);
    command.arg(sites.config("p1"));
    sites.start_command(1, command);
    let open = Open::new(&sites, &[]);
    open.run().unwrap();
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let listening: HashSet<String> = tables
        .iter()
        .flat_map(|table| table.lines())
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(3) == Some(&"0A"))
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let held = |id| files(id).iter().any(|file| listening.contains(&*file.to_string_lossy()));
    assert!(held(sites.id(1)) && !held(open.processes[1]));
    let journal = sites.site("p1").join("audit.jsonl").canonicalize().unwrap();
    let writes = |id| files(id).iter().any(|file| Path::new(file) == journal);
    assert!(writes(sites.id(1)) && !writes(open.processes[1]));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", open.processes[1])).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_string()
    };
    assert_eq!(limit("Max core file size"), "0");
    let memory: u64 = limit("Max data size").parse().unwrap();
    assert!(memory > 1 << 30 && memory < 2 << 30, "{limits}");
    // Where the machine's memory runs out, it goes before its party.
    let badness = |id| {
        let text = std::fs::read_to_string(format!("/proc/{id}/oom_score_adj")).unwrap();
        text.trim().parse::<i32>().unwrap()
    };
    assert!(badness(open.processes[1]) == 500 && badness(sites.id(1)) < 500);
}

/// Who knows where a session is, and has no part in it, does it no harm.
#[test]
fn strangers_who_know_the_way_to_a_session() {
    let mut sites = Sites::new(true);
    // Nobody here is in a hurry, but with strangers.
    sites.edit("p0", "deadline_seconds = 20", "deadline_seconds = 1000");
    sites.start();
    sites.deploy("mirror").unwrap();
    let alice = Alice::of(&sites);
    let deployment = alice.describe(&sites.addresses[0], sites.fingerprints[0]);
    let (_, manifest) = alice.manifest(&deployment);
    let (address, key) = (&sites.addresses[0], sites.fingerprints[0]);
    let _asked = alice.ask(address, key, 0, &manifest).unwrap();
    let (route, end) = (Route::to_session(&manifest.session), Instant::now() + Duration::from_secs(10));

    let stranger = sites.site("stranger");
    let out = stranger.to_str().unwrap();
    crate::sites::outcome(crate::sites::cryptflow(&["init", "client", "-o", out])).unwrap();
    let identity =
        |site: &Path| Identity::read(&site.join("site.cert.pem"), &site.join("site.key.pem")).unwrap();
    let refused = Channel::connect_to(route, address, &identity(&stranger), key, "P0", end).unwrap_err();
    assert!(refused.to_string().contains("does not accept this key"), "{refused}");
    // P2 is known, but does not dial P0.
    let p2 = identity(&sites.site("p2"));
    let mut channel = Channel::connect_to(route, address, &p2, key, "P0", end).unwrap();
    let refused = ready(&mut channel).unwrap_err().to_string();
    assert!(refused.contains("has no part in this session"), "{refused}");
    let elsewhere = Route::to_session(&[0; 32]);
    let mut channel = Channel::connect_to(elsewhere, address, &p2, key, "P0", end).unwrap();
    let refused = ready(&mut channel).unwrap_err().to_string();
    assert!(refused.contains("no such session is open here"), "{refused}");

    // What the client says first, said again by others, who say no more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let heard = std::thread::scope(|scope| {
        let there = listener.local_addr().unwrap().to_string();
        let (own, route) = (&alice.config.identity, route);
        scope.spawn(move || drop(Channel::connect_to(route, &there, own, key, "nobody", end)));
        Arrival::hear(listener.accept().unwrap().0, end).unwrap().handed_over().1
    });
    let silent: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut stream, &heard).unwrap();
            stream
        })
        .collect();
    let instance = Instance::fresh().unwrap();
    let _joined = alice.join(address, key, 0, &manifest, &instance).unwrap();
    // Nobody comes twice.
    let mut channel = Channel::connect_to(route, address, &alice.config.identity, key, "P0", end).unwrap();
    let refused = ready(&mut channel).unwrap_err().to_string();
    assert!(refused.contains("has come to this session already"), "{refused}");
    // Who has not proved who it is after some seconds is sent away, at the party as at the session.
    let nobody = TcpStream::connect(address).unwrap();
    for mut stranger in silent.into_iter().rev().take(3).chain([nobody]) {
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        match std::io::Read::read_to_end(&mut stranger, &mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    sites.await_log(0, "has no part in this session");
    sites.await_log(0, "its key is not in this party's configuration");
    let log = audit(&sites, 0);
    assert!(log.contains("has no part in this session") && log.contains("\"event\":\"refused\""), "{log}");
}

/// Where a system cannot hand connections over, an enclave, sessions share the party's process; with
/// those of parties that do not, too.
#[test]
fn sessions_that_share_the_process_of_their_party() {
    let mut sites = Sites::new(true);
    for party in ["p0", "p2"] {
        sites.edit(party, "[session]\n", "[session]\nprocess = \"shared\"\n");
    }
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    assert!(sites.children(0).is_empty() && sites.children(2).is_empty());
    spares(&sites, 1, &[]);
    assert!(audit(&sites, 0).contains("finished"));
}

/// The memory that a process has with other sessions of its model, as the system names it: its device and file.
fn common_weights(id: u32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let lines = maps.lines().filter(|line| line.contains("cryptflow-weights"));
    let file = |line: &str| line.split_whitespace().skip(3).take(2).collect::<Vec<_>>().join(" ");
    let protected = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();
    lines
        .map(|line| {
            assert_eq!(protected(line), "r--s");
            file(line)
        })
        .collect()
}

#[test]
fn sessions_of_a_model_have_its_weights_in_common() {
    let sites = started();
    let first = Open::new(&sites, &[]);
    let second = Open::new(&sites, &[&first]);
    for session in [&first, &second] {
        session.run().unwrap();
    }
    let memory: Vec<Vec<String>> = first.processes.map(common_weights).into();
    assert!(memory.iter().all(|files| files.len() == 1), "{memory:?}");
    assert_eq!(memory, second.processes.map(common_weights));
    // Each party has its own: what they hold must not meet.
    assert_eq!(memory.iter().collect::<HashSet<_>>().len(), 3, "{memory:?}");

    // A session outlives the one that was first, and whoever comes after has what is there.
    let gone = |processes: [u32; 3]| {
        await_that("its processes are gone", || {
            (0..3).all(|party| !sites.children(party).contains(&processes[party]))
        });
    };
    let processes = first.processes;
    drop(first);
    gone(processes);
    let third = Open::new(&sites, &[&second]);
    assert_eq!(memory, third.processes.map(common_weights));
    [&second, &third].into_iter().for_each(|session| session.run().unwrap());

    // With the last one it goes.
    let processes = [second.processes, third.processes];
    drop((second, third));
    processes.into_iter().for_each(gone);
    await_that("nobody has sessions", || (0..3).all(|party| running(&sites, party) == 0));
    let fourth = Open::new(&sites, &[]);
    fourth.run().unwrap();
    assert!(memory.iter().zip(fourth.processes).all(|(before, id)| *before != common_weights(id)));
}
