//! Messages that nobody has asked for: from strangers, clients and parties. Each is refused with its
//! sender's name, and what waits to be refused takes no memory to speak of.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cryptflow_party::commitments::commit;
use cryptflow_party::messages::{Reply, Request, receive, send};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::Link;
use cryptflow_wire::tls::Channel;

use crate::common;
use crate::liar::open;
use crate::played;
use crate::sites::{PATIENCE, Sites, signal};

/// What a party's memory may grow by while somebody sends it far more.
const LITTLE: u64 = 6 << 20;

fn running() -> Sites {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    sites
}

/// Gives each party its part of an input of zeros, and has those go that are named.
pub fn inputs(links: &[Link], ring_bits: u32, go: &[usize]) {
    let parts = ProtocolName::Mirror.owner(ring_bits).share_value(&[0; 4 * common::BATCH]).unwrap();
    let told = commit(ProtocolName::Mirror, &parts.iter().map(|part| vec![part.clone()]).collect::<Vec<_>>());
    for (link, (told, part)) in links.iter().zip(told.unwrap().into_iter().zip(parts)) {
        send(link, &Request::Inputs { told }).unwrap();
        link.send(part).unwrap();
        assert!(matches!(receive::<Reply>(link).unwrap(), Reply::InputsHeld));
    }
    go.iter().for_each(|&party| send(&links[party], &Request::Go).unwrap());
}

/// Sends 48 MB in messages of this length, which stay in this process where nobody takes them.
fn flood(link: &Link, len: usize) {
    (0..(48 << 20) / len).take_while(|_| link.send(vec![0; len]).is_ok()).count();
}

/// The largest memory of a party in the next seconds.
fn peak(sites: &Sites, party: usize) -> u64 {
    let end = Instant::now() + Duration::from_secs(3);
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(sites.memory(party));
        std::thread::sleep(Duration::from_millis(20));
    }
    most
}

/// P0 waits for P1, which was not told to go, and does not listen to its client meanwhile.
#[test]
fn a_client_that_sends_ahead_is_held_back() {
    let sites = running();
    let (_site, opened, ring_bits) = open(&sites);
    let before = sites.memory(0);
    inputs(&opened.links, ring_bits, &[0]);
    flood(&opened.links[0], 1 << 10);
    let most = peak(&sites, 0);
    assert!(most < before + LITTLE, "P0 had {before} bytes, and then {most}");
    // What was asked for is answered; what follows is none of a session's messages.
    [1, 2].iter().for_each(|&party| send(&opened.links[party], &Request::Go).unwrap());
    let error = loop {
        match receive::<Reply>(&opened.links[0]) {
            Ok(Reply::Progress { .. } | Reply::Outputs { .. }) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("client alice sent a message that does not belong here"), "{error}");
    drop(opened);
    sites.predict().unwrap();
}

#[test]
fn a_client_whose_request_is_too_long_is_refused_before_it_is_read() {
    let sites = running();
    let (_site, opened, _) = open(&sites);
    let before = sites.memory(1);
    flood(&opened.links[1], 48 << 20);
    let most = peak(&sites, 1);
    assert!(most < before + LITTLE, "P1 had {before} bytes, and then {most}");
    let error = receive::<Reply>(&opened.links[1]).unwrap_err().to_string();
    let said = "client alice announced a message of 50331648 bytes where at most 65536 are accepted";
    assert!(error.contains(said), "{error}");
}

#[test]
fn a_message_after_the_end_of_a_session_is_an_error_that_names_its_sender() {
    let sites = running();
    let (_site, opened, ring_bits) = open(&sites);
    inputs(&opened.links, ring_bits, &[0, 1, 2]);
    for (party, link) in opened.links.iter().enumerate() {
        while !matches!(receive::<Reply>(link).unwrap(), Reply::Outputs { .. }) {}
        // P2 finds both at once.
        let processes = if party == 2 { sites.children(2) } else { Vec::new() };
        processes.iter().for_each(|&id| signal(id, "-STOP"));
        send(link, &Request::Finish).unwrap();
        if party == 2 {
            link.send(vec![0; 100]).unwrap();
        }
        processes.iter().for_each(|&id| signal(id, "-CONT"));
    }
    for link in &opened.links[..2] {
        assert!(matches!(receive::<Reply>(link).unwrap(), Reply::Finished { .. }));
    }
    // Whoever leaves before it has heard P2 has ended the session too early.
    while receive::<Reply>(&opened.links[2]).is_ok() {}
    drop(opened);
    let said = "client alice sent a message after the end of the session";
    sites.await_log(2, said);
    let audit = std::fs::read_to_string(sites.site("p2").join("audit.jsonl")).unwrap();
    assert!(audit.lines().any(|line| line.contains("\"event\":\"ended\"") && line.contains(said)), "{audit}");
    // The session of the others has ended well.
    sites.await_log(0, "of alice, tiny: finished");
    sites.await_log(1, "of alice, tiny: finished");
}

/// P2's host sends what nobody asked for, before anybody has gone.
#[test]
fn a_party_that_sends_ahead_is_held_back_and_named() {
    let mut sites = Sites::new(true);
    let stage = played::stage(&mut sites, false);
    played::agree(&stage.links, &stage.manifest, &stage.roster);
    let before = sites.memory(0);
    flood(&stage.links[0], 1 << 10);
    let most = peak(&sites, 0);
    assert!(most < before + LITTLE, "P0 had {before} bytes, and then {most}");
    played::hand_out(&stage.client, &stage.manifest, &stage.program);
    let error = loop {
        match receive::<Reply>(&stage.client[0]) {
            Ok(Reply::Outputs { .. }) => panic!("an output left P0"),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    let said = "P2 sent a message that does not belong here: 991 bytes follow after its end";
    assert!(error.contains(said), "{error}");
}

/// Whoever has not shown a key, or has said nothing that is understood yet.
#[test]
fn a_first_message_is_short() {
    let sites = running();
    let before = sites.memory(0);
    // No TLS at all, and a TLS record of a handshake that goes on for ever.
    for start in [&b"GET / HTTP/1.1\r\n"[..], &[22, 3, 1, 64, 0, 1, 255, 255, 255]] {
        let mut strangers: Vec<_> =
            (0..20).map(|_| TcpStream::connect(&sites.addresses[0]).unwrap()).collect();
        for stranger in &mut strangers {
            stranger.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            let _ = stranger.write_all(start);
            (0..32).take_while(|_| stranger.write_all(&[22; 64 << 10]).is_ok()).count();
        }
        let most = peak(&sites, 0);
        assert!(most < before + LITTLE, "P0 had {before} bytes, and then {most}");
    }
    sites.await_log(0, "the TLS handshake failed");
    // A client's key, and a greeting as long as a model.
    let site = cryptflow::remote::Site::read(&sites.config("client"), None).unwrap();
    let end = Instant::now() + PATIENCE;
    let config = site.config();
    let mut channel =
        Channel::connect(&sites.addresses[0], &config.identity, sites.fingerprints[0], "P0", end).unwrap();
    let _ = channel.send(&vec![0; 48 << 20]);
    let most = peak(&sites, 0);
    assert!(most < before + LITTLE, "P0 had {before} bytes, and then {most}");
    sites.await_log(0, "announced a message of 50331648 bytes where at most 16384 are accepted");
    sites.predict().unwrap();
}
