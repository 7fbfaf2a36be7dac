//! Programs that ask for more than a party gives, and strangers who take places: a file of a kilobyte,
//! or silence, must end no party.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cryptflow_program::{Input, Operation, Output, Program, Step, VERSION, Value, ValueId, file, validate};
use cryptflow_ring::Movement;

use crate::sites::{Sites, cryptflow, outcome};

/// One number, repeated so many times, and the first of these.
fn repeating(elements: usize) -> Program {
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
    sites.predict().unwrap();
}

#[test]
fn what_was_deployed_is_held_to_the_limits_of_each_session() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let usual = "deadline_seconds = 5\n";
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

#[test]
fn clients_without_rights_are_sent_away() {
    let mut sites = Sites::new(false);
    sites.edit("p1", "may = [\"deploy\", \"predict\"]", "may = []");
    sites.start();
    outcome(sites.client(&["status"])).unwrap_err();
    let said = sites.log(1);
    assert!(said.contains("client alice: P1 refuses: this client may do nothing here"), "{said}");
}
