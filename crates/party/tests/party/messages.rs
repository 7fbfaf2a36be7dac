//! What must be the same for all who take part in a session.

use cryptflow_party::messages::Manifest;
use cryptflow_protocols::ProtocolName;

#[test]
fn every_field_of_a_manifest_counts() {
    let manifest = Manifest {
        version: 6,
        session: [1; 32],
        program: [2; 32],
        protocol: ProtocolName::Mirror,
        ring_bits: 64,
        deployment: None,
        policy: None,
        client: None,
        check_inputs: true,
    };
    let changes: [fn(&mut Manifest); 12] = [
        |m| m.version += 1,
        |m| m.session[31] ^= 1,
        |m| m.program[31] ^= 1,
        |m| m.protocol = ProtocolName::Porthos,
        |m| m.ring_bits -= 1,
        // Nothing is not the same as zeros, nor is one field another.
        |m| m.deployment = Some([0; 32]),
        |m| m.deployment = Some([1; 32]),
        |m| m.policy = Some([0; 32]),
        |m| m.policy = Some([1; 32]),
        |m| m.client = Some([0; 32]),
        |m| m.client = Some([1; 32]),
        |m| m.check_inputs = false,
    ];
    let changed = changes.map(|change| {
        let mut other = manifest.clone();
        change(&mut other);
        other.digest()
    });
    for (i, digest) in changed.iter().enumerate() {
        assert_ne!(*digest, manifest.digest(), "{i}");
        assert!(!changed[..i].contains(digest), "{i}");
    }
}
