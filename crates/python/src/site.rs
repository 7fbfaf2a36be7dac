//! Three organisations: what a client's site has of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use cryptflow::Error;
use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote;
use cryptflow::report::Report;
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

    /// Of each party, what it says of itself, as JSON; or why it says nothing.
    fn status(&self, py: Python<'_>) -> PyResult<Vec<(Option<String>, Option<String>)>> {
        waiting::work(py, None, |_| {
            let said = |status: Result<_, _>| match status {
                Ok(status) => serde_json::to_string(&status).map(|json| (Some(json), None)),
                Err(error) => Ok((None, Some(Error::new(error).to_string()))),
            };
            self.site.status().into_iter().map(said).collect::<Result<_, _>>().map_err(Failure::bug)
        })
    }

    /// Shares the weights of a program into the stores of the parties; returns the digest.
    fn deploy(
        &self,
        py: Python<'_>,
        program: &Bound<'_, Program>,
        name: &str,
        protocol: &str,
        replace: bool,
    ) -> PyResult<String> {
        check_name(name).map_err(|e| Failure::option(e).raise(py))?;
        let protocol = self::protocol(py, protocol)?;
        let model = &program.get().model;
        waiting::work(py, None, |_| {
            let weights = model.weights()?;
            let deployed = self.site.deploy(name, &model.program, weights, protocol, replace, &|_, _| ());
            Ok(deployed.map_err(Failure::party)?.deployment.map(|digest| hex(&digest)).unwrap_or_default())
        })
    }

    /// A model that the parties keep.
    fn model(&self, py: Python<'_>, name: &str) -> PyResult<Deployed> {
        waiting::work(py, None, |_| {
            let cryptflow::deployed::Described { deployment, program, .. } =
                self.site.found(name).map_err(Failure::party)?;
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

    /// Runs it, in a session of its own.
    fn run(
        &self,
        py: Python<'_>,
        inputs: Vec<Bytes>,
        raw: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Outcome> {
        let Deployed { site, deployment, model } = self;
        waiting::work(py, progress, |teller| {
            let rows = model.job(inputs)?;
            let (total, protocol) = (rows.steps(), deployment.protocol);
            let begun = Instant::now();
            let mut told = |what: &str| {
                teller.go_on();
                teller.tell(0, total, || what.into());
            };
            let mut patience = Patience::of(Patience::USUAL, &mut told);
            let opened =
                site.open(deployment, &model.program, protocol, &mut patience).map_err(Failure::party)?;
            let mut report = Report { session: Some(site.session(&opened)), ..Report::of(protocol) };
            let mut renewal = opened.renewal;
            let client = Client::join(opened.links, &model.program, &opened.manifest, renewal.is_some());
            let client = client.map_err(Failure::party)?;
            report.seconds.share = begun.elapsed().as_secs_f64();
            let mut step = |done, step: &_| {
                teller.go_on();
                teller.tell(done, total, || job::step(step));
            };
            let given = rows.run(&client, &mut step, &mut report, &mut renewal).map_err(Failure::party)?;
            report.bytes.share = client.sent();
            report.set_peak_rss(&client.finish().map_err(Failure::party)?);
            model.outcome(&rows, &given, report, raw)
        })
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
