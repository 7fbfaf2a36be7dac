//! What the list says of every protocol.
#![allow(clippy::unwrap_used)]

use cryptflow_protocols::ProtocolName;

#[test]
fn files_and_users_call_a_protocol_the_same() {
    for &protocol in ProtocolName::ALL {
        let json = serde_json::to_string(&protocol).unwrap();
        assert_eq!(json, format!("{:?}", protocol.name()));
        assert_eq!(protocol.name().parse(), Ok(protocol));
        let facts = protocol.facts();
        assert!(facts.parties >= 2 && !facts.help.is_empty());
        assert!(facts.dealer.is_none_or(|dealer| dealer.index() < facts.parties));
    }
    assert!(ProtocolName::usual().any(|protocol| protocol == ProtocolName::DEFAULT));
}

#[test]
fn unprotected_protocols_are_never_usual() {
    assert!(ProtocolName::usual().all(|protocol| protocol.facts().unprotected.is_none()));
}
