//! A party as a service: whoever it knows may connect, and each connection has a thread of its own.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_aramis::ReportData;
use cryptflow_operator::PortError;
use cryptflow_program::write_whole;
use cryptflow_wire::WireError;
use cryptflow_wire::tls::{Arrival, Channel, Fingerprint};
use serde_json::json;

use crate::attested::Trust;
use crate::audit::{Audit, Head, OpenError};
use crate::code::Code;
use crate::config::{ClientEntry, Config, Process, Right};
use crate::doors::{Doors, Full, HANDSHAKE, Knock, Known, Sparing};
use crate::edition::spoken;
use crate::greeting::{Ask, Greeting, Status, Tell, hear_in_room, hear_short, say};
use crate::live::Live;
use crate::lock::{LockError, SiteLock};
use crate::locks::{Lock, Locks};
use crate::log::{Level, Log};
use crate::messages::{Obstacle, SessionError};
use crate::mode::Mode;
use crate::models::{Asking, listed};
use crate::numbers::Numbers;
use crate::open::Wanted;
use crate::receiving::{Receiving, Room, SHARE};
use crate::routes::Routes;
use crate::seats::{Occupancy, Seats};
use crate::site::Site;
use crate::store::{Removal, StoreError};
use crate::surviving::surviving;
use crate::watch::{Watch, probe};
use crate::worker::{SessionCommand, Workers};

/// A program takes so many times the bytes of its message: as the message, as text, and as what is made of it.
const PARSED: u64 = 4;

/// Milliseconds after which somebody comes again for whom there was no place.
const AFTER: u32 = 1000;

/// Why a party cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration is that of a client.
    #[error("site.role is client: this command runs a party, p0, p1 or another")]
    NoParty,
    /// The configuration lacks the address.
    #[error("site.listen is missing: the address and port to listen on, \"0.0.0.0:7843\"")]
    NoAddress,
    /// It cannot listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator's port.
    #[error(transparent)]
    Operator(#[from] PortError),
    /// The system gives no thread.
    #[error("no thread can be started: {0}")]
    NoThread(std::io::Error),
    /// Another process runs this party.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The audit log cannot be written.
    #[error("the audit log {}: {source}", path.display())]
    Audit {
        /// Where it should be.
        path: std::path::PathBuf,
        /// Why not.
        source: OpenError,
    },
}

/// A party.
pub struct Service {
    /// What the party is now: who connects finds this, and keeps it.
    pub(crate) current: RwLock<Arc<Site>>,
    pub(crate) audit: Audit,
    /// Where sessions run, and the ways to those that do.
    pub(crate) workers: Workers,
    pub(crate) routes: Arc<Routes>,
    pub(crate) numbers: Arc<Numbers>,
    /// Who may run a session now, who waits, and who runs one.
    pub(crate) seats: Arc<Seats>,
    pub(crate) live: Live,
    /// Bytes of memory that the program of a deployment demands, by the deployment's digest.
    pub(crate) demands: Mutex<HashMap<[u8; 32], u64>>,
    receiving: Arc<Receiving>,
    /// Who changes which model.
    pub(crate) locks: Arc<Locks>,
    doors: Arc<Doors>,
    sparing: Mutex<Sparing>,
    started: Instant,
    pub(crate) watch: Arc<Watch>,
    _lock: SiteLock,
    log: Log,
}

impl Service {
    /// A party, ready to listen. `session` makes the command of a session's process.
    ///
    /// # Errors
    /// Its configuration is a client's, or its folders cannot be used.
    pub fn new(
        config: Config,
        trust: Option<Trust>,
        session: SessionCommand,
        log: Log,
    ) -> Result<Arc<Service>, ServiceError> {
        let site = Arc::new(Site::new(config, trust)?);
        let config = &site.config;
        let lock = SiteLock::take(&config.store)?;
        site.store.repair()?.iter().for_each(|line| log.line(Level::Info, line));
        let audit = Audit::open(&config.audit, config.identity.clone())
            .map_err(|source| ServiceError::Audit { path: config.audit.clone(), source })?;
        Ok(Arc::new(Service {
            current: RwLock::new(site),
            audit,
            workers: Workers::new(session),
            routes: Arc::default(),
            numbers: Arc::default(),
            seats: Arc::default(),
            live: Live::default(),
            demands: Mutex::default(),
            receiving: Arc::default(),
            locks: Arc::default(),
            doors: Arc::default(),
            sparing: Mutex::default(),
            started: Instant::now(),
            watch: Arc::default(),
            _lock: lock,
            log,
        }))
    }

    /// What the party is now.
    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Listens where the configuration says.
    ///
    /// # Errors
    /// It says nothing, or the address is taken.
    pub fn listener(&self) -> Result<TcpListener, ServiceError> {
        let address = self.site().config.listen.clone().ok_or(ServiceError::NoAddress)?;
        TcpListener::bind(&address).map_err(|source| ServiceError::Listen { address, source })
    }

    /// Serves whoever connects, until the process ends.
    pub fn serve(self: &Arc<Self>, listener: &TcpListener) {
        let site = self.site();
        if site.trust.as_ref().is_some_and(Trust::allows_insecure_simulated) {
            self.warn("INSECURE: evidence is simulated; nothing protects this party's program");
        }
        if site.config.session.process == Process::Shared {
            self.log("sessions share this process: what ends it, a lack of memory say, ends all of them");
        }
        self.leave_evidence();
        let said = json!({ "hardware": self.hardware(), "version": env!("CARGO_PKG_VERSION") });
        self.recorded(self.audit.begin(site.index, said));
        self.write_notes_down(&site);
        self.get_ready();
        loop {
            let (socket, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    // A system that is out of descriptors has some again later.
                    self.warn(&format!("cannot accept a connection: {error}"));
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            let service = Arc::clone(self);
            let knock = match self.doors.knock(&socket) {
                Ok(knock) => knock,
                Err(error) => {
                    self.warn(&format!("{address}: {error}"));
                    continue;
                }
            };
            let spawned = thread::Builder::new().name(address.to_string()).spawn(move || {
                match surviving(|| service.greet(socket, knock)) {
                    Ok(()) => {}
                    // Whatever else went wrong names its peer itself, and is written down where it belongs.
                    Err(error @ SessionError::Panicked) => {
                        service.record_stranger(&address.to_string(), &error.to_string());
                        service.warn(&format!("{address}: {error}"));
                    }
                    Err(error) => service.warn(&error.to_string()),
                }
            });
            if let Err(error) = spawned {
                self.warn(&format!("{address}: no thread for it: {error}"));
            }
        }
    }

    /// Has processes ready for the next sessions.
    pub(crate) fn get_ready(&self) {
        if let Err(error) = self.workers.get_ready(&self.site()) {
            self.warn(&format!("no process for a session can be started: {error}"));
        }
    }

    pub(crate) fn log(&self, line: &str) {
        self.log.line(Level::Info, line);
    }

    /// The same of something that went wrong, or was refused.
    pub(crate) fn warn(&self, line: &str) {
        self.log.line(Level::Warn, line);
    }

    /// Since the party was started.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Writes an event into the audit log.
    pub(crate) fn record(&self, event: &str, fields: serde_json::Value) {
        self.recorded(self.audit.write(event, fields));
    }

    fn recorded(&self, written: std::io::Result<Head>) {
        if let Err(error) = written {
            self.log.line(
                Level::Error,
                &format!("cannot write the audit log {}: {error}", self.site().config.audit.display()),
            );
        }
    }

    /// Writes down who was refused, of those who are none of this party's clients or say nothing that
    /// is understood: so many a minute, and how many there were beside.
    pub(crate) fn record_stranger(&self, who: &str, reason: &str) {
        let left_out = self.sparing.lock().unwrap_or_else(PoisonError::into_inner).next(Instant::now());
        if let Some(left_out) = left_out {
            self.record("refused", json!({ "peer": who, "reason": reason, "others": left_out }));
        }
    }

    /// Writes down what the operator did to the store meanwhile, before anything else is done.
    fn write_notes_down(&self, site: &Site) {
        let taken = site.store.take_notes(|removal| {
            self.audit.write(Removal::EVENT, removal.fields())?;
            self.log(&format!("the operator has removed what this party kept of {}", removal.model));
            Ok(())
        });
        if let Err(error) = taken {
            self.warn(&format!("what the operator did to the store cannot be written down: {error}"));
        }
    }

    /// Leaves evidence in the store, for no session: for those who look at it, write a policy from
    /// it, or fetch collateral for it.
    fn leave_evidence(&self) {
        let site = self.site();
        let Some(attester) = site.trust.as_ref().and_then(|trust| trust.attester.as_ref()) else {
            return;
        };
        let path = site.config.store.join("evidence.json");
        let written = attester
            .evidence(&ReportData([0; 64]))
            .map_err(|e| e.to_string())
            .and_then(|evidence| serde_json::to_vec_pretty(&evidence).map_err(|e| e.to_string()))
            .and_then(|json| {
                write_whole(&path, |writer| writer.write_all(&json))
                    .map_err(|e| format!("{}: {e}", path.display()))
            });
        match written {
            Ok(()) => {
                self.log(&format!("what this machine's hardware says of this program: {}", path.display()))
            }
            Err(reason) => self.warn(&format!("no evidence: {reason}")),
        }
    }

    pub(crate) fn hardware(&self) -> Option<String> {
        self.site().trust.as_ref()?.attester.as_ref().map(|attester| attester.describe())
    }

    /// One connection, from its first byte on.
    fn greet(&self, socket: TcpStream, knock: Knock) -> Result<(), SessionError> {
        // One connection has one configuration, whatever is loaded meanwhile.
        let site = self.site();
        let config = &site.config;
        let soon = Instant::now() + HANDSHAKE.min(config.session.deadline);
        let arrival = self.noted(Arrival::hear(socket, soon))?;
        let route = arrival.route();
        if let Some(entrance) = route.and_then(|route| self.routes.find(route)) {
            return Ok(self.noted(entrance.pass(arrival, knock))?);
        }
        // Its operator's tools ask with its own key how it is.
        let own = config.identity.fingerprint();
        let welcome = config.known().into_iter().chain([own]).collect();
        let mut channel = self.noted(arrival.accept(&config.identity, welcome))?;
        self.write_notes_down(&site);
        let key = channel.peer_fingerprint();
        if route.is_some() {
            let reason = "no such session is open here: a client asks all parties for it before anybody comes to it, and it \
                          may have ended meanwhile";
            // Who has waited long at another party may come too late, and begins again.
            let _ = say(&mut channel, &Tell::Later { reason: reason.into(), after: 0 });
            self.watch.refused(Code::Gone);
            self.warn(&format!("{}: {reason}", channel.peer()));
            self.record_stranger(channel.peer(), reason);
            return Ok(());
        }
        if config.parties.iter().any(|party| party.keys.contains(key)) {
            return self.greet_party(&site, channel, knock);
        }
        let Some((name, client)) = config.client(key) else {
            return self.refuse(
                &mut channel,
                Code::KeyNotAccepted,
                format!("{key} is not the key of a client here"),
            );
        };
        channel.name(&format!("client {name}"));
        if !self.understands(&site, &mut channel)? {
            return Ok(());
        }
        if client.may.is_empty() {
            return self.refuse(&mut channel, Code::Forbidden, "this client may do nothing here".into());
        }
        let _guest = match self.doors.client(Known::Client(name.into())) {
            Ok(guest) => guest,
            Err(full) => return self.keep_out(&mut channel, full),
        };
        drop(knock);
        self.attend(channel, key)
    }

    /// Another party, which looks how this one is.
    fn greet_party(&self, site: &Site, mut channel: Channel, knock: Knock) -> Result<(), SessionError> {
        let key = channel.peer_fingerprint();
        let Some(index) = site.config.parties.iter().position(|party| party.keys.contains(key)) else {
            let reason = format!("{key} is not the key of a party here");
            return self.refuse(&mut channel, Code::KeyNotAccepted, reason);
        };
        channel.name(&site.config.party_name(index));
        let who = Known::Party(index);
        if !self.understands(site, &mut channel)? {
            return Ok(());
        }
        let _guest = match self.doors.client(who) {
            Ok(guest) => guest,
            Err(full) => return self.keep_out(&mut channel, full),
        };
        drop(knock);
        self.attend_party(site, channel)
    }

    /// Writes down who is not let in.
    fn noted<T>(&self, result: Result<T, WireError>) -> Result<T, WireError> {
        result.inspect_err(|error| {
            if let WireError::NotLetIn { peer, reason } = error {
                self.watch.refused(Code::KeyNotAccepted);
                self.record_stranger(peer, reason);
            }
        })
    }

    /// Hears the greeting: whether this party speaks what it says.
    fn understands(&self, site: &Site, channel: &mut Channel) -> Result<bool, SessionError> {
        let Greeting { version } = hear_short(channel)?;
        let Err(not) = spoken(version, site.config.session.messages) else { return Ok(true) };
        let (code, reason) = (Code::DifferentVersion, not.to_string());
        if not.is_newer() {
            // It comes again: that is no refusal to write down.
            say(channel, &Tell::Refused { code, reason })?;
            self.watch.refused(code);
            self.log(&format!("{}: {not}", channel.peer()));
        } else {
            self.refuse(channel, code, reason)?;
        }
        // It asks something at the same time, and shall hear why that is of no use.
        channel.drain(Instant::now() + HANDSHAKE.min(site.config.session.deadline));
        Ok(false)
    }

    fn refuse(&self, channel: &mut Channel, code: Code, reason: String) -> Result<(), SessionError> {
        let error =
            SessionError::Refused { peer: format!("P{}", self.site().index), code, reason: reason.clone() };
        // It may be gone already; what matters is that nothing happens.
        let _ = say(channel, &Tell::Refused { code, reason: reason.clone() });
        self.watch.refused(code);
        self.record_stranger(channel.peer(), &reason);
        self.warn(&format!("{}: {error}", channel.peer()));
        Ok(())
    }

    /// Tells somebody who is known, and for whom there is no place, to come again.
    fn keep_out(&self, channel: &mut Channel, full: Full) -> Result<(), SessionError> {
        // It may be gone already; what matters is that nothing happens.
        let _ = say(channel, &Tell::Later { reason: full.to_string(), after: AFTER });
        self.watch.refused(Code::Busy);
        let who = channel.peer();
        self.record_stranger(who, &full.to_string());
        self.warn(&format!("{who} is to come again: {full}"));
        Ok(())
    }

    /// What a client asks for, one thing after another.
    fn attend(&self, mut channel: Channel, key: Fingerprint) -> Result<(), SessionError> {
        let mut lock: Option<Lock> = None;
        loop {
            let site = self.site();
            let session = &site.config.session;
            // Who keeps others out must not be silent for long.
            let patience = if lock.is_some() { session.deadline } else { session.idle };
            channel.extend(Instant::now() + patience);
            // Who may not bring models says nothing long.
            let brings =
                site.config.client(key).is_some_and(|(_, client)| client.may.contains(&Right::Deploy));
            let asked = match brings {
                true => hear_in_room(&mut channel, |bytes| self.room(&site, bytes.saturating_mul(PARSED))),
                false => hear_short(&mut channel).map(|ask| (ask, None)),
            };
            let (ask, _room) = match asked {
                Ok(asked) => asked,
                // It has what it wanted.
                Err(SessionError::Wire(cryptflow_wire::WireError::Closed { .. })) => return Ok(()),
                Err(SessionError::NoRoom(full)) => {
                    return self.refuse(&mut channel, Code::Busy, full.to_string());
                }
                Err(error) => return Err(error),
            };
            // What it may do is what the configuration says by now.
            let site = &self.site();
            let Some((name, client)) = site.config.client(key) else {
                return self.refuse(
                    &mut channel,
                    Code::KeyNotAccepted,
                    format!("{key} is no longer the key of a client here"),
                );
            };
            let done = match ask {
                Ask::Status => self.status(site, name, client).map(|status| Tell::Status(Box::new(status))),
                Ask::Probe { up, down } => {
                    probe(&mut channel, up, down)?;
                    continue;
                }
                Ask::Standing => Err(SessionError::Forbidden("ask what parties ask one another".into())),
                Ask::Open { name: model, manifest, wait } => {
                    self.open(channel, Wanted { client: key, model, manifest, mode: Mode::Live, wait });
                    return Ok(());
                }
                Ask::OpenAs { name: model, manifest, mode, wait } => {
                    self.open(channel, Wanted { client: key, model, manifest, mode, wait });
                    return Ok(());
                }
                ask => {
                    let asking = Asking { service: self, site, name, key, client };
                    asking.answer(&mut channel, ask, &mut lock)
                }
            };
            let refused = match done {
                Ok(tell) => {
                    say(&mut channel, &tell)?;
                    continue;
                }
                Err(SessionError::Unfit(unfit)) => {
                    // Whoever lies is written down, however much else there is to write down.
                    let reason = unfit.to_string();
                    self.record("refused", json!({ "client": name, "reason": reason }));
                    self.watch.refused(Code::UnfitParts);
                    self.warn(&reason);
                    say(&mut channel, &Tell::Refused { code: Code::UnfitParts, reason })
                }
                Err(SessionError::Manifest(obstacle @ Obstacle::Leaving)) => {
                    self.put_off(&mut channel, name, &obstacle);
                    Ok(())
                }
                Err(error) => self.refuse(&mut channel, Code::from(&error), error.to_string()),
            };
            if let Some(lock) = lock.take() {
                // A party that stops is gone as soon as nobody has such a right.
                let _until_it_has_heard = lock.stands().is_err().then_some(lock);
                // It may still be sending a part, and shall hear why that is of no use.
                channel.drain(site.deadline());
            }
            return refused;
        }
    }

    fn status(&self, site: &Site, name: &str, client: &ClientEntry) -> Result<Status, SessionError> {
        let models = listed(site, client)?;
        let mut may: Vec<_> = client.may.iter().map(|right| format!("{right:?}").to_lowercase()).collect();
        may.sort();
        let Occupancy { taken, waiting, .. } = self.seats.occupancy();
        Ok(Status {
            software: env!("CARGO_PKG_VERSION").into(),
            index: u8::try_from(site.index).unwrap_or(u8::MAX),
            name: site.config.parties.get(site.index).map(|party| party.name.clone()).unwrap_or_default(),
            client: name.into(),
            may,
            models,
            protocols: site.config.session.protocols.iter().map(ToString::to_string).collect(),
            sessions: (taken, site.config.session.max_sessions),
            waiting,
            uptime: self.started.elapsed().as_secs(),
            policy: site.trust.as_ref().map(|trust| trust.policy),
            hardware: self.hardware(),
            causes: self.causes_of_others(site),
        })
    }

    /// Whether a client may do this with this model.
    pub(crate) fn permit(&self, client: &ClientEntry, right: Right, model: &str) -> Result<(), SessionError> {
        if !client.may.contains(&right) {
            let what = if right == Right::Deploy { "deploy models" } else { "use models" };
            return Err(SessionError::Forbidden(what.into()));
        }
        if !allowed(client, model) {
            return Err(SessionError::Forbidden(format!("use {model:?}")));
        }
        Ok(())
    }

    /// Room for so many bytes of what a client brings.
    fn room(&self, site: &Site, bytes: u64) -> Result<Room, SessionError> {
        Ok(self.receiving.room(bytes, site.config.session.memory / SHARE)?)
    }
}

/// Whether a model is one of a client's.
pub(crate) fn allowed(client: &ClientEntry, model: &str) -> bool {
    client.models.as_ref().is_none_or(|models| models.contains(model))
}
