//! `cryptflow check`: whether a model can be compiled, node by node, without data.

use clap::Args;
use cryptflow::error::{Error, Result};
use cryptflow_athos::check::{Check, CheckedNode, Status, check};
use cryptflow_figures::table::{shape, with_header};
use serde::Serialize;

use super::model::Model;
use super::refusals::{self, Refused};

/// Say of every node of a model whether it can be compiled, and what to do about those that cannot.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: Model,
    /// List every node, not only those that are not plainly supported.
    #[arg(long)]
    nodes: bool,
    /// One JSON object on standard output, with every node.
    #[arg(long)]
    json: bool,
}

/// What was found, as JSON.
#[derive(Serialize)]
struct Found<'a> {
    model: &'a str,
    framework: String,
    compiles: bool,
    inputs: Vec<Input<'a>>,
    operations: Vec<Operation<'a>>,
    conditional: Vec<Conditional<'a>>,
    unsupported: Vec<Refused>,
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    shape: &'a [usize],
}

#[derive(Serialize)]
struct Operation<'a> {
    operation: &'a str,
    supported: usize,
    /// How many of these are supported under a condition.
    conditional: usize,
    unsupported: usize,
    /// Behind nodes that cannot be imported: nothing can be said of them.
    unreached: usize,
}

/// A node with its status: `supported`, `conditional`, `unsupported` or `unknown` (behind one that
/// cannot be imported).
#[derive(Serialize)]
struct Node<'a> {
    node: &'a str,
    operation: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
struct Conditional<'a> {
    node: &'a str,
    operation: &'a str,
    condition: &'a str,
}

impl<'a> Found<'a> {
    fn new(check: &'a Check) -> Found<'a> {
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

    fn text(&self, every_node: bool) -> String {
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

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let model = &arguments.model.model;
    let check = check(model, &arguments.model.options()).map_err(|e| Error::import(model, &e))?;
    let found = Found::new(&check);
    let text = if arguments.json {
        serde_json::to_string_pretty(&found).map_err(Error::new)?
    } else {
        found.text(arguments.nodes)
    };
    super::print(&text)?;
    match found.unsupported.len() {
        0 if found.compiles => Ok(()),
        n => Err(Error::new(format_args!(
            "{n} node{} of the model cannot be compiled",
            if n == 1 { "" } else { "s" }
        ))),
    }
}
