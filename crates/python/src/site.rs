//! Three organisations: what a client's site has of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptflow::Error;
use cryptflow::ahead::When;
use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote;
use cryptflow::report::{DealtAhead, Report};
use cryptflow_party::code::Code;
use cryptflow_party::config::LONGEST;
use cryptflow_party::deployment::{Deployment, check_name};
use pyo3::prelude::*;

use crate::arrays::Bytes;
use crate::failure::Failure;
use crate::job::{self, Outcome};
use crate::program::{Model, Program, protocol};
use crate::waiting;

/// The site of a client: its key, and who the parties are.
#[pyclass(frozen, module = "cryptflow._native")]
pub(crate) struct Site {
    site: Arc<remote::Site>,
}

#[pymethods]
impl Site {
    /// Reads the configuration of a site.
    #[new]
    fn new(py: Python<'_>, config: PathBuf, insecure_simulated_tee: Option<PathBuf>) -> PyResult<Site> {
        let site = remote::Site::read(&config, insecure_simulated_tee.as_deref());
        let site = site.map_err(|e| Failure::new("site", e).raise(py))?;
        Ok(Site { site: Arc::new(site) })
    }

    /// The parties' organisations, in order.
    #[getter]
    fn parties(&self) -> Vec<String> {
        self.site.parties()
    }

    /// Of each party, what it says of itself, as JSON; or why it says nothing, and the word for that.
    fn status(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        waiting::work(py, None, |_| {
            let said = |status: Result<_, _>| match status {
                Ok(status) => serde_json::to_string(&status),
                Err(error) => {
                    let error = Error::from(error);
                    let (text, code) = (error.to_string(), error.code());
                    serde_json::to_string(&serde_json::json!({ "error": text, "code": code }))
                }
            };
            self.site.status().into_iter().map(said).collect::<Result<_, _>>().map_err(Failure::bug)
        })
    }

    /// Shares the weights of a program into the stores of the parties, at all of their lanes; returns the digest, of
    /// the first lane.
    fn deploy(
        &self,
        py: Python<'_>,
        program: &Bound<'_, Program>,
        name: &str,
        protocol: &str,
        replace: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        check_name(name).map_err(|e| Failure::option(e).raise(py))?;
        let protocol = self::protocol(py, protocol)?;
        let model = &program.get().model;
        waiting::work(py, progress, |teller| {
            let weights = model.weights()?;
            let lanes = self.site.each_lane().map_err(|e| Failure::new("site", e))?;
            let mut digest = None;
            let several = lanes.len() > 1;
            for (lane, site) in lanes.into_iter().enumerate() {
                let at = if several { format!(" of lane {lane}") } else { String::new() };
                let told = |arrived: u64, all: u64| {
                    teller.go_on();
                    let count = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
                    teller.tell(count(arrived), count(all), || format!("bytes at the parties{at}"));
                    if arrived >= all {
                        // The parties commit now.
                        teller.heard_out();
                    }
                };
                let deployed = site.deploy(name, &model.program, weights, protocol, replace, &told);
                teller.go_on();
                let deployed = deployed.map_err(|error| {
                    let failure = Failure::party(error);
                    if several { failure.and(|text| format!("lane {lane}: {text}")) } else { failure }
                })?;
                digest = digest.or(deployed.deployment);
            }
            Ok(digest.map(|digest| hex(&digest)).unwrap_or_default())
        })
    }

    /// A model that the parties keep. It waits so many seconds for parties that are busy, or away for a moment; where
    /// `dealt` says that runs are taken which were dealt ahead, and there are any, the party that deals may be away.
    fn model(&self, py: Python<'_>, name: &str, patience: f64, dealt: &str) -> PyResult<Deployed> {
        let (limit, dealt) = (seconds(py, patience)?, when(py, dealt)?);
        waiting::work(py, None, |teller| {
            let mut told = |_: &str| teller.go_on();
            let gone = || teller.is_stopped();
            let mut patience = Patience::of(limit, &mut told).unless(&gone);
            let cryptflow::deployed::Described { deployment, program, .. } =
                self.site.found_when(dealt, name, &mut patience).map_err(Failure::party)?;
            let model = Model {
                program,
                weights: None,
                report: None,
                source: name.to_string(),
                given: Vec::new(),
                float: None,
            };
            Ok(Deployed { site: Arc::clone(&self.site), deployment, model: Arc::new(model) })
        })
    }
}

/// A model that the parties keep, as a client knows it: without its weights.
#[pyclass(frozen, module = "cryptflow._native")]
pub(crate) struct Deployed {
    site: Arc<remote::Site>,
    deployment: Deployment,
    model: Arc<Model>,
}

#[pymethods]
impl Deployed {
    /// What is known of it: a program without weights.
    #[getter]
    fn program(&self) -> Program {
        Program { model: Arc::clone(&self.model) }
    }

    /// The digest of program and weights, on which the parties agree.
    #[getter]
    fn digest(&self) -> String {
        hex(&self.deployment.digest())
    }

    /// The protocol that it was deployed for.
    #[getter]
    fn protocol(&self) -> &'static str {
        self.deployment.protocol.name()
    }

    /// Runs it, in a session of its own, for which it waits so many seconds at most; on runs that were dealt ahead, as
    /// `dealt` says.
    fn run(
        &self,
        py: Python<'_>,
        inputs: Vec<Bytes>,
        raw: bool,
        patience: f64,
        dealt: &str,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Outcome> {
        let (limit, mut dealt) = (seconds(py, patience)?, when(py, dealt)?);
        let Deployed { site, deployment, model } = self;
        waiting::work(py, progress, |teller| {
            let rows = model.job(inputs)?;
            let (total, protocol) = (rows.steps(), deployment.protocol);
            let runs = rows.runs() as u64;
            let (client, given, mut report) = loop {
                let begun = Instant::now();
                let mut told = |what: &str| {
                    teller.go_on();
                    teller.tell(0, total, || what.into());
                };
                let gone = || teller.is_stopped();
                let mut patience = Patience::of(limit, &mut told).unless(&gone);
                let opened = site.open_when(dealt, deployment, &model.program, runs, &mut patience);
                let (opened, left) = opened.map_err(Failure::party)?;
                let mut report = Report { session: Some(site.session(&opened)), ..Report::of(protocol) };
                let mut renewal = opened.renewal;
                let client = Client::join(opened.links, &model.program, &opened.manifest, renewal.is_some());
                let mut step = |done, step: &_| {
                    teller.go_on();
                    teller.tell(done, total, || job::step(step));
                };
                let given = client.map_err(Error::from).and_then(|client| {
                    report.seconds.share = begun.elapsed().as_secs_f64();
                    let given = rows.run(&client, &mut step, &mut report, &mut renewal)?;
                    Ok((client, given))
                });
                match given {
                    Ok((client, given)) => {
                        report.dealt_ahead =
                            left.map(|left| DealtAhead { left: left - runs, at: BTreeMap::new() });
                        break (client, given, report);
                    }
                    // Others have taken what was left: nothing was computed that counts.
                    Err(error)
                        if dealt == When::IfThere && left.is_some() && error.code() == Code::NoDealtRun =>
                    {
                        dealt = When::Never;
                    }
                    Err(error) => return Err(Failure::party(error)),
                }
            };
            report.bytes.share = client.sent();
            report.set_peak_rss(&client.finish().map_err(Failure::party)?);
            model.outcome(&rows, &given, report, raw)
        })
    }
}

/// When runs that were dealt ahead are taken.
fn when(py: Python<'_>, dealt: &str) -> PyResult<When> {
    match dealt {
        "if-there" => Ok(When::IfThere),
        "only" => Ok(When::Only),
        "never" => Ok(When::Never),
        other => {
            let wrong = format!("dealt={other:?}: give \"if-there\", \"only\" or \"never\"");
            Err(Failure::option(wrong).raise(py))
        }
    }
}

/// A patience of so many seconds.
fn seconds(py: Python<'_>, patience: f64) -> PyResult<Duration> {
    let limit = Duration::try_from_secs_f64(patience).ok().filter(|limit| *limit <= LONGEST);
    let wrong = || format!("patience={patience}: give a number of seconds, a year's at most");
    limit.ok_or_else(|| Failure::option(wrong()).raise(py))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
