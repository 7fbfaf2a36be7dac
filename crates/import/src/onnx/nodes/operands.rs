//! A node's operands.

use super::{Kind, Node, Value, opaque};
use crate::value::{Fault, Ints, MAX_ELEMENTS};
use cryptflow_graph::{Array, NodeId};

/// Integers beyond this are not all floats.
const EXACT: u64 = 1 << 24;

impl Node<'_> {
    /// An operand, whatever it is; an unknown one ends the import of this node.
    pub(super) fn operand(&self, i: usize) -> Result<&Value, Fault> {
        match self.operands.get(i) {
            Some(Value::Unknown) => Err(Fault::Unknown),
            None | Some(Value::Absent) => Err(Fault::Unsupported(format!(
                "operand {i} is needed, but the node has none: the file is damaged, or of another version"
            ))),
            Some(value) => Ok(value),
        }
    }

    /// Whether an operand is given.
    pub(super) fn has(&self, i: usize) -> bool {
        !matches!(self.operands.get(i), None | Some(Value::Absent))
    }

    pub(super) fn kind(&self, i: usize) -> Kind {
        self.kinds.get(i).copied().unwrap_or(Kind::Float)
    }

    /// An operand to compute on; known integers become a constant.
    pub(super) fn tensor(&mut self, i: usize) -> Result<NodeId, Fault> {
        let value = self.operand(i)?.clone();
        self.as_tensor(&value, &format!("operand_{i}"))
    }

    /// A value to compute on; known integers become a constant.
    pub(super) fn as_tensor(&mut self, value: &Value, part: &str) -> Result<NodeId, Fault> {
        match value {
            Value::Tensor(id) => Ok(*id),
            Value::Int(ints) => {
                if let Some(large) = ints.data.iter().find(|v| v.unsigned_abs() > EXACT) {
                    return Err(format!(
                        "computes with the integer {large}, which is too large to be exact in fixed point"
                    )
                    .into());
                }
                let data = ints.data.iter().map(|&v| v as f32).collect();
                Ok(self.constant(part, Array::new(ints.shape.clone(), data)?))
            }
            Value::Opaque(dtype) => Err(opaque(dtype)),
            Value::Absent => Err("lacks an operand: the file is damaged".into()),
            Value::Unknown => Err(Fault::Unknown),
        }
    }

    /// All operands, to compute on.
    pub(super) fn tensors(&mut self) -> Result<Vec<NodeId>, Fault> {
        (0..self.operands.len()).map(|i| self.tensor(i)).collect()
    }

    /// An operand that must be known when importing: integers.
    pub(super) fn ints(&self, i: usize) -> Result<Ints, Fault> {
        match self.operand(i)? {
            Value::Int(ints) => Ok(ints.clone()),
            // An arg-max that was folded, or a float that a converter left: whole numbers are as good.
            Value::Tensor(id) => match self.graph.constant(*id) {
                Some(a) if a.data.iter().all(|v| v.fract() == 0.0 && v.abs() < EXACT as f32) => {
                    Ok(Ints { shape: a.shape.clone(), data: a.data.iter().map(|&v| v as i64).collect() })
                }
                _ => Err(format!(
                    "operand {i} must be integers that are known when compiling (a constant, or computed from shapes), \
                     but it depends on an input. If it is an input of the model, make it a constant: it cannot stay \
                     secret"
                )
                .into()),
            },
            _ => Err(format!("operand {i} must be integers").into()),
        }
    }

    /// A single known integer.
    pub(super) fn int(&self, i: usize) -> Result<i64, Fault> {
        match self.ints(i)?.data.as_slice() {
            [value] => Ok(*value),
            values => Err(format!("operand {i} must be one integer, not {}", values.len()).into()),
        }
    }

    /// Known lengths: none of them negative.
    pub(super) fn lengths(&self, i: usize) -> Result<Vec<usize>, Fault> {
        let ints = self.ints(i)?;
        let lengths = ints.data.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v <= MAX_ELEMENTS));
        lengths
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::Unsupported(format!("operand {i} has impossible lengths: {:?}", ints.data)))
    }

    /// The floats of an operand that must be known when importing.
    pub(super) fn known(&self, i: usize) -> Result<Array, Fault> {
        match self.operand(i)? {
            Value::Tensor(id) => self.graph.constant(*id).cloned().ok_or_else(|| {
                Fault::Unsupported(format!("operand {i} depends on an input, and must be constant here"))
            }),
            Value::Int(ints) => {
                Ok(Array::new(ints.shape.clone(), ints.data.iter().map(|&v| v as f32).collect())?)
            }
            _ => Err(format!("operand {i} must be numbers").into()),
        }
    }

    /// A single known number.
    pub(super) fn known_number(&self, i: usize) -> Result<f32, Fault> {
        match self.known(i)?.data.as_slice() {
            [value] => Ok(*value),
            values => Err(format!("operand {i} must be one number, not {}", values.len()).into()),
        }
    }

    pub(super) fn shape(&self, id: NodeId) -> &[usize] {
        &self.graph.node(id).shape
    }

    /// The shape of an operand.
    pub(super) fn shape_of(&self, i: usize) -> Result<Vec<usize>, Fault> {
        self.shape_of_value(self.operand(i)?)
    }

    pub(super) fn shape_of_value(&self, value: &Value) -> Result<Vec<usize>, Fault> {
        match value {
            Value::Tensor(id) => Ok(self.shape(*id).to_vec()),
            Value::Int(ints) => Ok(ints.shape.clone()),
            Value::Opaque(dtype) => Err(opaque(dtype)),
            Value::Absent => Err("lacks an operand: the file is damaged".into()),
            Value::Unknown => Err(Fault::Unknown),
        }
    }
}
