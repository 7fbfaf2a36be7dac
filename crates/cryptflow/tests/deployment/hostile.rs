//! Programs that ask for more than a party gives, and strangers who take places: a file of a kilobyte,
//! or silence, must end no party.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_party::greeting::{Greeting, answer, say};
use cryptflow_party::messages;
use cryptflow_program::{Input, Operation, Output, Program, Step, VERSION, Value, ValueId, file, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_ring::Movement;
use cryptflow_wire::tls::Channel;

use crate::sites::{Sites, cryptflow, outcome};

/// One number, repeated so many times, and the first of these.
pub fn repeating(elements: usize) -> Program {
    let value = |name: &str, shape: usize| Value {
        name: name.into(),
        shape: vec![shape],
        scale: 8,
        low: -64,
        high: 519,
        wide: true,
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
        version: VERSION,
        name: "repeating".into(),
        ring_bits: 64,
        scale: 8,
        batch: Default::default(),
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -0.25,
            high: 2.0,
            preprocessing: Default::default(),
            factors: Vec::new(),
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: ValueId(2),
            transform: None,
            digits: None,
            equal: 0,
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

/// Keeps a hundred connections open to each party that say nothing, and puts new ones in the place of
/// the oldest, until it is told to stop. Returns how many there were.
fn say_nothing(addresses: &[String; 3], stop: &AtomicBool) -> usize {
    let mut open: VecDeque<TcpStream> = VecDeque::new();
    let mut all = 0;
    while !stop.load(Ordering::Relaxed) {
        for address in addresses {
            if let Ok(stream) = TcpStream::connect(address) {
                open.push_back(stream);
                all += 1;
            }
        }
        while open.len() > 300 {
            open.pop_front();
        }
        if all > 600 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    all
}

#[test]
fn strangers_who_say_nothing_keep_nobody_out() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let strangers = scope.spawn(|| say_nothing(&sites.addresses, &stop));
        let served: Vec<_> = (0..5).map(|_| sites.predict()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(strangers.join().unwrap() > 600);
        served.into_iter().for_each(|answer| drop(answer.unwrap()));
    });
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
    let config = bob.config();
    let connect = || {
        let (end, key) = (Instant::now() + Duration::from_secs(10), sites.fingerprints[0]);
        let mut channel = Channel::connect(&sites.addresses[0], &config.identity, key, "P0", end).unwrap();
        say(&mut channel, &Greeting { version: messages::VERSION }).unwrap();
        channel
    };
    let silent: Vec<_> = (0..16).map(|_| connect()).collect();
    // It hears so without a question.
    let mut late = connect();
    let error = answer(&mut late).map(drop).unwrap_err().to_string();
    assert!(error.contains("16 connections of this key are open here already"), "{error}");
    sites.predict().unwrap();
    drop(silent);
}

/// Whoever asks how a party is has it read the heads of its files, however long they are.
#[cfg(target_os = "linux")]
#[test]
fn status_reads_no_weights() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let status = || outcome(sites.client(&["status"])).unwrap();
    status();
    let before = sites.memory(0);
    let store = sites.site("p0").join("store");
    std::fs::copy(store.join("tiny.part"), store.join("long.part")).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(store.join("long.part")).unwrap();
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
        let said = status();
        done.store(true, Ordering::Relaxed);
        assert!(said.contains("it is not as long as its header says"), "{said}");
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
