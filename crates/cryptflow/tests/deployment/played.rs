//! P2, played by the test itself: its host holds the site's key and whatever else is in memory, and
//! runs copies of it at will. P0 and P1 are real processes.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_aramis::simulated::{Settings, SimulatedTee, measure};
use cryptflow_mirror::{Mirror, Tuning};
use cryptflow_mpc::keys::{Key, Keys, Offer, Scope, Variant};
use cryptflow_mpc::{Party, Protocol};
use cryptflow_party::attested::{Flow, Instance, Statement, Terms, Trust, attest};
use cryptflow_party::audit::Head;
use cryptflow_party::commitments::{Told, What, commit, digest};
use cryptflow_party::config::Config;
use cryptflow_party::greeting::{Tell, say};
use cryptflow_party::messages::{Manifest, Request, receive, send};
use cryptflow_program::Checked;
use cryptflow_ring::Prf;
use cryptflow_wire::tls::{Arrival, Channel, Identity, Route};
use cryptflow_wire::{Guard, Link, LinkOptions, Links, Role};
use serde::{Deserialize, Serialize};

use crate::common;
use crate::fork::Alice;
use crate::sites::Sites;

/// What the parties tell each other once their links are up, as they encode it.
#[derive(Serialize, Deserialize)]
struct Agreement {
    manifest: [u8; 32],
    roster: Vec<[u8; 32]>,
}

/// What they tell each other before a batch.
#[derive(Serialize, Deserialize)]
struct Intent {
    due: bool,
    inputs: [u8; 32],
}

/// A session in which the test is the client, and P2.
pub struct Stage {
    pub program: Checked,
    pub manifest: Manifest,
    /// The client's links to P0 and P1.
    pub client: [Link; 2],
    /// P2's links to P0 and P1; none where its host has no key for them.
    pub links: Vec<Link>,
    /// Its bare connections, in that case.
    bare: Vec<Channel>,
    /// The instances of P0, P1 and P2.
    pub roster: Vec<[u8; 32]>,
}

fn options() -> LinkOptions {
    LinkOptions { deadline: Duration::from_secs(20), ..LinkOptions::default() }
}

/// Sets the stage. With `stolen`, P2's host has all of its keys but the instance key, and takes its
/// connections over.
pub fn stage(sites: &mut Sites, stolen: bool) -> Stage {
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.kill(2);
    let listener = TcpListener::bind(&sites.addresses[2]).unwrap();
    let config = Config::read(&sites.config("p2")).unwrap();
    let mut trust = Trust::of(&config, Some(&sites.tee())).unwrap().unwrap();
    let measurement = measure(Path::new(env!("CARGO_BIN_EXE_cryptflow"))).unwrap();
    let settings = Settings { measurement, ..Settings::of_this_process().unwrap() };
    trust.attester = Some(Arc::new(SimulatedTee::with_settings(&sites.tee(), settings).unwrap()));

    let alice = Alice::of(sites);
    let deployment = alice.describe(&sites.addresses[0], sites.fingerprints[0]);
    let (program, manifest) = alice.manifest(&deployment);
    let clients = Instance::fresh().unwrap();
    let _asked = [0, 1].map(|i| alice.ask(&sites.addresses[i], sites.fingerprints[i], i, &manifest).unwrap());
    let (alice, manifest, clients, sites) = (&alice, &manifest, &clients, &*sites);
    let (client, met) = thread::scope(|scope| {
        let joined = [0, 1].map(|i| {
            scope.spawn(move || {
                let address = &sites.addresses[i];
                let (channel, _, guard) =
                    alice.join(address, sites.fingerprints[i], i, manifest, clients).unwrap();
                channel.into_link(Arc::default(), options(), Some(guard)).unwrap()
            })
        });
        let instance = Instance::fresh().unwrap();
        let mut met: [Option<(Channel, Guard, [u8; 32])>; 2] = [None, None];
        for _ in 0..2 {
            let end = Instant::now() + Duration::from_secs(10);
            let socket = listener.accept().unwrap().0;
            let arrival = Arrival::hear(socket, end).unwrap();
            assert_eq!(arrival.route(), Some(Route::to_session(&manifest.session)));
            let mut channel = arrival.accept(&config.identity, config.known()).unwrap();
            let (session, key) = (manifest.session, channel.peer_fingerprint());
            let index = u8::from(key == sites.fingerprints[1]);
            assert_eq!(key, sites.fingerprints[usize::from(index)]);
            say(&mut channel, &Tell::Ready).unwrap();
            let (own, peer) = (Role::Party(2), Role::Party(index));
            let spki = config.identity.spki();
            let terms = Terms::of(&channel, spki, own, peer, manifest).unwrap();
            let proved = attest(&mut channel, &trust, &instance, &terms).unwrap();
            let guard = instance.guard(&proved.instance, session, own, peer, &terms.exporter).unwrap();
            channel.name(&peer.to_string());
            met[usize::from(index)] = Some((channel, guard, proved.instance));
        }
        (joined.map(|thread| thread.join().unwrap()), (met.map(Option::unwrap), *instance.public()))
    });
    let (met, own) = met;
    let roster = vec![met[0].2, met[1].2, own];
    let (mut links, mut bare) = (Vec::new(), Vec::new());
    for (channel, guard, _) in met {
        match stolen {
            true => bare.push(channel),
            false => links.push(channel.into_link(Arc::default(), options(), Some(guard)).unwrap()),
        }
    }
    Stage { program, manifest: manifest.clone(), client, links, bare, roster }
}

/// The first error that a link to the client brings, and whether outputs came before it.
fn end_of(link: &Link) -> String {
    loop {
        match link.recv_any(1 << 20) {
            // The replies of a session are an enumeration; outputs are the fifth.
            Ok(reply) => assert_ne!(reply.first(), Some(&4), "an output left the party"),
            Err(error) => return error.to_string(),
        }
    }
}

#[test]
fn a_host_that_has_every_key_but_the_instance_key() {
    let mut sites = Sites::new(true);
    let Stage { client, mut bare, .. } = stage(&mut sites, true);
    for channel in &mut bare {
        // What goes through TLS, and has no tag.
        channel.send(&[0; 124]).unwrap();
    }
    let errors = client.each_ref().map(end_of);
    let found = "what came from P2 was changed";
    assert!(errors.iter().all(|error| error.contains(found)), "{errors:?}");
}

/// Both ends of an authenticated link that nobody reads but a copy's host: what it feigns in place
/// of a party.
fn feigned(peer: u8) -> (Link, Link) {
    let make = || {
        let pair = rcgen_pair();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c"), folder.path().join("k"));
        std::fs::write(&certificate, pair.0).unwrap();
        std::fs::write(&key, pair.1).unwrap();
        cryptflow_party::store::restrict(&key, 0o600).unwrap();
        Identity::read(&certificate, &key).unwrap()
    };
    let (a, b) = (make(), make());
    let end = Instant::now() + Duration::from_secs(10);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, key, own) = (listener.local_addr().unwrap().to_string(), b.fingerprint(), a.clone());
    let dialler = thread::spawn(move || Channel::connect(&address, &own, key, "nobody", end).unwrap());
    let far = Channel::accept(listener.accept().unwrap().0, &b, [a.fingerprint()].into(), end).unwrap();
    let guard = |own: u8, peer: u8| Guard::new(&[1; 32], [2; 32], Role::Party(own), Role::Party(peer));
    let near = dialler.join().unwrap().into_link(Arc::default(), options(), Some(guard(2, peer))).unwrap();
    (near, far.into_link(Arc::default(), options(), Some(guard(peer, 2))).unwrap())
}

fn rcgen_pair() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["nobody".to_string()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}

/// One copy of P2, honest from here on: deals to one party, and to nobody in place of the other.
/// Then it states what it sent.
fn copy(
    real: Link,
    to: usize,
    program: &Checked,
    manifest: &Manifest,
    weights: Vec<Vec<u8>>,
    input: Vec<u8>,
    inputs: Vec<[u8; 32]>,
) {
    let (near, far) = feigned(1 - to as u8);
    let nobody = thread::spawn(move || while far.recv_any(1 << 30).is_ok() {});
    let links = Links::new(2, if to == 0 { vec![real, near] } else { vec![near, real] }, Arc::default());
    let (tuning, ring_bits) = (Tuning::default(), program.ring_bits);
    let scope = Scope { session: manifest.session, program: manifest.program, ring_bits };
    let variant = Variant { name: "mirror", parameters: &tuning.parameters() };
    let pair = [2, to].map(Party::new);
    let derived = Offer::send(links.to(to)).unwrap().derive(links.to(to), pair, &scope, &variant).unwrap();
    let key = derived.confirmed(links.to(to)).unwrap();
    let nobodys = Key::insecure_from_source(Arc::new(Prf::new([7; 16])));
    let keys = [(Party::new(to), key), (Party::new(1 - to), nobodys)];
    let keys = Keys::insecure_from_keys(Party::P2, keys).unwrap();
    let mut mirror = Mirror::insecure_with_keys(links.clone(), keys, ring_bits, tuning).unwrap();
    let weights: Vec<_> = program
        .weights
        .iter()
        .zip(weights)
        .zip(program.weight_rings())
        .map(|((weight, part), bits)| {
            let len = weight.shape.iter().product();
            mirror.receive_weight(&weight.name, len, part, bits).unwrap()
        })
        .collect();
    let input = mirror.receive_value("x", 4 * common::BATCH, input).unwrap();
    let deal = || -> Result<(), Box<dyn std::error::Error>> {
        let silent = &mut cryptflow_engine::Silent;
        cryptflow_engine::execute(&mut mirror, program, &weights, vec![input], silent)?;
        let mut statement =
            Statement { sent: vec![Flow::default(); 3], received: vec![Flow::default(); 3], inputs };
        for j in 0..2 {
            let transcript = links.to(j).transcript()?.unwrap();
            (statement.sent[j], statement.received[j]) = (transcript.sent.into(), transcript.received.into());
        }
        send(links.to(to), &statement)?;
        // It hears why nobody goes on.
        while receive::<Statement>(links.to(to)).is_ok() {}
        Ok(())
    };
    // Its party may hear before the end, by way of the other copy's, that something is wrong.
    // Nothing else may stop it.
    if let Err(error) = deal() {
        assert!(format!("{error:?}").contains("do not agree"), "{error:?}");
    }
    drop((mirror, links));
    nobody.join().unwrap();
}

/// What P0 and P1 hear of P2 before the client says anything.
pub fn agree(links: &[Link], manifest: &Manifest, roster: &[[u8; 32]]) {
    for link in links {
        send(link, &Agreement { manifest: manifest.digest(), roster: roster.to_vec() }).unwrap();
        let theirs: Agreement = receive(link).unwrap();
        assert_eq!((theirs.manifest, &theirs.roster[..]), (manifest.digest(), roster));
        // Its log is as it says.
        send(link, &Head { digest: [1; 32], signature: vec![2; 70] }).unwrap();
        receive::<Head>(link).unwrap();
    }
}

/// P2 means another session, program, protocol, ring or tuning than the others, and says so nowhere: its
/// key with each of them is another one, and nothing is computed under it.
#[test]
fn a_party_that_means_something_else_has_other_keys() {
    let own = Tuning::default().parameters();
    type Change = fn(&mut Scope, &mut &'static str, &mut Vec<u64>);
    let changes: [(&str, Change); 6] = [
        // What P2 does here is what a party does.
        ("nothing", |_, _, _| ()),
        ("session", |scope, _, _| scope.session[0] ^= 1),
        ("program", |scope, _, _| scope.program[31] ^= 1),
        ("protocol", |_, name, _| *name = "porthos"),
        ("ring", |scope, _, _| scope.ring_bits -= 1),
        ("tuning", |_, _, parameters| parameters[1] += 1),
    ];
    for (what, change) in changes {
        let mut sites = Sites::new(true);
        let Stage { program, manifest, client, links, roster, .. } = stage(&mut sites, false);
        agree(&links, &manifest, &roster);
        let (told, _) = hand_out(&client, &manifest, &program);
        let inputs = digest(What::Inputs, &told.commitments);
        let ring_bits = program.ring_bits;
        let mut scope = Scope { session: manifest.session, program: manifest.program, ring_bits };
        let (mut name, mut parameters) = ("mirror", own.to_vec());
        change(&mut scope, &mut name, &mut parameters);
        let variant = Variant { name, parameters: &parameters };
        for link in &links {
            send(link, &Intent { due: false, inputs }).unwrap();
            receive::<Intent>(link).unwrap();
        }
        let derived = links.iter().enumerate().map(|(to, link)| {
            // The second may have heard of the first one's end.
            Offer::send(link)?.derive(link, [2, to].map(Party::new), &scope, &variant)
        });
        let derived: Vec<_> = derived.collect();
        let confirmed = derived.into_iter().zip(&links).map(|(derived, link)| derived?.confirmed(link));
        let confirmed: Vec<_> = confirmed.collect();
        if what == "nothing" {
            assert!(confirmed.iter().all(Result::is_ok), "{confirmed:?}");
            continue;
        }
        assert!(confirmed.iter().all(Result::is_err), "{what}");
        for error in client.each_ref().map(end_of) {
            let said =
                "P2 do not mean the same session, program, protocol, ring and tuning: nothing was computed";
            assert!(error.contains(said), "{what}: {error}");
        }
    }
}

/// The client gives P0 and P1 their parts of an input, and has them go. Returns what P2 is told, and its
/// part.
pub fn hand_out(client: &[Link; 2], manifest: &Manifest, program: &Checked) -> (Told, Vec<u8>) {
    let rows = common::rows(common::BATCH).concat();
    let words: Vec<u64> = cryptflow::fixed::encode(&rows, common::SCALE).iter().map(|&v| v as u64).collect();
    let mut parts = manifest.protocol.owner(program.ring_bits).share_value(&words).unwrap();
    let all: Vec<_> = parts.iter().map(|part| vec![part.clone()]).collect();
    let mut told = commit(manifest.protocol, &all).unwrap();
    for (i, link) in client.iter().enumerate() {
        send(link, &Request::Inputs { told: told[i].clone() }).unwrap();
        link.send(parts[i].clone()).unwrap();
        send(link, &Request::Go).unwrap();
    }
    (told.swap_remove(2), parts.swap_remove(2))
}

/// Two copies that have the same keys, and part after everybody has agreed: one deals to P0, the
/// other to P1.
#[test]
fn a_host_that_copies_its_party_in_the_middle() {
    let mut sites = Sites::new(true);
    // What the copies deal is no sharing, which the check of inputs would find before.
    for role in ["p0", "p1", "p2", "client"] {
        sites.edit(role, "[session]\n", "[session]\ncheck_inputs = false\n");
    }
    let Stage { program, manifest, client, links, roster, .. } = stage(&mut sites, false);
    agree(&links, &manifest, &roster);
    let (told, part) = hand_out(&client, &manifest, &program);
    let digest = digest(What::Inputs, &told.commitments);
    for link in &links {
        send(link, &Intent { due: false, inputs: digest }).unwrap();
        let theirs: Intent = receive(link).unwrap();
        assert!(!theirs.due);
    }
    let store = sites.store(2);
    let deployed = store.current("tiny").unwrap().unwrap().version.content.digest();
    let weights = store.get("tiny", &deployed).unwrap().unwrap().weights;
    let errors = thread::scope(|scope| {
        for (to, link) in links.into_iter().enumerate() {
            let (program, weights, input) = (&program, weights.clone(), part.clone());
            let manifest = &manifest;
            scope.spawn(move || copy(link, to, program, manifest, weights, input, vec![digest; 3]));
        }
        client.each_ref().map(end_of)
    });
    assert!(errors.iter().any(|e| e.contains("P2") && e.contains("do not agree")), "{errors:?}");
}
