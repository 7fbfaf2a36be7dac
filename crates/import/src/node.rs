//! A node of a model while it is imported: its operands, and what it becomes.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use cryptflow_ring::Movement;

use super::builder::Builder;
use super::reduction::Reducing;
use super::tensor::{Constant, Opaque};
use super::value::{Fault, Ints, MAX_ELEMENTS, axis};
use cryptflow_graph::operations::Parameter;
use cryptflow_graph::{Array, ClassNames, NodeId, Op};

/// Integers beyond this are not all floats.
const EXACT: u64 = 1 << 24;

/// What a result of a node is while importing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A node of the graph, possibly a constant: floats, or integers and flags as floats.
    Tensor(NodeId),
    /// Integers and flags that are known: shapes, axes and the like.
    Int(Ints),
    /// A list of tensors; absent where nothing was written yet.
    List(Rc<Vec<Value>>),
    /// A constant that nothing can compute on (strings).
    Opaque(Opaque),
    /// Indices of classes, and what the client calls these.
    Label(NodeId, Rc<ClassNames>),
    /// An operand that is left out.
    Absent,
    /// What a branch gives that is not taken.
    Dead,
    /// The result of a node that could not be imported.
    Unknown,
}

impl Value {
    /// The integers that it is, where it is integers.
    pub(crate) fn ints(&self) -> Option<&Ints> {
        match self {
            Value::Int(ints) => Some(ints),
            _ => None,
        }
    }
}

/// The results of a node, in order.
pub(crate) type Results = Result<Vec<Value>, Fault>;

/// What a framework says of a node. Attributes that are not there are none.
pub(crate) trait Message: Sized {
    /// Whether known integers may become floats that are only near them; operations of floats then
    /// refuse them.
    const ROUNDS_INTEGERS: bool;

    /// What is said of an attribute that holds what it cannot hold.
    fn wrong(name: &str) -> Fault;
    fn int(&self, name: &str) -> Result<Option<i64>, Fault>;
    fn float(&self, name: &str) -> Result<Option<f32>, Fault>;
    fn flag(&self, name: &str) -> Result<Option<bool>, Fault>;
    fn text(&self, name: &str) -> Result<Option<&str>, Fault>;
    fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault>;
    /// The attribute that holds a parameter of a function, if one does, and its value without it.
    fn parameter(parameter: &Parameter) -> (Option<&'static str>, f32);
    /// The axes over which a node reduces an operand of this rank.
    fn reducing(node: &Node<'_, Self>, rank: usize) -> Result<Reducing, Fault>;
}

/// A node of a model while it is imported: its message, its operands, and the builder of what it
/// becomes, whose functions are the node's own.
pub(crate) struct Node<'a, M> {
    /// What the framework says of it.
    pub(crate) message: M,
    pub(crate) operands: Vec<Value>,
    pub(crate) builder: Builder<'a>,
}

impl<'a, M> Deref for Node<'a, M> {
    type Target = Builder<'a>;

    fn deref(&self) -> &Builder<'a> {
        &self.builder
    }
}

impl<'a, M> DerefMut for Node<'a, M> {
    fn deref_mut(&mut self) -> &mut Builder<'a> {
        &mut self.builder
    }
}

/// Attributes, by their names.
impl<M: Message> Node<'_, M> {
    pub(crate) fn wrong(name: &str) -> Fault {
        M::wrong(name)
    }

    pub(crate) fn attr_int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        Ok(self.message.int(name)?.unwrap_or(default))
    }

    pub(crate) fn attr_float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        Ok(self.message.float(name)?.unwrap_or(default))
    }

    pub(crate) fn attr_flag(&self, name: &str, default: bool) -> Result<bool, Fault> {
        Ok(self.message.flag(name)?.unwrap_or(default))
    }

    pub(crate) fn attr_text(&self, name: &str, default: &'static str) -> Result<&str, Fault> {
        Ok(self.message.text(name)?.unwrap_or(default))
    }

    pub(crate) fn attr_ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        self.message.ints(name)
    }

    pub(crate) fn attr_axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Fault> {
        axis(self.attr_int(name, default)?, rank)
    }
}

impl<M: Message> Node<'_, M> {
    /// An operand, whatever it is; an unknown one ends the import of this node.
    pub(crate) fn operand(&self, i: usize) -> Result<&Value, Fault> {
        match self.operands.get(i) {
            Some(Value::Unknown | Value::Dead) => Err(Fault::Unknown),
            None | Some(Value::Absent) => Err(Fault::from(format!(
                "operand {i} is needed, but the node has none: the file is damaged, or of another version"
            ))),
            Some(value) => Ok(value),
        }
    }

    /// Whether an operand is given.
    pub(crate) fn has(&self, i: usize) -> bool {
        !matches!(self.operands.get(i), None | Some(Value::Absent))
    }

    /// An operand to compute on; known integers become a constant.
    pub(crate) fn tensor(&mut self, i: usize) -> Result<NodeId, Fault> {
        let value = self.operand(i)?.clone();
        self.tensor_of(&value, &format!("operand_{i}"))
    }

    /// All operands, to compute on.
    pub(crate) fn tensors(&mut self) -> Result<Vec<NodeId>, Fault> {
        (0..self.operands.len()).map(|i| self.tensor(i)).collect()
    }

    /// A value to compute on; known integers become a constant.
    pub(crate) fn tensor_of(&mut self, value: &Value, part: &str) -> Result<NodeId, Fault> {
        match value {
            Value::Tensor(id) => Ok(*id),
            Value::Int(ints) => match ints.data.iter().find(|v| v.unsigned_abs() > EXACT) {
                Some(large) if !M::ROUNDS_INTEGERS => Err(format!(
                    "computes with the integer {large}, which is too large to be exact in fixed point"
                )
                .into()),
                _ => self.add_integers(part, ints),
            },
            Value::Opaque(dtype) => Err(opaque(dtype)),
            Value::Label(..) => Err(of_names()),
            Value::Absent => Err("lacks an operand: the file is damaged".into()),
            Value::List(_) => Err(of_a_list()),
            Value::Unknown | Value::Dead => Err(Fault::Unknown),
        }
    }

    /// An operand to compute on, for operations that would be others for integers: it must be
    /// floats.
    pub(crate) fn floats(&self, i: usize) -> Result<NodeId, Fault> {
        match self.operand(i)? {
            Value::Tensor(id) => Ok(*id),
            Value::Int(_) => Err(format!(
                "operand {i} is known integers, and this operation computes on floats. Cast it to floats first"
            )
            .into()),
            Value::Opaque(dtype) => Err(opaque(dtype)),
            Value::Label(..) => Err(of_names()),
            Value::List(_) => Err(of_a_list()),
            Value::Absent | Value::Dead | Value::Unknown => Err(Fault::Unknown),
        }
    }

    /// An operand of an operation of floats: one to compute on, or what frameworks that tell
    /// integers from floats accept.
    pub(crate) fn reals(&mut self, i: usize) -> Result<NodeId, Fault> {
        if M::ROUNDS_INTEGERS { self.floats(i) } else { self.tensor(i) }
    }

    /// An operand that must be known when importing: integers, or floats that are whole, as an
    /// arg-max that was folded.
    pub(crate) fn ints(&self, i: usize) -> Result<Ints, Fault> {
        let whole = |a: &Array| a.data.iter().all(|v| v.fract() == 0.0 && v.abs() < EXACT as f32);
        match self.operand(i)? {
            Value::Int(ints) => Ok(ints.clone()),
            Value::Tensor(id) => match self.constant_of(*id) {
                Some(array) if whole(array) => Ok(Ints::cut_off(array)),
                Some(_) => Err(format!("operand {i} must be integers").into()),
                None => Err(format!(
                    "operand {i} must be integers that are known when compiling (a constant, or computed from shapes), but \
                     it depends on an input. If it is an input of the model, make it a constant: it cannot stay secret"
                )
                .into()),
            },
            Value::Label(..) => Err(of_names()),
            Value::List(_) | Value::Opaque(_) | Value::Absent | Value::Dead | Value::Unknown => {
                Err(format!("operand {i} must be integers").into())
            }
        }
    }

    /// A single known integer.
    pub(crate) fn int(&self, i: usize) -> Result<i64, Fault> {
        match self.ints(i)?.data.as_slice() {
            [value] => Ok(*value),
            values => Err(format!("operand {i} must be one integer, not {}", values.len()).into()),
        }
    }

    /// Known lengths: none of them negative.
    pub(crate) fn lengths(&self, i: usize) -> Result<Vec<usize>, Fault> {
        let ints = self.ints(i)?;
        let lengths = ints.data.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v <= MAX_ELEMENTS));
        lengths
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::from(format!("operand {i} has impossible lengths: {:?}", ints.data)))
    }

    /// The numbers of an operand that must be known when importing.
    pub(crate) fn known(&self, i: usize) -> Result<Array, Fault> {
        match self.operand(i)? {
            Value::Tensor(id) => self.constant_of(*id).cloned().ok_or_else(|| {
                Fault::from(format!(
                    "operand {i} depends on an input, and must be constant here. If it is an input of the model, make it \
                     a constant"
                ))
            }),
            Value::Int(ints) => ints.to_array(),
            Value::Label(..) => Err(of_names()),
            Value::List(_) | Value::Opaque(_) | Value::Absent | Value::Dead | Value::Unknown => {
                Err(format!("operand {i} must be numbers").into())
            }
        }
    }

    /// A single known number.
    pub(crate) fn known_number(&self, i: usize) -> Result<f32, Fault> {
        match self.known(i)?.data.as_slice() {
            [value] => Ok(*value),
            values => Err(format!("operand {i} must be one number, not {}", values.len()).into()),
        }
    }

    /// The shape of an operand.
    pub(crate) fn shape_of(&self, i: usize) -> Result<Vec<usize>, Fault> {
        self.shape_of_value(self.operand(i)?)
    }

    /// The shape of a value.
    pub(crate) fn shape_of_value(&self, value: &Value) -> Result<Vec<usize>, Fault> {
        match value {
            Value::Tensor(id) => Ok(self.shape(*id).to_vec()),
            Value::Int(ints) => Ok(ints.shape.clone()),
            Value::Label(index, _) => Ok(self.shape(*index).to_vec()),
            Value::Opaque(dtype) => Err(opaque(dtype)),
            Value::Absent => Err("lacks an operand: the file is damaged".into()),
            Value::List(_) => Err(of_a_list()),
            Value::Unknown | Value::Dead => Err(Fault::Unknown),
        }
    }

    /// An operand, whatever it is, and its shape.
    pub(crate) fn shaped(&self, i: usize) -> Result<(Value, Vec<usize>), Fault> {
        let value = self.operand(i)?.clone();
        let shape = self.shape_of_value(&value)?;
        Ok((value, shape))
    }

    /// Adds the operation that gives this node's only result.
    pub(crate) fn result(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Results {
        Ok(vec![Value::Tensor(self.add(op, inputs)?)])
    }

    /// The constant that is this node's only result.
    pub(crate) fn constant_result(&mut self, constant: Constant) -> Results {
        Ok(vec![match constant {
            Constant::Float(array) => Value::Tensor(self.add_known(array)),
            Constant::Int(ints) => Value::Int(ints),
            Constant::Opaque(dtype) => Value::Opaque(dtype),
        }])
    }

    /// Passes operand 0 on.
    pub(crate) fn pass_on(&mut self) -> Results {
        let value = self.operand(0)?.clone();
        Ok(vec![match value {
            Value::Tensor(id) => Value::Tensor(self.add(Op::Identity, &[id])?),
            other => other,
        }])
    }

    /// Builds this node's only result in parts that are named by their numbers.
    pub(crate) fn composed(
        &mut self,
        build: impl FnOnce(&mut Builder<'_>) -> Result<NodeId, Fault>,
    ) -> Results {
        let before = self.graph.nodes.len();
        let name = self.name.clone();
        let mut builder = self.under(name);
        let result = build(&mut builder)?;
        // What the composition only passes on keeps its own name.
        let id =
            if result.0 < before { builder.add(Op::Identity, &[result])? } else { builder.finish(result) };
        Ok(vec![Value::Tensor(id)])
    }

    /// Moves the elements of a value, step after step. The last step gives this node's first
    /// result.
    pub(crate) fn move_value(
        &mut self,
        value: &Value,
        steps: impl IntoIterator<Item = Movement>,
    ) -> Result<Value, Fault> {
        self.move_value_as(self.name.clone(), value, steps)
    }

    /// Moves the elements of a value, step after step, to this node's only result.
    pub(crate) fn moved(&mut self, value: &Value, steps: impl IntoIterator<Item = Movement>) -> Results {
        Ok(vec![self.move_value(value, steps)?])
    }

    /// Moves the elements of a value, step after step; the last step has this name.
    pub(crate) fn move_value_as(
        &mut self,
        name: String,
        value: &Value,
        steps: impl IntoIterator<Item = Movement>,
    ) -> Result<Value, Fault> {
        let mut steps = steps.into_iter().enumerate().peekable();
        let mut value = value.clone();
        while let Some((i, step)) = steps.next() {
            value = match &value {
                Value::Tensor(id) | Value::Label(id, _) => {
                    let op = Op::Movement(step);
                    let name = match steps.peek() {
                        None => name.clone(),
                        Some(_) => format!("{name}/{}_{i}", op.name()),
                    };
                    let moved = self.add_as(name, op, &[*id])?;
                    match &value {
                        Value::Label(_, names) => Value::Label(moved, Rc::clone(names)),
                        _ => Value::Tensor(moved),
                    }
                }
                Value::Int(ints) => Value::Int(ints.moved(&step, &[])?),
                Value::Opaque(dtype) => return Err(opaque(dtype)),
                Value::Absent => return Err("lacks an operand: the file is damaged".into()),
                Value::List(_) => return Err(of_a_list()),
                Value::Unknown | Value::Dead => return Err(Fault::Unknown),
            };
        }
        Ok(value)
    }

    /// Moves the elements of a node of the graph, on the way to a result.
    pub(crate) fn move_part(&mut self, part: &str, movement: Movement, id: NodeId) -> Result<NodeId, Fault> {
        self.add_part(part, movement, &[id])
    }
}

fn of_a_list() -> Fault {
    Fault::from("computes on a list of tensors, which only what reads and writes lists can use")
}

fn of_names() -> Fault {
    Fault::from(
        "computes with names of classes, which the client looks up when the parties are done. End the model before it \
         (--output NAME)",
    )
}

fn opaque(dtype: &Opaque) -> Fault {
    Fault::from(format!("has elements of the type {dtype}, on which nothing can be computed here"))
}
