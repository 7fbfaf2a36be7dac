//! The float interpreter.

use cryptflow_graph::float::run;
use cryptflow_graph::{Arithmetic, Array, Graph};

#[test]
fn runs_in_order_and_shows_every_value() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2, 2]);
    let two = g.add_constant("two", Array::scalar(2.0));
    let y = g.add("y", Arithmetic::Mul, &[x, two]).unwrap();
    let z = g.add("z", Arithmetic::Sub, &[y, x]).unwrap();
    g.add_output("y", y);
    g.add_output("z", z);
    let input = Array::new(vec![2, 2], vec![1.0, -2.0, 3.0, 4.0]).unwrap();
    let mut seen = [0.0; 4];
    let out =
        run(&g, std::slice::from_ref(&input), &mut |id, a| seen[id.0] = a.data[a.data.len() - 1]).unwrap();
    assert_eq!(out[0].data.as_slice(), [2.0, -4.0, 6.0, 8.0]);
    assert_eq!(out[1], input);
    assert_eq!(seen, [4.0, 2.0, 8.0, 4.0]);
}

#[test]
fn refuses_other_inputs() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    g.add_output("x", x);
    let wrong = run(&g, &[Array::scalar(1.0)], &mut |_, _| ()).unwrap_err();
    assert_eq!(wrong.to_string(), "input \"x\" must have the shape [2], not []");
    let none = run(&g, &[], &mut |_, _| ()).unwrap_err();
    assert_eq!(none.to_string(), "the model has 1 inputs (x), but 0 were given");
}
