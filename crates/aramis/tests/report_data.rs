//! What the 64 bytes speak of.

use crate::{Binding, Role};

fn binding() -> Binding<'static> {
    Binding {
        version: 1,
        session: [1; 32],
        prover: Role::Party(0),
        verifier: Role::Party(1),
        program: [2; 32],
        policy: [3; 32],
        prover_key: b"prover",
        verifier_key: b"verifier",
        instance_key: &[4; 32],
        exporter: [5; 32],
        nonce: [6; 32],
    }
}

#[test]
fn every_field_counts() {
    let original = binding().report_data();
    let changes: [(&str, fn(&mut Binding<'static>)); 13] = [
        ("version", |b| b.version = 2),
        ("session", |b| b.session[31] ^= 1),
        ("prover", |b| b.prover = Role::Party(2)),
        ("verifier", |b| b.verifier = Role::Client),
        ("both roles", |b| std::mem::swap(&mut b.prover, &mut b.verifier)),
        ("program", |b| b.program[0] ^= 1),
        ("policy", |b| b.policy[0] ^= 1),
        ("prover's key", |b| b.prover_key = b"provex"),
        ("verifier's key", |b| b.verifier_key = b"verifies"),
        ("instance key", |b| b.instance_key = &[7; 32]),
        ("exporter", |b| b.exporter[9] ^= 128),
        ("nonce", |b| b.nonce[9] ^= 128),
        // A byte moves from one field into the next.
        ("where a key ends", |b| (b.prover_key, b.verifier_key) = (b"proverv", b"erifier")),
    ];
    for (what, change) in changes {
        let mut changed = binding();
        change(&mut changed);
        assert_ne!(changed.report_data(), original, "{what}");
    }
    assert_eq!(binding().report_data(), original);
}
