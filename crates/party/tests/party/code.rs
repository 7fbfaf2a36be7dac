//! Words and the numbers that stand for them on links.

use cryptflow_party::code::Code;
use cryptflow_party::messages::{Obstacle, SessionError};
use cryptflow_wire::{Kind, LinkOptions, Reason, WireError, local};

/// Other releases know them by these numbers: they stay.
#[test]
fn every_word_has_a_number_of_its_own() {
    for (i, code) in Code::ALL.iter().enumerate() {
        assert_eq!(Code::from(code.kind()), *code);
        assert!(Code::ALL[..i].iter().all(|other| other.kind() != code.kind()), "{code}");
    }
    assert_eq!(Code::Busy.kind(), Kind(16));
    assert_eq!(Code::Failed.kind(), Kind(38));
}

/// An older release says nothing but the text, and a newer one may have numbers that this one does not know.
#[test]
fn what_is_not_known_is_that_somebody_gave_up() {
    for kind in [Kind::UNSAID, Kind(15), Kind(999), Kind(u32::MAX)] {
        assert_eq!(Code::from(kind), Code::Aborted);
    }
}

/// P2 stops for some reason; P1 notices, and P0 hears of it from P2, or from P1 alone: as what it is.
#[test]
fn who_hears_of_an_error_hears_of_which_kind_it_is() {
    let stopped: [(SessionError, Code); 3] = [
        (SessionError::Manifest(Obstacle::Repeated), Code::DifferentSession),
        (SessionError::Outside { owner: "alice".into() }, Code::OutOfBounds),
        (WireError::Silent { peer: "P1".into(), seconds: 30 }.into(), Code::Timeout),
    ];
    for (error, code) in stopped {
        let mut links = local::mesh(3, LinkOptions::default()).unwrap();
        let (p2, p1, p0) = (links.pop().unwrap(), links.pop().unwrap(), links.pop().unwrap());
        p2.to(1).abort(&error);
        let heard = SessionError::from(p1.to(2).recv(1).unwrap_err());
        assert_eq!(Code::from(&heard), code, "{heard}");
        let heard = SessionError::from(p0.to(1).recv(1).unwrap_err());
        assert_eq!(Code::from(&heard), code, "{heard}");
        assert_eq!(heard.to_string(), format!("P1 aborted: P2 aborted: {error}"));
    }
}

/// The text that a person reads is the same with a number and without.
#[test]
fn an_older_release_says_why_in_the_text_alone() {
    let (near, far) = local::pair(LinkOptions::default()).unwrap();
    far.abort(Reason { kind: Kind::UNSAID, text: "the disk is full".into() });
    let heard = SessionError::from(near.recv(1).unwrap_err());
    assert_eq!(Code::from(&heard), Code::Aborted);
    assert_eq!(heard.to_string(), "the other end aborted: the disk is full");
}
