//! Variables of a flat graph become constants: their values come from the checkpoint.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message;

use super::SavedModelError;
use super::bundle::Bundle;
use super::inline::{Flat, is_assignment};
use super::messages::TrackableObjectGraph;
use crate::near;
use crate::tensorflow::control::is_control;
use crate::tensorflow::messages::{Attr, AttrValue, NodeDef, TensorProto};

/// The tensor of a checkpoint that describes the objects it was made from.
const OBJECTS: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

/// Puts constants in the place of the variables, and of what reads them, as far as `outputs` need
/// them. Their values come from the checkpoint of this prefix, which a model without variables need
/// not have.
pub(super) fn fill(nodes: &mut [NodeDef], outputs: &[Flat], prefix: &Path) -> Result<(), SavedModelError> {
    let graph = Links::new(nodes);
    let restored = graph.restored();
    let mut bundle = None;
    let mut objects = None;
    // What to put where; a value that is read twice is there once.
    let mut constants: Vec<(usize, TensorProto)> = Vec::new();
    let mut copies: Vec<(usize, usize)> = Vec::new();
    let mut first: HashMap<usize, usize> = HashMap::new();
    let needed = graph.needed(outputs);
    let handed_on = graph.handed_on(&needed);
    for i in needed {
        let Some(variable) = graph.variable_read_by(i).or(handed_on.contains(&i).then_some(i)) else {
            continue;
        };
        if let Some(&first) = first.get(&variable) {
            copies.push((i, first));
            continue;
        }
        first.insert(variable, i);
        let bundle = match &bundle {
            Some(bundle) => bundle,
            None => bundle.insert(Bundle::open(prefix)?),
        };
        let node = graph.node(variable).ok_or_else(|| SavedModelError::damaged("a variable is missing"))?;
        let key = match restored.get(&variable) {
            Some(key) => key.clone(),
            None => named(node, bundle, &mut objects)?,
        };
        let value = bundle.tensor(&key)?;
        agrees(node, &key, &value)?;
        constants.push((i, value));
    }
    for (i, value) in constants {
        if let Some(node) = nodes.get_mut(i) {
            let dtype = AttrValue { value: Some(Attr::Type(value.dtype)) };
            let value = AttrValue { value: Some(Attr::Tensor(value)) };
            node.op = "Const".into();
            node.input = Vec::new();
            node.attr = HashMap::from([("dtype".into(), dtype), ("value".into(), value)]);
        }
    }
    for (i, first) in copies {
        let name = nodes.get(first).map(|n| n.name.clone()).unwrap_or_default();
        if let Some(node) = nodes.get_mut(i) {
            node.op = "Identity".into();
            node.input = vec![name];
        }
    }
    Ok(())
}

/// The shape and the type that the graph gives a variable must be those of its value.
fn agrees(node: &NodeDef, key: &str, value: &TensorProto) -> Result<(), SavedModelError> {
    let attribute = |name: &str| node.attr.get(name).and_then(|a| a.value.as_ref());
    let dims = |shape: &crate::tensorflow::messages::TensorShapeProto| {
        shape.dim.iter().map(|d| d.size).collect::<Vec<i64>>()
    };
    let found = value.tensor_shape.as_ref().map(dims).unwrap_or_default();
    if let Some(Attr::Shape(shape)) = attribute("shape")
        && !shape.unknown_rank
    {
        let wanted = dims(shape);
        let fits = wanted.len() == found.len()
            && wanted.iter().zip(&found).all(|(&wanted, &found)| wanted < 0 || wanted == found);
        if !fits {
            return Err(SavedModelError::damaged(format!(
                "the variable {:?} has the shape {wanted:?}, but its value {key:?} in the checkpoint has {found:?}",
                node.name
            )));
        }
    }
    match attribute("dtype") {
        Some(Attr::Type(dtype)) if *dtype != value.dtype => Err(SavedModelError::damaged(format!(
            "the variable {:?} has elements of the type {dtype}, but its value {key:?} in the checkpoint has {}",
            node.name, value.dtype
        ))),
        _ => Ok(()),
    }
}

/// The key of a variable that no node restores: its name, or what the checkpoint says of a variable
/// of this name.
fn named(
    node: &NodeDef,
    bundle: &Bundle,
    objects: &mut Option<HashMap<String, Vec<String>>>,
) -> Result<String, SavedModelError> {
    let shared = match node.attr.get("shared_name").and_then(|a| a.value.as_ref()) {
        Some(Attr::S(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => String::new(),
    };
    let names = [shared, node.name.clone()];
    let names = || names.iter().filter(|n| !n.is_empty());
    if let Some(name) = names().find(|n| bundle.contains(n)) {
        return Ok(name.clone());
    }
    let objects = match objects {
        Some(objects) => objects,
        None => objects.insert(object_keys(bundle)?),
    };
    let keys = names().find_map(|n| objects.get(n));
    match keys.map(Vec::as_slice) {
        Some([key]) => Ok(key.clone()),
        Some(keys) => Err(SavedModelError::Variable {
            name: node.name.clone(),
            reason: format!("several values are of a variable of this name: {}", keys.join(", ")),
        }),
        None => Err(SavedModelError::Variable {
            name: node.name.clone(),
            reason: format!(
                "the checkpoint has no value for it. {}",
                near(&node.name, bundle.keys().chain(objects.keys().map(String::as_str)))
            ),
        }),
    }
}

/// The keys of the values of variables, by the variables' names.
fn object_keys(bundle: &Bundle) -> Result<HashMap<String, Vec<String>>, SavedModelError> {
    let mut keys: HashMap<String, Vec<String>> = HashMap::new();
    if !bundle.contains(OBJECTS) {
        return Ok(keys);
    }
    let graph = TrackableObjectGraph::decode(bundle.string(OBJECTS)?.as_slice()).map_err(|e| {
        SavedModelError::damaged(format!("{OBJECTS} in the checkpoint does not decode ({e})"))
    })?;
    for value in graph.nodes.into_iter().flat_map(|n| n.attributes) {
        let known = keys.entry(value.full_name).or_default();
        if !known.contains(&value.checkpoint_key) {
            known.push(value.checkpoint_key);
        }
    }
    Ok(keys)
}

/// The nodes of a flat graph, and how they hang together.
struct Links<'a> {
    nodes: &'a [NodeDef],
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Links<'a> {
    fn new(nodes: &'a [NodeDef]) -> Links<'a> {
        Links { nodes, by_name: nodes.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect() }
    }

    fn node(&self, i: usize) -> Option<&'a NodeDef> {
        self.nodes.get(i)
    }

    /// An operand of a node: the node that it comes from, and which result.
    fn operand(&self, i: usize, operand: usize) -> Option<Flat> {
        let reference = self.node(i)?.input.get(operand)?;
        let (name, port) = match reference.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()?),
            None => (reference.as_str(), 0),
        };
        Some((*self.by_name.get(name)?, port))
    }

    /// Where a value comes from, behind nodes that only pass it on.
    fn source(&self, mut value: Flat) -> Option<Flat> {
        // In a loop of such nodes it comes from nowhere.
        for _ in 0..self.nodes.len() {
            value = match self.node(value.0)?.op.as_str() {
                "Identity" | "StopGradient" | "Snapshot" => self.operand(value.0, 0)?,
                "IdentityN" => self.operand(value.0, value.1)?,
                _ => return Some(value),
            };
        }
        None
    }

    /// The nodes that values need.
    fn needed(&self, outputs: &[Flat]) -> Vec<usize> {
        let mut stack: Vec<usize> = outputs.iter().map(|o| o.0).collect();
        let mut seen: HashSet<usize> = stack.iter().copied().collect();
        let mut order = Vec::new();
        while let Some(i) = stack.pop() {
            order.push(i);
            let operands = self.node(i).map_or(0, |n| n.input.len());
            // What comes before a variable that is read (its initial value) is of no use.
            if self.variable_read_by(i).is_some() {
                continue;
            }
            for (j, _) in (0..operands).filter_map(|o| self.operand(i, o)) {
                if seen.insert(j) {
                    stack.push(j);
                }
            }
        }
        order.sort_unstable();
        order
    }

    /// The variable whose value is the result of this node.
    fn variable_read_by(&self, i: usize) -> Option<usize> {
        match self.node(i)?.op.as_str() {
            "VariableV2" | "Variable" => Some(i),
            "ReadVariableOp" => {
                let (variable, _) = self.source(self.operand(i, 0)?)?;
                (self.node(variable)?.op == "VarHandleOp").then_some(variable)
            }
            _ => None,
        }
    }

    /// The variables that loops, branches and look-ups get, which read them themselves.
    fn handed_on(&self, needed: &[usize]) -> HashSet<usize> {
        let reads = |op: &str| is_control(op) || op == "ResourceGather";
        let readers = needed.iter().filter(|&&i| self.node(i).is_some_and(|n| reads(&n.op)));
        let operands = readers.flat_map(|&i| {
            let count = self.node(i).map_or(0, |n| n.input.len());
            (0..count).filter_map(move |o| self.source(self.operand(i, o)?)).map(|(node, _)| node)
        });
        operands.filter(|&node| self.node(node).is_some_and(|n| n.op == "VarHandleOp")).collect()
    }

    /// For each variable that a node assigns a value from the checkpoint: the value's name there.
    /// It is what TensorFlow itself goes by.
    fn restored(&self) -> HashMap<usize, String> {
        let mut keys = HashMap::new();
        for (i, _) in self.nodes.iter().enumerate().filter(|(_, n)| is_assignment(n)) {
            let variable = self.operand(i, 0).and_then(|v| self.source(v));
            let value = self.operand(i, 1).and_then(|v| self.source(v));
            if let Some((variable, _)) = variable
                && let Some((restore, port)) = value
                && let Some(key) = self.restored_key(restore, port)
            {
                keys.entry(variable).or_insert(key);
            }
        }
        keys
    }

    /// The name of a result of a node that reads a checkpoint.
    fn restored_key(&self, restore: usize, port: usize) -> Option<String> {
        if self.node(restore)?.op != "RestoreV2" {
            return None;
        }
        let (names, _) = self.source(self.operand(restore, 1)?)?;
        let Some(Attr::Tensor(names)) = self.node(names)?.attr.get("value").and_then(|a| a.value.as_ref())
        else {
            return None;
        };
        let name = names.string_val.get(port).or(names.string_val.last())?;
        String::from_utf8(name.clone()).ok()
    }
}
