//! What the secrecy suite rests on: ledgers, planted faults, distance from uniform bytes.

use std::collections::BTreeMap;

use cryptflow_conformance::secrecy::{Fault, Ledger, TOO_FAR, Watched, covers, far_from_uniform};
use cryptflow_mpc::Party;
use cryptflow_mpc::stream::Source;

#[test]
fn bytes_that_are_not_uniform_are_far_from_it() {
    let bytes = |seed: u8| {
        let mut bytes = vec![0; 20_000];
        cryptflow_ring::Prf::new([seed; 16]).fill_bytes(0, 0, &mut bytes);
        bytes
    };
    type Bug = fn(u8) -> u8;
    // (what becomes of uniform bytes, the alphabet, whether they are uniform on it)
    let table: [(Bug, usize, bool); 6] = [
        (|b| b, 256, true),
        (|b| b, 127, false),
        (|b| b & 0x7f, 128, true),
        (|b| b & 0xfe, 256, false),
        (|b| if b < 40 { 0 } else { b }, 256, false),
        (|b| b % 127, 127, true),
    ];
    for (i, (bug, values, uniform)) in table.into_iter().enumerate() {
        let far = far_from_uniform(bytes(i as u8).into_iter().map(bug), 0..values);
        // 256 bytes modulo 127 are two of each value, and two more.
        assert_eq!(far < TOO_FAR, uniform, "{i}: {far}");
    }
}

fn drawn(ranges: &[(u64, u64, usize)]) -> Result<Ledger, String> {
    let source = Watched::new([1; 16], Fault::None);
    for &(stream, first, len) in ranges {
        source.words(stream, first, &mut vec![0; len]);
    }
    source.ledger()
}

#[test]
fn a_word_that_is_drawn_twice_is_found() {
    let ledger = drawn(&[(3, 8, 8), (3, 0, 8), (4, 4, 8), (5, 9, 0)]).unwrap();
    assert_eq!(ledger, Ledger::from([(3, vec![(0, 16)]), (4, vec![(4, 12)])]));
    for twice in [(3, 15, 1), (3, 0, 1), (3, 0, 100)] {
        assert!(drawn(&[(3, 0, 8), (3, 8, 8), twice]).unwrap_err().contains("stream 3"), "{twice:?}");
    }
}

#[test]
fn a_ledger_covers_what_lies_in_it() {
    let more = drawn(&[(1, 0, 10), (1, 20, 10), (2, 0, 1)]).unwrap();
    // (drawn, whether it is covered)
    for (range, covered) in [((1, 3, 7), true), ((1, 20, 10), true), ((1, 5, 20), false), ((3, 0, 1), false)]
    {
        assert_eq!(covers(&more, &drawn(&[range]).unwrap()), covered, "{range:?}");
    }
}

#[test]
fn faults_are_in_their_stream_alone() {
    let words = |fault, stream| {
        let mut out = [0; 4];
        Watched::with_words([1; 16], fault, BTreeMap::from([(2, vec![5])])).words(stream, 0, &mut out);
        out
    };
    let (key, stream) = (Party::P0, 1);
    let clean = |stream| words(Fault::None, stream);
    assert_eq!(clean(2)[0], 5);
    assert_eq!(words(Fault::Forgotten { key, stream }, 1), [0x0101_0101_0101_0101; 4]);
    assert_eq!(words(Fault::Repeated { key, stream, other: 3 }, 1), clean(3));
    assert_eq!(words(Fault::Skewed { key, stream }, 1), clean(1).map(|w| w & 0x3f3f_3f3f_3f3f_3f3f));
    for fault in [Fault::Forgotten { key, stream }, Fault::Skewed { key, stream }] {
        assert_eq!(words(fault, 3), clean(3));
        assert_eq!((fault.of(Party::P0), fault.of(Party::P1)), (fault, Fault::None));
    }
}
