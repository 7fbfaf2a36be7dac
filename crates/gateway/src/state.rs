//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::Failure;
use crate::keys::{Holder, Keys};
use crate::models::{Answer, Model, Models};
use crate::page::Page;
use crate::stop::{Stop, Waiting};
use crate::tensor::{Datatype, Tensor};

/// When somebody for whom there is no room may try again.
const LATER: Duration = Duration::from_secs(1);

/// What all requests share.
#[derive(Clone)]
pub(crate) struct State {
    models: Arc<dyn Models>,
    keys: Option<Arc<Keys>>,
    page: Option<Arc<dyn Page>>,
    places: Arc<Semaphore>,
    most: usize,
    longest: usize,
}

impl State {
    pub(crate) fn new(
        models: Arc<dyn Models>,
        page: Option<Arc<dyn Page>>,
        keys: Option<Keys>,
        waiting: usize,
        longest: usize,
    ) -> State {
        let places = Arc::new(Semaphore::new(waiting));
        State { models, page, keys: keys.map(Arc::new), places, most: waiting, longest }
    }

    /// The longest request, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn has_page(&self) -> bool {
        self.page.is_some()
    }

    /// What the page asks; it does where there is one.
    pub(crate) fn page(&self) -> Result<Arc<dyn Page>, Failure> {
        self.page.clone().ok_or_else(|| Failure::Defect("there is no page here".into()))
    }

    /// Whether somebody may ask a model.
    pub(crate) fn may_ask(&self, holder: &Holder, name: &str) -> Result<(), Failure> {
        if holder.may_ask(name) { Ok(()) } else { Err(Failure::NoModel(name.into())) }
    }

    /// Room for a request, as long as it is held.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Failure::Busy {
            reason: format!("{} requests are served or wait already", self.most),
            after: LATER,
        })
    }

    /// What comes of something that may wait.
    pub(crate) async fn waited<T: Send + 'static>(
        &self,
        step: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        waited(tokio::task::spawn_blocking(step).await)
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
        self.may_ask(holder, name)?;
        let (models, asked) = (Arc::clone(&self.models), name.to_string());
        let model = waited(tokio::task::spawn_blocking(move || models.model(&asked)).await)?;
        if !version.is_empty() && version != model.version {
            return Err(Failure::NoModel(format!("{name} in version {version} (it is {})", model.version)));
        }
        Ok(model)
    }

    /// Runs a model, as soon as there is room. Whoever drops what this returns waits no more, as a server does when its
    /// client has gone.
    pub(crate) async fn infer(&self, name: &str, inputs: Vec<Tensor>) -> Result<Answer, Failure> {
        let place = self.place()?;
        let (models, name) = (Arc::clone(&self.models), name.to_string());
        let stop = Stop::default();
        let _waiting = Waiting(stop.clone());
        waited(
            tokio::task::spawn_blocking(move || {
                let answer = models.infer(&name, inputs, stop);
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
