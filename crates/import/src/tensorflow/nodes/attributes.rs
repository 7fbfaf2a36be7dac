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

    /// What an attribute holds, as `value` reads it; the default where it is not there.
    fn read<'a, T>(
        &'a self,
        name: &str,
        default: T,
        value: impl FnOnce(&'a Attr) -> Option<T>,
    ) -> Result<T, Fault> {
        self.attr(name).map_or(Ok(default), |attr| value(attr).ok_or_else(|| Self::wrong(name)))
    }

    pub(super) fn attr_bool(&self, name: &str, default: bool) -> Result<bool, Fault> {
        self.read(name, default, |a| if let Attr::B(value) = a { Some(*value) } else { None })
    }

    pub(super) fn attr_int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        self.read(name, default, |a| if let Attr::I(value) = a { Some(*value) } else { None })
    }

    pub(super) fn attr_float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        self.read(name, default, |a| if let Attr::F(value) = a { Some(*value) } else { None })
    }

    pub(super) fn attr_str(&self, name: &str, default: &'static str) -> Result<&str, Fault> {
        self.read(name, default, |a| match a {
            Attr::S(value) => std::str::from_utf8(value).ok(),
            // Nothing else is text.
            _ => None,
        })
    }

    pub(super) fn attr_ints(&self, name: &str) -> Result<Vec<i64>, Fault> {
        self.read(name, Vec::new(), |a| if let Attr::List(list) = a { Some(list.i.clone()) } else { None })
    }

    pub(super) fn attr_type(&self, name: &str) -> Result<DataType, Fault> {
        match self.attr(name) {
            Some(Attr::Type(value)) => DataType::try_from(*value).map_err(|_| Self::wrong(name)),
            _ => Err(Self::wrong(name)),
        }
    }
}
