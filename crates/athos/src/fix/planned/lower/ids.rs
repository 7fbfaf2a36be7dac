//! Inputs that are ids, of words say, and that a table is looked up by: the client gives each as a row with a
//! one at its place ([`Input::classes`](cryptflow_program::Input::classes)), and the look-up is a product with the
//! table. The number itself, where something else needs it, is a public combination of the row.

use cryptflow_graph::{NodeId, Op, Order};
use cryptflow_operation::Bounds;
use cryptflow_ring::Movement;

use super::super::plan::{self, Limits, Operation, PlanValue};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    /// The input becomes the value of its rows: integers, zero or one.
    pub(super) fn lower_ids(&mut self, id: NodeId, classes: usize) {
        let rows = |other: &usize| {
            let node = &self.graph.nodes[*other];
            node.op == Op::Order(Order::OneHot { classes }) && node.inputs == [id]
        };
        let node = (0..self.graph.nodes.len()).find(rows).map(NodeId);
        let shape = [self.own_shape(id), vec![classes]].concat();
        let rows = self.integers(id, shape, Bounds { low: 0, high: 1 }, 0);
        self.plan.fitted = Some(self.setting.scale);
        self.plan.ids.insert(self.plan.values.len(), classes);
        let value = self.value(PlanValue { node, room: 0, ..rows });
        self.rows_of_ids.insert(id, value);
    }

    /// The numbers that ids are, where nodes need them as numbers, once all inputs are values.
    pub(super) fn count_ids(&mut self) {
        let uses = self.graph.uses();
        for &id in &self.graph.inputs {
            let Some(&rows) = self.rows_of_ids.get(&id) else { continue };
            let rows_alone =
                |user: &NodeId| matches!(self.graph.node(*user).op, Op::Order(Order::OneHot { .. }));
            if uses[id.0].iter().all(rows_alone) && !self.graph.outputs.contains(&id) {
                // What nothing asks for; it is not nothing, which would mean that it was refused.
                self.lowered[id.0] = Lowered::Value(rows);
                continue;
            }
            let numbers = self.numbers(id, rows);
            self.lowered[id.0] = Lowered::Value(numbers);
        }
    }

    /// `Σ k · row[k]` of each row, exactly.
    fn numbers(&mut self, id: NodeId, rows: usize) -> usize {
        let shape = self.shape(rows);
        let (classes, ids) = match shape.split_last() {
            Some((&classes, ids)) => (classes, ids.iter().product::<usize>()),
            None => (1, 1),
        };
        let first = |shape: Vec<usize>| Operation::Movement(Movement::Reshape { shape });
        let zero_or_one = self.plan.values[rows].range;
        let flat = self.step(id, first(vec![ids, classes]), &[rows], vec![ids, classes], zero_or_one, false);
        let turned = Operation::Movement(Movement::Transpose { permutation: vec![1, 0] });
        let turned = self.step(id, turned, &[flat], vec![classes, ids], zero_or_one, false);
        let factors = (0..classes as i64).collect();
        let bounds = Bounds { low: 0, high: classes as i64 - 1 };
        let numbers = self.integers(id, vec![1, ids], bounds, 0);
        self.plan.fitted = Some(self.setting.scale);
        let numbers = self.step_to(id, plan::combine(factors, vec![0]), &[turned], numbers);
        let whole = self.integers(id, self.own_shape(id), bounds, 0);
        let whole = PlanValue { node: Some(id), limits: Limits::Proved(bounds), ..whole };
        self.step_to(id, first(self.own_shape(id)), &[numbers], whole)
    }

    /// The rows of ids, of which the first `classes` places are asked for.
    pub(super) fn one_hot(&mut self, id: NodeId, classes: usize) -> Result<Lowered, Refusal> {
        let operand = self.operand(id, 0)?;
        let Some(&rows) = self.rows_of_ids.get(&operand) else {
            let reason = "its ids are no input of the model, so that no client can give them as rows";
            return Err(Refusal::Missing(reason.into()));
        };
        let shape = self.shape(rows);
        if shape.last() == Some(&classes) {
            return Ok(Lowered::Value(rows));
        }
        let size = self.own_shape(id);
        let cut = Movement::Slice { begin: vec![0; size.len()], stride: vec![1; size.len()], size };
        Ok(self.last_step(id, Operation::Movement(cut), &[rows]))
    }
}
