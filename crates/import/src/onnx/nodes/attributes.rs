//! A node's attributes.

use super::Node;
use crate::onnx::messages::{AttributeProto, AttributeType, TensorProto};
use crate::value::{Fault, axis, distinct_axes};

impl Node<'_> {
    fn attribute(&self, name: &str, types: &[AttributeType]) -> Result<Option<&AttributeProto>, Fault> {
        let Some(found) = self.message.def.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        let of = AttributeType::try_from(found.r#type).unwrap_or(AttributeType::Undefined);
        if of != AttributeType::Undefined && !types.contains(&of) {
            return Err(Self::wrong(name));
        }
        Ok(Some(found))
    }

    pub(super) fn wrong(name: &str) -> Fault {
        Fault::Unsupported(format!(
            "the attribute {name:?} has a value that it cannot have: the file is damaged"
        ))
    }

    pub(super) fn has_attribute(&self, name: &str) -> bool {
        self.message.def.attribute.iter().any(|a| a.name == name)
    }

    pub(super) fn attr_int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        Ok(self.attribute(name, &[AttributeType::Int])?.map_or(default, |a| a.i))
    }

    pub(super) fn attr_flag(&self, name: &str, default: bool) -> Result<bool, Fault> {
        Ok(self.attr_int(name, default.into())? != 0)
    }

    pub(super) fn attr_float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        Ok(self.attribute(name, &[AttributeType::Float])?.map_or(default, |a| a.f))
    }

    pub(super) fn attr_text(&self, name: &str, default: &'static str) -> Result<&str, Fault> {
        match self.attribute(name, &[AttributeType::String])? {
            None => Ok(default),
            Some(a) => std::str::from_utf8(&a.s).map_err(|_| Self::wrong(name)),
        }
    }

    /// Integers; nothing where the attribute is not there.
    pub(super) fn attr_ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        Ok(self.attribute(name, &[AttributeType::Ints])?.map(|a| a.ints.clone()))
    }

    pub(super) fn attr_floats(&self, name: &str) -> Result<Option<Vec<f32>>, Fault> {
        Ok(self.attribute(name, &[AttributeType::Floats])?.map(|a| a.floats.clone()))
    }

    pub(super) fn attr_tensor(&self, name: &str) -> Result<Option<&TensorProto>, Fault> {
        Ok(self.attribute(name, &[AttributeType::Tensor])?.and_then(|a| a.t.as_ref()))
    }

    /// An axis as an attribute.
    pub(super) fn attr_axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Fault> {
        axis(self.attr_int(name, default)?, rank)
    }

    /// Axes: an operand in newer versions, an attribute in older ones; nothing where neither is
    /// given.
    pub(super) fn axes(&self, operand: usize, rank: usize) -> Result<Option<Vec<usize>>, Fault> {
        let given = match self.attr_ints("axes")? {
            Some(axes) => axes,
            None if self.has(operand) => self.ints(operand)?.data,
            None => return Ok(None),
        };
        Ok(Some(distinct_axes(&given, rank)?))
    }
}
