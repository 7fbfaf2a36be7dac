//! From a decoded graph to a [`Graph`]: which nodes are needed, in which order, and what to say
//! about those that cannot be imported.

use std::collections::{HashMap, HashSet};

use prost::Message as _;

use super::control::{Run, is_control};
use super::decode;
use super::functions::Library;
use super::messages::{Attr, GraphDef, NodeDef};
use super::nodes::{self, Origin};
use crate::budget::Budget;
use crate::builder::Builder;
use crate::cut::drop_unneeded_inputs;
use crate::filled::{Said, declared};
use crate::node::Value;
use crate::survey::{Framework, NodeStatus, Survey, SurveyedNode};
use crate::value::{Fault, fits};
use crate::{Emptiness, ImportError, ImportOptions, NodeRefusal, UnsupportedNode, unknown};
use cryptflow_graph::{Graph, Op};

/// Operations whose results nobody waits for when outputs are guessed.
const NO_OUTPUT: [&str; 6] = ["NoOp", "Const", "Placeholder", "PlaceholderWithDefault", "Assert", "SaveV2"];

/// Imports a frozen graph (a serialised GraphDef with its weights as constants).
///
/// Only the nodes that the outputs need are looked at. Those that cannot be imported are all
/// reported together. Truncated or foreign bytes are errors; nothing larger than the bytes justify
/// is allocated.
pub fn import(bytes: &[u8], options: &ImportOptions) -> Result<Graph, ImportError> {
    import_def(&decoded(bytes, options)?, options, Origin::Frozen)
}

fn decoded(bytes: &[u8], options: &ImportOptions) -> Result<GraphDef, ImportError> {
    if let Some(signature) = &options.signature {
        return Err(ImportError::NotASavedModel(signature.clone()));
    }
    decode::graph_def(bytes)
}

/// Imports a graph that has been decoded already; the options' signature is the caller's matter.
pub(crate) fn import_def(
    def: &GraphDef,
    options: &ImportOptions,
    origin: Origin,
) -> Result<Graph, ImportError> {
    Importer::new(def, options, origin)?.run()
}

/// What can be said of every node of a graph; the options' signature is the caller's matter.
pub(crate) fn survey_def(
    def: &GraphDef,
    options: &ImportOptions,
    origin: Origin,
) -> Result<Survey, ImportError> {
    Importer::new(def, options, origin)?.survey()
}

/// What can be said of every node of a frozen graph.
pub(crate) fn survey(bytes: &[u8], options: &ImportOptions) -> Result<Survey, ImportError> {
    survey_def(&decoded(bytes, options)?, options, Origin::Frozen)
}

/// A reference to a result: a node and which of its results.
type Source = (usize, usize);

/// What is said of an output that is known when compiling.
const NO_TENSOR: &str =
    "is an output, but it does not depend on an input. Name another one with --output NAME";
/// What is said of an output that is nothing.
const NO_VALUE: &str = "is an output without a value. Name another one with --output NAME";

/// Nodes that the outputs need, imported as far as they can be.
struct Walked {
    graph: Graph,
    /// By node of the source.
    values: Vec<Option<Vec<Value>>>,
    /// Of the nodes in the order in which they were imported.
    statuses: Vec<(usize, NodeStatus)>,
}

struct Importer<'a> {
    def: &'a GraphDef,
    options: &'a ImportOptions,
    origin: Origin,
    by_name: HashMap<&'a str, usize>,
    /// The shapes that the options give, by node.
    given: HashMap<usize, &'a [usize]>,
    /// What the options bind inputs to, by node.
    set: HashMap<usize, &'a str>,
    /// Nodes, and which of their results.
    outputs: Vec<Source>,
    library: Library<'a>,
    /// Whether there are branches of TensorFlow 1, whose constants belong to a branch by control operands.
    branches: bool,
}

impl<'a> Importer<'a> {
    fn new(
        def: &'a GraphDef,
        options: &'a ImportOptions,
        origin: Origin,
    ) -> Result<Importer<'a>, ImportError> {
        if def.node.is_empty() {
            return Err(ImportError::Empty(Emptiness::NoNodes));
        }
        let mut by_name = HashMap::with_capacity(def.node.len());
        for (i, node) in def.node.iter().enumerate() {
            if by_name.insert(node.name.as_str(), i).is_some() {
                return Err(ImportError::Duplicate(node.name.clone()));
            }
        }
        let mut importer = Importer {
            def,
            options,
            origin,
            by_name,
            given: HashMap::new(),
            set: HashMap::new(),
            outputs: Vec::new(),
            library: Library::new(def),
            branches: def.node.iter().any(|node| node.op == "Merge"),
        };
        for (name, shape) in &options.inputs {
            let placeholders = |n: &NodeDef| n.op.starts_with("Placeholder");
            let i = importer.find(name, "an input", placeholders)?;
            importer.given.insert(i, shape);
        }
        for (name, text) in &options.set {
            let inputs = |n: &NodeDef| n.op.starts_with("Placeholder");
            let i = importer.find(name, "an input to bind", inputs)?;
            if !inputs(&def.node[i]) {
                return Err(unknown("an input to bind", name, importer.named(inputs)));
            }
            importer.set.insert(i, text);
        }
        for name in &options.outputs {
            let (plain, port) = match name.rsplit_once(':') {
                Some((plain, port)) if importer.by_name.contains_key(plain) => (plain, port.parse().ok()),
                _ => (name.as_str(), Some(0)),
            };
            let i = importer.find(plain, "an output", |n| !NO_OUTPUT.contains(&n.op.as_str()))?;
            let port = port.ok_or_else(|| ImportError::UnknownName {
                role: "an output",
                name: name.clone(),
                hint: format!("{plain:?} has numbered results, such as {plain}:1"),
            })?;
            importer.outputs.push((i, port));
        }
        if options.outputs.is_empty() {
            importer.outputs = importer.unused().into_iter().map(|i| (i, 0)).collect();
        }
        if importer.outputs.is_empty() {
            return Err(ImportError::Empty(Emptiness::NoEnds));
        }
        Ok(importer)
    }

    fn find(
        &self,
        name: &str,
        role: &'static str,
        wanted: impl Fn(&NodeDef) -> bool,
    ) -> Result<usize, ImportError> {
        let plain = name.strip_suffix(":0").unwrap_or(name);
        self.by_name.get(plain).copied().ok_or_else(|| unknown(role, name, self.named(wanted)))
    }

    /// The names of nodes of a kind.
    fn named(&self, wanted: impl Fn(&NodeDef) -> bool) -> Vec<&str> {
        self.def.node.iter().filter(|n| wanted(n)).map(|n| n.name.as_str()).collect()
    }

    /// The nodes that no other node uses, in the order of the file.
    fn unused(&self) -> Vec<usize> {
        let mut used = vec![false; self.def.node.len()];
        for input in self.def.node.iter().flat_map(|n| &n.input) {
            let name = input.strip_prefix('^').unwrap_or(input);
            let name = name.split_once(':').map_or(name, |(name, _)| name);
            if let Some(&i) = self.by_name.get(name) {
                used[i] = true;
            }
        }
        let wanted = |&i: &usize| !used[i] && !NO_OUTPUT.contains(&self.def.node[i].op.as_str());
        (0..used.len()).filter(wanted).collect()
    }

    /// The data operands of a node, or the reference that leads nowhere. Control operands (`^name`)
    /// only say what runs first: nothing here has side effects.
    fn operands(&self, i: usize) -> Result<Vec<Source>, Fault> {
        if self.given.contains_key(&i) || self.set.contains_key(&i) {
            return Ok(Vec::new());
        }
        let data = self.def.node[i].input.iter().filter(|input| !input.starts_with('^'));
        data.map(|input| {
            let (name, port) = match input.split_once(':') {
                Some((name, port)) => (name, port.parse().ok()),
                None => (input.as_str(), Some(0)),
            };
            let node = self.by_name.get(name).copied();
            node.zip(port).ok_or_else(|| {
                format!("its operand {input:?} is not in the graph: the file is damaged").into()
            })
        })
        .collect()
    }

    fn run(self) -> Result<Graph, ImportError> {
        let Walked { mut graph, values, statuses } = self.walk()?;
        let mut unsupported: Vec<UnsupportedNode> = statuses
            .into_iter()
            .filter_map(|(i, status)| match status {
                NodeStatus::Unsupported(reason) => Some(self.unsupported(i, reason)),
                _ => None,
            })
            .collect();
        let alone = unsupported.is_empty();
        for (i, reason) in self.declare(&mut graph, &values) {
            // What others keep from having a value has been said of them.
            if reason == NO_TENSOR || alone {
                unsupported.push(self.unsupported(i, reason.into()));
            }
        }
        if !unsupported.is_empty() {
            return Err(ImportError::Unsupported(unsupported));
        }
        let unneeded = self.given.keys().find(|&&i| values[i].is_none());
        if let Some(&i) = unneeded {
            return Err(ImportError::UnneededInput(self.def.node[i].name.clone()));
        }
        self.after_cut(&mut graph);
        self.order_inputs(&mut graph);
        Ok(graph)
    }

    fn unsupported(&self, i: usize, reason: NodeRefusal) -> UnsupportedNode {
        let def = &self.def.node[i];
        UnsupportedNode { name: def.name.clone(), op: def.op.clone(), reason }
    }

    /// What can be said of every node, and the part of the graph that can be imported: its outputs
    /// are those that are wanted, and whatever only nodes use that cannot be imported.
    fn survey(self) -> Result<Survey, ImportError> {
        let Walked { mut graph, values, mut statuses } = self.walk()?;
        for (i, reason) in self.declare(&mut graph, &values) {
            let status = statuses.iter_mut().find(|(j, _)| *j == i).map(|(_, status)| status);
            if let Some(status @ NodeStatus::Imported) = status {
                *status = NodeStatus::Unsupported(reason.into());
            }
        }
        if statuses.iter().all(|(_, status)| *status == NodeStatus::Imported) {
            // What else has no use, the importer has found a shorter way for.
            self.after_cut(&mut graph);
        } else {
            graph.add_ends();
        }
        self.order_inputs(&mut graph);
        let nodes = statuses.into_iter().map(|(i, status)| {
            let def = &self.def.node[i];
            SurveyedNode { name: def.name.clone(), op: def.op.clone(), result: def.name.clone(), status }
        });
        Ok(Survey { framework: Framework::TensorFlow, nodes: nodes.collect(), graph })
    }

    /// Imports one node after another, as far as it goes.
    fn walk(&self) -> Result<Walked, ImportError> {
        let (order, looped) = self.order();
        let mut graph = Graph::default();
        let mut budget = Budget::of_file(self.def.encoded_len());
        let mut written_out = 0;
        let mut values: Vec<Option<Vec<Value>>> = vec![None; self.def.node.len()];
        let mut statuses = Vec::with_capacity(order.len());
        // Of nodes without a result, where a model could end instead.
        let mut ends = HashMap::new();
        for i in order {
            let result = if looped.contains(&i) {
                Err(Fault::operation(
                    "is part of a loop. Loops have no place in a frozen inference graph: unroll it before exporting",
                ))
            } else {
                let before = graph.nodes.len();
                self.node(i, &mut graph, &values, &mut budget, &mut written_out).and_then(|results| {
                    // What loops and branches make was taken as it was made.
                    if !is_control(&self.def.node[i].op) {
                        budget.take_results(&graph, before, results.iter().filter_map(Value::ints))?;
                    }
                    Ok(results)
                })
            };
            if result.is_err()
                && let Some(end) = self.end(i, &graph, &values, &ends)
            {
                ends.insert(i, end);
            }
            let status = match result {
                Ok(results) => {
                    values[i] = Some(results);
                    NodeStatus::Imported
                }
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Unknown) => NodeStatus::Unreached,
                Err(Fault::Unsupported(reason)) => {
                    let before = ends.get(&i).map(|&end| self.def.node[end].name.as_str());
                    let said = Said { result: &self.def.node[i].name, shape: self.declared(i), before };
                    NodeStatus::Unsupported(said.fill(reason))
                }
            };
            statuses.push((i, status));
        }
        Ok(Walked { graph, values, statuses })
    }

    /// The shape that the file declares for a node's first result.
    fn declared(&self, i: usize) -> Option<Vec<usize>> {
        let shapes = self.def.node[i].attr.get("_output_shapes").and_then(|a| a.value.as_ref());
        let Some(Attr::List(list)) = shapes else { return None };
        let shape = list.shape.first().filter(|shape| !shape.unknown_rank)?;
        declared(shape.dim.iter().map(|dim| usize::try_from(dim.size).ok()), self.options.batch)
    }

    /// The last node on the way to one without a result, along first operands, that depends on an
    /// input and has been imported. `ends` has those of the nodes before it.
    fn end(
        &self,
        i: usize,
        graph: &Graph,
        values: &[Option<Vec<Value>>],
        ends: &HashMap<usize, usize>,
    ) -> Option<usize> {
        let (node, port) = *self.operands(i).ok()?.first()?;
        match values[node].as_ref() {
            None => ends.get(&node).copied(),
            Some(results) => match results.get(port) {
                Some(Value::Tensor(id)) if port == 0 => {
                    let given = matches!(graph.node(*id).op, Op::Constant(_) | Op::Input);
                    (!given).then_some(node)
                }
                _ => None,
            },
        }
    }

    /// Declares the outputs, as far as they are there: the others, and why each is not.
    fn declare(&self, graph: &mut Graph, values: &[Option<Vec<Value>>]) -> Vec<(usize, &'static str)> {
        let mut missing = Vec::new();
        for &(i, port) in &self.outputs {
            let def = &self.def.node[i];
            let name = if port == 0 { def.name.clone() } else { format!("{}:{port}", def.name) };
            match values[i].as_ref().and_then(|v| v.get(port)) {
                Some(Value::Tensor(id)) => graph.add_output(name, *id),
                // What branches are taken by is used by no node, and was not asked for.
                Some(Value::Int(_) | Value::Dead) if self.branches && self.options.outputs.is_empty() => {}
                // Shapes and the like, which are known now.
                Some(Value::Int(ints)) => match ints.to_array() {
                    Ok(array) => {
                        let id = graph.add_constant(def.name.clone(), array);
                        graph.add_output(name, id);
                    }
                    Err(_) => missing.push((i, NO_VALUE)),
                },
                Some(
                    Value::List(_)
                    | Value::Opaque(_)
                    | Value::Label(..)
                    | Value::Absent
                    | Value::Dead
                    | Value::Unknown,
                ) => {
                    missing.push((i, NO_TENSOR));
                }
                None => missing.push((i, NO_VALUE)),
            }
        }
        missing
    }

    /// Takes away the inputs that a cut leaves nothing to do.
    fn after_cut(&self, graph: &mut Graph) {
        if self.given.keys().any(|&i| !self.def.node[i].op.starts_with("Placeholder")) {
            let given = |name: &str| self.by_name.get(name).is_some_and(|i| self.given.contains_key(i));
            drop_unneeded_inputs(graph, given);
        }
    }

    /// Inputs come in the order in which the options name them, then in that of the file.
    fn order_inputs(&self, graph: &mut Graph) {
        let mut inputs = std::mem::take(&mut graph.inputs);
        inputs.sort_by_key(|&id| {
            let name = graph.node(id).name.as_str();
            let plain = |n: &str| n.strip_suffix(":0").unwrap_or(n) == name;
            let named = self.options.inputs.iter().position(|(n, _)| plain(n));
            (named.unwrap_or(usize::MAX), self.by_name.get(name).copied())
        });
        graph.inputs = inputs;
    }

    /// The nodes that the outputs need, operands first, and those of them that lie on a loop's way
    /// back.
    fn order(&self) -> (Vec<usize>, HashSet<usize>) {
        #[derive(Clone, Copy, PartialEq)]
        enum Visit {
            New,
            Open,
            Done,
        }
        let mut state = vec![Visit::New; self.def.node.len()];
        let mut order = Vec::new();
        let mut looped = HashSet::new();
        for &(output, _) in &self.outputs {
            let mut stack = vec![output];
            while let Some(&i) = stack.last() {
                match state[i] {
                    Visit::New => {
                        state[i] = Visit::Open;
                        let mut before: Vec<usize> =
                            self.operands(i).unwrap_or_default().into_iter().map(|(j, _)| j).collect();
                        if self.branches && !self.given.contains_key(&i) {
                            before.extend(self.control_operands(i));
                        }
                        for j in before.into_iter().rev() {
                            match state[j] {
                                Visit::New => stack.push(j),
                                Visit::Open => {
                                    looped.insert(i);
                                }
                                Visit::Done => {}
                            }
                        }
                    }
                    Visit::Open => {
                        state[i] = Visit::Done;
                        order.push(i);
                        stack.pop();
                    }
                    Visit::Done => {
                        stack.pop();
                    }
                }
            }
        }
        (order, looped)
    }

    /// Whether a node is on a branch that is not taken: one of its operands is, or what it waits for.
    fn is_dead(&self, i: usize, values: &[Option<Vec<Value>>]) -> bool {
        if !self.branches || self.def.node[i].op == "Merge" {
            return false;
        }
        let dead = |node: usize, port: usize| match values[node].as_deref() {
            Some([Value::Dead]) => true,
            Some(results) => results.get(port) == Some(&Value::Dead),
            None => false,
        };
        let waits = self.control_operands(i).into_iter().any(|node| {
            // A node that only passes on what a Switch gives is dead with it.
            dead(node, 0)
        });
        waits || self.operands(i).unwrap_or_default().into_iter().any(|(node, port)| dead(node, port))
    }

    /// The nodes that a node waits for without using them.
    fn control_operands(&self, i: usize) -> Vec<usize> {
        let names = self.def.node[i].input.iter().filter_map(|input| input.strip_prefix('^'));
        names.filter_map(|name| self.by_name.get(name).copied()).collect()
    }

    fn node(
        &self,
        i: usize,
        graph: &mut Graph,
        values: &[Option<Vec<Value>>],
        budget: &mut Budget,
        written_out: &mut usize,
    ) -> Result<Vec<Value>, Fault> {
        let def = &self.def.node[i];
        if let Some(&shape) = self.given.get(&i) {
            fits(shape)?;
            return Ok(vec![Value::Tensor(graph.add_input(def.name.clone(), shape.to_vec()))]);
        }
        if let Some(text) = self.set.get(&i) {
            let builder = Builder::new(graph, budget, def.name.clone());
            let message = nodes::Message { def, batch: self.options.batch };
            return nodes::bound(&mut nodes::Node { message, operands: Vec::new(), builder }, text);
        }
        let called = match (def.op.as_str(), def.attr.get("f").and_then(|f| f.value.as_ref())) {
            ("PartitionedCall" | "StatefulPartitionedCall", Some(Attr::Func(f))) => Some(f.name.as_str()),
            (op, _) => self.library.name(op),
        };
        if let Some(name) = called {
            return Err(Fault::operation(&nodes::function_call(&format!("{name:?}"), self.origin)));
        }
        let row = nodes::rows().find(|row| row.name == def.op);
        if row.is_none() && !is_control(&def.op) {
            return Err(Fault::operation(&nodes::advice(&def.op, self.origin)));
        }
        if self.is_dead(i, values) {
            return Ok(vec![Value::Dead]);
        }
        let mut operands = Vec::new();
        for (node, port) in self.operands(i)? {
            operands.push(match &values[node] {
                None => Value::Unknown,
                Some(results) if results.as_slice() == [Value::Dead] => Value::Dead,
                Some(results) => results.get(port).cloned().ok_or_else(|| {
                    let source = &self.def.node[node];
                    Fault::from(format!(
                        "uses result {port} of {:?} ({}), of which only the first {} can be used in inference",
                        source.name,
                        source.op,
                        results.len()
                    ))
                })?,
            });
        }
        // Known integers are copied.
        budget.take_work(operands.iter().filter_map(Value::ints).map(|i| i.data.len()).sum())?;
        let message = nodes::Message { def, batch: self.options.batch };
        let Some(row) = row else {
            let (library, batch, origin) = (&self.library, self.options.batch, self.origin);
            let mut run = Run { library, graph, budget, batch, origin, count: written_out, depth: 0 };
            return run.control(def, operands, &def.name);
        };
        row.import(&mut nodes::Node {
            message,
            operands,
            builder: Builder::new(graph, budget, def.name.clone()),
        })
    }
}
