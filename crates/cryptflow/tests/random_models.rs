//! Models put together at random, of every function: whatever stays within its bounds is as close to
//! the float model as the compiler says.

use cryptflow::clear_runner::ClearRunner;
use cryptflow::fixed;
use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, DEFAULT_TOLERANCE, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_athos::passes;
use cryptflow_graph::operations::catalogue;
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Linear, NodeId, Op, Reduce, Reduction, float,
};
use cryptflow_program::Program;

use crate::whole::mirror;

/// Models that are tried.
const MODELS: u64 = 150;

/// Models that are tried with a guard, over a protocol.
const GUARDED: u64 = 80;

/// How many times the error that the compiler reports fresh inputs may lead to. It is the largest of
/// some hundred rows, in which a steep place may not have been among them.
const OF_REPORTED: f64 = 4.0;

/// The same of inputs that are larger than those that were shown.
const LARGER: f64 = 4.0;

/// The part of a number that it may be off by.
const OF_ITSELF: f64 = 1.0 / 1024.0;

/// By how much inputs may differ that should hardly be told apart.
const NEAR: f32 = 2e-3;

const ROWS: usize = 3;
const COLUMNS: usize = 5;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn number(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.below(1 << 20) as f32 / (1 << 20) as f32
    }

    fn array(&mut self, shape: &[usize], low: f32, high: f32) -> Array {
        let n = shape.iter().product();
        Array::new(shape.to_vec(), (0..n).map(|_| self.number(low, high)).collect()).unwrap()
    }
}

/// A node on others, all of one shape.
fn node(g: &mut Graph, random: &mut Random, made: &[NodeId], functions: &[Function]) -> NodeId {
    let name = format!("n{}", g.nodes.len());
    let any = |random: &mut Random| made[made.len() - 1 - random.below(made.len().min(3))];
    let (a, b) = (any(random), any(random));
    let constant = |g: &mut Graph, random: &mut Random, shape: &[usize]| {
        let size = random.number(0.3, 2.0);
        let array = random.array(shape, -size, size);
        g.add_constant(format!("c{}", g.nodes.len()), array)
    };
    let op: (Op, Vec<NodeId>) = match random.below(12) {
        0 | 1 => {
            let w = constant(g, random, &[COLUMNS, COLUMNS]);
            let bias = constant(g, random, &[COLUMNS]);
            (Linear::MatMul { transpose_a: false, transpose_b: false }.into(), vec![a, w, bias])
        }
        2 => (Arithmetic::Add.into(), vec![a, b]),
        3 => (Arithmetic::Mul.into(), vec![a, b]),
        4 => (Arithmetic::Sub.into(), vec![a, constant(g, random, &[COLUMNS])]),
        5 => (Activation::Softmax.into(), vec![a]),
        6 => {
            let c = constant(g, random, &[1]);
            let flag =
                g.add(format!("{name}/flag"), Arithmetic::Compare(Comparison::Greater), &[a, c]).unwrap();
            (Arithmetic::Select.into(), vec![flag, a, b])
        }
        7 => {
            let mean = Reduce { kind: Reduction::Mean, axes: vec![1], keep_dims: true };
            let mean = g.add(format!("{name}/mean"), mean, &[a]).unwrap();
            (Arithmetic::Sub.into(), vec![a, mean])
        }
        8 => (Activation::Relu.into(), vec![a]),
        _ => (functions[random.below(functions.len())].into(), vec![a]),
    };
    g.add(name, op.0, &op.1).unwrap()
}

fn model(seed: u64) -> Graph {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let functions: Vec<Function> = catalogue().collect();
    let mut g = Graph::default();
    let mut made = vec![g.add_input("x", vec![ROWS, COLUMNS])];
    for _ in 0..3 + random.below(10) {
        let next = node(&mut g, &mut random, &made, &functions);
        made.push(next);
    }
    let last = made[made.len() - 1];
    g.add_output("y", last);
    passes::optimise(&mut g);
    g
}

/// An input, and whether its numbers are all finite in the float model.
fn answer(g: &Graph, x: &Array) -> Option<Array> {
    let y = float::run(g, std::slice::from_ref(x), &mut |_, _| ()).ok()?.remove(0);
    y.data.iter().all(|v| v.is_finite()).then_some(y)
}

/// Whether the float model changes by as much for inputs that are hardly different: no arithmetic that
/// rounds is right there.
fn at_a_jump(g: &Graph, x: &Array, y: &Array, allowed: f64) -> bool {
    let mut random = Random(99);
    (0..8).any(|_| {
        let moved = x.data.iter().map(|v| v + random.number(-NEAR, NEAR)).collect();
        let moved = Array::new(x.shape.clone(), moved).unwrap();
        answer(g, &moved).is_none_or(|near| {
            near.data.iter().zip(y.data.iter()).any(|(a, b)| f64::from((a - b).abs()) > allowed / 2.0)
        })
    })
}

/// Whether all values of the float model are within the bounds of the program's, and the operands of
/// functions within what these are made for.
fn within(g: &Graph, model: &Compiled, x: &Array) -> bool {
    let program: &Program = &model.program;
    let input = &program.inputs[0];
    let mut within = x.data.iter().all(|&v| (input.low..=input.high).contains(&f64::from(v)));
    float::run(g, std::slice::from_ref(x), &mut |id, value| {
        // The last value of a name is the node's.
        let last = program.values.iter().rfind(|v| v.name == g.node(id).name && v.shape == value.shape);
        if let Some(last) = last {
            let unit = f64::from(last.scale).exp2();
            let units = value.data.iter().map(|&v| f64::from(v) * unit);
            within &= units.into_iter().all(|v| v >= last.low as f64 && v <= last.high as f64);
        }
        for user in g.nodes.iter().filter(|node| node.inputs.first() == Some(&id)) {
            let made = model.report.functions.iter().filter(|f| f.name == user.name);
            for f in made.filter(|f| f.function == user.op.name()) {
                within &= value.data.iter().all(|&v| (f.low..=f.high).contains(&f64::from(v)));
            }
        }
    })
    .unwrap();
    within
}

/// How far a program is off on an input, on plain integers, beyond what columns are granted.
fn off(model: &Compiled, x: &Array, y: &Array, granted: &[f64]) -> f64 {
    let inputs = fixed::inputs(&model.program, &[x.data.to_vec()]).unwrap();
    let opened = ClearRunner.run(&model.program, &model.weights, &inputs, &mut |_, _| ());
    distance(&model.program, &opened.unwrap(), y, granted)
}

/// How far what is opened is from what the float model says, beyond what columns are granted.
fn distance(program: &Program, opened: &[Vec<i64>], y: &Array, granted: &[f64]) -> f64 {
    let output = &program.outputs[0];
    let opened = fixed::decode_to(&opened[0], program.scale_of(output.value), output.digits);
    let columns = granted.iter().cycle();
    let far =
        opened.iter().zip(y.data.iter()).zip(columns).map(|((a, b), grant)| f64::from((a - b).abs()) - grant);
    far.fold(0.0, f64::max)
}

/// What each column spans over rows, or a part of it.
fn spans(rows: &[(Array, Array)], part: f64) -> Vec<f64> {
    let column = |c: usize| {
        let all =
            || rows.iter().flat_map(|(_, y)| y.data.iter().skip(c).step_by(COLUMNS).map(|&v| f64::from(v)));
        (all().fold(f64::NEG_INFINITY, f64::max) - all().fold(f64::INFINITY, f64::min)) * part
    };
    (0..COLUMNS).map(column).collect()
}

/// Rows of numbers up to this size, and what the float model says to them.
fn rows(g: &Graph, random: &mut Random, count: usize, size: f32) -> Vec<(Array, Array)> {
    let x = (0..count).map(|_| random.array(&[ROWS, COLUMNS], -size, size)).collect::<Vec<Array>>();
    x.into_iter().filter_map(|x| Some((x.clone(), answer(g, &x)?))).collect()
}

/// Rows of which all numbers are the same: zero, and another.
fn flat(g: &Graph, random: &mut Random) -> Vec<(Array, Array)> {
    let of_one = |v: f32| Array::filled(vec![ROWS, COLUMNS], v).unwrap();
    let x = [of_one(0.0), of_one(random.number(-1.5, 1.5))];
    x.into_iter().filter_map(|x| Some((x.clone(), answer(g, &x)?))).collect()
}

/// A model compiled with these rows; none where that is refused, or the client goes on with what is
/// opened.
fn compiled(g: &Graph, shown: &[(Array, Array)], options: &CompileOptions) -> Option<Compiled> {
    let bounds = Bounds::Examples(shown.iter().map(|(x, _)| vec![x.clone()]).collect());
    // What is refused is announced.
    let model = compile(g, bounds, options, &ClearRunner, &mut |_| ()).ok()?;
    model.program.outputs[0].transform.is_none().then_some(model)
}

#[test]
fn what_stays_within_bounds_is_right() {
    let (mut tried, mut silent, mut wrong) = (0, 0, Vec::new());
    for seed in 0..MODELS {
        let g = model(seed);
        let mut random = Random(seed + 77);
        let mut rows = |count, size| rows(&g, &mut random, count, size);
        let (shown, fresh, beyond) = (rows(48, 1.5), rows(16, 1.5), [rows(8, 3.0), rows(8, 6.0)].concat());
        let Some(model) = compiled(&g, &shown, &CompileOptions::default()) else { continue };
        tried += 1;
        let stated = model.report.agreement.as_ref().unwrap();
        let allowed = stated.largest_error.max(stated.tolerance) * OF_REPORTED;
        // The error that is stated is that of the column that is worst beside its tolerance; each has its own.
        let granted = spans(&shown, DEFAULT_TOLERANCE);
        for (index, (x, y)) in fresh.iter().chain(&beyond).enumerate() {
            let (far, within) = (off(&model, x, y, &granted), within(&g, &model, x));
            silent += usize::from(within);
            // Where inputs are larger, so are errors: with the square, in products.
            let allowed = if index < fresh.len() { allowed } else { allowed * LARGER };
            if within && far > allowed && !at_a_jump(&g, x, y, allowed) {
                wrong.push(complaint(&g, seed, index, far, stated.largest_error));
                break;
            }
        }
    }
    println!("{tried} of {MODELS} models compiled; {silent} runs stayed within bounds");
    assert!(tried >= MODELS as usize / 3 && silent > tried, "{tried} compiled, {silent} silent");
    assert!(wrong.is_empty(), "{} models: {}", wrong.len(), wrong.join("\n"));
}

/// A model that is wrong, for people.
fn complaint(g: &Graph, seed: u64, index: usize, far: f64, stated: f64) -> String {
    let operations: Vec<&str> = g.nodes.iter().map(|n| n.op.name()).collect();
    format!("model {seed}, row {index}: off by {far:.2e}, stated {stated:.2e}: {operations:?}")
}

/// Whether the result of an operation jumps somewhere.
fn jumps(op: &Op) -> bool {
    match op {
        Op::Function(function) => function.jumps(),
        Op::Arithmetic(arithmetic) => matches!(arithmetic, Arithmetic::Compare(_)),
        // Nothing else that is put together here.
        _ => false,
    }
}

/// Three parties of Mirror find out by themselves whether a value left its bounds, however far: what
/// they let through is right, and of the rest nothing is opened.
#[test]
fn what_the_guard_lets_through_is_right() {
    let (mut tried, mut through, mut held, mut wrong) = (0, 0, 0, Vec::new());
    for seed in 0..GUARDED {
        let g = model(seed + 1000);
        // No arithmetic that rounds is right next to a jump.
        if g.nodes.iter().any(|node| jumps(&node.op)) {
            continue;
        }
        let mut random = Random(seed + 99);
        let shown = rows(&g, &mut random, 48, 1.5);
        let options = CompileOptions { guard: true, margin: Some(0.5), ..CompileOptions::default() };
        let Some(model) = compiled(&g, &shown, &options) else { continue };
        // Some models have no value that could leave its bounds.
        let program = &model.program;
        if program.guard.is_none() {
            continue;
        }
        tried += 1;
        let stated = model.report.agreement.as_ref().unwrap();
        let allowed = stated.largest_error.max(stated.tolerance) * OF_REPORTED * LARGER;
        // The error that is stated is that of the worst column; each has a tolerance of its own.
        let granted = spans(&shown, 1.0 / 256.0);
        let [low, high] = [program.inputs[0].low, program.inputs[0].high];
        // A client does not share what is beyond the bounds of inputs; what lies within leads far out.
        let beyond = rows(&g, &mut random, 6, low.abs().min(high) as f32);
        let quiet =
            [rows(&g, &mut random, 2, 0.03), rows(&g, &mut random, 2, 1e-4), flat(&g, &mut random)].concat();
        for (index, (x, y)) in shown.iter().take(2).chain(&beyond).chain(&quiet).enumerate() {
            let inputs = fixed::inputs(program, &[x.data.to_vec()]).unwrap();
            let opened = mirror(&model, &inputs);
            let left = opened[1] != [0];
            if left {
                held += 1;
                assert!(index >= shown.len().min(2), "model {seed}: the guard holds what was shown");
                let all = fixed::decode_to(
                    &opened[0],
                    program.scale_of(program.outputs[0].value),
                    program.outputs[0].digits,
                );
                assert!(all.iter().all(|&v| v == 0.0), "model {seed}, row {index}: {all:?} is opened");
                continue;
            }
            through += 1;
            // What is far beyond its own column's numbers, and within those of others, is as precise as they are.
            let of_itself = y.data.iter().map(|v| f64::from(v.abs()) * OF_ITSELF);
            let granted: Vec<f64> = of_itself.zip(granted.iter().cycle()).map(|(a, &b)| a.max(b)).collect();
            let far = distance(program, &opened, y, &granted);
            if far > allowed {
                wrong.push(complaint(&g, seed + 1000, index, far, stated.largest_error));
                break;
            }
        }
    }
    println!("{tried} models with a guard; {through} runs gave an answer, {held} none");
    assert!(
        tried >= GUARDED as usize / 3 && through > tried && held > tried / 2,
        "{tried}, {through}, {held}"
    );
    assert!(wrong.is_empty(), "{} models: {}", wrong.len(), wrong.join("\n"));
}
