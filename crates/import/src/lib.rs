//! Importers: from the files that other tools write to a [`Graph`]. TensorFlow graphs, SavedModels
//! and ONNX models.

mod arithmetic;
mod bound;
mod budget;
mod builder;
mod compose;
mod cursor;
mod cut;
pub mod docs;
mod filled;
mod known;
mod lookalike;
mod movement;
mod node;
pub mod onnx;
mod picture;
mod reduction;
mod refusal;
pub mod saved_model;
mod survey;
mod table;
mod tensor;
pub mod tensorflow;
mod unrolled;
mod value;

use std::path::{Path, PathBuf};

use cryptflow_graph::Graph;

pub use lookalike::{Lookalike, is_text};
pub use refusal::{Explanation, NodeRefusal};
use saved_model::SavedModelError;
pub use survey::{Framework, NodeStatus, Survey, SurveyedNode, survey};

/// What the file does not say: shapes of inputs, which nodes are wanted, how large a batch is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Shapes of inputs, by name. A name that is no placeholder cuts the graph there: what the node
    /// computes becomes an input.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// The nodes to compute. None: those that no other node uses.
    pub outputs: Vec<String>,
    /// The signature of a SavedModel to import; `serving_default` where none is given.
    pub signature: Option<String>,
    /// The first dimension of inputs that leave it open (`-1`); 1 where it is not given.
    pub batch: Option<usize>,
    /// Inputs that are public, by name, and the numbers that they are bound to, as a user writes them: `false`, `16000`,
    /// `1,0,1`.
    pub set: Vec<(String, String)>,
}

/// A node that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// Its name in the model.
    pub name: String,
    /// Its operation, as the model calls it.
    pub op: String,
    /// What is the matter, and what to do.
    pub reason: NodeRefusal,
}

/// Why a file did not become a graph.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is of a known other kind.
    #[error(
        "this is neither a SavedModel nor a frozen TensorFlow graph nor an ONNX model: it looks like {found}. {}",
        found.advice()
    )]
    NotAGraph {
        /// What it looks like.
        found: Lookalike,
    },
    /// The bytes do not decode.
    #[error(
        "this is not a whole frozen TensorFlow graph: at byte {offset} of {length}, {reason}. Copy the file again, \
         or export it again"
    )]
    Decode {
        /// Where the part that does not decode begins.
        offset: usize,
        /// Length of the file.
        length: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The bytes do not decode as an ONNX model.
    #[error(
        "this is not a whole ONNX model of {length} bytes: {reason}. Copy the file again, or export it again"
    )]
    Onnx {
        /// Length of the file.
        length: usize,
        /// What is wrong.
        reason: String,
    },
    /// An ONNX model of an unknown version.
    #[error(
        "this ONNX model was written for version {found} of ONNX's operators (opset), and the versions {first} to {last} \
         are known. Convert it: onnx.version_converter.convert_version(model, 21)"
    )]
    Opset {
        /// The version.
        found: i64,
        /// The first that is known.
        first: i64,
        /// The last that is known.
        last: i64,
    },
    /// A graph without anything to compute.
    #[error("the graph has nothing to compute: {0}")]
    Empty(Emptiness),
    /// A graph that is far larger than its file, because functions call each other.
    #[error("after its functions are put in their places it has more than {0} nodes: the model is damaged")]
    Large(usize),
    /// Two nodes of one name.
    #[error("two nodes of the graph are called {0:?}: the file is damaged, export it again")]
    Duplicate(String),
    /// A node that the options name, and that is not there.
    #[error("the graph has no node {name:?} to use as {role}. {hint}")]
    UnknownName {
        /// What it was to be: an input or an output.
        role: &'static str,
        /// The name.
        name: String,
        /// Near names.
        hint: String,
    },
    /// An input that the options name, and that no output needs.
    #[error(
        "a shape was given for {0:?}, but no output depends on it. Leave it away, or name the output that you mean with \
         --output NAME"
    )]
    UnneededInput(String),
    /// A batch size was asked for, and the model fixes another.
    #[error(
        "a batch of {asked} was asked for, but the model fixes the first dimension of {input:?} to {fixed}. Give \
         another shape with --input {input}=SHAPE, or export the model with an open batch dimension"
    )]
    Batch {
        /// The placeholder.
        input: String,
        /// The batch that was asked for.
        asked: usize,
        /// The batch of the model.
        fixed: usize,
    },
    /// A SavedModel that does not become a graph.
    #[error(transparent)]
    SavedModel(#[from] SavedModelError),
    /// A signature was asked for, and the model is a frozen graph or an ONNX model.
    #[error(
        "the signature {0:?} was asked for, but only a SavedModel has any. Leave it away, or give the folder of the SavedModel"
    )]
    NotASavedModel(String),
    /// Nodes that cannot be imported: all of them.
    #[error("{}", unsupported(.0))]
    Unsupported(Vec<UnsupportedNode>),
}

/// Why a graph has nothing to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Emptiness {
    /// There is no graph in the file.
    #[error("the file holds no graph")]
    NoGraph,
    /// The graph has no nodes.
    #[error("the file holds no nodes")]
    NoNodes,
    /// The model declares no outputs.
    #[error("it has no outputs; name what you want with --output NAME")]
    NoOutputs,
    /// No node is an end of the graph.
    #[error("every node is used by another one; name what you want with --output NAME")]
    NoEnds,
}

fn unsupported(nodes: &[UnsupportedNode]) -> String {
    let lines: Vec<String> = nodes.iter().map(|n| format!("  {} ({}): {}", n.name, n.op, n.reason)).collect();
    let (n, s, are) =
        (nodes.len(), if nodes.len() == 1 { "" } else { "s" }, if nodes.len() == 1 { "is" } else { "are" });
    format!("{n} node{s} of the model {are} not supported:\n{}", lines.join("\n"))
}

/// Reads a model: the folder of a SavedModel, a frozen TensorFlow graph, or an ONNX model. The
/// graph gets the name of the folder or file.
pub fn from_path(path: &Path, options: &ImportOptions) -> Result<Graph, ImportError> {
    let mut graph = match Place::of(path)? {
        Place::SavedModel => saved_model::import(path, options),
        Place::TensorFlow(bytes) => tensorflow::import(&bytes, options),
        Place::Onnx(bytes) => onnx::import_given(bytes, Some(folder(path)), options),
    }?;
    graph.name = name(path)?;
    Ok(graph)
}

/// Every operation that an importer knows, in the order of the tables.
pub(crate) fn operations() -> Vec<docs::Entry> {
    let entry = |framework, name, doc| docs::Entry { framework, name, doc };
    let tensorflow = tensorflow::rows().map(|row| entry(Framework::TensorFlow, row.name, row.doc));
    let onnx = onnx::rows().map(|row| entry(Framework::Onnx, row.name, row.doc));
    let of = |framework, docs: &'static [(&'static str, docs::Doc)]| {
        docs.iter().map(move |&(name, doc)| docs::Entry { framework, name, doc })
    };
    // What has bodies of its own is in no table.
    let control =
        of(Framework::TensorFlow, tensorflow::control::DOCS).chain(of(Framework::Onnx, onnx::CONTROL));
    tensorflow.chain(onnx).chain(control).collect()
}

/// What lies at a path.
enum Place {
    /// The folder of a SavedModel.
    SavedModel,
    /// A frozen graph: its file's contents.
    TensorFlow(Vec<u8>),
    /// An ONNX model: its file's contents.
    Onnx(Vec<u8>),
}

impl Place {
    fn of(path: &Path) -> Result<Place, ImportError> {
        if !path.is_dir() {
            let bytes = std::fs::read(path).map_err(|e| cannot_read(path, e))?;
            let onnx = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
                || Lookalike::of(&bytes) == Some(Lookalike::Onnx);
            return Ok(if onnx { Place::Onnx(bytes) } else { Place::TensorFlow(bytes) });
        }
        if path.join("saved_model.pb").exists() {
            return Ok(Place::SavedModel);
        }
        let text = path.join("saved_model.pbtxt").exists();
        Err(ImportError::NotAGraph {
            found: if text { Lookalike::TextSavedModel } else { Lookalike::Directory },
        })
    }
}

fn cannot_read(path: &Path, source: std::io::Error) -> ImportError {
    ImportError::Read { path: path.to_path_buf(), source }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the model at a path is called.
fn name(path: &Path) -> Result<String, ImportError> {
    let name = if path.is_dir() {
        let whole = path.canonicalize().map_err(|e| cannot_read(path, e))?;
        whole.file_name().map(|s| s.to_string_lossy().into_owned())
    } else {
        path.file_stem().map(|s| s.to_string_lossy().into_owned())
    };
    Ok(name.unwrap_or_default())
}

/// What is said of a name that is none of these.
fn unknown(role: &'static str, name: &str, names: Vec<&str>) -> ImportError {
    let mut hint = near(name.strip_suffix(":0").unwrap_or(name), names.iter().copied());
    if names.len() <= 8 {
        hint += if hint.ends_with('?') { " " } else { ". " };
        hint += &format!("The graph has: {}", names.join(", "));
    }
    ImportError::UnknownName { role, name: name.into(), hint }
}

/// A sentence that names what the reader may have meant.
fn near<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let wanted = name.to_lowercase();
    let mut found: Vec<(usize, &str)> = candidates
        .map(|c| {
            let lower = c.to_lowercase();
            let part = lower.rsplit('/').next().unwrap_or(&lower);
            let far = distance(&wanted, &lower).min(distance(&wanted, part) + 1);
            (if lower.contains(&wanted) { far.min(1) } else { far }, c)
        })
        .filter(|(far, _)| *far <= 1 + wanted.chars().count() / 2)
        .collect();
    found.sort();
    found.dedup();
    let names: Vec<String> = found.iter().take(5).map(|(_, c)| format!("{c:?}")).collect();
    match names.as_slice() {
        [] => "No name is near it".into(),
        [one] => format!("Did you mean {one}?"),
        _ => format!("Near names: {}", names.join(", ")),
    }
}

/// Edits (Levenshtein) between two strings; long ones are compared by their first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
