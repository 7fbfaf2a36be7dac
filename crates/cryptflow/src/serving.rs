//! Deployed models behind the Open Inference Protocol: what the gateway of a data's owner runs.
//!
//! Whoever runs this sees inputs and answers in the clear, and is the only one who does: inputs are shared
//! here, and answers are opened here.

mod line;
mod model;
mod page;
mod question;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptflow_gateway::{Answer, Failure, Model, Models, Tensor};

use crate::error::{Error, Result};
use crate::remote::Site;
use line::Line;
use question::OfTensors;

/// How long what the parties say of themselves is believed.
const BELIEVED: Duration = Duration::from_secs(2);

/// How many sessions there are, and how patient.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Sessions that are held for each model, at most.
    pub sessions: usize,
    /// Requests that wait for each model, at most.
    pub waiting: usize,
    /// How long a session that nobody uses stays open.
    pub idle: Duration,
    /// How long a request goes on trying while nothing of it was computed.
    pub patience: Duration,
}

/// Deployed models, each with sessions that stay open.
pub struct Serving {
    site: Arc<Site>,
    lines: Vec<Line>,
    asked: Mutex<Option<(Instant, std::result::Result<(), String>)>>,
}

impl Serving {
    /// Serves these models of the parties; all that they keep for this client where none is named. `labels`
    /// has files with the names of classes, by model.
    ///
    /// # Errors
    /// The parties cannot be asked which there are, or keep none; or there are labels for another one, or that do
    /// not go with its classes.
    pub fn new(
        site: Site,
        models: Vec<String>,
        plan: Plan,
        mut labels: BTreeMap<String, PathBuf>,
    ) -> Result<Serving> {
        let site = Arc::new(site);
        let names = if models.is_empty() { kept(&site)? } else { models };
        let line = |name: String| {
            let labels = labels.remove(&name);
            Line::new(Arc::clone(&site), name, plan, labels)
        };
        let lines: Vec<Line> = names.into_iter().map(line).collect();
        if let Some((name, file)) = labels.first_key_value() {
            let names: Vec<&str> = lines.iter().map(Line::name).collect();
            return Err(Error::new(format!(
                "{} is for the model {name:?}, which is not served here: {} is",
                file.display(),
                names.join(", ")
            )));
        }
        lines.iter().try_for_each(Line::check_labels)?;
        Ok(Serving { site, lines, asked: Mutex::new(None) })
    }

    fn line(&self, name: &str) -> std::result::Result<&Line, Failure> {
        let line = self.lines.iter().find(|line| line.name() == name);
        line.ok_or_else(|| Failure::NoModel(name.into()))
    }
}

/// The models that every party keeps for this client.
fn kept(site: &Site) -> Result<Vec<String>> {
    let mut all: Option<Vec<String>> = None;
    for status in site.status() {
        let models: Vec<String> =
            status.map_err(Error::new)?.models.into_iter().map(|(name, _, _)| name).collect();
        match &mut all {
            None => all = Some(models),
            Some(all) => all.retain(|name| models.contains(name)),
        }
    }
    let all = all.unwrap_or_default();
    if all.is_empty() {
        let hint =
            "the parties keep no model for this client; deploy one, or name those to serve with --models";
        return Err(Error::new(hint));
    }
    Ok(all)
}

/// Waits for the answer to a question.
fn answer_of<T>(answered: &Receiver<std::result::Result<T, Failure>>) -> std::result::Result<T, Failure> {
    answered.recv().unwrap_or_else(|_| Err(Failure::Defect("a session ended without an answer".into())))
}

impl Models for Serving {
    fn names(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.name().to_string()).collect()
    }

    fn model(&self, name: &str) -> std::result::Result<Arc<Model>, Failure> {
        Ok(Arc::new(self.line(name)?.served()?.described()?))
    }

    fn infer(&self, name: &str, inputs: Vec<Tensor>) -> std::result::Result<Answer, Failure> {
        let (answer, answered) = mpsc::channel();
        self.line(name)?.ask(Box::new(OfTensors { inputs, answer }))?;
        answer_of(&answered)
    }

    fn ready(&self) -> std::result::Result<(), Failure> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            asked.as_ref().filter(|(when, _)| when.elapsed() < BELIEVED).map(|(_, said)| said.clone());
        let said = known.unwrap_or_else(|| {
            let statuses = self.site.status();
            let first = statuses.into_iter().find_map(std::result::Result::err);
            let said = first.map_or(Ok(()), |error| Err(error.to_string()));
            *asked = Some((Instant::now(), said.clone()));
            said
        });
        said.map_err(Failure::Unavailable)
    }
}
