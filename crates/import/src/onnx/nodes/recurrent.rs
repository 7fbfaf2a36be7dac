//! Recurrent layers, written out step by step.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::builder::Builder;
use crate::docs as doc;
use crate::movement::reshape_to;
use crate::value::{Fault, along};
use cryptflow_graph::operations::catalogue;
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
    row("LSTM", long_short, doc::LINEAR.note(unrolled!("a linear map, five functions and products"))),
];

/// A layer has no more steps.
const MAX_STEPS: usize = 1 << 12;

/// What a step makes of its state: the projected input and the states before it, the hidden one
/// and, in an LSTM, the cell. Its parts have the step's name before theirs.
type Step = fn(&mut Builder<'_>, &Direction<'_>, NodeId, [NodeId; 2]) -> Result<[NodeId; 2], Fault>;

/// One direction of a layer.
struct Direction<'a> {
    layer: &'a Layer,
    /// What the last state is multiplied with, `[gates · hidden, hidden]`.
    recurrence: NodeId,
    /// What a GRU multiplies the state with that it has reset before: the recurrence's rows for the last
    /// gate. Others use all of it.
    candidate: NodeId,
    /// The bias of the recurrence alone, `[gates · hidden]`: where it does not go with the input's.
    bias: Option<NodeId>,
    /// Weights of the cell on the gates, of an LSTM, `[3 · hidden]`.
    peephole: Option<NodeId>,
    activations: &'a [Function],
}

/// A layer of long and short memory.
pub(super) fn long_short(node: &mut Node<'_>) -> Results {
    layer(node, 4, &["Sigmoid", "Tanh", "Tanh"], long_short_step)
}

/// A product with a transposed matrix.
const WITH_TRANSPOSED: Linear = Linear::MatMul { transpose_a: false, transpose_b: true };

fn layer(node: &mut Node<'_>, gates: usize, defaults: &[&str], step: Step) -> Results {
    let layer = Layer::read(node, gates)?;
    let activations = activations(node, layer.directions, defaults)?;
    let backwards = backwards(node)?;
    let mut passes = Vec::new();
    for (side, functions) in activations.chunks(defaults.len()).enumerate() {
        // What the parts of a direction are called.
        let name = format!("{}/{}", node.name, ["forth", "back"][side]);
        passes.push(layer.pass(&mut node.under(name), side, backwards[side], functions, step)?);
    }
    layer.join(node, &passes)
}

/// What a layer's operands and attributes say of its directions together.
struct Layer {
    gates: usize,
    /// `[steps, batch, inputs]`.
    x: NodeId,
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
    directions: usize,
    /// `[directions, gates · hidden, inputs]`.
    weights: NodeId,
    /// `[directions, gates · hidden, hidden]`.
    recurrences: NodeId,
    /// `[directions, 2 · gates · hidden]`.
    biases: Option<NodeId>,
    /// The states before the first step.
    states: [Option<NodeId>; 2],
    peepholes: Option<NodeId>,
    /// Operands and results have the batch before the steps.
    batch_first: bool,
    linear_before_reset: bool,
    input_forget: bool,
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

/// What a direction has of an operand of all directions.
fn part_of(
    to: &mut Builder<'_>,
    side: usize,
    what: &str,
    operand: NodeId,
    shape: &[usize],
) -> Result<NodeId, Fault> {
    let whole = to.shape(operand).to_vec();
    if whole.is_empty() {
        return Err(format!("its {what} are a single number").into());
    }
    let one = to.add_part(&format!("{what}_slice"), along(&whole, 0, side, 1, 1), &[operand])?;
    to.add_part(what, reshape_to(shape.to_vec()), &[one])
}

impl Layer {
    fn read(node: &mut Node<'_>, gates: usize) -> Result<Layer, Fault> {
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
        let mut given = |i: usize| node.has(i).then(|| node.tensor(i)).transpose();
        let (biases, first) = (given(3)?, given(5)?);
        let [cell, peepholes] = if gates == 4 { [given(6)?, given(7)?] } else { [None, None] };
        Ok(Layer {
            gates,
            x,
            steps,
            batch,
            inputs,
            hidden,
            directions,
            weights,
            recurrences,
            biases,
            states: [first, cell],
            peepholes,
            batch_first,
            linear_before_reset: node.attr_flag("linear_before_reset", false)?,
            input_forget: node.attr_flag("input_forget", false)?,
        })
    }

    /// Computes one direction, step after step.
    fn pass(
        &self,
        to: &mut Builder<'_>,
        side: usize,
        backwards: bool,
        activations: &[Function],
        step: Step,
    ) -> Result<Pass, Fault> {
        let (rows, hidden) = (self.gates * self.hidden, self.hidden);
        let weights = part_of(to, side, "weights", self.weights, &[rows, self.inputs])?;
        let recurrence = part_of(to, side, "recurrence", self.recurrences, &[rows, hidden])?;
        let mut biases = [None, None];
        if let Some(both) = self.biases {
            let both = part_of(to, side, "biases", both, &[2 * rows])?;
            for (i, bias) in biases.iter_mut().enumerate() {
                let cut = along(&[2 * rows], 0, i * rows, rows, 1);
                *bias = Some(to.add_part(&format!("bias_{i}"), cut, &[both])?);
            }
        }
        let mut peephole = self.peepholes;
        if let Some(weights) = &mut peephole {
            *weights = part_of(to, side, "peephole", *weights, &[3 * hidden])?;
        }
        let state = self.first_state(to, side)?;
        // What is reset behind its product is reset with its bias.
        let mut bias = None;
        if self.gates == 3 && self.linear_before_reset {
            std::mem::swap(&mut bias, &mut biases[1]);
        }
        // All steps' inputs in one product, with the biases that can be added there.
        let flat = to.add_part("rows", reshape_to(vec![self.steps * self.batch, self.inputs]), &[self.x])?;
        let mut projected = to.add_part("projected", WITH_TRANSPOSED, &[flat, weights])?;
        for (i, bias) in biases.into_iter().enumerate() {
            if let Some(bias) = bias {
                projected = to.add_part(&format!("biased_{i}"), Arithmetic::Add, &[projected, bias])?;
            }
        }
        let mut candidate = recurrence;
        if self.gates == 3 && !self.linear_before_reset {
            let last = along(&[rows, hidden], 0, 2 * hidden, hidden, 1);
            candidate = to.add_part("candidate_weights", last, &[recurrence])?;
        }
        let direction = Direction { layer: self, recurrence, candidate, bias, peephole, activations };
        self.unroll(to, &direction, backwards, projected, state, step)
    }

    /// The states before the first step: zeros, where they are not given.
    fn first_state(&self, to: &mut Builder<'_>, side: usize) -> Result<[NodeId; 2], Fault> {
        let shape = [self.batch, self.hidden];
        let mut state = |i: usize| {
            let Some(mut state) = self.states[i] else {
                let zeros = Array::filled(shape.to_vec(), 0.0)?;
                return Ok(to.add_constant(&format!("zeros_{i}"), zeros));
            };
            if self.batch_first {
                state = to.add_part(&format!("directions_first_{i}"), swapped(), &[state])?;
            }
            part_of(to, side, &format!("state_{i}"), state, &shape)
        };
        Ok([state(0)?, state(1)?])
    }

    fn unroll(
        &self,
        to: &mut Builder<'_>,
        direction: &Direction<'_>,
        backwards: bool,
        projected: NodeId,
        mut state: [NodeId; 2],
        step: Step,
    ) -> Result<Pass, Fault> {
        let (steps, batch) = (self.steps, self.batch);
        to.graph.loops.push(to.name.clone());
        let mut hiddens = Vec::with_capacity(steps);
        for i in 0..steps {
            let t = if backwards { steps - 1 - i } else { i };
            let cut = along(&[steps * batch, self.gates * self.hidden], 0, t * batch, batch, 1);
            let input = to.add_part(&format!("{t}/input"), cut, &[projected])?;
            let name = format!("{}/{t}", to.name);
            state = step(&mut to.under(name), direction, input, state)?;
            hiddens.push(state[0]);
        }
        if backwards {
            hiddens.reverse();
        }
        let all = to.add_part("all", Movement::Concat { axis: 0 }, &hiddens)?;
        let output = to.add_part("output", reshape_to(vec![steps, 1, batch, self.hidden]), &[all])?;
        for (i, last) in state.iter_mut().enumerate() {
            *last = to.add_part(&format!("last_{i}"), reshape_to(vec![1, batch, self.hidden]), &[*last])?;
        }
        Ok(Pass { output, last: state })
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
            let join = Movement::Concat { axis };
            results.push(Value::Tensor(if self.batch_first {
                let parts = node.add_part(&format!("joined_{i}"), join, &parts)?;
                node.add_as(name, Movement::Transpose { permutation }, &[parts])?
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
    let names: Vec<&str> = match attribute {
        Some(a) => a.strings.iter().map(|s| std::str::from_utf8(s).unwrap_or("?")).collect(),
        None => defaults.repeat(directions),
    };
    let parameters = ["activation_alpha", "activation_beta"].iter().any(|name| node.has_attribute(name));
    if names.len() != directions * defaults.len() || parameters {
        return Err(format!(
            "has the functions {names:?}, or parameters for them, for which there is no rule here. Export the layer with \
             its usual functions"
        )
        .into());
    }
    let function = |name: &&str| {
        match *name {
        "Relu" => Ok(Function::leaky_relu(0.0)),
        name => catalogue()
            .find(|f| f.entry().onnx.contains(&name))
            .map(|f| f.with(&f.entry().parameters.iter().map(|p| p.onnx.1).collect::<Vec<_>>()))
            .ok_or_else(|| {
                Fault::from(format!(
                    "has the function {name:?}, for which there is no rule here. Export the layer with its usual functions"
                ))
            }),
    }
    };
    names.iter().map(function).collect()
}

impl Builder<'_> {
    /// The columns of a gate.
    fn gate(&mut self, part: &str, x: NodeId, index: usize, hidden: usize) -> Result<NodeId, Fault> {
        let shape = self.shape(x).to_vec();
        self.add_part(part, along(&shape, shape.len() - 1, index * hidden, hidden, 1), &[x])
    }

    fn plus(&mut self, part: &str, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
        self.add_part(part, Arithmetic::Add, &[a, b])
    }

    fn times(&mut self, part: &str, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
        self.add_part(part, Arithmetic::Mul, &[a, b])
    }
}

fn simple_step(
    to: &mut Builder<'_>,
    d: &Direction<'_>,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let recurred = to.add_part("recurrence", WITH_TRANSPOSED, &[h, d.recurrence])?;
    let sum = to.plus("sum", input, recurred)?;
    Ok([to.add_part("state", d.activations[0], &[sum])?, c])
}

/// `h = (1 − z) · candidate + z · h`.
fn gated_step(
    to: &mut Builder<'_>,
    d: &Direction<'_>,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let n = d.layer.hidden;
    let mut recurred = to.add_part("recurrence", WITH_TRANSPOSED, &[h, d.recurrence])?;
    if let Some(bias) = d.bias {
        recurred = to.plus("biased", recurred, bias)?;
    }
    let mut gate = |i: usize, name: &str| {
        let a = to.gate(&format!("{name}_input"), input, i, n)?;
        let b = to.gate(&format!("{name}_recurrence"), recurred, i, n)?;
        let sum = to.plus(&format!("{name}_sum"), a, b)?;
        to.add_part(name, d.activations[0], &[sum])
    };
    let (update, reset) = (gate(0, "update")?, gate(1, "reset")?);
    let own_input = to.gate("candidate_input", input, 2, n)?;
    let from_state = if d.layer.linear_before_reset {
        let all = to.gate("candidate_recurrence", recurred, 2, n)?;
        to.times("candidate_reset", reset, all)?
    } else {
        let left = to.times("left", reset, h)?;
        to.add_part("candidate_recurrence", WITH_TRANSPOSED, &[left, d.candidate])?
    };
    let sum = to.plus("candidate_sum", own_input, from_state)?;
    let candidate = to.add_part("candidate", d.activations[1], &[sum])?;
    // candidate + z · (h − candidate): one product.
    let change = to.add_part("change", Arithmetic::Sub, &[h, candidate])?;
    let kept = to.times("kept", update, change)?;
    Ok([to.plus("state", candidate, kept)?, c])
}

/// Gates in ONNX's order: input, output, forget, cell.
fn long_short_step(
    to: &mut Builder<'_>,
    d: &Direction<'_>,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let n = d.layer.hidden;
    let recurred = to.add_part("recurrence", WITH_TRANSPOSED, &[h, d.recurrence])?;
    let all = to.plus("sum", input, recurred)?;
    let mut sums = Vec::new();
    for (i, name) in ["input", "output", "forget", "cell"].into_iter().enumerate() {
        sums.push(to.gate(&format!("{name}_sum"), all, i, n)?);
    }
    // Peepholes are in the order input, output, forget; the output sees the new cell.
    let seen = |to: &mut Builder<'_>, name: &str, i: usize, c: NodeId| {
        let Some(p) = d.peephole else { return Ok(sums[i]) };
        let p = to.gate(&format!("{name}_peephole"), p, i, n)?;
        let seen = to.times(&format!("{name}_seen"), c, p)?;
        to.plus(&format!("{name}_with_cell"), sums[i], seen)
    };
    let sum = seen(to, "input", 0, c)?;
    let take = to.add_part("take", d.activations[0], &[sum])?;
    let keep = if d.layer.input_forget {
        let one = to.add_number("one", 1.0);
        to.add_part("keep", Arithmetic::Sub, &[one, take])?
    } else {
        let sum = seen(to, "forget", 2, c)?;
        to.add_part("keep", d.activations[0], &[sum])?
    };
    let candidate = to.add_part("candidate", d.activations[1], &[sums[3]])?;
    let taken = to.times("taken", take, candidate)?;
    // The first cell is often nothing.
    let c = if to.constant_of(c).is_some_and(|c| c.data.iter().all(|&v| v == 0.0)) {
        taken
    } else {
        let kept = to.times("kept", keep, c)?;
        to.plus("cell", kept, taken)?
    };
    let sum = seen(to, "output", 1, c)?;
    let give = to.add_part("give", d.activations[0], &[sum])?;
    let shown = to.add_part("shown", d.activations[2], &[c])?;
    Ok([to.times("state", give, shown)?, c])
}
