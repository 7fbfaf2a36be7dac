//! Published figures.

use super::*;

#[test]
fn networks_are_found_by_name() {
    assert_eq!(of("densenet121").map(|n| n.bytes), Some(10_536_000_000));
    assert_eq!((title("lenet"), title("own")), ("C: LeNet".into(), "own".into()));
    assert!(place("logreg") < place("resnet50") && place("resnet50") < place("own"));
    for (i, n) in NETWORKS.iter().enumerate() {
        assert_eq!(place(n.name), i, "{} is there twice", n.name);
    }
}
