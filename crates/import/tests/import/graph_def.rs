//! Graphs in TensorFlow's form, built node by node.

use cryptflow_import::ImportOptions;
use cryptflow_import::tensorflow::messages::{
    Attr, AttrValue, DataType, Dim, GraphDef, ListValue, NodeDef, TensorProto, TensorShapeProto,
};
use prost::Message;

/// A graph under construction.
#[derive(Clone, Default)]
pub(crate) struct Builder(pub(crate) GraphDef);

pub(crate) fn shape(dims: &[i64]) -> TensorShapeProto {
    TensorShapeProto { dim: dims.iter().map(|&size| Dim { size }).collect(), unknown_rank: false }
}

pub(crate) fn ints(values: &[i64]) -> Attr {
    Attr::List(ListValue { i: values.to_vec(), ..ListValue::default() })
}

pub(crate) fn text(value: &str) -> Attr {
    Attr::S(value.as_bytes().to_vec())
}

impl Builder {
    pub(crate) fn node(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        attrs: &[(&str, Attr)],
    ) -> &mut Builder {
        self.0.node.push(NodeDef {
            name: name.into(),
            op: op.into(),
            input: inputs.iter().map(|&i| i.into()).collect(),
            attr: attrs.iter().map(|(k, v)| ((*k).into(), AttrValue { value: Some(v.clone()) })).collect(),
        });
        self
    }

    /// A float placeholder.
    pub(crate) fn input(&mut self, name: &str, dims: &[i64]) -> &mut Builder {
        let dtype = Attr::Type(DataType::Float as i32);
        self.node(name, "Placeholder", &[], &[("dtype", dtype), ("shape", Attr::Shape(shape(dims)))])
    }

    /// A float constant.
    pub(crate) fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> &mut Builder {
        let tensor = TensorProto {
            dtype: DataType::Float as i32,
            tensor_shape: Some(shape(dims)),
            tensor_content: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..TensorProto::default()
        };
        self.node(name, "Const", &[], &[("value", Attr::Tensor(tensor))])
    }

    /// A constant of 32-bit integers.
    pub(crate) fn integers(&mut self, name: &str, dims: &[i64], values: &[i32]) -> &mut Builder {
        let tensor = TensorProto {
            dtype: DataType::Int32 as i32,
            tensor_shape: Some(shape(dims)),
            int_val: values.to_vec(),
            ..TensorProto::default()
        };
        self.node(name, "Const", &[], &[("value", Attr::Tensor(tensor))])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }
}

/// The options, with these outputs.
pub(crate) fn outputs(names: &[&str]) -> ImportOptions {
    ImportOptions { outputs: names.iter().map(|&n| n.into()).collect(), ..ImportOptions::default() }
}

/// Numbers that are not all alike.
pub(crate) fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7 + i * i % 5) % 23) as f32 / 8.0 - 1.25).collect()
}
