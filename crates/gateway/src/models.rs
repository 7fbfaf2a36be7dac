//! What runs models, as the gateway sees it.

use std::sync::Arc;

use crate::failure::Failure;
use crate::stop::Stop;
use crate::tensor::{Datatype, Tensor};

/// What runs models. All of it may wait; each call is on a thread of its own.
pub trait Models: Send + Sync + 'static {
    /// The names of the models that are served.
    fn names(&self) -> Vec<String>;

    /// What is known of a model.
    ///
    /// # Errors
    /// There is none of this name, or nobody knows at the moment.
    fn model(&self, name: &str) -> Result<Arc<Model>, Failure>;

    /// Runs a model on inputs, of all of which the first axis counts rows where the model's does. What it takes is
    /// given back when nobody waits any more, as `stop` says.
    ///
    /// # Errors
    /// Inputs that do not go with the model, or no answer.
    fn infer(&self, name: &str, inputs: Vec<Tensor>, stop: Stop) -> Result<Answer, Failure>;

    /// Whether requests would be answered now.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self) -> Result<(), Failure>;
}

/// What a model gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its outputs.
    pub outputs: Vec<Tensor>,
    /// What whoever uses them must know.
    pub warnings: Vec<String>,
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Which one of that name: the digest of what is deployed.
    pub version: String,
    /// What it runs on.
    pub platform: String,
    /// Its inputs.
    pub inputs: Vec<TensorSpec>,
    /// Its outputs.
    pub outputs: Vec<TensorSpec>,
}

/// What a tensor is like.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The type that is asked for, or given.
    pub datatype: Datatype,
    /// Its shape; −1 for any number of rows.
    pub shape: Vec<i64>,
}
