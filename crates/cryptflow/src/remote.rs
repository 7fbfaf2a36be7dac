//! Parties at as many organisations, as their client sees them.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_aramis::Appraisal;
use cryptflow_party::attested::{AttestationError, Instance, Proved, Terms, Trust, attest};
use cryptflow_party::code::Code;
use cryptflow_party::config::{Config, PartyEntry};
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::{Edition, Spoken, spoken};
use cryptflow_party::greeting::{Ask, Status, Tell, answer, greet, ready, ready_in_turn, say};
use cryptflow_party::messages::{Manifest, Obstacle, Request, SessionError};
use cryptflow_party::mode::Mode;
use cryptflow_party::watch::{Measured, measure};
use cryptflow_program::Program;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::{Channel, Route};
use cryptflow_wire::{Clock, Guard, Link, LinkOptions, Role};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::report::Session;

/// How much longer than a party the client is patient, so that it hears from the parties who is
/// silent.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// A client's site: its configuration, and what it judges the parties by.
pub struct Site {
    config: Config,
    trust: Option<Trust>,
    /// What messages the parties speak, of each lane.
    spoken: Arc<Spoken>,
}

/// What is wanted of a session.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) deployment: &'a Deployment,
    pub(crate) program: &'a Program,
    pub(crate) protocol: ProtocolName,
    pub(crate) mode: Mode,
}

impl<'a> Wish<'a> {
    /// A session whose dealer deals meanwhile.
    pub(crate) fn live(deployment: &'a Deployment, program: &'a Program, protocol: ProtocolName) -> Wish<'a> {
        Wish { deployment, program, protocol, mode: Mode::Live }
    }

    /// How many parties take part, the first ones.
    fn parties(&self) -> usize {
        self.mode.parties(self.protocol)
    }
}

/// A session that all parties have taken who take part in it.
pub struct Opened {
    /// What is run: each lane has a sharing of its own.
    pub deployment: Deployment,
    /// The links to the parties, in order.
    pub links: Vec<Link>,
    /// Its manifest.
    pub manifest: Manifest,
    /// What each party's evidence said; empty where nobody attests.
    pub evidence: Vec<Appraisal>,
    /// What fresh evidence is asked for with.
    pub renewal: Option<Renewal>,
}

/// Why there is no session.
pub(crate) enum NotOpened {
    /// The same may succeed elsewhere, or later.
    Passing(Error),
    /// It will not.
    Lasting(Error),
}

impl From<Error> for NotOpened {
    fn from(error: Error) -> NotOpened {
        NotOpened::Lasting(error)
    }
}

impl From<NotOpened> for Error {
    fn from(error: NotOpened) -> Error {
        match error {
            NotOpened::Passing(error) | NotOpened::Lasting(error) => error,
        }
    }
}

/// A party at a session, which has proved itself where there is a policy.
struct Met {
    channel: Channel,
    proved: Option<(Terms, Proved, Guard)>,
}

/// What it takes to ask the parties of a session for fresh evidence.
pub struct Renewal {
    trust: Trust,
    instance: Instance,
    terms: Vec<Terms>,
    peers: Vec<[u8; 32]>,
    proved: Instant,
}

impl Site {
    /// Reads a client's configuration. `insecure_simulated` is the folder of a simulated root of
    /// trust.
    ///
    /// # Errors
    /// The configuration, or a file that it names, is missing or wrong.
    pub fn read(config: &Path, insecure_simulated: Option<&Path>) -> Result<Site> {
        let config = Config::read(config).map_err(Error::new)?;
        let trust = Trust::of(&config, insecure_simulated).map_err(Error::new)?;
        Ok(Site { config, trust, spoken: Arc::default() })
    }

    /// The same site, at another lane.
    ///
    /// # Errors
    /// There is none, or the configuration's files are others by now.
    pub fn at_lane(&self, lane: usize) -> Result<Site> {
        let config = self.config.at_lane(lane).map_err(Error::new)?;
        Ok(Site { config, trust: self.trust.clone(), spoken: Arc::clone(&self.spoken) })
    }

    /// What the configuration says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Digest of the attestation policy, where there is one.
    pub fn policy(&self) -> Option<[u8; 32]> {
        self.trust.as_ref().map(|trust| trust.policy)
    }

    /// Whether evidence may be simulated: whoever shows a result must say so.
    pub fn allows_insecure_simulated(&self) -> bool {
        self.trust.as_ref().is_some_and(Trust::allows_insecure_simulated)
    }

    /// The names of the organisations.
    pub fn parties(&self) -> Vec<String> {
        self.config.parties.iter().map(|party| party.name.clone()).collect()
    }

    /// Whether the protocol is one for as many parties as there are.
    pub(crate) fn fits(&self, protocol: ProtocolName) -> Result<()> {
        let (needed, there) = (protocol.facts().parties, self.config.parties.len());
        if needed == there {
            return Ok(());
        }
        let text = format!("{protocol} is run by {needed} parties, and the configuration has {there}");
        Err(Error::of(Code::WrongProtocol, text))
    }

    /// Connects to a party and asks it something; the channel is left open for more.
    pub(crate) fn greet<T>(
        &self,
        index: usize,
        mut ask: impl FnMut(&mut Channel) -> std::result::Result<T, SessionError>,
    ) -> std::result::Result<(Channel, T), SessionError> {
        let patience = self.config.session.deadline;
        greet(&self.config, &self.spoken, index, patience, |channel, _| ask(channel))
    }

    /// The same, of something that not all messages have: `ask` is told which are spoken.
    pub(crate) fn greet_in<T>(
        &self,
        index: usize,
        ask: impl FnMut(&mut Channel, Edition) -> std::result::Result<T, SessionError>,
    ) -> std::result::Result<(Channel, T), SessionError> {
        greet(&self.config, &self.spoken, index, self.config.session.deadline, ask)
    }

    /// The newest messages that a party and this site speak, where the party was asked for anything not long ago.
    pub fn spoken(&self, index: usize) -> Option<Edition> {
        let spoken = self.spoken.by(&self.config.parties.get(index)?.address)?;
        Some(spoken.min(self.config.session.messages))
    }

    /// The newest messages that the first parties, so many, and this site speak. Those of which that is not known are
    /// asked; all are where it is to be found out `anew`.
    fn edition(&self, anew: bool, parties: usize) -> std::result::Result<Edition, Vec<SessionError>> {
        let editions = each(self.with_first(parties, |index| {
            if let Some(edition) = self.spoken(index).filter(|_| !anew) {
                return Ok(edition);
            }
            let nothing = Ask::Probe { up: 0, down: 0 };
            self.greet(index, |channel| say(channel, &nothing).and_then(|()| ready(channel)))?;
            Ok(self.spoken(index).unwrap_or(Edition::OLDEST))
        }))?;
        Ok(editions.into_iter().min().unwrap_or(self.config.session.messages))
    }

    /// To a party's side of a session, which waits.
    fn connect_to(&self, session: &[u8; 32], index: usize) -> std::result::Result<Channel, SessionError> {
        let (party, name, deadline) = self.party(index)?;
        let (own, key, route) = (&self.config.identity, party.keys, Route::to_session(session));
        let mut channel = Channel::connect_to(route, &party.address, own, key, &name, deadline)?;
        ready(&mut channel)?;
        Ok(channel)
    }

    /// A party, its name, and until when it must have answered.
    fn party(&self, index: usize) -> std::result::Result<(&PartyEntry, String, Instant), SessionError> {
        let party = self.config.parties.get(index).ok_or(SessionError::NoParty(index))?;
        Ok((party, self.config.party_name(index), Instant::now() + self.config.session.deadline))
    }

    /// Does something with each of the parties, at once.
    pub(crate) fn with_each<T: Send>(
        &self,
        step: impl Fn(usize) -> std::result::Result<T, SessionError> + Sync,
    ) -> Vec<std::result::Result<T, SessionError>> {
        self.with_first(self.config.parties.len(), step)
    }

    /// The same with the first ones, so many.
    pub(crate) fn with_first<T: Send>(
        &self,
        parties: usize,
        step: impl Fn(usize) -> std::result::Result<T, SessionError> + Sync,
    ) -> Vec<std::result::Result<T, SessionError>> {
        let step = &step;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..parties).map(|index| scope.spawn(move || step(index))).collect();
            let joined =
                threads.into_iter().map(|thread| thread.join().unwrap_or(Err(SessionError::Panicked)));
            joined.collect()
        })
    }

    /// How each party is, or why it cannot be asked.
    pub fn status(&self) -> Vec<std::result::Result<Status, SessionError>> {
        self.with_each(|index| {
            let asked = self.greet(index, |channel| {
                say(channel, &Ask::Status)?;
                match answer(channel)? {
                    Tell::Status(status) => Ok(*status),
                    _ => Err(unexpected_answer(channel)),
                }
            });
            asked.map(|(_, status)| status)
        })
    }

    /// How far away a party is, and how much goes there in a second.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub fn measure(&self, index: usize, patience: Duration) -> std::result::Result<Measured, SessionError> {
        let measured = self.greet(index, |channel| measure(channel, Instant::now() + patience));
        measured.map(|(_, measured)| measured)
    }

    /// Asks all parties for a session of this lane, as long as there is patience: it waits in line where a party
    /// is busy, and tries again where one is not there. Where there is a policy, each party has proved itself
    /// when this returns.
    ///
    /// # Errors
    /// A party cannot be reached, refuses, or proves something else than the policy demands.
    pub(crate) fn open_here(
        &self,
        wish: Wish<'_>,
        patience: &mut Patience<'_>,
    ) -> std::result::Result<Opened, NotOpened> {
        self.fits(wish.protocol)?;
        let (mut in_line, mut anew, instance) = (false, false, Instance::fresh().map_err(Error::new)?);
        loop {
            let of_version = |error: &SessionError| Code::from(error) == Code::DifferentVersion;
            let errors = match self.ask_all(wish, (in_line, anew), patience) {
                // Whoever was asked waits, until everybody has come together.
                Ok((asked, manifest)) => {
                    match self.meet(wish.parties(), &manifest, &instance).inspect(|_| drop(asked)) {
                        Ok(met) => return Ok(self.opened(wish.deployment, met, manifest, instance)?),
                        // One that has failed takes the others with it: theirs may be other reasons.
                        Err(errors) if errors.iter().any(SessionError::passes) => errors,
                        Err(errors) => return Err(NotOpened::Lasting(joined(errors))),
                    }
                }
                // A party is of another version than it was.
                Err(errors) if !anew && errors.iter().any(of_version) => {
                    anew = true;
                    continue;
                }
                Err(errors) if errors.iter().all(SessionError::passes) => errors,
                Err(errors) => return Err(NotOpened::Lasting(joined(errors))),
            };
            in_line = errors.iter().any(|error| matches!(error, SessionError::Later { .. }));
            patience.pause_after(errors).map_err(|errors| NotOpened::Passing(joined(errors)))?;
        }
    }

    /// Asks all parties for a session, of a number of its own: all at once, or `in_line`. What messages they speak is
    /// found out `anew`, or as far as it is not known.
    fn ask_all(
        &self,
        wish: Wish<'_>,
        (in_line, anew): (bool, bool),
        patience: &mut Patience<'_>,
    ) -> std::result::Result<(Vec<Channel>, Manifest), Vec<SessionError>> {
        let Wish { deployment, program, protocol, mode } = wish;
        let edition = self.edition(anew, wish.parties())?;
        let manifest = Manifest {
            version: edition.number(),
            deployment: Some(deployment.digest()),
            policy: self.policy(),
            client: Some(self.config.identity.fingerprint().0),
            check_inputs: self.config.session.check_inputs,
            ..Manifest::new(program, protocol).map_err(|error| vec![error])?
        };
        let (name, wait) = (deployment.name.clone(), in_line);
        let ask = match mode {
            Mode::Live => Ask::Open { name, manifest: manifest.clone(), wait },
            Mode::Deal | Mode::Dealt { .. } if edition < Edition::Nine => {
                return Err(vec![SessionError::NotAhead(edition)]);
            }
            Mode::Deal | Mode::Dealt { .. } => Ask::OpenAs { name, manifest: manifest.clone(), mode, wait },
        };
        let asked = match in_line {
            true => self.ask_in_turn(wish.parties(), (&manifest, &ask), patience)?,
            false => {
                each(self.with_first(wish.parties(), |index| self.ask(index, (&manifest, &ask), ready)))?
            }
        };
        Ok((asked, manifest))
    }

    /// Asks one party for a session with this manifest; the connection over which it was asked stays open.
    fn ask(
        &self,
        index: usize,
        (manifest, ask): (&Manifest, &Ask),
        mut answered: impl FnMut(&mut Channel) -> std::result::Result<(), SessionError>,
    ) -> std::result::Result<Channel, SessionError> {
        let patience = self.config.session.deadline;
        let asked = greet(&self.config, &self.spoken, index, patience, |channel, edition| {
            // What the party would refuse, as it speaks less than it did when the manifest was made.
            spoken(manifest.version, edition).map_err(Obstacle::from)?;
            say(channel, ask).and_then(|()| answered(channel))
        });
        asked.map(|(channel, ())| channel)
    }

    /// Asks one party after another, and waits in the line of each: whoever is served by the first is not
    /// kept from the others by somebody who waits for the first.
    fn ask_in_turn(
        &self,
        parties: usize,
        ask: (&Manifest, &Ask),
        patience: &mut Patience<'_>,
    ) -> std::result::Result<Vec<Channel>, Vec<SessionError>> {
        let mut asked = Vec::with_capacity(parties);
        for index in 0..parties {
            let name = self.config.party_name(index);
            let channel = self.ask(index, ask, |channel| {
                ready_in_turn(channel, self.config.session.deadline, &mut |before| {
                    patience.tell(&format!("waiting in line at {name}: {before} before this one"));
                    match patience.is_over() {
                        true => Err(SessionError::Later {
                            peer: name.clone(),
                            reason: format!(
                                "after {} s in line there are {before} before this client",
                                patience.limit().as_secs()
                            ),
                            after: Duration::ZERO,
                        }),
                        false => Ok(()),
                    }
                })
            });
            asked.push(channel.map_err(|error| vec![error])?);
        }
        Ok(asked)
    }

    /// Comes to the session at the parties that take part, which wait: for the client, and for one another.
    fn meet(
        &self,
        parties: usize,
        manifest: &Manifest,
        instance: &Instance,
    ) -> std::result::Result<Vec<Met>, Vec<SessionError>> {
        let met = self.with_first(parties, |index| {
            let mut channel = self.connect_to(&manifest.session, index)?;
            let Some(trust) = &self.trust else { return Ok(Met { channel, proved: None }) };
            let (own, peer) = (Role::Client, Role::Party(index as u8));
            let spki = self.config.identity.spki();
            let terms = Terms::of(&channel, spki, own, peer, manifest)?;
            let proved = attest(&mut channel, trust, instance, &terms)?;
            let guard = instance.guard(&proved.instance, manifest.session, own, peer, &terms.exporter)?;
            Ok(Met { channel, proved: Some((terms, proved, guard)) })
        });
        let (there, errors) = parted(met);
        if errors.is_empty() {
            return Ok(there);
        }
        self.leave(there, &errors);
        Err(errors)
    }

    /// Leaves the parties that are at a session, which comes to nothing as others are not, or are refused: they hear why.
    fn leave(&self, met: Vec<Met>, errors: &[SessionError]) {
        let code = errors.first().map_or(Code::Gone, Code::from);
        let why: Vec<String> = errors.iter().map(SessionError::to_string).collect();
        let reason = code.reason(format!("the client gave up: {}", why.join("; ")));
        // One to which no link can be made finds its connection closed. All hear it before anybody is waited for.
        let links = met.into_iter().filter_map(|met| self.link(met, Arc::default()).ok());
        let links: Vec<Link> =
            links.inspect(|(link, _)| link.abort(reason.clone())).map(|(link, _)| link).collect();
        drop(links);
    }

    /// The link to a party that is at a session, and what it has proved.
    fn link(
        &self,
        Met { channel, proved }: Met,
        clock: Arc<Clock>,
    ) -> std::result::Result<(Link, Option<(Terms, Proved)>), SessionError> {
        let options = LinkOptions {
            deadline: self.config.session.deadline.saturating_add(GRACE),
            stall_limit: self.config.session.idle.saturating_add(GRACE),
            ..LinkOptions::default()
        };
        let (proved, guard) = match proved {
            Some((terms, proved, guard)) => (Some((terms, proved)), Some(guard)),
            None => (None, None),
        };
        Ok((channel.into_link(clock, options, guard)?, proved))
    }

    /// The links of a session to which everybody has come.
    fn opened(
        &self,
        deployment: &Deployment,
        met: Vec<Met>,
        manifest: Manifest,
        instance: Instance,
    ) -> Result<Opened> {
        let clock: Arc<Clock> = Arc::default();
        let mut links = Vec::with_capacity(met.len());
        let (mut evidence, mut all_terms, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        for met in met {
            let (link, proved) = self.link(met, Arc::clone(&clock))?;
            if let Some((terms, proved)) = proved {
                evidence.extend(proved.appraisal);
                all_terms.push(terms);
                peers.push(proved.instance);
            }
            links.push(link);
        }
        let renewal = self.trust.clone().map(|trust| Renewal {
            trust,
            instance,
            terms: all_terms,
            peers,
            proved: Instant::now(),
        });
        Ok(Opened { deployment: deployment.clone(), links, manifest, evidence, renewal })
    }

    /// What is reported of a session.
    pub fn session(&self, opened: &Opened) -> Session {
        let deployment = &opened.deployment;
        let simulated = opened.evidence.iter().any(|appraisal| appraisal.simulated);
        Session {
            id: hex::encode(opened.manifest.session),
            model: deployment.name.clone(),
            messages: opened.manifest.version,
            deployment: hex::encode(deployment.digest()),
            parties: self.parties().into_iter().take(opened.links.len()).collect(),
            security: match (self.trust.is_some(), simulated) {
                (true, false) => "malicious",
                (true, true) => "insecure-simulated",
                (false, _) => "semi-honest",
            },
            policy: self.policy().map(hex::encode),
            insecure_simulated_tee: simulated,
            evidence: opened.evidence.clone(),
        }
    }
}

/// Has parties prove themselves again, where they attest and their evidence is as old as the policy
/// allows: before each run of a session.
///
/// # Errors
/// The evidence is refused; the session is over then.
pub fn renew_where_due(renewal: &mut Option<Renewal>, client: &Client<'_>) -> Result<()> {
    match renewal {
        Some(renewal) if renewal.is_due() => {
            Ok(client.with_each(&Request::Attest, |index, link| renewal.renew(index, link))?)
        }
        _ => Ok(()),
    }
}

impl Renewal {
    /// Whether the evidence is as old as the policy allows.
    pub fn is_due(&self) -> bool {
        self.proved.elapsed() >= self.trust.interval
    }

    /// Has a party prove itself again: the messages that follow
    /// [`cryptflow_party::messages::Request::Attest`].
    ///
    /// # Errors
    /// The evidence is refused, or the party is another than before.
    pub fn renew(&mut self, index: usize, link: &Link) -> std::result::Result<(), SessionError> {
        let (Some(terms), Some(peer)) = (self.terms.get(index), self.peers.get(index)) else { return Ok(()) };
        let proved = attest(link, &self.trust, &self.instance, terms)?;
        if proved.instance != *peer {
            return Err(AttestationError::OtherInstance(terms.peer).into());
        }
        self.proved = Instant::now();
        Ok(())
    }
}

/// All of them, or everything that went wrong.
pub(crate) fn each<T>(
    results: Vec<std::result::Result<T, SessionError>>,
) -> std::result::Result<Vec<T>, Vec<SessionError>> {
    let (right, wrong) = parted(results);
    if wrong.is_empty() { Ok(right) } else { Err(wrong) }
}

/// What went right, and what went wrong.
fn parted<T>(results: Vec<std::result::Result<T, SessionError>>) -> (Vec<T>, Vec<SessionError>) {
    let (mut right, mut wrong) = (Vec::with_capacity(results.len()), Vec::new());
    for result in results {
        match result {
            Ok(value) => right.push(value),
            Err(error) => wrong.push(error),
        }
    }
    (right, wrong)
}

/// The same, for people.
pub(crate) fn all<T>(results: Vec<std::result::Result<T, SessionError>>) -> Result<Vec<T>> {
    each(results).map_err(joined)
}

/// Everything that went wrong, each thing once; of which kind the first was. It lasts where one of them
/// refuses.
pub(crate) fn joined(errors: Vec<SessionError>) -> Error {
    let code = errors.first().map_or(Code::Internal, Code::from);
    let refused = errors
        .iter()
        .any(|error| matches!(error, SessionError::Refused { .. } | SessionError::NoCommonEdition { .. }));
    let mut wrong: Vec<String> = errors.iter().map(SessionError::to_string).collect();
    wrong.dedup();
    let error = Error::of(code, wrong.join("; "));
    if refused { error.lasting() } else { error }
}

pub(crate) fn unexpected_answer(channel: &Channel) -> SessionError {
    SessionError::Message { peer: channel.peer().into(), reason: "another answer was due".into() }
}
