//! Plans of comparison trees.

use crate::Tuning;
use crate::tree::Tree;

fn leaves(sizes: &[u32]) -> Tree {
    Tree::Branch(sizes.iter().map(|&s| Tree::Leaf(s)).collect())
}

/// The plans and bits of the specification (dealt plus twice the opened ones).
#[test]
fn costs_of_the_specified_plans() {
    let two_levels = Tree::Branch(vec![leaves(&[3, 3, 3]), leaves(&[3, 3, 3]), leaves(&[3, 2])]);
    let three_levels = Tree::Branch(vec![
        Tree::Branch(vec![leaves(&[3, 3, 3]), leaves(&[3, 3]), leaves(&[3, 3])]),
        Tree::Leaf(2),
    ]);
    let wide = Tree::Branch(vec![leaves(&[4, 3, 3]), leaves(&[3, 3, 3]), leaves(&[3, 3]), leaves(&[3, 3])]);
    for (plan, bits, total, rounds) in [
        (two_levels, 23, 104, 2),
        (three_levels, 23, 99, 3),
        (leaves(&[5, 5, 5, 4, 4]), 23, 176, 1),
        (wide, 31, 152, 2),
    ] {
        let cost = plan.cost();
        assert_eq!(
            (plan.bits(), cost.shared + cost.dealt + 2 * cost.opened, cost.rounds),
            (bits, total, rounds),
            "{plan:?}"
        );
    }
}

#[test]
fn the_search_finds_plans_at_least_as_good() {
    let rounds_free = Tuning { bits_per_round: 0, ..Tuning::USUAL };
    for (bits, at_most) in [(23, 99), (31, 140), (1, 1), (2, 3), (63, 310)] {
        let plan = Tree::best(bits, 1 << 20, 1, rounds_free);
        let cost = plan.cost();
        assert_eq!(plan.bits(), bits);
        assert!(
            cost.shared + cost.dealt + 2 * cost.opened <= at_most,
            "{bits} bits: {plan:?} costs {cost:?}"
        );
    }
    let rounds_dear = Tree::best(23, 1, 1, Tuning::default());
    assert_eq!(rounds_dear.height(), 1, "{rounds_dear:?}");
    let cost = rounds_dear.cost();
    assert!(cost.shared + cost.dealt + 2 * cost.opened <= 176);
}

/// Where dealing is weighed by how long it occupies P2's links, more of it is spent on a round than its traffic is worth, as long as these
/// links keep up; and none where rounds cost nothing.
#[test]
fn dealing_beside_rounds_is_cheaper_than_traffic() {
    let height = |bits_per_round, deals_beside, len| {
        Tree::best(18, len, 1, Tuning { bits_per_round, deals_beside, ..Tuning::USUAL }).height()
    };
    for (len, by_traffic, beside) in [(25_000, 1, 1), (200_000, 2, 1), (800_000, 2, 2)] {
        assert_eq!(
            (height(4_000_000, false, len), height(4_000_000, true, len)),
            (by_traffic, beside),
            "{len}"
        );
    }
    assert!(height(0, true, 800_000) > 1);
}

#[test]
fn thresholds_share_their_leaves() {
    let rounds_free = Tuning { bits_per_round: 0, ..Tuning::USUAL };
    let cost = |plan: &Tree, thresholds: u64| {
        let c = plan.cost();
        c.shared + thresholds * (c.dealt + 2 * c.opened)
    };
    let alone = Tree::best(23, 1 << 20, 1, rounds_free);
    for thresholds in [2, 7, 16, 100] {
        let together = Tree::best(23, 1 << 20, thresholds as usize, rounds_free);
        assert!(cost(&together, thresholds) <= cost(&alone, thresholds), "{thresholds}: {together:?}");
        assert!(cost(&together, thresholds) < thresholds * cost(&alone, 1), "{thresholds}: {together:?}");
    }
    assert!(Tree::best(23, 1 << 20, 16, rounds_free).height() < alone.height(), "larger leaves save rounds");
}

#[test]
fn every_width_has_a_plan() {
    for bits in 1..=63 {
        for (len, thresholds) in [(1, 1), (1000, 7), (1 << 22, 1), (1 << 14, 4000)] {
            assert_eq!(Tree::best(bits, len, thresholds, Tuning::default()).bits(), bits);
        }
    }
}
