//! What the gateway's page asks: who the parties are, what a model takes, and what it says of files.

use std::sync::mpsc;

use cryptflow_gateway::{
    Described, Failure, Input, Layer, Page, Parties, Party, Ran, Stop, TensorSpec, Upload, Watch,
};
use cryptflow_party::config::PartyEntry;

use super::Serving;
use super::model::Served;
use super::question::{Found, OfFiles};
use crate::input::{self, InputSpec, Sent};
use crate::job::{self, Job};

impl Page for Serving {
    fn parties(&self) -> Parties {
        let party = |party: &PartyEntry| Party {
            name: party.name.clone(),
            address: party.address.clone(),
            fingerprint: match party.keys.next {
                None => party.keys.now.to_string(),
                Some(next) => format!("{}, or soon {next}", party.keys.now),
            },
        };
        let policy = self.site.policy();
        Parties {
            parties: self.site.config().parties.iter().map(party).collect(),
            attested: policy.is_some(),
            simulated: self.site.allows_insecure_simulated(),
            policy: policy.map(hex::encode),
        }
    }

    fn model(&self, name: &str) -> Result<Described, Failure> {
        self.line(name)?.served()?.shown()
    }

    fn run(&self, name: &str, files: Vec<Upload>, watch: Watch, stop: Stop) -> Result<Ran, Failure> {
        let (answer, answered) = mpsc::channel();
        self.line(name)?.ask(Box::new(OfFiles { files, watch, answer }), stop.clone())?;
        super::answer_of(&answered, &stop)
    }
}

impl Served {
    /// What a person must know of it.
    fn shown(&self) -> Result<Described, Failure> {
        let described = self.described()?;
        let batches = job::batches(&self.program).map_err(|error| Failure::Defect(error.to_string()))?;
        let input = |spec: InputSpec| {
            let shape = batches.row(&spec.shape).0.to_vec();
            Input { pictures: is_picture(&spec, &shape), name: spec.name, shape }
        };
        let inputs = job::specs(&self.program).map_err(|error| Failure::Defect(error.to_string()))?;
        let output = |output: TensorSpec| output.name;
        Ok(Described {
            name: described.name,
            version: described.version,
            protocol: self.deployment.protocol.to_string(),
            inputs: inputs.into_iter().map(input).collect(),
            outputs: described.outputs.into_iter().map(output).collect(),
            layers: self.layers(),
            steps: self.program.steps.len(),
            rows: batches.rows_a_run(),
        })
    }

    /// Its steps by the nodes of the model that they are for.
    fn layers(&self) -> Vec<Layer> {
        let mut layers: Vec<Layer> = Vec::new();
        for (first, step) in self.program.steps.iter().enumerate() {
            let operation = step.operation.name().to_string();
            match layers.last_mut().filter(|layer| layer.name == step.name) {
                Some(layer) if layer.operations.last() == Some(&operation) => {}
                Some(layer) => layer.operations.push(operation),
                None => layers.push(Layer { name: step.name.clone(), operations: vec![operation], first }),
            }
        }
        layers
    }

    /// The rows of files.
    pub(super) fn job_of_files(&self, files: &[Upload]) -> Result<Job<'_>, Failure> {
        let sent = files.iter().map(|file| Sent {
            input: file.input.as_deref(),
            name: &file.name,
            bytes: &file.bytes,
        });
        let sent: Vec<Sent<'_>> = sent.collect();
        Job::read(&self.program, &mut |specs| input::sent(&sent, specs))
            .map_err(|error| Failure::Request(error.to_string()))
    }

    /// What came of files.
    pub(super) fn ran(&self, job: &Job<'_>, found: Found) -> Result<Ran, Failure> {
        let Found { given, mut report, exchanged } = found;
        report.bytes.share = exchanged.iter().map(|party| party.sent).sum();
        let (answer, report) = self.answer(job, &given, report)?;
        let said = report.answers.outputs.iter().map(|output| output.said().to_vec()).collect();
        let rows = job.names();
        let evidence = report.session.iter().flat_map(|session| &session.evidence);
        let proved = evidence.map(ToString::to_string).collect();
        let report = serde_json::to_value(&report).map_err(|error| Failure::Defect(error.to_string()))?;
        Ok(Ran { answer, rows, said, exchanged, proved, report })
    }
}

/// Whether rows are pictures: what they are made of has height, width and one or three channels.
fn is_picture(spec: &InputSpec, row: &[usize]) -> bool {
    match *row {
        [channels, height, width] if spec.preprocessing.channels_first => {
            matches!(channels, 1 | 3) && height > 1 && width > 1
        }
        [height, width, 1 | 3] => height > 1 && width > 1,
        _ => cryptflow_pictures::changes_size(&spec.preprocessing),
    }
}
