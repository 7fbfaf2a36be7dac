//! What holds of every message and of every pad of whole programs, and that each check finds the
//! bug which it is there for.

use cryptflow_conformance::secrecy::{
    self, Fault, OneRelu, PARTIES, Run, SHAPE_BUGS, Subject, Watched, Zoo, repeats_are_found, seeds,
};
use cryptflow_mirror::{MirrorDefinition, Tuning};
use cryptflow_mpc::Party;
use cryptflow_wire::local::Recorded;

use super::subject::subject;

const MIRROR: Subject<MirrorDefinition> = subject(Tuning { bits_per_round: 0 });

/// The helper's keys.
const HELPERS: [Party; 2] = [Party::P1, Party::P2];

fn one_relu(secret: u64, fault: Fault) -> Run {
    secrecy::run(&MIRROR, &OneRelu::BLOCKS, secret, seeds(7), fault).unwrap()
}

#[test]
fn whole_programs_keep_their_secrets() {
    secrecy::check(&subject(Tuning::default()), &Zoo, &[77, 0, 1, 12345]).unwrap();
}

/// Every stream of P2's keys is forgotten in turn, or not uniform, or a repetition of the one
/// before.
#[test]
fn planted_bugs_are_found() {
    for key in HELPERS {
        let streams = one_relu(0, Fault::None).streams(key).unwrap();
        // A dealt correction without its pad is the value itself, and far from uniform. (An opening
        // without its pad still looks uniform from the outside; the enumeration of views finds
        // that.)
        for (fault, least) in
            [(Fault::Forgotten { key, stream: 0 }, 4), (Fault::Skewed { key, stream: 0 }, 3)]
        {
            let found = |s: &&u64| one_relu(0, fault.at(**s)).uniform(&MIRROR).is_err();
            let found: Vec<&u64> = streams.iter().filter(found).collect();
            assert!(found.len() >= least, "{fault:?}: {found:?} of {streams:?}");
        }
        repeats_are_found(&MIRROR, &OneRelu::BLOCKS, key).unwrap();
    }
}

#[test]
fn holders_that_draw_differently_are_found() {
    let parts = secrecy::share(&MIRROR, &OneRelu::BLOCKS, 1).unwrap();
    let source = |holder: Party, key: Party| {
        let fault =
            if holder == Party::P2 { Fault::Repeated { key, stream: 2, other: 1000 } } else { Fault::None };
        Watched::new(seeds(7)[key.index()], fault)
    };
    let keys = PARTIES.map(|p| [source(p, p), source(p, p.previous(3))]).to_vec();
    let run = secrecy::run_with(&MIRROR, &OneRelu::BLOCKS, &parts, keys).unwrap();
    assert!(run.ledger(&MIRROR).unwrap_err().contains("the same words"));
    // So is a run that draws other words than another one.
    assert_ne!(run.drawn().unwrap(), one_relu(1, Fault::None).drawn().unwrap());
}

#[test]
fn messages_that_depend_on_a_secret_are_found() {
    let parts = secrecy::share(&MIRROR, &OneRelu::BLOCKS, 0).unwrap();
    let run = |secret| {
        let parts = secrecy::share_again(&MIRROR, &OneRelu::BLOCKS, &parts, 0, secret);
        secrecy::run_on(&MIRROR, &OneRelu::BLOCKS, &parts, seeds(7), Fault::None).unwrap()
    };
    let clean = run(0);
    // (what the bug does to the messages, the check that must find it)
    type Bug = fn(&mut Vec<Recorded>);
    type Check = fn(&Run, &Run) -> Result<(), String>;
    let deaf: Check = |_, run| run.helper_is_deaf();
    let shape: Check = Run::same_shape;
    let view: Check = Run::same_to_the_helper;
    let shapes = SHAPE_BUGS.map(|(name, bug)| (name, bug, shape));
    let bugs: [(&str, Bug, Check); 3] = [
        ("P0 tells P2", |m| m.push(Recorded { from: 0, to: 2, payload: vec![1] }), deaf),
        ("P1 tells P2", |m| m.push(Recorded { from: 1, to: 2, payload: vec![1] }), deaf),
        (
            "P2's message has a bit of an input",
            |m| m.iter_mut().find(|m| m.from == 2).unwrap().payload[9] ^= 1,
            view,
        ),
    ];
    for (name, bug, check) in bugs.into_iter().chain(shapes) {
        let mut run = run(1 << 40);
        check(&clean, &run).unwrap();
        bug(&mut run.messages);
        assert!(check(&clean, &run).is_err(), "{name}");
    }
}
