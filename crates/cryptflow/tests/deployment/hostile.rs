//! Programs that ask for more than a party gives, and strangers who take places: a file of a kilobyte,
//! or silence, must end no party.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_model_file as file;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Greeting, Tell, answer, ready, say};
use cryptflow_party::messages::Manifest;
use cryptflow_program::{Input, OLDEST, Operation, Output, Program, Step, Value, ValueId, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_ring::Movement;
use cryptflow_wire::tls::Channel;

use crate::common;
use crate::sites::{PATIENCE, Sites, cryptflow, outcome};

/// One number, repeated so many times, and the first of these.
pub fn repeating(elements: usize) -> Program {
    let value = |name: &str, shape: usize| Value {
        name: name.into(),
        shape: vec![shape],
        scale: 8,
        low: -64,
        high: 519,
        wide: true,
        ring: None,
    };
    let step = |name: &str, movement, input, output| Step {
        name: name.into(),
        operation: Operation::Movement(movement),
        inputs: vec![ValueId(input)],
        output: ValueId(output),
        last_uses: vec![ValueId(input)],
    };
    let slice = Movement::Slice { begin: vec![0], size: vec![1], stride: vec![1] };
    Program {
        version: OLDEST,
        name: "repeating".into(),
        ring_bits: 64,
        scale: 8,
        batch: Default::default(),
        bits_per_round: None,
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -0.25,
            high: 2.0,
            preprocessing: Default::default(),
            factors: Vec::new(),
            classes: None,
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: ValueId(2),
            transform: None,
            digits: None,
            equal: 0,
            classes: None,
        }],
        guard: None,
        values: vec![value("x", 1), value("many", elements), value("y", 1)],
        weights: Vec::new(),
        steps: vec![
            step("many", Movement::Broadcast { shape: vec![elements] }, 0, 1),
            step("y", slice, 1, 2),
        ],
    }
}

fn written(sites: &Sites, elements: usize) -> PathBuf {
    let path = sites.folder.path().join(format!("{elements}.safetensors"));
    file::write(&path, &validate(repeating(elements)).unwrap(), &[], None).unwrap();
    path
}

#[test]
fn programs_that_take_more_than_there_is_are_refused_and_end_nobody() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    // More than a machine has, and more than an allocation can be asked for.
    for elements in [1 << 45, 1 << 58] {
        let path = written(&sites, elements);
        let path = path.to_str().unwrap();
        let error = outcome(sites.client(&["deploy", path, "--name", "repeating"])).unwrap_err();
        for part in ["P0", "the program takes about", "of memory", "max_memory_mb"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        // Nor does it end whoever looks at it, or runs it alone.
        let input = sites.folder.path().join("x.npy");
        std::fs::write(&input, npy(&[1.0])).unwrap();
        outcome(cryptflow(&["inspect", path])).unwrap();
        let error = outcome(cryptflow(&["run", path, "--input", input.to_str().unwrap()])).unwrap_err();
        assert!(error.contains("and this machine has"), "{error}");
    }
    // Nor does it keep a place, however often it is tried: there are fewer places than this.
    let path = written(&sites, 1 << 58);
    for _ in 0..20 {
        let error =
            outcome(sites.client(&["deploy", path.to_str().unwrap(), "--name", "repeating"])).unwrap_err();
        assert!(error.contains("the program takes about"), "{error}");
    }
    sites.predict().unwrap();
}

#[test]
fn what_was_deployed_is_held_to_the_limits_of_each_session() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let usual = "deadline_seconds = 10\n";
    for (limit, said) in [("max_work = 1000", "operations"), ("max_memory_mb = 1.5", "of memory")] {
        sites.kill(1);
        sites.edit("p1", usual, &format!("{usual}{limit}\n"));
        sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
        let error = sites.predict().unwrap_err();
        assert!(error.contains("P1") && error.contains(said), "{limit}: {error}");
        let audit = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
        assert!(audit.lines().last().unwrap().contains(said), "{audit}");
        sites.kill(1);
        sites.edit("p1", &format!("{limit}\n"), "");
        sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
        sites.predict().unwrap();
    }
}

/// A numpy file of a vector.
fn npy(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let tensor = cryptflow_arrays::npy::Tensor { shape: vec![values.len()], data: values.to_vec() };
    cryptflow_arrays::npy::write_npy(&mut bytes, &tensor).unwrap();
    bytes
}

/// More connections than a party has places for, to all of them.
const MANY: usize = 600;

/// Keeps a hundred connections open to each party that say nothing, and puts new ones in the place of
/// the oldest, until it is told to stop; counts them in `all`.
fn say_nothing(addresses: &[String; 3], stop: &AtomicBool, all: &AtomicUsize) {
    let mut open: VecDeque<TcpStream> = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        for address in addresses {
            if let Ok(stream) = TcpStream::connect(address) {
                open.push_back(stream);
                all.fetch_add(1, Ordering::Relaxed);
            }
        }
        while open.len() > 300 {
            open.pop_front();
        }
        if all.load(Ordering::Relaxed) > MANY {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn strangers_who_say_nothing_keep_nobody_out() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let (stop, all) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| say_nothing(&sites.addresses, &stop, &all));
        let (mut served, end) = (Vec::new(), Instant::now() + PATIENCE);
        while served.len() < 5 || (all.load(Ordering::Relaxed) <= MANY && Instant::now() < end) {
            served.push(sites.predict());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(all.load(Ordering::Relaxed) > MANY);
        served.into_iter().for_each(|answer| drop(answer.unwrap()));
    });
}

/// Whoever has proved who it is keeps its place, however many come who do not.
#[test]
fn a_client_that_was_let_in_is_no_stranger() {
    let mut sites = Sites::new(false);
    sites.start();
    let mut channel = connected(&sites, &Site::read(&sites.config("client"), None).unwrap());
    let mut asked = || {
        say(&mut channel, &Ask::Status).unwrap();
        matches!(answer(&mut channel), Ok(Tell::Status(_)))
    };
    assert!(asked());
    let _strangers: Vec<_> = (0..300).map(|_| TcpStream::connect(&sites.addresses[0]).unwrap()).collect();
    // A client that comes now has come after all of them.
    outcome(sites.client(&["status"])).unwrap();
    assert!(asked());
}

/// A client's channel to P0, which has heard who it is.
fn connected(sites: &Sites, site: &Site) -> Channel {
    let (end, key) = (Instant::now() + PATIENCE, sites.fingerprints[0]);
    let mut channel = Channel::connect(&sites.addresses[0], &site.config().identity, key, "P0", end).unwrap();
    say(&mut channel, &Greeting { version: Edition::NEWEST.number() }).unwrap();
    channel
}

/// The channel, once the party has let it in.
fn inside(mut channel: Channel) -> Channel {
    say(&mut channel, &Ask::Probe { up: 0, down: 0 }).unwrap();
    ready(&mut channel).unwrap();
    channel
}

/// While a client renews its key, it has two, and as many places as with one.
#[test]
fn a_client_with_two_keys_is_one_client() {
    let mut sites = Sites::new(false);
    let next = sites.another_client("renewed");
    let limits = "[session]\nmax_sessions = 3\nclient_sessions = 1\n";
    for party in ["p0", "p1", "p2"] {
        let alice = format!("may = [\"deploy\", \"predict\"]\nnext_fingerprint = \"{next}\"\n");
        sites.edit(party, "may = [\"deploy\", \"predict\"]\n", &alice);
        sites.edit(party, "[session]\n", limits);
    }
    sites.start();
    sites.deploy("mirror").unwrap();
    let [old, new] = ["client", "renewed"].map(|role| Site::read(&sites.config(role), None).unwrap());
    let (deployment, program) = old.describe("tiny").unwrap();
    let open = |site: &Site| {
        let opened = site.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none());
        opened.map_err(|error| error.to_string())
    };
    for (first, second) in [(&old, &new), (&new, &old)] {
        let held = open(first).unwrap();
        let error = open(second).map(drop).unwrap_err();
        assert!(error.contains("1 sessions run here") && error.contains("no room"), "{error}");
        drop(held);
        sites.await_rest();
    }
    let _inside: Vec<_> =
        (0..16).map(|i| inside(connected(&sites, if i % 2 == 0 { &old } else { &new }))).collect();
    for site in [&old, &new] {
        let error = answer(&mut connected(&sites, site)).map(drop).unwrap_err().to_string();
        assert!(error.contains("16 connections of this client are open here already"), "{error}");
    }
}

/// A client that the parties know holds connections and sessions, and says nothing: the places of
/// others stay free.
#[test]
fn a_client_takes_no_places_of_others() {
    let mut sites = Sites::new(false);
    let limits = "[session]\nmax_sessions = 2\n";
    let entry =
        format!("[clients.bob]\nfingerprint = \"{}\"\nmay = [\"predict\"]\n", sites.another_client("bob"));
    ["p0", "p1", "p2"].iter().for_each(|party| sites.edit(party, "[session]\n", &format!("{entry}{limits}")));
    sites.start();
    sites.deploy("mirror").unwrap();
    // One session of two, of which no client has both.
    let bob = Site::read(&sites.config("bob"), None).unwrap();
    let (deployment, program) = bob.describe("tiny").unwrap();
    let open = || {
        bob.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none())
            .map_err(|error| error.to_string())
    };
    let session = open().unwrap();
    let error = open().map(drop).unwrap_err();
    assert!(error.contains("P0 cannot now") && error.contains("there is no room for another now"), "{error}");
    sites.predict().unwrap();
    drop(session);
    sites.await_rest();
    // And connections, as many as it gets.
    let connect = || connected(&sites, &bob);
    let silent: Vec<_> = (0..16).map(|_| inside(connect())).collect();
    // It hears so without a question.
    let mut late = connect();
    let error = answer(&mut late).map(drop).unwrap_err().to_string();
    assert!(error.contains("cannot now: 16 connections of this client are open here already"), "{error}");
    sites.predict().unwrap();
    drop((silent, late));
    // What it says is short, as it may bring no models.
    sites.await_rest();
    connect().send(&[0; 1 << 20]).unwrap_or_default();
    sites.await_log(0, "client bob announced a message of 1048576 bytes where at most 16384 are accepted");
}

/// Whoever asks how a party is has it read the heads of its files, however long they are.
#[cfg(target_os = "linux")]
#[test]
fn status_reads_no_weights() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    outcome(sites.client(&["status"])).unwrap();
    let before = sites.memory(0);
    let file = std::fs::OpenOptions::new().write(true).open(sites.part(0, "tiny")).unwrap();
    file.set_len(200 << 20).unwrap();
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(sites.memory(0));
            }
            most
        });
        let said = outcome(sites.client(&["status"]));
        done.store(true, Ordering::Relaxed);
        let said = said.unwrap_err();
        assert!(said.contains("it is not as long as it was when it was deployed"), "{said}");
        watched.join().unwrap()
    });
    assert!(most < before + (20 << 20), "P0 had {before} bytes, and then {most}");
}

#[test]
fn clients_without_rights_are_sent_away() {
    let mut sites = Sites::new(false);
    sites.edit("p1", "may = [\"deploy\", \"predict\"]", "may = []");
    sites.start();
    outcome(sites.client(&["status"])).unwrap_err();
    let said = sites.log(1);
    assert!(said.contains("client alice: P1 refuses: this client may do nothing here"), "{said}");
}

/// Each party holds clients to what its own configuration says of them, whatever they ask first.
#[test]
fn a_client_gets_nothing_beyond_its_rights() {
    let mut sites = Sites::new(false);
    let mut entries = String::new();
    for (name, rights) in
        [("bob", "may = [\"deploy\"]"), ("carol", "may = [\"predict\"]\nmodels = [\"other\"]")]
    {
        let key = sites.another_client(name);
        entries += &format!("[clients.{name}]\nfingerprint = \"{key}\"\n{rights}\n");
    }
    sites.edit("p0", "[session]\n", &format!("{entries}[session]\n"));
    sites.start();
    sites.deploy("mirror").unwrap();
    let alice = Site::read(&sites.config("client"), None).unwrap();
    let (deployment, program) = alice.describe("tiny").unwrap();
    let manifest = |site: &Site| Manifest {
        deployment: Some(deployment.digest()),
        client: Some(site.config().identity.fingerprint().0),
        check_inputs: true,
        ..Manifest::new(&program, ProtocolName::Mirror).unwrap()
    };
    let digest = deployment.digest();
    let describe = |_: &Site| Ask::Describe { name: "tiny".into(), deployment: digest };
    let versions = |_: &Site| Ask::Versions { name: Some("tiny".into()) };
    let open = |site: &Site| Ask::Open { name: "tiny".into(), manifest: manifest(site), wait: true };
    let deploy = |_: &Site| Ask::Deploy {
        generation: 2,
        deployment: deployment.clone(),
        salts: Vec::new(),
        lengths: Vec::new(),
        replace: true,
    };
    let lock = |_: &Site| Ask::Lock { name: "tiny".into() };
    let remove = |_: &Site| Ask::Remove { name: "tiny".into(), generation: 2 };
    type Wish<'a> = &'a dyn Fn(&Site) -> Ask;
    // (who, what it asks for, what is said)
    let table: [(&str, Wish<'_>, &str); 8] = [
        ("bob", &describe, "this client may not use models here"),
        ("bob", &open, "this client may not use models here"),
        ("carol", &describe, "this client may not use \"tiny\" here"),
        ("carol", &open, "this client may not use \"tiny\" here"),
        ("carol", &versions, "this client may not use \"tiny\" here"),
        ("carol", &deploy, "this client may not deploy models here"),
        ("carol", &lock, "this client may not deploy models here"),
        ("carol", &remove, "this client may not deploy models here"),
    ];
    for (name, wish, said) in table {
        let site = Site::read(&sites.config(name), None).unwrap();
        let mut channel = connected(&sites, &site);
        say(&mut channel, &wish(&site)).unwrap();
        let error = answer(&mut channel).map(drop).unwrap_err().to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
    // Nor does it hear of what is not for it.
    let of = |name: &str| {
        let mut channel = connected(&sites, &Site::read(&sites.config(name), None).unwrap());
        say(&mut channel, &Ask::Status).unwrap();
        match answer(&mut channel).unwrap() {
            Tell::Status(status) => status.models.into_iter().map(|model| model.0).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((of("client"), of("carol")), (vec!["tiny".to_string()], vec![]));
}

/// The programs that clients with the right to deploy bring take as much memory as there is for all of them,
/// and no more.
#[test]
fn what_clients_bring_has_its_room() {
    let mut sites = Sites::new(false);
    // Room for two programs of 20 kB, as text and as what is made of it.
    sites.edit("p0", "[session]\n", "[session]\nmemory_mb = 0.8\nmax_memory_mb = 1000\n");
    sites.start();
    let alice = Site::read(&sites.config("client"), None).unwrap();
    let program = serde_json::to_string(&common::program().0).unwrap();
    let number = AtomicUsize::new(0);
    let deploy = || {
        let mut channel = connected(&sites, &alice);
        let name = format!("tiny-{}", number.fetch_add(1, Ordering::Relaxed));
        say(&mut channel, &Ask::Lock { name: name.clone() }).unwrap();
        answer(&mut channel).unwrap();
        let deployment = Deployment {
            name,
            program: format!("{program:20480}"),
            protocol: ProtocolName::Mirror,
            commitments: vec![[0; 32]; ProtocolName::Mirror.facts().pieces.len()],
        };
        let (salts, lengths) = (Vec::new(), vec![100; 3]);
        say(&mut channel, &Ask::Deploy { generation: 1, deployment, salts, lengths, replace: false })
            .unwrap();
        ready(&mut channel).map_err(|error| error.to_string())?;
        Ok(channel)
    };
    let full = |error: &String| {
        error.contains("P0 refuses: what clients bring here now takes") && error.contains("memory_mb")
    };
    let (_first, second) = (deploy().unwrap(), deploy().unwrap());
    let error = deploy().map(drop).unwrap_err();
    assert!(full(&error), "{error}");
    // Nor is anything long read that there is no room for. One that is alone may bring what it is let to.
    let mut long = connected(&sites, &alice);
    long.send(&[0; 20 << 10]).unwrap();
    let error = answer(&mut long).map(drop).unwrap_err().to_string();
    assert!(full(&error), "{error}");
    // Whoever goes makes room.
    drop(second);
    let end = Instant::now() + PATIENCE;
    while let Err(error) = deploy() {
        assert!(full(&error) && Instant::now() < end, "{error}");
    }
}
