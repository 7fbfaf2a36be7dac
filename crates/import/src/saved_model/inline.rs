//! From a graph whose nodes call functions to one without calls.
//!
//! What is asked for is expanded, and what it needs: a call disappears, and the function's nodes
//! take its place. Control operands are dropped, as nothing that is read here has side effects. A
//! node of a function keeps its name if no other one has it, else the name of the call is put in
//! front.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use prost::Message;

use super::SavedModelError;
use crate::tensorflow::messages::{Attr, AttrValue, FunctionDef, GraphDef, NodeDef, OpDef};

/// Calls within calls, at most.
const MAX_DEPTH: usize = 64;

type Result<T> = std::result::Result<T, SavedModelError>;

/// A result of a node of the flat graph: the node's place, and which result.
pub(super) type Flat = (usize, usize);

/// The nodes of a graph or of a function, by name.
struct Body<'a> {
    nodes: &'a [NodeDef],
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Body<'a> {
    fn new(nodes: &'a [NodeDef]) -> Result<Body<'a>> {
        let mut by_name = HashMap::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            if by_name.insert(node.name.as_str(), i).is_some() {
                return Err(SavedModelError::damaged(format!("two nodes are called {:?}", node.name)));
            }
        }
        Ok(Body { nodes, by_name })
    }
}

/// Where the expansion stands with a node: a node of the flat graph, or what a call returns.
enum State {
    /// Its operands are being expanded. No place: a call.
    Open(Option<usize>),
    Node(usize),
    Call(Vec<Flat>),
}

/// A body in one use of it.
struct Scope<'a> {
    body: Rc<Body<'a>>,
    /// Empty at the top.
    name: String,
    /// The function's arguments; at the top there are none.
    arguments: Option<HashMap<&'a str, Flat>>,
    /// What the call puts in place of the function's own attributes.
    attributes: HashMap<&'a str, &'a AttrValue>,
    state: HashMap<usize, State>,
}

/// Where an operand comes from.
enum Origin<'a> {
    Argument(Flat),
    /// A node of the same body, and the result as it is called there.
    Node(usize, Port<'a>),
}

#[derive(Clone, Copy)]
enum Port<'a> {
    Number(usize),
    /// Of the node's named results the one of this name, and of its values this one.
    Named(&'a str, usize),
}

/// The flat graph while it grows.
pub(super) struct Inliner<'a> {
    top: Scope<'a>,
    functions: HashMap<&'a str, &'a FunctionDef>,
    bodies: HashMap<&'a str, Rc<Body<'a>>>,
    operations: HashMap<&'a str, &'a OpDef>,
    /// Nodes at the top that are inputs, with what stands for them.
    replaced: HashMap<usize, NodeDef>,
    /// Names that belong to a node at the top, or to nobody yet.
    reserved: HashMap<String, Option<usize>>,
    taken: HashSet<String>,
    counter: usize,
    flat: Vec<NodeDef>,
    /// Bytes that may still be copied: a few functions that call each other twice would fill any
    /// memory.
    budget: usize,
}

impl<'a> Inliner<'a> {
    /// An empty graph. `length` is that of the file, which justifies how much may be copied.
    pub(super) fn new(graph: &'a GraphDef, operations: &'a [OpDef], length: usize) -> Result<Inliner<'a>> {
        let mut functions = HashMap::new();
        for function in graph.library.iter().flat_map(|l| &l.function) {
            let name = function.signature.as_ref().map_or("", |s| s.name.as_str());
            if functions.insert(name, function).is_some() {
                return Err(SavedModelError::damaged(format!("two functions are called {name:?}")));
            }
        }
        let top = Scope {
            body: Rc::new(Body::new(&graph.node)?),
            name: String::new(),
            arguments: None,
            attributes: HashMap::new(),
            state: HashMap::new(),
        };
        Ok(Inliner {
            top,
            functions,
            bodies: HashMap::new(),
            operations: operations.iter().map(|o| (o.name.as_str(), o)).collect(),
            replaced: HashMap::new(),
            reserved: HashMap::new(),
            taken: HashSet::new(),
            counter: 0,
            flat: Vec::new(),
            budget: (16 << 20) + length.saturating_mul(16),
        })
    }

    /// The node at the top of this name.
    pub(super) fn top(&self, name: &str) -> Option<(usize, &'a NodeDef)> {
        let i = *self.top.body.by_name.get(name)?;
        Some((i, self.top.body.nodes.get(i)?))
    }

    /// The nodes at the top.
    pub(super) fn tops(&self) -> &'a [NodeDef] {
        self.top.body.nodes
    }

    /// Keeps a name for a node at the top, or (`None`) for one that is added later.
    pub(super) fn reserve(&mut self, name: &str, owner: Option<usize>) {
        self.reserved.entry(name.to_owned()).or_insert(owner);
    }

    /// Puts a node without operands in the place of one at the top.
    pub(super) fn replace(&mut self, i: usize, by: NodeDef) {
        self.replaced.insert(i, by);
    }

    /// Whether a node at the top calls a function.
    pub(super) fn is_call(&self, i: usize) -> bool {
        self.tops().get(i).is_some_and(|node| self.called(node).is_some())
    }

    /// Whether a node at the top gives a variable a value from the checkpoint (and not its first
    /// value).
    pub(super) fn restores(&self, node: &'a NodeDef) -> bool {
        let mut from = operands(node).nth(1).filter(|_| is_assignment(node));
        // The saver puts at most an Identity between.
        for _ in 0..4 {
            let name = from.map(|f| f.split_once(':').map_or(f, |(name, _)| name));
            let Some((_, node)) = name.and_then(|name| self.top(name)) else { return false };
            match node.op.as_str() {
                "RestoreV2" => return true,
                "Identity" => from = operands(node).next(),
                _ => return false,
            }
        }
        false
    }

    /// Expands a result of a node at the top (`node:port`).
    pub(super) fn value(&mut self, reference: &'a str) -> Result<Flat> {
        let mut top = self.leave_top();
        let result = self.values(&mut top, &[reference], 0);
        self.top = top;
        result?.first().copied().ok_or_else(|| SavedModelError::damaged("a value is missing"))
    }

    /// Expands a node at the top; if it is a call, also the assignments in the function, and in
    /// those that it calls.
    pub(super) fn effects(&mut self, i: usize) -> Result<()> {
        let mut top = self.leave_top();
        let result = match self.tops_of(&top, i) {
            Some(node) if self.called(node).is_some() => self.call(&mut top, i, 0, true).map(|results| {
                top.state.insert(i, State::Call(results));
            }),
            _ => self.expand(&mut top, i, 0, false),
        };
        self.top = top;
        result
    }

    /// Adds a node to the flat graph that passes a value on under this name.
    pub(super) fn add_identity(&mut self, name: &str, (node, port): Flat) -> usize {
        let input = self.reference((node, port));
        self.reserved.remove(name);
        let name = self.unique(name, "", None);
        let node = NodeDef { name, op: "Identity".into(), input: vec![input], ..NodeDef::default() };
        self.flat.push(node);
        self.flat.len() - 1
    }

    /// The flat graph so far.
    pub(super) fn flat(&self) -> &[NodeDef] {
        &self.flat
    }

    /// The flat graph.
    pub(super) fn into_flat(self) -> Vec<NodeDef> {
        self.flat
    }

    /// The scope at the top, which the caller puts back: it is changed while the inliner is.
    fn leave_top(&mut self) -> Scope<'a> {
        let body = self.top.body.clone();
        let empty = Scope {
            body,
            name: String::new(),
            arguments: None,
            attributes: HashMap::new(),
            state: HashMap::new(),
        };
        std::mem::replace(&mut self.top, empty)
    }

    fn tops_of(&self, scope: &Scope<'a>, i: usize) -> Option<&'a NodeDef> {
        scope.body.nodes.get(i)
    }

    /// The function that a node calls, by name, and the attributes of the call.
    fn called(&self, node: &'a NodeDef) -> Option<(&'a str, &'a HashMap<String, AttrValue>)> {
        match node.op.as_str() {
            "PartitionedCall" | "StatefulPartitionedCall" => {
                match node.attr.get("f").and_then(|a| a.value.as_ref()) {
                    Some(Attr::Func(f)) => Some((f.name.as_str(), &f.attr)),
                    _ => None,
                }
            }
            op => self.functions.get_key_value(op).map(|(name, _)| (*name, &node.attr)),
        }
    }

    /// Expands what these references need, and returns what they refer to.
    fn values(&mut self, scope: &mut Scope<'a>, references: &[&'a str], depth: usize) -> Result<Vec<Flat>> {
        for &reference in references {
            if let Origin::Node(i, _) = Self::origin(scope, reference)? {
                self.expand(scope, i, depth, false)?;
            }
        }
        references.iter().map(|&r| self.resolve(scope, r)).collect()
    }

    /// Expands a node and what it needs, operands first; not by recursion, as graphs are deep.
    fn expand(&mut self, scope: &mut Scope<'a>, root: usize, depth: usize, effects: bool) -> Result<()> {
        let mut stack = vec![root];
        while let Some(&i) = stack.last() {
            match scope.state.get(&i) {
                None => {
                    self.open(scope, i)?;
                    if self.is_replaced(scope, i) {
                        continue;
                    }
                    for reference in operands(node_of(scope, i)?).rev() {
                        if let Origin::Node(j, _) = Self::origin(scope, reference)?
                            && !scope.state.contains_key(&j)
                        {
                            stack.push(j);
                        }
                    }
                }
                Some(State::Open(Some(place))) => {
                    let place = *place;
                    if !self.is_replaced(scope, i) {
                        self.close(scope, i, place)?;
                    }
                    scope.state.insert(i, State::Node(place));
                    stack.pop();
                }
                Some(State::Open(None)) => {
                    let results = self.call(scope, i, depth, effects)?;
                    scope.state.insert(i, State::Call(results));
                    stack.pop();
                }
                Some(State::Node(_) | State::Call(_)) => {
                    stack.pop();
                }
            }
        }
        Ok(())
    }

    fn is_replaced(&self, scope: &Scope<'a>, i: usize) -> bool {
        scope.arguments.is_none() && self.replaced.contains_key(&i)
    }

    /// Gives a node that is no call its place in the flat graph.
    fn open(&mut self, scope: &mut Scope<'a>, i: usize) -> Result<()> {
        let node = node_of(scope, i)?;
        self.take(node.encoded_len() + 2 * (scope.name.len() + node.name.len()) + 64)?;
        let top = scope.arguments.is_none();
        if top && let Some(by) = self.replaced.get(&i).cloned() {
            self.reserved.remove(&by.name);
            let name = self.unique(&by.name, "", None);
            self.flat.push(NodeDef { name, ..by });
        } else if self.called(node).is_some() {
            scope.state.insert(i, State::Open(None));
            return Ok(());
        } else {
            let name = self.unique(&node.name, &scope.name, top.then_some(i));
            let mut attr = HashMap::with_capacity(node.attr.len());
            for (key, own) in &node.attr {
                let value = scope.attribute(own);
                self.take(value.encoded_len())?;
                attr.insert(key.clone(), value.clone());
            }
            self.flat.push(NodeDef { name, op: node.op.clone(), input: Vec::new(), attr });
        }
        scope.state.insert(i, State::Open(Some(self.flat.len() - 1)));
        Ok(())
    }

    /// Fills in the operands of a node of the flat graph.
    fn close(&mut self, scope: &Scope<'a>, i: usize, place: usize) -> Result<()> {
        let node = node_of(scope, i)?;
        let mut input = Vec::with_capacity(node.input.len());
        for reference in operands(node) {
            let flat = self.resolve(scope, reference)?;
            let name = self.reference(flat);
            self.take(name.len())?;
            input.push(name);
        }
        if let Some(flat) = self.flat.get_mut(place) {
            flat.input = input;
        }
        Ok(())
    }

    /// Puts a function in the place of a call, and returns what the call returns.
    fn call(&mut self, scope: &mut Scope<'a>, i: usize, depth: usize, effects: bool) -> Result<Vec<Flat>> {
        let node = node_of(scope, i)?;
        let missing = |name: &str| {
            SavedModelError::damaged(format!(
                "{:?} calls the function {name:?}, which is not in the file",
                node.name
            ))
        };
        let (name, attributes) = self.called(node).ok_or_else(|| missing(&node.op))?;
        let function = *self.functions.get(name).ok_or_else(|| missing(name))?;
        let signature = function.signature.as_ref().ok_or_else(|| missing(name))?;
        if depth >= MAX_DEPTH {
            return Err(SavedModelError::Deep { function: name.into() });
        }
        let given: Vec<&str> = operands(node).collect();
        let given = self.values(scope, &given, depth)?;
        if given.len() != signature.input_arg.len() {
            return Err(SavedModelError::damaged(format!(
                "{:?} gives {} operands to the function {name:?}, which takes {}",
                node.name,
                given.len(),
                signature.input_arg.len()
            )));
        }
        let body = match self.bodies.get(name) {
            Some(body) => body.clone(),
            None => {
                let body = Rc::new(Body::new(&function.node_def)?);
                self.bodies.insert(name, body.clone());
                body
            }
        };
        let above = if scope.name.is_empty() { String::new() } else { format!("{}/", scope.name) };
        let mut inner = Scope {
            body,
            name: above + &node.name,
            arguments: Some(signature.input_arg.iter().map(|a| a.name.as_str()).zip(given).collect()),
            attributes: attributes.iter().map(|(k, v)| (k.as_str(), v)).collect(),
            state: HashMap::new(),
        };
        self.take(inner.name.len() + 64 * (signature.input_arg.len() + signature.output_arg.len()))?;
        if effects {
            for (j, node) in function.node_def.iter().enumerate() {
                if is_assignment(node) || self.called(node).is_some() {
                    self.expand(&mut inner, j, depth + 1, true)?;
                }
            }
        }
        let returned: Option<Vec<&str>> = signature
            .output_arg
            .iter()
            .map(|result| function.ret.get(&result.name).map(String::as_str))
            .collect();
        let returned = returned.ok_or_else(|| {
            SavedModelError::damaged(format!("the function {name:?} does not say what it returns"))
        })?;
        self.values(&mut inner, &returned, depth + 1)
    }

    /// What an operand is called in its body, taken apart.
    fn origin(scope: &Scope<'a>, reference: &'a str) -> Result<Origin<'a>> {
        let lost = || {
            let place = if scope.name.is_empty() { String::new() } else { format!(" in {:?}", scope.name) };
            SavedModelError::damaged(format!("the operand {reference:?}{place} leads nowhere"))
        };
        let mut parts = reference.split(':');
        let name = parts.next().unwrap_or_default();
        if let Some(arguments) = &scope.arguments
            && let Some(&value) = arguments.get(name)
        {
            return Ok(Origin::Argument(value));
        }
        let node = *scope.body.by_name.get(name).ok_or_else(lost)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| lost());
        let port = match (parts.next(), parts.next()) {
            (None, _) => Port::Number(0),
            (Some(port), None) => Port::Number(number(port)?),
            (Some(result), Some(index)) => Port::Named(result, number(index)?),
        };
        Ok(Origin::Node(node, port))
    }

    /// What an operand is in the flat graph; it must have been expanded.
    fn resolve(&self, scope: &Scope<'a>, reference: &'a str) -> Result<Flat> {
        let (i, port) = match Self::origin(scope, reference)? {
            Origin::Argument(value) => return Ok(value),
            Origin::Node(i, port) => (i, port),
        };
        let node = node_of(scope, i)?;
        let port = match port {
            Port::Number(port) => port,
            Port::Named(result, index) => self.port(scope, node, result, index)?,
        };
        match scope.state.get(&i) {
            Some(State::Node(place) | State::Open(Some(place))) => Ok((*place, port)),
            Some(State::Call(results)) => results.get(port).copied().ok_or_else(|| {
                SavedModelError::damaged(format!("{:?} has no result {port} for {reference:?}", node.name))
            }),
            Some(State::Open(None)) | None => Err(SavedModelError::Loop { node: node.name.clone() }),
        }
    }

    /// The number of a result that is given by name.
    fn port(&self, scope: &Scope<'a>, node: &'a NodeDef, result: &str, index: usize) -> Result<usize> {
        let unknown =
            || SavedModelError::damaged(format!("{:?} ({}) has no result {result:?}", node.name, node.op));
        let direct = self.functions.get(node.op.as_str()).and_then(|f| f.signature.as_ref());
        let Some(operation) = direct.or_else(|| self.operations.get(node.op.as_str()).copied()) else {
            // Tools that rewrite models drop the list of operations. Of those that are known here,
            // only these have results of several names.
            const NORM: [&str; 6] = [
                "y",
                "batch_mean",
                "batch_variance",
                "reserve_space_1",
                "reserve_space_2",
                "reserve_space_3",
            ];
            return match node.op.as_str() {
                "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => {
                    NORM.iter().position(|&r| r == result).ok_or_else(unknown)
                }
                _ => Ok(index),
            };
        };
        let mut before = 0usize;
        for argument in &operation.output_arg {
            if argument.name == result {
                return before.checked_add(index).ok_or_else(unknown);
            }
            let attribute = |name: &str| {
                node.attr.get(name).and_then(|a| scope.attribute(a).value.as_ref()).ok_or_else(unknown)
            };
            let values = if !argument.number_attr.is_empty() {
                match attribute(&argument.number_attr)? {
                    Attr::I(n) => usize::try_from(*n).map_err(|_| unknown())?,
                    _ => return Err(unknown()),
                }
            } else if !argument.type_list_attr.is_empty() {
                match attribute(&argument.type_list_attr)? {
                    Attr::List(list) => list.r#type.len(),
                    _ => return Err(unknown()),
                }
            } else {
                1
            };
            before = before.checked_add(values).ok_or_else(unknown)?;
        }
        Err(unknown())
    }

    /// How a node of the flat graph is referred to.
    fn reference(&self, (node, port): Flat) -> String {
        let name = self.flat.get(node).map_or("", |n| n.name.as_str());
        if port == 0 { name.to_owned() } else { format!("{name}:{port}") }
    }

    /// A name that no other node has, and takes it.
    fn unique(&mut self, name: &str, scope: &str, owner: Option<usize>) -> String {
        // These would read as a result or as a control operand.
        let plain = |name: &str| name.trim_start_matches('^').replace(':', "_");
        let mut name = plain(name);
        let free = |s: &Self, name: &str| {
            !s.taken.contains(name)
                && s.reserved.get(name).is_none_or(|kept| kept.is_some() && *kept == owner)
        };
        if !free(self, &name) && !scope.is_empty() {
            name = plain(&format!("{scope}/{name}"));
        }
        if !free(self, &name) {
            // One counter for all names: no number is tried twice, however many nodes have one
            // name.
            loop {
                self.counter += 1;
                let numbered = format!("{name}_{}", self.counter);
                if free(self, &numbered) {
                    name = numbered;
                    break;
                }
            }
        }
        self.taken.insert(name.clone());
        name
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(bytes).ok_or(SavedModelError::Large)?;
        Ok(())
    }
}

impl<'a> Scope<'a> {
    /// An attribute, or what the call puts in its place.
    fn attribute(&self, own: &'a AttrValue) -> &'a AttrValue {
        match &own.value {
            Some(Attr::Placeholder(name)) => self.attributes.get(name.as_str()).copied().unwrap_or(own),
            _ => own,
        }
    }
}

/// A node that gives a variable a value.
pub(super) fn is_assignment(node: &NodeDef) -> bool {
    matches!(node.op.as_str(), "AssignVariableOp" | "Assign")
}

/// The data operands of a node.
fn operands(node: &NodeDef) -> impl DoubleEndedIterator<Item = &str> {
    node.input.iter().map(String::as_str).filter(|input| !input.starts_with('^'))
}

fn node_of<'a>(scope: &Scope<'a>, i: usize) -> Result<&'a NodeDef> {
    scope.body.nodes.get(i).ok_or_else(|| SavedModelError::damaged("a node is missing"))
}
