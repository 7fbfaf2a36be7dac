//! A session between three organisations, in the process that runs it: from a client's wish to its
//! end.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use cryptflow_program::Checked;
use cryptflow_ring::{Common, Words};
use cryptflow_wire::tls::{Channel, Fingerprint, Route};
use cryptflow_wire::{Clock, Guard, Link, LinkOptions, Links, Role, WireError};
use serde::{Deserialize, Serialize};

use crate::ahead::{self, Supply};
use crate::attested::{Accord, Instance, Proved, Terms, attest, role};
use crate::audit::{self, Head};
use crate::deployment::CHANGED;
use crate::difference::Difference;
use crate::edition::Edition;
use crate::ending::Ending;
use crate::greeting::{Tell, ready, say};
use crate::limits::AtOnce;
use crate::messages::{Manifest, Obstacle, SessionError, elements};
use crate::mode::Mode;
use crate::rendezvous::{GLANCE, Rendezvous};
use crate::serve::{Job, Weights, agree, check, converse};
use crate::site::Site;
use crate::watch::Reporter;

/// What a client wants, who may have it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The client, as this party calls it.
    pub(crate) client: String,
    /// The model.
    pub(crate) model: String,
    /// What all must agree on. It names the client's key.
    pub(crate) manifest: Manifest,
    /// What the session is for.
    pub(crate) mode: Mode,
}

impl Order {
    /// How many parties take part, the first ones.
    pub(crate) fn parties(&self) -> usize {
        self.mode.parties(self.manifest.protocol)
    }

    /// Who comes to this party for the session: its client, and the parties that dial.
    pub(crate) fn rendezvous(&self, site: &Site) -> Rendezvous {
        let parties = site.config.parties.iter().take(site.index).flat_map(|party| party.keys.iter());
        let expected: HashSet<_> = parties.chain(self.manifest.client.map(Fingerprint)).collect();
        Rendezvous::of(expected)
    }
}

/// The connection over which a client has asked for a session. It stays open until the client has come
/// to the session itself: one that closes it before, or says more, wants no session any more.
pub(crate) struct Wish(TcpStream);

impl Wish {
    /// # Errors
    /// The system refuses to set the connection up.
    pub(crate) fn over(socket: TcpStream) -> io::Result<Wish> {
        socket.set_nonblocking(true)?;
        Ok(Wish(socket))
    }

    fn stands(&self) -> bool {
        matches!(self.0.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// A session that can begin.
pub(crate) struct Session {
    site: Arc<Site>,
    room: Arc<Rendezvous>,
    ending: Arc<Ending>,
    order: Order,
    edition: Edition,
    program: Checked,
    at_once: AtOnce,
    weights: Weights,
    supply: Supply,
}

/// What the links of a session are made with, where they are attested.
struct Attested {
    instance: Instance,
    /// By index; nothing at this party's own.
    peers: Vec<Option<(Terms, Proved)>>,
}

/// Where and until when the parties of a session come together.
struct Meeting<'a> {
    options: &'a LinkOptions,
    deadline: Instant,
    /// Whoever wants the session.
    client: &'a Link,
}

impl Session {
    /// Reads what was deployed, and finds out whether this party can, and will, run what it is asked
    /// for. The weights may be in memory that sessions have in `common`.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn prepare(
        site: Arc<Site>,
        room: Arc<Rendezvous>,
        ending: Arc<Ending>,
        order: Order,
        common: Option<Common>,
    ) -> Result<Session, SessionError> {
        let refused = |difference| Err(Obstacle::Different(difference).into());
        let (model, manifest, index) = (&order.model, &order.manifest, site.index);
        let policy = site.trust.as_ref().map(|trust| trust.policy);
        if manifest.policy != policy {
            return refused(match (manifest.policy, policy) {
                (None, _) => Difference::NoPolicy(index),
                (_, None) => Difference::NoEvidence(index),
                _ => Difference::Policy(index),
            });
        }
        let another = || Difference::Model { party: index, model: model.into() };
        let Some(digest) = &manifest.deployment else { return refused(another()) };
        let kept = site.store.deployment(model, digest)?.filter(|kept| kept.digest() == *digest);
        let Some(deployment) = kept else { return refused(another()) };
        if !deployment.protocol.shares_like(manifest.protocol) {
            let (deployed, asked) = (deployment.protocol, manifest.protocol);
            return refused(Difference::Sharing { model: model.into(), deployed, asked });
        }
        let program = deployment.parse()?;
        let edition = check(manifest, &program)?;
        site.config.session.run.admit(&program).map_err(Obstacle::from)?;
        let weights = match common {
            // The party has made them of its part, and has found before that this is the one that was deployed.
            Some(common) => Weights::Prepared(found(common, &program)?),
            None => {
                let kept = site.store.get(model, digest)?.filter(|part| part.deployment == deployment);
                let Some(part) = kept else { return refused(another()) };
                part.check(index, &program, CHANGED)?;
                Weights::Parts(part.weights)
            }
        };
        let at_once = match order.mode {
            Mode::Live => site.config.session.at_once(&program),
            // What is dealt ahead is dealt, and used, one run at a time.
            Mode::Deal | Mode::Dealt { .. } => AtOnce { runs: 1, ..site.config.session.at_once(&program) },
        };
        let supply = ahead::supply(&site, &order)?;
        Ok(Session { site, room, ending, order, edition, program, at_once, weights, supply })
    }

    /// The program.
    pub(crate) fn program(&self) -> &Checked {
        &self.program
    }

    /// Bytes that it takes, as many runs as may being computed at once.
    pub(crate) fn memory(&self) -> u64 {
        self.at_once.memory
    }

    /// Comes together with everybody, shows them the head of this party's log, tells what they show of
    /// theirs, and runs. Returns what the evidence of the others said.
    ///
    /// # Errors
    /// Whatever ended the session before its time.
    pub(crate) fn run(
        mut self,
        wish: Wish,
        head: &Head,
        reporter: Reporter,
        shown: impl FnOnce(Vec<(usize, Head)>),
    ) -> Result<Vec<String>, SessionError> {
        let site = &self.site;
        let deadline = site.deadline();
        let mut channel = self.meet_client(wish, deadline)?;
        let options = LinkOptions { deadline: site.config.session.deadline, ..LinkOptions::default() };

        let instance = if site.trust.is_some() { Some(Instance::fresh()?) } else { None };
        let met = self.prove(&mut channel, instance.as_ref(), Role::Client)?;
        let (client_terms, guard) = match met {
            Some((terms, _, guard)) => (Some(terms), Some(guard)),
            None => (None, None),
        };
        let patient = LinkOptions { stall_limit: site.config.session.idle, ..options.clone() };
        let client = channel.into_link(Arc::default(), patient, guard)?;

        let meeting = Meeting { options: &options, deadline, client: &client };
        let (links, attested, keys) = match self.link(instance, &meeting) {
            Ok(linked) => linked,
            Err(error) => {
                client.abort(&error);
                return Err(error);
            }
        };
        let breaker = links.breaker();
        breaker.tie(&client);
        self.ending.attach(breaker.clone());
        let accord = match (&site.trust, attested, client_terms) {
            (Some(trust), Some(attested), Some(terms)) => {
                let Attested { instance, peers } = attested;
                Some(Accord::new(site.index, trust.clone(), instance, peers, terms))
            }
            _ => None,
        };
        let (manifest, mode) = (&self.order.manifest, self.order.mode);
        let agreed = match &accord {
            Some(accord) => accord.agree(&links, manifest),
            None => agree(&links, manifest, mode),
        };
        let agreed = agreed.and_then(|()| self.supply.between(manifest.protocol, &keys));
        if let Err(error) = agreed {
            breaker.abort_all(&error);
            return Err(error);
        }
        let heads = audit::exchange(&links, head);
        shown(heads.inspect_err(|error| breaker.abort_all(error))?);
        let appraisals = accord.iter().flat_map(|accord| accord.appraisals().iter().enumerate());
        let appraisals = appraisals
            .filter_map(|(j, appraisal)| appraisal.as_ref().map(|appraisal| format!("P{j}: {appraisal}")))
            .collect();
        let Manifest { protocol, session, check_inputs, .. } = *manifest;
        let weights = Some(self.weights);
        let edition = self.edition;
        let job = Job {
            at_once: self.at_once.runs,
            program: self.program,
            protocol,
            session,
            edition,
            weights,
            check_inputs,
            accord,
            reporter,
            supply: self.supply,
        };
        converse(links, &client, job)?;
        Ok(appraisals)
    }

    /// Waits for the client, who comes once all parties have said that they are ready.
    fn meet_client(&self, wish: Wish, deadline: Instant) -> Result<Channel, SessionError> {
        let come = self.order.manifest.client.map(Fingerprint);
        let come = come.and_then(|client| {
            self.room.claim(&|key| key == client, deadline, &|| wish.stands() && !self.ending.is_due())
        });
        let mut channel = match come {
            Some(channel) => channel,
            // It may have heard from another party that there is no room there.
            None if !wish.stands() => return Err(Obstacle::TakenBack.into()),
            None => return Err(Obstacle::NoClient.into()),
        };
        channel.name(&format!("client {}", self.order.client));
        channel.extend(deadline);
        say(&mut channel, &Tell::Ready)?;
        Ok(channel)
    }

    /// Mutual proof over a fresh channel, where this party attests: the terms, what the peer
    /// proved, and the guard of the link to come.
    fn prove(
        &self,
        channel: &mut Channel,
        instance: Option<&Instance>,
        peer: Role,
    ) -> Result<Option<(Terms, Proved, Guard)>, SessionError> {
        let (Some(trust), Some(instance)) = (&self.site.trust, instance) else { return Ok(None) };
        let (manifest, own) = (&self.order.manifest, role(self.site.index));
        let spki = self.site.config.identity.spki();
        let terms = Terms::of(channel, spki, own, peer, manifest)?;
        let proved = attest(&mut *channel, trust, instance, &terms)?;
        let guard = instance.guard(&proved.instance, manifest.session, own, peer, &terms.exporter)?;
        Ok(Some((terms, proved, guard)))
    }

    /// The links to the other parties that take part, and the keys of all, in the same order everywhere: P0 with P1, P0 with P2, …, P1
    /// with P2, … The lower index dials.
    fn link(
        &self,
        instance: Option<Instance>,
        meeting: &Meeting<'_>,
    ) -> Result<(Links, Option<Attested>, Vec<Fingerprint>), SessionError> {
        let clock: Arc<Clock> = Arc::default();
        let (index, parties) = (self.site.index, self.order.parties());
        let mut keys = vec![self.site.config.identity.fingerprint(); parties];
        let mut peers: Vec<_> = (0..parties).map(|_| None).collect();
        let mut links: Vec<Link> = Vec::with_capacity(parties);
        for j in (0..parties).filter(|&j| j != index) {
            let linked = self.link_one(j, instance.as_ref(), meeting, &clock);
            match linked {
                Ok((link, key, proved)) => {
                    links.push(link);
                    (peers[j], keys[j]) = (proved, key);
                }
                Err(error) => {
                    links.iter().for_each(|link| link.abort(&error));
                    return Err(error);
                }
            }
        }
        let attested = instance.map(|instance| Attested { instance, peers });
        Ok((Links::new(index, links, clock), attested, keys))
    }

    fn link_one(
        &self,
        j: usize,
        instance: Option<&Instance>,
        meeting: &Meeting<'_>,
        clock: &Arc<Clock>,
    ) -> Result<(Link, Fingerprint, Option<(Terms, Proved)>), SessionError> {
        let Meeting { options, deadline, client } = *meeting;
        let (config, index) = (&self.site.config, self.site.index);
        let mut channel = if j > index {
            self.dial(j, deadline, client)?
        } else {
            let wanted = || !client.has_ended();
            let claimed = self.room.claim(&|key| config.parties[j].keys.contains(key), deadline, &wanted);
            let Some(mut channel) = claimed else {
                if !wanted() {
                    // It says why, where it has a reason.
                    client.recv_any(0)?;
                }
                let seconds = config.session.deadline.as_secs();
                let reason = format!("it did not come to the session within {seconds} s");
                return Err(WireError::Connect { peer: config.party_name(j), reason }.into());
            };
            channel.name(&config.party_name(j));
            channel.extend(deadline);
            say(&mut channel, &Tell::Ready)?;
            channel
        };
        let met = self.prove(&mut channel, instance, role(j))?;
        let (proved, guard) = match met {
            Some((terms, proved, guard)) => (Some((terms, proved)), Some(guard)),
            None => (None, None),
        };
        let key = channel.peer_fingerprint();
        Ok((channel.into_link(Arc::clone(clock), options.between(index, j), guard)?, key, proved))
    }

    fn dial(&self, j: usize, deadline: Instant, client: &Link) -> Result<Channel, SessionError> {
        let config = &self.site.config;
        let party = &config.parties[j];
        let (name, route) = (config.party_name(j), Route::to_session(&self.order.manifest.session));
        let mut channel =
            Channel::connect_to(route, &party.address, &config.identity, party.keys, &name, deadline)?;
        // Whoever answers may take a while; a client that has gone needs no session.
        while !channel.has_word_within(GLANCE) && Instant::now() < deadline {
            if client.has_ended() {
                client.recv_any(0)?;
            }
        }
        ready(&mut channel)?;
        Ok(channel)
    }
}

/// The weights of a program, as they were prepared in this memory.
fn found(common: Common, program: &Checked) -> Result<Vec<Words>, SessionError> {
    let refused = |reason: String| SessionError::Process(format!("the weights that it was given: {reason}"));
    let words = common.tensors().map_err(|e| refused(e.to_string()))?;
    let due = program.weights.iter().map(|weight| elements(&weight.shape));
    if !due.eq(words.iter().map(Words::len)) {
        return Err(refused("they are not the program's".into()));
    }
    Ok(words)
}
