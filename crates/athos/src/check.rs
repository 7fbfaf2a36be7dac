//! What can be compiled of a model, and what cannot, node by node, without compiling it: no data
//! are needed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::compile;
use crate::passes;

pub use crate::conditions::conditions;
use cryptflow_import::{Framework, ImportError, ImportOptions, NodeStatus, SurveyedNode};

/// What can be said of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whose operations these are.
    pub framework: Framework,
    /// Name of the model.
    pub name: String,
    /// Names and shapes of the inputs, as far as it can be imported.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Every node that the outputs need, operands first.
    pub nodes: Vec<SurveyedNode>,
    /// What must hold for some of them, by their index in `nodes`, which calibration data or ranges
    /// decide.
    pub conditions: BTreeMap<usize, String>,
}

/// How many nodes of one operation can be compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that can be compiled.
    pub supported: usize,
    /// Those among them that can be compiled under a condition.
    pub conditional: usize,
    /// Those that cannot.
    pub unsupported: usize,
    /// Those of which nothing can be said, because they use one that cannot be imported.
    pub unreached: usize,
}

impl Check {
    /// Whether all of the model can be compiled.
    pub fn compiles(&self) -> bool {
        self.nodes.iter().all(|node| node.status == NodeStatus::Imported)
    }

    /// The operations by name, with the number of their nodes.
    pub fn tallies(&self) -> BTreeMap<&str, Tally> {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let tally = tallies.entry(node.op.as_str()).or_default();
            match node.status {
                NodeStatus::Imported => {
                    tally.supported += 1;
                    tally.conditional += usize::from(self.conditions.contains_key(&index));
                }
                NodeStatus::Unsupported(_) => tally.unsupported += 1,
                NodeStatus::Unreached => tally.unreached += 1,
            }
        }
        tallies
    }

    /// The nodes that can be compiled under a condition, with it.
    pub fn conditional(&self) -> impl Iterator<Item = (&SurveyedNode, &str)> {
        self.conditions.iter().filter_map(|(&index, text)| Some((self.nodes.get(index)?, text.as_str())))
    }

    /// The nodes that cannot be compiled, with the reason and what to do.
    pub fn unsupported(&self) -> impl Iterator<Item = (&SurveyedNode, &str)> {
        self.nodes.iter().filter_map(|node| match &node.status {
            NodeStatus::Unsupported(reason) => Some((node, reason.as_str())),
            _ => None,
        })
    }
}

/// Looks at every node of a model: whether it can be imported, and whether what it becomes can be
/// computed on secret values. Behind a node that cannot be imported nothing is known; what lies
/// beside it is looked at all the same.
///
/// # Errors
/// What concerns no single node: a file that is no model, an output that does not exist.
pub fn check(path: &Path, options: &ImportOptions) -> Result<Check, ImportError> {
    let survey = cryptflow_import::survey(path, options)?;
    let (mut graph, mut nodes) = (survey.graph, survey.nodes);
    let inputs = graph.inputs.iter().map(|&id| graph.node(id)).map(|n| (n.name.clone(), n.shape.clone()));
    let inputs = inputs.collect();
    passes::optimise(&mut graph);
    let refused = compile::unsupported(&graph);
    let places: HashMap<String, usize> =
        nodes.iter().enumerate().map(|(i, node)| (node.result.clone(), i)).collect();
    for refusal in refused {
        let place = place(&places, &refusal.name);
        let status = NodeStatus::Unsupported(refusal.reason.to_string());
        match place.and_then(|place| nodes.get_mut(place)) {
            // One reason is enough; the first is that of the operation that comes first.
            Some(node) if node.status == NodeStatus::Imported => node.status = status,
            Some(_) => {}
            None => nodes.push(SurveyedNode {
                name: refusal.name.clone(),
                op: refusal.operation,
                result: refusal.name,
                status,
            }),
        }
    }
    let mut held = BTreeMap::new();
    for (id, text) in conditions(&graph) {
        let place = place(&places, &graph.node(id).name);
        let imported = |&place: &usize| nodes.get(place).is_some_and(|n| n.status == NodeStatus::Imported);
        if let Some(place) = place.filter(imported) {
            held.entry(place).or_insert(text);
        }
    }
    Ok(Check { framework: survey.framework, name: graph.name, inputs, nodes, conditions: held })
}

/// The node of the model that a node of the graph is of: what a node consists of is called after
/// it.
fn place(places: &HashMap<String, usize>, name: &str) -> Option<usize> {
    let mut prefix = name;
    loop {
        match (places.get(prefix), prefix.rsplit_once('/')) {
            (Some(&place), _) => return Some(place),
            (None, Some((before, _))) => prefix = before,
            (None, None) => return None,
        }
    }
}
