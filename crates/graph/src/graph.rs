//! The graph: floating-point operations on tensors of static shape, named as in the source model.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::operations::{Op, OpError, Order};

/// A constant tensor: contiguous, row-major. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: Arc<Vec<f32>>,
}

impl Array {
    /// An array of this shape; the number of elements must agree.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Array, OpError> {
        let expected = cryptflow_ring::movement::elements(&shape)
            .map_err(|source| OpError::Geometry { op: "array", source })?;
        if expected != data.len() {
            return Err(OpError::Elements { shape, given: data.len() });
        }
        Ok(Array { shape, data: Arc::new(data) })
    }

    /// A single number, of shape `[]`.
    pub fn scalar(value: f32) -> Array {
        Array { shape: Vec::new(), data: Arc::new(vec![value]) }
    }

    /// A vector, of shape `[length]`.
    pub fn vector(values: Vec<f32>) -> Array {
        Array { shape: vec![values.len()], data: Arc::new(values) }
    }

    /// An array with the same number everywhere. The shape must be one that fits memory.
    pub fn filled(shape: Vec<usize>, value: f32) -> Result<Array, OpError> {
        let n = cryptflow_ring::movement::elements(&shape)
            .map_err(|source| OpError::Geometry { op: "array", source })?;
        Ok(Array { shape, data: Arc::new(vec![value; n]) })
    }
}

/// Index of a node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// What the classes of a model are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassNames {
    /// By numbers that need not be their indices.
    Numbers(Vec<i64>),
    /// By texts.
    Texts(Vec<String>),
}

impl ClassNames {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            ClassNames::Numbers(numbers) => numbers.len(),
            ClassNames::Texts(texts) => texts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether each is called after its index, so that there is nothing to look up.
    pub fn are_indices(&self) -> bool {
        match self {
            ClassNames::Numbers(numbers) => numbers.iter().zip(0..).all(|(&number, index)| number == index),
            ClassNames::Texts(_) => false,
        }
    }
}

/// A node: one operation with one result.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the source model.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Vec<usize>,
}

/// A graph in topological order: a node's operands come before it.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The placeholders, in the order in which a caller gives their values.
    pub inputs: Vec<NodeId>,
    /// The placeholders that the model declares to hold integers, in any order.
    pub integers: Vec<NodeId>,
    /// The outputs, in the order in which a caller gets them.
    pub outputs: Vec<NodeId>,
    /// What the source model calls each output; as many as `outputs`. It may differ from the name
    /// of the node, where a pass has removed an Identity at the end.
    pub output_names: Vec<String>,
    /// What classes are called, by the name of the output that holds their indices, or their numbers along
    /// its last axis.
    pub class_names: BTreeMap<String, ClassNames>,
    /// Loops that were unrolled, by their names: what a step of one computes is called `LOOP/STEP/PART`.
    pub loops: Vec<String>,
}

/// A copy that has the elements of constants in common with it.
impl From<&Graph> for Graph {
    fn from(graph: &Graph) -> Graph {
        graph.clone()
    }
}

impl Graph {
    /// The node with this index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Adds a node and returns its index; its operands must already be there.
    pub fn push(&mut self, node: Node) -> NodeId {
        debug_assert!(node.inputs.iter().all(|i| i.0 < self.nodes.len()));
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// Adds a placeholder of this shape at the end of the inputs.
    pub fn add_input(&mut self, name: impl Into<String>, shape: Vec<usize>) -> NodeId {
        let id = self.push(Node { name: name.into(), op: Op::Input, inputs: Vec::new(), shape });
        self.inputs.push(id);
        id
    }

    /// The same of a placeholder that holds integers.
    pub fn add_integer_input(&mut self, name: impl Into<String>, shape: Vec<usize>) -> NodeId {
        let id = self.add_input(name, shape);
        self.integers.push(id);
        id
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<String>, value: Array) -> NodeId {
        let shape = value.shape.clone();
        self.push(Node { name: name.into(), op: Op::Constant(value), inputs: Vec::new(), shape })
    }

    /// Adds an operation on nodes that are already there; its shape is computed. An error names
    /// what does not fit.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[NodeId],
    ) -> Result<NodeId, OpError> {
        let op = op.into();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.node(i).shape.as_slice()).collect();
        let shape = op.shape(&shapes)?;
        Ok(self.push(Node { name: name.into(), op, inputs: inputs.to_vec(), shape }))
    }

    /// Declares a node an output, under a name.
    pub fn add_output(&mut self, name: impl Into<String>, id: NodeId) {
        self.outputs.push(id);
        self.output_names.push(name.into());
    }

    /// Makes whatever no node uses, and is no output yet, an output under its own name; constants
    /// are left out.
    pub fn add_ends(&mut self) {
        let uses = self.uses();
        for (i, used) in uses.iter().enumerate() {
            let (id, node) = (NodeId(i), &self.nodes[i]);
            if used.is_empty() && !matches!(node.op, Op::Constant(_)) && !self.outputs.contains(&id) {
                self.add_output(node.name.clone(), id);
            }
        }
    }

    /// For each node, the nodes that use its result, ascending (a node that uses it twice is listed
    /// twice).
    pub fn uses(&self) -> Vec<Vec<NodeId>> {
        let mut uses = vec![Vec::new(); self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                uses[input.0].push(NodeId(i));
            }
        }
        uses
    }

    /// The constant that an operand is, if it is one.
    pub fn constant(&self, id: NodeId) -> Option<&Array> {
        match &self.node(id).op {
            Op::Constant(array) => Some(array),
            // Nothing else is one.
            _ => None,
        }
    }

    /// How long the rows are that a client makes of the ids of an input, where it gives them in this
    /// form: as long as the longest that a node needs. None of other inputs.
    pub fn classes(&self, input: NodeId) -> Option<usize> {
        let of = |node: &Node| match node.op {
            Op::Order(Order::OneHot { classes }) if node.inputs == [input] => Some(classes),
            // Nothing else needs them as rows.
            _ => None,
        };
        self.nodes.iter().filter_map(of).max()
    }

    /// For each node, whether an output depends on it.
    pub fn needed(&self) -> Vec<bool> {
        self.needed_by(self.outputs.clone())
    }

    /// For each node, whether one of these depends on it, or is it.
    pub fn needed_by(&self, mut open: Vec<NodeId>) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut needed[id.0], true) {
                open.extend(&self.nodes[id.0].inputs);
            }
        }
        needed
    }

    /// For each node, the nodes whose values nothing after it needs, ascending (possibly itself,
    /// where nothing uses it). Outputs are always needed.
    pub fn last_uses(&self) -> Vec<Vec<NodeId>> {
        let mut last: Vec<usize> = (0..self.nodes.len()).collect();
        for (i, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                last[input.0] = i;
            }
        }
        let mut result = vec![Vec::new(); self.nodes.len()];
        for (value, user) in last.into_iter().enumerate() {
            if !self.outputs.contains(&NodeId(value)) {
                result[user].push(NodeId(value));
            }
        }
        result
    }

    /// Makes every user of a node, and the outputs, use another one instead. The order may need
    /// [`Graph::restore_order`] afterwards.
    pub fn redirect(&mut self, from: NodeId, to: NodeId) {
        for input in self.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut()).chain(&mut self.outputs) {
            if *input == from {
                *input = to;
            }
        }
    }

    /// Puts the nodes back into topological order, moving as few as possible: a node that comes
    /// after its first user moves in front of it. Passes edit nodes in place, append new ones at
    /// the end and then call this.
    pub fn restore_order(&mut self) {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut state = vec![Visit::New; self.nodes.len()];
        let mut stack = Vec::new();
        for root in 0..self.nodes.len() {
            stack.push(root);
            while let Some(&i) = stack.last() {
                match state[i] {
                    Visit::New => {
                        state[i] = Visit::Open;
                        stack.extend(
                            self.nodes[i]
                                .inputs
                                .iter()
                                .rev()
                                .map(|n| n.0)
                                .filter(|&n| state[n] == Visit::New),
                        );
                    }
                    Visit::Open => {
                        state[i] = Visit::Done;
                        order.push(i);
                        stack.pop();
                    }
                    Visit::Done => {
                        stack.pop();
                    }
                }
            }
        }
        self.keep(&order);
    }

    /// Keeps these nodes, in this order, and drops the others. Operands, inputs and outputs of what
    /// stays must stay.
    pub fn keep(&mut self, order: &[usize]) {
        let mut position = vec![usize::MAX; self.nodes.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old] = new;
        }
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.iter().filter_map(|&old| nodes[old].take()).collect();
        self.integers.retain(|id| position[id.0] != usize::MAX);
        let ids = self.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut());
        let declared = self.inputs.iter_mut().chain(&mut self.integers);
        for id in ids.chain(declared).chain(&mut self.outputs) {
            id.0 = position[id.0];
        }
    }
}

/// Where a depth-first walk stands with a node.
#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}
