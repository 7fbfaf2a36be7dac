//! Clients and owners of models that lie to the parties: parts that are no sharing of anything. Each
//! would have the parties compute on a difference that the liar chose, and the answer would show more
//! than an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote::{Opened, Site};
use cryptflow_party::attested::Instance;
use cryptflow_party::commitments::{Told, commit};
use cryptflow_party::deployment::Deployment;
use cryptflow_party::greeting::{Ask, ready, say};
use cryptflow_party::holding::Held;
use cryptflow_party::messages::{Manifest, Reply, Request, receive, send};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::LinkOptions;
use cryptflow_wire::tls::Channel;

use crate::common;
use crate::fork::Alice;
use crate::owner::{Owner, offered};
use crate::sites::{PATIENCE, Sites};

/// Each party's parts of one tensor. In Mirror a part is a seed, or both, and m behind the one.
type Parts = Vec<Vec<u8>>;

/// Every piece that two parties have in common, changed towards one of them: which one, and how.
const LIES: [(usize, fn(&mut Parts)); 6] = [
    (0, |parts| parts[0][15] ^= 0x80),
    (0, |parts| parts[0][16] ^= 1),
    (1, |parts| parts[1][0] ^= 1),
    (1, |parts| *parts[1].last_mut().unwrap() ^= 0x80),
    (2, |parts| parts[2][0] ^= 1),
    (2, |parts| parts[2][16] ^= 1),
];

/// What a liar tells the parties: the same to all, though one of them got something else; or to that
/// one what it finds right.
fn told(honest: &[Parts], lied: &[Parts], victim: usize, to_each_its_own: bool) -> Vec<Told> {
    let mut told = commit(ProtocolName::Mirror, honest).unwrap();
    if to_each_its_own {
        // Everybody has what the victim has.
        let mut alike = lied.to_vec();
        for (tensor, part) in lied[victim].iter().enumerate() {
            let (first, rest) = part.split_at(16);
            let [p0, p1, p2] = alike.get_disjoint_mut([0, 1, 2]).unwrap();
            let (p0, p1, p2) = (&mut p0[tensor], &mut p1[tensor], &mut p2[tensor]);
            match victim {
                0 => {
                    p1[16..].copy_from_slice(rest);
                    p2[..16].copy_from_slice(first);
                }
                1 => {
                    p0[16..].copy_from_slice(rest);
                    p2[16..].copy_from_slice(first);
                }
                _ => {
                    p0[..16].copy_from_slice(first);
                    p1[..16].copy_from_slice(rest);
                }
            }
        }
        told[victim] = commit(ProtocolName::Mirror, &alike).unwrap().swap_remove(victim);
    }
    told
}

/// A session of the tiny model, once all parties agree on it.
pub fn open(sites: &Sites) -> (Site, Opened, u32) {
    let tee = sites.attested.then(|| sites.tee());
    let site = Site::read(&sites.config("client"), tee.as_deref()).unwrap();
    let (deployment, program) = site.describe("tiny").unwrap();
    let opened = site.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none()).unwrap();
    for link in &opened.links {
        assert!(matches!(receive::<Reply>(link).unwrap(), Reply::ReadyFor { .. }));
    }
    (site, opened, program.ring_bits)
}

#[test]
fn a_client_whose_parts_do_not_go_together() {
    lies_to(Sites::new(false), &LIES);
}

/// Attested parties compare them with what else they compare then.
#[test]
fn a_client_whose_parts_do_not_go_together_at_attested_parties() {
    lies_to(Sites::new(true), &LIES[..1]);
}

/// Every party ends the session, before it computes, and says whose fault it is.
fn lies_to(mut sites: Sites, lies: &[(usize, fn(&mut Parts))]) {
    sites.start();
    sites.deploy("mirror").unwrap();
    for (lie, &(victim, change)) in lies.iter().enumerate() {
        for to_each_its_own in [false, true] {
            let (_site, opened, ring_bits) = open(&sites);
            let owner = ProtocolName::Mirror.owner(ring_bits);
            let parts = owner.share_value(&[0; 4 * common::BATCH]).unwrap();
            let mut lied = parts.clone();
            change(&mut lied);
            let each = |parts: &Parts| parts.iter().map(|part| vec![part.clone()]).collect::<Vec<_>>();
            let told = told(&each(&parts), &each(&lied), victim, to_each_its_own);
            for (link, (told, part)) in opened.links.iter().zip(told.into_iter().zip(&lied)) {
                // A party that has found out may be gone already.
                let _ = send(link, &Request::Inputs { told }).is_ok()
                    && link.send(part.clone()).is_ok()
                    && send(link, &Request::Go).is_ok();
            }
            let why = if to_each_its_own {
                "of different inputs: nothing was computed of them"
            } else {
                "a part of the inputs that does not go with the others: nothing was computed of it"
            };
            for (party, link) in opened.links.iter().enumerate() {
                let error = loop {
                    match receive::<Reply>(link) {
                        Ok(Reply::InputsHeld) => {}
                        Ok(other) => panic!("{lie}: P{party} went on: {other:?}"),
                        Err(error) => break error.to_string(),
                    }
                };
                assert!(error.contains("client alice") && error.contains(why), "{lie}: P{party}: {error}");
            }
        }
    }
    // Each party has written down why, and serves those who do not lie.
    for party in 0..3 {
        let end = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(sites.site(&format!("p{party}")).join("audit.jsonl")).unwrap();
            if log.matches("nothing was computed of").count() == 2 * lies.len() {
                break;
            }
            assert!(Instant::now() < end, "{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    sites.predict().unwrap();
}

/// Parties check inputs where all of them do. One of them does not insist, and is told not to.
#[test]
fn a_client_who_has_one_party_check_inputs_and_another_not() {
    let mut sites = Sites::new(true);
    sites.edit("p1", "[session]\n", "[session]\ncheck_inputs = false\n");
    sites.start();
    sites.deploy("mirror").unwrap();
    let alice = Alice::of(&sites);
    let deployment = alice.describe(&sites.addresses[0], sites.fingerprints[0]);
    let (_, manifest) = alice.manifest(&deployment);
    let manifests = [0, 1, 2].map(|i| Manifest { check_inputs: i != 1, ..manifest.clone() });
    let instance = Instance::fresh().unwrap();
    let at = |i: usize| (sites.addresses[i].as_str(), sites.fingerprints[i], i, &manifests[i]);
    let asked =
        [0, 1, 2].map(at).map(|(address, key, i, manifest)| alice.ask(address, key, i, manifest).unwrap());
    let links = [0, 1, 2].map(at).map(|(address, key, i, manifest)| {
        let (channel, _, guard) = alice.join(address, key, i, manifest, &instance).unwrap();
        let options = LinkOptions { deadline: PATIENCE, ..LinkOptions::default() };
        channel.into_link(Arc::default(), options, Some(guard)).unwrap()
    });
    for (party, link) in links.iter().enumerate() {
        let error = receive::<Reply>(link).map(drop).unwrap_err().to_string();
        assert!(error.contains("were asked for different sessions"), "P{party}: {error}");
    }
    drop(asked);
}

/// Shares of the tiny model's weights: each party's, and the same with one lie.
fn weights(victim_lies: fn(&mut Parts)) -> [Vec<Parts>; 2] {
    let (program, weights) = common::program();
    let owner = ProtocolName::Mirror.owner(program.ring_bits);
    let mut both = [vec![Vec::new(); 3], vec![Vec::new(); 3]];
    for (i, weight) in weights.iter().enumerate() {
        let words: Vec<u64> = weight.iter().map(|&w| w as u64).collect();
        let honest = owner.share_weight(&words, program.ring_bits).unwrap();
        let mut lied = honest.clone();
        if i == 2 {
            victim_lies(&mut lied);
        }
        for (all, parts) in both.iter_mut().zip([honest, lied]) {
            all.iter_mut().zip(parts).for_each(|(all, part)| all.push(part));
        }
    }
    both
}

/// A channel to each party that has been given its part, and what it says of it; and the version's number.
fn given(
    site: &Site,
    name: &str,
    told: &[Told],
    parts: &[Parts],
) -> (u64, Vec<(Channel, Result<Held, String>)>) {
    let program = serde_json::to_string(&common::program().0).unwrap();
    let owner = Owner::alone(site, name);
    let (generation, protocol) = (owner.generation, ProtocolName::Mirror);
    let each = owner.channels.into_iter().zip(told).zip(parts);
    let given = each.map(|((mut channel, told), parts)| {
        let commitments = told.commitments.clone();
        let deployment = Deployment { name: name.into(), program: program.clone(), protocol, commitments };
        let said = offered(&mut channel, generation, deployment, told, parts);
        (channel, said.map_err(|error| error.to_string()))
    });
    (generation, given.collect())
}

/// What a party says when it is to keep its part.
fn commit_to(channel: &mut Channel, name: &str, generation: u64, held: &[Held]) -> Result<(), String> {
    say(channel, &Ask::Commit { name: name.into(), generation, held: held.to_vec() }).unwrap();
    ready(channel).map_err(|error| error.to_string())
}

/// The refusals that a party has written down.
fn refusals(sites: &Sites, party: usize) -> Vec<String> {
    let log = std::fs::read_to_string(sites.site(&format!("p{party}")).join("audit.jsonl")).unwrap();
    log.lines().filter(|line| line.contains("\"event\":\"refused\"")).map(String::from).collect()
}

/// An owner of a model who gives one party something else than another: nobody keeps anything, and
/// those who notice say whose fault it is.
#[test]
fn an_owner_whose_parts_do_not_go_together() {
    let mut sites = Sites::new(false);
    sites.start();
    let site = Site::read(&sites.config("client"), None).unwrap();
    for (lie, (victim, change)) in LIES.into_iter().enumerate() {
        let [honest, lied] = weights(change);
        // One party finds that its part is not what all were told.
        let name = format!("part-{lie}");
        let told_all = told(&honest, &lied, victim, false);
        for (party, (_, said)) in given(&site, &name, &told_all, &lied).1.into_iter().enumerate() {
            let why =
                format!("client alice gave P{party} a part of the weights that does not go with the others");
            match said {
                Ok(_) => assert_ne!(party, victim, "{lie}"),
                Err(error) => assert!(party == victim && error.contains(&why), "{lie}: P{party}: {error}"),
            }
        }
        assert!(refusals(&sites, victim).last().unwrap().contains("client alice gave"), "{lie}");
        // Or each finds what it was told, and all of them find that it was not the same.
        let name = format!("list-{lie}");
        let told_each = told(&honest, &lied, victim, true);
        let (generation, given) = given(&site, &name, &told_each, &lied);
        let (mut channels, held): (Vec<_>, Vec<_>) =
            given.into_iter().map(|(c, held)| (c, held.unwrap())).unzip();
        for (party, channel) in channels.iter_mut().enumerate() {
            let error = commit_to(channel, &name, generation, &held).unwrap_err();
            let other = if party == victim { usize::from(victim == 0) } else { victim };
            let why = format!(
                "client alice told P{party} and P{other} of different models, or of different weights"
            );
            assert!(error.contains(&why), "{lie}: {error}");
            assert!(refusals(&sites, party).last().unwrap().contains(&why), "{lie}");
            assert!(sites.store(party).current(&name).unwrap().is_none(), "{lie}");
        }
    }
}

/// What an owner shows of the others in place of their signatures.
#[test]
fn an_owner_who_signs_for_others() {
    let mut sites = Sites::new(false);
    let bob =
        format!("[clients.bob]\nfingerprint = \"{}\"\nmay = [\"deploy\"]\n", sites.another_client("bob"));
    ["p0", "p1", "p2"].iter().for_each(|role| sites.edit(role, "[session]\n", &format!("{bob}[session]\n")));
    sites.start();
    let site = Site::read(&sites.config("client"), None).unwrap();
    let bob = Site::read(&sites.config("bob"), None).unwrap();
    let [parts, _] = weights(|_| ());
    let told = commit(ProtocolName::Mirror, &parts).unwrap();
    let by = |owner: &Site, name: &str| {
        let (generation, given) = given(owner, name, &told, &parts);
        let given = given.into_iter().map(|(channel, held)| (channel, held.unwrap()));
        let (channels, held) = given.unzip::<_, _, Vec<_>, Vec<_>>();
        (generation, channels, held)
    };
    let of = |name: &str| by(&site, name);
    let (_, _, other_name) = of("other");
    let (_, _, other_owner) = by(&bob, "tiny");
    let (_, _, earlier) = of("tiny");
    let own = |held: &[Held]| {
        let identity = &site.config().identity;
        let mut forged = held[1].clone();
        forged.certificate = identity.certificate().to_vec();
        forged.signature = identity.sign(b"held").unwrap();
        forged
    };
    type Lie<'a> = &'a dyn Fn(&mut Vec<Held>);
    let lies: [(&str, Lie<'_>); 7] = [
        ("nothing", &|held| held.truncate(1)),
        ("a bit of the signature", &|held| held[1].signature[8] ^= 1),
        ("what it signed of another model", &|held| held[1] = other_name[1].clone()),
        ("what it signed for another client", &|held| held[1] = other_owner[1].clone()),
        ("what it signed of an earlier version", &|held| held[1] = earlier[1].clone()),
        ("what another party signed", &|held| held[1] = held[2].clone()),
        ("what it signed itself", &|held| held[1] = own(held)),
    ];
    for (what, lie) in lies {
        let (generation, mut channels, mut held) = of("tiny");
        lie(&mut held);
        let error = commit_to(&mut channels[0], "tiny", generation, &held).expect_err(what);
        let why = "client alice does not show P0 that P1 holds its part of the model: nothing of it is kept";
        assert!(error.contains(why), "{what}: {error}");
        assert!(sites.store(0).current("tiny").unwrap().is_none(), "{what}");
    }
    // The same, told the truth, is kept.
    let (generation, mut channels, held) = of("tiny");
    channels.iter_mut().for_each(|channel| commit_to(channel, "tiny", generation, &held).unwrap());
    sites.predict().unwrap();
}

/// What comes of one batch of zeros, but for one element.
fn infer(sites: &Sites, protocol: ProtocolName, element: i64) -> Result<(), String> {
    let site = Site::read(&sites.config("client"), None).unwrap();
    let (deployment, program) = site.describe("tiny").unwrap();
    let opened = site
        .open(&deployment, &program, protocol, &mut Patience::none())
        .map_err(|error| error.to_string())?;
    let client =
        Client::join(opened.links, &program, &opened.manifest, false).map_err(|error| error.to_string())?;
    let mut x = vec![0; 4 * common::BATCH];
    x[5] = element;
    client.infer(&[x], &mut |_| ()).map_err(|error| error.to_string())?;
    client.finish().map_err(|error| error.to_string()).map(drop)
}

/// With x = 2^j a ReLU behind a layer shows a bit of a weight.
#[test]
fn a_client_whose_inputs_are_beyond_their_bounds() {
    let mut sites = Sites::new(false);
    sites.start();
    // As the model says.
    let end = 1000 << common::SCALE;
    let refused = "an input of client alice is not within the bounds that the program declares: nothing of it is opened. \
                   (Where it is within them, a party did not follow the protocol.)";
    for protocol in ["mirror", "porthos", "porthos-exact"] {
        sites.deploy(protocol).unwrap();
        let protocol: ProtocolName = protocol.parse().unwrap();
        for within in [end, -end, 0] {
            infer(&sites, protocol, within).unwrap();
        }
        for beyond in
            [end + 1, -end - 1, 1 << 40, 1 << 62, i64::MIN, i64::MAX, end + (1 << 62), end - (1 << 62)]
        {
            let error = infer(&sites, protocol, beyond).unwrap_err();
            assert!(error.contains(refused), "{protocol}, {beyond}: {error}");
        }
    }
    for party in 0..2 {
        sites.await_log(party, refused);
    }
    sites.predict().unwrap();

    // A client cannot do without; and where all agree to, it gets what it should not.
    sites.edit("client", "[session]\n", "[session]\ncheck_inputs = false\n");
    let error = infer(&sites, ProtocolName::PorthosExact, 0).unwrap_err();
    assert!(error.contains("P0 checks the inputs of its clients"), "{error}");
    for party in 0..3 {
        sites.edit(&format!("p{party}"), "[session]\n", "[session]\ncheck_inputs = false\n");
        sites.kill(party);
    }
    sites.start();
    infer(&sites, ProtocolName::PorthosExact, 1 << 40).unwrap();
}
