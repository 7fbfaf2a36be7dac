//! Files that are often given in place of a SavedModel, a frozen graph or an ONNX model, known by
//! their first bytes.

/// What a file that is no GraphDef looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookalike {
    /// A folder with a `saved_model.pbtxt`.
    TextSavedModel,
    /// A folder that is no SavedModel.
    Directory,
    /// The `saved_model.pb` of a SavedModel.
    SavedModel,
    /// A Keras `.h5` file.
    Hdf5,
    /// A zip archive: Keras' `.keras`, PyTorch's `.pt`.
    Zip,
    /// An ONNX model.
    Onnx,
    /// A TensorFlow Lite model.
    TensorFlowLite,
    /// A graph as text.
    TextGraph,
    /// A compressed file.
    Compressed,
    /// A numpy array.
    Numpy,
    /// The pointer that Git LFS leaves in place of a large file.
    LfsPointer,
    /// A safetensors file.
    Safetensors,
}

impl std::fmt::Display for Lookalike {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.said()[0])
    }
}

impl Lookalike {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        self.said()[1]
    }

    /// What it is, and what to do about it.
    fn said(&self) -> [&'static str; 2] {
        match self {
            Lookalike::TextSavedModel => [
                "a SavedModel in text form (saved_model.pbtxt)",
                "Save it in binary form: tf.saved_model.save(tf.saved_model.load(\"folder\"), \"binary\")",
            ],
            Lookalike::Directory => [
                "a directory without saved_model.pb",
                "Give the folder of a SavedModel, or the .pb file of a frozen graph",
            ],
            Lookalike::SavedModel => [
                "the saved_model.pb of a SavedModel, which does not hold the weights",
                "Give the folder that it lies in",
            ],
            Lookalike::Hdf5 => [
                "an HDF5 file (Keras .h5)",
                "If it is a Keras model, turn it into a SavedModel, and give that folder: \
                 import keras; keras.models.load_model(\"model.h5\").export(\"folder\")",
            ],
            Lookalike::Zip => [
                "a zip archive (Keras .keras, PyTorch .pt)",
                "If it is a Keras model, turn it into a SavedModel, and give that folder: \
                 import keras; keras.models.load_model(\"model.keras\").export(\"folder\"). If it is a PyTorch model, \
                 give the ONNX file that torch.onnx.export writes",
            ],
            Lookalike::Onnx => ["an ONNX model", "Import it as ONNX"],
            Lookalike::TensorFlowLite => [
                "a TensorFlow Lite model",
                "Give the SavedModel or the frozen graph from which it was converted",
            ],
            Lookalike::TextGraph => [
                "a graph in text form (.pbtxt)",
                "Write it in binary form: tf.io.write_graph(graph, folder, name, as_text=False)",
            ],
            Lookalike::Compressed => ["a compressed file", "Decompress it first (xz -d, gunzip)"],
            Lookalike::Numpy => [
                "a numpy array",
                "Give the model, and this file as the data to calibrate with or as the input",
            ],
            Lookalike::LfsPointer => {
                ["a Git LFS pointer: the file itself has not been fetched", "Run `git lfs pull`"]
            }
            Lookalike::Safetensors => [
                "a safetensors file, perhaps one that is compiled already",
                "Give the model that it was made from",
            ],
        }
    }

    /// Looks at the first bytes of a file; nothing where they may be a GraphDef.
    pub fn of(bytes: &[u8]) -> Option<Lookalike> {
        const MAGIC: [(&[u8], Lookalike); 13] = [
            (b"\x89HDF\r\n\x1a\n", Lookalike::Hdf5),
            (b"PK\x03\x04", Lookalike::Zip),
            (b"\xfd7zXZ\0", Lookalike::Compressed),
            (b"\x1f\x8b", Lookalike::Compressed),
            (b"BZh", Lookalike::Compressed),
            (b"\x28\xb5\x2f\xfd", Lookalike::Compressed),
            (b"\x93NUMPY", Lookalike::Numpy),
            (b"version https://git-lfs", Lookalike::LfsPointer),
            (b"node {", Lookalike::TextGraph),
            (b"node{", Lookalike::TextGraph),
            (b"versions {", Lookalike::TextGraph),
            // Protobuf field 1 is a number in a SavedModel (its version, 1) …
            (b"\x08\x01\x12", Lookalike::SavedModel),
            (b"\x08\x01\x1a", Lookalike::SavedModel),
        ];
        if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Some(*found);
        }
        match bytes {
            // … and in ONNX (the version of its form, 3 or more); in a GraphDef it is a node.
            [0x08, 3..=40, 0x12 | 0x1a | 0x3a | 0x42, ..] => Some(Lookalike::Onnx),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some(Lookalike::TensorFlowLite),
            [_, _, _, _, _, _, 0, 0, b'{', b'"', ..] => Some(Lookalike::Safetensors),
            _ => None,
        }
    }
}
