//! Recurrent layers, written out step by step.

use cryptflow_ring::Movement;

use super::{Import, Node, Results, Table, Value};
use crate::docs as doc;
use crate::value::{Fault, along};
use cryptflow_graph::{Arithmetic, Array, Function, Linear, NodeId, Op};

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

pub(super) const TABLE: Table = &[
    ("RNN", simple, doc::LINEAR.note(unrolled!("a linear map and a function"))),
    ("GRU", gated, doc::LINEAR.note(unrolled!("linear maps, three functions and products"))),
    ("LSTM", long_short as Import, doc::LINEAR.note(unrolled!("a linear map, five functions and products"))),
];

/// A layer has no more steps.
const MAX_STEPS: usize = 1 << 12;

/// What a step makes of its state: the projected input and the states before it, the hidden one and, in an LSTM, the cell.
type Step = fn(&mut Node<'_>, &Direction, &str, NodeId, [NodeId; 2]) -> Result<[NodeId; 2], Fault>;

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

fn simple(node: &mut Node<'_>) -> Results {
    layer(node, 1, &["Tanh"], simple_step)
}

fn gated(node: &mut Node<'_>) -> Results {
    layer(node, 3, &["Sigmoid", "Tanh"], gated_step)
}

fn long_short(node: &mut Node<'_>) -> Results {
    layer(node, 4, &["Sigmoid", "Tanh", "Tanh"], long_short_step)
}

fn layer(node: &mut Node<'_>, gates: usize, defaults: &[&str], step: Step) -> Results {
    let batch_first = node.attr_flag("layout", false)?;
    let mut x = node.tensor(0)?;
    if batch_first {
        x = node.moved_part("steps_first", Movement::Transpose { permutation: vec![1, 0, 2] }, x)?;
    }
    let &[steps, batch, inputs] = node.shape(x) else {
        return Err(
            format!("its operand must have steps, a batch and features, but is {:?}", node.shape(x)).into()
        );
    };
    let (weights, recurrences) = (node.tensor(1)?, node.tensor(2)?);
    let &[directions, rows, hidden] = node.shape(recurrences) else {
        return Err(format!("its recurrence has the shape {:?}", node.shape(recurrences)).into());
    };
    let agrees = rows == gates * hidden && node.shape(weights) == [directions, rows, inputs];
    if !agrees || !(1..=2).contains(&directions) || !(1..=MAX_STEPS).contains(&steps) {
        let (w, r) = (node.shape(weights), node.shape(recurrences));
        return Err(
            format!("its weights {w:?} and {r:?} do not go with {steps} steps of {inputs} features").into()
        );
    }
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
    let backwards = match node.attr_text("direction", "forward")? {
        "forward" => [false, false],
        "reverse" => [true, true],
        "bidirectional" => [false, true],
        _ => return Err(Node::wrong("direction")),
    };
    let activations = activations(node, directions, defaults)?;
    let (mut outputs, mut last) = (Vec::new(), [Vec::new(), Vec::new()]);
    for d in 0..directions {
        let part = if d == 0 { "forth" } else { "back" };
        let of = |node: &mut Node<'_>, what: &str, x: NodeId, shape: Vec<usize>| {
            let whole = node.shape(x).to_vec();
            let one = node.moved_part(&format!("{part}/{what}_slice"), along(&whole, 0, d, 1, 1), x)?;
            node.moved_part(&format!("{part}/{what}"), Movement::Reshape { shape }, one)
        };
        let w = of(node, "weights", weights, vec![rows, inputs])?;
        let recurrence = of(node, "recurrence", recurrences, vec![rows, hidden])?;
        let mut biases = [None, None];
        if node.has(3) {
            let both = node.tensor(3)?;
            let both = of(node, "biases", both, vec![2 * rows])?;
            for (i, bias) in biases.iter_mut().enumerate() {
                let cut = along(&[2 * rows], 0, i * rows, rows, 1);
                *bias = Some(node.moved_part(&format!("{part}/bias_{i}"), cut, both)?);
            }
        }
        let peephole = if gates == 4 && node.has(7) {
            let p = node.tensor(7)?;
            Some(of(node, "peephole", p, vec![3 * hidden])?)
        } else {
            None
        };
        let mut states = Vec::new();
        for (i, operand) in [5, 6].into_iter().enumerate() {
            states.push(if node.has(operand) && (i == 0 || gates == 4) {
                let mut state = node.tensor(operand)?;
                if batch_first {
                    let swap = Movement::Transpose { permutation: vec![1, 0, 2] };
                    state = node.moved_part(&format!("{part}/directions_first_{i}"), swap, state)?;
                }
                of(node, &format!("state_{i}"), state, vec![batch, hidden])?
            } else {
                node.constant(&format!("{part}/zeros_{i}"), Array::filled(vec![batch, hidden], 0.0)?)
            });
        }
        // All steps' inputs in one product, with the biases that can be added there.
        let flat = node.moved_part(
            &format!("{part}/rows"),
            Movement::Reshape { shape: vec![steps * batch, inputs] },
            x,
        )?;
        let product = Op::Linear(Linear::MatMul { transpose_a: false, transpose_b: true });
        let mut projected = node.part(&format!("{part}/projected"), product, &[flat, w])?;
        let linear_before_reset = node.attr_flag("linear_before_reset", false)?;
        let separate = gates == 3 && linear_before_reset;
        for (i, bias) in biases.iter().enumerate() {
            if let (Some(bias), false) = (bias, separate && i == 1) {
                projected = node.part(&format!("{part}/biased_{i}"), Arithmetic::Add, &[projected, *bias])?;
            }
        }
        let direction = Direction {
            hidden,
            recurrence,
            bias: biases[1].filter(|_| separate),
            peephole,
            activations: activations[d * defaults.len()..][..defaults.len()].to_vec(),
            linear_before_reset,
            input_forget: node.attr_flag("input_forget", false)?,
        };
        let mut state = [states[0], states[1]];
        let mut hiddens = vec![None; steps];
        for i in 0..steps {
            let t = if backwards[d] { steps - 1 - i } else { i };
            let own = format!("{part}/{t}");
            let cut = along(&[steps * batch, rows], 0, t * batch, batch, 1);
            let input = node.moved_part(&format!("{own}/input"), cut, projected)?;
            state = step(node, &direction, &own, input, state)?;
            hiddens[t] = Some(state[0]);
        }
        let hiddens: Vec<NodeId> = hiddens.into_iter().flatten().collect();
        let all = node.part(&format!("{part}/all"), Movement::Concat { axis: 0 }, &hiddens)?;
        let shape = vec![steps, 1, batch, hidden];
        outputs.push(node.moved_part(&format!("{part}/output"), Movement::Reshape { shape }, all)?);
        for (i, (last, state)) in last.iter_mut().zip(state).enumerate() {
            let shape = vec![1, batch, hidden];
            last.push(node.moved_part(&format!("{part}/last_{i}"), Movement::Reshape { shape }, state)?);
        }
    }
    let mut results = Vec::new();
    let whole = [
        (outputs, 1, vec![2, 0, 1, 3]),
        (last[0].clone(), 0, vec![1, 0, 2]),
        (last[1].clone(), 0, vec![1, 0, 2]),
    ];
    for (i, (parts, axis, permutation)) in whole.into_iter().enumerate().take(if gates == 4 { 3 } else { 2 })
    {
        let name = node.result_name(i);
        let joined = format!("{}/joined_{i}", node.name);
        let (join, order) = (Movement::Concat { axis }, Movement::Transpose { permutation });
        results.push(Value::Tensor(if batch_first {
            let parts = node.add_as(joined, join, &parts)?;
            node.add_as(name, order, &[parts])?
        } else {
            node.add_as(name, join, &parts)?
        }));
    }
    Ok(results)
}

/// The functions of the gates, direction after direction.
fn activations(node: &Node<'_>, directions: usize, defaults: &[&str]) -> Result<Vec<Function>, Fault> {
    let attribute = node.def.attribute.iter().find(|a| a.name == "activations");
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
fn gate(node: &mut Node<'_>, part: String, x: NodeId, index: usize, hidden: usize) -> Result<NodeId, Fault> {
    let shape = node.shape(x).to_vec();
    let axis = shape.len() - 1;
    node.moved_part(&part, along(&shape, axis, index * hidden, hidden, 1), x)
}

fn recurred(node: &mut Node<'_>, own: &str, h: NodeId, recurrence: NodeId) -> Result<NodeId, Fault> {
    node.part(
        &format!("{own}/recurrence"),
        Linear::MatMul { transpose_a: false, transpose_b: true },
        &[h, recurrence],
    )
}

fn simple_step(
    node: &mut Node<'_>,
    d: &Direction,
    own: &str,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let recurred = recurred(node, own, h, d.recurrence)?;
    let sum = node.part(&format!("{own}/sum"), Arithmetic::Add, &[input, recurred])?;
    let h = node.part(&format!("{own}/state"), d.activations[0], &[sum])?;
    Ok([h, c])
}

/// `h = (1 − z) · candidate + z · h`.
fn gated_step(
    node: &mut Node<'_>,
    d: &Direction,
    own: &str,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let n = d.hidden;
    let mut recurred = recurred(node, own, h, d.recurrence)?;
    if let Some(bias) = d.bias {
        recurred = node.part(&format!("{own}/biased"), Arithmetic::Add, &[recurred, bias])?;
    }
    let mut gates = Vec::new();
    for (i, name) in ["update", "reset"].into_iter().enumerate() {
        let a = gate(node, format!("{own}/{name}_input"), input, i, n)?;
        let b = gate(node, format!("{own}/{name}_recurrence"), recurred, i, n)?;
        let sum = node.part(&format!("{own}/{name}_sum"), Arithmetic::Add, &[a, b])?;
        gates.push(node.part(&format!("{own}/{name}"), d.activations[0], &[sum])?);
    }
    let (update, reset) = (gates[0], gates[1]);
    let own_input = gate(node, format!("{own}/candidate_input"), input, 2, n)?;
    let from_state = if d.linear_before_reset {
        let all = gate(node, format!("{own}/candidate_recurrence"), recurred, 2, n)?;
        node.part(&format!("{own}/candidate_reset"), Arithmetic::Mul, &[reset, all])?
    } else {
        let left = node.part(&format!("{own}/left"), Arithmetic::Mul, &[reset, h])?;
        let rows = node.shape(d.recurrence).to_vec();
        let w =
            node.moved_part(&format!("{own}/candidate_weights"), along(&rows, 0, 2 * n, n, 1), d.recurrence)?;
        let product = Op::Linear(Linear::MatMul { transpose_a: false, transpose_b: true });
        node.part(&format!("{own}/candidate_recurrence"), product, &[left, w])?
    };
    let sum = node.part(&format!("{own}/candidate_sum"), Arithmetic::Add, &[own_input, from_state])?;
    let candidate = node.part(&format!("{own}/candidate"), d.activations[1], &[sum])?;
    // candidate + z · (h − candidate): one product.
    let change = node.part(&format!("{own}/change"), Arithmetic::Sub, &[h, candidate])?;
    let kept = node.part(&format!("{own}/kept"), Arithmetic::Mul, &[update, change])?;
    let h = node.part(&format!("{own}/state"), Arithmetic::Add, &[candidate, kept])?;
    Ok([h, c])
}

/// Gates in ONNX's order: input, output, forget, cell.
fn long_short_step(
    node: &mut Node<'_>,
    d: &Direction,
    own: &str,
    input: NodeId,
    [h, c]: [NodeId; 2],
) -> Result<[NodeId; 2], Fault> {
    let n = d.hidden;
    let recurred = recurred(node, own, h, d.recurrence)?;
    let all = node.part(&format!("{own}/sum"), Arithmetic::Add, &[input, recurred])?;
    let mut sums = Vec::new();
    for (i, name) in ["input", "output", "forget", "cell"].into_iter().enumerate() {
        sums.push(gate(node, format!("{own}/{name}_sum"), all, i, n)?);
    }
    // Peepholes are in the order input, output, forget; the output sees the new cell.
    let seen = |node: &mut Node<'_>, name: &str, i: usize, c: NodeId, sum: NodeId| {
        let Some(p) = d.peephole else { return Ok(sum) };
        let p = gate(node, format!("{own}/{name}_peephole"), p, i, n)?;
        let seen = node.part(&format!("{own}/{name}_seen"), Arithmetic::Mul, &[c, p])?;
        node.part(&format!("{own}/{name}_with_cell"), Arithmetic::Add, &[sum, seen])
    };
    let of = |node: &mut Node<'_>, name: &str, f: usize, sum: NodeId| {
        node.part(&format!("{own}/{name}"), d.activations[f], &[sum])
    };
    let sum = seen(node, "input", 0, c, sums[0])?;
    let take = of(node, "take", 0, sum)?;
    let keep = if d.input_forget {
        let one = node.number(&format!("{own}/one"), 1.0);
        node.part(&format!("{own}/keep"), Arithmetic::Sub, &[one, take])?
    } else {
        let sum = seen(node, "forget", 2, c, sums[2])?;
        of(node, "keep", 0, sum)?
    };
    let candidate = of(node, "candidate", 1, sums[3])?;
    let taken = node.part(&format!("{own}/taken"), Arithmetic::Mul, &[take, candidate])?;
    // The first cell is often nothing.
    let c = if node.graph.constant(c).is_some_and(|c| c.data.iter().all(|&v| v == 0.0)) {
        taken
    } else {
        let kept = node.part(&format!("{own}/kept"), Arithmetic::Mul, &[keep, c])?;
        node.part(&format!("{own}/cell"), Arithmetic::Add, &[kept, taken])?
    };
    let sum = seen(node, "output", 1, c, sums[1])?;
    let give = of(node, "give", 0, sum)?;
    let shown = of(node, "shown", 2, c)?;
    let h = node.part(&format!("{own}/state"), Arithmetic::Mul, &[give, shown])?;
    Ok([h, c])
}
