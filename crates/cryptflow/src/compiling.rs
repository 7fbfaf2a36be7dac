//! From the file of a model, and what its user knows beside, to a compiled model.

use std::path::PathBuf;

use cryptflow_athos::check::{self, Why};
use cryptflow_athos::compile::{Bounds, CompileError, CompileOptions, Compiled, Progress, compile as athos};
use cryptflow_athos::fix::{FixError, FixedRunner, Unsupported};
use cryptflow_athos::passes;
use cryptflow_athos::rows::{self, FirstAxis};
use cryptflow_graph::{Graph, Range};
use cryptflow_import::{self as import, ImportError, ImportOptions, UnsupportedNode};
use cryptflow_pictures::{self as pictures, SettingsError};
use cryptflow_program::{Batch, Preprocessing};

use crate::batches::Reader;
use crate::examples::{self, ExamplesError};
use crate::refusals::Refused;

/// What shall be compiled.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The file or folder of the model.
    pub model: PathBuf,
    /// What it does not say.
    pub import: ImportOptions,
    /// At most so many rows of the examples are used.
    pub rows: usize,
    /// The range of the inputs, where there are no examples.
    pub range: Option<(f64, f64)>,
    /// How pictures and bytes become inputs.
    pub preprocessing: Preprocessing,
    /// What the compiler is told; what the model's rows are, and the preprocessing of each input,
    /// is filled in.
    pub options: CompileOptions,
}

/// Why a model was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompilingError {
    /// These nodes cannot be compiled.
    #[error("{} of the model cannot be compiled", nodes(.0.len()))]
    Unsupported(Vec<Refused>),
    /// The file is no model.
    #[error(transparent)]
    Import(ImportError),
    /// Rows that were to stand alone do not.
    #[error(
        "the rows of a batch influence each other, which shows in the node {node:?}. Say how many rows a run takes, \
         always: --batch N (--batch 1 where each row is meant to stand alone)"
    )]
    RowsMixed {
        /// Where they do.
        node: String,
    },
    /// No input can be prepared as was asked for.
    #[error("the input {input:?} cannot be prepared like this: {reason}")]
    Prepare {
        /// The first one.
        input: String,
        /// What does not fit.
        reason: SettingsError,
    },
    /// The examples cannot be used.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// The compiler fails.
    #[error(transparent)]
    Compile(CompileError),
}

/// So many nodes.
fn nodes(n: usize) -> String {
    format!("{n} node{}", if n == 1 { "" } else { "s" })
}

/// Compiles a model. `examples` has some of its inputs, from which bounds and scale follow; `runner` runs
/// the programs that are tried.
///
/// # Errors
/// See [`CompilingError`]; nodes that cannot be compiled are all in one
/// [`CompilingError::Unsupported`].
pub fn compile(
    wanted: &Wanted,
    examples: Option<Reader<'_>>,
    runner: &dyn FixedRunner,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompilingError> {
    // One graph after the other: each has all weights.
    let two = of_two(wanted);
    let mut graph = import::from_path(&wanted.model, &wanted.import).map_err(|error| match error {
        ImportError::Unsupported(nodes) => CompilingError::Unsupported(refused(wanted, &nodes)),
        other => CompilingError::Import(other),
    })?;
    passes::optimise(&mut graph);
    let batch = batch(&graph, two)?;
    prepared(&graph, &wanted.preprocessing)?;
    let bounds = match examples {
        Some(read) => {
            Bounds::Examples(examples::read(&graph, read, &wanted.preprocessing, wanted.rows, batch)?)
        }
        None => match wanted.range.or_else(|| examples::pixel_range(&wanted.preprocessing)) {
            Some((low, high)) => Bounds::Ranges(vec![Range { low, high }; graph.inputs.len()]),
            None => Bounds::Unknown,
        },
    };
    let preprocessing = vec![wanted.preprocessing.clone(); graph.inputs.len()];
    let options = CompileOptions { batch, preprocessing, ..wanted.options.clone() };
    athos(graph, bounds, &options, runner, progress).map_err(|error| match error {
        CompileError::Fix(FixError::Unsupported(nodes)) => {
            let node = |n: Unsupported| Refused::new(&n.name, &n.operation, &Why::Compute(n.reason));
            CompilingError::Unsupported(nodes.into_iter().map(node).collect())
        }
        other => CompilingError::Compile(other),
    })
}

/// Whether one input at least can be prepared like this.
fn prepared(graph: &Graph, preprocessing: &Preprocessing) -> Result<(), CompilingError> {
    let check = |&input| {
        let node = graph.node(input);
        pictures::check(preprocessing, node.shape.get(1..).unwrap_or_default())
            .map_err(|reason| CompilingError::Prepare { input: node.name.clone(), reason })
    };
    let mut checks = graph.inputs.iter().map(check);
    match checks.next() {
        Some(Err(error)) if !checks.any(|check| check.is_ok()) => Err(error),
        Some(_) | None => Ok(()),
    }
}

/// What the first axis of the inputs is where a model that takes any number of rows takes two; it is compiled
/// for one at a time.
fn of_two(wanted: &Wanted) -> Option<FirstAxis> {
    let options = ImportOptions { batch: Some(2), ..wanted.import.clone() };
    match wanted.import.batch {
        None => import::from_path(&wanted.model, &options).ok().as_ref().map(rows::first_axis),
        Some(_) => None,
    }
}

/// What the first axis of the inputs is.
fn batch(graph: &Graph, two: Option<FirstAxis>) -> Result<Batch, CompilingError> {
    match (rows::first_axis(graph), two) {
        (FirstAxis::Mixed { .. }, _) => Ok(Batch::Whole),
        (FirstAxis::Rows, Some(FirstAxis::Mixed { node })) => Err(CompilingError::RowsMixed { node }),
        (FirstAxis::Rows, Some(FirstAxis::Rows) | None) => Ok(Batch::Rows),
    }
}

/// Nodes that cannot be imported, and with them those that can, and that cannot be computed.
fn refused(wanted: &Wanted, nodes: &[UnsupportedNode]) -> Vec<Refused> {
    match check::check(&wanted.model, &wanted.import) {
        Ok(found) => found.unsupported().map(|(n, why)| Refused::new(&n.name, &n.op, why)).collect(),
        // It is the same file as before; if not, what was found before counts.
        Err(_) => {
            nodes.iter().map(|n| Refused::new(&n.name, &n.op, &Why::Import(n.reason.clone()))).collect()
        }
    }
}
