//! Flags are exact: whatever is made of comparisons is 0 or 1 where truncations are off by a unit,
//! so that what it chooses or masks may be as large as fixed point holds.

use cryptflow_athos::compile::{Bounds, CompileOptions, Scale, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Arithmetic, Array, Comparison, Graph, NodeId, Reduce, Reduction, float};
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::fixed;

/// Fractional bits: few, so that a unit of a flag times [`LOW`] is far more than what is allowed.
const SCALE: u32 = 8;

/// What stands where a flag does not hold.
const LOW: f32 = -1e4;

fn compared(g: &mut Graph, name: &str, comparison: Comparison, x: NodeId, number: f32) -> NodeId {
    let number = g.add_constant(format!("{name}/number"), Array::scalar(number));
    g.add(name, Arithmetic::Compare(comparison), &[x, number]).unwrap()
}

fn not(g: &mut Graph, name: &str, flag: NodeId) -> NodeId {
    let one = g.add_constant(format!("{name}/one"), Array::scalar(1.0));
    g.add(name, Arithmetic::Sub, &[one, flag]).unwrap()
}

/// What is made of two flags and of some flags of the model: a name, and the flag.
type Made = (&'static str, fn(&mut Graph, [NodeId; 3]) -> NodeId);

const MADE: &[Made] = &[
    ("one", |_, [a, ..]| a),
    ("not", |g, [a, ..]| not(g, "flag", a)),
    ("and", |g, [a, b, _]| g.add("flag", Arithmetic::Mul, &[a, b]).unwrap()),
    ("smaller", |g, [a, b, _]| g.add("flag", Arithmetic::Minimum, &[a, b]).unwrap()),
    ("or", |g, [a, b, _]| g.add("flag", Arithmetic::Maximum, &[a, b]).unwrap()),
    ("xor", |g, [a, b, _]| g.add("flag", Arithmetic::Compare(Comparison::NotEqual), &[a, b]).unwrap()),
    ("and of the model's", |g, [a, _, c]| g.add("flag", Arithmetic::Mul, &[c, a]).unwrap()),
    ("or of the model's", |g, [a, _, c]| g.add("flag", Arithmetic::Maximum, &[a, c]).unwrap()),
    ("xor of the model's", |g, [a, _, c]| {
        g.add("flag", Arithmetic::Compare(Comparison::NotEqual), &[a, c]).unwrap()
    }),
    ("and of true", |g, [a, ..]| {
        let all = g.add_constant("true", Array::vector(vec![1.0; 8]));
        g.add("flag", Arithmetic::Mul, &[all, a]).unwrap()
    }),
    ("or of true", |g, [a, ..]| {
        let all = g.add_constant("true", Array::vector(vec![1.0; 8]));
        g.add("flag", Arithmetic::Maximum, &[all, a]).unwrap()
    }),
    ("chosen", |g, [a, b, c]| g.add("flag", Arithmetic::Select, &[a, b, c]).unwrap()),
    ("of the model's, beside others", |g, [a, _, c]| {
        let both = g.add("both", Movement::Concat { axis: 0 }, &[c, a]).unwrap();
        g.add("flag", Movement::Gather { axis: 0, indices: vec![0, 8, 1, 9, 2, 10, 3, 11] }, &[both]).unwrap()
    }),
    ("any", |g, [a, b, _]| {
        let both = g.add("both", Movement::Concat { axis: 0 }, &[a, b]).unwrap();
        let any = Reduce { kind: Reduction::Max, axes: vec![0], keep_dims: true };
        let any = g.add("any", any, &[both]).unwrap();
        g.add("flag", Movement::Broadcast { shape: vec![8] }, &[any]).unwrap()
    }),
    ("most", |g, [a, b, c]| {
        let sum = g.add("sum", Arithmetic::Add, &[a, b]).unwrap();
        let sum = g.add("sum/c", Arithmetic::Add, &[sum, c]).unwrap();
        compared(g, "flag", Comparison::Greater, sum, 1.5)
    }),
    ("counted", |g, [a, ..]| {
        let count = Reduce { kind: Reduction::Sum, axes: vec![0], keep_dims: true };
        let count = g.add("count", count, &[a]).unwrap();
        let few = compared(g, "few", Comparison::Less, count, 4.0);
        g.add("flag", Movement::Broadcast { shape: vec![8] }, &[few]).unwrap()
    }),
    ("averaged", |g, [a, ..]| {
        let mean = Reduce { kind: Reduction::Mean, axes: vec![0], keep_dims: true };
        let mean = g.add("mean", mean, &[a]).unwrap();
        let few = compared(g, "few", Comparison::Less, mean, 0.45);
        g.add("flag", Movement::Broadcast { shape: vec![8] }, &[few]).unwrap()
    }),
];

/// How a flag is used: `x` where it holds, [`LOW`] where not, or `x` times it; cut at −4.
type Use = (&'static str, fn(&mut Graph, NodeId, NodeId) -> NodeId);

const USED: &[Use] = &[
    ("where", |g, flag, x| {
        let low = g.add_constant("low", Array::scalar(LOW));
        g.add("used", Arithmetic::Select, &[flag, x, low]).unwrap()
    }),
    ("where of constants", |g, flag, x| {
        let all = g.add_constant("all", Array::vector(vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0, 0.5, 0.25]));
        let low = g.add_constant("low", Array::vector(vec![LOW; 8]));
        let chosen = g.add("chosen", Arithmetic::Select, &[flag, all, low]).unwrap();
        g.add("used", Arithmetic::Add, &[chosen, x]).unwrap()
    }),
    ("times", |g, flag, x| {
        let large = g.add_constant("large", Array::scalar(-LOW));
        let far = g.add("far", Arithmetic::Mul, &[x, large]).unwrap();
        let masked = g.add("masked", Arithmetic::Mul, &[far, flag]).unwrap();
        let small = g.add_constant("small", Array::scalar(-1.0 / LOW));
        g.add("used", Arithmetic::Mul, &[masked, small]).unwrap()
    }),
    ("added", |g, flag, x| {
        let off = not(g, "off", flag);
        let low = g.add_constant("low", Array::scalar(LOW));
        let mask = g.add("mask", Arithmetic::Mul, &[off, low]).unwrap();
        g.add("used", Arithmetic::Add, &[x, mask]).unwrap()
    }),
];

fn graph(made: Made, used: Use) -> Graph {
    let mut g = Graph::default();
    let inputs = ["x", "p", "q"].map(|name| g.add_input(name, vec![8]));
    let [x, p, q] = inputs;
    let a = compared(&mut g, "a", Comparison::Greater, p, 0.0);
    let b = compared(&mut g, "b", Comparison::LessEqual, q, 0.25);
    let c = g.add_constant("c", Array::vector(vec![1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]));
    let flag = made.1(&mut g, [a, b, c]);
    let y = used.1(&mut g, flag, x);
    let least = g.add_constant("least", Array::scalar(-4.0));
    let y = g.add("y", Arithmetic::Maximum, &[y, least]).unwrap();
    g.add_output("y", y);
    g
}

/// Values that no rounding brings across what they are compared with.
fn examples(count: usize, seed: u64) -> Vec<Vec<Array>> {
    let mut random = Random(seed);
    let mut one = || {
        let x = random.array(&[8], -2.0, 2.0);
        let coarse = |a: Array| {
            let data = a.data.iter().map(|v| (v * 4.0).floor() / 4.0 + 0.125).collect();
            Array::new(a.shape.clone(), data).unwrap()
        };
        vec![x, coarse(random.array(&[8], -1.0, 1.0)), coarse(random.array(&[8], -1.0, 1.0))]
    };
    (0..count).map(|_| one()).collect()
}

#[test]
fn flags_hold_or_do_not() {
    let mut wrong = Vec::new();
    for &made in MADE {
        for &used in USED {
            let name = format!("{}, {}", made.0, used.0);
            let graph = graph(made, used);
            let options = CompileOptions { scale: Scale::Bits(SCALE), ..CompileOptions::default() };
            let bounds = Bounds::Examples(examples(33, 3));
            let model = compile(&graph, bounds, &options, &Naive::exact(), &mut |_| ())
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            for (runner, seed) in [(Naive::exact(), 5), (Naive::noisy(1), 6), (Naive::noisy(2), 7)] {
                for example in examples(6, seed) {
                    let inputs: Vec<Vec<i64>> = example.iter().map(|a| fixed(a, SCALE)).collect();
                    let run = runner.run(&model.program, &model.weights, &inputs, &mut |_, _| ());
                    let outputs = run.unwrap_or_else(|e| panic!("{name}: {e}"));
                    let floats = float::run(&graph, &example, &mut |_, _| ()).unwrap();
                    let extra = model.program.scale_of(model.program.outputs[0].value) as i32 - SCALE as i32;
                    let per_unit = f64::from(-extra).exp2();
                    let off = outputs[0].iter().zip(floats[0].data.iter()).fold(0.0f64, |m, (&y, &f)| {
                        m.max((y as f64 * per_unit - f64::from(f) * f64::from(SCALE).exp2()).abs())
                    });
                    if off > 5.0 {
                        wrong.push(format!("{name}: off by {off} units"));
                    }
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
