//! What pairs of runs say.

use super::*;

/// Pairs with these ratios, of old runs that get slower and slower, as on a machine that others use.
fn pairs(ratios: &[f64]) -> Vec<[f64; 2]> {
    ratios.iter().enumerate().map(|(i, ratio)| [1.0 + i as f64, (1.0 + i as f64) * ratio]).collect()
}

#[test]
fn what_may_be_left_out() {
    // Twice the probability that at most so many of n coins show heads, by hand.
    let table = [(6, 0), (7, 0), (8, 0), (9, 1), (10, 1), (11, 1), (12, 2), (15, 3), (20, 5), (100, 39)];
    for (values, expected) in table {
        assert_eq!(outside(values), expected, "{values}");
    }
}

#[test]
fn verdicts() {
    // A pair or two that go the other way prove nothing among many; of few, none may.
    let table: [(&[f64], Verdict); 7] = [
        (&[0.8, 0.9, 0.7, 0.8, 0.9, 0.95], Verdict::Less),
        (&[0.8, 0.9, 0.7, 0.8, 0.9, 1.05], Verdict::Open),
        (&[0.8, 0.9, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 1.5], Verdict::Less),
        (&[0.8, 0.9, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 1.2, 1.5], Verdict::Open),
        (&[1.1, 1.2, 1.1, 1.2, 1.1, 1.2, 1.4], Verdict::More),
        (&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], Verdict::Open),
        (&[0.9, 1.1, 0.9, 1.1, 0.9, 1.1], Verdict::Open),
    ];
    for (ratios, expected) in table {
        let judgement = Judgement::of(&pairs(ratios)).unwrap();
        assert_eq!(judgement.verdict, expected, "{ratios:?}: {judgement}");
        let [low, high] = judgement.interval;
        assert!(low <= judgement.ratio && judgement.ratio <= high, "{judgement}");
        assert_eq!(judgement.pairs, ratios.len());
    }
    let said = Judgement::of(&pairs(&[0.5; 6])).unwrap().to_string();
    assert_eq!(said, "0.500 of the old (half of 6 pairs from 0.500 to 0.500; 95 %: 0.500 to 0.500): less");
}

#[test]
fn too_few_pairs_and_nothing_measured_are_no_judgement() {
    assert_eq!(Judgement::of(&pairs(&[0.5; 5])), None);
    assert_eq!(Judgement::of(&[[0.0, 1.0]; 6]), None);
    assert_eq!(Judgement::of(&[[1.0, 0.0]; 6]), None);
    assert_eq!(Judgement::of(&[]), None);
}
