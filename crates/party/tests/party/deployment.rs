//! Names and digests of deployments.

use cryptflow_party::deployment::{Deployment, check_name};
use cryptflow_protocols::ProtocolName;

#[test]
fn names_are_plain() {
    for good in ["resnet50", "a", "A-b_c.1", &"x".repeat(64)] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", ".hidden", "a/b", "../a", "a b", "ä", "a\n", &"x".repeat(65)] {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_digest_speaks_of_everything_but_the_name() {
    let deployment = Deployment {
        name: "a".into(),
        program: "p".into(),
        protocol: ProtocolName::Mirror,
        commitments: vec![[1; 32], [2; 32], [3; 32]],
    };
    let changed = |change: fn(&mut Deployment)| {
        let mut other = deployment.clone();
        change(&mut other);
        other.digest()
    };
    assert_eq!(deployment.digest(), changed(|d| d.name = "b".into()));
    assert_ne!(deployment.digest(), changed(|d| d.program.push(' ')));
    assert_ne!(deployment.digest(), changed(|d| d.protocol = ProtocolName::Porthos));
    for i in 0..3 {
        let mut other = deployment.clone();
        other.commitments[i][0] ^= 1;
        assert_ne!(deployment.digest(), other.digest());
    }
}
