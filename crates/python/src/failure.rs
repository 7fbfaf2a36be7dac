//! What goes wrong, as the exceptions of the package: `cryptflow.errors` has the classes, and knows
//! them by the codes that are given here.

use std::borrow::Cow;

use cryptflow::compiling::CompilingError;
use cryptflow::error::Error;
use cryptflow::examples::ExamplesError;
use cryptflow::input::InputError;
use cryptflow::job::JobError;
use cryptflow::local::LaunchError;
use cryptflow::refusals::Refused;
use cryptflow_athos::check::Why;
use cryptflow_athos::compile::CompileError;
use cryptflow_import::ImportError;
use cryptflow_party::code::Code;
use pyo3::prelude::*;

use crate::arrays::ArrayError;

/// Why something was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Cow<'static, str>,
    text: String,
    nodes: Vec<Refused>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, text: impl ToString) -> Failure {
        Failure { code: code.into(), text: text.to_string(), nodes: Vec::new() }
    }

    /// A compiled model, or what should be one.
    pub(crate) fn program(error: impl ToString) -> Failure {
        Failure::new("program", error)
    }

    /// What a party did not do, or a session that ended before its time: with the word that the parties have for it.
    pub(crate) fn party(error: impl Into<Error>) -> Failure {
        let error = error.into();
        let code = match error.code() {
            Code::Failed => "party".into(),
            code => format!("party-{code}").into(),
        };
        Failure { code, ..Failure::new("party", error) }
    }

    /// With more to say.
    pub(crate) fn and(self, more: impl FnOnce(String) -> String) -> Failure {
        Failure { text: more(self.text), ..self }
    }

    /// A session does not outlive it.
    pub(crate) fn ends_session(&self) -> bool {
        matches!(self.code.split('-').next(), Some("party" | "internal"))
    }

    /// What was given is not what it should be.
    pub(crate) fn option(error: impl ToString) -> Failure {
        Failure::new("option", error)
    }

    /// What should never happen.
    pub(crate) fn bug(error: impl ToString) -> Failure {
        Failure::new("internal", error)
    }

    /// The exception.
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        let node =
            |Refused { node, operation, kind, reason, advice }| (node, operation, kind, reason, advice);
        let nodes: Vec<_> = self.nodes.into_iter().map(node).collect();
        let made = py
            .import("cryptflow.errors")
            .and_then(|errors| errors.getattr("of")?.call1((&*self.code, self.text, nodes)));
        match made {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }
}

impl From<CompilingError> for Failure {
    fn from(error: CompilingError) -> Failure {
        let text = error.to_string();
        match error {
            CompilingError::Unsupported(nodes) => Failure { nodes, ..Failure::new("unsupported", text) },
            CompilingError::Import(error) => error.into(),
            CompilingError::RowsMixed { .. } => Failure::new("rows-mixed", text),
            CompilingError::Prepare { .. } => Failure::option(text),
            CompilingError::Examples(ExamplesError::Input(error)) => error.into(),
            CompilingError::Examples(ExamplesError::Array(_)) => Failure::new("input", text),
            CompilingError::Compile(CompileError::NoBounds) => Failure::new("no-bounds", text),
            CompilingError::Compile(CompileError::Option(_)) => Failure::option(text),
            CompilingError::Compile(CompileError::Fix(_)) => Failure::new("compile", text),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Failure {
        let text = error.to_string();
        match error {
            ImportError::Unsupported(nodes) => {
                let node = |n: cryptflow_import::UnsupportedNode| {
                    Refused::new(&n.name, &n.op, &Why::Import(n.reason))
                };
                Failure { nodes: nodes.into_iter().map(node).collect(), ..Failure::new("unsupported", text) }
            }
            // Whatever else is wrong is wrong with the file, or with what was said of it.
            _ => Failure::new("model", text),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Failure {
        let code = match &error {
            InputError::Shape { .. }
            | InputError::Columns { .. }
            | InputError::Empty { .. }
            | InputError::Preprocess { .. } => "input-shape",
            InputError::NotFinite { .. } => "input-not-finite",
            InputError::Range { .. } | InputError::Id { .. } => "input-range",
            InputError::Rows { .. } => "input-rows",
            InputError::UnknownName { .. } | InputError::MissingArray { .. } | InputError::TooMany { .. } => {
                "input-name"
            }
            // These are about files, which Python reads.
            InputError::Nothing
            | InputError::Io { .. }
            | InputError::EmptyFolder { .. }
            | InputError::Format { .. }
            | InputError::Npy { .. }
            | InputError::Table { .. }
            | InputError::Picture { .. }
            | InputError::UnknownInput { .. }
            | InputError::MissingInput { .. }
            | InputError::Superfluous { .. }
            | InputError::NotASet { .. }
            | InputError::Lacks { .. } => "input",
        };
        Failure::new(code, error)
    }
}

impl From<ArrayError> for Failure {
    fn from(error: ArrayError) -> Failure {
        Failure::new("input-type", error)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Failure {
        match error {
            JobError::Input(error) => error.into(),
            JobError::Results(error) => Failure::new("input-rows", error),
            JobError::Program(error) => Failure::program(error),
        }
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Failure {
        Failure::new("party", error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::program(error)
    }
}
