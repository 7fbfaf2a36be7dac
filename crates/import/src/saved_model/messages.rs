//! The protocol buffers of a SavedModel and of its checkpoint, written by hand: the fields that
//! matter, with their numbers in TensorFlow's `saved_model.proto`, `meta_graph.proto`,
//! `saver.proto`, `tensor_bundle.proto` and `trackable_object_graph.proto`. Other fields are
//! skipped when decoding.

use std::collections::BTreeMap;

use prost::Message;

use crate::tensorflow::messages::{DataType, GraphDef, OpDef, TensorShapeProto};

/// `saved_model.pb`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SavedModel {
    /// One graph for each way to use the model.
    #[prost(message, repeated, tag = "2")]
    pub(super) meta_graphs: Vec<MetaGraphDef>,
}

/// A graph with what one needs to run it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaGraphDef {
    /// Its tags, and the operations that it uses.
    #[prost(message, optional, tag = "1")]
    pub(super) meta_info_def: Option<MetaInfoDef>,
    /// The graph.
    #[prost(message, optional, tag = "2")]
    pub(super) graph_def: Option<GraphDef>,
    /// How its variables are restored.
    #[prost(message, optional, tag = "3")]
    pub(super) saver_def: Option<SaverDef>,
    /// What can be computed with it, by name.
    #[prost(btree_map = "string, message", tag = "5")]
    pub(super) signature_def: BTreeMap<String, SignatureDef>,
}

/// About a graph.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaInfoDef {
    /// The operations and functions that the graph uses: their operands and results.
    #[prost(message, optional, tag = "2")]
    pub(super) stripped_op_list: Option<OpList>,
    /// What the graph is for: `serve`, `train`, `gpu`, `tpu`.
    #[prost(string, repeated, tag = "4")]
    pub(super) tags: Vec<String>,
}

/// Operations.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OpList {
    /// The operations.
    #[prost(message, repeated, tag = "1")]
    pub(super) op: Vec<OpDef>,
}

/// How variables are restored.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SaverDef {
    /// The node that restores all of them.
    #[prost(string, tag = "3")]
    pub(super) restore_op_name: String,
}

/// What can be computed: named inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SignatureDef {
    /// Inputs, by name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) inputs: BTreeMap<String, TensorInfo>,
    /// Outputs, by name.
    #[prost(btree_map = "string, message", tag = "2")]
    pub(super) outputs: BTreeMap<String, TensorInfo>,
}

/// A value of the graph.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorInfo {
    /// Which one: `node:port`. Empty for sparse and composite values, which are not read here.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Type of the elements.
    #[prost(enumeration = "DataType", tag = "2")]
    pub(super) dtype: i32,
    /// Shape, as far as it is known.
    #[prost(message, optional, tag = "3")]
    pub(super) tensor_shape: Option<TensorShapeProto>,
}

/// The entry of a checkpoint's index under the empty key.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BundleHeaderProto {
    /// Number of data files.
    #[prost(int32, tag = "1")]
    pub(super) num_shards: i32,
    /// Byte order: 0 little, 1 big.
    #[prost(int32, tag = "2")]
    pub(super) endianness: i32,
}

/// Where a tensor is.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BundleEntryProto {
    /// Type of the elements.
    #[prost(enumeration = "DataType", tag = "1")]
    pub(super) dtype: i32,
    /// Shape.
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<TensorShapeProto>,
    /// The data file.
    #[prost(int32, tag = "3")]
    pub(super) shard_id: i32,
    /// Where it begins there.
    #[prost(int64, tag = "4")]
    pub(super) offset: i64,
    /// Its bytes.
    #[prost(int64, tag = "5")]
    pub(super) size: i64,
    /// Masked CRC-32C of these bytes.
    #[prost(fixed32, tag = "6")]
    pub crc32c: u32,
    /// The parts that it is stored in, if it is not stored whole.
    #[prost(message, repeated, tag = "7")]
    pub(super) slices: Vec<TensorSliceProto>,
}

/// A part of a tensor: where it lies does not matter here, as such tensors are refused.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorSliceProto {}

/// The objects that a checkpoint of TensorFlow 2 was made from.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TrackableObjectGraph {
    /// The objects.
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<TrackableObject>,
}

/// An object.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TrackableObject {
    /// Its values in the checkpoint.
    #[prost(message, repeated, tag = "2")]
    pub(super) attributes: Vec<SerializedTensor>,
}

/// A value in a checkpoint.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SerializedTensor {
    /// The variable's name.
    #[prost(string, tag = "2")]
    pub(super) full_name: String,
    /// The name of its value in the checkpoint.
    #[prost(string, tag = "3")]
    pub(super) checkpoint_key: String,
}
