//! How many runs at once fit a party's limits.

use cryptflow_party::limits::Limits;
use cryptflow_program::{
    Checked, Demand, Input, Operation, Output, Program, Step, Value, ValueId, demand, liveness, repeat,
    validate,
};

/// A program that doubles so many elements.
fn program(elements: usize) -> Checked {
    let value = |name: &str, high: i64| Value {
        name: name.into(),
        shape: vec![elements],
        scale: 8,
        low: -high,
        high,
        wide: true,
        ring: None,
    };
    let mut program = Program {
        version: 1,
        name: "doubled".into(),
        ring_bits: 40,
        scale: 8,
        batch: Default::default(),
        bits_per_round: None,
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -0.25,
            high: 0.25,
            preprocessing: Default::default(),
            factors: Vec::new(),
            classes: None,
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: ValueId(1),
            transform: None,
            digits: None,
            equal: 0,
            classes: None,
        }],
        guard: None,
        values: vec![value("x", 64), value("y", 128)],
        weights: Vec::new(),
        steps: vec![Step {
            name: "y".into(),
            operation: Operation::Add,
            inputs: vec![ValueId(0); 2],
            output: ValueId(1),
            last_uses: Vec::new(),
        }],
    };
    liveness::fill_last_uses(&mut program);
    validate(program).unwrap()
}

#[test]
fn runs_at_once_stay_within_limits_and_share() {
    let (small, large) = (program(10), program(1 << 20));
    let Demand { memory, held, work } = demand(&large);
    let each = memory - held;
    let plenty = Limits { memory: u64::MAX, work: u64::MAX };
    // (program, limits, the session's share of the memory, how many at once)
    let table = [
        (&small, plenty, u64::MAX, 256),
        (&small, Limits { work: demand(&small).work * 7, ..plenty }, u64::MAX, 7),
        (&large, plenty, u64::MAX, (256 << 20) / each),
        (&large, plenty, held + 2 * each, 2),
        (&large, plenty, held + 2 * each - 1, 1),
        (&large, Limits { memory: held + 2 * each, ..plenty }, u64::MAX, 2),
        (&large, Limits { work: 3 * work - 1, ..plenty }, u64::MAX, 2),
        // What is admitted runs one batch at least.
        (&large, plenty, 0, 1),
        (&large, Limits { work: 0, ..plenty }, u64::MAX, 1),
    ];
    for (index, (program, limits, share, expected)) in table.into_iter().enumerate() {
        let found = limits.at_once(program, share);
        assert_eq!(found.runs as u64, expected, "row {index}");
        // What is set aside for a session is what so many runs demand.
        let all = repeat(program, found.runs).unwrap();
        assert!(demand(all.program()).memory <= found.memory, "row {index}: {found:?}");
        assert!(found.runs == 1 || found.memory <= share.min(limits.memory), "row {index}: {found:?}");
        assert!(found.runs == 1 || demand(all.program()).work <= limits.work, "row {index}: {found:?}");
    }
}
