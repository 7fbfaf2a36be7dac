//! The compiler's runner: several examples at once have the answers that each has alone.

use cryptflow::clear_runner::ClearRunner;
use cryptflow_athos::fix::FixedRunner;
use cryptflow_program::{
    Batch, Input, OLDEST, Operation, Output, Preprocessing, Program, ScalePublic, Step, Value, ValueId,
    liveness, validate,
};

/// Doubles the first of two inputs, adds the second one, again and again; what that comes to is there rounded as well.
fn chain(steps: usize) -> Program {
    let value = |name: String| Value {
        name,
        shape: vec![1, 3],
        scale: 0,
        low: -(1 << 40),
        high: 1 << 40,
        wide: true,
        ring: None,
    };
    let input = |name: &str, value: usize| Input {
        name: name.into(),
        value: ValueId(value),
        low: -9.0,
        high: 9.0,
        preprocessing: Preprocessing::default(),
        factors: Vec::new(),
        classes: None,
    };
    let output = |name: &str, value: usize| Output {
        name: name.into(),
        value: ValueId(value),
        transform: None,
        digits: None,
        equal: 0,
        classes: None,
    };
    let mut program = Program {
        version: OLDEST,
        name: "chain".into(),
        ring_bits: 64,
        scale: 0,
        batch: Batch::default(),
        bits_per_round: None,
        inputs: vec![input("a", 0), input("b", 1)],
        outputs: Vec::new(),
        guard: None,
        values: (0..2).map(|i| value(format!("in {i}"))).collect(),
        weights: Vec::new(),
        steps: Vec::new(),
    };
    for index in 0..steps {
        let output = ValueId(program.values.len());
        let other = if index % 2 == 0 { 1 } else { 0 };
        let (name, inputs) = (format!("step {index}"), vec![ValueId(output.0 - 1), ValueId(other)]);
        program.values.push(value(name.clone()));
        program.steps.push(Step { name, operation: Operation::Add, inputs, output, last_uses: Vec::new() });
    }
    // A step that rounds what was added up.
    let x = ValueId(program.values.len() - 1);
    let operation = Operation::ScalePublic(ScalePublic { factors: vec![3], shift: 4 });
    let (name, output_of) = ("rounded".to_string(), ValueId(program.values.len()));
    program.values.push(Value { wide: false, ..value(name.clone()) });
    program.steps.push(Step { name, operation, inputs: vec![x], output: output_of, last_uses: Vec::new() });
    program.outputs = vec![output("y", x.0), output("z", 7), output("rounded", output_of.0)];
    liveness::fill_last_uses(&mut program);
    program
}

#[test]
fn several_examples_at_once_have_their_own_answers() {
    for (steps, is_long) in [(600, true), (20, false)] {
        let program = validate(chain(steps)).unwrap();
        let loaded = ClearRunner.load(&program, &mut std::iter::empty()).unwrap();
        assert_eq!(loaded.at_once() > 1, is_long, "{steps} steps");
        let example = |i: i64| vec![vec![i, -i, 2 * i], vec![1, i * i, 7 - i]];
        // None, a part, and more than fit one run.
        for count in [0, 1, 5, 37] {
            let examples: Vec<_> = (0..count).map(example).collect();
            let several = loaded.run_several(&examples).unwrap();
            let alone: Vec<_> =
                examples.iter().map(|inputs| loaded.run(inputs, &mut |_, _| ()).unwrap()).collect();
            for (several, alone) in several.iter().zip(&alone) {
                assert_eq!(several[..2], alone[..2], "{steps} steps, {count} examples");
            }
            assert_eq!(several.len(), alone.len());
        }
    }
}

#[test]
fn groups_beside_each_other_are_rounded_as_one_after_another() {
    for steps in [600, 20] {
        let program = validate(chain(steps)).unwrap();
        let load = || ClearRunner.load(&program, &mut std::iter::empty()).unwrap();
        let size = load().at_once();
        let examples: Vec<_> =
            (0..3 * size as i64).map(|i| vec![vec![i, -i, 2 * i], vec![1, i * i, 7 - i]]).collect();
        let (beside, in_turn, passed) = (load(), load(), load());
        let all = beside.run_several(&examples).unwrap();
        let groups = examples.chunks(size).map(|group| in_turn.run_several(group).unwrap());
        assert_eq!(all, groups.collect::<Vec<_>>().concat(), "{steps} steps");
        passed.pass_over(2 * size);
        assert_eq!(passed.run_several(&examples[2 * size..]).unwrap(), all[2 * size..], "{steps} steps");
        // Runs do differ in what rounding does.
        let differs = |_: usize| in_turn.run_several(&examples[..size]).unwrap() != all[..size];
        assert!((0..9).any(differs), "{steps} steps");
    }
}
