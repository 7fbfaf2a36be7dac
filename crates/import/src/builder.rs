//! What one node of a model becomes in the graph: the importers of both frameworks add it here, and
//! here alone constants are folded, parts are named, and the budget is kept.

use super::budget::Budget;
use super::value::{Fault, Ints, fits};
use cryptflow_graph::{Array, Graph, Node, NodeId, Op};

/// Adds to a graph what one node of a model becomes.
pub(crate) struct Builder<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) budget: &'a mut Budget,
    /// What the node's first result is called. The names of parts, on the way to it, begin with it.
    pub(crate) name: String,
    /// Parts that have a number in their names.
    numbered: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(graph: &'a mut Graph, budget: &'a mut Budget, name: String) -> Builder<'a> {
        Builder { graph, budget, name, numbered: 0 }
    }

    /// Adds to the same graph under another name; numbers begin anew.
    pub(crate) fn under(&mut self, name: String) -> Builder<'_> {
        Builder::new(self.graph, self.budget, name)
    }

    pub(crate) fn shape(&self, id: NodeId) -> &[usize] {
        &self.graph.node(id).shape
    }

    /// The constant that a node of the graph is, if it is one.
    pub(crate) fn constant_of(&self, id: NodeId) -> Option<&Array> {
        self.graph.constant(id)
    }

    /// The number that a constant of one element holds.
    pub(crate) fn number_of(&self, id: NodeId) -> Option<f32> {
        match self.constant_of(id)?.data.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// Adds the operation that gives the node's first result.
    pub(crate) fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        self.add_as(self.name.clone(), op, inputs)
    }

    /// Adds an operation on the way to a result.
    pub(crate) fn add_part(
        &mut self,
        part: &str,
        op: impl Into<Op>,
        inputs: &[NodeId],
    ) -> Result<NodeId, Fault> {
        self.add_as(format!("{}/{part}", self.name), op, inputs)
    }

    /// Adds an operation on the way to a result, or where it is no part the first result itself.
    pub(crate) fn add_part_or_result(
        &mut self,
        part: Option<&str>,
        op: impl Into<Op>,
        inputs: &[NodeId],
    ) -> Result<NodeId, Fault> {
        match part {
            Some(part) => self.add_part(part, op, inputs),
            None => self.add(op, inputs),
        }
    }

    /// Adds an operation on the way to a result, named by what it is and by its number.
    pub(crate) fn add_numbered(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        let op = op.into();
        let name = self.numbered_name(&op.name().replace(' ', "_"));
        self.add_as(name, op, inputs)
    }

    /// Adds an operation. Where all operands are constants, so is the result: it is computed at
    /// once.
    pub(crate) fn add_as(
        &mut self,
        name: String,
        op: impl Into<Op>,
        inputs: &[NodeId],
    ) -> Result<NodeId, Fault> {
        let op = op.into();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.node(i).shape.as_slice()).collect();
        let shape = op.shape(&shapes)?;
        let elements = fits(&shape)?;
        let constants: Option<Vec<&Array>> = inputs.iter().map(|&i| self.graph.constant(i)).collect();
        if let Some(constants) = constants
            && !inputs.is_empty()
        {
            self.budget.take_evaluation(&op, &shapes, elements)?;
            let value = op.evaluate(&constants)?;
            return Ok(self.graph.add_constant(name, value));
        }
        Ok(self.graph.push(Node { name, op, inputs: inputs.to_vec(), shape }))
    }

    /// Adds a constant that is the node's first result.
    pub(crate) fn add_known(&mut self, value: Array) -> NodeId {
        self.graph.add_constant(self.name.clone(), value)
    }

    /// Adds a constant that an operation of the node needs.
    pub(crate) fn add_constant(&mut self, part: &str, value: Array) -> NodeId {
        self.graph.add_constant(format!("{}/{part}", self.name), value)
    }

    /// Adds a constant that an operation of the node needs, named by its number.
    pub(crate) fn add_numbered_constant(&mut self, value: Array) -> NodeId {
        let name = self.numbered_name("constant");
        self.graph.add_constant(name, value)
    }

    /// Adds a number that an operation of the node needs.
    pub(crate) fn add_number(&mut self, part: &str, value: f32) -> NodeId {
        self.add_constant(part, Array::scalar(value))
    }

    /// Adds known integers, as the floats that they are.
    pub(crate) fn add_integers(&mut self, part: &str, ints: &Ints) -> Result<NodeId, Fault> {
        Ok(self.add_constant(part, ints.to_array()?))
    }

    /// Gives an operation the name of the node: it is the result.
    pub(crate) fn finish(&mut self, id: NodeId) -> NodeId {
        self.graph.nodes[id.0].name.clone_from(&self.name);
        id
    }

    fn numbered_name(&mut self, what: &str) -> String {
        let name = format!("{}/{what}_{}", self.name, self.numbered);
        self.numbered += 1;
        name
    }
}
