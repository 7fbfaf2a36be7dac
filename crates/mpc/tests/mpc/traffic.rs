//! Sums and rows of what goes between parties.

use cryptflow_mpc::{Party, Traffic};

#[test]
fn sums_have_as_many_parties_as_the_larger() {
    let two = Traffic::from([[0, 1], [2, 0]]);
    let three = Traffic::from([[0, 10, 20], [30, 0, 40], [50, 60, 0]]);
    for (mut a, b) in [(two.clone(), &three), (three.clone(), &two)] {
        a += b;
        assert_eq!(a, Traffic::from([[0, 11, 20], [32, 0, 40], [50, 60, 0]]));
        a -= &two;
        assert_eq!((&a, a.total()), (&three, 210));
    }
    let mut none = Traffic::NONE;
    none += &two;
    assert_eq!((&none, none.parties()), (&two, 2));
    assert_eq!(Traffic::NONE, Traffic::from([[0; 3]; 3]));
    assert_ne!(two, Traffic::NONE);
}

#[test]
fn what_one_party_sends_is_its_row() {
    let traffic = Traffic::sent_by(Party::P1, &[7, 0, 9]);
    assert_eq!(traffic, Traffic::from([[0; 3], [7, 0, 9], [0; 3]]));
    assert_eq!(traffic.sent(Party::P1), [7, 0, 9]);
    assert_eq!((traffic.between(Party::P1, Party::P2), traffic.between(Party::new(5), Party::P0)), (9, 0));
    assert!(Traffic::NONE.sent(Party::P0).is_empty());
    // Who is not among the receivers sends nothing.
    assert_eq!(Traffic::sent_by(Party::new(3), &[1, 2, 3]), Traffic::NONE);
}
