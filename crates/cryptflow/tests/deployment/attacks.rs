//! Parties, hosts and networks that cheat: the rows of the table in docs/security/aramis.md. Each
//! is found out before any output is opened, and the error names the party.

use std::io::Write;
use std::path::Path;

use cryptflow_party::attested::Instance;
use cryptflow_party::greeting::{Ask, answer, say};
use cryptflow_party::messages::Manifest;

use crate::fork::{self, Alice};
use crate::sites::{Sites, cryptflow, free_address};
use crate::{lying, relay};

/// Attested sites that run, with the tiny model deployed.
fn running() -> Sites {
    let mut sites = Sites::new(true);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    sites
}

/// What is said of whatever was changed between two parties.
const ON_THE_WAY: &str = "was changed, repeated, left out or put out of order on its way";

fn refused(sites: &Sites, said: &[&str]) {
    let error = sites.predict().expect_err("an output was opened");
    for part in said {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_party_that_changes_its_program() {
    let mut sites = running();
    // One byte more: another program, to whoever measures it.
    let changed = sites.folder.path().join("changed");
    std::fs::copy(env!("CARGO_BIN_EXE_cryptflow"), &changed).unwrap();
    std::fs::OpenOptions::new().append(true).open(&changed).unwrap().write_all(&[0]).unwrap();
    sites.kill(1);
    sites.start_with(1, &changed);
    refused(&sites, &["P1", "runs something else than the policy lists"]);
    // The honest parties find out, too, not only the client: P0 on its own.
    sites.kill(1);
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    sites.predict().unwrap();
}

#[test]
fn a_party_whose_evidence_lies() {
    let mut sites = running();
    // (how, what is said)
    let table: [(&str, &[&str]); 6] = [
        ("relay", &["P1", "another"]),
        ("debug", &["P1", "Debug mode"]),
        ("outdated", &["P1", "OutOfDate"]),
        ("weak", &["P1"]),
        ("forge", &["P1", "signature"]),
        ("replay", &["P1", "another"]),
    ];
    for (lie, said) in table {
        sites.kill(1);
        let command = lying::command(&sites.config("p1"), &sites.tee(), lie);
        sites.start_command(1, command);
        if lie == "replay" {
            // It saves what it says in the first session, and says it again: already to the second
            // who asks.
            let _ = sites.predict();
        }
        refused(&sites, said);
    }
    // The same process, telling the truth, is accepted: it is the lie that is refused.
    sites.kill(1);
    let command = lying::command(&sites.config("p1"), &sites.tee(), "none");
    sites.start_command(1, command);
    sites.predict().unwrap();
}

#[test]
fn a_party_that_changes_its_weights() {
    let sites = running();
    let path = sites.part(1, "tiny");
    let whole = std::fs::read(&path).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &changed).unwrap();
    refused(&sites, &["P1", "it was changed"]);

    // A host that deploys other weights, in its own store alone, changes the digest that all agree
    // on.
    let text = String::from_utf8_lossy(&whole).into_owned();
    let at = text.find("commitments").unwrap() + 20;
    let mut changed = whole.clone();
    let digit = (at..).find(|&i| changed[i].is_ascii_digit()).unwrap();
    changed[digit] = if changed[digit] == b'1' { b'2' } else { b'1' };
    std::fs::write(&path, &changed).unwrap();
    refused(&sites, &["P1"]);
    std::fs::write(&path, &whole).unwrap();
    sites.predict().unwrap();
}

/// Somebody between P0 and P1 who flips a bit, exchanges, omits, repeats or replays what goes by,
/// at several places: in P0's first message, while they prove themselves, and while the protocol runs.
#[test]
fn somebody_between_two_parties() {
    let mut sites = running();
    type Make = fn(usize) -> std::sync::Arc<dyn relay::Hand>;
    let hands: [(&str, Make); 5] = [
        ("flip", relay::flip),
        ("swap", relay::swap),
        ("omit", relay::omit),
        ("repeat", relay::repeat),
        ("replay", relay::replay),
    ];
    let honest = sites.addresses[1].clone();
    for (what, make) in hands {
        for at in [2, 5, 12] {
            // A session that just broke takes its place for a moment longer.
            sites.await_rest();
            let mut addresses = sites.addresses.clone();
            addresses[1] = relay::between(&honest, make(at));
            sites.configure("p0", &addresses);
            sites.kill(0);
            sites.start_with(0, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
            if what == "replay" {
                // The first session passes, and is listened to.
                sites.predict().unwrap();
            }
            let before = sites.log(1).len();
            let error = sites.predict().expect_err(what);
            assert!(error.contains("P0") || error.contains("P1"), "{what} at {at}: {error}");
            // Whoever is nearer to what happened may be heard later: P1 knows why.
            sites.await_log_after(1, before, ON_THE_WAY);
        }
    }
    // And somebody who only listens is not noticed.
    sites.await_rest();
    let mut addresses = sites.addresses.clone();
    addresses[1] = relay::between(&honest, std::sync::Arc::new(|_, record| vec![record]));
    sites.configure("p0", &addresses);
    sites.kill(0);
    sites.start_with(0, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    sites.predict().unwrap();
}

#[test]
fn a_party_that_is_restarted_in_the_middle() {
    let mut sites = running();
    let mut session = fork::open(&sites, &[0, 1, 2]).unwrap();
    session.batch().unwrap();
    sites.kill(1);
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    let error = session.batch().unwrap_err().to_string();
    assert!(error.contains("P1"), "{error}");
    // Nor does anybody take part in the same session again.
    let alice = Alice::of(&sites);
    let mut channel = alice.channel(&sites.addresses[0], sites.fingerprints[0], 0).unwrap();
    say(&mut channel, &Ask::Open { name: "tiny".into(), manifest: session.manifest.clone(), wait: false })
        .unwrap();
    let error = answer(&mut channel).expect_err("it was begun again").to_string();
    assert!(error.contains("was begun before"), "{error}");
    sites.predict().unwrap();
}

/// A client that some host has told the number of another's session: it would bring a part of the
/// input, and get a part of the output.
#[test]
fn a_client_that_enters_the_session_of_another() {
    let sites = running();
    let alice = Alice::of(&sites);
    let deployment = alice.describe(&sites.addresses[0], sites.fingerprints[0]);
    let (_, manifest) = alice.manifest(&deployment);
    let refusal = |client: [u8; 32]| {
        let manifest = Manifest { client: Some(client), ..manifest.clone() };
        let mut channel = alice.channel(&sites.addresses[1], sites.fingerprints[1], 1).unwrap();
        say(&mut channel, &Ask::Open { name: "tiny".into(), manifest, wait: false }).unwrap();
        answer(&mut channel).map(drop).map_err(|error| error.to_string())
    };
    let error = refusal([7; 32]).expect_err("it was let in");
    assert!(error.contains("P1 refuses") && error.contains("another client's"), "{error}");
    // With its own name it has a session of its own: the parties compare manifests, and the name is
    // in them.
    let own = alice.config.identity.fingerprint().0;
    refusal(own).unwrap();
    let other = Manifest { client: Some([7; 32]), ..manifest.clone() };
    assert_ne!(other.digest(), manifest.digest());
}

/// P2's host runs it twice, with the same key: one copy for P0, another for P1. The client helps.
#[test]
fn a_host_that_forks_its_party() {
    let mut sites = running();
    let copy = free_address();
    // The second copy: the same key, store and program, at another address.
    let folder = sites.site("p2-copy");
    std::fs::create_dir_all(folder.join("store/tiny.model")).unwrap();
    let kept = std::fs::read_dir(sites.site("p2").join("store/tiny.model")).unwrap();
    let kept = kept.map(|file| format!("store/tiny.model/{}", file.unwrap().file_name().to_str().unwrap()));
    for file in ["site.cert.pem", "site.key.pem"].map(String::from).into_iter().chain(kept) {
        std::fs::copy(sites.site("p2").join(&file), folder.join(&file)).unwrap();
    }
    let text = std::fs::read_to_string(sites.config("p2")).unwrap();
    let text = text.replace(&format!("listen = \"{}\"", sites.addresses[2]), &format!("listen = \"{copy}\""));
    std::fs::write(folder.join("cryptflow.toml"), text).unwrap();
    let mut twin = cryptflow(&["party", "--config", folder.join("cryptflow.toml").to_str().unwrap()]);
    twin.arg("--insecure-simulated-tee").arg(sites.tee());
    let mut twin = twin.spawn().unwrap();
    // P1 finds the copy where P0 finds the other.
    let mut addresses = sites.addresses.clone();
    addresses[2] = copy.clone();
    sites.configure("p1", &addresses);
    sites.kill(1);
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));

    let alice = Alice::of(&sites);
    let deployment = alice.describe(&sites.addresses[0], sites.fingerprints[0]);
    let (_, manifest) = alice.manifest(&deployment);
    let instance = Instance::fresh().unwrap();
    let at = [&sites.addresses[0], &sites.addresses[1], &sites.addresses[2], &copy];
    let _asked =
        [0, 1, 2, 3].map(|i| alice.ask(at[i], sites.fingerprints[i.min(2)], i.min(2), &manifest).unwrap());
    let channels: Vec<_> = std::thread::scope(|scope| {
        let joined = [0, 1, 2, 3].map(|i| {
            let (alice, manifest, instance, key) =
                (&alice, &manifest, &instance, sites.fingerprints[i.min(2)]);
            let address = at[i];
            scope.spawn(move || alice.join(address, key, i.min(2), manifest, instance))
        });
        joined.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(channels.iter().all(Result::is_ok));
    // Each copy waits for the party that talks to the other; those who have all their links compare
    // whom they talk to.
    let links: Vec<_> = channels
        .into_iter()
        .map(|met| {
            let (channel, _, guard) = met.unwrap();
            channel.into_link(Default::default(), Default::default(), Some(guard)).unwrap()
        })
        .collect();
    let errors: Vec<String> =
        links.iter().map(|link| link.recv_any(1 << 20).unwrap_err().to_string()).collect();
    assert!(errors.iter().any(|error| error.contains("P2")), "{errors:?}");
    let _ = (twin.kill(), twin.wait());
}
