//! Which messages two speak to each other, as whoever asks finds out.

use std::cell::RefCell;

use cryptflow_party::code::Code;
use cryptflow_party::edition::{Edition, Spoken, spoken};
use cryptflow_party::messages::SessionError;
use cryptflow_wire::WireError;

fn refused(edition: Edition) -> SessionError {
    let reason = format!("not {edition}");
    SessionError::Refused { peer: "P1".into(), code: Code::DifferentVersion, reason }
}

fn gone() -> SessionError {
    SessionError::Wire(WireError::Closed { peer: "P1".into() })
}

/// Asks a party that speaks these; what was said to it (a probe is a negative number), and how it ended.
fn ask(known: &Spoken, most: Edition, theirs: &[Edition]) -> (Vec<i64>, Result<Edition, SessionError>) {
    ask_one(known, most, |edition| if theirs.contains(&edition) { Ok(()) } else { Err(refused(edition)) })
}

fn ask_one(
    known: &Spoken,
    most: Edition,
    party: impl Fn(Edition) -> Result<(), SessionError>,
) -> (Vec<i64>, Result<Edition, SessionError>) {
    let said = RefCell::new(Vec::new());
    let probe = |edition: Edition| {
        said.borrow_mut().push(-i64::from(edition.number()));
        party(edition)
    };
    let asked = known.ask(("P1", "host:1"), most, probe, |edition| {
        said.borrow_mut().push(i64::from(edition.number()));
        party(edition).map(|()| edition)
    });
    (said.take(), asked)
}

#[test]
fn the_numbers_are_those_that_are_released() {
    let numbers: Vec<u32> = Edition::ALL.iter().map(|edition| edition.number()).collect();
    assert_eq!(numbers, [6, 7, 8, 9, 10]);
    assert_eq!((Edition::OLDEST.number(), Edition::NEWEST.number()), (6, 10));
    for edition in Edition::ALL {
        assert_eq!(Edition::of(edition.number()), Some(*edition));
        assert_eq!(spoken(edition.number(), *edition), Ok(*edition));
    }
    assert_eq!((Edition::of(5), Edition::of(11)), (None, None));
    assert!(spoken(7, Edition::Six).unwrap_err().to_string().contains("this party version 6: "));
}

#[test]
fn what_was_found_is_not_asked_again() {
    let (six, seven) = (Edition::Six, Edition::Seven);
    let known = Spoken::default();
    let asked = |most, theirs: &[Edition]| {
        let (said, asked) = ask(&known, most, theirs);
        (said, asked.unwrap())
    };
    assert_eq!(known.by("host:1"), None);
    assert_eq!(asked(seven, &[six]), (vec![7, -6, 6], six));
    assert_eq!(asked(seven, &[six]), (vec![6], six));
    // It is upgraded to one that speaks both, and to one that does not speak the older any more.
    assert_eq!(asked(seven, &[six, seven]), (vec![6], six));
    assert_eq!(asked(seven, &[seven]), (vec![6, -7, 7], seven));
    assert_eq!(asked(seven, &[seven]), (vec![7], seven));
    // And back.
    assert_eq!(asked(seven, &[six]), (vec![7, -6, 6], six));
    assert_eq!(known.by("host:1"), Some(six));
    assert_eq!(known.by("host:2"), None);
    // Whoever is pinned says nothing newer.
    assert_eq!(asked(six, &[six, seven]), (vec![6], six));
}

#[test]
fn a_party_that_was_away_may_be_another_one() {
    let known = Spoken::default();
    ask(&known, Edition::Seven, &[Edition::Six]).1.unwrap();
    let away = || WireError::Connect { peer: "P1".into(), reason: "nobody listens".into() };
    let (said, asked) = ask_one(&known, Edition::Seven, |_| Err(away().into()));
    assert!(matches!(asked, Err(SessionError::Wire(WireError::Connect { .. }))), "{asked:?}");
    assert_eq!((said, known.by("host:1")), (vec![6], None));
    assert_eq!(ask(&known, Edition::Seven, &[Edition::Seven]).0, [7]);
}

/// Another refusal is an answer: whoever refuses that has understood the greeting.
#[test]
fn who_refuses_something_else_is_not_asked_again() {
    let known = Spoken::default();
    let (said, asked) = ask_one(&known, Edition::Seven, |_| {
        Err(SessionError::Refused { peer: "P1".into(), code: Code::Forbidden, reason: "no".into() })
    });
    assert!(matches!(asked, Err(SessionError::Refused { code: Code::Forbidden, .. })), "{asked:?}");
    assert_eq!((said, known.by("host:1")), (vec![7], Some(Edition::Seven)));
}

/// A refusal may be lost on its way: whether it was one is asked without asking anything twice that was heard.
#[test]
fn a_connection_that_closes_may_have_been_a_refusal() {
    let (six, seven) = (Edition::Six, Edition::Seven);
    let closes = |edition| if edition == six { Ok(()) } else { Err(gone()) };
    let known = Spoken::default();
    let (said, asked) = ask_one(&known, seven, closes);
    assert_eq!((said, asked.unwrap(), known.by("host:1")), (vec![7, -7, -6, 6], six, Some(six)));

    // One that speaks what it was greeted with, and went in the middle.
    let (known, first) = (Spoken::default(), std::cell::Cell::new(true));
    let goes = |_| if first.replace(false) { Err(gone()) } else { Ok(()) };
    let (said, asked) = ask_one(&known, seven, goes);
    assert!(matches!(asked, Err(SessionError::Wire(_))), "{asked:?}");
    assert_eq!((said, known.by("host:1")), (vec![7, -7], Some(seven)));

    // One that closes whatever is said to it.
    let (said, asked) = ask_one(&known, seven, |_| Err(gone()));
    assert!(matches!(asked, Err(SessionError::Wire(_))), "{asked:?}");
    assert_eq!((said, known.by("host:1")), (vec![7, -7, -6], None));
}

#[test]
fn who_speaks_nothing_in_common_is_named_with_this_side() {
    let known = Spoken::default();
    for _ in 0..2 {
        let (said, asked) = ask(&known, Edition::Seven, &[]);
        assert_eq!(said, [7, -6]);
        let error = asked.unwrap_err();
        assert_eq!(Code::from(&error), Code::DifferentVersion);
        for part in ["P1", "versions 6 to 7", "P1 says: not 6", "upgrade the older"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    let error = ask(&known, Edition::Six, &[Edition::Seven]).1.unwrap_err().to_string();
    assert!(error.contains("which speaks version 6 of the messages"), "{error}");
}
