//! The table: `P#` is the party that a fault happens to.

use super::acts;
use super::{Row, Whose};

/// Where it does not matter which.
const ALL: &[usize] = &[0, 1, 2];

pub(super) const PARTIES: &[Row] = &[
    Row {
        fault: "a party is down",
        parties: ALL,
        act: acts::down,
        client: Some((&["unreachable"], &["cannot connect to P#", "refused"])),
        operator: Some((Whose::Others, "not ready: cannot connect to P#")),
        mend: acts::start,
    },
    Row {
        fault: "a party is started while a client asks",
        parties: ALL,
        act: acts::started_late,
        client: None,
        operator: None,
        mend: acts::nothing,
    },
    Row {
        fault: "a party is killed while it computes",
        parties: ALL,
        act: acts::killed,
        client: Some((&["gone"], &["P# closed the connection: it stopped, crashed or was killed"])),
        operator: Some((Whose::Others, "P# closed the connection")),
        mend: acts::start,
    },
    Row {
        fault: "a party stands still",
        parties: ALL,
        act: acts::stopped,
        client: Some((&["unreachable"], &["cannot connect to P#", "stands still"])),
        operator: Some((Whose::Others, "not ready: cannot connect to P#")),
        mend: acts::go_on,
    },
    Row {
        fault: "a party comes to a stand while it computes",
        parties: ALL,
        act: acts::stopped_in_the_middle,
        client: Some((&["timeout"], &["P# has been silent for", "its process or its network stands still"])),
        operator: Some((Whose::Others, "P# has been silent for")),
        mend: acts::go_on,
    },
    Row {
        fault: "a party is told to stop (SIGTERM) while it computes",
        parties: ALL,
        act: acts::told_to_stop,
        client: None,
        operator: Some((Whose::Its, "stopping: 1 sessions have")),
        mend: acts::start_after_its_end,
    },
    Row {
        fault: "a party is told to read its configuration again (SIGHUP) while it computes",
        parties: ALL,
        act: acts::told_to_read,
        client: None,
        operator: Some((Whose::Its, "the configuration was read again")),
        mend: acts::nothing,
    },
    Row {
        fault: "a second process is started on a site",
        parties: ALL,
        act: acts::second_process,
        client: None,
        operator: None,
        mend: acts::nothing,
    },
    Row {
        fault: "a party is of a release that is too old",
        parties: ALL,
        act: acts::another_version,
        client: Some((
            &["different-version"],
            &[
                "P# and this side, which speaks versions",
                "have none in common: upgrade the older",
                "P# says: it speaks version",
            ],
        )),
        operator: Some((Whose::Others, "not ready: P# and this side, which speaks versions")),
        mend: acts::restart,
    },
];

/// They need a library that tells a process another time.
pub(super) const CLOCKS: &[Row] = &[
    Row {
        fault: "a party's clock is ten years ahead",
        parties: ALL,
        act: acts::clock,
        client: None,
        operator: Some((Whose::Others, "the clock of P# is 315")),
        mend: acts::restart,
    },
    Row {
        fault: "a client's clock is ten years ahead",
        parties: ALL,
        act: acts::clock_of_a_client,
        client: None,
        operator: None,
        mend: acts::nothing,
    },
];

/// The same, where parties attest.
pub(super) const CLOCKS_ATTESTED: &[Row] = &[
    Row {
        fault: "with attestation, a party's clock is ten years ahead",
        parties: ALL,
        act: acts::clock,
        client: Some((
            &["evidence"],
            &["the evidence of P# is refused", "is not valid yet", "is this machine's clock right?"],
        )),
        operator: Some((Whose::Others, "the clock of P# is 315")),
        mend: acts::restart,
    },
    Row {
        fault: "with attestation, a client's clock is ten years ahead",
        parties: ALL,
        act: acts::clock_of_a_client,
        client: Some((
            &["evidence"],
            &["the evidence of P# is refused", "has expired", "if this machine's clock is right"],
        )),
        operator: Some((Whose::Its, "refuses: the evidence of P# is refused")),
        mend: acts::nothing,
    },
];

pub(super) const ATTESTED: &[Row] = &[Row {
    fault: "with attestation, a party runs another program",
    parties: ALL,
    act: acts::another_program,
    client: Some((
        &["evidence"],
        &["the evidence of P# is refused", "runs something else than the policy lists"],
    )),
    operator: Some((Whose::Each, "the evidence of P# is refused")),
    mend: acts::restart,
}];

pub(super) const NETWORKS: &[Row] = &[
    Row {
        fault: "a party is cut off",
        parties: ALL,
        act: acts::cut_off,
        client: Some((&["unreachable"], &["cannot connect to P#", "timed out"])),
        operator: Some((Whose::Others, "not ready: cannot connect to P#")),
        mend: acts::reconnect,
    },
    Row {
        fault: "a party is cut off while it computes",
        parties: ALL,
        act: acts::cut_off_in_the_middle,
        client: Some((&["timeout"], &["P# has been silent for", "its process or its network stands still"])),
        operator: Some((Whose::Others, "P# has been silent for")),
        mend: acts::reconnect,
    },
    Row {
        fault: "200 ms there and back, and every hundredth packet lost",
        parties: ALL,
        act: acts::far_and_lossy,
        client: None,
        operator: None,
        mend: acts::near,
    },
];

pub(super) const KEYS: &[Row] = &[
    Row {
        fault: "a client knows a party by another key",
        parties: ALL,
        act: acts::wrong_key_at_the_client,
        client: Some((&["wrong-key"], &["cannot connect to P#", "does not hold the key"])),
        operator: None,
        mend: acts::right_key_at_the_client,
    },
    // P0 calls P1 and P2, and P1 calls P2.
    Row {
        fault: "a party knows one that it calls by another key",
        parties: &[0, 1],
        act: acts::wrong_key_of_the_next,
        client: Some((&["wrong-key"], &["P# aborted: cannot connect to", "does not hold the key"])),
        operator: Some((Whose::Its, "does not hold the key")),
        mend: acts::right_key_at_a_party,
    },
    Row {
        fault: "a party knows one that calls it by another key",
        parties: &[1, 2],
        act: acts::wrong_key_of_the_last,
        client: Some((
            &["key-not-accepted"],
            &["aborted: cannot connect to P#", "it does not accept this key"],
        )),
        operator: Some((Whose::Its, "is not let in: its key is not in this party's configuration")),
        mend: acts::right_key_at_a_party,
    },
    Row {
        fault: "a party does not know a client",
        parties: ALL,
        act: acts::unknown_client,
        client: Some((&["key-not-accepted"], &["P#", "does not accept this key"])),
        operator: Some((Whose::Its, "is not let in")),
        mend: acts::give_back,
    },
    Row {
        fault: "a client's right is taken away while it is served",
        parties: ALL,
        act: acts::revoked,
        client: Some((&["forbidden"], &["the operator of a party has taken this client's right to it away"])),
        operator: Some((Whose::Its, "client bob is gone")),
        mend: acts::give_back,
    },
];

pub(super) const DISKS: &[Row] = &[
    Row {
        fault: "what a party keeps of a model is damaged",
        parties: ALL,
        act: acts::damaged,
        client: Some((&["damaged-model"], &["P#'s part of the weights of", "it was changed"])),
        operator: Some((Whose::Its, "it was changed")),
        mend: acts::deploy_again,
    },
    Row {
        fault: "a party's store is an older one, from a backup",
        parties: ALL,
        act: acts::store_of_yesterday,
        client: None,
        operator: None,
        mend: acts::deploy_again,
    },
    Row {
        fault: "a party's store is lost",
        parties: ALL,
        act: acts::no_store,
        client: Some((&["different-model"], &["P# none"])),
        operator: None,
        mend: acts::deploy_again,
    },
    // What P2 keeps of a model is small.
    Row {
        fault: "a party's disk is full, and a model is deployed",
        parties: &[0, 1],
        act: acts::full_store,
        client: Some((&["storage"], &["P#", "store/tiny.model", "No space left on device"])),
        operator: Some((Whose::Its, "No space left")),
        mend: acts::larger_disk,
    },
    Row {
        fault: "a party's disk is full, and its log cannot be written",
        parties: ALL,
        act: acts::full_disk,
        client: Some((
            &["storage"],
            &["P# refuses: the audit log cannot be written: No space left on device"],
        )),
        operator: Some((Whose::Its, "No space left")),
        mend: acts::room_again,
    },
];

pub(super) const CLIENTS: &[Row] = &[
    Row {
        fault: "a client goes away while it is served",
        parties: ALL,
        act: acts::gone_client,
        client: None,
        operator: Some((Whose::Its, "client alice closed the connection")),
        mend: acts::nothing,
    },
    Row {
        fault: "a client goes away while it deploys",
        parties: ALL,
        act: acts::gone_owner,
        client: None,
        operator: Some((Whose::Its, "client alice closed the connection")),
        mend: acts::nothing,
    },
    Row {
        fault: "a client is cut off while it is served",
        parties: ALL,
        act: acts::client_cut_off,
        client: None,
        operator: Some((Whose::Its, "client alice closed the connection")),
        mend: acts::nothing,
    },
    Row {
        fault: "a client's line is slow",
        parties: ALL,
        act: acts::slow_client,
        client: None,
        operator: None,
        mend: acts::nothing,
    },
    Row {
        fault: "a hundred clients ask at once",
        parties: ALL,
        act: acts::a_hundred,
        client: None,
        operator: None,
        mend: acts::nothing,
    },
];
