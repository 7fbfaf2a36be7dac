//! The options that show where the time of a run went.

use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::profile::{Clocks, layers, trace};
use crate::report::Report;
use clap::Args;
use cryptflow_model_file as file;
use cryptflow_program::{Program, write_whole};

/// What is shown of where the time went.
#[derive(Args, Default)]
#[command(next_help_heading = "Where the time goes")]
pub(crate) struct Profiled {
    /// What each layer of the model took: milliseconds in which each party computed, and waited for the
    /// others; bytes; rounds. Printed below the report; `layers` of --json.
    #[arg(long)]
    profile: bool,
    /// Write a time line in the Trace Event Format, for https://ui.perfetto.dev or chrome://tracing: each party is a
    /// process, each step a slice, and within it each wait.
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
}

impl Profiled {
    /// The file of the time line, with the option's name.
    pub(crate) fn file(&self) -> Option<(&'static str, &Path)> {
        self.trace.as_deref().map(|path| ("--trace", path))
    }

    /// That the time line can be written, before anything runs.
    pub(crate) fn check(&self) -> Result<()> {
        self.trace.iter().try_for_each(|path| file::check_writable(path).map_err(Error::new))
    }

    /// Whether anything is.
    pub(crate) fn is_wanted(&self) -> bool {
        self.profile || self.trace.is_some()
    }

    /// Asks the parties for what is shown.
    pub(crate) fn begin(&self, client: &mut Client<'_>) -> Result<()> {
        match self.is_wanted() {
            true => client.profile().map_err(Error::from),
            false => Ok(()),
        }
    }

    /// Puts the layers into the report, and writes the time line.
    pub(crate) fn conclude(&self, program: &Program, report: &mut Report, clocks: Clocks) -> Result<()> {
        if self.profile {
            report.layers = layers(program, &report.profiled);
        }
        if let Some(path) = &self.trace {
            let text = serde_json::to_vec(&trace(program, &report.profiled, clocks)).map_err(Error::new)?;
            write_whole(path, |w| w.write_all(&text)).map_err(|e| Error::at(path, e))?;
        }
        Ok(())
    }
}
