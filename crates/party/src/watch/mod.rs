//! What a party's operator may know of it while it runs: sessions and how far they are, what was done since
//! the start, the other parties. Nothing here is secret, and nothing here decides anything, but that a
//! session which waits for its client may have to give up its place (`Followed::waits_since`).

mod memory;
mod peers;
mod port;
mod probe;
mod progress;
mod standing;
mod state;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cryptflow_operator::Totals;

use crate::code::Code;
use crate::edition::Spoken;
use crate::messages::Manifest;
use peers::Seen;
use standing::Known;

pub(crate) use memory::resident;
pub use peers::{Asked, advice, ask};
pub(crate) use probe::serve as probe;
pub use probe::{Measured, measure};
pub use progress::Reporter;
pub(crate) use progress::{Phase, Progress};
pub use standing::{Differing, Standing, compare, own_standing};

/// What is kept of all that.
#[derive(Default)]
pub(crate) struct Watch {
    totals: Mutex<Totals>,
    live: Mutex<BTreeMap<u64, Running>>,
    sessions: AtomicU64,
    peers: Mutex<BTreeMap<usize, Seen>>,
    kept: Mutex<Option<Known>>,
    /// What messages the others speak.
    spoken: Spoken,
}

/// A session that runs.
struct Running {
    id: String,
    client: String,
    model: String,
    protocol: String,
    begun: Instant,
    progress: Progress,
    /// When it was heard of last.
    heard: Instant,
}

/// A session's place here, as long as it runs.
pub(crate) struct Followed {
    watch: Arc<Watch>,
    number: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Something was refused.
    pub(crate) fn refused(&self, code: Code) {
        *locked(&self.totals).refused.entry(code.word()).or_default() += 1;
    }

    /// A session begins.
    pub(crate) fn begin(self: &Arc<Self>, client: &str, model: &str, manifest: &Manifest) -> Arc<Followed> {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let running = Running {
            id: hex::encode(manifest.session).chars().take(8).collect(),
            client: client.into(),
            model: model.into(),
            protocol: manifest.protocol.to_string(),
            begun: Instant::now(),
            progress: Progress::default(),
            heard: Instant::now(),
        };
        locked(&self.live).insert(number, running);
        Arc::new(Followed { watch: Arc::clone(self), number })
    }
}

impl Followed {
    /// How far it is. What it took since it said so last is counted, and stays when it ends.
    pub(crate) fn progress(&self, now: Progress) {
        let mut live = locked(&self.watch.live);
        let Some(running) = live.get_mut(&self.number) else { return };
        running.heard = Instant::now();
        let before = std::mem::replace(&mut running.progress, now.clone());
        let mut totals = locked(&self.watch.totals);
        totals.runs += now.runs.saturating_sub(before.runs);
        totals.rounds += now.rounds.saturating_sub(before.rounds);
        for (peer, sent) in now.sent.iter().enumerate() {
            let more = sent.saturating_sub(before.sent.get(peer).copied().unwrap_or_default());
            if more > 0 {
                *totals.sent.entry(peer).or_default() += more;
            }
        }
        for (phase, (now, before)) in Phase::ALL.into_iter().zip(now.seconds.iter().zip(before.seconds)) {
            *totals.seconds.entry(phase.word()).or_default() += (now - before).max(0.0);
        }
    }

    /// Since when it waits for its client, where it does.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        let live = locked(&self.watch.live);
        let running = live.get(&self.number)?;
        match running.progress.phase {
            Phase::Wait => Some(running.heard),
            Phase::Meet | Phase::Take | Phase::Run => None,
        }
    }

    /// It has ended, in good order or with an error of this kind.
    pub(crate) fn ended(&self, code: Option<Code>) {
        *locked(&self.watch.totals).ended.entry(code.map_or("finished", Code::word)).or_default() += 1;
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        locked(&self.watch.live).remove(&self.number);
    }
}
