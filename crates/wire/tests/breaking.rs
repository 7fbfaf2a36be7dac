//! Links that break together.

use super::*;
use crate::local::pair;
use crate::options::LinkOptions;

/// A thread that failed first may have been stopped before it reached every link. A second one
/// that fails must find all of them broken, so that the peers hear the reason, not a good-bye.
#[test]
fn who_fails_second_leaves_no_link_open() {
    let (near, far) = pair(LinkOptions::default()).unwrap();
    let breaker = Breaker::new();
    breaker.tie(&near);
    let first = WireError::GaveUp { reason: "the first reason".into() };
    breaker.0.members.lock().unwrap().failed = Some(first.clone());
    breaker.abort_all("the second");
    drop(near);
    let heard = far.recv(1).unwrap_err();
    assert_eq!(heard, WireError::Aborted { peer: "the other end".into(), reason: "the first reason".into() });
    assert_eq!(breaker.failure(), Some(first));
}

/// What a peer answers to the end of one link may come over another one before that is broken:
/// the party's reason stays the first.
#[test]
fn an_answer_to_the_reason_is_not_a_reason() {
    let (near, _far) = pair(LinkOptions::default()).unwrap();
    let breaker = Breaker::new();
    breaker.tie(&near);
    let first = WireError::GaveUp { reason: "the first reason".into() };
    breaker.0.members.lock().unwrap().failed = Some(first.clone());
    let answer = WireError::Aborted { peer: "P2".into(), reason: "P1 aborted".into() };
    assert_eq!(near.shared().fail(answer), first);
    assert_eq!(near.send(vec![1]).unwrap_err(), first);
}
