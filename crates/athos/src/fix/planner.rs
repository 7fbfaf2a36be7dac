//! Plans, scale by scale: one serves all scales, unless integers of it (thresholds, say) are made for one.

use std::collections::HashMap;
use std::rc::Rc;

use cryptflow_graph::{Graph, Range};

use super::FixError;
use super::lower::{Setting, lower};
use super::plan::Plan;
use super::schedule::schedule;
use super::trial::{Opened, opened};

/// Makes plans of one graph, and keeps them.
pub(crate) struct Planner<'a> {
    graph: &'a Graph,
    ranges: &'a [Range],
    margin: f64,
    hide_logits: bool,
    plans: HashMap<u32, Rc<Plan>>,
    /// The plan for every scale, if there is one.
    general: Option<Rc<Plan>>,
}

impl<'a> Planner<'a> {
    /// For a graph whose nodes take values in these ranges, and may exceed them by `margin` bits.
    pub(crate) fn new(graph: &'a Graph, ranges: &'a [Range], margin: f64) -> Planner<'a> {
        Planner { graph, ranges, margin, hide_logits: false, plans: HashMap::new(), general: None }
    }

    /// With what a client would apply to outputs left to the parties, where `hide` says so.
    pub(crate) fn hiding_logits(self, hide: bool) -> Planner<'a> {
        Planner { hide_logits: hide, ..self }
    }

    /// The plan for so many fractional bits.
    ///
    /// # Errors
    /// [`FixError::Unsupported`], with every node that cannot be computed.
    pub(crate) fn plan(&mut self, scale: u32) -> Result<Rc<Plan>, FixError> {
        if let Some(plan) = self.general.as_ref().or_else(|| self.plans.get(&scale)) {
            return Ok(plan.clone());
        }
        let setting = Setting { scale, margin: self.margin, known: true, hide_logits: self.hide_logits };
        let mut plan = lower(self.graph, self.ranges, setting).map_err(FixError::Unsupported)?;
        schedule(&mut plan);
        let plan = Rc::new(plan);
        match plan.fitted {
            None => self.general = Some(plan.clone()),
            Some(_) => {
                self.plans.insert(scale, plan.clone());
            }
        }
        Ok(plan)
    }
}

/// Which node each output opens, and how it is moved from there. It depends on the graph alone.
///
/// # Errors
/// [`FixError::Unsupported`], with every node that cannot be computed whatever its range.
pub(crate) fn origins(graph: &Graph) -> Result<Vec<Option<Opened>>, FixError> {
    let any = vec![Range { low: -1.0, high: 1.0 }; graph.nodes.len()];
    lower(graph, &any, Setting::unknown()).map(|plan| opened(&plan)).map_err(FixError::Unsupported)
}
