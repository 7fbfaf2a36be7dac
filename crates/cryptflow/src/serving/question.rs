//! What is asked of a model: rows from somewhere, and somebody who waits for what comes out.

use std::sync::mpsc::Sender;

use cryptflow_gateway::{Answer, Event, Exchanged, Failure, Ran, Tensor, Upload, Watch};

use super::model::Served;
use crate::job::{Given, Job};
use crate::report::Report;

/// What is asked of a model.
pub(super) trait Question: Send {
    /// What the model is run on.
    fn job<'a>(&self, served: &'a Served) -> Result<Job<'a>, Failure>;

    /// Something happened to it.
    fn happened(&mut self, event: Event);

    /// It was run.
    fn ran(&mut self, served: &Served, job: &Job<'_>, found: Found);

    /// There is no answer.
    fn failed(&mut self, failure: Failure);
}

/// What a run gave, and what it took.
pub(super) struct Found {
    pub(super) given: Given,
    pub(super) report: Report,
    pub(super) exchanged: Vec<Exchanged>,
}

/// A program's question. Whoever asked may be gone by the time there is an answer.
pub(super) struct OfTensors {
    pub(super) inputs: Vec<Tensor>,
    pub(super) answer: Sender<Result<Answer, Failure>>,
}

impl Question for OfTensors {
    fn job<'a>(&self, served: &'a Served) -> Result<Job<'a>, Failure> {
        served.job(&self.inputs)
    }

    fn happened(&mut self, _: Event) {}

    fn ran(&mut self, served: &Served, job: &Job<'_>, found: Found) {
        let Found { given, report, .. } = found;
        let _ = self.answer.send(served.answer(job, &given, report).map(|(answer, _)| answer));
    }

    fn failed(&mut self, failure: Failure) {
        let _ = self.answer.send(Err(failure));
    }
}

/// A person's question.
pub(super) struct OfFiles {
    pub(super) files: Vec<Upload>,
    pub(super) watch: Watch,
    pub(super) answer: Sender<Result<Ran, Failure>>,
}

impl Question for OfFiles {
    fn job<'a>(&self, served: &'a Served) -> Result<Job<'a>, Failure> {
        served.job_of_files(&self.files)
    }

    fn happened(&mut self, event: Event) {
        (self.watch)(event);
    }

    fn ran(&mut self, served: &Served, job: &Job<'_>, found: Found) {
        let _ = self.answer.send(served.ran(job, found));
    }

    fn failed(&mut self, failure: Failure) {
        let _ = self.answer.send(Err(failure));
    }
}
