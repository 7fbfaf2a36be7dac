//! A page for people, on the port that programs ask: the data's owner gives files, and sees what comes out.
//!
//! The page is files of our own, which are in this binary; nothing on it comes from elsewhere, and the
//! browser is told to take nothing from elsewhere. It asks `/page/api`, with a key where there are keys. Files
//! are read by whatever runs the models ([`Page::run`]), as they lie: nothing is decoded in the browser.

mod api;
mod files;
mod lines;
mod upload;

use axum::Router;
use serde::Serialize;

use crate::failure::Failure;
use crate::models::Answer;
use crate::state::State;
use crate::stop::Stop;

pub(crate) use files::is_open;
pub use upload::{Upload, uploads};

/// What the page asks beside what programs ask. As of [`crate::Models`], all of it may wait, and each call
/// is on a thread of its own.
pub trait Page: Send + Sync + 'static {
    /// Who runs the models.
    fn parties(&self) -> Parties;

    /// What a person must know of a model to ask it.
    ///
    /// # Errors
    /// There is none of this name, or nobody knows at the moment.
    fn model(&self, name: &str) -> Result<Described, Failure>;

    /// Runs a model on files. `watch` is told what happens, once the files were found to go with the model. What it
    /// takes is given back when nobody waits any more, as `stop` says.
    ///
    /// # Errors
    /// Files that do not go with the model, or no answer.
    fn run(&self, name: &str, files: Vec<Upload>, watch: Watch, stop: Stop) -> Result<Ran, Failure>;
}

/// Who is told what happens.
pub type Watch = Box<dyn FnMut(Event) + Send>;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The files were read: so many rows. It waits for its turn.
    Waiting {
        /// Rows of all files.
        rows: usize,
    },
    /// A session with the parties is begun for it.
    Connecting,
    /// The parties begin a step.
    Step {
        /// Steps that are done, of all runs.
        done: usize,
        /// Steps of all runs.
        of: usize,
    },
    /// There is no session yet, as parties are busy or away.
    Delayed {
        /// What is waited for.
        reason: String,
    },
    /// What was computed is lost, and it is tried again.
    Again {
        /// Why.
        reason: String,
    },
}

/// Who runs the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parties {
    /// What they are, in order.
    pub parties: Vec<Party>,
    /// Whether they must prove what they run, before anything is sent to them.
    pub attested: bool,
    /// Whether evidence may be simulated: it proves nothing then.
    pub simulated: bool,
    /// Digest of the policy that evidence is judged by.
    pub policy: Option<String>,
}

/// One of those who run the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// The organisation.
    pub name: String,
    /// Where it is reached.
    pub address: String,
    /// Its key; its next one, too, while it changes keys.
    pub fingerprint: String,
}

/// What a person must know of a model to ask it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub version: String,
    /// The protocol that the parties run.
    pub protocol: String,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// The names of its outputs.
    pub outputs: Vec<String>,
    /// What is computed, in order.
    pub layers: Vec<Layer>,
    /// Steps of a run.
    pub steps: usize,
    /// Rows that one run takes.
    pub rows: usize,
}

/// An input of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The shape of a row.
    pub shape: Vec<usize>,
    /// Whether a row is a picture by its shape.
    pub pictures: bool,
}

/// Steps that belong together, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// What the model calls it.
    pub name: String,
    /// What is done in it.
    pub operations: Vec<String>,
    /// Its first step, counted from 0.
    pub first: usize,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// What the model returns.
    pub answer: Answer,
    /// What each row is called.
    pub rows: Vec<String>,
    /// What each row of each output says, for a person.
    pub said: Vec<Vec<String>>,
    /// What went to each of the parties and came from it for this.
    pub exchanged: Vec<Exchanged>,
    /// What each of the parties has proved; empty where nobody proves anything.
    pub proved: Vec<String>,
    /// All that was found, as the command reports it.
    pub report: serde_json::Value,
}

/// Bytes that went to a party and came from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exchanged {
    /// To it.
    pub sent: u64,
    /// From it.
    pub received: u64,
}

/// The page, and what it asks.
pub(crate) fn routes() -> Router<State> {
    files::routes().merge(api::routes())
}
