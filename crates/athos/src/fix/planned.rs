//! The second stage: plans in real numbers, scale by scale. One serves all scales, unless integers
//! of it (thresholds, say) are made for one.

pub(crate) mod bounds;
mod contents;
mod farthest;
mod guard;
pub(crate) mod lower;
pub(crate) mod plan;
pub(crate) mod rounding;
mod schedule;
mod shared;
mod tables;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use cryptflow_graph::ranges::images;
use cryptflow_graph::{Activation, Arithmetic, Graph, Op, Pool, Pooling, Range};

use super::bounded::Bounded;
use super::bounded::examples::Opened;
use super::bounded::sensitivity::Needs;
use super::whole::wholes;
use super::{Coarsest, Defect, FixError};
use lower::precision::Wanted;
use lower::{Seen, Setting, extra_bits, lower};
use plan::{Operation, Plan, PlanOutput};
use rounding::Rounding;
use schedule::schedule;
use shared::Shared;

/// Makes plans of one graph, and keeps them.
pub(crate) struct Planner<'a> {
    bounded: &'a Bounded<'a>,
    hide_logits: bool,
    /// Whether the program says if a value left its bounds.
    guard: bool,
    /// What values need beside others, where it is known.
    needs: Needs,
    /// By how many quarters of a bit values have more than the scale says, on average.
    quarters: u32,
    /// What rounding was seen to do.
    rounding: Rounding,
    /// What plans have in common.
    shared: Shared,
    /// What the float model allows for, by node, once it was asked for.
    images: OnceCell<Vec<Range>>,
    plans: HashMap<u32, Rc<Plan>>,
    /// The plan for every scale, if there is one.
    general: Option<Rc<Plan>>,
}

impl<'a> Planner<'a> {
    /// For a graph; what a client would apply to outputs is left to the parties where `hide_logits`
    /// says so.
    pub(crate) fn new(bounded: &'a Bounded<'a>, hide_logits: bool) -> Planner<'a> {
        Planner {
            bounded,
            hide_logits,
            guard: false,
            needs: Needs::default(),
            quarters: 0,
            rounding: Rounding::default(),
            shared: Shared::default(),
            images: OnceCell::new(),
            plans: HashMap::new(),
            general: None,
        }
    }

    /// The same for values that matter unequally, see [`super::bounded::sensitivity`].
    pub(crate) fn with_needs(self, needs: Needs) -> Planner<'a> {
        Planner { needs, ..self.anew() }
    }

    /// The same with a [`guard`], where one was asked for. Worst cases need none: nothing leaves them.
    pub(crate) fn with_guard(self, guard: bool) -> Planner<'a> {
        let guard = guard && self.bounded.examples.is_some();
        Planner { guard, ..self.anew() }
    }

    /// Makes plans anew, where rounding was seen to do this.
    pub(crate) fn round(&mut self, rounding: Rounding) {
        self.rounding = rounding;
        self.plans.clear();
        self.general = None;
    }

    /// Where values matter unequally, those that are closest to having a bit more have it, as many of them as
    /// so many quarters say.
    pub(crate) fn finer(&mut self, quarters: u32) {
        self.quarters = quarters;
        self.plans.clear();
        self.general = None;
    }

    /// Those quarters.
    pub(crate) fn quarters(&self) -> u32 {
        self.quarters
    }

    /// Whether values matter unequally.
    pub(crate) fn has_needs(&self) -> bool {
        !self.needs.all.is_empty()
    }

    /// The same without the plans that are there.
    fn anew(self) -> Planner<'a> {
        Planner { plans: HashMap::new(), general: None, ..self }
    }

    /// The plan for so many fractional bits.
    ///
    /// # Errors
    /// [`FixError::Unsupported`], with every node that cannot be computed.
    pub(crate) fn plan(&mut self, scale: u32) -> Result<Rc<Plan>, FixError> {
        if let Some(plan) = self.general.as_ref().or_else(|| self.plans.get(&scale)) {
            return Ok(plan.clone());
        }
        let Bounded { graph, ranges, least, margin, typical, near, .. } = self.bounded;
        let images = self.images.get_or_init(|| images(graph));
        let seen = Seen { ranges, images, least, rounding: Some(&self.rounding) };
        let setting = self.setting(scale);
        let digits = self.bounded.examples.as_ref().map(|examples| examples.digits()).unwrap_or_default();
        let finer = self.part();
        let wanted = Wanted { digits: &digits, needs: &self.needs.all, finer };
        let mut plan =
            lower(graph, seen, wanted, setting, &mut self.shared).map_err(FixError::Unsupported)?;
        if self.guard {
            guard::guard(&mut plan, scale, *margin);
        }
        schedule(&mut plan);
        plan.know(typical);
        plan.see(near);
        plan.weigh(&self.needs.weights);
        let plan = Rc::new(plan);
        // What outputs have beyond activations depends on the scale as well.
        let varies = digits.iter().any(Option::is_some) || !self.needs.all.is_empty();
        match plan.fitted.or(varies.then_some(scale)) {
            None => self.general = Some(plan.clone()),
            Some(_) => {
                self.plans.insert(scale, plan.clone());
            }
        }
        Ok(plan)
    }
}

impl Planner<'_> {
    /// The node whose rounding adds most to the errors of the outputs, at this scale; none where
    /// nothing says how much values matter.
    pub(crate) fn coarsest(&self, scale: u32) -> Option<Coarsest> {
        let Bounded { graph, ranges, .. } = self.bounded;
        let extra = self.extra(scale);
        let adds = |index: &usize| {
            let elements: usize = graph.nodes[*index].shape.iter().product();
            let need = self.needs.all.get(*index).copied().flatten()?;
            rounds(&graph.nodes[*index].op)
                .then(|| 2.0 * (need - f64::from(extra[*index])) + (elements as f64).log2())
        };
        let scored = (0..graph.nodes.len()).filter_map(|index| Some((index, adds(&index)?)));
        let (index, _) = scored.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let node = &graph.nodes[index];
        Some(Coarsest {
            name: node.name.clone(),
            operation: node.op.name().to_string(),
            range: ranges[index],
            bits: scale.saturating_add_signed(extra[index]),
        })
    }
}

impl Planner<'_> {
    /// For each node the fractional bits beyond this scale.
    fn extra(&self, scale: u32) -> Vec<i32> {
        let Bounded { graph, ranges, least, .. } = self.bounded;
        let wanted = Wanted { digits: &[], needs: &self.needs.all, finer: self.part() };
        let images = self.images.get_or_init(|| images(graph));
        extra_bits(graph, Seen { ranges, images, least, rounding: None }, wanted, self.setting(scale))
    }

    fn part(&self) -> f64 {
        f64::from(self.quarters) / 4.0
    }

    fn setting(&self, scale: u32) -> Setting {
        let Bounded { margin, more_where_cheap, guarded, bits_per_round, .. } = *self.bounded;
        Setting {
            scale,
            margin,
            more_where_cheap,
            known: true,
            hide_logits: self.hide_logits,
            guard: self.guard,
            guarded,
            bits_per_round,
        }
    }

    /// The error that rounding leads to where values decide, at this scale, as a part of what is
    /// allowed there.
    pub(crate) fn error_of_decisions(&self, scale: u32) -> f64 {
        let graph = self.bounded.graph;
        let extra = self.extra(scale);
        let adds = |(index, need): (usize, &Option<f64>)| {
            let elements: usize = graph.nodes[index].shape.iter().product();
            let bits =
                need.filter(|_| rounds(&graph.nodes[index].op))? - f64::from(scale) - f64::from(extra[index]);
            // A truncation's error has a variance of a quarter of a unit.
            Some(elements as f64 * (2.0 * bits).exp2() / 4.0)
        };
        self.needs.decisions.iter().enumerate().filter_map(adds).sum::<f64>().sqrt()
    }
}

/// Whether the result of an operation is rounded.
fn rounds(op: &Op) -> bool {
    match op {
        Op::Input | Op::Linear(_) | Op::Function(_) | Op::Reduce(_) => true,
        Op::Arithmetic(Arithmetic::Mul | Arithmetic::Div) => true,
        Op::Activation(Activation::Softmax | Activation::MaskedSoftmax) => true,
        Op::Pool(Pool { kind: Pooling::Average { .. }, .. }) => true,
        Op::Constant(_) | Op::Identity | Op::Arithmetic(_) | Op::Activation(_) => false,
        Op::Pool(_) | Op::Order(_) | Op::Movement(_) => false,
    }
}

/// What each output opens. It depends on the graph alone, not on the ranges of its values.
///
/// # Errors
/// [`FixError::Unsupported`], with every node that cannot be computed whatever its range.
pub(crate) fn opened(graph: &Graph) -> Result<Vec<Opened>, FixError> {
    let any = vec![Range { low: -1.0, high: 1.0 }; graph.nodes.len()];
    let images = images(graph);
    let seen = Seen { ranges: &any, images: &images, least: &[], rounding: None };
    let mut shared = Shared::default();
    let plan = lower(graph, seen, Wanted::default(), Setting::unknown(), &mut shared);
    let plan = plan.map_err(FixError::Unsupported)?;
    let wholes = wholes(graph);
    let origins = plan.outputs.iter().map(|output| origin(&plan, output, &wholes));
    Ok(origins.collect::<Option<_>>().ok_or(Defect::NoOrigin)?)
}

/// The node whose value an output opens, and the movements from there to the opened value.
fn origin(plan: &Plan, output: &PlanOutput, wholes: &[bool]) -> Option<Opened> {
    let shape = plan.values[output.value].shape.clone();
    let mut movements = Vec::new();
    let mut value = output.value;
    loop {
        if let Some(node) = plan.values[value].node {
            movements.reverse();
            return Some(Opened {
                name: output.name.clone(),
                node,
                movements,
                shape,
                transform: output.transform,
                whole: wholes[node.0],
            });
        }
        let step = plan.steps.iter().find(|s| s.output == value)?;
        let Operation::Movement(movement) = &step.op else {
            return None;
        };
        movements.push(movement.clone());
        value = *step.inputs.first()?;
    }
}
