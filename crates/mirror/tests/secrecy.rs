//! What holds of every message and of every pad of whole programs, and that each check finds the
//! bug which it is there for.

use cryptflow_conformance::secrecy::{
    self, Fault, OneRelu, PARTIES, Run, SHAPE_BUGS, Subject, Watched, Zoo, repeats_are_found, seeds,
};
use cryptflow_mirror::{Mirror, MirrorDefinition, Tuning};
use cryptflow_mpc::{Definition, Party, keys};
use cryptflow_ring::Prf;
use cryptflow_ring::pack::pack;
use cryptflow_wire::local::Recorded;

use super::subject::subject;
use crate::share::expand;

const MIRROR: Subject<MirrorDefinition> = subject(Tuning { bits_per_round: 0, ..Tuning::USUAL });

/// In waves of a block.
const SHORT_WAVES: Subject<MirrorDefinition> =
    subject(Tuning { bits_per_round: 0, wave: 1 << 14, ..Tuning::USUAL });

/// Mirror, in runs that are dealt ahead.
const fn ahead(tuning: Tuning) -> Subject<MirrorDefinition> {
    Subject {
        ahead: true,
        insecure_begin: |definition, links, keys, ring_bits| {
            Mirror::insecure_with_keys(links, keys, ring_bits, definition.tuning).map(Mirror::dealt_ahead)
        },
        ..subject(tuning)
    }
}

/// The helper's keys.
const HELPERS: [Party; 2] = [Party::P1, Party::P2];

fn one_relu(secret: u64, fault: Fault) -> Run {
    secrecy::run(&MIRROR, &OneRelu::BLOCKS, secret, seeds(7), fault).unwrap()
}

#[test]
fn whole_programs_keep_their_secrets() {
    let rounds_are_dear = MirrorDefinition::default().for_network(Some(u64::MAX)).tuning;
    for tuning in [Tuning::default(), rounds_are_dear] {
        secrecy::check(&subject(tuning), &Zoo, &[77, 0, 1, 12345]).unwrap();
    }
}

/// The same where P2's part of each run was dealt ahead: what masks inputs anew is uniform and drawn once,
/// and P2, which has no part of an input, sends the same whatever it is.
#[test]
fn runs_that_are_dealt_ahead_keep_their_secrets() {
    for tuning in [Tuning::default(), Tuning { wave: 1 << 14, ..Tuning::USUAL }] {
        secrecy::check(&ahead(tuning), &Zoo, &[77, 0, 12345]).unwrap();
    }
    for key in HELPERS {
        repeats_are_found(&ahead(Tuning::default()), &OneRelu::BLOCKS, key).unwrap();
    }
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

/// Waves of which each tensor of the scenario has three: nothing is drawn a second time in the next.
#[test]
fn waves_keep_their_secrets() {
    secrecy::check(&SHORT_WAVES, &Zoo, &[77, 0]).unwrap();
    for key in HELPERS {
        let run = |fault| secrecy::run(&SHORT_WAVES, &OneRelu::BLOCKS, 1, seeds(7), fault).unwrap();
        let clean = run(Fault::None);
        let streams = clean.streams(key).unwrap();
        // As if the streams were rewound with every wave.
        let each = streams.len() / 3;
        assert_eq!(streams.len(), 3 * each, "{streams:?}");
        for i in 0..each {
            let (other, stream) = (streams[i], streams[each + i]);
            let found = run(Fault::Repeated { key, stream, other }).ledger(&SHORT_WAVES);
            assert!(found.unwrap_err().contains("overlap"), "{key}: {stream} repeats {other}");
        }
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

#[test]
fn owners_share_afresh() {
    for ring in [64, 48] {
        secrecy::check_owner(&MirrorDefinition::default(), ring, ring).unwrap();
    }
}

/// Parts of x, masked with these seeds' streams, of which the first `bits` bits serve.
fn shared(x: &[u64], seeds: [[u8; 16]; 2], bits: u32) -> Vec<Vec<u8>> {
    let masks = seeds.map(|seed| expand(&Prf::new(seed), x.len(), bits));
    let m: Vec<u64> =
        (0..x.len()).map(|i| x[i].wrapping_add(masks[0][i]).wrapping_add(masks[1][i])).collect();
    let part = |seed: &[u8; 16]| {
        let mut part = seed.to_vec();
        pack(&m, 64, &mut part);
        part
    };
    vec![part(&seeds[0]), part(&seeds[1]), seeds.concat()]
}

#[test]
fn planted_bugs_of_owners_are_found() {
    let facts = &MirrorDefinition::FACTS;
    let random = || {
        let mut seed = [0; 16];
        keys::random(&mut seed).unwrap();
        seed
    };
    // (the bug, how parts are made, what is found)
    let bugs: [(&str, secrecy::Share<'_>, &str); 8] = [
        ("constant seeds", &|x| Ok(shared(x, [[1; 16], [2; 16]], 64)), "served before"),
        ("one constant seed", &|x| Ok(shared(x, [random(), [2; 16]], 64)), "served before"),
        (
            "one seed for both masks: w - e is w",
            &|x| {
                let seed = random();
                Ok(shared(x, [seed, seed], 64))
            },
            "served before",
        ),
        ("masks of half of the bits", &|x| Ok(shared(x, [random(), random()], 32)), "not uniform"),
        (
            "no masks",
            &|x| {
                let mut parts = shared(&vec![0; x.len()], [random(), random()], 64);
                for part in &mut parts[..2] {
                    part.truncate(16);
                    pack(x, 64, part);
                }
                Ok(parts)
            },
            "not uniform",
        ),
        (
            "one party gets another m",
            &|x| {
                let mut parts = shared(x, [random(), random()], 64);
                parts[1][20] ^= 1;
                Ok(parts)
            },
            "not the same for all",
        ),
        (
            "P2 gets another seed",
            &|x| {
                let mut parts = shared(x, [random(), random()], 64);
                parts[2][0] ^= 1;
                Ok(parts)
            },
            "not the same for all",
        ),
        (
            "fresh seeds that do not serve",
            &|x| {
                let mut parts = shared(x, [[1; 16], [2; 16]], 64);
                let (a, b) = (random(), random());
                parts[0][..16].copy_from_slice(&a);
                parts[1][..16].copy_from_slice(&b);
                parts[2] = [a, b].concat();
                Ok(parts)
            },
            "in common",
        ),
    ];
    for (bug, share, found) in bugs {
        let error = secrecy::check_sharing(facts, 64, share).unwrap_err();
        assert!(error.contains(found), "{bug}: {error}");
    }
}
