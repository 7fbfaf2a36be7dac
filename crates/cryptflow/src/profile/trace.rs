//! A time line in the Trace Event Format, which Perfetto and `chrome://tracing` show: a process for each party,
//! a slice for each batch, in it one for each step, and beside them those that run at the same time, and the waits.

use cryptflow_program::Program;
use serde_json::{Value, json};

use super::{At, Batch};

/// Whether the clocks of parties can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// All parties have the same.
    One,
    /// Each party has its own: a batch is drawn as if all parties had begun it at the same time.
    Several,
}

/// The thread that is shown of a party's runs, and of the steps that run one by one.
const THREAD: usize = 1;
/// That of its waits. Those of steps beside others are above it: one for each step that runs at the same time.
const WAITS: usize = 2;

/// The time line of some batches.
pub fn trace(program: &Program, batches: &[Batch], clocks: Clocks) -> Value {
    let parties = batches.iter().map(|batch| batch.parties.len()).max().unwrap_or(0);
    let mut events: Vec<Value> = (0..parties).flat_map(names).collect();
    let mut end = 0.0;
    let first = batches.first().and_then(begin);
    for (number, batch) in batches.iter().enumerate() {
        let begun = match (clocks, first) {
            (Clocks::One, Some(first)) => begin(batch).unwrap_or(first).saturating_sub(first) as f64,
            (Clocks::One, None) | (Clocks::Several, _) => end,
        };
        for (party, at) in batch.parties.iter().enumerate() {
            let later = match clocks {
                Clocks::One => {
                    at.profile.begun.saturating_sub(begin(batch).unwrap_or(at.profile.begun)) as f64
                }
                Clocks::Several => 0.0,
            };
            let origin = begun + later;
            // The clock of its steps runs a moment before its own.
            let last = at.profile.steps.iter().map(|step| step.begun + step.seconds).fold(0.0, f64::max);
            let took = at.seconds.max(last);
            end = f64::max(end, origin + took * 1e6);
            let remark = if batch.left_out { " (single waits left out)" } else { "" };
            let name = format!("run {}{remark}", number + 1);
            events.push(slice((party, THREAD), name, "run", (origin, 0.0, took), json!({})));
            events.extend(steps(program, party, at, origin));
            events.extend(at.profile.waits.iter().map(|wait| {
                let name = format!("waits for P{}", wait.peer);
                slice((party, WAITS), name, "wait", (origin, wait.begun, wait.seconds), json!({}))
            }));
        }
    }
    json!({ "traceEvents": events, "displayTimeUnit": "ms" })
}

/// When the first party began.
fn begin(batch: &Batch) -> Option<u64> {
    batch.parties.iter().map(|at| at.profile.begun).min()
}

/// What says how a party is called. No process has the number 0, which viewers take for the idle one.
fn names(party: usize) -> [Value; 3] {
    let named = |what: &str, thread: usize, name: String| json!({ "name": what, "ph": "M", "pid": party + 1, "tid": thread, "args": { "name": name } });
    [
        named("process_name", THREAD, format!("P{party}")),
        named("thread_name", THREAD, "steps".into()),
        named("thread_name", WAITS, "waits".into()),
    ]
}

fn steps<'a>(
    program: &'a Program,
    party: usize,
    at: &'a At,
    origin: f64,
) -> impl Iterator<Item = Value> + 'a {
    let steps = program.steps.iter().zip(&at.profile.steps).enumerate();
    let mut ends: Vec<f64> = Vec::new();
    steps.map(move |(index, (step, time))| {
        // Slices of one thread do not overlap. A step that ran beside others took its turns between theirs: its slice is as long as
        // these together.
        let free = ends.iter().position(|end| *end <= time.begun).unwrap_or(ends.len());
        if free == ends.len() {
            ends.push(0.0);
        }
        if let Some(end) = ends.get_mut(free) {
            *end = time.begun + time.seconds;
        }
        let thread = if free == 0 { THREAD } else { WAITS + free };
        let record = at.records.get(index).cloned().unwrap_or_default();
        let sent: serde_json::Map<String, Value> = (record.sent.iter().enumerate())
            .filter(|&(to, _)| to != party)
            .map(|(to, bytes)| (format!("bytes to P{to}"), (*bytes).into()))
            .collect();
        let waited: f64 = time.waited.iter().sum();
        let mut arguments = json!({
            "layer": step.name, "step": index, "rounds": record.rounds, "seconds waiting": waited,
        });
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.extend(sent);
        }
        slice(
            (party, thread),
            step.operation.name().into(),
            "step",
            (origin, time.begun, time.seconds),
            arguments,
        )
    })
}

/// A slice; times are microseconds, of which nanoseconds are kept, and seconds.
fn slice(
    (party, thread): (usize, usize),
    name: String,
    category: &str,
    (origin, begun, took): (f64, f64, f64),
    arguments: Value,
) -> Value {
    let nanoseconds = |microseconds: f64| (microseconds * 1e3).round() / 1e3;
    json!({
        "name": name, "cat": category, "ph": "X", "pid": party + 1, "tid": thread,
        "ts": nanoseconds(origin + begun * 1e6), "dur": nanoseconds(took * 1e6), "args": arguments,
    })
}
