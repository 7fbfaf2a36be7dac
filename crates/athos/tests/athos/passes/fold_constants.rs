//! Operations on constants alone.

use cryptflow_athos::passes::fold_constants::run;
use cryptflow_graph::{Arithmetic, Array, Graph, Op};

#[test]
fn chains_of_constants_become_one() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    let a = g.add_constant("a", Array::vector(vec![1.0, 2.0]));
    let b = g.add("b", Arithmetic::Mul, &[a, a]).unwrap();
    let c = g.add("c", Arithmetic::Add, &[b, a]).unwrap();
    let y = g.add("y", Arithmetic::Add, &[x, c]).unwrap();
    g.add_output("y", y);
    let report = run(&mut g);
    assert_eq!(report.changes.len(), 2);
    assert_eq!(g.constant(c).unwrap().data.as_slice(), [2.0, 6.0]);
    assert_eq!(g.node(y).op, Op::Arithmetic(Arithmetic::Add));
}
