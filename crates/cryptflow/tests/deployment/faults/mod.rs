//! What can go wrong between three organisations, each in a network namespace of its own, and what is said of it:
//! a table (`rows.rs`), which the page for operators has as well. After each fault is over, the next request is
//! answered at once, and nothing is lost.
#![cfg(target_os = "linux")]

mod acts;
mod asking;
mod elder;
mod moments;
mod rows;

use std::path::Path;
use std::time::{Duration, Instant};

use cryptflow_wire::tls::{Fingerprint, Identity};
use serde_json::Value;

use crate::sites::{PATIENCE, Sites};

/// Seconds of silence after which a peer counts as gone, here.
pub(super) const DEADLINE: u64 = 5;

/// What a client gets.
pub(super) type Asked = Result<Value, Value>;

/// One fault.
pub(super) struct Row {
    /// What it is called; so it is on the page.
    pub fault: &'static str,
    /// To which parties it can happen.
    pub parties: &'static [usize],
    /// Has it happen to this party, asks for an answer then or meanwhile, and says what the client got.
    pub act: fn(&mut Sites, usize) -> Asked,
    /// What the client hears: a word for programs (one of these, as one or another of those who notice is heard first),
    /// and parts of the text, in which `P#` is the party. Nothing where it is served rightly.
    pub client: Option<(&'static [&'static str], &'static [&'static str])>,
    /// What is in the log of that party, or of the others.
    pub operator: Option<(Whose, &'static str)>,
    /// What is done about it.
    pub mend: fn(&mut Sites, usize),
}

/// A log.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    /// That of the party that the fault happens to.
    Its,
    /// Those of the two others.
    Others,
    /// All three.
    Each,
}

impl Whose {
    /// Whether it is that of one party, where the fault happens to another, or the same.
    fn is(self, log: usize, party: usize) -> bool {
        match self {
            Whose::Its => log == party,
            Whose::Others => log != party,
            Whose::Each => true,
        }
    }
}

const ALL: [&[Row]; 8] = [
    rows::PARTIES,
    rows::CLOCKS,
    rows::CLOCKS_ATTESTED,
    rows::ATTESTED,
    rows::NETWORKS,
    rows::KEYS,
    rows::DISKS,
    rows::CLIENTS,
];

/// The sites, which are watched: a party says when it is ready, and when not. Bob may ask as well.
fn started(attested: bool) -> Option<Sites> {
    let mut sites = Sites::apart(attested, DEADLINE)?;
    sites.another_client("bob");
    let entry = format!("[clients.bob]\nfingerprint = \"{}\"\nmay = [\"predict\"]\n", bob(&sites));
    for party in ["p0", "p1", "p2"] {
        let more = format!("[operator]\nlisten = \"127.0.0.1:7850\"\n{entry}[session]\n");
        sites.edit(party, "[session]\n", &more);
    }
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.predict().unwrap();
    sites.await_rest();
    Some(sites)
}

fn bob(sites: &Sites) -> Fingerprint {
    let site = sites.site("bob");
    Identity::read(&site.join("site.cert.pem"), &site.join("site.key.pem")).unwrap().fingerprint()
}

/// One row at one party; what is not as it says.
fn run(row: &Row, sites: &mut Sites, party: usize) -> Result<(), String> {
    let before = [0, 1, 2].map(|party| sites.log(party).len());
    let begun = Instant::now();
    let asked = (row.act)(sites, party);
    println!("{} (P{party}): {:.1?}: {}", row.fault, begun.elapsed(), told(&asked));
    let heard = heard(row, party, &asked);
    if let Some((whose, said)) = row.operator {
        let said = said.replace('#', &party.to_string());
        for log in (0..3).filter(|&log| whose.is(log, party)) {
            sites.says_after(log, before[log], &said)?;
        }
    }
    (row.mend)(sites, party);
    // At once: it is asked for once, and waits for nobody.
    asking::Asking::begin(sites, "client", 3, &["--patience", "0"])
        .end()
        .map_err(|error| format!("the next request fails: {error}"))?;
    heard
}

/// What a client got, in a line.
fn told(asked: &Asked) -> String {
    match asked {
        Ok(_) => "the answer".into(),
        Err(error) => error.to_string(),
    }
}

/// Whether a client got what the row says.
fn heard(row: &Row, party: usize, asked: &Asked) -> Result<(), String> {
    let (codes, parts, error) = match (&row.client, asked) {
        (None, Ok(_)) => return Ok(()),
        (None, Err(error)) => return Err(error.to_string()),
        (Some(_), Ok(answer)) => return Err(format!("it was answered: {answer}")),
        (Some((codes, parts)), Err(error)) => (codes, parts, error),
    };
    let message = error["message"].as_str().unwrap();
    let missing: Vec<String> = parts
        .iter()
        .map(|part| part.replace('#', &party.to_string()))
        .filter(|part| !message.contains(part))
        .collect();
    match codes.iter().any(|code| error["code"] == *code) && missing.is_empty() {
        true => Ok(()),
        false => Err(format!("{error} is not {codes:?}, or has not {missing:?}")),
    }
}

/// What must be true whatever has happened: nobody is held up, all keep one version, and the logs are whole.
fn nothing_is_lost(sites: &Sites) {
    sites.await_rest();
    // What parties know of one another is some seconds old.
    let end = Instant::now() + PATIENCE;
    while let Err(error) = crate::sites::outcome(sites.client(&["status"])) {
        assert!(Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let log =
        |party: usize| sites.site(&format!("p{party}")).join("audit.jsonl").to_str().unwrap().to_string();
    for own in 0..3 {
        let others = [log((own + 1) % 3), log((own + 2) % 3)];
        let arguments = ["audit", &log(own), "--compare", &others[0], &others[1]];
        crate::sites::outcome(crate::sites::cryptflow(&arguments)).unwrap();
    }
}

/// Every row of some, each at one party, or at all three.
fn table(rows: &[Row], attested: bool, everywhere: bool) {
    let Some(mut sites) = started(attested) else { return };
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let one = row.parties[number % row.parties.len()];
        for &party in row.parties.iter().filter(|&&party| everywhere || party == one) {
            if let Err(reason) = run(row, &mut sites, party) {
                wrong.push(format!("{} (P{party}): {reason}", row.fault));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    nothing_is_lost(&sites);
}

#[test]
fn parties_that_fail() {
    table(rows::PARTIES, false, false);
}

#[test]
fn parties_that_run_another_program() {
    table(rows::ATTESTED, true, false);
}

#[test]
fn clocks_that_are_wrong() {
    clocks(false);
}

fn clocks(everywhere: bool) {
    if acts::faketime().is_none() {
        return eprintln!("skipped: faketime is not installed");
    }
    table(rows::CLOCKS, false, everywhere);
    table(rows::CLOCKS_ATTESTED, true, everywhere);
}

#[test]
fn networks_that_fail() {
    table(rows::NETWORKS, false, false);
}

#[test]
fn keys_that_are_wrong() {
    table(rows::KEYS, false, false);
}

#[test]
fn disks_that_fail() {
    table(rows::DISKS, false, false);
}

#[test]
fn clients_of_all_kinds() {
    table(rows::CLIENTS, false, false);
}

#[test]
#[ignore = "it takes some minutes"]
fn every_fault_at_every_party() {
    for rows in [rows::PARTIES, rows::NETWORKS, rows::KEYS, rows::DISKS, rows::CLIENTS] {
        table(rows, false, true);
    }
    table(rows::ATTESTED, true, true);
    clocks(true);
}

/// What the page says is what the rows say.
#[test]
fn the_page_has_every_row() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    for row in ALL.iter().flat_map(|rows| *rows) {
        let line = page.lines().find(|line| line.starts_with(&format!("| {} | ", row.fault)));
        let line = line.unwrap_or_else(|| panic!("the page has no row for: {}", row.fault));
        let cells: Vec<&str> = line.split(" | ").collect();
        match &row.client {
            None => assert!(cells[1].starts_with("is served"), "{line}"),
            Some((codes, parts)) => {
                for code in *codes {
                    assert!(cells[1].contains(&format!("`{code}`")), "{line}");
                }
                for part in *parts {
                    assert!(cells[1].contains(&part.replace('#', "1")), "{part:?}: {line}");
                }
            }
        }
        if let Some((_, said)) = row.operator {
            assert!(cells[2].contains(&said.replace('#', "1")), "{said:?}: {line}");
        }
    }
}
