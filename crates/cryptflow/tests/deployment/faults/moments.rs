//! The same fault at any moment: the network holds all packets after so many of a party's, whatever they say, the
//! fault happens, and the packets go on.

use std::process::Child;

use crate::common;
use crate::sites::{Sites, finish};

use super::asking::{await_hold, judged, packets, reported};
use super::{Asked, acts, nothing_is_lost, started, told};

/// What clients do.
#[derive(Clone, Copy, Debug)]
enum Request {
    Predict,
    Deploy,
}

/// What happens to a party meanwhile.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is killed, and started again.
    Kill,
    /// It is told to stop, and started again when it has ended.
    Term,
    /// It reads its configuration again.
    Hup,
}

const ROWS: usize = 4;

fn begin(sites: &Sites, request: Request) -> Child {
    let (model, input) = common::write(sites.folder.path(), ROWS);
    let [model, input] = [&model, &input].map(|path| path.to_str().unwrap());
    let command = match request {
        Request::Predict => sites.client(&["predict", "tiny", "--json", "--input", input]),
        Request::Deploy => sites.client(&["deploy", model, "--name", "tiny", "--replace", "--json"]),
    };
    { command }.spawn().unwrap()
}

fn end(process: Child, request: Request) -> Asked {
    let output = finish(process);
    match request {
        Request::Predict => judged(output, ROWS),
        Request::Deploy => reported(output),
    }
}

/// The fault after each `1 / moments` of the party's packets.
fn at_moments(sites: &mut Sites, request: Request, fault: Fault, party: usize, moments: u64) {
    let place = format!("p{party}");
    let whole = packets(sites, &place, || end(begin(sites, request), request).unwrap());
    let moments = moments.min(whole);
    for moment in 0..moments {
        let packet = 1 + moment * whole / moments;
        let what = format!("{request:?}, {fault:?} of P{party} at its packet {packet} of {whole}");
        sites.tell_network(&format!("hold {place} {packet}"));
        let mut process = begin(sites, request);
        // Fewer packets than the last time, and it has ended.
        let held = await_hold(sites, &mut process);
        match fault {
            Fault::Kill => acts::restart_while_held(sites, party),
            Fault::Term => {
                sites.signal(party, "-TERM");
                sites.tell_network("release");
                acts::start_after_its_end(sites, party);
            }
            Fault::Hup => {
                sites.signal(party, "-HUP");
                sites.tell_network("release");
            }
        }
        let asked = end(process, request);
        println!("{what}{}: {}", if held { "" } else { ", where it has ended" }, told(&asked));
        if let Err(error) = asked {
            let message = error["message"].as_str().unwrap();
            assert_ne!(error["code"], "failed", "{what}: {message}");
            assert!(message.contains(&format!("P{party}")), "{what}: {message}");
            assert!(!matches!(fault, Fault::Hup), "{what}: {message}");
        }
        sites.predict().unwrap_or_else(|error| panic!("{what}: the next request fails: {error}"));
    }
}

fn everywhere(request: Request, fault: Fault, moments: u64) {
    let Some(mut sites) = started(false) else { return };
    for party in 0..3 {
        at_moments(&mut sites, request, fault, party, moments);
    }
    nothing_is_lost(&sites);
}

#[test]
fn a_party_is_killed_at_some_moments_of_a_prediction() {
    everywhere(Request::Predict, Fault::Kill, 4);
}

#[test]
fn a_party_is_killed_at_some_moments_of_a_deployment() {
    everywhere(Request::Deploy, Fault::Kill, 4);
}

#[test]
fn a_party_is_told_to_stop_at_some_moments() {
    everywhere(Request::Predict, Fault::Term, 3);
    everywhere(Request::Deploy, Fault::Term, 3);
}

#[test]
fn a_party_reads_its_configuration_at_some_moments() {
    everywhere(Request::Predict, Fault::Hup, 3);
    everywhere(Request::Deploy, Fault::Hup, 3);
}

#[test]
#[ignore = "it takes half an hour"]
fn every_fault_at_every_moment() {
    for request in [Request::Predict, Request::Deploy] {
        for fault in [Fault::Kill, Fault::Term, Fault::Hup] {
            everywhere(request, fault, u64::MAX);
        }
    }
}
