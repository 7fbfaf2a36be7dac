//! Recurrent layers, written out step by step.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::builder::Builder;
use crate::docs as doc;
use crate::value::{Fault, along};
use cryptflow_graph::{Arithmetic, Array, Function, Linear, NodeId};

/// What is said of a layer, with what a step of it is.
macro_rules! unrolled {
    ($step:literal) => {
        concat!(
            "unrolled, in both directions: at each step ",
            $step,
            "; not with `clip`, parameters of functions, or sequences of different lengths"
        )
    };
}

pub(super) const TABLE: &[Row] = &[
    row(
        "RNN",
        |n| layer(n, 1, &["Tanh"], simple_step),
        doc::LINEAR.note(unrolled!("a linear map and a function")),
    ),
    row(
        "GRU",
        |n| layer(n, 3, &["Sigmoid", "Tanh"], gated_step),
        doc::LINEAR.note(unrolled!("linear maps, three functions and products")),
    ),
    row(
        "LSTM",
        |n| layer(n, 4, &["Sigmoid", "Tanh", "Tanh"], long_short_step),
        doc::LINEAR.note(unrolled!("a linear map, five functions and products")),
    ),
];

/// A layer has no more steps.
const MAX_STEPS: usize = 1 << 12;

/// What a step makes of its state: the projected input and the states before it, the hidden one
/// and, in an LSTM, the cell. Its parts have the step's name before theirs.
type Step = fn(&mut Builder<'_>, &Direction, NodeId, [NodeId; 2]) -> Result<[NodeId; 2], Fault>;

/// One direction of a layer.
struct Direction {
    hidden: usize,
    /// What the last state is multiplied with, `[gates · hidden, hidden]`.
    recurrence: NodeId,
    /// The bias of the recurrence alone, `[gates · hidden]`: where it does not go with the input's.
    bias: Option<NodeId>,
    /// Weights of the cell on the gates, of an LSTM, `[3 · hidden]`.
    peephole: Option<NodeId>,
    activations: Vec<Function>,
    linear_before_reset: bool,
    input_forget: bool,
}

fn layer(node: &mut Node<'_>, gates: usize, defaults: &[&str], step: Step) -> Results {
    let layer = Layer::read(node, gates, defaults)?;
    let mut passes = Vec::new();
    for side in 0..layer.backwards.len() {
        passes.push(layer.pass(node, side, step)?);
    }
    layer.join(node, &passes)
}

/// What the parts of a direction are called.
const SIDES: [&str; 2] = ["forth", "back"];

/// What a layer's operands and attributes say of its directions together.
struct Layer {
    gates: usize,
    /// `[steps, batch, inputs]`.
    x: NodeId,
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
    /// `[directions, gates · hidden, inputs]`.
    weights: NodeId,
    /// `[directions, gates · hidden, hidden]`.
    recurrences: NodeId,
    /// Operands and results have the batch before the steps.
    batch_first: bool,
    /// For each direction, whether it begins with the last step.
    backwards: Vec<bool>,
    /// The functions of each direction's gates.
    activations: Vec<Vec<Function>>,
}

/// What comes of one direction: the states of all steps, and the last ones.
struct Pass {
    output: NodeId,
    last: [NodeId; 2],
}

/// The batch and what comes before or behind it change places.
fn swapped() -> Movement {
    Movement::Transpose { permutation: vec![1, 0, 2] }
}

impl Layer {
    fn read(node: &mut Node<'_>, gates: usize, defaults: &[&str]) -> Result<Layer, Fault> {
        let batch_first = node.attr_flag("layout", false)?;
        let mut x = node.tensor(0)?;
        if batch_first {
            x = node.move_part("steps_first", swapped(), x)?;
        }
        let &[steps, batch, inputs] = node.shape(x) else {
            let shape = node.shape(x);
            return Err(format!("its operand must have steps, a batch and features, but is {shape:?}").into());
        };
        let (weights, recurrences) = (node.tensor(1)?, node.tensor(2)?);
        let &[directions, rows, hidden] = node.shape(recurrences) else {
            return Err(format!("its recurrence has the shape {:?}", node.shape(recurrences)).into());
        };
        let agrees = rows == gates * hidden && node.shape(weights) == [directions, rows, inputs];
        if !agrees || !(1..=2).contains(&directions) || !(1..=MAX_STEPS).contains(&steps) {
            let (w, r) = (node.shape(weights), node.shape(recurrences));
            return Err(format!(
                "its weights {w:?} and {r:?} do not go with {steps} steps of {inputs} features"
            )
            .into());
        }
        check_options(node, steps)?;
        let backwards = backwards(node)?.into_iter().take(directions).collect();
        let activations = activations(node, directions, defaults)?;
        let activations = activations.chunks(defaults.len()).map(<[_]>::to_vec).collect();
        Ok(Layer {
            gates,
            x,
            steps,
            batch,
            inputs,
            hidden,
            weights,
            recurrences,
            batch_first,
            backwards,
            activations,
        })
    }

    fn rows(&self) -> usize {
        self.gates * self.hidden
    }

    /// What a direction has of an operand of all directions.
    fn part_of(
        node: &mut Node<'_>,
        side: usize,
        what: &str,
        operand: NodeId,
        shape: Vec<usize>,
    ) -> Result<NodeId, Fault> {
        let (whole, part) = (node.shape(operand).to_vec(), SIDES[side]);
        let one = node.move_part(&format!("{part}/{what}_slice"), along(&whole, 0, side, 1, 1), operand)?;
        node.move_part(&format!("{part}/{what}"), Movement::Reshape { shape }, one)
    }

    /// Computes one direction, step after step.
    fn pass(&self, node: &mut Node<'_>, side: usize, step: Step) -> Result<Pass, Fault> {
        let (rows, hidden) = (self.rows(), self.hidden);
        let weights = Self::part_of(node, side, "weights", self.weights, vec![rows, self.inputs])?;
        let recurrence = Self::part_of(node, side, "recurrence", self.recurrences, vec![rows, hidden])?;
        let [bias, recurrent_bias] = self.biases(node, side)?;
        let peephole = self.peephole(node, side)?;
        let state = self.first_state(node, side)?;
        let linear_before_reset = node.attr_flag("linear_before_reset", false)?;
        // What is reset behind its product is reset with its bias.
        let separate = self.gates == 3 && linear_before_reset;
        let projected = self.project(node, side, weights, [bias, recurrent_bias.filter(|_| !separate)])?;
        let direction = Direction {
            hidden,
            recurrence,
            bias: recurrent_bias.filter(|_| separate),
            peephole,
            activations: self.activations[side].clone(),
            linear_before_reset,
            input_forget: node.attr_flag("input_forget", false)?,
        };
        self.unroll(node, side, &direction, projected, state, step)
    }

    /// The biases of the input and of the recurrence.
    fn biases(&self, node: &mut Node<'_>, side: usize) -> Result<[Option<NodeId>; 2], Fault> {
        let mut biases = [None, None];
        if !node.has(3) {
            return Ok(biases);
        }
        let rows = self.rows();
        let both = node.tensor(3)?;
        let both = Self::part_of(node, side, "biases", both, vec![2 * rows])?;
        for (i, bias) in biases.iter_mut().enumerate() {
            let cut = along(&[2 * rows], 0, i * rows, rows, 1);
            *bias = Some(node.move_part(&format!("{}/bias_{i}", SIDES[side]), cut, both)?);
        }
        Ok(biases)
    }

    fn peephole(&self, node: &mut Node<'_>, side: usize) -> Result<Option<NodeId>, Fault> {
        if self.gates != 4 || !node.has(7) {
            return Ok(None);
        }
        let weights = node.tensor(7)?;
        Self::part_of(node, side, "peephole", weights, vec![3 * self.hidden]).map(Some)
    }

    /// The states before the first step: zeros, where they are not given.
    fn first_state(&self, node: &mut Node<'_>, side: usize) -> Result<[NodeId; 2], Fault> {
        let shape = vec![self.batch, self.hidden];
        let mut state = |operand: usize, i: usize| {
            if !node.has(operand) || (i == 1 && self.gates != 4) {
                let zeros = Array::filled(shape.clone(), 0.0)?;
                return Ok(node.add_constant(&format!("{}/zeros_{i}", SIDES[side]), zeros));
            }
            let mut state = node.tensor(operand)?;
            if self.batch_first {
                state = node.move_part(&format!("{}/directions_first_{i}", SIDES[side]), swapped(), state)?;
            }
            Self::part_of(node, side, &format!("state_{i}"), state, shape.clone())
        };
        Ok([state(5, 0)?, state(6, 1)?])
    }

    /// All steps' inputs in one product, with the biases that can be added there.
    fn project(
        &self,
        node: &mut Node<'_>,
        side: usize,
        weights: NodeId,
        biases: [Option<NodeId>; 2],
    ) -> Result<NodeId, Fault> {
        let part = SIDES[side];
        let rows = Movement::Reshape { shape: vec![self.steps * self.batch, self.inputs] };
        let flat = node.move_part(&format!("{part}/rows"), rows, self.x)?;
        let product = Linear::MatMul { transpose_a: false, transpose_b: true };
        let mut projected = node.add_part(&format!("{part}/projected"), product, &[flat, weights])?;
        for (i, bias) in biases.into_iter().enumerate() {
            if let Some(bias) = bias {
                projected =
                    node.add_part(&format!("{part}/biased_{i}"), Arithmetic::Add, &[projected, bias])?;
            }
        }
        Ok(projected)
    }

    fn unroll(
        &self,
        node: &mut Node<'_>,
        side: usize,
        direction: &Direction,
        projected: NodeId,
        mut state: [NodeId; 2],
        step: Step,
    ) -> Result<Pass, Fault> {
        let (part, steps, batch) = (SIDES[side], self.steps, self.batch);
        let mut hiddens = Vec::with_capacity(steps);
        for i in 0..steps {
            let t = if self.backwards[side] { steps - 1 - i } else { i };
            let own = format!("{part}/{t}");
            let cut = along(&[steps * batch, self.rows()], 0, t * batch, batch, 1);
            let input = node.move_part(&format!("{own}/input"), cut, projected)?;
            let name = format!("{}/{own}", node.name);
            state = step(&mut node.under(name), direction, input, state)?;
            hiddens.push(state[0]);
        }
        if self.backwards[side] {
            hiddens.reverse();
        }
        let all = node.add_part(&format!("{part}/all"), Movement::Concat { axis: 0 }, &hiddens)?;
        let shape = vec![steps, 1, batch, self.hidden];
        let output = node.move_part(&format!("{part}/output"), Movement::Reshape { shape }, all)?;
        let mut last = state;
        for (i, last) in last.iter_mut().enumerate() {
            let shape = vec![1, batch, self.hidden];
            *last = node.move_part(&format!("{part}/last_{i}"), Movement::Reshape { shape }, *last)?;
        }
        Ok(Pass { output, last })
    }

    /// The results: all states, and the last ones, of all directions.
    fn join(&self, node: &mut Node<'_>, passes: &[Pass]) -> Results {
        let last = |i: usize| passes.iter().map(|p| p.last[i]).collect::<Vec<_>>();
        let mut whole = vec![
            (passes.iter().map(|p| p.output).collect(), 1, vec![2, 0, 1, 3]),
            (last(0), 0, vec![1, 0, 2]),
        ];
        if self.gates == 4 {
            whole.push((last(1), 0, vec![1, 0, 2]));
        }
        let mut results = Vec::new();
        for (i, (parts, axis, permutation)) in whole.into_iter().enumerate() {
            let name = node.result_name(i);
            let joined = format!("{}/joined_{i}", node.name);
            let (join, order) = (Movement::Concat { axis }, Movement::Transpose { permutation });
            results.push(Value::Tensor(if self.batch_first {
                let parts = node.add_as(joined, join, &parts)?;
                node.add_as(name, order, &[parts])?
            } else {
                node.add_as(name, join, &parts)?
            }));
        }
        Ok(results)
    }
}

/// Refuses what is not unrolled here.
fn check_options(node: &Node<'_>, steps: usize) -> Result<(), Fault> {
    if node.has(4) && node.ints(4)?.data.iter().any(|&n| n != steps as i64) {
        return Err(
            "has sequences of different lengths. Pad them to one length, and leave the lengths away".into()
        );
    }
    if node.has_attribute("clip") {
        return Err(
            "cuts its gates (the attribute clip), for which there is no rule here. Export it without".into(),
        );
    }
    Ok(())
}

/// For the first and the second direction, whether it begins with the last step.
fn backwards(node: &Node<'_>) -> Result<[bool; 2], Fault> {
    match node.attr_text("direction", "forward")? {
        "forward" => Ok([false, false]),
        "reverse" => Ok([true, true]),
        "bidirectional" => Ok([false, true]),
        _ => Err(Node::wrong("direction")),
    }
}

/// The functions of the gates, direction after direction.
fn activations(node: &Node<'_>, directions: usize, defaults: &[&str]) -> Result<Vec<Function>, Fault> {
    let attribute = node.message.def.attribute.iter().find(|a| a.name == "activations");
    let names: Vec<String> = match attribute {
        Some(a) => a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect(),
        None => (0..directions).flat_map(|_| defaults.iter().map(|d| (*d).to_owned())).collect(),
    };
    let parameters = ["activation_alpha", "activation_beta"].iter().any(|name| node.has_attribute(name));
    if names.len() != directions * defaults.len() || parameters {
        return Err(format!(
            "has the functions {names:?}, or parameters for them, for which there is no rule here. Export the layer with \
             its usual functions"
        )
        .into());
    }
    let function = |name: &String| match name.as_str() {
        "Sigmoid" => Ok(Function::SIGMOID),
        "Tanh" => Ok(Function::TANH),
        "Relu" => Ok(Function::leaky_relu(0.0)),
        "HardSigmoid" => Ok(Function::hard_sigmoid(0.2, 0.5)),
        "LeakyRelu" => Ok(Function::leaky_relu(0.01)),
        "Softsign" => Ok(Function::SOFTSIGN),
        "Softplus" => Ok(Function::SOFTPLUS),
        "Elu" => Ok(Function::elu(1.0)),
        _ => Err(Fault::Unsupported(format!(
            "has the function {name:?}, for which there is no rule here. Export the layer with its usual functions"
        ))),
    };
    names.iter().map(function).collect()
}

/// The columns of a gate.
fn gate(to: &mut Builder<'_>, part: &str, x: NodeId, index: usize, hidden: usize) -> Result<NodeId, Fault> {
    let shape = to.shape(x).to_vec();
    let axis = shape.len() - 1;
    to.add_part(part, along(&shape, axis, index * hidden, hidden, 1), &[x])
}

fn recurred(to: &mut Builder<'_>, h: NodeId, recurrence: NodeId) -> Result<NodeId, Fault> {
    to.add_part("recurrence", Linear::MatMul { transpose_a: false, transpose_b: true }, &[h, recurrence])
}

fn simple_step(
    to: &mut Builder<'_>,
    d: &Direction,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let recurred = recurred(to, h, d.recurrence)?;
    let sum = to.add_part("sum", Arithmetic::Add, &[input, recurred])?;
    let h = to.add_part("state", d.activations[0], &[sum])?;
    Ok([h, c])
}

/// `h = (1 − z) · candidate + z · h`.
fn gated_step(
    to: &mut Builder<'_>,
    d: &Direction,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let n = d.hidden;
    let mut recurred = recurred(to, h, d.recurrence)?;
    if let Some(bias) = d.bias {
        recurred = to.add_part("biased", Arithmetic::Add, &[recurred, bias])?;
    }
    let mut gates = Vec::new();
    for (i, name) in ["update", "reset"].into_iter().enumerate() {
        let a = gate(to, &format!("{name}_input"), input, i, n)?;
        let b = gate(to, &format!("{name}_recurrence"), recurred, i, n)?;
        let sum = to.add_part(&format!("{name}_sum"), Arithmetic::Add, &[a, b])?;
        gates.push(to.add_part(name, d.activations[0], &[sum])?);
    }
    let (update, reset) = (gates[0], gates[1]);
    let own_input = gate(to, "candidate_input", input, 2, n)?;
    let from_state = if d.linear_before_reset {
        let all = gate(to, "candidate_recurrence", recurred, 2, n)?;
        to.add_part("candidate_reset", Arithmetic::Mul, &[reset, all])?
    } else {
        let left = to.add_part("left", Arithmetic::Mul, &[reset, h])?;
        let rows = to.shape(d.recurrence).to_vec();
        let w = to.add_part("candidate_weights", along(&rows, 0, 2 * n, n, 1), &[d.recurrence])?;
        let product = Linear::MatMul { transpose_a: false, transpose_b: true };
        to.add_part("candidate_recurrence", product, &[left, w])?
    };
    let sum = to.add_part("candidate_sum", Arithmetic::Add, &[own_input, from_state])?;
    let candidate = to.add_part("candidate", d.activations[1], &[sum])?;
    // candidate + z · (h − candidate): one product.
    let change = to.add_part("change", Arithmetic::Sub, &[h, candidate])?;
    let kept = to.add_part("kept", Arithmetic::Mul, &[update, change])?;
    let h = to.add_part("state", Arithmetic::Add, &[candidate, kept])?;
    Ok([h, c])
}

/// Gates in ONNX's order: input, output, forget, cell.
fn long_short_step(
    to: &mut Builder<'_>,
    d: &Direction,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let n = d.hidden;
    let recurred = recurred(to, h, d.recurrence)?;
    let all = to.add_part("sum", Arithmetic::Add, &[input, recurred])?;
    let mut sums = Vec::new();
    for (i, name) in ["input", "output", "forget", "cell"].into_iter().enumerate() {
        sums.push(gate(to, &format!("{name}_sum"), all, i, n)?);
    }
    // Peepholes are in the order input, output, forget; the output sees the new cell.
    let seen = |to: &mut Builder<'_>, name: &str, i: usize, c: NodeId, sum: NodeId| {
        let Some(p) = d.peephole else { return Ok(sum) };
        let p = gate(to, &format!("{name}_peephole"), p, i, n)?;
        let seen = to.add_part(&format!("{name}_seen"), Arithmetic::Mul, &[c, p])?;
        to.add_part(&format!("{name}_with_cell"), Arithmetic::Add, &[sum, seen])
    };
    let sum = seen(to, "input", 0, c, sums[0])?;
    let take = to.add_part("take", d.activations[0], &[sum])?;
    let keep = if d.input_forget {
        let one = to.add_number("one", 1.0);
        to.add_part("keep", Arithmetic::Sub, &[one, take])?
    } else {
        let sum = seen(to, "forget", 2, c, sums[2])?;
        to.add_part("keep", d.activations[0], &[sum])?
    };
    let candidate = to.add_part("candidate", d.activations[1], &[sums[3]])?;
    let taken = to.add_part("taken", Arithmetic::Mul, &[take, candidate])?;
    // The first cell is often nothing.
    let c = if to.constant_of(c).is_some_and(|c| c.data.iter().all(|&v| v == 0.0)) {
        taken
    } else {
        let kept = to.add_part("kept", Arithmetic::Mul, &[keep, c])?;
        to.add_part("cell", Arithmetic::Add, &[kept, taken])?
    };
    let sum = seen(to, "output", 1, c, sums[1])?;
    let give = to.add_part("give", d.activations[0], &[sum])?;
    let shown = to.add_part("shown", d.activations[2], &[c])?;
    let h = to.add_part("state", Arithmetic::Mul, &[give, shown])?;
    Ok([h, c])
}
