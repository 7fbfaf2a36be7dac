//! What is shown. Nothing in it is secret: names, numbers and digests that every participant has.

use std::collections::BTreeMap;

use serde::Serialize;

/// What has a port for its operator.
pub trait Watched: Send + Sync {
    /// How it is.
    fn state(&self) -> State;
}

/// How a party is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// Seconds since 1970, by this party's clock.
    pub time: u64,
    /// Which party.
    pub party: Party,
    /// What keeps it from being ready; empty where it is.
    pub causes: Vec<Cause>,
    /// Sessions that run.
    pub sessions: Vec<Session>,
    /// The places for sessions.
    pub places: Places,
    /// The other parties.
    pub peers: Vec<Peer>,
    /// The models that it keeps.
    pub models: Vec<Model>,
    /// Its log.
    pub audit: Audit,
    /// What its processes hold.
    pub memory: Memory,
    /// How old its files are.
    pub files: Files,
    /// What it has done since it was started.
    pub totals: Totals,
}

impl State {
    /// Whether it can do its work.
    pub fn ready(&self) -> bool {
        self.causes.is_empty()
    }
}

/// Which party.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Party {
    /// Its place, from 0.
    pub index: usize,
    /// The organisation.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Version of the messages: the newest that it speaks.
    pub messages: u32,
    /// The protocols that it runs.
    pub protocols: Vec<String>,
    /// Where it listens.
    pub listen: String,
    /// Its key's fingerprint.
    pub fingerprint: String,
    /// What it attests with.
    pub hardware: Option<String>,
    /// Digest of the attestation policy.
    pub policy: Option<String>,
    /// Seconds since it was started.
    pub uptime: u64,
}

/// Something that keeps a party from being ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What kind of cause it is: a word that stays the same.
    pub code: String,
    /// The other party; nothing where it is a matter of this one alone.
    pub party: Option<usize>,
    /// The model; nothing where it is a matter of all.
    pub model: Option<String>,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// A session that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Session {
    /// The first digits of its number, as logs have them.
    pub id: String,
    /// The client, as the party calls it.
    pub client: String,
    /// The model.
    pub model: String,
    /// The protocol.
    pub protocol: String,
    /// What it does: `meet`, `wait`, `take` or `run`.
    pub phase: String,
    /// The step that runs, counted from 1; 0 where none does.
    pub step: u32,
    /// How many a run has.
    pub steps: u32,
    /// The layer of the model that the step computes.
    pub layer: String,
    /// Runs that are done.
    pub runs: u64,
    /// Seconds since it was begun.
    pub seconds: f64,
    /// Payload bytes that were sent to the other parties.
    pub sent: u64,
    /// Bytes of memory that its process holds; 0 where it has none of its own.
    pub memory: u64,
}

/// The places for sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Places {
    /// Taken.
    pub taken: usize,
    /// There are.
    pub most: usize,
    /// Who waits for one.
    pub waiting: usize,
}

/// Another party.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Peer {
    /// Its place, from 0.
    pub index: usize,
    /// The organisation.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether it answered when it was asked last.
    pub reached: bool,
    /// Seconds since it was asked last; nothing where it was not yet.
    pub asked: Option<f64>,
    /// Seconds to it and back.
    pub rtt: Option<f64>,
    /// Seconds by which its clock is ahead of this party's.
    pub clock: Option<f64>,
    /// Version of its program.
    pub version: Option<String>,
    /// Version of the messages: the newest that both speak.
    pub messages: Option<u32>,
}

/// A model that the party keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// The protocol that it was deployed for; empty where none is used, or it is damaged.
    pub protocol: String,
    /// The digest on which all parties agree; empty where none is used, or it is damaged.
    pub digest: String,
    /// What is wrong with the version that is used.
    pub damage: Option<String>,
    /// The number of the version that is used; nothing where none is yet.
    pub used: Option<u64>,
    /// All versions that the party keeps, the newest first.
    pub versions: Vec<Version>,
    /// Runs that were dealt ahead for the version that is used, and are left here.
    pub dealt_runs: u64,
    /// Bytes that these take.
    pub dealt_bytes: u64,
}

impl Model {
    /// Whether it is served, or was, before it was damaged: otherwise it is about to come, or has gone.
    pub fn is_there(&self) -> bool {
        self.used.is_some() || self.damage.is_some()
    }
}

/// A version of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Version {
    /// Its number, which is the same at all parties.
    pub generation: u64,
    /// `used`; `staged`, where not all parties are known to hold it; or `previous`, where there is a way back to it.
    pub state: &'static str,
    /// The protocol that it was deployed for; nothing where the version is that the model was removed.
    pub protocol: Option<String>,
    /// The digest of what was deployed.
    pub digest: Option<String>,
    /// Bytes of this party's part.
    pub bytes: Option<u64>,
    /// When it was taken: seconds since 1970.
    pub time: u64,
    /// Who brought it.
    pub client: String,
    /// What is wrong with it.
    pub damage: Option<String>,
}

/// The party's log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Audit {
    /// How many entries it has.
    pub entries: u64,
    /// The digest of the last one.
    pub head: String,
    /// Whether that could be written; nothing that cannot be written down is done.
    pub writable: bool,
}

/// Bytes of memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// That the party's own process holds, where the system says so.
    pub party: Option<u64>,
    /// That the processes of sessions hold.
    pub sessions: u64,
    /// That the program of one session may demand.
    pub session_most: u64,
}

/// Ages of files, in seconds; nothing where there is no such file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Files {
    /// The certificate, which carries the key.
    pub certificate: Option<u64>,
    /// What the hardware's makers publish.
    pub collateral: Option<u64>,
}

/// What a party has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Sessions that have ended, by how they did: `finished`, or the word of an error.
    pub ended: BTreeMap<&'static str, u64>,
    /// What was refused, by the word of the reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Seconds that sessions spent, by what they did.
    pub seconds: BTreeMap<&'static str, f64>,
    /// Payload bytes that runs sent, by the party that they were sent to.
    pub sent: BTreeMap<usize, u64>,
    /// Rounds of runs.
    pub rounds: u64,
    /// Runs that were done.
    pub runs: u64,
}
