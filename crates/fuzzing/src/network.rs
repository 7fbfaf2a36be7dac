//! What others send.

use std::path::Path;

use cryptflow_mirror::MirrorOwner;
use cryptflow_mpc::Owner;
use cryptflow_party::attested::Statement;
use cryptflow_party::code::Code;
use cryptflow_party::commitments::Told;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Greeting, Status, Tell};
use cryptflow_party::holding::Held;
use cryptflow_party::messages::{BatchRecord, Manifest, Reply, Request};
use cryptflow_party::mode::Mode;
use cryptflow_party::stock::Stocked;
use cryptflow_party::versions::{Content, Kept, Model, Version};
use cryptflow_party::watch::Standing;
use cryptflow_porthos::PorthosOwner;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::fuzzing;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn frames(bytes: &[u8], _: &Path) {
    fuzzing::frames(bytes, 1 << 34);
}

fn frame(kind: u8, clock: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(clock.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn frame_streams() -> Vec<Vec<u8>> {
    vec![
        [frame(1, 1, b"message"), frame(4, 0, b""), frame(1, 9, &[0; 300]), frame(3, 9, b"")].concat(),
        [frame(1, 1, b""), frame(2, 2, "the reason: \u{1b}[2J".as_bytes())].concat(),
    ]
}

pub(crate) fn hello(bytes: &[u8], _: &Path) {
    fuzzing::route(bytes);
    if let Some(bytes) = bytes.first_chunk() {
        let _ = fuzzing::hello(bytes);
    }
}

pub(crate) fn hellos() -> Vec<Vec<u8>> {
    let route = [&b"cryptflow/1/"[..], "0123456789abcdef".repeat(2).as_bytes()].concat();
    let hellos = (0..4).map(|role| [&b"CRYPTFLO\x01\x00"[..], &[role], &[7; 32]].concat());
    hellos.chain([route]).collect()
}

/// Reads a message. What was read and is written again is read as the same.
fn hear<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(message) = postcard::from_bytes::<T>(bytes) {
        let written = postcard::to_stdvec(&message).unwrap();
        let again = postcard::from_bytes::<T>(&written).unwrap();
        assert_eq!(postcard::to_stdvec(&again).unwrap(), written);
    }
}

pub(crate) fn greetings(bytes: &[u8], _: &Path) {
    hear::<Greeting>(bytes);
    hear::<Ask>(bytes);
    hear::<Tell>(bytes);
}

fn manifest() -> Manifest {
    Manifest {
        version: Edition::NEWEST.number(),
        session: [1; 32],
        program: [2; 32],
        protocol: ProtocolName::Mirror,
        ring_bits: 50,
        deployment: Some([3; 32]),
        policy: None,
        client: Some([4; 32]),
        check_inputs: true,
    }
}

fn said(message: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(message).unwrap()
}

pub(crate) fn greeting_messages() -> Vec<Vec<u8>> {
    let deployment = Deployment {
        name: "m".into(),
        program: "{}".into(),
        protocol: ProtocolName::Porthos,
        commitments: vec![[1; 32]; 3],
    };
    let status = Status {
        software: "0.1.0".into(),
        index: 1,
        name: "clinic".into(),
        client: "alice".into(),
        may: vec!["predict".into()],
        models: vec![("m".into(), "mirror".into(), "00".into())],
        protocols: vec!["mirror".into()],
        sessions: (1, 2),
        waiting: 0,
        uptime: 77,
        policy: Some([5; 32]),
        hardware: None,
        causes: Some(vec![(Some(2), Code::Unreachable, "nobody listens".into())]),
    };
    let standing = Standing {
        software: "0.1.0".into(),
        policy: Some([6; 32]),
        protocols: vec!["mirror".into()],
        models: [("m".into(), [7; 32])].into(),
        clock: 1 << 40,
    };
    let held = vec![Held { deployment: [1; 32], certificate: vec![2; 90], signature: vec![3; 70] }; 3];
    let version = Version {
        generation: 3,
        content: Content::Deployed { digest: [1; 32], protocol: ProtocolName::Mirror, bytes: 407 },
        time: 1,
        client: "alice".into(),
        owner: [4; 32],
        held: held.clone(),
    };
    let kept = Kept { version, committed: true, trouble: Some("it is short".into()) };
    vec![
        said(&Greeting { version: Edition::NEWEST.number() }),
        said(&Ask::Describe { name: "m".into(), deployment: [9; 32] }),
        said(&Ask::Deploy {
            generation: 3,
            deployment: deployment.clone(),
            salts: vec![[7; 32]; 2],
            lengths: vec![400, 0, 7],
            replace: true,
        }),
        said(&Ask::Commit { name: "m".into(), generation: 3, held: held.clone() }),
        said(&Ask::Settle { name: "m".into(), common: vec![3, 2] }),
        said(&Ask::Open { name: "m".into(), manifest: manifest(), wait: true }),
        said(&Ask::OpenAs {
            name: "m".into(),
            manifest: manifest(),
            mode: Mode::Dealt { stock: [7; 32] },
            wait: true,
        }),
        said(&Ask::Dealt { name: Some("m".into()) }),
        said(&Tell::Dealt(vec![Stocked {
            model: "m".into(),
            deployment: [3; 32],
            stock: [7; 32],
            bytes: 1 << 20,
            found: Err("it is a copy".into()),
        }])),
        said(&Tell::Status(Box::new(status))),
        said(&Tell::Model(Box::new(deployment))),
        said(&Tell::Versions(vec![Model { name: "m".into(), versions: Ok(vec![kept]) }])),
        said(&Ask::Probe { up: 3, down: 4 }),
        said(&Ask::Standing),
        said(&Tell::Standing(Box::new(standing))),
        said(&Tell::Refused { code: Code::Forbidden, reason: "no".into() }),
    ]
}

pub(crate) fn messages(bytes: &[u8], _: &Path) {
    hear::<Request>(bytes);
    hear::<Reply>(bytes);
    hear::<Statement>(bytes);
    hear::<cryptflow_aramis::Evidence>(bytes);
}

pub(crate) fn session_messages() -> Vec<Vec<u8>> {
    let record = BatchRecord { seconds: 0.5, rounds: 9, sent: vec![1, 2, 3], steps: Vec::new(), check: None };
    let statement = Some(Box::default());
    let told = Told { commitments: vec![[8; 32]; 3], salts: vec![[9; 32]; 2] };
    vec![
        said(&Request::Setup { manifest: manifest(), program: "{}".into() }),
        said(&Request::Inputs { told: told.clone() }),
        said(&Request::Weights { told }),
        said(&Request::Go),
        said(&Request::Deal { runs: 7 }),
        said(&Reply::Dealt { run: 3 }),
        said(&Request::AtOnce { runs: 3 }),
        said(&Reply::ReadyFor { runs: 3 }),
        said(&Reply::Progress { step: 3 }),
        said(&Reply::Outputs { parts: vec![vec![1, 2, 3].into(), Vec::new().into()], record, statement }),
        said(&Reply::Finished { peak_rss: Some(1 << 30) }),
        said(&Statement::default()),
        said(&cryptflow_aramis::Evidence::Sgx { quote: vec![3; 40] }),
    ]
}

/// Three parties' parts of an output, each behind its length.
pub(crate) fn opened(bytes: &[u8], _: &Path) {
    let mut rest = bytes;
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
        let (part, after) = after.split_at(usize::from(u16::from_le_bytes(*length)).min(after.len()));
        rest = after;
        part
    };
    let parts = [part(), part(), part()];
    for len in [0, 1, 5, 64] {
        let _ = MirrorOwner::new(50).open(len, &parts);
        let _ = PorthosOwner::new(64).open(len, &parts);
    }
}

pub(crate) fn output_parts() -> Vec<Vec<u8>> {
    let parts = |lengths: [usize; 3], first: u8| {
        lengths
            .iter()
            .flat_map(|&n| [(n as u16).to_le_bytes().to_vec(), vec![first; n]].concat())
            .collect::<Vec<u8>>()
    };
    // One byte of width and five words of 50 bits; five words of 64 bits.
    vec![parts([33, 33, 0], 50), parts([40, 40, 0], 3), parts([40, 40, 40], 3), parts([2, 2, 2], 8)]
}
