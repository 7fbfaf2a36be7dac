//! Deployed models behind the Open Inference Protocol: what the gateway of a data's owner runs.
//!
//! Whoever runs this sees inputs and answers in the clear, and is the only one who does: inputs are shared
//! here, and answers are opened here.

mod line;
mod model;
mod page;
mod question;
mod queue;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptflow_gateway::{Answer, Failure, Model, Models, Stop, Tensor};

use crate::ahead::When;
use crate::error::{Error, Result};
use crate::remote::Site;
use line::Line;
use question::OfTensors;

/// How long what the parties say of themselves is believed.
const BELIEVED: Duration = Duration::from_secs(2);

/// The same where somebody asks for a model that was not there: whoever asks for what is not must not have the
/// parties asked each time.
const AGAIN: Duration = Duration::from_millis(200);

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
    /// When sessions take runs that were dealt ahead.
    pub dealt: When,
}

/// Deployed models, each with sessions that stay open.
pub struct Serving {
    site: Arc<Site>,
    plan: Plan,
    /// Whether it was said which models are served: otherwise those are that the parties keep.
    named: bool,
    labels: BTreeMap<String, PathBuf>,
    lines: Mutex<Lines>,
    /// Whoever asks the parties which models they keep.
    asks: Mutex<()>,
    asked: Mutex<Option<(Instant, std::result::Result<(), String>)>>,
}

/// The models that are served, and when the parties were last asked which they keep.
struct Lines {
    lines: Vec<Arc<Line>>,
    when: Option<Instant>,
}

impl Serving {
    /// Serves these models of the parties; all that they keep for this client, at any time, where none is named.
    /// `labels` has files with the names of classes, by model.
    ///
    /// # Errors
    /// There are labels for a model that is not named, or that do not go with its classes.
    pub fn new(
        site: Site,
        models: Vec<String>,
        plan: Plan,
        labels: BTreeMap<String, PathBuf>,
    ) -> Result<Serving> {
        let site = Arc::new(site);
        let named = !models.is_empty();
        let serving = Serving {
            site,
            plan,
            named,
            labels,
            lines: Mutex::new(Lines { lines: Vec::new(), when: None }),
            asks: Mutex::new(()),
            asked: Mutex::new(None),
        };
        if named {
            serving.serve(models);
        }
        let lines = serving.lines();
        let served: Vec<&str> = lines.iter().map(|line| line.name()).collect();
        // Where the parties keep none, or cannot be asked, it may come.
        let lost =
            serving.labels.iter().find(|(name, _)| !served.is_empty() && !served.contains(&name.as_str()));
        if let Some((name, file)) = lost {
            return Err(Error::new(format!(
                "{} is for the model {name:?}, which is not served here: {} is",
                file.display(),
                served.join(", ")
            )));
        }
        lines.iter().try_for_each(|line| line.check_labels())?;
        Ok(serving)
    }

    /// Serves these models from now on. Those that are served already go on.
    fn serve(&self, names: Vec<String>) -> Vec<Arc<Line>> {
        let mut served = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = names.into_iter().map(|name| {
            let there = served.lines.iter().find(|line| line.name() == name);
            there.map(Arc::clone).unwrap_or_else(|| {
                let labels = self.labels.get(&name).cloned();
                Arc::new(Line::new(Arc::clone(&self.site), name, self.plan, labels))
            })
        });
        let lines: Vec<Arc<Line>> = lines.collect();
        *served = Lines { lines: lines.clone(), when: Some(Instant::now()) };
        lines
    }

    /// The models that are served. While the parties cannot be asked, those are that were.
    fn lines(&self) -> Vec<Arc<Line>> {
        self.lines_of_last(BELIEVED)
    }

    /// The same, where what the parties said is believed for so long.
    fn lines_of_last(&self, believed: Duration) -> Vec<Arc<Line>> {
        let known = || self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = |known: &Lines| self.named || known.when.is_some_and(|when| when.elapsed() < believed);
        {
            let mut known = known();
            if believed(&known) {
                return known.lines.clone();
            }
            if !known.lines.is_empty() {
                // Nobody waits for whoever asks: what was there is good enough.
                known.when = Some(Instant::now());
            }
        }
        let begun = Instant::now();
        let _asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let known = known();
            if believed(&known) && known.when.is_some_and(|when| when > begun) {
                // Somebody else has asked meanwhile.
                return known.lines.clone();
            }
        }
        match kept(&self.site) {
            Ok(names) => self.serve(names),
            Err(_) => {
                let mut known = known();
                known.when = Some(Instant::now());
                known.lines.clone()
            }
        }
    }

    fn line(&self, name: &str) -> std::result::Result<Arc<Line>, Failure> {
        let find = |lines: Vec<Arc<Line>>| lines.into_iter().find(|line| line.name() == name);
        // It may have come just now.
        let line = find(self.lines()).or_else(|| find(self.lines_of_last(AGAIN)));
        line.ok_or_else(|| Failure::NoModel(name.into()))
    }
}

/// The models that every party keeps for this client, at the first lane that can be asked.
fn kept(site: &Site) -> Result<Vec<String>> {
    let mut error = Error::new("there is no lane");
    for lane in site.each_lane()? {
        match kept_at(&lane) {
            Ok(names) => return Ok(names),
            Err(why) => error = why,
        }
    }
    Err(error)
}

fn kept_at(site: &Site) -> Result<Vec<String>> {
    let mut all: Option<Vec<String>> = None;
    for status in site.status() {
        let models: Vec<String> =
            status.map_err(Error::from)?.models.into_iter().map(|(name, _, _)| name).collect();
        match &mut all {
            None => all = Some(models),
            Some(all) => all.retain(|name| models.contains(name)),
        }
    }
    Ok(all.unwrap_or_default())
}

/// Waits for the answer to a question. There is none where nobody waits for it, as `stop` says.
fn answer_of<T>(
    answered: &Receiver<std::result::Result<T, Failure>>,
    stop: &Stop,
) -> std::result::Result<T, Failure> {
    match answered.recv() {
        Ok(answer) => answer,
        Err(_) if stop.is_stopped() => Err(Failure::Unavailable("nobody waits for the answer".into())),
        Err(_) => Err(Failure::Defect("a session ended without an answer".into())),
    }
}

impl Models for Serving {
    fn names(&self) -> Vec<String> {
        self.lines().iter().map(|line| line.name().to_string()).collect()
    }

    fn model(&self, name: &str) -> std::result::Result<Arc<Model>, Failure> {
        Ok(Arc::new(self.line(name)?.served()?.described()?))
    }

    fn infer(&self, name: &str, inputs: Vec<Tensor>, stop: Stop) -> std::result::Result<Answer, Failure> {
        let (answer, answered) = mpsc::channel();
        self.line(name)?.ask(Box::new(OfTensors { inputs, answer }), stop.clone())?;
        answer_of(&answered, &stop)
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
