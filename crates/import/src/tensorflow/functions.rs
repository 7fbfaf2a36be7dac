//! The functions of a graph's library, each with the nodes that its results need, in order.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::messages::{FunctionDef, GraphDef, NodeDef};
use crate::value::Fault;

/// Operations that are known here and have results of several names.
const NAMED: &[(&str, &[&str])] = &[
    ("FusedBatchNorm", NORM),
    ("FusedBatchNormV2", NORM),
    ("FusedBatchNormV3", NORM),
    ("TopKV2", &["values", "indices"]),
    ("Switch", &["output_false", "output_true"]),
    ("Merge", &["output", "value_index"]),
    ("TensorListPopBack", &["output_handle", "tensor"]),
];

const NORM: &[&str] =
    &["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"];

/// The functions of a graph.
pub(super) struct Library<'a> {
    functions: HashMap<&'a str, &'a FunctionDef>,
    bodies: RefCell<HashMap<&'a str, Rc<Body<'a>>>>,
}

/// What an operand in a function is.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Argument(usize),
    /// A node of the body, by its place, and which of its results.
    Node(usize, usize),
}

/// The nodes that a function's results need, operands first.
pub(super) struct Body<'a> {
    pub(super) arguments: usize,
    pub(super) nodes: Vec<(&'a NodeDef, Vec<Source>)>,
    pub(super) results: Vec<Source>,
}

impl<'a> Library<'a> {
    pub(super) fn new(def: &'a GraphDef) -> Library<'a> {
        let all = def.library.iter().flat_map(|l| &l.function);
        let named = |f: &'a FunctionDef| Some((f.signature.as_ref()?.name.as_str(), f));
        Library { functions: all.filter_map(named).collect(), bodies: RefCell::default() }
    }

    /// The function of this name, as the library calls it.
    pub(super) fn name(&self, name: &str) -> Option<&'a str> {
        self.functions.get_key_value(name).map(|(name, _)| *name)
    }

    pub(super) fn body(&self, name: &str) -> Result<Rc<Body<'a>>, Fault> {
        if let Some(body) = self.bodies.borrow().get(name) {
            return Ok(body.clone());
        }
        let missing = || Fault::from(format!("runs the function {name:?}, which is not in the file"));
        let (&name, &function) = self.functions.get_key_value(name).ok_or_else(missing)?;
        let body = Rc::new(self.ordered(function)?);
        self.bodies.borrow_mut().insert(name, body.clone());
        Ok(body)
    }

    /// The nodes of a function that its results need, operands first; not by recursion, as graphs are deep.
    fn ordered(&self, function: &'a FunctionDef) -> Result<Body<'a>, Fault> {
        let damaged = |what: &str| Fault::from(format!("runs a function that {what}: the file is damaged"));
        let signature = function.signature.as_ref().ok_or_else(|| damaged("has no signature"))?;
        let arguments: HashMap<&str, usize> =
            signature.input_arg.iter().enumerate().map(|(i, a)| (a.name.as_str(), i)).collect();
        let by_name: HashMap<&str, usize> =
            function.node_def.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect();
        // By places in the function, at first.
        let source = |reference: &str| -> Result<Source, Fault> {
            let lost = || damaged(&format!("has the operand {reference:?}, which leads nowhere"));
            let mut parts = reference.split(':');
            let name = parts.next().unwrap_or_default();
            if let Some(&argument) = arguments.get(name) {
                return Ok(Source::Argument(argument));
            }
            let node = *by_name.get(name).ok_or_else(lost)?;
            let number = |text: &str| text.parse::<usize>().map_err(|_| lost());
            let port = match (parts.next(), parts.next()) {
                (None, _) => 0,
                (Some(port), None) => number(port)?,
                (Some(result), Some(index)) => {
                    let def = function.node_def.get(node).ok_or_else(lost)?;
                    self.port(&def.op, result).ok_or_else(lost)?.saturating_add(number(index)?)
                }
            };
            Ok(Source::Node(node, port))
        };
        let results = signature.output_arg.iter().map(|result| {
            let reference = function.ret.get(&result.name);
            source(reference.ok_or_else(|| damaged("does not say what it returns"))?)
        });
        let mut results = results.collect::<Result<Vec<_>, _>>()?;
        let mut nodes: Vec<(&NodeDef, Vec<Source>)> = Vec::new();
        // None: its operands are being looked at.
        let mut places: HashMap<usize, Option<usize>> = HashMap::new();
        for root in results.clone() {
            let Source::Node(root, _) = root else { continue };
            let mut stack = vec![root];
            while let Some(&i) = stack.last() {
                let def = function.node_def.get(i).ok_or_else(|| damaged("lacks a node"))?;
                let operands = def.input.iter().filter(|input| !input.starts_with('^'));
                let operands = operands.map(|input| source(input)).collect::<Result<Vec<_>, _>>()?;
                match places.get(&i) {
                    Some(Some(_)) => {
                        stack.pop();
                    }
                    None => {
                        places.insert(i, None);
                        for operand in operands.iter().rev() {
                            if let Source::Node(j, _) = operand {
                                match places.get(j) {
                                    None => stack.push(*j),
                                    Some(None) => return Err(damaged("waits for itself")),
                                    Some(Some(_)) => {}
                                }
                            }
                        }
                    }
                    Some(None) => {
                        let placed = operands.into_iter().map(|source| placed(source, &places));
                        let placed =
                            placed.collect::<Option<_>>().ok_or_else(|| damaged("waits for itself"))?;
                        nodes.push((def, placed));
                        places.insert(i, Some(nodes.len() - 1));
                        stack.pop();
                    }
                }
            }
        }
        for result in &mut results {
            *result = placed(*result, &places).ok_or_else(|| damaged("lacks a result"))?;
        }
        Ok(Body { arguments: arguments.len(), nodes, results })
    }

    /// The first of an operation's results of this name.
    fn port(&self, op: &str, result: &str) -> Option<usize> {
        if let Some(signature) = self.functions.get(op).and_then(|f| f.signature.as_ref()) {
            return signature.output_arg.iter().position(|argument| argument.name == result);
        }
        match NAMED.iter().find(|(name, _)| *name == op) {
            Some((_, names)) => names.iter().position(|name| *name == result),
            None => Some(0),
        }
    }
}

/// Where a node is among those that are needed.
fn placed(source: Source, places: &HashMap<usize, Option<usize>>) -> Option<Source> {
    match source {
        Source::Argument(_) => Some(source),
        Source::Node(i, port) => places.get(&i).copied().flatten().map(|place| Source::Node(place, port)),
    }
}
