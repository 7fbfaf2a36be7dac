//! A node's attributes.

use super::Node;
use crate::tensorflow::messages::{Attr, DataType};
use crate::value::Fault;

impl Node<'_> {
    pub(super) fn attr(&self, name: &str) -> Option<&Attr> {
        self.message.def.attr.get(name).and_then(|a| a.value.as_ref())
    }

    pub(super) fn wrong(name: &str) -> Fault {
        Fault::Unsupported(format!(
            "the attribute {name:?} has another type than expected: the file is damaged"
        ))
    }

    pub(super) fn attr_bool(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::B(value)) => Ok(*value),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    pub(super) fn attr_int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::I(value)) => Ok(*value),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    pub(super) fn attr_float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::F(value)) => Ok(*value),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    pub(super) fn attr_str(&self, name: &str, default: &'static str) -> Result<&str, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::S(value)) => std::str::from_utf8(value).map_err(|_| Self::wrong(name)),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    pub(super) fn attr_ints(&self, name: &str) -> Result<Vec<i64>, Fault> {
        match self.attr(name) {
            None => Ok(Vec::new()),
            Some(Attr::List(list)) => Ok(list.i.clone()),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    pub(super) fn attr_type(&self, name: &str) -> Result<DataType, Fault> {
        match self.attr(name) {
            Some(Attr::Type(value)) => DataType::try_from(*value).map_err(|_| Self::wrong(name)),
            _ => Err(Self::wrong(name)),
        }
    }
}
