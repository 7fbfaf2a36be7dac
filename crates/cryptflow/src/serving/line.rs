//! The requests for one model, and the sessions that serve them.
//!
//! A session holds the model's shares and its keys, so that a request costs no more than its run. It is begun
//! when it is needed and closed when nobody has asked for a while; a request that fails before anything of it
//! was computed is tried again, in another session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_gateway::{Event, Exchanged, Failure, Stop};
use cryptflow_party::code::Code;
use cryptflow_party::deployment::Deployment;
use cryptflow_program::Step;

use super::Plan;
use super::model::{LabelsOf, Served};
use super::question::{Found, Question};
use super::queue::{Full, Next, Queue};
use crate::ahead::When;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::remote::Site;
use crate::report::{DealtAhead, Report};

/// Waits between attempts: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Runs that a request may have lost to failing sessions before it is given up: computing again costs what it
/// cost.
const LOST_RUNS: usize = 1;

/// Attempts that parties may refuse for good: what is deployed may just be another, and parties change it one
/// after the other.
const REFUSALS: usize = 3;

/// How long what is deployed is known without being asked again.
const KNOWN: Duration = Duration::from_secs(5);

/// Why a session is ended in the middle of a run.
const NOBODY: &str = "whoever asked waits no more";

/// A request.
struct Work {
    question: Box<dyn Question>,
    /// Whether nobody waits for it any more.
    stop: Stop,
    /// Until when it is tried.
    until: Instant,
    /// Runs that were begun and lost.
    lost: usize,
    /// Attempts that were refused, and will be.
    refused: usize,
}

/// What all sessions of a line share.
struct Shared {
    site: Arc<Site>,
    name: String,
    plan: Plan,
    labels: LabelsOf,
    /// What is deployed, and when that was last known.
    served: Mutex<Option<(Instant, Arc<Served>)>>,
    wanted: Queue<Work>,
}

/// The requests for one model.
pub(super) struct Line {
    shared: Arc<Shared>,
    /// The threads, once somebody has asked.
    threads: OnceLock<()>,
}

impl Line {
    pub(super) fn new(site: Arc<Site>, name: String, plan: Plan, labels: LabelsOf) -> Line {
        let wanted = Queue::new(plan.waiting);
        let shared = Shared { site, name, plan, labels, served: Mutex::new(None), wanted };
        Line { shared: Arc::new(shared), threads: OnceLock::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.shared.name
    }

    /// What is deployed.
    pub(super) fn served(&self) -> std::result::Result<Arc<Served>, Failure> {
        self.shared.served().map_err(|error| Failure::Unavailable(error.to_string()))
    }

    /// That the names of classes go with the model, where parties can be asked what that is.
    pub(super) fn check_labels(&self) -> Result<()> {
        let Shared { site, name, labels, .. } = &*self.shared;
        if labels.is_none() {
            return Ok(());
        }
        match site.found(name) {
            Ok(described) => Served::new(described, labels).map(|_| ()),
            Err(_) => Ok(()),
        }
    }

    /// Has it answered by a session that is free. Where nobody waits for it any more, as `stop` says, it leaves the
    /// line, or its session ends.
    ///
    /// # Errors
    /// It does not go with the model, or too many wait already.
    pub(super) fn ask(
        &self,
        mut question: Box<dyn Question>,
        stop: Stop,
    ) -> std::result::Result<(), Failure> {
        // What is wrong with a request is said at once, and costs no session.
        let rows = question.job(&*self.served()?)?.rows();
        let busy = || Failure::Busy {
            reason: format!("{} requests wait for {} already", self.shared.plan.waiting, self.shared.name),
            after: Duration::from_secs(1),
        };
        if self.shared.wanted.is_full() {
            return Err(busy());
        }
        question.happened(Event::Waiting { rows });
        self.threads.get_or_init(|| self.start());
        let until = Instant::now() + self.shared.plan.patience;
        let line = Arc::downgrade(&self.shared);
        stop.then(move || {
            if let Some(line) = line.upgrade() {
                line.leave();
            }
        });
        let asked = stop.clone();
        let work = Work { question, stop, until, lost: 0, refused: 0 };
        self.shared.wanted.push(work).map_err(|Full| busy())?;
        if asked.is_stopped() {
            // It may have come into the line after that.
            self.shared.leave();
        }
        Ok(())
    }

    fn start(&self) {
        for index in 0..self.shared.plan.sessions {
            let shared = Arc::clone(&self.shared);
            let name = format!("{} {index}", shared.name);
            // Those that could be started serve.
            let _ = thread::Builder::new().name(name).spawn(move || shared.serve());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Its sessions end, once all are answered.
        self.shared.wanted.close();
    }
}

impl Shared {
    /// What is deployed. It may be another than a while ago: parties are asked for its digest, and for all of
    /// it where that has changed.
    fn served(&self) -> Result<Arc<Served>> {
        if let Some(served) = self.known() {
            return Ok(served);
        }
        let found = self.site.found_when(self.plan.dealt, &self.name, &mut Patience::none())?;
        let served = Arc::new(Served::new(found, &self.labels)?);
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&served)));
        Ok(served)
    }

    /// What was deployed, where it still is. Nobody waits for whoever asks the parties.
    fn known(&self) -> Option<Arc<Served>> {
        let mut known = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, served) = known.as_mut()?;
        let served = Arc::clone(served);
        if when.elapsed() < KNOWN {
            return Some(served);
        }
        *when = Instant::now();
        drop(known);
        // While parties cannot be asked, what was known is as good as anything.
        self.is_deployed(&served.deployment).unwrap_or(true).then_some(served)
    }

    /// Whether this is what the parties use under the model's name; nothing where one cannot be asked.
    fn is_deployed(&self, deployment: &Deployment) -> Option<bool> {
        let uses =
            |site: &Site| Some(site.standing(&self.name).ok()?.deployment() == Some(deployment.digest()));
        let lanes = self.site.each_lane().ok()?;
        let said: Vec<bool> = lanes.iter().filter_map(uses).collect();
        // Each lane has a sharing of its own: this is one of them, where the model is what it was.
        if said.is_empty() { None } else { Some(said.contains(&true)) }
    }

    /// Forgets what is deployed: it may be another by now.
    fn forget(&self) {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Those leave the line for whom nobody waits.
    fn leave(&self) {
        self.wanted.retain(|work| !work.stop.is_stopped());
    }

    /// One session after another, as long as there are requests.
    fn serve(&self) {
        let mut left: Option<Work> = None;
        let mut wait = FIRST_WAIT;
        loop {
            let work = match left.take() {
                Some(work) => work,
                None => match self.wanted.next(None) {
                    Next::Work(work) => work,
                    Next::Idle | Next::Over => return,
                },
            };
            if work.stop.is_stopped() {
                continue;
            }
            let (mut again, error) = match self.session(work) {
                Ok(next) => {
                    (left, wait) = (next, FIRST_WAIT);
                    continue;
                }
                Err(failed) => *failed,
            };
            self.forget();
            again.refused += usize::from(error.lasts());
            let often = again.lost > LOST_RUNS || again.refused >= REFUSALS;
            if often || Instant::now() + wait > again.until {
                again.question.failed(Failure::Unavailable(error.to_string()));
                wait = FIRST_WAIT;
                continue;
            }
            again.question.happened(Event::Again { reason: error.to_string() });
            left = Some(again);
            thread::sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// A session, from the request that it is begun for to the end of all requests; or to one for a model that
    /// was deployed since, which is returned; or until it fails: then with the request that it failed at.
    fn session(&self, work: Work) -> std::result::Result<Option<Work>, Box<(Work, Error)>> {
        let mut work = Some(work);
        let mut result = self.conversation(&mut work, self.plan.dealt);
        let none_left = |error: &Error| error.code() == Code::NoDealtRun;
        if self.plan.dealt == When::IfThere && work.is_some() && result.as_ref().is_err_and(none_left) {
            result = self.conversation(&mut work, When::Never);
        }
        match (result, work) {
            (Err(error), Some(work)) => Err(Box::new((work, error))),
            // One that fails with nothing to do is begun again when there is.
            (Ok(()) | Err(_), work) => Ok(work),
        }
    }

    fn conversation(&self, current: &mut Option<Work>, dealt: When) -> Result<()> {
        let served = self.served()?;
        let Served { deployment, program, .. } = &*served;
        let protocol = deployment.protocol;
        // Of one that does not go with the model, it is said below.
        let job = current.as_mut().and_then(|work| work.question.job(&served).ok());
        let runs = job.map_or(1, |job| job.runs() as u64);
        let left = current.as_ref().map(|work| work.until.saturating_duration_since(Instant::now()));
        let stop = current.as_ref().map(|work| work.stop.clone());
        let mut happened = |event| {
            if let Some(work) = current {
                work.question.happened(event);
            }
        };
        happened(Event::Connecting);
        let gone = || stop.as_ref().is_some_and(Stop::is_stopped);
        let mut told = |what: &str| happened(Event::Delayed { reason: what.into() });
        let mut patience = Patience::of(left.unwrap_or_default(), &mut told).unless(&gone);
        let (opened, mut runs_left) = self.site.open_when(dealt, deployment, program, runs, &mut patience)?;
        let session = self.site.session(&opened);
        let mut renewal = opened.renewal;
        let client = Client::join(opened.links, program, &opened.manifest, renewal.is_some())?;
        loop {
            // Parties that had nothing to do may have given the place to somebody else; another session is begun.
            let over = client.is_over();
            if current.is_some() && (over || !Arc::ptr_eq(&served, &self.served()?)) {
                let _ = client.finish();
                return Ok(());
            }
            if let Some(work) = current {
                let Work { question, stop, lost, .. } = work;
                let job = match question.job(&served) {
                    Ok(job) => job,
                    Err(failure) => {
                        question.failed(failure);
                        *current = None;
                        continue;
                    }
                };
                let runs = job.runs() as u64;
                if runs_left.is_some_and(|left| left < runs) {
                    // Another session takes from what else was dealt, or goes on without.
                    let _ = client.finish();
                    return Ok(());
                }
                if stop.is_stopped() {
                    // The session has nothing to do with it yet.
                    *current = None;
                    continue;
                }
                let mut report = Report { session: Some(session.clone()), ..Report::of(protocol) };
                let (before, of) = (client.meters(), job.steps());
                *lost += 1;
                let mut progress = |done, _: &Step| question.happened(Event::Step { done, of });
                let breaker = client.breaker();
                stop.then(move || breaker.abort_all(Code::Gone.reason(NOBODY)));
                let given = job.run(&client, &mut progress, &mut report, &mut renewal);
                let stopped = stop.rest();
                let given = match given {
                    Ok(given) => given,
                    Err(_) if stopped => {
                        *current = None;
                        return Ok(());
                    }
                    Err(error) => {
                        if error.code() == Code::NoDealtRun {
                            // Others have taken what was left: nothing was computed.
                            *lost -= 1;
                        }
                        return Err(error);
                    }
                };
                if let Some(left) = &mut runs_left {
                    *left -= runs;
                    report.dealt_ahead = Some(DealtAhead { left: *left, at: BTreeMap::new() });
                }
                let exchanged = before.iter().zip(client.meters()).map(|(before, after)| Exchanged {
                    sent: after.sent_bytes - before.sent_bytes,
                    received: after.received_bytes - before.received_bytes,
                });
                let exchanged = exchanged.collect();
                question.ran(&served, &job, Found { given, report, exchanged });
                *current = None;
                if stopped {
                    // It was ended at its last step.
                    return Ok(());
                }
            }
            *current = match self.wanted.next(Some(self.plan.idle)) {
                Next::Work(work) => Some(work),
                Next::Idle | Next::Over => {
                    // It leaves as it should; parties that are gone have nothing to say.
                    let _ = client.finish();
                    return Ok(());
                }
            };
        }
    }
}
