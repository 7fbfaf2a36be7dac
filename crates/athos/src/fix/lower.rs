//! Lowering: from the graph to a plan, one node after another. All nodes that cannot be lowered are found in one go.

mod arithmetic;
mod linear;
mod merge;
mod pool;
mod shape;

use cryptflow_program::OutputTransform;

use crate::graph::{Array, Graph, NodeId, Op};

use super::plan::{Plan, PlanOp, PlanOutput, PlanStep, PlanValue, PlanWeight, Range};

/// A node that cannot be computed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Name in the source model.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// Why not.
    pub reason: String,
}

/// What a node has become.
#[derive(Clone, Debug)]
pub(crate) enum Lowered {
    /// A constant.
    Constant(Array),
    /// A secret value of the plan.
    Value(usize),
    /// What the client makes of an opened value.
    Client(usize, OutputTransform),
    /// Nothing: it was refused, or it is not needed.
    Nothing,
}

pub(crate) struct Lowering<'a> {
    graph: &'a Graph,
    ranges: &'a [Range],
    plan: Plan,
    lowered: Vec<Lowered>,
}

type Refusal = String;

/// Makes the plan of a graph whose nodes take values in these ranges.
///
/// # Errors
/// Every node that cannot be lowered.
pub(crate) fn lower(graph: &Graph, ranges: &[Range]) -> Result<Plan, Vec<Unsupported>> {
    let mut state =
        Lowering { graph, ranges, plan: Plan::default(), lowered: vec![Lowered::Nothing; graph.nodes.len()] };
    let mut refused = Vec::new();
    let refuse = |id: NodeId, reason: String| {
        let node = graph.node(id);
        Unsupported { name: node.name.clone(), operation: node.op.name().to_string(), reason }
    };
    for &id in &graph.inputs {
        let value = state.value(id, graph.node(id).shape.clone(), state.range(id), true);
        state.lowered[id.0] = Lowered::Value(value);
    }
    state.plan.inputs = graph.inputs.len();
    let needed = needed(graph);
    for id in (0..graph.nodes.len()).map(NodeId).filter(|id| needed[id.0]) {
        let node = graph.node(id);
        let failed = node.inputs.iter().any(|i| matches!(state.lowered[i.0], Lowered::Nothing));
        if failed || matches!(node.op, Op::Input) {
            continue;
        }
        match state.node(id) {
            Ok(lowered) => state.lowered[id.0] = lowered,
            Err(reason) => refused.push(refuse(id, reason)),
        }
    }
    for (index, &id) in graph.outputs.iter().enumerate() {
        let name = graph.output_names.get(index).unwrap_or(&graph.node(id).name).clone();
        let (value, transform) = match &state.lowered[id.0] {
            Lowered::Value(value) => (*value, None),
            Lowered::Client(value, transform) => (*value, Some(*transform)),
            Lowered::Constant(_) => {
                refused.push(refuse(id, "it is an output that does not depend on any input".into()));
                continue;
            }
            Lowered::Nothing => continue,
        };
        state.plan.outputs.push(PlanOutput { name, value, transform });
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    merge::sums_of_linear_maps(&mut state.plan);
    Ok(state.plan)
}

/// The nodes that an output depends on.
fn needed(graph: &Graph) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes.len()];
    for id in &graph.outputs {
        needed[id.0] = true;
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if needed[index] {
            for input in &node.inputs {
                needed[input.0] = true;
            }
        }
    }
    needed
}

impl Lowering<'_> {
    fn range(&self, id: NodeId) -> Range {
        self.ranges[id.0]
    }

    /// A new value. `whole`: it is the node's result, not one on the way there.
    fn value(&mut self, id: NodeId, shape: Vec<usize>, range: Range, whole: bool) -> usize {
        let name = self.graph.node(id).name.clone();
        self.plan.values.push(PlanValue { name, shape, range, node: whole.then_some(id), wide: false });
        self.plan.values.len() - 1
    }

    /// A step for a node that gives a new value of this shape and range.
    fn step(
        &mut self,
        id: NodeId,
        op: PlanOp,
        inputs: &[usize],
        shape: Vec<usize>,
        range: Range,
        whole: bool,
    ) -> usize {
        let output = self.value(id, shape, range, whole);
        let name = self.graph.node(id).name.clone();
        self.plan.steps.push(PlanStep { name, op, inputs: inputs.to_vec(), output });
        output
    }

    /// The last step for a node: it gives its result.
    fn last_step(&mut self, id: NodeId, op: PlanOp, inputs: &[usize]) -> Lowered {
        let (shape, range) = (self.graph.node(id).shape.clone(), self.range(id));
        Lowered::Value(self.step(id, op, inputs, shape, range, true))
    }

    fn weight(&mut self, name: &str, shape: Vec<usize>, data: impl Into<std::sync::Arc<Vec<f32>>>) -> usize {
        self.plan.weights.push(PlanWeight::new(name.to_string(), shape, data.into()));
        self.plan.weights.len() - 1
    }

    /// An operand that must be a secret value.
    fn secret(&self, id: NodeId) -> Result<usize, Refusal> {
        match &self.lowered[id.0] {
            Lowered::Value(value) => Ok(*value),
            Lowered::Client(_, OutputTransform::Softmax) => Err(inside(&self.graph.node(id).name, "softmax")),
            Lowered::Client(..) => Err(inside(&self.graph.node(id).name, "arg-max")),
            Lowered::Constant(_) | Lowered::Nothing => Err("it takes a constant where a value is due".into()),
        }
    }

    fn constant(&self, id: NodeId) -> Option<&Array> {
        match &self.lowered[id.0] {
            Lowered::Constant(array) => Some(array),
            _ => None,
        }
    }

    fn node(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        let node = self.graph.node(id);
        let constants: Vec<&Array> = node.inputs.iter().filter_map(|&i| self.constant(i)).collect();
        if constants.len() == node.inputs.len() {
            return node.op.evaluate(&constants).map(Lowered::Constant).map_err(|e| e.to_string());
        }
        match &node.op {
            Op::Input | Op::Constant(_) => Ok(Lowered::Nothing),
            Op::Conv2d { window, groups } => self.conv(id, window, *groups),
            Op::MatMul { transpose_a, transpose_b } => self.matmul(id, *transpose_a, *transpose_b),
            Op::BatchNorm { epsilon } => self.batch_norm(id, *epsilon),
            Op::Scale => self.scale(id),
            Op::Add | Op::Sub | Op::Mul | Op::Div => self.arithmetic(id),
            Op::Relu => self.unary(id, PlanOp::Relu),
            Op::ClippedRelu { limit } if *limit > 0.0 => self.unary(id, PlanOp::ClippedRelu((*limit).into())),
            Op::ClippedRelu { limit } => Err(format!("its limit {limit} is not positive")),
            Op::MaxPool { window } => self.max_pool(id, window),
            Op::AvgPool { window, count_padding } => self.avg_pool(id, window, *count_padding),
            Op::SumPool { window } => self.sum_pool(id, window),
            Op::Mean { axes, .. } => self.reduce(id, axes, true),
            Op::Sum { axes, .. } => self.reduce(id, axes, false),
            Op::Maximum
            | Op::Minimum
            | Op::Compare(_)
            | Op::Select
            | Op::Function(_)
            | Op::Max { .. }
            | Op::Min { .. }
            | Op::TopK { .. } => Err("it is not computed on secrets yet".into()),
            Op::Softmax => self.softmax(id),
            Op::ArgMax { axis } => self.arg_max(id, *axis),
            Op::Movement(movement) => self.movement(id, movement),
            Op::Identity => node.inputs.first().map(|i| self.lowered[i.0].clone()).ok_or_else(no_operand),
        }
    }

    fn unary(&mut self, id: NodeId, op: PlanOp) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        Ok(self.last_step(id, op, &[x]))
    }

    fn operand(&self, id: NodeId, index: usize) -> Result<NodeId, Refusal> {
        self.graph.node(id).inputs.get(index).copied().ok_or_else(no_operand)
    }
}

fn no_operand() -> Refusal {
    "it lacks an operand".into()
}

fn inside(name: &str, what: &str) -> Refusal {
    format!("it uses {name}, a {what} inside the graph: the client applies {what} to opened outputs only")
}
