//! The extension module `cryptflow._native`: what the Python package needs of the library, in types
//! that need no Python of their own. Arrays go there and back as `.npy` files do, descriptions as
//! JSON; what is pleasant to use is made of it in Python.

mod arrays;
mod check;
mod command;
mod compile;
mod failure;
mod job;
mod parties;
mod program;
mod site;
mod waiting;

use pyo3::pymodule;

/// The compiled part of the package `cryptflow`. Use `cryptflow` itself.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::check::check;
    /// The version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use super::command::main;
    #[pymodule_export]
    use super::compile::compile;
    #[pymodule_export]
    use super::parties::Parties;
    #[pymodule_export]
    use super::program::{Program, load};
    #[pymodule_export]
    use super::site::{Deployed, Site};
}
