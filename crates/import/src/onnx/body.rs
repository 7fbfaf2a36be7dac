//! The nodes of a graph, of a branch and of a function, one after another.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message as _;

use super::control::is_control;
use super::external::Folder;
use super::messages::{AttributeProto, DataType, FunctionProto, GraphProto, ModelProto, NodeProto};
use super::nodes::{self, Node, Number};
use super::tensor;
use crate::budget::Budget;
use crate::builder::Builder;
use crate::cut::drop_unneeded_inputs;
use crate::filled::{Said, declared};
use crate::node::Value;
use crate::survey::{Framework, NodeStatus, Survey, SurveyedNode};
use crate::table::advice;
use crate::tensor::Constant;
use crate::unrolled::{MAX_DEPTH, MAX_NODES};
use crate::value::Fault;
use crate::{ImportError, NodeRefusal, UnsupportedNode};
use cryptflow_graph::{Graph, NodeId, Op};

/// The values that nodes can name: those of this graph, and of the graphs around it.
#[derive(Default)]
pub(super) struct Scope<'a> {
    own: HashMap<String, Value>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    pub(super) fn inside(outer: &'a Scope<'a>) -> Scope<'a> {
        Scope { own: HashMap::new(), outer: Some(outer) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.own.get(name).or_else(|| self.outer.and_then(|o| o.get(name)))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.own.insert(name.into(), value);
    }
}

/// The names that are needed for the wanted ones, where some are known already.
pub(super) fn needed<'n>(
    nodes: &'n [NodeProto],
    wanted: &[&'n str],
    known: impl Fn(&str) -> bool,
) -> HashSet<&'n str> {
    let mut names: HashSet<&str> = wanted.iter().copied().collect();
    for node in nodes.iter().rev() {
        if node.output.iter().any(|o| !known(o) && names.contains(o.as_str())) {
            operands(node, &mut names);
        }
    }
    names.remove("");
    names
}

/// The names that a node uses, in the graphs of its attributes too.
fn operands<'n>(node: &'n NodeProto, names: &mut HashSet<&'n str>) {
    names.extend(node.input.iter().map(String::as_str));
    for graph in node.attribute.iter().filter_map(|a| a.g.as_ref()) {
        names.extend(graph.output.iter().map(|o| o.name.as_str()));
        for node in &graph.node {
            operands(node, names);
        }
    }
}

/// Turns nodes into those of a [`Graph`], and remembers those that it cannot.
pub(super) struct Importer<'a> {
    functions: HashMap<(&'a str, &'a str, &'a str), &'a FunctionProto>,
    pub(super) folder: Folder,
    pub(super) graph: Graph,
    pub(super) numbers: HashMap<NodeId, Number>,
    unsupported: Vec<UnsupportedNode>,
    /// The shapes that the model says its values have.
    declared: HashMap<&'a str, Vec<usize>>,
    /// Of values that are not there, the last one on the way to them that is.
    ends: HashMap<String, String>,
    /// What was said of each node, in the order in which they were looked at.
    seen: Vec<SurveyedNode>,
    pub(super) budget: Budget,
    /// The types of constants, by their names.
    types: HashMap<String, DataType>,
    /// The outputs of the model.
    pub(super) opened: HashSet<String>,
    pub(super) opset: i64,
    /// What the names of nodes begin with: the call in whose function they are.
    pub(super) prefix: String,
    depth: usize,
    /// Nodes so far, those of functions and of steps of loops counted.
    pub(super) count: usize,
}

impl<'a> Importer<'a> {
    pub(super) fn new(
        model: &'a ModelProto,
        opset: i64,
        folder: Option<&Path>,
        budget: Budget,
    ) -> Importer<'a> {
        let key = |f: &'a FunctionProto| ((f.domain.as_str(), f.name.as_str(), f.overload.as_str()), f);
        Importer {
            functions: model.functions.iter().map(key).collect(),
            folder: Folder::new(folder.map(Path::to_path_buf)),
            graph: Graph::default(),
            numbers: HashMap::new(),
            unsupported: Vec::new(),
            declared: HashMap::new(),
            ends: HashMap::new(),
            seen: Vec::new(),
            budget,
            types: HashMap::new(),
            opened: HashSet::new(),
            opset,
            prefix: String::new(),
            depth: 0,
            count: 0,
        }
    }

    /// Takes over what the model says of the shapes of its values; open first axes have this length.
    pub(super) fn declare(&mut self, graph: &'a GraphProto, batch: Option<usize>) {
        for info in graph.value_info.iter().chain(&graph.output) {
            let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
            let Some(shape) = tensor.and_then(|t| t.shape.as_ref()) else { continue };
            let lengths = shape.dim.iter().map(|dim| usize::try_from(dim.dim_value?).ok());
            if let Some(shape) = declared(lengths, batch) {
                self.declared.insert(&info.name, shape);
            }
        }
    }

    /// A reason with what the reader has to type. Names inside of functions cannot be typed.
    fn filled(&self, node: &NodeProto, refusal: NodeRefusal) -> NodeRefusal {
        if !self.prefix.is_empty() || self.depth > 0 {
            return refusal;
        }
        let result = node.output.first().map_or("", String::as_str);
        let before = self.ends.get(result).map(String::as_str);
        Said { result, shape: self.declared.get(result).cloned(), before }.fill(refusal)
    }

    /// Notes where a model could end instead of in a node without results.
    fn end(&mut self, node: &NodeProto, scope: &Scope<'_>) {
        let Some(first) = node.input.first() else { return };
        let end = match scope.get(first) {
            Some(Value::Tensor(id)) => match self.graph.node(*id).op {
                Op::Constant(_) | Op::Input => None,
                _ => Some(first),
            },
            Some(Value::Unknown) => self.ends.get(first),
            Some(
                Value::Int(_)
                | Value::List(_)
                | Value::Opaque(_)
                | Value::Label(..)
                | Value::Absent
                | Value::Dead,
            )
            | None => None,
        };
        if let Some(end) = end.cloned() {
            let results = node.output.iter().filter(|name| !name.is_empty());
            self.ends.extend(results.map(|result| (result.clone(), end.clone())));
        }
    }

    /// Reports something that cannot be imported.
    pub(super) fn refuse(&mut self, name: &str, op: &str, reason: impl Into<NodeRefusal>) -> Value {
        let reason = reason.into();
        self.see(name, name, op, NodeStatus::Unsupported(reason.clone()));
        self.unsupported.push(UnsupportedNode { name: name.into(), op: op.into(), reason });
        Value::Unknown
    }

    fn see(&mut self, name: &str, result: &str, op: &str, status: NodeStatus) {
        let [name, result, op] = [name, result, op].map(String::from);
        self.seen.push(SurveyedNode { name, op, result, status });
    }

    /// An input of the model, of elements of this type.
    pub(super) fn input(&mut self, name: &str, shape: Vec<usize>, dtype: i32) -> Value {
        let known = DataType::try_from(dtype);
        let number = match known {
            Ok(DataType::Undefined) => Some(Number::Float),
            // Four bits hold weights: no file has an input of them.
            Ok(DataType::Int4 | DataType::Uint4) | Err(_) => None,
            Ok(dtype) => Number::of(dtype),
        };
        let Some(number) = number else {
            let of = known.map_or_else(|_| format!("number {dtype}"), |t| format!("{t:?}"));
            let reason =
                format!("is an input of the type {of}, and only numbers can be shared between parties");
            return self.refuse(name, "input", reason.as_str());
        };
        let id = match number {
            Number::Float => self.graph.add_input(name, shape),
            Number::Integer | Number::Flag => self.graph.add_integer_input(name, shape),
        };
        self.numbers.insert(id, number);
        Value::Tensor(id)
    }

    /// An input of the model that is bound to a public value.
    pub(super) fn bound(
        &mut self,
        name: &str,
        dtype: i32,
        text: &str,
        shape: Option<Vec<usize>>,
    ) -> Result<Value, ImportError> {
        let number = DataType::try_from(dtype).ok().and_then(|dtype| match dtype {
            DataType::Undefined => Some(Number::Float),
            dtype => Number::of(dtype),
        });
        let bound = match number {
            Some(number) => crate::bound::bound(text, number != Number::Float, shape),
            None => Err("is an input of a type that cannot be bound to a number".into()),
        };
        self.constant(name, bound)
    }

    /// The constants of a graph that are needed and not given.
    pub(super) fn initializers(
        &mut self,
        graph: &GraphProto,
        scope: &mut Scope<'_>,
        names: &HashSet<&str>,
    ) -> Result<(), ImportError> {
        let needed = |name: &str, scope: &Scope<'_>| names.contains(name) && !scope.has(name);
        for tensor in &graph.initializer {
            if needed(&tensor.name, scope) {
                self.typed(&tensor.name, tensor.data_type);
                let value = self.constant(&tensor.name, tensor::read_constant(tensor, &self.folder))?;
                scope.set(&tensor.name, value);
            }
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map(|v| v.name.as_str());
            if let Some(name) = name.filter(|n| needed(n, scope)) {
                let value = self.constant(name, tensor::read_sparse(sparse, &self.folder))?;
                scope.set(name, value);
            }
        }
        Ok(())
    }

    /// Notes the type of a constant of the model itself: names inside of functions are others.
    fn typed(&mut self, name: &str, dtype: i32) {
        if let (true, Ok(dtype)) = (self.prefix.is_empty(), DataType::try_from(dtype)) {
            self.types.insert(name.into(), dtype);
        }
    }

    fn constant(&mut self, name: &str, constant: Result<Constant, Fault>) -> Result<Value, ImportError> {
        Ok(match constant {
            Ok(Constant::Float(array)) => {
                self.budget.add_elements(array.data.len());
                Value::Tensor(self.graph.add_constant(name, array))
            }
            Ok(Constant::Int(ints)) => {
                self.budget.add_elements(ints.data.len());
                Value::Int(ints)
            }
            Ok(Constant::Opaque(dtype)) => Value::Opaque(dtype),
            Err(Fault::Unsupported(reason)) => self.refuse(name, "constant", reason),
            Err(Fault::Unknown) => Value::Unknown,
            Err(Fault::Fatal(error)) => return Err(error),
        })
    }

    /// Imports those of the nodes that are needed.
    pub(super) fn nodes(
        &mut self,
        nodes: &[NodeProto],
        scope: &mut Scope<'_>,
        names: &HashSet<&str>,
    ) -> Result<(), ImportError> {
        for node in nodes {
            let wanted = |o: &&String| names.contains(o.as_str()) && !scope.has(o);
            if !node.output.iter().any(|o| wanted(&o)) {
                continue;
            }
            self.count += 1;
            let results = if self.count > MAX_NODES {
                Err(Fault::Fatal(ImportError::Large(MAX_NODES)))
            } else {
                let before = self.graph.nodes.len();
                self.node(node, scope, names).and_then(|results| {
                    // What loops and branches make was taken as it was made.
                    if !is_control(&node.op_type) {
                        let ints = results.iter().filter_map(Value::ints);
                        self.budget.take_results(&self.graph, before, ints)?;
                    }
                    Ok(results)
                })
            };
            let first = node.output.first().map_or("", String::as_str);
            let name = if node.name.is_empty() { first } else { &node.name };
            let result = format!("{}{first}", self.prefix);
            let results = match results {
                Ok(results) => {
                    self.see(name, &result, &node.op_type, NodeStatus::Imported);
                    results
                }
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Unknown) => {
                    self.end(node, scope);
                    self.see(name, &result, &node.op_type, NodeStatus::Unreached);
                    Vec::new()
                }
                Err(Fault::Unsupported(reason)) => {
                    self.end(node, scope);
                    let reason = self.filled(node, reason);
                    self.refuse(name, &node.op_type, reason);
                    Vec::new()
                }
            };
            for (i, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
                if !scope.has(output) {
                    let value = results.get(i).cloned().unwrap_or(Value::Unknown);
                    scope.set(output, value);
                }
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: &NodeProto,
        scope: &Scope<'_>,
        names: &HashSet<&str>,
    ) -> Result<Vec<Value>, Fault> {
        let key = (node.domain.as_str(), node.op_type.as_str(), node.overload.as_str());
        let operand = |name: &String| match scope.get(name) {
            _ if name.is_empty() => Ok(Value::Absent),
            Some(value) => Ok(value.clone()),
            None => Err(Fault::from(format!(
                "its operand {name:?} is not computed before it: the file is damaged"
            ))),
        };
        let operands = node.input.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        // Known integers are copied.
        self.budget.take_work(operands.iter().filter_map(Value::ints).map(|i| i.data.len()).sum())?;
        if let Some(function) = self.functions.get(&key) {
            return self.nested(|importer| importer.call(function, node, operands));
        }
        let own = nodes::is_onnx(&node.domain);
        let row = nodes::row_of(&node.domain, &node.op_type);
        let known = nodes::is_classical(&node.domain) || nodes::is_runtimes(&node.domain) && row.is_some();
        if !own && !known {
            return Err(Fault::operation(&nodes::foreign(&node.domain)));
        }
        if own && is_control(&node.op_type) {
            return self.nested(|importer| importer.control(node, &operands, scope));
        }
        let row = row.ok_or_else(|| Fault::operation(advice(nodes::ADVICE, &node.op_type)))?;
        let value = node.attribute.iter().find(|a| a.name == "value").and_then(|a| a.t.as_ref());
        if let (Some(value), [result]) = (value, node.output.as_slice()) {
            self.typed(result, value.data_type);
        }
        let here = self.prefix.is_empty();
        let opened = node.output.iter().map(|o| here && self.opened.contains(o)).collect();
        let types = node.input.iter().map(|i| self.types.get(i).copied().filter(|_| here)).collect();
        let wanted: Vec<bool> = node.output.iter().map(|o| names.contains(o.as_str())).collect();
        let numbers: Vec<Number> = operands.iter().map(|v| self.number(v)).collect();
        let name = format!("{}{}", self.prefix, node.output.first().map_or("", String::as_str));
        let builder = Builder::new(&mut self.graph, &mut self.budget, name);
        let (opset, folder) = (self.opset, &self.folder);
        let message =
            nodes::Message { def: node, numbers: numbers.clone(), wanted, opened, types, opset, folder };
        let results = row.import(&mut Node { message, operands, builder })?;
        for (i, value) in results.iter().enumerate() {
            if let Value::Tensor(id) = value {
                self.numbers.insert(*id, row.number(node, i, &numbers));
            }
        }
        Ok(results)
    }

    /// What a value's numbers are in the model.
    pub(super) fn number(&self, value: &Value) -> Number {
        match value {
            Value::Tensor(id) => self.numbers.get(id).copied().unwrap_or(Number::Float),
            Value::Int(_) => Number::Integer,
            _ => Number::Float,
        }
    }

    fn nested<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err("calls functions that call functions, without an end".into());
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// Puts the body of a function in the place of its call.
    fn call(
        &mut self,
        function: &FunctionProto,
        call: &NodeProto,
        operands: Vec<Value>,
    ) -> Result<Vec<Value>, Fault> {
        // Every node of it is copied, whether it is needed or not.
        self.budget.take_work(function.node.iter().map(|n| 64 + n.encoded_len()).sum())?;
        let mut scope = Scope::default();
        for (i, name) in function.input.iter().enumerate() {
            scope.set(name, operands.get(i).cloned().unwrap_or(Value::Absent));
        }
        let given =
            |name: &str| call.attribute.iter().chain(&function.attribute_proto).find(|a| a.name == name);
        let nodes: Vec<NodeProto> = function.node.iter().map(|n| instance(n, &given)).collect();
        let own = function
            .opset_import
            .iter()
            .find(|o| nodes::is_onnx(&o.domain))
            .map_or(self.opset, |o| o.version);
        let prefix = format!("{}{}/", self.prefix, call.output.first().map_or("", String::as_str));
        let outer = (std::mem::replace(&mut self.opset, own), std::mem::replace(&mut self.prefix, prefix));
        let wanted: Vec<&str> = function.output.iter().map(String::as_str).collect();
        let result = self.nodes(&nodes, &mut scope, &needed(&nodes, &wanted, |_| false));
        (self.opset, self.prefix) = outer;
        result.map_err(Fault::Fatal)?;
        Ok(wanted.iter().map(|name| scope.get(name).cloned().unwrap_or(Value::Unknown)).collect())
    }

    /// Declares a value an output.
    pub(super) fn output(&mut self, name: &str, value: Option<&Value>) {
        let value = value.cloned();
        match value {
            Some(Value::Tensor(id)) => self.graph.add_output(name, id),
            Some(Value::Label(id, names)) => {
                self.graph.add_output(name, id);
                self.graph.class_names.insert(name.into(), (*names).clone());
            }
            Some(Value::Int(ints)) => {
                if let Ok(array) = ints.to_array() {
                    let id = self.graph.add_constant(name, array);
                    self.graph.add_output(name, id);
                }
            }
            None if self.unsupported.is_empty() => {
                self.refuse(name, "output", "is an output that nothing computes: the file is damaged");
            }
            Some(Value::Opaque(dtype)) => {
                self.refuse(
                    name,
                    "output",
                    format!("has elements of the type {dtype}, which no party can share").as_str(),
                );
            }
            _ => {}
        }
    }

    /// Takes away the inputs that no output needs, unless one may be needed by what cannot be
    /// imported.
    pub(super) fn drop_unneeded_inputs(&mut self, named: impl Fn(&str) -> bool) {
        if self.unsupported.is_empty() {
            drop_unneeded_inputs(&mut self.graph, named);
        }
    }

    /// What was said of every node, and what can be imported.
    pub(super) fn survey(mut self) -> Survey {
        // What else has no use, the importer has found a shorter way for.
        if !self.unsupported.is_empty() {
            self.graph.add_ends();
        }
        Survey { framework: Framework::Onnx, nodes: self.seen, graph: self.graph }
    }

    /// The graph, or all that cannot be imported.
    pub(super) fn finish(self) -> Result<Graph, ImportError> {
        if !self.unsupported.is_empty() {
            return Err(ImportError::Unsupported(self.unsupported));
        }
        Ok(self.graph)
    }
}

/// A node of a function's body, with the attributes that the call gives.
fn instance<'f>(node: &NodeProto, given: &impl Fn(&str) -> Option<&'f AttributeProto>) -> NodeProto {
    let mut node = node.clone();
    // An attribute that neither the call nor the function gives has the operator's own default.
    node.attribute.retain_mut(|attribute| {
        if !attribute.ref_attr_name.is_empty() {
            let Some(value) = given(&attribute.ref_attr_name) else { return false };
            let name = std::mem::take(&mut attribute.name);
            *attribute = AttributeProto { name, ..value.clone() };
        }
        if let Some(graph) = &mut attribute.g {
            for inner in &mut graph.node {
                *inner = instance(inner, given);
            }
        }
        true
    });
    node
}
