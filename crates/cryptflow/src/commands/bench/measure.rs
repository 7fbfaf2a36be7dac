//! One network with one protocol: a process for each party, one session, some inferences of one
//! example each.

use std::time::Duration;

use cryptflow_program::Checked;
use cryptflow_wire::{Link, Network};

use crate::client::Client;
use crate::compare::Comparison;
use crate::error::{Error, Result};
use crate::fixed;
use crate::local::{Executable, Parties};
use cryptflow_bench::machine::cpu_seconds;
use cryptflow_bench::{Taken, median};
use cryptflow_engine::Beyond;
use cryptflow_figures::table::number;
use cryptflow_protocols::ProtocolName;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    /// The program: one input, batches of one row.
    pub(super) program: &'a Checked,
    /// Its weights.
    pub(super) weights: &'a [Vec<i64>],
    /// The examples; run after run takes the next one, and begins again after the last.
    pub(super) examples: &'a [Vec<f32>],
    /// What the float model says of each of them.
    pub(super) expected: &'a [Vec<f32>],
    /// The protocol.
    pub(super) protocol: ProtocolName,
    /// How often.
    pub(super) runs: usize,
}

/// How to start the parties.
#[derive(Clone, Copy, Debug)]
pub(super) struct Launch<'a> {
    /// The executable that they run.
    pub(super) executable: &'a Executable,
    /// Silence after which one counts as gone.
    pub(super) deadline: Duration,
    /// The network between them, where it is emulated.
    pub(super) network: Option<Network>,
}

/// Runs the job, with processes that are started for it and end with it.
///
/// # Errors
/// Whatever ended the session before its time.
pub(super) fn measure(job: &Job<'_>, launch: &Launch<'_>) -> Result<Taken> {
    let parties = job.protocol.facts().parties;
    let (parties, links) =
        Parties::launch(launch.executable, parties, launch.deadline, launch.network).map_err(Error::new)?;
    let result = run(job, links, &parties.ids());
    parties.end(result)
}

fn run(job: &Job<'_>, links: Vec<Link>, processes: &[u32]) -> Result<Taken> {
    let value = |id: Option<usize>| {
        let value = id.and_then(|id| job.program.values.get(id));
        value.ok_or_else(|| Error::new("the program has no input or no output"))
    };
    let placeholder = job.program.inputs.first();
    let placeholder = placeholder.ok_or_else(|| Error::new("the program has no input"))?;
    let input = value(Some(placeholder.value.0))?;
    let output = value(job.program.outputs.first().map(|o| o.value.0))?;
    let cpu = || processes.iter().map(|&process| cpu_seconds(process)).collect::<Option<Vec<f64>>>();

    let client = Client::begin(links, job.program, job.protocol).map_err(Error::new)?;
    client.deploy(job.weights).map_err(Error::new)?;
    let mut taken = Taken::default();
    let (mut secure, mut float) = (Vec::new(), Vec::new());
    let before = cpu();
    for run in 0..job.runs.max(1) {
        let index = run % job.examples.len().max(1);
        let (Some(example), Some(expected)) = (job.examples.get(index), job.expected.get(index)) else {
            return Err(Error::new("there are no examples, or no answers to them"));
        };
        let answer =
            client.infer(&[placeholder.integers(example, input.scale)], &mut |_| ()).map_err(Error::new)?;
        taken.seconds.push(answer.online.as_secs_f64());
        let sent: Vec<u64> = answer.records.iter().map(|r| r.sent.iter().sum()).collect();
        taken.bytes = sent.iter().sum();
        let dealer = job.protocol.facts().dealer;
        taken.dealt = dealer.and_then(|dealer| sent.get(dealer.index())).copied().unwrap_or(0);
        taken.online = taken.bytes - taken.dealt;
        taken.rounds = answer.records.iter().map(|r| r.rounds).max().unwrap_or(0);
        let outputs = answer.of_one().ok_or_else(|| Error::new("a value left its bounds in a run"))?;
        if let Some(beyond) = outputs.first().and_then(|numbers| Beyond::of(output, numbers)) {
            eprintln!("warning: run {run}: the output left its bounds, by {}", number(beyond.by()));
        }
        if run < job.examples.len() {
            secure.push(outputs.first().map(|y| fixed::decode(y, output.scale)).unwrap_or_default());
            float.push(expected.clone());
        }
    }
    let spent = before.zip(cpu()).map(|(before, after)| {
        let runs = job.runs.max(1) as f64;
        after.iter().zip(&before).map(|(after, before)| (after - before) / runs).collect::<Vec<f64>>()
    });
    taken.cpu_seconds = spent;
    taken.peak_rss = client.finish().map_err(Error::new)?;
    taken.median_seconds = median(&taken.seconds);
    let comparison = Comparison::new(&secure, &float);
    taken.same_top1 = comparison.same_choices;
    taken.examples = comparison.rows;
    taken.largest_difference = comparison.largest_difference;
    Ok(taken)
}
