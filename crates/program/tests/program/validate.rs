//! Programs that are right, and programs with one thing wrong.

use crate::sample;

use cryptflow_program::{
    Activation, Demand, Linear, MaxPool, Operation, Program, Rectifier, ScalePublic, Step, Value, ValueId,
    WeightId, demand, digest, liveness, validate,
};
use cryptflow_ring::{LinearMap, Movement};

#[test]
fn the_sample_is_valid() {
    let program = sample::program();
    assert_eq!(validate(program).unwrap().rings(), [40, 29, 29, 40, 40, 28, 40, 40, 40, 29, 40, 29]);
}

#[test]
fn json_and_back() {
    let program = sample::program();
    let json = serde_json::to_string(&program).unwrap();
    let again: Program = serde_json::from_str(&json).unwrap();
    assert_eq!(program, again);
    assert_eq!(digest(&program).unwrap(), digest(&again).unwrap());
    let mut other = program.clone();
    other.values[3].high += 1;
    assert_ne!(digest(&program).unwrap(), digest(&other).unwrap());
}

#[test]
fn liveness_is_exact() {
    let program = sample::program();
    let dead: Vec<Vec<usize>> =
        program.steps.iter().map(|s| s.last_uses.iter().map(|id| id.0).collect()).collect();
    let expected: Vec<Vec<usize>> = vec![
        vec![0],
        vec![1],
        vec![2],
        vec![],
        vec![4],
        vec![5],
        vec![3],
        vec![6],
        vec![8],
        vec![7],
        vec![9, 10],
    ];
    assert_eq!(dead, expected);
    // The convolution is the widest moment: 32 elements in, 48 out.
    assert_eq!(liveness::peak_elements(&program), 80);
}

type Breakage = (&'static str, &'static str, fn(&mut Program));

fn activation(p: &mut Program, step: usize) -> &mut u32 {
    match &mut p.steps[step].operation {
        Operation::Activation(Activation { compare_bits, .. })
        | Operation::MaxPool(MaxPool { compare_bits, .. }) => compare_bits,
        _ => panic!("step {step} compares nothing"),
    }
}

/// A value has a ring of its own, which makes the program one of version 2.
fn own_ring(p: &mut Program, value: usize, ring: u32) {
    p.version = 2;
    p.values[value].ring = Some(ring);
}

fn map(p: &mut Program, step: usize) -> &mut LinearMap {
    match &mut p.steps[step].operation {
        Operation::Linear(Linear { terms, .. }) => &mut terms[0].map,
        _ => panic!("step {step} is not linear"),
    }
}

/// What is broken, what the error must say, how.
const BROKEN: &[Breakage] = &[
    ("version", "version", |p| p.version += 1),
    ("ring too large", "ring of 65", |p| p.ring_bits = 65),
    ("ring too small", "ring of 7", |p| p.ring_bits = 7),
    ("version beyond the newest", "not among those", |p| p.version = 99),
    ("own ring in version 1", "one of version 2, and 1 is declared", |p| p.values[3].ring = Some(36)),
    ("own ring of the input", "is in the largest one", |p| own_ring(p, 0, 36)),
    ("own ring of a narrow value", "follows from its step", |p| own_ring(p, 1, 29)),
    ("own ring too small", "not 7", |p| own_ring(p, 3, 7)),
    ("own ring that is the largest", "not 40", |p| own_ring(p, 3, 40)),
    ("own ring that does not go on", "is in a ring of 36 bits, and 40 are declared", |p| own_ring(p, 3, 36)),
    ("own ring where nothing widens", "is in a ring of 40 bits, and 36 are declared", |p| own_ring(p, 7, 36)),
    ("own ring of which a shift leaves too little", "need 15 bits, and there are 13", |p| {
        own_ring(p, 6, 24);
        own_ring(p, 8, 24);
    }),
    ("own ring that bounds do not fit", "need 13 bits, and there are 12", |p| own_ring(p, 6, 12)),
    ("scale beyond the ring", "fractional", |p| p.scale = 40),
    ("no outputs", "no outputs", |p| p.outputs.clear()),
    ("empty shape", "no elements", |p| p.values[0].shape = vec![1, 0]),
    ("overflowing shape", "too many", |p| p.values[2].shape = vec![usize::MAX, 3]),
    ("overflowing weight", "too many", |p| p.weights[2].shape = vec![usize::MAX, 3]),
    ("bounds swapped", "wrong order", |p| p.values[4].low = 99999),
    ("value scale", "fractional", |p| p.values[4].scale = 1000),
    ("input id", "in order", |p| p.inputs[0].value = ValueId(1)),
    ("input narrow", "not wide", |p| p.values[0].wide = false),
    ("input range", "real numbers", |p| p.inputs[0].low = f64::NAN),
    ("input divides by zero", "preprocessing", |p| p.inputs[0].preprocessing.std = vec![0.0]),
    ("input too large", "need 41 bits", |p| p.values[0].high = 1 << 39),
    ("ids without rows", "rows of 7", |p| p.inputs[0].classes = Some(7)),
    ("ids with fractions", "zeros and ones", |p| p.inputs[0].classes = p.values[0].shape.last().copied()),
    ("ids that there are not", "other ids than 0 to 1", |p| {
        (p.inputs[0].classes, p.inputs[0].high) = (Some(2), 2.0);
        (p.values[0].scale, p.values[0].low, p.values[0].high) = (0, 0, 1);
        p.inputs[0].factors.clear();
    }),
    ("output id", "never computed", |p| p.outputs[0].value = ValueId(99)),
    ("output freed", "freed before the end", |p| p.steps[10].last_uses.push(ValueId(11))),
    ("used before computed", "before it is computed", |p| p.steps.swap(0, 1)),
    ("used after its last use", "after its last use", |p| p.steps[3].last_uses.push(ValueId(3))),
    ("operand out of range", "before it is computed", |p| p.steps[0].inputs[0] = ValueId(77)),
    ("result out of range", "not declared", |p| p.steps[0].output = ValueId(77)),
    ("computed twice", "second time", |p| p.steps[2].output = ValueId(2)),
    ("freed by a stranger", "not its own", |p| p.steps[9].last_uses.push(ValueId(0))),
    ("freed twice", "not its own", |p| p.steps[0].last_uses.push(ValueId(0))),
    ("weight out of range", "weight 9", |p| match &mut p.steps[8].operation {
        Operation::Linear(Linear { terms, .. }) => terms[0].weight = WeightId(9),
        _ => panic!(),
    }),
    ("bias out of range", "weight 9", |p| match &mut p.steps[0].operation {
        Operation::Linear(Linear { bias, .. }) => *bias = Some(WeightId(9)),
        _ => panic!(),
    }),
    ("bias of another length", "bias of the shape", |p| p.weights[1].shape = vec![4]),
    ("bias at another scale", "its bias has", |p| p.weights[1].scale = 17),
    ("term without operand", "uses operand 1", |p| match &mut p.steps[0].operation {
        Operation::Linear(Linear { terms, .. }) => terms[0].input = 1,
        _ => panic!(),
    }),
    ("no terms", "1 operands are not what it takes", |p| match &mut p.steps[0].operation {
        Operation::Linear(Linear { terms, .. }) => terms.clear(),
        _ => panic!(),
    }),
    ("weight shape", "takes weights", |p| p.weights[0].shape = vec![3, 3, 3, 2]),
    ("matmul rows", "its operand is", |p| *map(p, 8) = LinearMap::MatMul { rows: 2, inner: 3, columns: 12 }),
    ("matmul columns", "takes weights", |p| *map(p, 8) = LinearMap::MatMul { rows: 1, inner: 3, columns: 4 }),
    ("overflowing map", "term 0", |p| {
        *map(p, 8) = LinearMap::MatMul { rows: usize::MAX, inner: 3, columns: 12 }
    }),
    ("conv window", "term 0", |p| match map(p, 0) {
        LinearMap::Conv2d(c) => c.window.kernel = [9, 9],
        _ => panic!(),
    }),
    ("overflowing window", "term 0", |p| match map(p, 0) {
        LinearMap::Conv2d(c) => c.window.dilation = [usize::MAX, 1],
        _ => panic!(),
    }),
    ("groups", "term 0", |p| match map(p, 0) {
        LinearMap::Conv2d(c) => c.groups = 0,
        _ => panic!(),
    }),
    ("conv output shape", "the result is", |p| p.values[1].shape = vec![1, 16, 1, 3]),
    ("shift and scales", "fractional bits", |p| p.weights[2].scale = 9),
    ("shift of nothing", "at least one bit", |p| match &mut p.steps[8].operation {
        Operation::Linear(Linear { shift, .. }) => *shift = 0,
        _ => panic!(),
    }),
    ("shift of everything", "leaves nothing", |p| match &mut p.steps[8].operation {
        Operation::Linear(Linear { shift, .. }) => *shift = 38,
        _ => panic!(),
    }),
    ("public shift of nothing", "at least one bit", |p| match &mut p.steps[4].operation {
        Operation::ScalePublic(ScalePublic { shift, .. }) => *shift = 0,
        _ => panic!(),
    }),
    ("public factors", "2 factors", |p| match &mut p.steps[4].operation {
        Operation::ScalePublic(ScalePublic { factors, .. }) => *factors = vec![1, 2],
        _ => panic!(),
    }),
    ("too many operands", "2 operands", |p| p.steps[2].inputs.push(ValueId(2))),
    ("too few operands", "1 operands", |p| {
        p.steps[10].inputs.pop();
        p.steps[10].last_uses.pop();
    }),
    ("pool input", "takes [1, 4, 4, 9]", |p| match &mut p.steps[1].operation {
        Operation::MaxPool(MaxPool { input, .. }) => input[3] = 9,
        _ => panic!(),
    }),
    ("pool output", "its result has the shape", |p| match &mut p.steps[1].operation {
        Operation::MaxPool(MaxPool { window, .. }) => window.stride = [1, 1],
        _ => panic!(),
    }),
    ("reshape", "cannot become", |p| {
        p.steps[7].operation = Operation::Movement(Movement::Reshape { shape: vec![1, 4] })
    }),
    ("add of other shapes", "its result has the shape", |p| {
        p.steps[6].last_uses.clear();
        p.steps[10].inputs[1] = ValueId(3);
        p.steps[10].last_uses.clear();
    }),
    ("scales of an add", "fractional bits", |p| {
        p.values[7].scale = 9;
        p.values[10].scale = 9;
        p.values[3].scale = 9;
    }),
    ("linear on narrow", "takes wide operands", |p| {
        p.steps[8].inputs[0] = ValueId(8);
        p.values[8].wide = false;
        p.values[6].wide = false;
        p.steps[7].operation = Operation::Movement(Movement::Reshape { shape: vec![1, 3] });
        p.steps[5].operation = Operation::Activation(Activation {
            function: Rectifier::Relu,
            compare_bits: 13,
            skipped: 0,
            widen: false,
        });
    }),
    ("linear declared wide", "its result is narrow", |p| p.values[9].wide = true),
    ("activation declared narrow", "its result is wide", |p| p.values[3].wide = false),
    ("widen of wide", "wide already", |p| p.steps[6].operation = Operation::Widen),
    ("relu looks at too little", "compared on 13 bits", |p| *activation(p, 2) = 12),
    ("max pool looks at too little", "compared on 14 bits", |p| *activation(p, 1) = 13),
    ("clipped relu looks at too little", "compared on 13 bits", |p| *activation(p, 6) = 12),
    ("compares more than the ring", "compares 30 bits in a ring of 29", |p| *activation(p, 2) = 30),
    ("limit of zero", "its limit 0", |p| match &mut p.steps[6].operation {
        Operation::Activation(Activation { function: Rectifier::ClippedRelu { limit }, .. }) => *limit = 0,
        _ => panic!(),
    }),
    ("limit beyond the ring", "does not fit a ring", |p| match &mut p.steps[6].operation {
        Operation::Activation(Activation { function: Rectifier::ClippedRelu { limit }, .. }) => {
            *limit = 1 << 39
        }
        _ => panic!(),
    }),
    ("relu bounds", "its result takes values", |p| p.values[3].high = 4094),
    ("widen bounds", "its result takes values", |p| p.values[6].high = 4094),
    ("linear result beyond its ring", "need 30 bits, and there are 29", |p| p.values[9].high = 1 << 28),
];

#[test]
fn each_breakage_is_found() {
    for (name, says, breaks) in BROKEN {
        let mut program = sample::program();
        breaks(&mut program);
        let error = validate(program).expect_err(name).to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
}

/// Values with rings of their own: what is computed of one of them without widening is in its ring, and what is
/// narrow has what a shift leaves of it.
#[test]
fn rings_of_their_own() {
    let mut program = sample::program();
    for (value, ring) in [(3, 36), (4, 36), (7, 36), (10, 36), (6, 30), (8, 30)] {
        own_ring(&mut program, value, ring);
    }
    let rings = validate(program).unwrap().rings().to_vec();
    assert_eq!(rings, [40, 29, 29, 36, 36, 24, 30, 36, 30, 19, 36, 19]);
}

/// A weight is needed in the ring of what it is multiplied with, a bias in that of its products; one that nothing
/// uses, in none.
#[test]
fn rings_of_weights() {
    let mut program = sample::program();
    assert_eq!(validate(program.clone()).unwrap().weight_rings(), [40, 40, 40]);
    for (value, ring) in [(3, 36), (4, 36), (7, 36), (10, 36), (6, 30), (8, 30)] {
        own_ring(&mut program, value, ring);
    }
    program.weights.push(program.weights[0].clone());
    assert_eq!(validate(program).unwrap().weight_rings(), [40, 40, 30, 1]);
}

/// Values exactly at a bound pass; one beyond fails.
#[test]
fn bounds_at_their_edges() {
    // The narrow ring of the dense layer has 29 bits, that of the mean 28.
    type Edge = (&'static str, fn(&mut Program, i64));
    let cases: &[Edge] = &[
        ("linear result", |p, extra| p.values[9].high = (1 << 28) - 1 + extra),
        ("linear result, low", |p, extra| p.values[9].low = -(1 << 28) + 1 - extra),
        ("add", |p, extra| p.values[11].high = (1 << 28) - 1 + extra),
        ("input", |p, extra| p.values[0].high = (1i64 << 39) - 1 + extra),
        ("widen", |p, extra| {
            for id in [5, 6, 8] {
                p.values[id].high = (1 << 26) + extra;
            }
        }),
        ("relu", |p, extra| {
            *activation(p, 2) = 29;
            p.values[1].low = -5;
            p.values[2].low = -5;
            for id in [1, 2] {
                p.values[id].high = (1 << 28) - 6 + extra;
            }
            *activation(p, 1) = 29;
            p.values[3].high = 1 << 30;
            *activation(p, 6) = 32;
        }),
    ];
    for (name, set) in cases {
        let mut program = sample::program();
        set(&mut program, 0);
        validate(program.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        set(&mut program, 1);
        assert!(validate(program).is_err(), "{name}: one beyond the bound passes");
    }
}

/// What dies is not counted for what comes after it; what is done is.
#[test]
fn demands_follow_lifetimes() {
    let of = |steps: usize, elements: usize, dies: bool, chain: bool| {
        let mut p = sample::program();
        let value = p.values[0].clone();
        p.values = vec![Value { shape: vec![elements], ..value }; steps + 1];
        p.weights.clear();
        p.steps = (0..steps)
            .map(|i| Step {
                name: String::new(),
                operation: Operation::Movement(Movement::Reshape { shape: vec![elements] }),
                inputs: vec![ValueId(if chain { i } else { 0 })],
                output: ValueId(i + 1),
                last_uses: if dies { vec![ValueId(i)] } else { Vec::new() },
            })
            .collect();
        demand(&p)
    };
    let chain = |steps: usize, elements: usize, dies: bool| of(steps, elements, dies, true);
    let (short, long) = (chain(2, 1000, true), chain(200, 1000, true));
    assert_eq!(short.memory, long.memory);
    assert!(short.work * 99 < long.work && long.work < short.work * 101);
    assert!(chain(200, 1000, false).memory >= long.memory + 198 * 16_000);
    // Steps that can run beside each other may all be held at once, up to a bound.
    let [few, many, more] = [2, 2000, 4000].map(|steps| of(steps, 1000, true, false).memory);
    assert!(few >= short.memory + 2 * 16_000 && many - few < 100 << 20 && more == many);
    // No count of a hostile program wraps around.
    for chained in [true, false] {
        let Demand { memory, work, .. } = of(3, usize::MAX, true, chained);
        assert_eq!((memory, work), (u64::MAX, u64::MAX));
    }
}
