//! In which points two parties differ that must agree.

use std::collections::BTreeMap;

use cryptflow_party::code::Code;
use cryptflow_party::watch::{Standing, compare};

fn standing() -> Standing {
    Standing {
        software: "1".into(),
        policy: Some([1; 32]),
        protocols: vec!["mirror".into(), "porthos".into()],
        models: BTreeMap::from([("a".into(), [1; 32]), ("b".into(), [2; 32])]),
        clock: 0,
    }
}

/// The words and the models of what is found.
fn found(theirs: &Standing, ahead: f64) -> Vec<(Code, Option<String>)> {
    compare(&standing(), theirs, "P1", ahead).into_iter().map(|found| (found.code, found.model)).collect()
}

#[test]
fn what_must_be_alike() {
    let like = standing;
    assert_eq!(found(&like(), 0.0), []);
    // Versions of the program may differ where those of the messages do not; these are compared before.
    assert_eq!(found(&Standing { software: "2".into(), ..like() }, 0.0), []);
    for policy in [None, Some([2; 32])] {
        assert_eq!(found(&Standing { policy, ..like() }, 0.0), [(Code::DifferentPolicy, None)]);
    }
    assert_eq!(found(&Standing { protocols: vec!["porthos".into()], ..like() }, 0.0), []);
    assert_eq!(found(&Standing { protocols: vec![], ..like() }, 0.0), [(Code::WrongProtocol, None)]);
    let models = BTreeMap::from([("b".into(), [3; 32]), ("c".into(), [4; 32])]);
    let expected = [
        (Code::UnknownModel, Some("a".into())),
        (Code::DifferentModel, Some("b".into())),
        (Code::UnknownModel, Some("c".into())),
    ];
    assert_eq!(found(&Standing { models, ..like() }, 0.0), expected);
}

#[test]
fn clocks() {
    for (ahead, said) in
        [(29.0, None), (-29.0, None), (31.0, Some("31 s ahead of")), (-3600.0, Some("3600 s behind"))]
    {
        let found = compare(&standing(), &standing(), "P1", ahead);
        assert_eq!(found.first().map(|found| found.code), said.map(|_| Code::Clock));
        found.iter().zip(said).for_each(|(found, said)| assert!(found.message.contains(said), "{found:?}"));
    }
}
