//! The configuration of a site: who it is, who the parties are, and who may ask it for what. One
//! TOML file.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::edition::Edition;
use crate::lanes::{self, Lane};
use crate::limits::{AtOnce, Limits};
use crate::seats::Capacity;
use cryptflow_aramis::evidence::in_enclave;
use cryptflow_program::Checked;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::{Fingerprint, Keys, NoFingerprint};
use cryptflow_wire::{Role, tls::Identity};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// A site, as its file describes it, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What was read, and where: a session's process reads the same.
    pub(crate) source: Source,
    /// What this site is.
    pub role: Role,
    /// Its key.
    pub identity: Identity,
    /// Which lane it is, of how many.
    pub lane: (usize, usize),
    /// The file of its certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// Where a party listens for its operator; nothing where it does not.
    pub operator: Option<OperatorPort>,
    /// Where a party listens.
    pub listen: Option<String>,
    /// Where a party keeps deployed models.
    pub store: PathBuf,
    /// Where a party writes down what it did.
    pub audit: PathBuf,
    /// P0, P1 and so on.
    pub parties: Vec<PartyEntry>,
    /// Who may ask this party for what, by name.
    pub clients: BTreeMap<String, ClientEntry>,
    /// How sessions run.
    pub session: SessionLimits,
    /// Versions of a model that a party keeps, once all parties have them.
    pub keep_versions: usize,
    /// Bytes of the store's disk that stay free when a model comes; a share of the disk where nothing is said.
    pub reserve: Option<u64>,
    /// Bytes that runs which were dealt ahead may take on a party's disk, beside the reserve; nothing where only the
    /// reserve bounds them.
    pub dealt: Option<u64>,
    /// What is proved and demanded; nothing where this consortium trusts its members to be curious
    /// at most.
    pub attestation: Option<AttestationFiles>,
}

/// The text of a configuration, and its file, to whose folder its paths are relative. Holds no secret:
/// keys are in files of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    text: String,
    pub(crate) path: PathBuf,
    /// The lane's number.
    lane: usize,
}

/// One of the parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyEntry {
    /// The organisation's name, for people.
    pub name: String,
    /// Host and port.
    pub address: String,
    /// Its keys.
    pub keys: Keys,
}

/// Keys as a configuration has them, at some place of it.
fn keys(place: &str, now: &str, next: Option<&str>) -> Result<Keys, String> {
    let next = next.map(|next| fingerprint(place, "next_fingerprint", next)).transpose()?;
    Ok(Keys { now: fingerprint(place, "fingerprint", now)?, next })
}

/// A client that this party serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEntry {
    /// Its keys.
    pub keys: Keys,
    /// What it may do.
    pub may: HashSet<Right>,
    /// The models that it may use; nothing means all.
    pub models: Option<HashSet<String>>,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Bring models.
    Deploy,
    /// Use models.
    Predict,
}

/// In which process a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Process {
    /// One of its own: whatever ends it ends that session alone.
    Own,
    /// The party's: what ends that ends all sessions.
    Shared,
}

impl Process {
    /// What is asked for, or what is usual, where sessions `may` have processes of their own: on Unix,
    /// and not within an enclave, which hands no connection over to another.
    fn chosen(asked: Option<Process>, may: bool) -> Result<Process, String> {
        match (asked, may) {
            (Some(Process::Shared), _) | (None, false) => Ok(Process::Shared),
            (Some(Process::Own) | None, true) => Ok(Process::Own),
            (Some(Process::Own), false) => Err(
                "session.process is \"own\", and sessions can have no process of their own here: write \"shared\"".into(),
            ),
        }
    }
}

/// The longest time that anybody may wait for anything: a moment that far ahead can still be told.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Sessions at a time where nothing is configured; their memory bounds them, too.
const USUAL_SESSIONS: usize = 8;

/// Clients that may wait where nothing is configured.
const USUAL_WAITING: usize = 100;

/// Limits of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// In which process they run.
    pub process: Process,
    /// The protocols that this party runs.
    pub protocols: Vec<ProtocolName>,
    /// Time for everybody to come together; and silence after which a peer counts as gone.
    pub deadline: Duration,
    /// Time that a client may leave a session idle.
    pub idle: Duration,
    /// The same where somebody else waits for a place.
    pub yields: Duration,
    /// Sessions at a time.
    pub max_sessions: usize,
    /// Sessions of one client at a time.
    pub client_sessions: usize,
    /// Bytes of memory that all sessions may take together.
    pub memory: u64,
    /// Clients that may wait for a session.
    pub max_waiting: usize,
    /// Time that sessions have to end when the party is to stop.
    pub drain: Duration,
    /// What a run may take.
    pub run: Limits,
    /// Whether inputs that are not within their bounds are refused by the parties.
    pub check_inputs: bool,
    /// The newest messages that this site speaks.
    pub messages: Edition,
}

impl SessionLimits {
    /// How many runs of a program a session computes at once: no more than leaves as much memory for each of the others.
    pub fn at_once(&self, program: &Checked) -> AtOnce {
        self.run.at_once(program, self.memory / self.max_sessions.max(1) as u64)
    }

    /// What there is for all sessions together.
    pub(crate) fn capacity(&self) -> Capacity {
        Capacity {
            sessions: self.max_sessions,
            of_one: self.client_sessions,
            memory: self.memory,
            waiting: self.max_waiting,
        }
    }
}

/// Where the attestation's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationFiles {
    /// The policy, the same at all participants.
    pub policy: PathBuf,
    /// What the hardware's makers publish, fetched ahead.
    pub collateral: Option<PathBuf>,
}

/// A party's port for its operator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorPort {
    /// Host and port.
    pub listen: String,
    /// A file with the token that is asked for; nothing where nobody is asked.
    pub token: Option<PathBuf>,
}

/// A table for each party, `[p0]`, `[p1]` and so on, beside those that have a name of their own.
struct File {
    site: Site,
    parties: BTreeMap<usize, Party>,
    clients: BTreeMap<String, Client>,
    session: Session,
    models: Models,
    attestation: Option<Attestation>,
    operator: Option<OperatorPort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    role: String,
    certificate: PathBuf,
    key: PathBuf,
    /// The key that is to come, of which only `cryptflow site renew` makes something.
    #[serde(rename = "next_certificate")]
    _next_certificate: Option<PathBuf>,
    #[serde(rename = "next_key")]
    _next_key: Option<PathBuf>,
    /// What a client is called, for its own table.
    #[serde(rename = "name")]
    _name: Option<String>,
    listen: Option<String>,
    store: Option<PathBuf>,
    audit: Option<PathBuf>,
    lanes: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Party {
    #[serde(default)]
    name: String,
    address: String,
    fingerprint: String,
    next_fingerprint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    fingerprint: String,
    next_fingerprint: Option<String>,
    may: Option<HashSet<Right>>,
    models: Option<HashSet<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Session {
    process: Option<Process>,
    protocols: Option<Vec<ProtocolName>>,
    deadline_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    yield_seconds: Option<f64>,
    max_sessions: Option<usize>,
    client_sessions: Option<usize>,
    memory_mb: Option<f64>,
    max_waiting: Option<usize>,
    drain_seconds: Option<f64>,
    max_memory_mb: Option<f64>,
    max_work: Option<f64>,
    check_inputs: Option<bool>,
    messages: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Models {
    keep: Option<usize>,
    reserve_mb: Option<f64>,
    dealt_mb: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attestation {
    policy: PathBuf,
    collateral: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<File, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = File;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration of a site")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
        let (mut site, mut parties, mut clients) = (None, BTreeMap::new(), BTreeMap::new());
        let (mut session, mut models, mut attestation, mut operator) =
            (Session::default(), Models::default(), None, None);
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), party_index(&key)) {
                (_, Some(index)) => drop(parties.insert(index, map.next_value()?)),
                ("site", _) => site = Some(map.next_value()?),
                ("clients", _) => clients = map.next_value()?,
                ("session", _) => session = map.next_value()?,
                ("models", _) => models = map.next_value()?,
                ("attestation", _) => attestation = Some(map.next_value()?),
                ("operator", _) => operator = Some(map.next_value()?),
                _ => {
                    return Err(A::Error::unknown_field(
                        &key,
                        &[
                            "site",
                            "p0",
                            "p1",
                            "p2",
                            "…",
                            "clients",
                            "session",
                            "models",
                            "attestation",
                            "operator",
                        ],
                    ));
                }
            }
        }
        let site = site.ok_or_else(|| A::Error::missing_field("site"))?;
        Ok(File { site, parties, clients, session, models, attestation, operator })
    }
}

/// The index in a party's name, `p0` and so on.
fn party_index(name: &str) -> Option<usize> {
    let index = name.strip_prefix('p')?.parse::<u8>().ok().map(usize::from)?;
    (name == format!("p{index}")).then_some(index)
}

impl Config {
    /// Reads a site's file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// Whatever is missing or wrong, by its place in the file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        Config::read_lane(path, Lane::First)
    }

    /// The same, of one of the site's lanes: addresses, folders and files are those of that lane.
    ///
    /// # Errors
    /// As [`Config::read`]; or there is no such lane.
    pub fn read_lane(path: &Path, lane: Lane) -> Result<Config, ConfigError> {
        let fail = |reason: String| ConfigError { path: path.into(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => fail("it does not exist; `cryptflow init` writes it".into()),
            _ => fail(format!("it cannot be read: {e}")),
        })?;
        let first = Source { text, path: path.into(), lane: 0 };
        let config = Config::parse(first.clone()).map_err(fail)?;
        match lane.number(config.lane.1).map_err(fail)? {
            0 => Ok(config),
            lane => Config::parse(Source { lane, ..first }).map_err(fail),
        }
    }

    /// A configuration that was read before, and its files, which are read now.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub(crate) fn parse(source: Source) -> Result<Config, String> {
        let Source { text, path, lane } = &source;
        let lane = *lane;
        let folder = path.parent().unwrap_or(Path::new("."));
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut parties = Vec::with_capacity(file.parties.len());
        for (index, party) in file.parties {
            if index != parties.len() {
                return Err(format!("missing field `p{}`: every party has a table", parties.len()));
            }
            parties.push(party.check(&format!("p{index}"))?);
        }
        let role = match (file.site.role.as_str(), party_index(&file.site.role)) {
            ("client", _) => Role::Client,
            (_, Some(index)) if index < parties.len() => Role::Party(u8::try_from(index).unwrap_or(u8::MAX)),
            (other, _) => {
                let names: String = (0..parties.len()).map(|i| format!("p{i}, ")).collect();
                let names = names.trim_end_matches(", ");
                return Err(format!("site.role is {other:?}: it must be {names} or client"));
            }
        };
        let (certificate, key) = (folder.join(&file.site.certificate), folder.join(&file.site.key));
        let identity = Identity::read(&certificate, &key).map_err(|e| e.to_string())?;
        let mut clients = BTreeMap::new();
        for (name, client) in file.clients {
            let place = format!("clients.{name}");
            let keys = keys(&place, &client.fingerprint, client.next_fingerprint.as_deref())?;
            let may = client.may.ok_or_else(|| {
                format!("{place}.may is missing: what it may do here, [\"predict\"], [\"deploy\"] or both")
            })?;
            let models = client.models;
            clients.insert(name, ClientEntry { keys, may, models });
        }
        distinct(&parties, &clients)?;
        if let Role::Party(index) = role {
            let own = parties.get(usize::from(index)).ok_or("site.role: there are too many parties")?;
            if !own.keys.contains(identity.fingerprint()) {
                return Err(format!(
                    "p{index}.fingerprint is {}, and the key of this site is {}: the others would refuse it",
                    own.keys.now,
                    identity.fingerprint()
                ));
            }
        }
        let listen = match (role, file.site.listen) {
            (Role::Party(index), Some(listen)) => {
                let address = parties.get(usize::from(index)).map(|party| party.address.as_str());
                let listen = lanes::listen(&listen, address.unwrap_or_default(), lane);
                Some(listen.map_err(|e| format!("site.listen: {e}"))?)
            }
            (_, listen) => listen,
        };
        let operator = match (role, file.operator) {
            (Role::Party(index), Some(OperatorPort { listen, token })) => {
                let address = parties.get(usize::from(index)).map(|party| party.address.as_str());
                let listen = lanes::listen(&listen, address.unwrap_or_default(), lane);
                let listen = listen.map_err(|e| format!("operator.listen: {e}"))?;
                Some(OperatorPort { listen, token: token.map(|path| folder.join(path)) })
            }
            (_, None) => None,
            (Role::Client, Some(_)) => {
                return Err("operator: a client has no port for its operator: remove the table".into());
            }
        };
        for (index, party) in parties.iter_mut().enumerate() {
            party.address =
                lanes::address(&party.address, lane).map_err(|e| format!("p{index}.address: {e}"))?;
        }
        let lanes = file.site.lanes.unwrap_or(1);
        if lanes == 0 {
            return Err("site.lanes is 0: there is one lane at least".into());
        }
        let attestation = file.attestation.map(|attestation| AttestationFiles {
            policy: folder.join(attestation.policy),
            collateral: attestation.collateral.map(|path| folder.join(path)),
        });
        Ok(Config {
            role,
            identity,
            lane: (lane, lanes),
            listen,
            store: lanes::path(&folder.join(file.site.store.unwrap_or("store".into())), lane),
            audit: lanes::path(&folder.join(file.site.audit.unwrap_or("audit.jsonl".into())), lane),
            certificate,
            key,
            operator,
            session: file.session.check(parties.len(), clients.len())?,
            keep_versions: file.models.keep.unwrap_or(2).max(1),
            reserve: megabytes("reserve_mb", file.models.reserve_mb)?,
            dealt: megabytes("dealt_mb", file.models.dealt_mb)?,
            parties,
            clients,
            attestation,
            source,
        })
    }

    /// The same site, at another of its lanes.
    ///
    /// # Errors
    /// There is no such lane, or the files are others by now.
    pub fn at_lane(&self, lane: usize) -> Result<Config, ConfigError> {
        let fail = |reason| ConfigError { path: self.source.path.clone(), reason };
        let lane = Lane::Number(lane).number(self.lane.1).map_err(fail)?;
        Config::parse(Source { lane, ..self.source.clone() }).map_err(fail)
    }

    /// Everybody whose key this party answers to.
    pub fn known(&self) -> HashSet<Fingerprint> {
        let parties = self.parties.iter().flat_map(|party| party.keys.iter());
        let clients = self.clients.values().flat_map(|client| client.keys.iter());
        parties.chain(clients).filter(|&key| key != self.identity.fingerprint()).collect()
    }

    /// How people call a party: by its place, and its name if it has one.
    pub fn party_name(&self, index: usize) -> String {
        match self.parties.get(index) {
            Some(party) if party.name != format!("p{index}") => format!("P{index} ({})", party.name),
            _ => format!("P{index}"),
        }
    }

    /// The client with this key.
    pub fn client(&self, key: Fingerprint) -> Option<(&str, &ClientEntry)> {
        let found = self.clients.iter().find(|(_, client)| client.keys.contains(key));
        found.map(|(name, client)| (name.as_str(), client))
    }
}

impl Party {
    fn check(self, key: &str) -> Result<PartyEntry, String> {
        let port = self
            .address
            .rsplit_once(':')
            .and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
        if port.is_none() {
            return Err(format!(
                "{key}.address is {:?}: it must be a host and a port, host:7843",
                self.address
            ));
        }
        let keys = keys(key, &self.fingerprint, self.next_fingerprint.as_deref())?;
        let name = if self.name.is_empty() { key.to_string() } else { self.name };
        Ok(PartyEntry { name, address: self.address, keys })
    }
}

/// Bytes, of a number under `[models]`.
fn megabytes(name: &str, mb: Option<f64>) -> Result<Option<u64>, String> {
    match mb {
        None => Ok(None),
        Some(mb) if mb >= 0.0 => Ok(Some((mb * 1e6) as u64)),
        Some(mb) => Err(format!("models.{name} is {mb}: it must be a number, 0 or more")),
    }
}

impl Session {
    fn check(self, parties: usize, clients: usize) -> Result<SessionLimits, String> {
        let seconds = |name: &str, value: Option<f64>, default: u64| {
            let value = value.unwrap_or(default as f64);
            Duration::try_from_secs_f64(value)
                .ok()
                .filter(|time| *time >= Duration::from_millis(100) && *time <= LONGEST)
                .ok_or_else(|| {
                    format!("session.{name} is {value}: give a number of seconds, at least 0.1 and at most a year's")
                })
        };
        let fitting = ProtocolName::usual().filter(|protocol| protocol.facts().parties == parties);
        let protocols = self.protocols.unwrap_or_else(|| fitting.collect());
        for protocol in &protocols {
            let facts = protocol.facts();
            if let Some(reason) = facts.unprotected {
                return Err(format!("session.protocols: {protocol} {reason}"));
            }
            if facts.parties != parties {
                return Err(format!(
                    "session.protocols: {protocol} is run by {} parties, and this file has {parties}",
                    facts.parties
                ));
            }
        }
        let max_sessions = self.max_sessions.unwrap_or(USUAL_SESSIONS).max(1);
        // One client alone takes all; of several, none keeps the others out.
        let of_one = if clients > 1 { max_sessions - 1 } else { max_sessions };
        let usual = Limits::usual();
        let number = |name: &str, value: Option<f64>, unit: f64, default: u64| match value {
            None => Ok(default),
            Some(value) if value > 0.0 => Ok((value * unit) as u64),
            Some(value) => Err(format!("session.{name} is {value}: it must be a number above zero")),
        };
        let memory = number("memory_mb", self.memory_mb, 1e6, usual.memory)?;
        let run = Limits {
            memory: number("max_memory_mb", self.max_memory_mb, 1e6, memory)?,
            work: number("max_work", self.max_work, 1.0, usual.work)?,
        };
        let messages = match self.messages {
            None => Edition::NEWEST,
            Some(number) => Edition::of(number).ok_or_else(|| {
                format!("session.messages is {number}: this release speaks {}", Edition::NEWEST.and_older())
            })?,
        };
        let process = Process::chosen(self.process, cfg!(unix) && !in_enclave())?;
        Ok(SessionLimits {
            process,
            protocols,
            deadline: seconds("deadline_seconds", self.deadline_seconds, 30)?,
            idle: seconds("idle_seconds", self.idle_seconds, 600)?,
            yields: seconds("yield_seconds", self.yield_seconds, 10)?,
            max_sessions,
            client_sessions: self.client_sessions.unwrap_or(of_one).clamp(1, max_sessions),
            memory,
            max_waiting: self.max_waiting.unwrap_or(USUAL_WAITING),
            drain: seconds("drain_seconds", self.drain_seconds, 60)?,
            run,
            check_inputs: self.check_inputs.unwrap_or(true),
            messages,
        })
    }
}

fn fingerprint(place: &str, name: &str, text: &str) -> Result<Fingerprint, String> {
    if text.is_empty() {
        return Err(format!(
            "{place}.{name} is empty: ask its operator for it (init shows it), and compare it over the telephone"
        ));
    }
    text.parse().map_err(|e: NoFingerprint| format!("{place}.{name}: {e}"))
}

/// Nobody is two: a party that is also another, or a client, would see what it must not.
fn distinct(parties: &[PartyEntry], clients: &BTreeMap<String, ClientEntry>) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    let parties = parties.iter().enumerate().map(|(i, party)| (format!("p{i}"), party.keys));
    let clients = clients.iter().map(|(name, client)| (format!("clients.{name}"), client.keys));
    let all = parties.chain(clients).flat_map(|(name, keys)| keys.iter().map(move |key| (name.clone(), key)));
    for (name, key) in all {
        if let Some(other) = seen.insert(key, name.clone()) {
            return Err(format!(
                "{other} and {name} have the same fingerprint: every participant needs a key of its own"
            ));
        }
    }
    Ok(())
}
