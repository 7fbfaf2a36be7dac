//! Participants that speak different messages: they work together in the newest that all of them speak, or say
//! why they cannot.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use cryptflow::error::Error;
use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_party::code::Code;
use cryptflow_party::config::Config;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Greeting, Tell, answer, hear, say};
use cryptflow_party::messages::{Manifest, SessionError};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::{Arrival, Channel};
use serde_json::{Value, json};

use crate::common;
use crate::gateway::Gateway;
use crate::sites::{PATIENCE, Sites, cryptflow, finish, free_address, outcome};

/// Has a running party speak version 6 at most, or whatever it can.
fn pin(sites: &Sites, party: usize, pinned: bool) {
    let (role, before) = (format!("p{party}"), sites.log(party).len());
    let (with, without) = ("[session]\nmessages = 6\n", "[session]\n");
    let (from, to) = if pinned { (without, with) } else { (with, without) };
    sites.edit(&role, from, to);
    sites.signal(party, "-HUP");
    sites.await_log_after(party, before, "the configuration was read again");
}

/// What a command prints as JSON, and its exit code.
fn printed(sites: &Sites, role: &str, command: &str) -> (i32, Value) {
    let mut command = cryptflow(&[command, "--json", "--config"]);
    command.arg(sites.config(role));
    let output = finish(command.spawn().unwrap());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// What `status` says of the messages of each party.
fn of_status(sites: &Sites) -> Value {
    let (code, said) = printed(sites, "client", "status");
    assert_eq!(code, 0, "{said:#}");
    said["parties"].as_array().unwrap().iter().map(|party| party["messages"].clone()).collect()
}

/// What the doctor says of a party's messages: the outcome and the text. Nothing fails.
fn of_doctor(sites: &Sites, role: &str, party: usize) -> (String, String) {
    let (code, said) = printed(sites, role, "doctor");
    assert_eq!(code, 0, "{said:#}");
    let all = said["findings"].as_array().unwrap();
    let found = all.iter().find(|it| it["check"] == "messages" && it["party"] == json!(party)).unwrap();
    (found["outcome"].as_str().unwrap().into(), found["message"].as_str().unwrap().into())
}

/// The version of the messages of a session, as its report says and as all parties have written it down.
fn session(sites: &Sites) -> u64 {
    let report = sites.predict().unwrap();
    let (version, id) =
        (report["session"]["messages"].as_u64().unwrap(), report["session"]["id"].as_str().unwrap());
    for party in ["p0", "p1", "p2"] {
        let log = std::fs::read_to_string(sites.site(party).join("audit.jsonl")).unwrap();
        let begun = log.lines().find(|line| line.contains(id)).unwrap();
        assert!(begun.contains(&format!("\"messages\":{version}")), "{begun}");
    }
    version
}

/// A prediction with a table by layer: the report.
fn profiled(sites: &Sites) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let (_, input) = common::write(folder.path(), 1);
    let command =
        sites.client(&["predict", "tiny", "--json", "--profile", "--input", input.to_str().unwrap()]);
    outcome(command).map(|report| serde_json::from_str(&report).unwrap())
}

/// Opens a session, and ends it; the version of its messages.
fn opened(site: &Site) -> Result<u32, Error> {
    let (deployment, program) = site.describe("tiny")?;
    let mut silent = |_: &str| ();
    let mut patience = Patience::of(PATIENCE, &mut silent);
    let opened = site.open(&deployment, &program, ProtocolName::Mirror, &mut patience)?;
    Ok(opened.manifest.version)
}

/// Each party in turn is older than the others; what is done meanwhile is done with the messages of version 6. A client
/// that runs on follows, there and back.
#[test]
fn one_party_after_another_is_upgraded() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    assert_eq!(of_status(&sites), json!([10, 10, 10]));
    assert_eq!(session(&sites), 10);
    let layers = profiled(&sites).unwrap()["layers"].as_array().unwrap().len();
    assert_eq!(layers, 3);
    assert_eq!(of_doctor(&sites, "client", 1), ("ok".into(), "version 10".into()));
    let (site, gateway) = (Site::read(&sites.config("client"), None).unwrap(), Gateway::start(&sites, &[]));
    assert_eq!(opened(&site).unwrap(), 10);
    gateway.answers(2);
    for older in 0..3 {
        pin(&sites, older, true);
        let expected: Vec<u32> = (0..3).map(|party| if party == older { 6 } else { 10 }).collect();
        assert_eq!(of_status(&sites), json!(expected));
        assert_eq!(session(&sites), 6);
        let error = profiled(&sites).unwrap_err();
        assert!(error.contains("version 6 of the messages, in which parties give no time line"), "{error}");
        assert_eq!(opened(&site).unwrap(), 6);
        sites.deploy("porthos-exact").unwrap();
        sites.deploy("mirror").unwrap();
        gateway.answers(3);
        let said = outcome(sites.client(&["status"])).unwrap();
        let line =
            format!("P{older} speaks version 6 of the messages, and this site version 10: sessions speak 6");
        assert!(said.contains(&line), "{said}");
        for role in ["client", "p0", "p2"].into_iter().filter(|role| *role != format!("p{older}")) {
            let (outcome, message) = of_doctor(&sites, role, older);
            assert_eq!(outcome, "warning", "{role}");
            assert_eq!(message, line, "{role}");
        }
        pin(&sites, older, false);
        assert_eq!(session(&sites), 10);
    }
    // Whoever speaks something newer and comes again is nobody who was refused.
    for party in ["p0", "p1", "p2"] {
        let log = std::fs::read_to_string(sites.site(party).join("audit.jsonl")).unwrap();
        assert!(!log.contains("of the messages, and this party"), "{log}");
    }
}

/// What the operator's port says of the messages of this party and of the others.
#[test]
fn the_operator_sees_who_is_older() {
    let mut sites = Sites::new(false);
    let port = free_address();
    sites.edit("p0", "[session]\n", &format!("[operator]\nlisten = \"{port}\"\n[session]\n"));
    sites.edit("p2", "[session]\n", "[session]\nmessages = 6\n");
    sites.start();
    let end = Instant::now() + PATIENCE;
    loop {
        let mut response = Gateway::agent().get(format!("http://{port}/status.json")).call().unwrap();
        let said: Value = serde_json::from_reader(response.body_mut().as_reader()).unwrap();
        let state = &said["state"];
        let peers: Vec<&Value> =
            state["peers"].as_array().unwrap().iter().map(|peer| &peer["messages"]).collect();
        if peers == [&json!(10), &json!(6)] {
            assert_eq!(state["party"]["messages"], 10);
            assert_eq!(said["ready"], true, "{said}");
            return;
        }
        assert!(Instant::now() < end, "{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_older_client_is_served_as_it_can_be() {
    let mut sites = Sites::new(false);
    sites.edit("client", "[session]\n", "[session]\nmessages = 6\n");
    sites.start();
    sites.deploy("mirror").unwrap();
    assert_eq!(session(&sites), 6);
    assert_eq!(of_status(&sites), json!([6, 6, 6]));
    Gateway::start(&sites, &[]).answers(2);
    let (outcome, message) = of_doctor(&sites, "client", 0);
    assert_eq!(outcome, "warning");
    assert!(
        message.contains("this site speaks version 6 of the messages and none that is newer"),
        "{message}"
    );
}

/// Evidence is made for the messages that a session speaks: all ends know the same.
#[test]
fn attested_parties_are_upgraded_one_after_another() {
    let mut sites = Sites::new(true);
    sites.edit("p1", "[session]\n", "[session]\nmessages = 6\n");
    sites.start();
    sites.deploy("mirror").unwrap();
    assert_eq!(session(&sites), 6);
    pin(&sites, 1, false);
    assert_eq!(session(&sites), 10);
}

/// Says this version, and then asks for this; the refusal.
fn refused(mut channel: Channel, version: u32, ask: &Ask) -> String {
    say(&mut channel, &Greeting { version }).unwrap();
    say(&mut channel, ask).unwrap();
    match answer(&mut channel) {
        Err(SessionError::Refused { code: Code::DifferentVersion, reason, .. }) => reason,
        other => panic!("{version}: {other:?}"),
    }
}

#[test]
fn who_speaks_nothing_in_common_hears_what_to_do() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let site = Site::read(&sites.config("client"), None).unwrap();
    let config = site.config();
    let connect = || {
        let (entry, end) = (&config.parties[1], Instant::now() + PATIENCE);
        Channel::connect(&entry.address, &config.identity, entry.keys, "P1", end).unwrap()
    };
    let table = [
        (5, "upgrade the other side"),
        (11, "upgrade this party, or have the other side speak an older one (session.messages)"),
        (0, "upgrade the other side"),
        (u32::MAX, "upgrade this party"),
    ];
    for (version, advice) in table {
        let reason = refused(connect(), version, &Ask::Status);
        let both = format!(
            "the other side speaks version {version} of the messages, and this party versions 6 to 10"
        );
        assert!(reason.contains(&both) && reason.contains(advice), "{reason}");
    }
    let log = std::fs::read_to_string(sites.site("p1").join("audit.jsonl")).unwrap();
    assert!(log.contains("the other side speaks version 5") && !log.contains("speaks version 11"), "{log}");

    // A session of messages that a party does not speak, whoever has greeted it how.
    let (deployment, program) = site.describe("tiny").unwrap();
    pin(&sites, 1, true);
    for version in [5, 7, 10, 11] {
        let manifest = Manifest {
            version,
            deployment: Some(deployment.digest()),
            client: Some(config.identity.fingerprint().0),
            check_inputs: true,
            ..Manifest::new(&program, ProtocolName::Mirror).unwrap()
        };
        let ask = Ask::Open { name: "tiny".into(), manifest, wait: false };
        let reason = refused(connect(), 6, &ask);
        let both =
            format!("the other side speaks version {version} of the messages, and this party version 6");
        assert!(reason.contains(&both), "{reason}");
    }
}

/// A party whose release is years ahead: whoever looks hears of both.
#[test]
fn a_party_that_speaks_nothing_in_common_is_named() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.kill(1);
    let config = Config::read(&sites.config("p1")).unwrap();
    let listener = TcpListener::bind(&sites.addresses[1]).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let arrival = Arrival::hear(socket.unwrap(), Instant::now() + PATIENCE).unwrap();
            let Ok(mut channel) = arrival.accept(&config.identity, config.known()) else { continue };
            let Ok(Greeting { version }) = hear(&mut channel) else { continue };
            // What is lost on the way is another matter.
            let _ = channel.recv(1 << 20);
            let reason = format!(
                "the other side speaks version {version} of the messages, and this party versions 11 to 12"
            );
            let _ = say(&mut channel, &Tell::Refused { code: Code::DifferentVersion, reason });
        }
    });
    let (code, said) = printed(&sites, "client", "status");
    assert_eq!(code, 1, "{said:#}");
    assert_eq!(said["parties"][1]["code"], "different-version");
    let error = said["parties"][1]["error"].as_str().unwrap();
    for part in ["P1", "versions 6 to 10", "versions 11 to 12", "upgrade the older of the two"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    for role in ["client", "p0"] {
        let (code, said) = printed(&sites, role, "doctor");
        assert_eq!(code, 1, "{said:#}");
        let all = said["findings"].as_array().unwrap();
        let found = all.iter().find(|it| it["outcome"] == "failed" && it["party"] == 1).unwrap();
        assert_eq!(found["code"], "different-version", "{found}");
        assert!(found["advice"].as_str().unwrap().contains("upgrade the older of the two"), "{found}");
    }
    let error = sites.predict().unwrap_err();
    assert!(error.contains("versions 6 to 10") && error.contains("versions 11 to 12"), "{error}");
}

#[test]
fn what_a_site_is_to_speak_is_something_that_this_release_speaks() {
    let sites = Sites::new(false);
    let read = |role: &str| Config::read(&sites.config(role));
    assert_eq!(read("p0").unwrap().session.messages, Edition::NEWEST);
    for role in ["p0", "client"] {
        sites.edit(role, "[session]\n", "[session]\nmessages = 6\n");
        assert_eq!(read(role).unwrap().session.messages, Edition::Six);
        sites.edit(role, "messages = 6", "messages = 11");
        let error = read(role).map(drop).unwrap_err().to_string();
        assert!(error.contains("session.messages is 11: this release speaks versions 6 to 10"), "{error}");
    }
}
