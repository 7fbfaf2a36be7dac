//! What a client makes of what it is given.

use cryptflow_program::Input;

use crate::sample;

#[test]
fn numbers_become_integers_and_ids_become_rows() {
    let mut program = sample::program();
    program.values[0].shape = vec![2, 3];
    let plain = Input { factors: Vec::new(), ..program.inputs[0].clone() };
    let table: [(&str, Input, &[f32], Vec<i64>, &[usize]); 3] = [
        ("numbers", plain.clone(), &[0.5, -1.25, 0.25], vec![2, -5, 1], &[2, 3]),
        ("columns", Input { factors: vec![1.0, 4.0], ..plain.clone() }, &[0.5, 0.5], vec![2, 8], &[2, 3]),
        (
            "ids",
            Input { classes: Some(3), ..plain },
            &[2.0, 0.0, 3.0, -1.0],
            vec![0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2],
        ),
    ];
    for (name, input, given, integers, shape) in table {
        assert_eq!(input.integers(given, 2), integers, "{name}");
        assert_eq!(input.given_shape(&program), Some(shape), "{name}");
    }
}
