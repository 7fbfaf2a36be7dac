//! Constants that stand for infinity ([`ENDLESS`]), which fixed point does not have: limits that cut
//! nothing go away, and what lies infinitely far below gets no weight, in the softmax or the maximum
//! that it is hidden from.

use std::collections::HashMap;

use cryptflow_graph::operations::{ENDLESS, broadcast, sees_elements};
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, NodeId, Op, Pool, Pooling};
use cryptflow_graph::{Reduce, Reduction};
use cryptflow_ring::Movement;

use super::PassReport;

/// No mask has more elements.
const MAX_ELEMENTS: usize = 1 << 28;

/// The most operations between a mask and what it hides places from.
const MOST_OPERATIONS: usize = 64;

/// Drops limits that cut nothing and comparisons that are known; and turns softmaxes, maxima and max
/// pools of values of which places are hidden by endless constants into those of the other places.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("endless constants");
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        if let Some((op, inputs, what)) = without_limit(graph, id) {
            report.changed(&graph.node(id).name, what);
            let node = &mut graph.nodes[i];
            (node.op, node.inputs) = (op, inputs);
        }
    }
    // The maximum in a softmax that is written out is a part of it.
    for look in [softmaxes, maxima] {
        for i in 0..graph.nodes.len() {
            let id = NodeId(i);
            let name = graph.node(id).name.clone();
            match look(graph, id) {
                Some(Done::Changed(what)) => report.changed(&name, what),
                Some(Done::Left(why)) => report.leave(&name, why),
                None => {}
            }
        }
    }
    graph.restore_order();
    report
}

/// What a node is whose constant limits nothing, or decides everything: an operation, its operands,
/// and what to say of it.
fn without_limit(graph: &Graph, id: NodeId) -> Option<(Op, Vec<NodeId>, &'static str)> {
    let node = graph.node(id);
    let alone = |x: NodeId| -> Op {
        if graph.node(x).shape == node.shape {
            return Op::Identity;
        }
        Movement::Broadcast { shape: node.shape.clone() }.into()
    };
    let all = |c: NodeId, f: &dyn Fn(f32) -> bool| {
        graph.constant(c).is_some_and(|c| !c.data.is_empty() && c.data.iter().all(|&v| f(v)))
    };
    match (&node.op, node.inputs.as_slice()) {
        (Op::Arithmetic(op @ (Arithmetic::Maximum | Arithmetic::Minimum)), &[a, b]) => {
            let sign = if *op == Arithmetic::Maximum { -1.0 } else { 1.0 };
            let idle = |c: NodeId| all(c, &|v| v * sign >= ENDLESS);
            let x = if idle(b) { a } else { Some(b).filter(|_| idle(a))? };
            Some((alone(x), vec![x], "removed: its limit cuts nothing"))
        }
        (Op::Activation(Activation::ClippedRelu { limit }), inputs) if *limit >= ENDLESS => {
            Some((Op::Activation(Activation::Relu), inputs.to_vec(), "a ReLU: its limit cuts nothing"))
        }
        (Op::Arithmetic(Arithmetic::Compare(comparison)), &[a, b]) => {
            // What is compared with it is beside it, wherever that is; and no number is unlike itself.
            let side = |c: NodeId| match [1.0, -1.0].map(|sign| all(c, &|v| v * sign >= ENDLESS)) {
                [true, _] => Some(1.0),
                [_, true] => Some(-1.0),
                _ => None,
            };
            let holds = match (side(a), side(b)) {
                _ if a == b => comparison.holds(0.0, 0.0),
                (Some(a), None) if graph.constant(b).is_none() => comparison.holds(a, 0.0),
                (None, Some(b)) if graph.constant(a).is_none() => comparison.holds(0.0, b),
                _ => return None,
            };
            made(&node.shape)?;
            let flags = Array::filled(node.shape.clone(), holds.into()).ok()?;
            Some((Op::Constant(flags), Vec::new(), "known: it compares with what nothing reaches"))
        }
        (Op::Arithmetic(Arithmetic::Select), &[condition, a, b]) => {
            let chosen = if all(condition, &|v| v != 0.0) {
                a
            } else {
                Some(b).filter(|_| all(condition, &|v| v == 0.0))?
            };
            Some((alone(chosen), vec![chosen], "removed: its condition is the same everywhere"))
        }
        // No other operation has limits.
        _ => None,
    }
}

fn made(shape: &[usize]) -> Option<usize> {
    cryptflow_ring::movement::elements(shape).ok().filter(|&n| n <= MAX_ELEMENTS)
}

/// Takes what is hidden from a softmax out of it.
fn softmaxes(graph: &mut Graph, id: NodeId) -> Option<Done> {
    let x = match &graph.node(id).op {
        Op::Activation(Activation::Softmax) => *graph.node(id).inputs.first()?,
        Op::Arithmetic(Arithmetic::Div) => written_out(graph, id)?,
        // No other operation is one, or the last of one.
        _ => return None,
    };
    softmax(graph, id, x)
}

/// Takes what is hidden from a maximum out of it.
fn maxima(graph: &mut Graph, id: NodeId) -> Option<Done> {
    match &graph.node(id).op {
        Op::Reduce(Reduce { kind: Reduction::Max, axes, .. }) => {
            let axes = axes.clone();
            maximum(graph, id, &axes)
        }
        Op::Pool(Pool { kind: Pooling::Max, .. }) => max_pool(graph, id),
        // No other operation passes over what is far below.
        _ => None,
    }
}

/// What became of a node.
enum Done {
    Changed(&'static str),
    Left(&'static str),
}

/// Softmax of `x`, which has hidden places, as the node.
fn softmax(graph: &mut Graph, id: NodeId, x: NodeId) -> Option<Done> {
    let Split { clean, hidden, infinite } = Splitter::new(graph, id).split(x, 1.0)?;
    let name = graph.node(id).name.clone();
    let clean = clean.unwrap_or_else(|| graph.add_constant(format!("{name}/nothing"), Array::scalar(0.0)));
    let op = Op::Activation(Activation::MaskedSoftmax);
    let shape = graph.node(id).shape.clone();
    if graph.constant(hidden).is_none() {
        // Its shape must be the node's: a mask may have broadcast the values.
        let own = broadcast(&graph.node(clean).shape, &graph.node(hidden).shape)?;
        if own != shape {
            return None;
        }
        let node = &mut graph.nodes[id.0];
        (node.op, node.inputs) = (op, vec![clean, hidden]);
        return Some(Done::Changed("hidden places have no weight"));
    }
    let flags = whole(graph, hidden, &shape)?;
    let n = shape.last().copied().filter(|&n| n > 0)?;
    let empty: Vec<bool> = flags.chunks(n).map(|row| row.iter().all(|&h| h != 0.0)).collect();
    if !empty.contains(&true) {
        let hidden = graph.add_constant(format!("{name}/hidden"), Array::new(shape, flags).ok()?);
        let node = &mut graph.nodes[id.0];
        (node.op, node.inputs) = (op, vec![clean, hidden]);
        return Some(Done::Changed("hidden places have no weight"));
    }
    // Beside a huge number all are the same; infinity leaves nothing.
    let weight = if infinite { 0.0 } else { 1.0 / n as f32 };
    let seen =
        flags.chunks(n).zip(&empty).flat_map(|(row, &e)| row.iter().map(move |&h| if e { 0.0 } else { h }));
    let seen = Array::new(shape.clone(), seen.collect()).ok()?;
    let hidden = graph.add_constant(format!("{name}/hidden"), seen);
    let kept = graph.add(format!("{name}/kept"), op, &[clean, hidden]).ok()?;
    let mut rows = shape;
    *rows.last_mut()? = 1;
    let rows = Array::new(rows, empty.iter().map(|&e| e.into()).collect()).ok()?;
    let rows = graph.add_constant(format!("{name}/all_hidden"), rows);
    let even = graph.add_constant(format!("{name}/even"), Array::scalar(weight));
    let node = &mut graph.nodes[id.0];
    (node.op, node.inputs) = (Op::Arithmetic(Arithmetic::Select), vec![rows, even, kept]);
    Some(Done::Changed("hidden places have no weight"))
}

/// The operand of a softmax along the last axis that is written out, with the division as its last
/// operation: `e / sum(e)` with `e = exp(x − max(x))`.
fn written_out(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let &[terms, sum] = graph.node(id).inputs.as_slice() else { return None };
    let last = graph.node(id).shape.len().checked_sub(1)?;
    // Axes that a reduction has dropped come back by a reshape.
    let along = |mut at: NodeId, kind: Reduction| loop {
        let node = graph.node(at);
        match &node.op {
            Op::Identity | Op::Movement(Movement::Broadcast { .. }) => at = *node.inputs.first()?,
            Op::Movement(Movement::Reshape { .. }) if node.shape.get(last) == Some(&1) => {
                at = *node.inputs.first()?;
            }
            Op::Reduce(reduce) if reduce.kind == kind && reduce.axes == [last] => {
                return node.inputs.first().copied();
            }
            // Anything else is no reduction.
            _ => return None,
        }
    };
    if along(sum, Reduction::Sum)? != terms {
        return None;
    }
    let (Op::Function(function), &[below]) = (&graph.node(terms).op, graph.node(terms).inputs.as_slice())
    else {
        return None;
    };
    let (Op::Arithmetic(Arithmetic::Sub), &[x, largest]) =
        (&graph.node(below).op, graph.node(below).inputs.as_slice())
    else {
        return None;
    };
    (*function == Function::EXP && along(largest, Reduction::Max)? == x).then_some(x)
}

/// The largest over axes, of the places that are not hidden: one of them stands for those that are.
fn maximum(graph: &mut Graph, id: NodeId, axes: &[usize]) -> Option<Done> {
    let x = *graph.node(id).inputs.first()?;
    let shape = graph.node(x).shape.clone();
    let Split { clean, hidden, .. } = Splitter::new(graph, id).split(x, 1.0)?;
    let clean = clean?;
    if graph.constant(hidden).is_none() {
        return Some(Done::Left("which places are hidden from it is secret"));
    }
    let flags = whole(graph, hidden, &shape)?;
    let mut steps = vec![0; shape.len()];
    let mut next = 1;
    for (axis, &n) in shape.iter().enumerate().rev().filter(|(axis, _)| !axes.contains(axis)) {
        steps[axis] = next;
        next *= n;
    }
    let group = |mut at: usize| {
        let mut group = 0;
        for (&n, step) in shape.iter().zip(&steps).rev() {
            group += at % n * step;
            at /= n;
        }
        group
    };
    let mut first = HashMap::new();
    for at in (0..flags.len()).filter(|&at| flags[at] == 0.0) {
        first.entry(group(at)).or_insert(at);
    }
    let stand = |at: usize| if flags[at] == 0.0 { Some(at) } else { first.get(&group(at)).copied() };
    let Some(indices) = (0..flags.len()).map(stand).collect::<Option<Vec<usize>>>() else {
        return Some(Done::Left("all that it is the largest of is infinitely far below"));
    };
    let name = graph.node(id).name.clone();
    let mut at = clean;
    let flat = vec![flags.len()];
    for (part, movement) in [
        ("whole", Movement::Broadcast { shape: shape.clone() }),
        ("flat", Movement::Reshape { shape: flat }),
        ("seen", Movement::Gather { axis: 0, indices }),
        ("back", Movement::Reshape { shape }),
    ] {
        at = graph.add(format!("{name}/{part}"), movement, &[at]).ok()?;
    }
    graph.nodes[id.0].inputs = vec![at];
    Some(Done::Changed("passes over hidden places"))
}

/// A max pool whose operand has an endless border: its own padding, which never wins.
fn max_pool(graph: &mut Graph, id: NodeId) -> Option<Done> {
    let x = *graph.node(id).inputs.first()?;
    let shape = graph.node(x).shape.clone();
    let Split { clean, hidden, .. } = Splitter::new(graph, id).split(x, 1.0)?;
    let flags = whole(graph, hidden, &shape)?;
    const OTHER: Done = Done::Left("places beside its border are hidden from it");
    let Some((inside, padding)) = padded(graph, id, clean?) else { return Some(OTHER) };
    let Op::Pool(Pool { window, .. }) = &graph.node(id).op else { return None };
    let (before, after) = (&padding[0], &padding[1]);
    let (&[0, top, left, 0], &[0, bottom, right, 0]) = (before.as_slice(), after.as_slice()) else {
        return Some(OTHER);
    };
    let mut window = window.clone();
    for (own, new) in window.padding.iter_mut().zip([[top, bottom], [left, right]]) {
        own[0] += new[0];
        own[1] += new[1];
    }
    let operand = graph.node(inside).shape.clone();
    let ones = Array::filled(operand.clone(), 1.0).ok()?;
    let border = Op::Movement(Movement::Pad { before: before.clone(), after: after.clone() });
    let border = border.evaluate(&[&ones]).ok()?;
    let is_border =
        border.data.iter().zip(&flags).all(|(&inside, &hidden)| (inside == 0.0) == (hidden != 0.0));
    if border.shape != shape || !is_border {
        return Some(OTHER);
    }
    if !sees_elements(&window, &operand) {
        return Some(Done::Left("a window of it sees nothing but its border"));
    }
    let node = &mut graph.nodes[id.0];
    (node.op, node.inputs) = (Op::Pool(Pool { kind: Pooling::Max, window }), vec![inside]);
    Some(Done::Changed("its border never wins: it is its own padding"))
}

/// What a padding pads, and by how much before and after each axis. A transpose behind the padding
/// moves in front of it.
fn padded(graph: &mut Graph, id: NodeId, at: NodeId) -> Option<(NodeId, [Vec<usize>; 2])> {
    let node = graph.node(at);
    let &[operand] = node.inputs.as_slice() else { return None };
    match &node.op {
        Op::Identity => padded(graph, id, operand),
        Op::Movement(Movement::Pad { before, after }) => Some((operand, [before.clone(), after.clone()])),
        Op::Movement(Movement::Transpose { permutation }) => {
            let permutation = permutation.clone();
            let (x, padding) = padded(graph, id, operand)?;
            let padding = padding.map(|side| permutation.iter().map(|&p| side[p]).collect());
            let name = format!("{}/inside", graph.node(id).name);
            let x = graph.add(name, Movement::Transpose { permutation }, &[x]).ok()?;
            Some((x, padding))
        }
        // Nothing else is a padding.
        _ => None,
    }
}

/// The elements of a constant in this shape.
fn whole(graph: &Graph, constant: NodeId, shape: &[usize]) -> Option<Vec<f32>> {
    made(shape)?;
    let constant = graph.constant(constant)?;
    Movement::Broadcast { shape: shape.to_vec() }.apply(&[(&constant.shape, &constant.data)]).ok()
}

/// A value as what it is where it is not infinitely far below, and where it is.
struct Split {
    /// The value where it is not hidden; nothing where it is zero there.
    clean: Option<NodeId>,
    /// Not zero where it is hidden.
    hidden: NodeId,
    /// Whether infinity itself hides it, not a huge number.
    infinite: bool,
}

/// Takes values apart, and adds the parts to the graph.
struct Splitter<'a> {
    graph: &'a mut Graph,
    /// What new nodes are called after.
    name: String,
    count: usize,
}

impl Splitter<'_> {
    fn new(graph: &mut Graph, id: NodeId) -> Splitter<'_> {
        let name = graph.node(id).name.clone();
        Splitter { graph, name, count: 0 }
    }

    /// `sign` times a value, taken apart; nothing where no constant hides a place of it.
    fn split(&mut self, id: NodeId, sign: f32) -> Option<Split> {
        self.count += 1;
        if self.count > MOST_OPERATIONS {
            return None;
        }
        let node = self.graph.node(id);
        let (op, inputs) = (node.op.clone(), node.inputs.clone());
        match (op, inputs.as_slice()) {
            (Op::Constant(array), _) => self.constant(&array, sign),
            (Op::Identity, &[x]) => self.split(x, sign),
            (Op::Movement(movement), &[x]) => {
                let Split { clean, hidden, infinite } = self.split(x, sign)?;
                let shape = self.graph.node(x).shape.clone();
                let clean = match clean {
                    Some(clean) => {
                        let clean = self.widened("clean", clean, &shape)?;
                        Some(self.add("clean", movement.clone(), &[clean])?)
                    }
                    None => None,
                };
                let hidden = self.widened("hidden", hidden, &shape)?;
                let hidden = self.add("hidden", movement, &[hidden])?;
                Some(Split { clean, hidden, infinite })
            }
            (Op::Arithmetic(Arithmetic::Add), &[a, b]) if sign > 0.0 => {
                let (left, right) = (self.split(a, 1.0), self.split(b, 1.0));
                self.sum((a, left), (b, right))
            }
            (Op::Arithmetic(Arithmetic::Sub), &[a, b]) if sign > 0.0 => {
                let (left, right) = (self.split(a, 1.0), self.split(b, -1.0));
                match right {
                    Some(right) => self.sum((a, left), (b, Some(right))),
                    None => {
                        let Split { clean, hidden, infinite } = left?;
                        let clean = clean.unwrap_or(self.number(0.0));
                        let clean = Some(self.add("clean", Arithmetic::Sub, &[clean, b])?);
                        self.finite(b)?;
                        Some(Split { clean, hidden, infinite })
                    }
                }
            }
            (Op::Arithmetic(Arithmetic::Mul), &[a, b]) => {
                let (x, c) = if self.graph.constant(b).is_some() { (a, b) } else { (b, a) };
                self.product(x, c, sign)
            }
            (Op::Arithmetic(Arithmetic::Div), &[x, c]) if sign > 0.0 => self.scaled(x, c, Arithmetic::Div),
            (Op::Arithmetic(Arithmetic::Select), &[condition, a, b]) if sign > 0.0 => {
                self.choice(condition, a, b)
            }
            // Of what else computes with infinity nothing is known.
            _ => None,
        }
    }

    fn constant(&mut self, array: &Array, sign: f32) -> Option<Split> {
        let below = |v: f32| sign * v <= -ENDLESS;
        let usable = |&v: &f32| below(v) || v.abs() < ENDLESS;
        if !array.data.iter().any(|&v| below(v)) || !array.data.iter().all(usable) {
            return None;
        }
        let of = |f: &dyn Fn(f32) -> f32| {
            Array::new(array.shape.clone(), array.data.iter().map(|&v| f(v)).collect()).ok()
        };
        let clean = of(&|v| if below(v) { 0.0 } else { sign * v })?;
        let hidden = of(&|v| below(v).into())?;
        let infinite = array.data.iter().any(|v| v.is_infinite());
        let clean = match clean.data.iter().all(|&v| v == 0.0) {
            true => None,
            false => Some(self.graph.add_constant(format!("{}/clean", self.name), clean)),
        };
        let hidden = self.graph.add_constant(format!("{}/hidden", self.name), hidden);
        Some(Split { clean, hidden, infinite })
    }

    /// A sum of two, of which one at least has hidden places; what cannot be taken apart is a term as
    /// it is.
    fn sum(&mut self, a: (NodeId, Option<Split>), b: (NodeId, Option<Split>)) -> Option<Split> {
        let clean = |(id, split): &(NodeId, Option<Split>)| match split {
            Some(split) => split.clean,
            None => Some(*id),
        };
        let terms = [clean(&a), clean(&b)];
        for term in terms.iter().flatten() {
            self.finite(*term)?;
        }
        let clean = match terms {
            [Some(a), Some(b)] => Some(self.add("clean", Arithmetic::Add, &[a, b])?),
            [a, b] => a.or(b),
        };
        let infinite = [&a.1, &b.1].into_iter().flatten().any(|s| s.infinite);
        let hidden = match (a.1, b.1) {
            (None, None) => return None,
            (Some(one), None) | (None, Some(one)) => one.hidden,
            (Some(a), Some(b)) => self.either(a.hidden, b.hidden)?,
        };
        Some(Split { clean, hidden, infinite })
    }

    /// A product with a constant: a flag times a huge number, or a moderate one times what has hidden
    /// places.
    fn product(&mut self, x: NodeId, c: NodeId, sign: f32) -> Option<Split> {
        let constant = self.graph.constant(c)?;
        let (first, infinite) = (*constant.data.first()?, constant.data.iter().any(|v| v.is_infinite()));
        if constant.data.iter().all(|v| v.abs() < ENDLESS) {
            return if sign > 0.0 { self.scaled(x, c, Arithmetic::Mul) } else { None };
        }
        if !constant.data.iter().all(|&v| v == first) {
            return None;
        }
        let hidden = if sign * first < 0.0 {
            x
        } else {
            // A flag less one.
            let node = self.graph.node(x);
            let (Op::Arithmetic(op), &[flag, one]) = (&node.op, node.inputs.as_slice()) else { return None };
            let is =
                |number: f32| self.graph.constant(one).is_some_and(|c| c.data.iter().all(|&v| v == number));
            let less_one = (*op == Arithmetic::Sub && is(1.0)) || (*op == Arithmetic::Add && is(-1.0));
            if !less_one {
                return None;
            }
            let one = self.number(1.0);
            self.add("hidden", Arithmetic::Sub, &[one, flag])?
        };
        Some(Split { clean: None, hidden, infinite })
    }

    /// What has hidden places, times a positive constant or divided by one.
    fn scaled(&mut self, x: NodeId, c: NodeId, op: Arithmetic) -> Option<Split> {
        let constant = self.graph.constant(c)?;
        if !constant.data.iter().all(|&v| v > 0.0 && v < ENDLESS) {
            return None;
        }
        let Split { clean, hidden, infinite } = self.split(x, 1.0)?;
        let clean = match clean {
            Some(clean) => Some(self.add("clean", op, &[clean, c])?),
            None => None,
        };
        Some(Split { clean, hidden, infinite })
    }

    fn choice(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Option<Split> {
        let (left, right) = (self.split(a, 1.0), self.split(b, 1.0));
        let infinite = [&left, &right].into_iter().flatten().any(|s| s.infinite);
        let gone = |this: &Self, split: &Option<Split>| {
            split.as_ref().is_some_and(|s| {
                s.clean.is_none()
                    && this.graph.constant(s.hidden).is_some_and(|h| h.data.iter().all(|&v| v != 0.0))
            })
        };
        // One of the two is nothing but hidden.
        match (gone(self, &left), gone(self, &right)) {
            (true, false) => return self.with(b, right, condition, infinite),
            (false, true) => {
                let shown = self.opposite(condition)?;
                return self.with(a, left, shown, infinite);
            }
            _ => {}
        }
        if left.is_none() && right.is_none() {
            return None;
        }
        let zero = self.number(0.0);
        let parts = |id: NodeId, split: Option<Split>| match split {
            Some(split) => (split.clean.unwrap_or(zero), split.hidden),
            None => (id, zero),
        };
        let ((a, hidden_a), (b, hidden_b)) = (parts(a, left), parts(b, right));
        let clean = Some(self.add("clean", Arithmetic::Select, &[condition, a, b])?);
        let hidden = self.add("hidden", Arithmetic::Select, &[condition, hidden_a, hidden_b])?;
        Some(Split { clean, hidden, infinite })
    }

    /// A value that is hidden where a flag is set, too.
    fn with(&mut self, id: NodeId, split: Option<Split>, flag: NodeId, infinite: bool) -> Option<Split> {
        match split {
            None => {
                self.finite(id)?;
                Some(Split { clean: Some(id), hidden: flag, infinite })
            }
            Some(Split { clean, hidden, .. }) => {
                Some(Split { clean, hidden: self.either(hidden, flag)?, infinite })
            }
        }
    }

    /// Set where a flag is not.
    fn opposite(&mut self, flag: NodeId) -> Option<NodeId> {
        if let Some(flags) = self.graph.constant(flag) {
            let data = flags.data.iter().map(|&v| (v == 0.0).into()).collect();
            let flags = Array::new(flags.shape.clone(), data).ok()?;
            return Some(self.graph.add_constant(format!("{}/hidden", self.name), flags));
        }
        let one = self.number(1.0);
        self.add("hidden", Arithmetic::Sub, &[one, flag])
    }

    /// Not zero where one of two is not. Where a constant says so nothing else need.
    fn either(&mut self, a: NodeId, b: NodeId) -> Option<NodeId> {
        let (known, other) = match [a, b].map(|id| self.graph.constant(id).is_some()) {
            [true, false] => (a, b),
            [false, true] => (b, a),
            _ => return self.add("hidden", Arithmetic::Add, &[a, b]),
        };
        let one = self.number(1.0);
        self.add("hidden", Arithmetic::Select, &[known, one, other])
    }

    /// Whether no element of a value is known to be endless.
    fn finite(&self, id: NodeId) -> Option<()> {
        match self.graph.constant(id) {
            Some(constant) => constant.data.iter().all(|v| v.abs() < ENDLESS).then_some(()),
            None => Some(()),
        }
    }

    /// A part in the shape of the whole.
    fn widened(&mut self, part: &str, id: NodeId, shape: &[usize]) -> Option<NodeId> {
        if self.graph.node(id).shape == shape {
            return Some(id);
        }
        self.add(part, Movement::Broadcast { shape: shape.to_vec() }, &[id])
    }

    fn number(&mut self, value: f32) -> NodeId {
        self.graph.add_constant(format!("{}/number", self.name), Array::scalar(value))
    }

    /// Adds an operation; of constants, what it is.
    fn add(&mut self, part: &str, op: impl Into<Op>, inputs: &[NodeId]) -> Option<NodeId> {
        let (op, name) = (op.into(), format!("{}/{part}", self.name));
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.node(i).shape.as_slice()).collect();
        made(&op.shape(&shapes).ok()?)?;
        let constants: Option<Vec<&Array>> = inputs.iter().map(|&i| self.graph.constant(i)).collect();
        match constants {
            Some(constants) => {
                let value = op.evaluate(&constants).ok()?;
                Some(self.graph.add_constant(name, value))
            }
            None => self.graph.add(name, op, inputs).ok(),
        }
    }
}
