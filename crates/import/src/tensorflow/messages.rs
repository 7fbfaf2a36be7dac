//! The protocol buffers of TensorFlow that the importer reads, written by hand: the fields that
//! matter, with their numbers in TensorFlow's `graph.proto`, `node_def.proto`, `attr_value.proto`,
//! `tensor.proto`, `tensor_shape.proto`, `function.proto` and `versions.proto`. Other fields are
//! skipped when decoding.

use std::collections::HashMap;

use prost::{Message, Oneof};

/// A graph.
#[derive(Clone, PartialEq, Message)]
pub struct GraphDef {
    /// The nodes, in any order.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeDef>,
    /// Functions that nodes call.
    #[prost(message, optional, tag = "2")]
    pub library: Option<FunctionDefLibrary>,
    /// Versions of the program that wrote it.
    #[prost(message, optional, tag = "4")]
    pub versions: Option<VersionDef>,
}

/// Versions of a graph.
#[derive(Clone, PartialEq, Message)]
pub struct VersionDef {
    /// The version that wrote it.
    #[prost(int32, tag = "1")]
    pub producer: i32,
    /// The oldest version that may read it.
    #[prost(int32, tag = "2")]
    pub min_consumer: i32,
}

/// A node.
#[derive(Clone, PartialEq, Message)]
pub struct NodeDef {
    /// Name, unique in the graph.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Operation.
    #[prost(string, tag = "2")]
    pub op: String,
    /// Operands: `node`, `node:port`, or `^node` for "after that node".
    #[prost(string, repeated, tag = "3")]
    pub input: Vec<String>,
    /// Attributes.
    #[prost(map = "string, message", tag = "5")]
    pub attr: HashMap<String, AttrValue>,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub struct AttrValue {
    /// Its value.
    #[prost(oneof = "Attr", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub value: Option<Attr>,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Oneof)]
pub enum Attr {
    /// A list of one type.
    #[prost(message, tag = "1")]
    List(ListValue),
    /// A string.
    #[prost(bytes, tag = "2")]
    S(Vec<u8>),
    /// An integer.
    #[prost(int64, tag = "3")]
    I(i64),
    /// A float.
    #[prost(float, tag = "4")]
    F(f32),
    /// A flag.
    #[prost(bool, tag = "5")]
    B(bool),
    /// A [`DataType`].
    #[prost(int32, tag = "6")]
    Type(i32),
    /// A shape.
    #[prost(message, tag = "7")]
    Shape(TensorShapeProto),
    /// A tensor.
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
    /// A name that a function's caller fills in.
    #[prost(string, tag = "9")]
    Placeholder(String),
    /// A function.
    #[prost(message, tag = "10")]
    Func(NameAttrList),
}

/// A list of attributes.
#[derive(Clone, PartialEq, Message)]
pub struct ListValue {
    /// Strings.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub s: Vec<Vec<u8>>,
    /// Integers.
    #[prost(int64, repeated, tag = "3")]
    pub i: Vec<i64>,
    /// Floats.
    #[prost(float, repeated, tag = "4")]
    pub f: Vec<f32>,
    /// Flags.
    #[prost(bool, repeated, tag = "5")]
    pub b: Vec<bool>,
    /// [`DataType`]s.
    #[prost(int32, repeated, tag = "6")]
    pub r#type: Vec<i32>,
    /// Shapes.
    #[prost(message, repeated, tag = "7")]
    pub shape: Vec<TensorShapeProto>,
    /// Tensors.
    #[prost(message, repeated, tag = "8")]
    pub tensor: Vec<TensorProto>,
    /// Functions.
    #[prost(message, repeated, tag = "9")]
    pub func: Vec<NameAttrList>,
}

/// A function with its attributes.
#[derive(Clone, PartialEq, Message)]
pub struct NameAttrList {
    /// The function's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Attributes.
    #[prost(map = "string, message", tag = "2")]
    pub attr: HashMap<String, AttrValue>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The axes.
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<Dim>,
    /// The number of axes is not known.
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

/// An axis.
#[derive(Clone, PartialEq, Message)]
pub struct Dim {
    /// Its length; -1 if it is open.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// A tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Type of the elements.
    #[prost(enumeration = "DataType", tag = "1")]
    pub dtype: i32,
    /// Shape.
    #[prost(message, optional, tag = "2")]
    pub tensor_shape: Option<TensorShapeProto>,
    /// The elements, little-endian; where it is empty, one of the lists below holds them.
    #[prost(bytes = "vec", tag = "4")]
    pub tensor_content: Vec<u8>,
    /// Floats.
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    /// Doubles.
    #[prost(double, repeated, tag = "6")]
    pub double_val: Vec<f64>,
    /// Integers of up to 32 bits, signed or not.
    #[prost(int32, repeated, tag = "7")]
    pub int_val: Vec<i32>,
    /// Strings.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub string_val: Vec<Vec<u8>>,
    /// 64-bit integers.
    #[prost(int64, repeated, tag = "10")]
    pub int64_val: Vec<i64>,
    /// Flags.
    #[prost(bool, repeated, tag = "11")]
    pub bool_val: Vec<bool>,
    /// Bits of half-precision floats (both kinds).
    #[prost(int32, repeated, tag = "13")]
    pub half_val: Vec<i32>,
    /// Unsigned 32-bit integers.
    #[prost(uint32, repeated, tag = "16")]
    pub uint32_val: Vec<u32>,
    /// Unsigned 64-bit integers.
    #[prost(uint64, repeated, tag = "17")]
    pub uint64_val: Vec<u64>,
}

/// The functions of a graph.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionDefLibrary {
    /// The functions.
    #[prost(message, repeated, tag = "1")]
    pub function: Vec<FunctionDef>,
}

/// A function.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionDef {
    /// Its name, arguments and results.
    #[prost(message, optional, tag = "1")]
    pub signature: Option<OpDef>,
    /// Its nodes.
    #[prost(message, repeated, tag = "3")]
    pub node_def: Vec<NodeDef>,
    /// Which value each result is.
    #[prost(map = "string, string", tag = "4")]
    pub ret: HashMap<String, String>,
}

/// The signature of a function.
#[derive(Clone, PartialEq, Message)]
pub struct OpDef {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Arguments.
    #[prost(message, repeated, tag = "2")]
    pub input_arg: Vec<ArgDef>,
    /// Results.
    #[prost(message, repeated, tag = "3")]
    pub output_arg: Vec<ArgDef>,
}

/// An argument or a result of a function.
#[derive(Clone, PartialEq, Message)]
pub struct ArgDef {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(enumeration = "DataType", tag = "3")]
    pub r#type: i32,
    /// Where it is several values of one type: the attribute that says how many.
    #[prost(string, tag = "5")]
    pub number_attr: String,
    /// Where it is several values: the attribute that lists their types.
    #[prost(string, tag = "6")]
    pub type_list_attr: String,
}

/// Types of elements (`types.proto`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum DataType {
    Invalid = 0,
    Float = 1,
    Double = 2,
    Int32 = 3,
    Uint8 = 4,
    Int16 = 5,
    Int8 = 6,
    String = 7,
    Complex64 = 8,
    Int64 = 9,
    Bool = 10,
    Qint8 = 11,
    Quint8 = 12,
    Qint32 = 13,
    Bfloat16 = 14,
    Qint16 = 15,
    Quint16 = 16,
    Uint16 = 17,
    Complex128 = 18,
    Half = 19,
    Resource = 20,
    Variant = 21,
    Uint32 = 22,
    Uint64 = 23,
}

impl DataType {
    /// A floating-point type: one that a graph computes in.
    pub fn is_float(self) -> bool {
        matches!(self, DataType::Float | DataType::Double | DataType::Half | DataType::Bfloat16)
    }

    /// An integer type (or a flag) that attributes are given in.
    pub fn is_integer(self) -> bool {
        use DataType::{Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
        matches!(self, Bool | Int8 | Int16 | Int32 | Int64 | Uint8 | Uint16 | Uint32 | Uint64)
    }
}
