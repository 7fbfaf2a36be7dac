//! An honest client beside hostile ones, for a while: it is served every time, rightly, and parties
//! keep nothing of the others. `CRYPTFLOW_SOAK_SECONDS` says how long.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_protocols::ProtocolName;

use crate::acts::{Hostile, Random};
use crate::common;
use crate::sites::{PATIENCE, Sites};

/// Without another wish.
const SECONDS: u64 = 60;
/// So long a soak is for machines that do nothing else: times are judged as well, and that everything was
/// tried.
const LONG: u64 = 600;
/// The hostile clients, what they may do, and with which model.
const HOSTILE: [(&str, &str, &str); 4] = [
    ("eve", "\"predict\"", "tiny"),
    ("mallory", "\"predict\"", "tiny"),
    ("oscar", "\"deploy\", \"predict\"", "oscars"),
    ("trudy", "\"deploy\", \"predict\"", "trudys"),
];
/// More than the sessions of all hostile clients together.
const LIMITS: &str = "max_sessions = 10\nclient_sessions = 2\nidle_seconds = 20\n";

/// What the hostile clients are found to do, by what parties tell their operators: in a while they do all of it.
const FOUND: [&str; 14] = [
    "the TLS handshake failed",
    "said nothing before the deadline",
    "sent a message that does not belong here",
    "bytes where at most 16384 are accepted",
    "the session is another client's",
    "checks the inputs of its clients",
    "that does not go with the others: nothing was computed of it",
    "is not within the bounds that the program declares",
    "sent a message after the end of the session",
    "it starts a program without inputs",
    "closed the connection: it stopped, crashed or was killed",
    "the program takes about",
    "this is no program",
    "of different models, or of different weights for one: nothing of it is kept",
];

/// A batch of the honest client, in a session of its own; how long it took.
fn served(site: &Site) -> Result<Duration, String> {
    let begun = Instant::now();
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (deployment, program) = site.describe("tiny").map_err(|e| text(&e))?;
    let opened = site
        .open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none())
        .map_err(|e| text(&e))?;
    let client = Client::join(opened.links, &program, &opened.manifest, false).map_err(|e| text(&e))?;
    let rows = common::rows(common::BATCH);
    let input = cryptflow::fixed::encode(&rows.concat(), common::SCALE);
    let answer = client.infer(&[input], &mut |_| ()).map_err(|e| text(&e))?;
    client.finish().map_err(|e| text(&e))?;
    let outputs = answer.of_one().ok_or("no outputs")?;
    let logits = cryptflow::fixed::decode(&outputs[0], common::SCALE);
    let expected: Vec<f32> = rows.iter().flat_map(common::expected).collect();
    match logits.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 16.0 / 4096.0) {
        true => Ok(begun.elapsed()),
        false => Err(format!("{logits:?} in place of {expected:?}")),
    }
}

/// The median and the maximum of some times.
fn summary(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

/// Memory and open descriptors of each party.
fn held(sites: &Sites) -> [(u64, usize); 3] {
    [0, 1, 2].map(|party| (sites.memory(party), sites.descriptors(party)))
}

#[test]
#[ignore = "it takes as long as CRYPTFLOW_SOAK_SECONDS says, and a minute without"]
fn an_honest_client_among_hostile_ones() {
    let seconds = std::env::var("CRYPTFLOW_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let mut sites = Sites::new(false);
    for (name, may, model) in HOSTILE {
        let fingerprint = sites.another_client(name);
        let entry = format!(
            "[clients.{name}]\nfingerprint = \"{fingerprint}\"\nmay = [{may}]\nmodels = [\"{model}\"]\n[session]\n{LIMITS}"
        );
        for party in ["p0", "p1", "p2"] {
            let text = std::fs::read_to_string(sites.config(party)).unwrap();
            sites.edit(
                party,
                "[session]\n",
                &entry.replace(LIMITS, if text.contains(LIMITS) { "" } else { LIMITS }),
            );
        }
    }
    sites.start();
    sites.deploy("mirror").unwrap();
    let site = Site::read(&sites.config("client"), None).unwrap();
    let mut usual: Vec<_> = (0..60).map(|_| served(&site).unwrap()).skip(10).collect();
    let (usual, usual_most) = summary(&mut usual);
    sites.await_rest();
    sites.await_spares();
    let start = held(&sites);

    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let (mut times, mut refused, mut warm) = (Vec::new(), Vec::new(), None);
    let acts = std::thread::scope(|scope| {
        let hostile = HOSTILE.into_iter().enumerate().map(|(number, (name, may, model))| {
            let (sites, stop) = (&sites, &stop);
            scope.spawn(move || {
                let mut hostile = Hostile::new(sites, name, model, may.contains("deploy"));
                let mut random = Random::new(number as u64 + 1);
                let mut acts = 0;
                while !stop.load(Ordering::Relaxed) {
                    hostile.act(&mut random);
                    acts += 1;
                    std::thread::sleep(Duration::from_millis(random.below(100)));
                }
                acts
            })
        });
        let hostile: Vec<_> = hostile.collect();
        while begun.elapsed().as_secs() < seconds {
            match served(&site) {
                Ok(time) => times.push(time),
                Err(error) => refused.push(format!("after {:?}: {error}", begun.elapsed())),
            }
            if warm.is_none() && begun.elapsed().as_secs() * 4 >= seconds {
                warm = Some(held(&sites));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        hostile.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    sites.await_rest();
    let patience = Instant::now() + PATIENCE;
    let few = |now: &[(u64, usize); 3]| now.iter().zip(&start).all(|(now, start)| now.1 <= start.1);
    while !few(&held(&sites)) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (median, most) = summary(&mut times);
    let (warm, end) = (warm.unwrap(), held(&sites));
    println!(
        "{acts} acts of {} hostile clients in {seconds} s; the honest one was served {} times, and {} times not; its times: \
         usually {usual:?}, at most {usual_most:?}; among them {median:?}, at most {most:?}",
        HOSTILE.len(),
        times.len(),
        refused.len()
    );
    let megabytes = |(bytes, _): (u64, usize)| bytes as f64 / 1e6;
    for party in 0..3 {
        println!(
            "P{party}: {:.1} MB at the start, {:.1} after a quarter of the time, {:.1} at the end; {} descriptors at the start, {} at the end",
            megabytes(start[party]),
            megabytes(warm[party]),
            megabytes(end[party]),
            start[party].1,
            end[party].1
        );
    }
    let logs = [0, 1, 2].map(|party| sites.log(party)).concat();
    for found in FOUND {
        println!("{:6} times: {found}", logs.matches(found).count());
    }
    assert!(refused.is_empty(), "{refused:?}");
    for (party, (warm, end)) in warm.iter().zip(&end).enumerate() {
        assert!(end.0 <= warm.0 + warm.0 / 4 + (8 << 20), "P{party} grows: {warm:?}, then {end:?}");
    }
    assert!(few(&end), "descriptors are left: {start:?}, then {end:?}");
    if seconds >= LONG {
        for found in FOUND {
            assert!(logs.contains(found), "nobody ever did what parties call {found:?}");
        }
        assert!(median <= 2 * usual, "{median:?}, usually {usual:?}");
    }
    // Nothing that the hostile ones did has left a mark.
    served(&site).unwrap();
}
