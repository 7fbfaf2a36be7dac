//! Files that are often given in place of a SavedModel, a frozen graph or an ONNX model, known by
//! their first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

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
    /// A Keras `.keras` file.
    Keras,
    /// A PyTorch `.pt` file.
    PyTorch,
    /// A zip archive of something else.
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
    /// A model that is compiled already.
    Compiled,
    /// A picture.
    Picture,
    /// Text: a table, a script, a page.
    Text,
    /// A file of no bytes.
    Empty,
}

/// Bytes of what may be text that are looked at.
const LOOKED_AT: usize = 512;

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
                "Give the folder of a SavedModel, the .pb file of a frozen graph, or an .onnx file",
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
            Lookalike::Keras => [
                "a Keras model (.keras)",
                "Turn it into a SavedModel, and give that folder: \
                 import keras; keras.models.load_model(\"model.keras\").export(\"folder\")",
            ],
            Lookalike::PyTorch => [
                "a PyTorch file (.pt, .pth)",
                "Give the ONNX file that torch.onnx.export(model.eval(), example, \"model.onnx\") writes",
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
                "a numpy array (.npy, .npz)",
                "Give the model, and this file as the data to calibrate with or as the input",
            ],
            Lookalike::LfsPointer => {
                ["a Git LFS pointer: the file itself has not been fetched", "Run `git lfs pull`"]
            }
            Lookalike::Safetensors => [
                "a safetensors file, which holds weights and no graph",
                "Give the model that it belongs to, as a SavedModel, a frozen graph or an ONNX model",
            ],
            Lookalike::Compiled => [
                "a model that `cryptflow compile` wrote: it is compiled already",
                "`cryptflow run` and `cryptflow inspect` take it. Where the model that it was made from is asked for, give that",
            ],
            Lookalike::Picture => {
                ["a picture", "Give the model, and this file as the data to calibrate with or as the input"]
            }
            Lookalike::Text => {
                ["text", "Give the folder of a SavedModel, the .pb file of a frozen graph, or an .onnx file"]
            }
            Lookalike::Empty => ["an empty file", "Copy it again, or export it again"],
        }
    }

    /// Looks at the first bytes of a file; nothing where they may be a GraphDef.
    pub fn of(bytes: &[u8]) -> Option<Lookalike> {
        const MAGIC: [(&[u8], Lookalike); 17] = [
            (b"\x89HDF\r\n\x1a\n", Lookalike::Hdf5),
            (b"\xfd7zXZ\0", Lookalike::Compressed),
            (b"\x1f\x8b", Lookalike::Compressed),
            (b"BZh", Lookalike::Compressed),
            (b"\x28\xb5\x2f\xfd", Lookalike::Compressed),
            (b"\x93NUMPY", Lookalike::Numpy),
            (b"version https://git-lfs", Lookalike::LfsPointer),
            (b"\x89PNG\r\n\x1a\n", Lookalike::Picture),
            (b"\xff\xd8\xff", Lookalike::Picture),
            (b"GIF8", Lookalike::Picture),
            (b"II*\0", Lookalike::Picture),
            (b"MM\0*", Lookalike::Picture),
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
            [] => Some(Lookalike::Empty),
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Lookalike::Picture),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Lookalike::Picture),
            [b'P', b'K', 3, 4, ..] => Some(Lookalike::of_zip(bytes)),
            // … and in ONNX (the version of its form, 3 or more); in a GraphDef it is a node.
            [0x08, 3..=40, 0x12 | 0x1a | 0x3a | 0x42, ..] => Some(Lookalike::Onnx),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some(Lookalike::TensorFlowLite),
            [_, _, _, _, _, _, 0, 0, b'{', b'"', ..] => Some(Lookalike::of_safetensors(bytes)),
            // A GraphDef begins with a line feed (field 1), or a control character in its first bytes.
            [first, ..] if *first != b'\n' && is_text(bytes) => Some(Lookalike::Text),
            _ => None,
        }
    }

    /// Which archive it is, by the name of its first member.
    fn of_zip(bytes: &[u8]) -> Lookalike {
        let length = bytes.get(26..28).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
        let name = bytes.get(30..).map_or(&[][..], |rest| &rest[..length.min(rest.len())]);
        match name {
            b"metadata.json" | b"config.json" | b"model.weights.h5" => Lookalike::Keras,
            name if name.ends_with(b".npy") => Lookalike::Numpy,
            name if name.ends_with(b"data.pkl") => Lookalike::PyTorch,
            _ => Lookalike::Zip,
        }
    }

    /// Whether its header says that `cryptflow compile` wrote it.
    fn of_safetensors(bytes: &[u8]) -> Lookalike {
        const FORMAT: &[u8] = br#""format":"cryptflow""#;
        // The header's names are sorted: the metadata are the first of it.
        let header = &bytes[..bytes.len().min(1 << 16)];
        match header.windows(FORMAT.len()).any(|part| part == FORMAT) {
            true => Lookalike::Compiled,
            false => Lookalike::Safetensors,
        }
    }

    /// Looks at the first bytes of the file at a path, see [`Lookalike::of`]; nothing where it
    /// cannot be read, either.
    pub fn at(path: &Path) -> Option<Lookalike> {
        if path.is_dir() {
            return Some(Lookalike::Directory);
        }
        Lookalike::of(&first_bytes(path)?)
    }

    /// What the model at a path is that could be compiled: what it is called, and nothing where it
    /// is none. It is judged by its first bytes; whether it is whole shows when it is read.
    pub fn model_at(path: &Path) -> Option<&'static str> {
        if path.is_dir() {
            return path.join("saved_model.pb").exists().then_some("the folder of a SavedModel");
        }
        let bytes = first_bytes(path)?;
        let is = |extension| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
        match Lookalike::of(&bytes) {
            Some(Lookalike::Onnx) => Some("an ONNX model"),
            None if is("onnx") => Some("an ONNX model"),
            // Field 1 of a GraphDef is a node; a text may begin with an empty line.
            None if bytes.first() == Some(&0x0a) && (is("pb") || !is_text(&bytes)) => {
                Some("a frozen TensorFlow graph")
            }
            _ => None,
        }
    }
}

/// Whether these bytes begin with lines of letters, digits and what separates them.
pub fn is_text(bytes: &[u8]) -> bool {
    let bytes = &bytes[..bytes.len().min(LOOKED_AT)];
    // The last character may be cut in two.
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !whole.is_empty()
        && whole.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{feff}'))
}

fn first_bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(1 << 12).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
