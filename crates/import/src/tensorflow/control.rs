//! Loops, branches and calls whose bodies are functions of the graph's library: they are run while importing, as
//! what decides in them must be known. A loop is written out, step after step.

use std::collections::HashMap;

use super::functions::{Library, Source};
use super::messages::{Attr, AttrValue, NodeDef};
use super::nodes;
use crate::budget::Budget;
use crate::builder::Builder;
use crate::docs::{self as doc, Doc};
use crate::node::Value;
use crate::unrolled::{MAX_DEPTH, MAX_NODES, MAX_STEPS, truth};
use crate::value::Fault;
use cryptflow_graph::Graph;

/// Operations that have functions of the library as their bodies.
const CONTROL: [&str; 6] = ["While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"];

/// What the page of operations says of them.
pub(crate) const DOCS: &[(&str, Doc)] = &[
    ("While", doc::NONE.note(LOOP)),
    ("StatelessWhile", doc::NONE.note(LOOP)),
    ("If", doc::CHOICE.note(BRANCH)),
    ("StatelessIf", doc::CHOICE.note(BRANCH)),
    ("Case", doc::NONE.note("by an index that is known when compiling")),
    ("StatelessCase", doc::NONE.note("by an index that is known when compiling")),
];

const LOOP: &str = "written out step by step, as often as is known when compiling; steps share their weights";
const BRANCH: &str = "the branch that is taken, where the condition is known; else both, and a choice";

/// Operations that call a function.
const CALLS: [&str; 2] = ["PartitionedCall", "StatefulPartitionedCall"];

/// Whether an operation has functions of the library as its bodies.
pub(crate) fn is_control(op: &str) -> bool {
    CONTROL.contains(&op)
}

/// Runs functions, and puts what they compute into a graph.
pub(super) struct Run<'r, 'a> {
    pub(super) library: &'r Library<'a>,
    pub(super) graph: &'r mut Graph,
    pub(super) budget: &'r mut Budget,
    /// The first length of inputs that leave it open.
    pub(super) batch: Option<usize>,
    pub(super) origin: nodes::Origin,
    /// Nodes that were imported in functions.
    pub(super) count: &'r mut usize,
    pub(super) depth: usize,
}

impl<'a> Run<'_, 'a> {
    /// What a loop or a branch gives; its parts have its name before theirs.
    pub(super) fn control(
        &mut self,
        def: &NodeDef,
        operands: Vec<Value>,
        name: &str,
    ) -> Result<Vec<Value>, Fault> {
        match def.op.as_str() {
            "While" | "StatelessWhile" => self.repeat(def, operands, name),
            "If" | "StatelessIf" => {
                let condition = first(&operands)?.clone();
                let arguments = operands.into_iter().skip(1).collect::<Vec<_>>();
                if let Some(known) = truth(self.graph, &condition) {
                    let branch = function(def, if known { "then_branch" } else { "else_branch" })?;
                    return self.call(branch, arguments, &format!("{name}/"));
                }
                let Value::Tensor(_) = condition else { return Err("decides by what is no number".into()) };
                let then =
                    self.call(function(def, "then_branch")?, arguments.clone(), &format!("{name}/then/"))?;
                let other = self.call(function(def, "else_branch")?, arguments, &format!("{name}/else/"))?;
                self.chosen(def, &condition, then, other, name)
            }
            "Case" | "StatelessCase" => {
                let Value::Int(index) = first(&operands)? else {
                    return Err(
                        "picks what to compute by a value that depends on an input, which would show it"
                            .into(),
                    );
                };
                let Some(Attr::List(list)) = def.attr.get("branches").and_then(|a| a.value.as_ref()) else {
                    return Err("has no branches: the file is damaged".into());
                };
                let index = index.data.first().and_then(|&i| usize::try_from(i).ok());
                // Where it is none of them the last one is taken.
                let branch = index.and_then(|i| list.func.get(i)).or(list.func.last());
                let branch = branch.ok_or("has no branches: the file is damaged")?;
                let (branch, attributes) = (branch.name.as_str(), &branch.attr);
                self.call(
                    (branch, attributes),
                    operands.iter().skip(1).cloned().collect(),
                    &format!("{name}/"),
                )
            }
            op => Err(Fault::operation(&nodes::advice(op, self.origin))),
        }
    }

    /// A loop, step after step, as long as its condition holds.
    fn repeat(&mut self, def: &NodeDef, mut state: Vec<Value>, name: &str) -> Result<Vec<Value>, Fault> {
        let (condition, body) = (function(def, "cond")?, function(def, "body")?);
        self.graph.loops.push(name.to_string());
        for step in 0..=MAX_STEPS {
            self.count_one()?;
            let prefix = format!("{name}/{step}/");
            let goes_on = self.call(condition, state.clone(), &prefix)?;
            let goes_on = goes_on.first().ok_or("has a condition without a result: the file is damaged")?;
            if *goes_on == Value::Unknown {
                return Err(Fault::Unknown);
            }
            let goes_on = truth(self.graph, goes_on).ok_or(
                "runs as often as a value says that depends on an input, which would show it. Give the loop a fixed number of \
                 steps: sequences of one length, without a mask",
            )?;
            if !goes_on {
                return Ok(state);
            }
            let next = self.call(body, state.clone(), &prefix)?;
            if next.len() != state.len() {
                return Err("has a body that does not give what it takes: the file is damaged".into());
            }
            state = next;
        }
        Err(format!("does not end within {MAX_STEPS} steps").into())
    }

    /// Where the condition is secret both branches are computed, and one of the two results is chosen.
    fn chosen(
        &mut self,
        def: &NodeDef,
        condition: &Value,
        then: Vec<Value>,
        other: Vec<Value>,
        name: &str,
    ) -> Result<Vec<Value>, Fault> {
        let mut results = Vec::with_capacity(then.len());
        for (i, (a, b)) in then.into_iter().zip(other).enumerate() {
            if a == b {
                results.push(a);
                continue;
            }
            let name = if i == 0 { name.to_string() } else { format!("{name}:{i}") };
            let builder = Builder::new(self.graph, self.budget, name);
            let message = nodes::Message { def, batch: self.batch };
            let operands = vec![condition.clone(), a, b];
            let mut node = nodes::Node { message, operands, builder };
            if node.shape_of(1)? != node.shape_of(2)? {
                return Err(
                    "has branches whose results have different shapes, and its condition is secret".into()
                );
            }
            results.extend(node.chosen(false)?);
        }
        Ok(results)
    }

    /// What a function gives for these arguments.
    fn call(
        &mut self,
        (name, attributes): (&str, &HashMap<String, AttrValue>),
        arguments: Vec<Value>,
        prefix: &str,
    ) -> Result<Vec<Value>, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err("calls functions that call functions, without an end".into());
        }
        let body = self.library.body(name)?;
        if body.arguments != arguments.len() {
            let (takes, given) = (body.arguments, arguments.len());
            return Err(format!(
                "gives {given} operands to {name:?}, which takes {takes}: the file is damaged"
            )
            .into());
        }
        let mut values: Vec<Vec<Value>> = Vec::with_capacity(body.nodes.len());
        let value = |values: &[Vec<Value>], source: Source| match source {
            Source::Argument(i) => arguments.get(i).cloned().unwrap_or(Value::Absent),
            Source::Node(i, port) => {
                let results = values.get(i).map_or(&[][..], Vec::as_slice);
                match results {
                    [Value::Dead] => Value::Dead,
                    _ => results.get(port).cloned().unwrap_or(Value::Unknown),
                }
            }
        };
        self.depth += 1;
        for (def, operands) in &body.nodes {
            let operands: Vec<Value> = operands.iter().map(|&source| value(&values, source)).collect();
            let results = self.node(def, attributes, operands, prefix);
            values.push(match results {
                Ok(results) => results,
                Err(Fault::Unsupported(reason)) => {
                    self.depth -= 1;
                    return Err(format!(
                        "cannot be computed here, for its part {} ({}) {reason}",
                        def.name, def.op
                    )
                    .into());
                }
                // It may not be needed: what is needs it, says so.
                Err(Fault::Unknown) => vec![Value::Unknown],
                Err(fatal @ Fault::Fatal(_)) => return Err(fatal),
            });
        }
        self.depth -= 1;
        Ok(body.results.iter().map(|&source| value(&values, source)).collect())
    }

    /// Counts a node, or a step, which need not have any.
    fn count_one(&mut self) -> Result<(), Fault> {
        *self.count += 1;
        if *self.count > MAX_NODES {
            return Err(format!("has more than {MAX_NODES} nodes when its loops are written out").into());
        }
        Ok(())
    }

    /// A node of a function.
    fn node(
        &mut self,
        def: &NodeDef,
        attributes: &HashMap<String, AttrValue>,
        operands: Vec<Value>,
        prefix: &str,
    ) -> Result<Vec<Value>, Fault> {
        self.count_one()?;
        self.budget
            .take_work(64 + operands.iter().filter_map(Value::ints).map(|i| i.data.len()).sum::<usize>())?;
        if operands.contains(&Value::Dead) && def.op != "Merge" {
            return Ok(vec![Value::Dead]);
        }
        let name = format!("{prefix}{}", def.name);
        // What a function is called with is the variable's value.
        if def.op == "ReadVariableOp" {
            return Ok(operands);
        }
        let own = with_attributes(def, attributes);
        let def = own.as_ref().unwrap_or(def);
        if is_control(&def.op) {
            return self.control(def, operands, &name);
        }
        if CALLS.contains(&def.op.as_str()) {
            return self.call(function(def, "f")?, operands, &format!("{name}/"));
        }
        if let Some(function) = self.library.name(&def.op) {
            return self.call((function, &def.attr), operands, &format!("{name}/"));
        }
        let row = nodes::rows().find(|row| row.name == def.op);
        let row = row.ok_or_else(|| Fault::operation(&nodes::advice(&def.op, self.origin)))?;
        let before = self.graph.nodes.len();
        let message = nodes::Message { def, batch: self.batch };
        let builder = Builder::new(self.graph, self.budget, name);
        let results = row.import(&mut nodes::Node { message, operands, builder })?;
        self.budget.take_results(self.graph, before, results.iter().filter_map(Value::ints))?;
        Ok(results)
    }
}

/// A node with what the call gives for attributes that are left open; none where there are none.
fn with_attributes(def: &NodeDef, attributes: &HashMap<String, AttrValue>) -> Option<NodeDef> {
    let open = |value: &AttrValue| match &value.value {
        Some(Attr::Placeholder(name)) => attributes.get(name).cloned(),
        _ => None,
    };
    let given: Vec<(String, AttrValue)> =
        def.attr.iter().filter_map(|(name, value)| Some((name.clone(), open(value)?))).collect();
    if given.is_empty() {
        return None;
    }
    let mut own = def.clone();
    own.attr.extend(given);
    Some(own)
}

/// The function that an attribute names, and its attributes.
fn function<'d>(
    def: &'d NodeDef,
    attribute: &str,
) -> Result<(&'d str, &'d HashMap<String, AttrValue>), Fault> {
    match def.attr.get(attribute).and_then(|a| a.value.as_ref()) {
        Some(Attr::Func(f)) => Ok((f.name.as_str(), &f.attr)),
        _ => Err(format!("has no function in its attribute {attribute:?}: the file is damaged").into()),
    }
}

fn first(operands: &[Value]) -> Result<&Value, Fault> {
    match operands.first() {
        None => Err("lacks an operand: the file is damaged".into()),
        Some(Value::Unknown) => Err(Fault::Unknown),
        Some(value) => Ok(value),
    }
}
