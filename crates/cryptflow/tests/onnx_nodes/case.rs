//! The tests as `models/conformance/onnx_nodes.py` packs them.

use cryptflow_graph::Array;
use cryptflow_import::onnx::messages::{DataType, ModelProto, TensorProto};
use prost::Message;

/// All tests of a file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Cases {
    #[prost(message, repeated, tag = "1")]
    pub(crate) case: Vec<Case>,
}

/// A test: a model of one node or a few, inputs, and what must come out.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Case {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) model: Option<ModelProto>,
    /// As the test has them.
    #[prost(message, repeated, tag = "3")]
    pub(crate) input: Vec<TensorProto>,
    /// As floats.
    #[prost(message, repeated, tag = "4")]
    pub(crate) value: Vec<TensorProto>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) output: Vec<TensorProto>,
    /// Why it is none for tensors of numbers.
    #[prost(string, tag = "6")]
    pub(crate) skip: String,
    /// 1: what must come out was computed in less than single precision.
    #[prost(uint64, tag = "7")]
    pub(crate) short: u64,
}

/// The elements of a tensor of floats.
pub(crate) fn array(tensor: &TensorProto) -> Array {
    let data = tensor.raw_data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Array::new(tensor.dims.iter().map(|&d| d as usize).collect(), data).unwrap()
}

/// Which inputs are secret; the others become constants of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Secret {
    All,
    Floats,
    FirstFloat,
    None,
}

impl Secret {
    pub(crate) const ALL: [Secret; 4] = [Secret::All, Secret::Floats, Secret::FirstFloat, Secret::None];
}

impl Case {
    pub(crate) fn operator(&self) -> &str {
        self.model
            .as_ref()
            .and_then(|m| m.graph.as_ref())
            .and_then(|g| g.node.first())
            .map_or("", |n| n.op_type.as_str())
    }

    /// Every operator that the test's graph has.
    pub(crate) fn operators(&self) -> impl Iterator<Item = &str> {
        let graph = self.model.as_ref().and_then(|m| m.graph.as_ref());
        graph.into_iter().flat_map(|g| &g.node).map(|n| n.op_type.as_str())
    }

    /// The model with its public inputs as constants, and the values of the others by name.
    pub(crate) fn with(&self, secret: Secret) -> (ModelProto, Vec<(String, Array)>) {
        let mut model = self.model.clone().unwrap();
        let graph = model.graph.as_mut().unwrap();
        let mut values = Vec::new();
        let on_a_grid = self.operator().starts_with("QLinear");
        for (input, value) in self.input.iter().zip(&self.value) {
            let is_float = DataType::try_from(input.data_type).is_ok_and(DataType::is_float);
            // As a secret the step of a grid is rounded, which moves integers on the grid by one.
            let is_step = on_a_grid && input.name.ends_with("scale");
            let stays = match secret {
                Secret::All | Secret::Floats | Secret::FirstFloat if is_step => false,
                Secret::All => true,
                Secret::Floats => is_float,
                Secret::FirstFloat => is_float && values.is_empty(),
                Secret::None => false,
            };
            if stays {
                values.push((input.name.clone(), array(value)));
            } else {
                graph.input.retain(|i| i.name != input.name);
                graph.initializer.push(input.clone());
            }
        }
        (model, values)
    }
}
