//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::keys::{Holder, Keys};
use crate::models::{Answer, Model, Models};
use crate::tensor::{Datatype, Tensor};

/// When somebody for whom there is no room may try again.
const LATER: Duration = Duration::from_secs(1);

/// What all requests share.
#[derive(Clone)]
pub(crate) struct State {
    models: Arc<dyn Models>,
    keys: Option<Arc<Keys>>,
    places: Arc<Semaphore>,
    most: usize,
}

impl State {
    pub(crate) fn new(models: Arc<dyn Models>, keys: Option<Keys>, waiting: usize) -> State {
        let places = Arc::new(Semaphore::new(waiting));
        State { models, keys: keys.map(Arc::new), places, most: waiting }
    }

    /// Who asks, by the key that came with a request.
    pub(crate) fn holder(&self, key: Option<&str>) -> Result<Holder, Failure> {
        match (&self.keys, key) {
            // Whoever can connect may ask.
            (None, _) => Ok(Holder { name: "anybody".into(), models: None }),
            (Some(_), None) => Err(Failure::Key(
                "a key is needed here: send it as \"Authorization: Bearer KEY\" or \"X-API-Key: KEY\"".into(),
            )),
            (Some(keys), Some(key)) => {
                let holder = keys.holder(key).cloned();
                holder.ok_or_else(|| Failure::Key("this key is not known here".into()))
            }
        }
    }

    pub(crate) fn names(&self, holder: &Holder) -> Vec<String> {
        let mut names = self.models.names();
        names.retain(|name| holder.may_ask(name));
        names
    }

    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        let models = Arc::clone(&self.models);
        waited(tokio::task::spawn_blocking(move || models.ready()).await)
    }

    /// What is known of a model, of this version where one is asked for.
    pub(crate) async fn model(
        &self,
        holder: &Holder,
        name: &str,
        version: &str,
    ) -> Result<Arc<Model>, Failure> {
        if !holder.may_ask(name) {
            return Err(Failure::NoModel(name.into()));
        }
        let (models, asked) = (Arc::clone(&self.models), name.to_string());
        let model = waited(tokio::task::spawn_blocking(move || models.model(&asked)).await)?;
        if !version.is_empty() && version != model.version {
            return Err(Failure::NoModel(format!("{name} in version {version} (it is {})", model.version)));
        }
        Ok(model)
    }

    /// Runs a model, as soon as there is room.
    pub(crate) async fn infer(&self, name: &str, inputs: Vec<Tensor>) -> Result<Answer, Failure> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Failure::Busy {
            reason: format!("{} requests are served or wait already", self.most),
            after: LATER,
        })?;
        let (models, name) = (Arc::clone(&self.models), name.to_string());
        waited(
            tokio::task::spawn_blocking(move || {
                let answer = models.infer(&name, inputs);
                drop(place);
                answer.map(written)
            })
            .await,
        )
    }
}

/// An answer in types that are written: short floats are read, and answered in single precision.
fn written(mut answer: Answer) -> Answer {
    for tensor in &mut answer.outputs {
        if let Datatype::Fp16 | Datatype::Bf16 = tensor.datatype {
            tensor.datatype = Datatype::Fp32;
        }
    }
    answer
}

/// A thread's answer; one that panicked has none.
fn waited<T>(answer: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    answer.unwrap_or_else(|error| Err(Failure::Defect(format!("a request ended in a defect: {error}"))))
}
