//! Values taken apart: what a value is where it is not infinitely far below, and where it is.

use cryptflow_graph::{Arithmetic, Array, Graph, NodeId, Op};
use cryptflow_ring::Movement;

use super::made;

/// From this magnitude on a constant hides places from a softmax: a score of some tens is lost beside it
/// in floats as well.
pub(super) const HIDING: f32 = 1e9;

/// The most operations between a mask and what it hides places from.
const MOST_OPERATIONS: usize = 64;

/// A value as what it is where it is not infinitely far below, and where it is.
pub(super) struct Split {
    /// The value where it is not hidden; nothing where it is zero there.
    pub(super) clean: Option<NodeId>,
    /// Not zero where it is hidden.
    pub(super) hidden: NodeId,
    /// Whether infinity itself hides it, not a huge number.
    pub(super) infinite: bool,
}

/// Takes values apart, and adds the parts to the graph.
pub(super) struct Splitter<'a> {
    graph: &'a mut Graph,
    /// What new nodes are called after.
    name: String,
    /// From which magnitude on a constant hides places.
    endless: f32,
    count: usize,
}

impl Splitter<'_> {
    /// For an operand of a node: what is new is called after the node. From `endless` on a constant
    /// hides places.
    pub(super) fn new(graph: &mut Graph, id: NodeId, endless: f32) -> Splitter<'_> {
        let name = graph.node(id).name.clone();
        Splitter { graph, name, endless, count: 0 }
    }

    /// `sign` times a value, taken apart; nothing where no constant hides a place of it.
    pub(super) fn split(&mut self, id: NodeId, sign: f32) -> Option<Split> {
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
            (Op::Arithmetic(Arithmetic::Select), &[condition, a, b]) => self.choice(condition, a, b, sign),
            // Of what else computes with infinity nothing is known.
            _ => None,
        }
    }

    fn constant(&mut self, array: &Array, sign: f32) -> Option<Split> {
        let endless = self.endless;
        let below = |v: f32| sign * v <= -endless;
        let usable = |&v: &f32| below(v) || v.abs() < endless;
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
        if constant.data.iter().all(|v| v.abs() < self.endless) {
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
        if !constant.data.iter().all(|&v| v > 0.0 && v < self.endless) {
            return None;
        }
        let Split { clean, hidden, infinite } = self.split(x, 1.0)?;
        let clean = match clean {
            Some(clean) => Some(self.add("clean", op, &[clean, c])?),
            None => None,
        };
        Some(Split { clean, hidden, infinite })
    }

    /// `sign` times the choice between two, of which one at least has hidden places.
    fn choice(&mut self, condition: NodeId, a: NodeId, b: NodeId, sign: f32) -> Option<Split> {
        let (left, right) = (self.split(a, sign), self.split(b, sign));
        let infinite = [&left, &right].into_iter().flatten().any(|s| s.infinite);
        let gone = |this: &Self, split: &Option<Split>| {
            split.as_ref().is_some_and(|s| {
                s.clean.is_none()
                    && this.graph.constant(s.hidden).is_some_and(|h| h.data.iter().all(|&v| v != 0.0))
            })
        };
        // One of the two is nothing but hidden.
        match (gone(self, &left), gone(self, &right)) {
            (true, false) => return self.with((b, sign), right, condition, infinite),
            (false, true) => {
                let shown = self.opposite(condition)?;
                return self.with((a, sign), left, shown, infinite);
            }
            _ => {}
        }
        if left.is_none() && right.is_none() {
            return None;
        }
        let zero = self.number(0.0);
        let mut parts = |id: NodeId, split: Option<Split>| match split {
            Some(split) => Some((split.clean.unwrap_or(zero), split.hidden)),
            None => Some((self.signed(id, sign)?, zero)),
        };
        let ((a, hidden_a), (b, hidden_b)) = (parts(a, left)?, parts(b, right)?);
        let clean = Some(self.add("clean", Arithmetic::Select, &[condition, a, b])?);
        let hidden = self.add("hidden", Arithmetic::Select, &[condition, hidden_a, hidden_b])?;
        Some(Split { clean, hidden, infinite })
    }

    /// `sign` times a value that is hidden where a flag is set, too.
    fn with(
        &mut self,
        (id, sign): (NodeId, f32),
        split: Option<Split>,
        flag: NodeId,
        infinite: bool,
    ) -> Option<Split> {
        match split {
            None => {
                self.finite(id)?;
                let clean = self.signed(id, sign)?;
                Some(Split { clean: Some(clean), hidden: flag, infinite })
            }
            Some(Split { clean, hidden, .. }) => {
                Some(Split { clean, hidden: self.either(hidden, flag)?, infinite })
            }
        }
    }

    /// A value, or its negative.
    fn signed(&mut self, id: NodeId, sign: f32) -> Option<NodeId> {
        if sign > 0.0 {
            return Some(id);
        }
        let zero = self.number(0.0);
        self.add("negative", Arithmetic::Sub, &[zero, id])
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
            Some(constant) => constant.data.iter().all(|v| v.abs() < self.endless).then_some(()),
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
