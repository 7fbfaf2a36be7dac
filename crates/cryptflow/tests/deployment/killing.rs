//! Clients beside parties that are killed and started again: every answer is right, and a request that fails
//! succeeds when it is made again. `CRYPTFLOW_SOAK_SECONDS` says how long, `CRYPTFLOW_SOAK_PAUSE` how many
//! milliseconds a client waits between two requests, where it should.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::deployed::Described;
use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_protocols::ProtocolName;

use crate::common;
use crate::sites::{PATIENCE, Sites};

/// Without another wish.
const SECONDS: u64 = 60;
const CLIENTS: usize = 8;
/// Between two kills, and how long the party is away.
const PERIOD: Duration = Duration::from_secs(15);
const AWAY: Duration = Duration::from_millis(500);
/// The longest that nobody may be served after a party is back.
const GAP: Duration = Duration::from_secs(5);

/// One request, made once, with the patience that commands have.
fn ask(site: &Site) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut silent = |_: &str| ();
    let mut patience = Patience::of(Patience::USUAL, &mut silent);
    let Described { deployment, program, .. } =
        site.described_in_time("tiny", &mut patience).map_err(|e| text(&e))?;
    let opened =
        site.open(&deployment, &program, ProtocolName::Mirror, &mut patience).map_err(|e| text(&e))?;
    let client = Client::join(opened.links, &program, &opened.manifest, false).map_err(|e| text(&e))?;
    let rows = common::rows(common::BATCH);
    let input = cryptflow::fixed::encode(&rows.concat(), common::SCALE);
    let answer = client.infer(&[input], &mut |_| ()).map_err(|e| text(&e))?;
    let outputs = answer.of_one().ok_or("no outputs")?;
    // That the answer is there is what counts: a party that is killed now takes nothing back.
    let _ = client.finish();
    let logits = cryptflow::fixed::decode(&outputs[0], common::SCALE);
    let expected: Vec<f32> = rows.iter().flat_map(common::expected).collect();
    let right = logits.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 16.0 / 4096.0);
    assert!(right, "{logits:?} in place of {expected:?}");
    Ok(())
}

/// Threads and descriptors of a party.
fn held(sites: &Sites, party: usize) -> (usize, usize) {
    let threads = std::fs::read_dir(format!("/proc/{}/task", sites.id(party))).unwrap().count();
    (threads, sites.descriptors(party))
}

#[test]
#[ignore = "it takes as long as CRYPTFLOW_SOAK_SECONDS says, and a minute without"]
fn clients_beside_parties_that_are_killed() {
    let pause = std::env::var("CRYPTFLOW_SOAK_PAUSE").map_or(0, |text| text.parse().unwrap());
    let seconds = std::env::var("CRYPTFLOW_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.await_rest();
    let start = [0, 1, 2].map(|party| held(&sites, party));
    let config = sites.config("client");
    let (served, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let mut kills = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (config, served, failed, stop) = (&config, &served, &failed, &stop);
            scope.spawn(move || {
                let site = Site::read(config, None).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let mut attempts = 0;
                    while let Err(error) = ask(&site) {
                        attempts += 1;
                        failed.lock().unwrap().push(error.clone());
                        assert!(attempts < 5, "five times in a row: {error}");
                    }
                    served.lock().unwrap().push(begun.elapsed());
                    std::thread::sleep(Duration::from_millis(pause));
                }
            });
        }
        let mut party = 0;
        while begun.elapsed() + PERIOD < Duration::from_secs(seconds) {
            std::thread::sleep(PERIOD);
            sites.kill(party);
            std::thread::sleep(AWAY);
            sites.start_with(party, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
            kills.push(begun.elapsed());
            party = (party + 1) % 3;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (mut served, failed) = (served.into_inner().unwrap(), failed.into_inner().unwrap());
    served.sort();
    let gap_after = |kill: &Duration| {
        let next = served.iter().find(|&time| time > kill);
        next.map_or(Duration::MAX, |next| *next - *kill)
    };
    let gaps: Vec<Duration> = kills.iter().map(gap_after).collect();
    println!(
        "{} answers to {CLIENTS} clients in {:?}, {} parties killed; {} requests were made again; nobody was served for {:?} after a party was back",
        served.len(),
        begun.elapsed(),
        kills.len(),
        failed.len(),
        gaps.iter().max()
    );
    // The clients that were served when a party was killed have lost their run, and no others.
    assert!(failed.len() <= kills.len() * CLIENTS, "{failed:#?}");
    assert!(!kills.is_empty() && gaps.iter().all(|gap| *gap <= GAP), "{gaps:?}");
    sites.await_rest();
    let flat = |sites: &Sites| {
        let now = [0, 1, 2].map(|party| held(sites, party));
        now.iter().zip(&start).all(|(now, start)| now.0 <= start.0 && now.1 <= start.1)
    };
    let patience = Instant::now() + PATIENCE;
    while !flat(&sites) {
        let now = [0, 1, 2].map(|party| held(&sites, party));
        assert!(Instant::now() < patience, "threads and descriptors: {start:?}, then {now:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
