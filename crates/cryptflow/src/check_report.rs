//! What was found of a model's nodes: as text for a person, as JSON for a program.

use cryptflow_athos::check::{Check, CheckedNode, Status};
use cryptflow_figures::table::{shape, with_header};
use serde::Serialize;

use crate::refusals::{self, Refused};

/// What was found, as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Found<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// Whose operations these are.
    pub framework: String,
    /// Whether all of it can be compiled.
    pub compiles: bool,
    /// The inputs, as far as it can be imported.
    pub inputs: Vec<Input<'a>>,
    /// The operations, by name.
    pub operations: Vec<Operation<'a>>,
    /// What must hold for some nodes.
    pub conditional: Vec<Conditional<'a>>,
    /// The nodes that cannot be compiled.
    pub unsupported: Vec<Refused>,
    /// Every node that the outputs need.
    pub nodes: Vec<Node<'a>>,
}

/// An input.
#[derive(Clone, Debug, Serialize)]
pub struct Input<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
}

/// The nodes of one operation.
#[derive(Clone, Debug, Serialize)]
pub struct Operation<'a> {
    /// The operation.
    pub operation: &'a str,
    /// How many can be compiled.
    pub supported: usize,
    /// How many of these are supported under a condition.
    pub conditional: usize,
    /// How many cannot.
    pub unsupported: usize,
    /// Behind nodes that cannot be imported: nothing can be said of them.
    pub unreached: usize,
}

/// A node with its status: `supported`, `conditional`, `unsupported` or `unknown` (behind one that
/// cannot be imported).
#[derive(Clone, Debug, Serialize)]
pub struct Node<'a> {
    /// Its name.
    pub node: &'a str,
    /// Its operation.
    pub operation: &'a str,
    /// As above.
    pub status: &'static str,
}

/// A node that can be compiled under a condition.
#[derive(Clone, Debug, Serialize)]
pub struct Conditional<'a> {
    /// Its name.
    pub node: &'a str,
    /// Its operation.
    pub operation: &'a str,
    /// What must hold.
    pub condition: &'a str,
}

impl<'a> Found<'a> {
    /// Of a model that was looked at.
    pub fn new(check: &'a Check) -> Found<'a> {
        let operations = check.tallies().into_iter().map(|(operation, tally)| Operation {
            operation,
            supported: tally.supported,
            conditional: tally.conditional,
            unsupported: tally.unsupported,
            unreached: tally.unreached,
        });
        let unsupported = check.unsupported();
        Found {
            model: &check.name,
            framework: check.framework.to_string(),
            compiles: check.compiles(),
            inputs: check.inputs.iter().map(|(name, shape)| Input { name, shape }).collect(),
            operations: operations.collect(),
            conditional: check
                .conditional()
                .map(|(n, condition)| Conditional { node: &n.name, operation: &n.op, condition })
                .collect(),
            unsupported: unsupported.map(|(n, why)| Refused::new(&n.name, &n.op, why)).collect(),
            nodes: nodes(check),
        }
    }

    /// For a person.
    pub fn text(&self, every_node: bool) -> String {
        let mut text = format!("model      {} ({})\n", self.model, self.framework);
        for input in &self.inputs {
            text += &format!("input      {} {}\n", input.name, shape(input.shape));
        }
        let rows = self.operations.iter().map(|o| {
            let all = o.supported + o.unsupported + o.unreached;
            let status = match (o.unsupported, o.unreached) {
                (0, 0) if o.conditional == 0 => "supported".into(),
                (0, 0) if o.conditional == all => "supported under a condition".into(),
                (0, 0) => format!("supported; {} under a condition", o.conditional),
                (0, n) if n == all => "unknown: behind a node that cannot be imported".into(),
                (0, n) => format!("supported; {n} unknown, behind a node that cannot be imported"),
                (n, _) if n == all => "unsupported".into(),
                (n, _) => format!("{n} unsupported"),
            };
            [o.operation.to_string(), all.to_string(), status]
        });
        text += &format!("\n{}", with_header(["operation", "nodes", "status"], rows, 1..2));
        let mut nodes = |what: &str, rows: Vec<[&str; 3]>, after: &str| {
            text += &format!("\n{}{after}", with_header(["node", "operation", what], rows, 3..));
        };
        if every_node {
            nodes("status", self.nodes.iter().map(|n| [n.node, n.operation, n.status]).collect(), "");
        }
        if !self.conditional.is_empty() {
            let rows = self.conditional.iter().map(|n| [n.node, n.operation, n.condition]);
            let after = "Calibration data decide: compiling stops where they show other values.\n";
            nodes("supported where", rows.collect(), after);
        }
        if !self.unsupported.is_empty() {
            text += &refusals::text(&self.unsupported);
        }
        text
    }
}

fn nodes(check: &Check) -> Vec<Node<'_>> {
    let status = |index: usize, node: &CheckedNode| match node.status {
        Status::Supported if check.conditions.contains_key(&index) => "conditional",
        Status::Supported => "supported",
        Status::Refused(_) => "unsupported",
        Status::Unknown => "unknown",
    };
    let each = check.nodes.iter().enumerate();
    each.map(|(i, n)| Node { node: &n.name, operation: &n.op, status: status(i, n) }).collect()
}
