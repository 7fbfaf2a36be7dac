//! Loops and branches: bodies are graphs, which are run while importing. A loop is written out, step after step; of
//! a branch whose condition is secret both are computed.

use std::collections::HashSet;

use super::body::{Importer, Scope, needed};
use super::messages::{GraphProto, NodeProto};
use super::nodes::{self, Node};
use crate::ImportError;
use crate::builder::Builder;
use crate::docs::{self as doc, Doc};
use crate::movement::reshape_to;
use crate::node::Value;
use crate::unrolled::{MAX_NODES, MAX_STEPS, truth};
use crate::value::{Fault, Ints, along, axis};

/// What is said of a loop that runs as often as an input says.
const SECRET_STEPS: &str = "runs as often as a value says that depends on an input, which would show it. Give the loop a \
                            fixed number of steps, or bind the input that says how many to a public value: --set NAME=N";

/// What the page of operations says of them.
pub(crate) const DOCS: &[(&str, Doc)] = &[
    (
        "If",
        doc::CHOICE.note("the branch that is taken, where the condition is known; else both, and a choice"),
    ),
    ("Loop", doc::NONE.note(LOOP)),
    ("Scan", doc::NONE.note(LOOP)),
];

const LOOP: &str = "written out step by step, as often as is known when compiling; steps share their weights";

/// Operators that have graphs as their bodies.
pub(super) fn is_control(op: &str) -> bool {
    matches!(op, "If" | "Loop" | "Scan")
}

impl Importer<'_> {
    /// What a loop or a branch gives.
    pub(super) fn control(
        &mut self,
        node: &NodeProto,
        operands: &[Value],
        scope: &Scope<'_>,
    ) -> Result<Vec<Value>, Fault> {
        match node.op_type.as_str() {
            "If" => self.condition(node, operands, scope),
            "Loop" => self.repeat(node, operands, scope),
            _ => self.scan(node, operands, scope),
        }
    }

    /// Takes the branch of a condition that is known, or both of one that is secret.
    fn condition(
        &mut self,
        node: &NodeProto,
        operands: &[Value],
        scope: &Scope<'_>,
    ) -> Result<Vec<Value>, Fault> {
        let condition = operands.first().cloned().unwrap_or(Value::Absent);
        match truth(&self.graph, &condition) {
            Some(true) => return self.branch(node, "then_branch", scope),
            Some(false) => return self.branch(node, "else_branch", scope),
            None => {}
        }
        match condition {
            Value::Tensor(_) => {}
            Value::Unknown => return Err(Fault::Unknown),
            _ => return Err("decides by what is no number".into()),
        }
        let name = self.name_of(node);
        let then =
            self.within(format!("{name}/then/"), |importer| importer.branch(node, "then_branch", scope))?;
        let other =
            self.within(format!("{name}/else/"), |importer| importer.branch(node, "else_branch", scope))?;
        let mut results = Vec::with_capacity(then.len());
        for (i, (a, b)) in then.into_iter().zip(other).enumerate() {
            if a == b {
                results.push(a);
                continue;
            }
            let result = node.output.get(i).filter(|o| !o.is_empty()).cloned();
            let name = result.map_or_else(|| format!("{name}:{i}"), |o| format!("{}{o}", self.prefix));
            let number = self.number(&a);
            let chosen = self.part(node, name, vec![condition.clone(), a, b], |n| {
                if n.shape_of(1)? != n.shape_of(2)? {
                    return Err("has branches whose results have different shapes, and its condition is secret. Export it with \
                                the condition as a constant, or bind the input that decides to a public value: --set NAME=true"
                        .into());
                }
                n.chosen(false)
            })?;
            chosen.iter().for_each(|value| self.note(value, number));
            results.extend(chosen);
        }
        Ok(results)
    }

    fn branch(&mut self, node: &NodeProto, branch: &str, scope: &Scope<'_>) -> Result<Vec<Value>, Fault> {
        let graph = body(node, branch)?;
        let wanted: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
        let names = needed(&graph.node, &wanted, |_| false);
        let mut inside = Scope::inside(scope);
        self.initializers(graph, &mut inside, &names).map_err(Fault::Fatal)?;
        self.nodes(&graph.node, &mut inside, &names).map_err(Fault::Fatal)?;
        Ok(wanted.iter().map(|name| inside.get(name).cloned().unwrap_or(Value::Unknown)).collect())
    }

    /// A loop: carried values go from step to step, and what it scans is stacked.
    fn repeat(
        &mut self,
        node: &NodeProto,
        operands: &[Value],
        scope: &Scope<'_>,
    ) -> Result<Vec<Value>, Fault> {
        let graph = body(node, "body")?;
        let most = match operands.first() {
            None | Some(Value::Absent) => None,
            Some(Value::Unknown) => return Err(Fault::Unknown),
            Some(Value::Int(Ints { data, .. })) if data.len() == 1 => Some(data[0]),
            Some(_) => return Err(SECRET_STEPS.into()),
        };
        let mut goes_on = match operands.get(1) {
            None | Some(Value::Absent) => true,
            Some(Value::Unknown) => return Err(Fault::Unknown),
            Some(condition) => truth(&self.graph, condition).ok_or(SECRET_STEPS)?,
        };
        let mut state: Vec<Value> = operands.iter().skip(2).cloned().collect();
        let carried = state.len();
        if graph.input.len() != carried + 2 || graph.output.len() <= carried {
            return Err(
                "has a body that does not take or give what the loop carries: the file is damaged".into()
            );
        }
        let mut scanned: Vec<Vec<Value>> = vec![Vec::new(); graph.output.len() - 1 - carried];
        let body = self.prepared(node, graph, scope)?;
        let mut step = 0;
        while goes_on && most.is_none_or(|most| step < most) {
            if step >= MAX_STEPS as i64 {
                return Err(format!("does not end within {MAX_STEPS} steps").into());
            }
            let mut arguments = vec![Value::Int(Ints::scalar(step)), Value::Int(Ints::scalar(1))];
            arguments.append(&mut state);
            let mut results = self.step(&body, graph, arguments, step)?.into_iter();
            goes_on = match results.next() {
                Some(Value::Unknown) => return Err(Fault::Unknown),
                condition => condition.and_then(|c| truth(&self.graph, &c)).ok_or(SECRET_STEPS)?,
            };
            state = results.by_ref().take(carried).collect();
            scanned.iter_mut().zip(results).for_each(|(all, value)| all.push(value));
            step += 1;
        }
        let mut all = state;
        for (i, parts) in scanned.into_iter().enumerate() {
            let name = format!("{}/scanned_{i}", self.name_of(node));
            all.push(self.stacked(node, name, parts, 0)?);
        }
        Ok(all)
    }

    /// A loop over the elements of its operands along an axis.
    fn scan(&mut self, node: &NodeProto, operands: &[Value], scope: &Scope<'_>) -> Result<Vec<Value>, Fault> {
        if self.opset < 9 {
            return Err("is a Scan of ONNX's opset 8, for which there is no rule here. Convert it: \
                        onnx.version_converter.convert_version(model, 21)"
                .into());
        }
        let graph = body(node, "body")?;
        let ints = |name: &str| {
            let attribute = node.attribute.iter().find(|a| a.name == name);
            attribute.map(|a| a.ints.clone()).unwrap_or_default()
        };
        let count = node.attribute.iter().find(|a| a.name == "num_scan_inputs").map_or(0, |a| a.i);
        let count = usize::try_from(count).ok().filter(|&n| (1..=operands.len()).contains(&n));
        let count = count.ok_or("has no operand to scan: the file is damaged")?;
        let carried = operands.len() - count;
        if graph.input.len() != operands.len() || graph.output.len() < carried {
            return Err("has a body that does not take or give what it carries: the file is damaged".into());
        }
        let [input_axes, output_axes] = ["scan_input_axes", "scan_output_axes"].map(ints);
        let [backwards, output_backwards] = ["scan_input_directions", "scan_output_directions"].map(ints);
        let at = |all: &[i64], i: usize| all.get(i).copied().unwrap_or(0);
        let name = self.name_of(node);
        // The elements of each operand, in the order in which they are taken.
        let mut elements: Vec<Vec<Value>> = Vec::with_capacity(count);
        for (i, value) in operands.iter().skip(carried).enumerate() {
            let number = self.number(value);
            let axis_of = at(&input_axes, i);
            let mut parts: Vec<Value> =
                self.part(node, format!("{name}/element_{i}"), vec![value.clone()], |n| {
                    let (value, shape) = n.shaped(0)?;
                    let axis = axis(axis_of, shape.len())?;
                    let (length, mut rest) = (shape[axis], shape.clone());
                    rest.remove(axis);
                    if length > MAX_STEPS {
                        return Err(format!("has {length} steps, and {MAX_STEPS} are the most").into());
                    }
                    (0..length)
                        .map(|t| {
                            let steps = [along(&shape, axis, t, 1, 1), reshape_to(rest.clone())];
                            n.move_value_as(format!("{}/{t}", n.name), &value, steps)
                        })
                        .collect()
                })?;
            parts.iter().for_each(|part| self.note(part, number));
            if at(&backwards, i) != 0 {
                parts.reverse();
            }
            elements.push(parts);
        }
        let steps = elements.first().map_or(0, Vec::len);
        if elements.iter().any(|parts| parts.len() != steps) {
            return Err("scans operands of different lengths".into());
        }
        let mut state: Vec<Value> = operands.iter().take(carried).cloned().collect();
        let mut scanned: Vec<Vec<Value>> = vec![Vec::new(); graph.output.len() - carried];
        let body = self.prepared(node, graph, scope)?;
        for step in 0..steps {
            let mut arguments = std::mem::take(&mut state);
            arguments.extend(elements.iter().filter_map(|parts| parts.get(step).cloned()));
            let mut results = self.step(&body, graph, arguments, step as i64)?.into_iter();
            state = results.by_ref().take(carried).collect();
            scanned.iter_mut().zip(results).for_each(|(all, value)| all.push(value));
        }
        let mut all = state;
        for (i, mut parts) in scanned.into_iter().enumerate() {
            if at(&output_backwards, i) != 0 {
                parts.reverse();
            }
            all.push(self.stacked(node, format!("{name}/scanned_{i}"), parts, at(&output_axes, i))?);
        }
        Ok(all)
    }

    /// What all steps of a loop have in common: its constants, and what is computed of them alone.
    fn prepared<'s>(
        &mut self,
        node: &NodeProto,
        graph: &GraphProto,
        scope: &'s Scope<'s>,
    ) -> Result<Prepared<'s>, Fault> {
        let name = self.name_of(node);
        self.graph.loops.push(name.clone());
        let wanted: Vec<String> = graph.output.iter().map(|o| o.name.clone()).collect();
        let refs: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let names = needed(&graph.node, &refs, |_| false);
        let mut constants = Scope::inside(scope);
        self.initializers(graph, &mut constants, &names).map_err(Fault::Fatal)?;
        let own: HashSet<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
        let mut ready = HashSet::new();
        let outer = std::mem::replace(&mut self.prefix, format!("{name}/"));
        for (i, inner) in graph.node.iter().enumerate() {
            let known = |name: &String| {
                name.is_empty() || (!own.contains(name.as_str()) && constants.get(name).is_some())
            };
            let alone = inner.attribute.iter().all(|a| a.g.is_none());
            if alone && inner.input.iter().all(known) {
                let result = self.nodes(std::slice::from_ref(inner), &mut constants, &names);
                if let Err(error) = result {
                    self.prefix = outer;
                    return Err(Fault::Fatal(error));
                }
                ready.insert(i);
            }
        }
        self.prefix = outer;
        let nodes = graph.node.iter().enumerate().filter(|(i, _)| !ready.contains(i)).map(|(_, n)| n.clone());
        let nodes: Vec<NodeProto> = nodes.collect();
        self.budget.take_work(nodes.len().saturating_mul(64))?;
        Ok(Prepared { name, constants, nodes, wanted })
    }

    /// One step of a loop.
    fn step(
        &mut self,
        body: &Prepared<'_>,
        graph: &GraphProto,
        arguments: Vec<Value>,
        step: i64,
    ) -> Result<Vec<Value>, Fault> {
        // A step need not have nodes.
        self.count += 1;
        if self.count > MAX_NODES {
            return Err(Fault::Fatal(ImportError::Large(MAX_NODES)));
        }
        let mut inside = Scope::inside(&body.constants);
        for (input, value) in graph.input.iter().zip(arguments) {
            inside.set(&input.name, value);
        }
        let wanted: Vec<&str> = body.wanted.iter().map(String::as_str).collect();
        let names = needed(&body.nodes, &wanted, |_| false);
        let prefix = format!("{}/{step}/", body.name);
        self.within(prefix, |importer| {
            importer.nodes(&body.nodes, &mut inside, &names).map_err(Fault::Fatal)
        })?;
        Ok(wanted.iter().map(|name| inside.get(name).cloned().unwrap_or(Value::Unknown)).collect())
    }

    /// The values of all steps, along a new axis.
    fn stacked(
        &mut self,
        node: &NodeProto,
        name: String,
        parts: Vec<Value>,
        along: i64,
    ) -> Result<Value, Fault> {
        let Some(first) = parts.first() else {
            return Err("gives the values of all its steps, and has none".into());
        };
        let number = self.number(first);
        let stacked = self.part(node, name, parts, |n| {
            let mut rows = Vec::with_capacity(n.operands.len());
            let mut axis_of = 0;
            for i in 0..n.operands.len() {
                let (value, mut shape) = n.shaped(i)?;
                axis_of = axis(along, shape.len() + 1)?;
                shape.insert(axis_of, 1);
                rows.push(n.move_value_as(format!("{}/{i}", n.name), &value, [reshape_to(shape)])?);
            }
            Ok(vec![n.joined(&rows, axis_of)?])
        })?;
        let value = stacked.into_iter().next().unwrap_or(Value::Unknown);
        self.note(&value, number);
        Ok(value)
    }

    /// Adds what no node of the file is, on the way to a node's results.
    fn part<T>(
        &mut self,
        def: &NodeProto,
        name: String,
        operands: Vec<Value>,
        build: impl FnOnce(&mut Node<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let numbers = operands.iter().map(|v| self.number(v)).collect();
        let (opset, folder) = (self.opset, &self.folder);
        let message = nodes::Message {
            def,
            numbers,
            wanted: vec![true],
            opened: Vec::new(),
            types: Vec::new(),
            opset,
            folder,
        };
        let builder = Builder::new(&mut self.graph, &mut self.budget, name);
        build(&mut Node { message, operands, builder })
    }

    fn note(&mut self, value: &Value, number: nodes::Number) {
        if let Value::Tensor(id) = value {
            self.numbers.insert(*id, number);
        }
    }

    /// What the parts of a node are called after.
    fn name_of(&self, node: &NodeProto) -> String {
        format!("{}{}", self.prefix, node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str))
    }

    /// Runs something whose nodes' names begin with this.
    fn within<T>(
        &mut self,
        prefix: String,
        run: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let outer = std::mem::replace(&mut self.prefix, prefix);
        let result = run(self);
        self.prefix = outer;
        result
    }
}

/// A loop's body, ready to be run.
struct Prepared<'s> {
    name: String,
    /// What is the same at every step.
    constants: Scope<'s>,
    /// What is not.
    nodes: Vec<NodeProto>,
    /// What the body gives.
    wanted: Vec<String>,
}

fn body<'n>(node: &'n NodeProto, name: &str) -> Result<&'n GraphProto, Fault> {
    let graph = node.attribute.iter().find(|a| a.name == name).and_then(|a| a.g.as_ref());
    graph.ok_or_else(|| format!("lacks its {name}: the file is damaged").into())
}
