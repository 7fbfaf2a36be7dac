//! Lowering: from the graph to a plan, one node after another. All nodes that cannot be lowered are
//! found in one go.
//!
//! A family of the graph's operations has a file of the same name here, that says for each of them
//! how it is computed.

mod activation;
mod arg_max;
mod arithmetic;
mod compare;
mod constant;
mod curve;
mod flags;
mod floor;
mod function;
pub(crate) mod gaps;
mod ids;
mod inner;
mod late_division;
mod linear;
mod merge;
mod movement;
mod order;
mod own_size;
mod pairs;
mod pool;
pub(crate) mod precision;
mod product;
mod reduce;
mod select;
mod shared_weights;
mod softmax;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cryptflow_operation::Bounds;
use cryptflow_program::OutputTransform;
use cryptflow_ring::Window;

use cryptflow_graph::ranges::sure;
use cryptflow_graph::{Array, Function, Graph, NodeId, Op, Range};

use super::bounds::{own_bounds, result_bounds};
use super::plan::{self, Limits, Operation, Plan, PlanOutput, PlanStep, PlanValue};
use super::rounding::Rounding;
use super::shared::Shared;
use crate::fix::units::exp2;
use crate::fix::whole::wholes;
use crate::fix::{Refusal, Unsupported};
use crate::functions::LOCAL_ROUND;
use floor::{Floor, is_few};
use precision::{GUARD, Wanted};

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

/// What a plan is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Fractional bits of activations.
    pub(crate) scale: u32,
    /// Bits by which values may exceed their ranges.
    pub(crate) margin: f64,
    /// Whether values have another bit of margin where that costs next to nothing.
    pub(crate) more_where_cheap: bool,
    /// Whether the ranges are known. If not, they are no reason to refuse anything.
    pub(crate) known: bool,
    /// Whether the parties compute what a client would apply to opened outputs.
    pub(crate) hide_logits: bool,
    /// Whether the program says if a value left its bounds.
    pub(crate) guard: bool,
    /// Whether it will: what rounding does to values is measured before it does.
    pub(crate) guarded: bool,
    /// What a round is worth on the network that the program is for.
    pub(crate) bits_per_round: u64,
}

impl Setting {
    /// For a look at what can be computed at all.
    pub(crate) fn unknown() -> Setting {
        Setting {
            scale: 12,
            margin: 0.0,
            more_where_cheap: false,
            known: false,
            hide_logits: false,
            guard: false,
            guarded: false,
            bits_per_round: LOCAL_ROUND,
        }
    }
}

/// What is known of the values of nodes, by id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// What they may be, without margin.
    pub(crate) ranges: &'a [Range],
    /// What the float model allows for.
    pub(crate) images: &'a [Range],
    /// The least of what is divided by, beside what is next to nothing, where both were seen.
    pub(crate) least: &'a [Option<f64>],
    /// What rounding was seen to do.
    pub(crate) rounding: Option<&'a Rounding>,
}

impl Seen<'_> {
    fn least(&self, id: NodeId) -> Option<f64> {
        self.least.get(id.0).copied().flatten()
    }
}

/// The largest count that is reckoned with where fewer were seen.
const MOST_COUNTED: f64 = (1u64 << 20) as f64;

/// How many times as many elements as a value the largest has, where a bit of margin is cheap.
const CHEAP: usize = 64;

pub(crate) struct Lowering<'a> {
    graph: &'a Graph,
    /// What values may be, by node, without margin.
    ranges: Vec<Range>,
    /// What the float model allows for, by node.
    images: &'a [Range],
    /// How close to zero functions of each node are made for.
    floors: Vec<Floor>,
    /// What rounding was seen to do.
    rounding: Option<&'a Rounding>,
    setting: Setting,
    /// Elements of the largest value.
    most: usize,
    plan: Plan,
    /// What it has in common with other plans.
    shared: &'a mut Shared,
    /// The integers that each value of the plan stays within.
    bounds: Vec<Bounds>,
    /// Fractional bits that each node's value should have beyond those of activations.
    extra: Vec<i32>,
    /// What each node needs beside others, where that is known.
    needs: &'a [Option<f64>],
    lowered: Vec<Lowered>,
    /// For each node, whether its value is 0 or 1 whatever the input.
    booleans: Vec<bool>,
    /// The same of integers.
    wholes: Vec<bool>,
    /// What integers are, whatever the input, where that is known and costs few bits.
    sure: Vec<Option<Range>>,
    /// Functions' results that have bounds within which no operand was beyond what the function is made
    /// for.
    short_of_ends: HashMap<usize, Bounds>,
    /// Inputs that are given as ids: the value of their rows.
    rows_of_ids: HashMap<NodeId, usize>,
    /// What the client would apply, computed after all because a node inside of the graph uses it.
    inside: HashMap<NodeId, usize>,
    /// Outputs that have [`PlanOutput::spare`] bits.
    spared: HashSet<NodeId>,
    /// Every node that cannot be lowered.
    refused: Vec<Unsupported>,
}

/// For each node the fractional bits that its value has beyond those of activations.
pub(crate) fn extra_bits(graph: &Graph, seen: Seen<'_>, wanted: Wanted<'_>, setting: Setting) -> Vec<i32> {
    let floors = floor::floors(graph, seen, seen.images, setting);
    let made_for = floor::made_for(graph, seen, &floors, seen.images);
    precision::extra_bits(graph, &made_for, &floors, wanted, setting)
}

/// Makes the plan of a graph whose nodes take values in these ranges, as precisely as is wanted.
///
/// # Errors
/// Every node that cannot be lowered.
pub(crate) fn lower<'a>(
    graph: &'a Graph,
    seen: Seen<'a>,
    wanted: Wanted<'a>,
    setting: Setting,
    shared: &'a mut Shared,
) -> Result<Plan, Vec<Unsupported>> {
    let (images, wholes) = (seen.images, wholes(graph));
    let floors = floor::floors(graph, seen, images, setting);
    let ranges = floor::made_for(graph, seen, &floors, images);
    let sure = shared.sure.get_or_init(|| sure_counts(graph, &wholes)).clone();
    let mut state = Lowering {
        graph,
        setting,
        most: floor::most(graph),
        plan: Plan::default(),
        shared,
        bounds: Vec::new(),
        extra: precision::extra_bits(graph, &ranges, &floors, wanted, setting),
        needs: wanted.needs,
        ranges,
        images,
        floors,
        rounding: seen.rounding,
        lowered: vec![Lowered::Nothing; graph.nodes.len()],
        booleans: flags::booleans(graph),
        sure,
        wholes,
        short_of_ends: HashMap::new(),
        rows_of_ids: HashMap::new(),
        inside: HashMap::new(),
        spared: HashSet::new(),
        refused: Vec::new(),
    };
    state.spare();
    state.lower_inputs();
    state.lower_nodes();
    state.note_gaps();
    state.lower_outputs();
    if !state.refused.is_empty() {
        return Err(state.refused);
    }
    if !setting.guarded {
        late_division::without_unused(&mut state.plan);
    }
    merge::sums_of_linear_maps(&mut state.plan, &mut state.shared.contents);
    if setting.known {
        inner::sums_of_products(&mut state.plan, &state.bounds, setting.scale, setting.guard);
    }
    Ok(state.plan)
}

impl Lowering<'_> {
    /// Every input becomes a value.
    fn lower_inputs(&mut self) {
        for &id in &self.graph.inputs {
            if let Some(reason) = self.empty(id) {
                self.refuse(id, reason);
                continue;
            }
            if let Some(classes) = self.graph.classes(id) {
                self.lower_ids(id, classes);
                continue;
            }
            let blank = self.blank(id, self.own_shape(id), self.range(id));
            let extra = self.extra_of(id);
            // What clients may send is said by the margin alone.
            let value =
                self.value(PlanValue { node: Some(id), extra, noise: extra.min(0), room: 0, ..blank });
            self.lowered[id.0] = Lowered::Value(value);
        }
        self.plan.inputs = self.graph.inputs.len();
        self.count_ids();
    }

    /// Every node that an output needs becomes steps, or is refused; those that use a refused one
    /// are passed over.
    fn lower_nodes(&mut self) {
        let needed = self.graph.needed();
        for id in (0..needed.len()).map(NodeId).filter(|id| needed[id.0]) {
            let node = self.graph.node(id);
            let failed = node.inputs.iter().any(|i| matches!(self.lowered[i.0], Lowered::Nothing));
            if failed || matches!(node.op, Op::Input) {
                continue;
            }
            let secret = node.inputs.iter().any(|i| !matches!(self.lowered[i.0], Lowered::Constant(_)));
            let lowered = match self.empty(id).filter(|_| secret) {
                Some(reason) => Err(reason),
                None => self.node(id),
            };
            match lowered {
                Ok(lowered) => self.lowered[id.0] = lowered,
                Err(reason) => self.refuse(id, reason),
            }
        }
    }

    /// Every output opens a value.
    fn lower_outputs(&mut self) {
        self.open_outputs();
        // Nothing is compared with what is opened: there more margin would but hide what left its bounds.
        let uses = self.plan.uses();
        for output in self.plan.outputs.iter().map(|output| output.value).collect::<Vec<_>>() {
            let mut value = output;
            while uses[value] == 1 {
                self.plan.values[value].room = 0;
                let made = self.plan.steps.iter().find(|step| step.output == value);
                match made.filter(|step| matches!(step.op, Operation::Movement(_))) {
                    Some(step) if step.inputs.len() == 1 => value = step.inputs[0],
                    Some(_) | None => break,
                }
            }
        }
    }

    fn open_outputs(&mut self) {
        for (index, &id) in self.graph.outputs.iter().enumerate() {
            let name = self.graph.output_names.get(index).unwrap_or(&self.graph.node(id).name).clone();
            match self.lower_output(id) {
                Ok(Some((value, transform))) => {
                    // A class is what it is.
                    let orders = transform.is_some_and(|t| !matches!(t, OutputTransform::Class { .. }));
                    let spare = if orders && self.spared.contains(&id) { GUARD } else { 0 };
                    let equal = if orders { self.opened_equal(id, value) } else { 0 };
                    self.plan.outputs.push(PlanOutput { name, value, transform, spare, equal });
                }
                Ok(None) => {}
                Err(reason) => self.refuse(id, reason),
            }
        }
    }

    /// What is opened of an output, and what the client makes of it; nothing where it was refused.
    fn lower_output(&mut self, id: NodeId) -> Result<Option<(usize, Option<OutputTransform>)>, Refusal> {
        Ok(match self.lowered[id.0].clone() {
            Lowered::Value(value) => Some((self.told(id, value), None)),
            Lowered::Client(value, transform) if self.setting.hide_logits => {
                Some(self.hidden(id, value, transform)?)
            }
            Lowered::Client(value, transform) => Some((value, Some(transform))),
            Lowered::Constant(array) => Some((self.secret_constant(id, &array)?, None)),
            Lowered::Nothing => None,
        })
    }

    /// A value that is opened, with bounds that tell the client whether a function's operand was beyond
    /// what it is made for.
    fn told(&mut self, id: NodeId, value: usize) -> usize {
        let Some(&bounds) = self.short_of_ends.get(&value) else { return value };
        let copy = self.plan.values[value].clone();
        let copy = PlanValue { limits: Limits::Assumed(bounds), node: Some(id), ..copy };
        self.step_to(id, plan::combine(vec![1], vec![0]), &[value], copy)
    }

    fn refuse(&mut self, id: NodeId, reason: Refusal) {
        let node = self.graph.node(id);
        let (name, operation) = (node.name.clone(), node.op.name().to_string());
        self.refused.push(Unsupported { name, operation, reason });
    }

    /// Why nothing can be computed of a node without elements.
    fn empty(&self, id: NodeId) -> Option<Refusal> {
        let shape = self.own_shape(id);
        shape.contains(&0).then_some(Refusal::Empty(shape))
    }

    fn range(&self, id: NodeId) -> Range {
        self.ranges[id.0]
    }

    fn own_shape(&self, id: NodeId) -> Vec<usize> {
        self.graph.node(id).shape.clone()
    }

    fn shape(&self, value: usize) -> Vec<usize> {
        self.plan.values[value].shape.clone()
    }

    /// The rows of a value along its last axis, and their length.
    fn rows(&self, value: usize) -> Result<[usize; 2], Refusal> {
        match self.plan.values[value].shape.split_last() {
            Some((&n, rows)) => Ok([rows.iter().product(), n]),
            None => Err(malformed("a scalar has no last axis")),
        }
    }

    /// What the node whose value this is was seen to be, for a function of it, as far as the float
    /// model allows for it; and how close to a pole at zero the function is made for.
    fn range_seen(&self, function: Function, id: NodeId, value: usize) -> (Range, Floor) {
        // A table's value may be beside what was seen by more than that was.
        let (own, seen) = (self.plan.values[value].range, self.range(id));
        let both = Range { low: own.low.max(seen.low), high: own.high.min(seen.high) };
        let range = function.asked(if both.low <= both.high { both } else { own }, self.images[id.0]);
        let floor = self.floors[id.0];
        match floor {
            Floor::Seen => (range, floor),
            // No function of a range that is none.
            Floor::Model(low) | Floor::Lower(low) | Floor::Beside(low) => {
                (Range { low: low.min(range.high), ..range }, floor)
            }
        }
    }

    /// A value of a node in the making: it has the scale of activations, and its bounds follow from
    /// its range.
    fn blank(&self, id: NodeId, shape: Vec<usize>, range: Range) -> PlanValue {
        let name = self.graph.node(id).name.clone();
        let cheap = self.setting.more_where_cheap && is_few(self.most, &shape, CHEAP);
        PlanValue {
            name,
            shape,
            range,
            seen: None,
            node: None,
            wide: false,
            extra: 0,
            noise: 0,
            room: u32::from(cheap),
            limits: Limits::Seen,
        }
    }

    /// The same with so many fractional bits, for integers that stay within these bounds; its range
    /// is theirs.
    fn integers(&self, id: NodeId, shape: Vec<usize>, bounds: Bounds, scale: u32) -> PlanValue {
        let real = |units: i64| units as f64 / exp2(scale);
        let range = Range { low: real(bounds.low), high: real(bounds.high) };
        let extra = scale as i32 - self.setting.scale as i32;
        PlanValue { extra, limits: Limits::Proved(bounds), ..self.blank(id, shape, range) }
    }

    /// Adds a value.
    fn value(&mut self, value: PlanValue) -> usize {
        self.bounds.push(own_bounds(&value, self.setting.scale, self.setting.margin));
        self.plan.values.push(value);
        self.plan.values.len() - 1
    }

    /// A step for a node that gives a new value of this shape and range, with as many fractional
    /// bits as its first operand. `whole`: the value is the node's result, not one on the way
    /// there.
    fn step(
        &mut self,
        id: NodeId,
        op: Operation,
        inputs: &[usize],
        shape: Vec<usize>,
        range: Range,
        whole: bool,
    ) -> usize {
        let extra = inputs.first().map_or(0, |&i| self.plan.values[i].extra);
        let node = whole.then_some(id);
        self.step_to(id, op, inputs, PlanValue { node, extra, ..self.blank(id, shape, range) })
    }

    /// A step for a node that gives this value.
    fn step_to(&mut self, id: NodeId, op: Operation, inputs: &[usize], value: PlanValue) -> usize {
        let Setting { scale, margin, .. } = self.setting;
        let sure = value.node.and_then(|node| self.sure[node.0]).filter(|_| value.limits == Limits::Seen);
        let range = sure.map_or(value.range, |sure| value.range.union(sure));
        let value = PlanValue { range, noise: self.plan.noise(&op, inputs, value.extra), ..value };
        let operands: Vec<Bounds> = inputs.iter().map(|&i| self.bounds[i]).collect();
        let bounds = result_bounds(&op, &operands, &value, scale, margin);
        let output = self.value(value);
        self.bounds[output] = bounds;
        let name = self.graph.node(id).name.clone();
        self.plan.steps.push(PlanStep { name, op, inputs: inputs.to_vec(), output });
        output
    }

    /// The last step for a node: it gives its result.
    fn last_step(&mut self, id: NodeId, op: Operation, inputs: &[usize]) -> Lowered {
        Lowered::Value(self.last_value(id, op, inputs))
    }

    /// The same, for a caller that goes on with the value.
    fn last_value(&mut self, id: NodeId, op: Operation, inputs: &[usize]) -> usize {
        self.step(id, op, inputs, self.own_shape(id), self.range(id), true)
    }

    /// A value in the shape of a node's result, as that.
    fn reshaped(&mut self, id: NodeId, x: usize) -> Lowered {
        self.last_step(id, plan::reshape(&self.graph.node(id).shape), &[x])
    }

    /// Fractional bits that a node's value should have beyond those of activations.
    fn extra_of(&self, id: NodeId) -> i32 {
        self.extra[id.0]
    }

    /// A weight that has all elements of a constant.
    fn weight_of(&mut self, constant: NodeId, shape: Vec<usize>, data: impl Into<Arc<Vec<f32>>>) -> usize {
        let graph = self.graph;
        let weight = self.weight(&graph.node(constant).name, shape, data);
        self.plan.weights[weight].stand_for(&[constant]);
        weight
    }

    /// A weight of the plan, which has the same numbers in the same shape once.
    fn weight(&mut self, name: &str, shape: Vec<usize>, data: impl Into<Arc<Vec<f32>>>) -> usize {
        let kept = self.shared.contents.keep(data.into());
        self.plan.weight(name, shape, kept)
    }

    /// An operand as a secret value. A constant becomes one, as a weight would: it is the model's,
    /// and stays so.
    fn secret(&mut self, id: NodeId) -> Result<usize, Refusal> {
        match &self.lowered[id.0] {
            Lowered::Value(value) | Lowered::Client(value, OutputTransform::Class { .. }) => Ok(*value),
            Lowered::Client(..) if self.inside.contains_key(&id) => Ok(self.inside[&id]),
            Lowered::Client(value, OutputTransform::Softmax) => {
                let softmax = self.softmax_inside(id, *value)?;
                self.inside.insert(id, softmax);
                Ok(softmax)
            }
            Lowered::Client(value, OutputTransform::ArgMax) => {
                let indices = self.arg_max_inside(id, *value)?;
                self.inside.insert(id, indices);
                Ok(indices)
            }
            Lowered::Client(value, OutputTransform::TopK { axis, k: 1, largest, indices }) => {
                let first = self.first_inside(id, *value, *axis, *largest, *indices)?;
                self.inside.insert(id, first);
                Ok(first)
            }
            Lowered::Client(_, OutputTransform::TopK { .. }) => {
                let name = &self.graph.node(id).name;
                let said = format!(
                    "it uses {name}, a top-k inside the graph, and the client sorts opened outputs. End the model there \
                     (--output {name}), or take the largest alone (k = 1, a maximum, an arg-max), which parties can compute"
                );
                Err(Refusal::Missing(said.into()))
            }
            Lowered::Constant(array) => self.secret_constant(id, &array.clone()),
            Lowered::Nothing => Err(malformed("an operand of it was refused")),
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
            return Ok(Lowered::Constant(node.op.evaluate(&constants)?));
        }
        match &node.op {
            Op::Input | Op::Constant(_) => Ok(Lowered::Nothing),
            Op::Identity => node.inputs.first().map(|i| self.lowered[i.0].clone()).ok_or_else(no_operand),
            Op::Linear(linear) => self.linear(id, linear),
            Op::Arithmetic(arithmetic) => self.arithmetic(id, arithmetic),
            Op::Function(function) => self.function(id, *function),
            Op::Activation(activation) => self.activation(id, activation),
            Op::Pool(pool) => self.pool(id, pool),
            Op::Reduce(reduce) => self.reduce(id, reduce),
            Op::Order(order) => self.order(id, order),
            Op::Movement(movement) => self.movement(id, movement),
        }
    }

    fn operand(&self, id: NodeId, index: usize) -> Result<NodeId, Refusal> {
        self.graph.node(id).inputs.get(index).copied().ok_or_else(no_operand)
    }
}

/// What integers are whatever the input, made of flags as they are: a calibration that showed few of them
/// together says little of another input.
fn sure_counts(graph: &Graph, wholes: &[bool]) -> Vec<Option<Range>> {
    let counts = |(known, &whole): (Option<Range>, &bool)| {
        known.filter(|range| whole && range.magnitude() <= MOST_COUNTED)
    };
    // Constants are what they are: what an operation makes of integers is what is asked.
    let wanted =
        graph.nodes.iter().zip(wholes).map(|(node, &whole)| whole && !matches!(node.op, Op::Constant(_)));
    let wanted: Vec<bool> = wanted.collect();
    sure(graph, &wanted).into_iter().zip(wholes).map(counts).collect()
}

/// What no importer makes.
fn malformed(what: impl Into<String>) -> Refusal {
    Refusal::Malformed(what.into())
}

fn no_operand() -> Refusal {
    malformed("it lacks an operand")
}

fn no_axis(axis: usize) -> Refusal {
    malformed(format!("it has no axis {axis}"))
}

/// A window over so many elements of the first axis of a picture.
pub(super) fn column(count: usize) -> Window {
    Window { kernel: [count, 1], stride: [1; 2], dilation: [1; 2], padding: [[0; 2]; 2] }
}
