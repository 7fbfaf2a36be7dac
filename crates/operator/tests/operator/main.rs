//! What the operator's port says of a state; the port itself is tested with real parties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use cryptflow_operator::{Cause, Party, Peer, Port, State, Token, Totals, metrics};

fn state() -> State {
    State {
        party: Party { index: 1, version: "1.0 \"quoted\"\\\n".into(), ..Party::default() },
        peers: vec![
            Peer { index: 0, reached: true, rtt: Some(0.25), clock: Some(-1.5), ..Peer::default() },
            Peer { index: 2, ..Peer::default() },
        ],
        totals: Totals {
            ended: BTreeMap::from([("finished", 3), ("gone", 1)]),
            sent: BTreeMap::from([(0, 17), (2, 1 << 60)]),
            ..Totals::default()
        },
        ..State::default()
    }
}

#[test]
fn every_line_of_metrics_is_well_formed() {
    let text = metrics(&state());
    let (mut family, mut families) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().into();
            assert!(!families.contains(&family), "{family} comes twice");
            families.push(family.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            assert!(line.starts_with(&family), "{line} is not of {family}");
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    let lines = [
        "cryptflow_info{party=\"1\",version=\"1.0 \\\"quoted\\\"\\\\\\n\"} 1",
        "cryptflow_peer_reached{peer=\"P0\"} 1",
        "cryptflow_peer_reached{peer=\"P2\"} 0",
        "cryptflow_peer_rtt_seconds{peer=\"P0\"} 0.25",
        "cryptflow_peer_clock_seconds{peer=\"P0\"} -1.5",
        "cryptflow_sessions_ended_total{outcome=\"gone\"} 1",
        "cryptflow_sent_bytes_total{peer=\"P2\"} 1152921504606846976",
        "cryptflow_ready 1",
    ];
    lines
        .iter()
        .for_each(|line| assert!(text.lines().any(|other| other == *line), "{line} is not in {text}"));
    let not_ready = State { causes: vec![Cause::default()], ..state() };
    assert!(metrics(&not_ready).contains("\ncryptflow_ready 0\n"));
}

#[test]
fn who_may_listen_where() {
    let open = |address: &str, token: Option<&Token>| Port::open(address, token.cloned()).map(drop);
    open("127.0.0.1:0", None).unwrap();
    open("[::1]:0", None)
        .or_else(|error| if error.to_string().contains("os error") { Ok(()) } else { Err(error) })
        .unwrap();
    let error = open("0.0.0.0:0", None).unwrap_err().to_string();
    assert!(error.contains("operator.token"), "{error}");
    open("127.0.0.1", None).unwrap_err();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    for (text, good) in [
        ("", false),
        ("too-short", false),
        ("0123456789abcdef0123\n", true),
        ("0123456789 abcdef 0123", false),
        ("0123456789abcdef0123\n0123456789abcdef0123", false),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(Token::read(&path).is_ok(), good, "{text:?}");
    }
    std::fs::write(&path, "0123456789abcdef0123").unwrap();
    let token = Token::read(&path).unwrap();
    assert!(!format!("{token:?}").contains("0123"));
    open("0.0.0.0:0", Some(&token)).unwrap();
}
