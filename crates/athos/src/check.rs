//! What can be compiled of a model, and what cannot, node by node, without compiling it: no data
//! are needed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::compile;
use crate::passes;

pub use crate::conditions::conditions;
use crate::fix::Refusal;
use cryptflow_import::{Framework, ImportError, ImportOptions, NodeRefusal, NodeStatus, SurveyedNode};

/// What can be said of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// It can be compiled, perhaps under a condition.
    Supported,
    /// It cannot.
    Refused(Why),
    /// It uses a node that cannot be imported, so that nothing can be said of it.
    Unknown,
}

/// Why a node cannot be compiled.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// It cannot be imported.
    Import(NodeRefusal),
    /// No party could compute it on secrets.
    Compute(Refusal),
}

impl Why {
    /// What is the matter.
    pub fn reason(&self) -> String {
        match self {
            Why::Import(refusal) => refusal.reason(),
            Why::Compute(refusal) => refusal.to_string(),
        }
    }

    /// What to do, where there is something.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Why::Import(refusal) => refusal.advice(),
            Why::Compute(refusal) => refusal.advice(),
        }
    }

    /// The variant, as files name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Why::Import(refusal) => refusal.kind(),
            Why::Compute(refusal) => refusal.kind(),
        }
    }
}

/// A node of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedNode {
    /// Its name in the model.
    pub name: String,
    /// Its operation, as the model calls it.
    pub op: String,
    /// Whether it can be compiled.
    pub status: Status,
}

/// What can be said of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Whose operations these are.
    pub framework: Framework,
    /// Name of the model.
    pub name: String,
    /// Names and shapes of the inputs, as far as it can be imported.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Every node that the outputs need, operands first.
    pub nodes: Vec<CheckedNode>,
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
        self.nodes.iter().all(|node| node.status == Status::Supported)
    }

    /// The operations by name, with the number of their nodes.
    pub fn tallies(&self) -> BTreeMap<&str, Tally> {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let tally = tallies.entry(node.op.as_str()).or_default();
            match node.status {
                Status::Supported => {
                    tally.supported += 1;
                    tally.conditional += usize::from(self.conditions.contains_key(&index));
                }
                Status::Refused(_) => tally.unsupported += 1,
                Status::Unknown => tally.unreached += 1,
            }
        }
        tallies
    }

    /// The nodes that can be compiled under a condition, with it.
    pub fn conditional(&self) -> impl Iterator<Item = (&CheckedNode, &str)> {
        self.conditions.iter().filter_map(|(&index, text)| Some((self.nodes.get(index)?, text.as_str())))
    }

    /// The nodes that cannot be compiled, with the reason and what to do.
    pub fn unsupported(&self) -> impl Iterator<Item = (&CheckedNode, &Why)> {
        self.nodes.iter().filter_map(|node| match &node.status {
            Status::Refused(why) => Some((node, why)),
            Status::Supported | Status::Unknown => None,
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
    let mut graph = survey.graph;
    let inputs = graph.inputs.iter().map(|&id| graph.node(id)).map(|n| (n.name.clone(), n.shape.clone()));
    let inputs = inputs.collect();
    passes::optimise(&mut graph);
    let refused = compile::unsupported(&graph);
    let places: HashMap<String, usize> =
        survey.nodes.iter().enumerate().map(|(i, node)| (node.result.clone(), i)).collect();
    let mut nodes: Vec<CheckedNode> = survey.nodes.into_iter().map(checked).collect();
    for refusal in refused {
        let place = place(&places, &refusal.name);
        let status = Status::Refused(Why::Compute(refusal.reason));
        match place.and_then(|place| nodes.get_mut(place)) {
            // One reason is enough; the first is that of the operation that comes first.
            Some(node) if node.status == Status::Supported => node.status = status,
            Some(_) => {}
            None => nodes.push(CheckedNode { name: refusal.name, op: refusal.operation, status }),
        }
    }
    let mut held = BTreeMap::new();
    for (id, text) in conditions(&graph) {
        let place = place(&places, &graph.node(id).name);
        let imported = |&place: &usize| nodes.get(place).is_some_and(|n| n.status == Status::Supported);
        if let Some(place) = place.filter(imported) {
            held.entry(place).or_insert(text);
        }
    }
    Ok(Check { framework: survey.framework, name: graph.name, inputs, nodes, conditions: held })
}

/// What the importer says of a node.
fn checked(node: SurveyedNode) -> CheckedNode {
    let status = match node.status {
        NodeStatus::Imported => Status::Supported,
        NodeStatus::Unsupported(refusal) => Status::Refused(Why::Import(refusal)),
        NodeStatus::Unreached => Status::Unknown,
    };
    CheckedNode { name: node.name, op: node.op, status }
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
