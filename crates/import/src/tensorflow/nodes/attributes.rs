//! A node's attributes.

use super::{Message, Node};
use crate::node;
use crate::reduction::Reducing;
use crate::tensorflow::messages::{Attr, DataType};
use crate::value::{Fault, distinct_axes};
use cryptflow_graph::operations::Parameter;

impl Message<'_> {
    fn attr(&self, name: &str) -> Option<&Attr> {
        self.def.attr.get(name).and_then(|a| a.value.as_ref())
    }

    /// What an attribute holds, as `value` reads it.
    fn read<'a, T>(
        &'a self,
        name: &str,
        value: impl FnOnce(&'a Attr) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let read = self.attr(name).map(|a| value(a).ok_or_else(|| <Self as node::Message>::wrong(name)));
        read.transpose()
    }
}

impl node::Message for Message<'_> {
    const ROUNDS_INTEGERS: bool = true;

    fn wrong(name: &str) -> Fault {
        Fault::from(format!("the attribute {name:?} has another type than expected: the file is damaged"))
    }

    fn int(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.read(name, |a| if let Attr::I(value) = a { Some(*value) } else { None })
    }

    fn float(&self, name: &str) -> Result<Option<f32>, Fault> {
        self.read(name, |a| if let Attr::F(value) = a { Some(*value) } else { None })
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.read(name, |a| if let Attr::B(value) = a { Some(*value) } else { None })
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        self.read(name, |a| if let Attr::S(value) = a { std::str::from_utf8(value).ok() } else { None })
    }

    fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        self.read(name, |a| if let Attr::List(list) = a { Some(list.i.clone()) } else { None })
    }

    fn parameter(parameter: &Parameter) -> (Option<&'static str>, f32) {
        parameter.tensorflow
    }

    /// The axes are operand 1.
    fn reducing(node: &Node<'_>, rank: usize) -> Result<Reducing, Fault> {
        let keep_dims = node.attr_flag("keep_dims", false)?;
        Ok(Reducing { axes: distinct_axes(&node.ints(1)?.data, rank)?, keep_dims })
    }
}

impl Node<'_> {
    pub(super) fn attr(&self, name: &str) -> Option<&Attr> {
        self.message.attr(name)
    }

    pub(super) fn attr_type(&self, name: &str) -> Result<DataType, Fault> {
        match self.attr(name) {
            Some(Attr::Type(value)) => DataType::try_from(*value).map_err(|_| Self::wrong(name)),
            _ => Err(Self::wrong(name)),
        }
    }
}
