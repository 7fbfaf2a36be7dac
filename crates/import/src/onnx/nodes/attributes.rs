//! A node's attributes.

use super::{Message, Node};
use crate::node;
use crate::onnx::messages::{AttributeProto, AttributeType, TensorProto};
use crate::reduction::Reducing;
use crate::value::{Fault, distinct_axes};
use cryptflow_graph::operations::Parameter;

impl Message<'_> {
    fn attribute(&self, name: &str, wanted: AttributeType) -> Result<Option<&AttributeProto>, Fault> {
        let found = self.def.attribute.iter().find(|a| a.name == name);
        let of = found.and_then(|a| AttributeType::try_from(a.r#type).ok());
        match of.unwrap_or(AttributeType::Undefined) {
            AttributeType::Undefined => Ok(found),
            of if of == wanted => Ok(found),
            _ => Err(<Self as node::Message>::wrong(name)),
        }
    }
}

impl node::Message for Message<'_> {
    const ROUNDS_INTEGERS: bool = false;

    fn wrong(name: &str) -> Fault {
        Fault::from(format!("the attribute {name:?} has a value that it cannot have: the file is damaged"))
    }

    fn int(&self, name: &str) -> Result<Option<i64>, Fault> {
        Ok(self.attribute(name, AttributeType::Int)?.map(|a| a.i))
    }

    fn float(&self, name: &str) -> Result<Option<f32>, Fault> {
        Ok(self.attribute(name, AttributeType::Float)?.map(|a| a.f))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        Ok(self.int(name)?.map(|i| i != 0))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        let text = self.attribute(name, AttributeType::String)?.map(|a| std::str::from_utf8(&a.s));
        text.transpose().map_err(|_| Self::wrong(name))
    }

    fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    fn parameter(parameter: &Parameter) -> (Option<&'static str>, f32) {
        (Some(parameter.onnx.0), parameter.onnx.1)
    }

    fn reducing(node: &Node<'_>, rank: usize) -> Result<Reducing, Fault> {
        let keep_dims = node.attr_flag("keepdims", true)?;
        let axes = match node.axes(1, rank)?.filter(|a| !a.is_empty()) {
            Some(axes) => axes,
            None if node.attr_flag("noop_with_empty_axes", false)? => Vec::new(),
            None => (0..rank).collect(),
        };
        Ok(Reducing { axes, keep_dims })
    }
}

impl Node<'_> {
    pub(super) fn has_attribute(&self, name: &str) -> bool {
        self.message.def.attribute.iter().any(|a| a.name == name)
    }

    pub(super) fn attr_floats(&self, name: &str) -> Result<Option<Vec<f32>>, Fault> {
        Ok(self.message.attribute(name, AttributeType::Floats)?.map(|a| a.floats.clone()))
    }

    /// Texts; what is no UTF-8 in them is replaced.
    pub(super) fn attr_strings(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let found = self.message.attribute(name, AttributeType::Strings)?;
        Ok(found.map(|a| a.strings.iter().map(text).collect()))
    }

    pub(super) fn attr_tensor(&self, name: &str) -> Result<Option<&TensorProto>, Fault> {
        Ok(self.message.attribute(name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()))
    }

    /// Axes: an operand in newer versions, an attribute in older ones; nothing where neither is
    /// given.
    pub(super) fn axes(&self, operand: usize, rank: usize) -> Result<Option<Vec<usize>>, Fault> {
        let given = self.ints_of("axes", operand)?;
        given.map(|axes| distinct_axes(&axes, rank)).transpose()
    }

    /// Integers in an attribute, or else in an operand, as versions differ; nothing where neither
    /// is given.
    pub(super) fn ints_of(&self, attribute: &str, operand: usize) -> Result<Option<Vec<i64>>, Fault> {
        match self.attr_ints(attribute)? {
            None if self.has(operand) => Ok(Some(self.ints(operand)?.data)),
            given => Ok(given),
        }
    }

    /// The same of integers that are needed.
    pub(super) fn needed_ints(&self, attribute: &str, operand: usize) -> Result<Vec<i64>, Fault> {
        match self.attr_ints(attribute)? {
            Some(given) => Ok(given),
            None => Ok(self.ints(operand)?.data),
        }
    }
}
