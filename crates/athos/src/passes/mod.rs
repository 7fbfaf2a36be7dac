//! Passes: each rewrites a graph into one that computes the same in fewer or cheaper steps.
//!
//! A pass edits nodes in place, so that the value under a name stays the value that the source
//! model has under that name, or some rows of it, or it times a number that came later, which the pass reports;
//! appends new nodes at the end, and restores the order. What it leaves
//! unused, [`dead_nodes`] removes.

mod affine;
pub mod average_into_conv;
pub mod average_into_weights;
pub mod dead_nodes;
pub mod endless;
pub mod factor_into_weights;
pub mod fold_arithmetic;
pub mod fold_batch_norm;
pub mod fold_constants;
pub mod inverse_root;
pub mod limits;
pub mod log_softmax;
pub mod padding_into_conv;
pub mod pick_early;
pub mod recognise;
pub mod relu_after_max_pool;
pub mod remove_identities;
pub mod sign_of_product;
pub mod sorted;
pub mod transposes;

use cryptflow_graph::{Graph, NodeId};

/// A node that a pass changed, or had to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The node's name.
    pub node: String,
    /// What became of it.
    pub what: String,
}

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassReport {
    /// The pass.
    pub pass: &'static str,
    /// What it changed, in the order of the graph.
    pub changes: Vec<Change>,
    /// What it would have changed, but could not: why it costs what it costs.
    pub left: Vec<Change>,
}

impl PassReport {
    fn new(pass: &'static str) -> PassReport {
        PassReport { pass, ..PassReport::default() }
    }

    fn changed(&mut self, node: &str, what: impl Into<String>) {
        self.changes.push(Change { node: node.into(), what: what.into() });
    }

    fn leave(&mut self, node: &str, why: impl Into<String>) {
        self.left.push(Change { node: node.into(), what: why.into() });
    }
}

/// A pass.
pub type Pass = fn(&mut Graph) -> PassReport;

/// The passes, in the order in which they run. [`dead_nodes`] runs after each of them.
pub const PASSES: [Pass; 18] = [
    fold_constants::run,
    remove_identities::run,
    pick_early::run,
    // Before a mask is taken for an offset of channels.
    endless::run,
    sorted::run,
    // Before a part of a clip goes into weights.
    limits::run,
    // After what is written out has become a softmax.
    log_softmax::run,
    // Before their numbers go into weights.
    recognise::run,
    // Before those that look for layers next to each other.
    transposes::run,
    inverse_root::run,
    sign_of_product::run,
    fold_arithmetic::run,
    factor_into_weights::run,
    fold_batch_norm::run,
    padding_into_conv::run,
    relu_after_max_pool::run,
    average_into_conv::run,
    average_into_weights::run,
];

/// Runs all passes again and again until none changes anything. One report for each pass: all its
/// changes, and what it left in the end. The last one is of [`dead_nodes`], without the nodes that
/// a pass itself left unused.
pub fn optimise(graph: &mut Graph) -> Vec<PassReport> {
    let dead = dead_nodes::run(graph);
    let mut reports: Vec<PassReport> = Vec::new();
    let mut changed = true;
    while changed {
        changed = false;
        for (i, pass) in PASSES.iter().enumerate() {
            let report = pass(graph);
            dead_nodes::run(graph);
            changed |= !report.changes.is_empty();
            match reports.get_mut(i) {
                Some(all) => {
                    all.changes.extend(report.changes);
                    all.left = report.left;
                }
                None => reports.push(report),
            }
        }
    }
    reports.push(dead);
    reports
}

/// The only node that uses a value, if there is one such node and the value is no output.
fn only_user(graph: &Graph, uses: &[Vec<NodeId>], id: NodeId) -> Option<NodeId> {
    match uses[id.0].as_slice() {
        [user] if !graph.outputs.contains(&id) => Some(*user),
        _ => None,
    }
}
