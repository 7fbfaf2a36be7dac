//! Runs that are dealt ahead: right, as cheap as declared, and never used twice.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cryptflow::client::Client;
use cryptflow::fixed;
use cryptflow_engine::{estimate, input_check, masked_anew};
use cryptflow_model_file as file;
use cryptflow_mpc::{Cost, Party};
use cryptflow_party::edition::Edition;
use cryptflow_party::messages::{Manifest, SessionError};
use cryptflow_party::stock::look;
use cryptflow_party::{Supply, serve_supplied};
use cryptflow_program::{Checked, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{Link, LinkOptions, local};

use crate::common;
use crate::process::{cryptflow, finish};

fn run(arguments: &[&str]) -> Output {
    finish(cryptflow(arguments).spawn().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The JSON of a command that succeeds.
fn report(arguments: &[&str]) -> serde_json::Value {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command that fails says.
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} succeeds");
    assert!(!error.contains("panicked"), "{error}");
    error
}

/// A model of two rows a batch, an input, and runs that were dealt for it.
struct Scene {
    folder: tempfile::TempDir,
    model: PathBuf,
    input: PathBuf,
    dealt: PathBuf,
}

impl Scene {
    /// With inputs of so many rows, and so many runs.
    fn new(rows: usize, runs: u32) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let (model, input) = common::write(folder.path(), rows);
        let dealt = folder.path().join("dealt");
        let scene = Scene { folder, model, input, dealt };
        scene.deal(&scene.dealt, runs);
        scene
    }

    fn deal(&self, out: &Path, runs: u32) -> serde_json::Value {
        let runs = runs.to_string();
        report(&["preprocess", text(&self.model), "--runs", &runs, "--out", text(out), "--json"])
    }

    fn arguments<'a>(&'a self, dealt: &'a Path) -> [&'a str; 7] {
        let (model, input) = (text(&self.model), text(&self.input));
        ["run", model, "--input", input, "--preprocessed", text(dealt), "--json"]
    }

    fn run(&self) -> serde_json::Value {
        report(&self.arguments(&self.dealt))
    }

    fn refusal(&self) -> String {
        refusal(&self.arguments(&self.dealt))
    }

    fn left(&self) -> [u64; 2] {
        ["p0", "p1"].map(|party| look(&self.dealt.join(party)).unwrap().1.count())
    }
}

fn checked() -> (Checked, Vec<Vec<i64>>) {
    let (program, weights) = common::program();
    (validate(program).unwrap(), weights)
}

/// Two evaluators, the right answers, and the bytes of the formulas.
#[test]
fn a_run_is_the_online_half_alone() {
    let scene = Scene::new(5, 4);
    let output = scene.folder.path().join("y.npy");
    let arguments = [&scene.arguments(&scene.dealt)[..], &["--output", text(&output)]].concat();
    let json = report(&arguments);

    let bytes = fs::read(&output).unwrap();
    let array = cryptflow_arrays::npy::read_npy(&bytes[..], bytes.len() as u64, true).unwrap();
    let cryptflow_arrays::npy::Elements::Floats(floats) = array.elements else { panic!("no floats") };
    for (got, x) in floats.chunks(3).zip(&common::rows(5)) {
        let expected = common::expected(x);
        assert!(
            got.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 16.0 / 4096.0),
            "{got:?} {expected:?}"
        );
    }

    let program = checked().0;
    let costs = ProtocolName::Mirror.costs(program.ring_bits, None);
    let all = estimate(&program, &*costs).unwrap().total;
    let anew = masked_anew(&program, &*costs);
    let online = (all.online(Some(Party::P2)) + anew.total()) * 3;
    let bytes = &json["bytes"];
    assert_eq!((bytes["total"].as_u64(), bytes["online"].as_u64()), (Some(online), Some(online)));
    assert_eq!(bytes["dealt"], 0);
    let links = bytes["links"].as_object().unwrap();
    assert!(
        links.iter().all(|(link, n)| !link.starts_with("p2") && (!link.ends_with("p2") || n == 0)),
        "{links:?}"
    );
    // Each was dealt for one batch.
    assert_eq!(json["rounds"].as_u64(), Some((all.rounds + anew.rounds) * 3));
    assert_eq!(json["batches_at_once"], 1);
    assert_eq!(json["peak_rss"].as_object().unwrap().len(), 2, "the dealer is not there");
    assert_eq!(json["dealt_ahead"]["left"], 1);
    assert_eq!(scene.left(), [1, 1]);
}

/// What an evaluator keeps is what the formulas say that it is dealt, and no more than sealing takes.
#[test]
fn the_disk_holds_what_is_dealt() {
    let scene = Scene::new(1, 2);
    let program = checked().0;
    let all = estimate(&program, &*ProtocolName::Mirror.costs(program.ring_bits, None)).unwrap().total;
    for party in 0..2 {
        let due = all.bytes.between(Party::P2, Party::new(party));
        let file = scene.dealt.join(format!("p{party}/000001.messages"));
        let kept = fs::metadata(&file).unwrap().len();
        let sealing = kept - due;
        assert!((64..1024).contains(&sealing), "P{party}: {kept} bytes for {due}");
        #[cfg(unix)]
        for entry in fs::read_dir(file.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "{:?} is open to others", entry.path());
        }
    }
}

#[test]
fn each_run_serves_once() {
    let scene = Scene::new(2, 2);
    let copy = scene.folder.path().join("copy");
    let kept = |party: &str, kind: &str| scene.dealt.join(party).join(format!("000001.{kind}"));
    let files = ["p0", "p1"].map(|party| ["messages", "secret"].map(|kind| kept(party, kind)));
    let before: Vec<(&PathBuf, Vec<u8>)> =
        files.iter().flatten().map(|f| (f, fs::read(f).unwrap())).collect();
    copied(&scene.dealt, &copy);
    assert_eq!(scene.run()["dealt_ahead"]["left"], 1);
    assert!(files.iter().flatten().all(|file| !file.exists()), "files of a run that is taken are there");
    // Somebody brings them back.
    before.iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
    assert_eq!(scene.run()["dealt_ahead"]["left"], 0);
    let error = scene.refusal();
    assert!(error.contains("1 runs are needed, and 0 are left"), "{error}");
    // The folder takes others then, and not before.
    scene.deal(&scene.dealt, 1);
    let runs = ["preprocess", text(&scene.model), "--runs", "1", "--out", text(&scene.dealt)];
    let error = refusal(&runs);
    assert!(error.contains("1 run that was dealt ahead is left"), "{error}");
    assert_eq!(scene.run()["dealt_ahead"]["left"], 0);
    // Somebody brings all of it back.
    let error = refusal(&scene.arguments(&copy));
    assert!(error.contains("are a copy, or came back from a backup"), "{error}");
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &target),
            false => assert!(fs::copy(entry.path(), target).is_ok()),
        }
    }
}

/// Whatever happens behind the mark wastes the run: at the evaluator that has marked, and at the other one.
#[test]
fn what_was_marked_is_wasted() {
    let scene = Scene::new(2, 5);
    let append = |party: &str, text: &str| {
        let ledger = OpenOptions::new().append(true).open(scene.dealt.join(party).join("ledger"));
        ledger.unwrap().write_all(text.as_bytes()).unwrap();
    };
    // P0 crashed behind the mark, P1 before it.
    append("p0", "1\n");
    assert_eq!(scene.left(), [4, 5]);
    assert_eq!(scene.run()["dealt_ahead"]["left"], 3);
    assert_eq!(scene.left(), [3, 3]);
    // Nothing of what is wasted stays.
    for party in ["p0", "p1"] {
        for file in ["000001.secret", "000001.messages", "000002.secret", "000002.messages"] {
            assert!(!scene.dealt.join(party).join(file).exists(), "{party}: {file}");
        }
    }
    // P1 crashed while it marked: the mark was not on the disk, and nothing was read.
    append("p1", "3");
    assert_eq!(scene.left(), [3, 3]);
    assert_eq!(scene.run()["dealt_ahead"]["left"], 2);
    // A run that fails behind the mark.
    let file = scene.dealt.join("p1/000004.messages");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = scene.refusal();
    assert!(error.contains("what P2 dealt for run 4 was changed"), "{error}");
    assert_eq!(scene.left(), [1, 1]);
    assert_eq!(scene.run()["dealt_ahead"]["left"], 0);
}

#[test]
fn what_was_dealt_for_something_else_is_refused() {
    let scene = Scene::new(2, 1);
    let other = tempfile::tempdir().unwrap();
    let write = |name: &str, change: &dyn Fn(&mut cryptflow_program::Program, &mut Vec<Vec<i64>>)| {
        let (mut program, mut weights) = common::program();
        change(&mut program, &mut weights);
        let path = other.path().join(name);
        file::write(&path, &validate(program).unwrap(), &weights, None).unwrap();
        path
    };
    let program = write("program.safetensors", &|program, _| program.name = "another".into());
    let weights = write("weights.safetensors", &|_, weights| weights[0][0] += 1);
    let refused = |model: &Path, more: &[&str]| {
        let dealt = ["--preprocessed", text(&scene.dealt)];
        refusal(&[&["run", text(model), "--input", text(&scene.input)][..], &dealt, more].concat())
    };
    let error = refused(&program, &[]);
    assert!(error.contains("dealt for another program"), "{error}");
    let error = refused(&weights, &[]);
    assert!(error.contains("dealt for other weights"), "{error}");
    let error = refused(&scene.model, &["--protocol", "porthos"]);
    assert!(error.contains("dealt for the protocol mirror"), "{error}");

    // One evaluator has what was dealt another time, with other keys.
    let second = scene.folder.path().join("second");
    scene.deal(&second, 1);
    fs::rename(scene.dealt.join("p1"), scene.folder.path().join("aside")).unwrap();
    fs::rename(second.join("p1"), scene.dealt.join("p1")).unwrap();
    let error = scene.refusal();
    assert!(error.contains("not of one dealing"), "{error}");
    fs::rename(scene.dealt.join("p1"), second.join("p1")).unwrap();
    fs::rename(scene.folder.path().join("aside"), scene.dealt.join("p1")).unwrap();

    // One has lost what says which are used.
    let ledger = scene.dealt.join("p0/ledger");
    let aside = scene.folder.path().join("ledger");
    fs::rename(&ledger, &aside).unwrap();
    let error = scene.refusal();
    assert!(error.contains("its ledger is gone"), "{error}");
    fs::rename(&aside, &ledger).unwrap();
    // Nothing of it was used.
    assert_eq!(scene.run()["dealt_ahead"]["left"], 0);
}

#[test]
fn what_cannot_be_dealt_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = common::write(folder.path(), 1);
    let out = folder.path().join("out");
    let refused = |more: &[&str]| refusal(&[&["preprocess", text(&model)][..], more].concat());
    let error = refused(&["--runs", "1", "--out", text(&out), "--protocol", "porthos"]);
    assert!(error.contains("nothing can be dealt ahead for the protocol porthos: use mirror"), "{error}");
    let error = refused(&["--runs", "0", "--out", text(&out)]);
    assert!(error.contains("0 is not in 1..=1000000"), "{error}");
    let error = refused(&["--runs", "1", "--out", text(folder.path())]);
    assert!(error.contains("there is something in it"), "{error}");
    let error = refused(&["--runs", "1", "--out", text(&out), "--timeout", "0"]);
    assert!(error.contains("--timeout"), "{error}");
    assert!(!out.exists());
    let error = refusal(&["run", text(&model), "--input", text(&input), "--preprocessed", text(&out)]);
    assert!(error.contains("no runs were dealt ahead here"), "{error}");
}

type Handles = Vec<JoinHandle<Result<(), SessionError>>>;

/// So many parties in threads, and the client's links to them.
fn parties(supplies: Vec<Box<dyn FnOnce() -> Supply + Send>>) -> (Vec<Link>, Handles) {
    let options = LinkOptions { deadline: Duration::from_secs(20), ..LinkOptions::default() };
    let links = local::mesh(supplies.len(), options.clone()).unwrap();
    let mut near = Vec::new();
    let serve = |(links, supply): (_, Box<dyn FnOnce() -> Supply + Send>)| {
        let (mine, theirs) = local::pair(options.clone()).unwrap();
        near.push(mine);
        thread::spawn(move || serve_supplied(links, theirs, Ok(supply())))
    };
    let handles = links.into_iter().zip(supplies).map(serve).collect();
    (near, handles)
}

fn ended(handles: Handles) {
    handles.into_iter().for_each(|handle| handle.join().unwrap().unwrap());
}

/// Where parties hold inputs to their bounds, the dealer's part of that is dealt, too. What was dealt in a session with an older release, where
/// steps and the check follow one another, is used in that order.
#[test]
fn inputs_are_held_to_their_bounds_without_the_dealer() {
    for edition in [Edition::Eight, Edition::NEWEST] {
        check_what_was_dealt(edition);
    }
}

fn check_what_was_dealt(edition: Edition) {
    let folder = tempfile::tempdir().unwrap();
    let (program, weights) = checked();
    let manifest = |deployment, check_inputs| Manifest {
        deployment,
        check_inputs,
        ..Manifest::new(&program, ProtocolName::Mirror).unwrap()
    };
    let of = |party: usize| folder.path().join(format!("p{party}"));
    let keep = |folder: Option<PathBuf>| -> Box<dyn FnOnce() -> Supply + Send> {
        Box::new(move || Supply::ahead(folder))
    };
    let (links, handles) = parties(vec![keep(Some(of(0))), keep(Some(of(1))), keep(None)]);
    let dealt = Manifest { version: edition.number(), ..manifest(None, true) };
    let client = Client::begin_as(links, &program, dealt).unwrap();
    client.deploy(&weights).unwrap();
    let mut done = Vec::new();
    client.deal(3, &mut |run| done.push(run)).unwrap();
    assert_eq!(done, [1, 2, 3]);
    client.finish().unwrap();
    ended(handles);

    let label = look(&of(0)).unwrap().0;
    assert_eq!(label.beside, edition >= Edition::Nine);
    let deployment = Some(label.deployment);
    let take = || {
        let stock = |party: usize| -> Box<dyn FnOnce() -> Supply + Send> {
            let folder = of(party);
            Box::new(move || Supply::from_stock(&folder, party).unwrap())
        };
        parties(vec![stock(0), stock(1)])
    };
    // Sessions for which it was not dealt.
    for (manifest, expected) in [
        (manifest(deployment, false), "one that checks inputs"),
        (manifest(Some([7; 32]), true), "other weights"),
    ] {
        let (links, handles) = take();
        let error = Client::begin_as(links, &program, manifest).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        handles.into_iter().for_each(|handle| assert!(handle.join().unwrap().is_err()));
    }

    // Another program, in a session that says it is this deployment.
    let mut other = common::program().0;
    other.name = "another".into();
    let other = validate(other).unwrap();
    let said =
        Manifest { deployment, check_inputs: true, ..Manifest::new(&other, ProtocolName::Mirror).unwrap() };
    let (links, handles) = take();
    let error = Client::begin_as(links, &other, said).map(drop).unwrap_err().to_string();
    assert!(error.contains("another program"), "{error}");
    handles.into_iter().for_each(|handle| assert!(handle.join().unwrap().is_err()));

    let (links, handles) = take();
    let client = Client::begin_as(links, &program, manifest(deployment, true)).unwrap();
    let rows = common::rows(common::BATCH);
    let answer = client.infer(&[fixed::encode(&rows.concat(), common::SCALE)], &mut |_| ()).unwrap();
    let logits = fixed::decode(&answer.outputs[0].as_ref().unwrap()[0], common::SCALE);
    let expected = rows.iter().flat_map(common::expected);
    assert!(logits.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 16.0 / 4096.0), "{logits:?}");
    let costs = ProtocolName::Mirror.costs(program.ring_bits, None);
    let check = input_check(&program, &*costs).unwrap();
    let all: Cost =
        estimate(&program, &*costs).unwrap().total + masked_anew(&program, &*costs) + check.clone();
    for (party, record) in answer.records.iter().enumerate() {
        assert_eq!(record.sent, all.bytes.sent(Party::new(party)), "P{party}");
        assert_eq!(record.check.as_ref().unwrap().sent, check.bytes.sent(Party::new(party)), "P{party}");
    }
    // An input far beyond its bounds ends the session, and its run is used.
    let mut far = fixed::encode(&rows.concat(), common::SCALE);
    far[3] = 1 << 40;
    let error = client.infer(&[far], &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("is not within the bounds"), "{error}");
    handles.into_iter().for_each(|handle| assert!(handle.join().unwrap().is_err()));
    assert_eq!([0, 1].map(|party| look(&of(party)).unwrap().1.count()), [1, 1]);
}

/// A session that runs programs deals nothing, one that deals runs none, and a stock is for its party.
#[test]
fn sessions_do_what_they_were_started_for() {
    let (program, weights) = checked();
    let live = || -> Box<dyn FnOnce() -> Supply + Send> { Box::new(|| Supply::Live) };
    let (links, handles) = parties(vec![live(), live(), live()]);
    let client = Client::begin(links, &program, ProtocolName::Mirror).unwrap();
    client.deploy(&weights).unwrap();
    let error = client.deal(1, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("deals nothing ahead"), "{error}");
    handles.into_iter().for_each(|handle| assert!(handle.join().unwrap().is_err()));

    let ahead = || -> Box<dyn FnOnce() -> Supply + Send> { Box::new(|| Supply::ahead(None)) };
    let (links, handles) = parties(vec![ahead(), ahead(), ahead()]);
    let client = Client::begin(links, &program, ProtocolName::Mirror).unwrap();
    client.deploy(&weights).unwrap();
    let input = fixed::encode(&common::rows(common::BATCH).concat(), common::SCALE);
    let error = client.infer(&[input], &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("runs nothing"), "{error}");
    handles.into_iter().for_each(|handle| assert!(handle.join().unwrap().is_err()));

    let scene = Scene::new(1, 1);
    let folder = scene.dealt.join("p0");
    // Sessions that use one stock keep each other out only while they take a run.
    let _both = [0; 2].map(|party| Supply::from_stock(&folder, party).unwrap());
    let error = Supply::from_stock(&scene.dealt.join("p1"), 0).err().unwrap().to_string();
    assert!(error.contains("another party"), "{error}");
}
