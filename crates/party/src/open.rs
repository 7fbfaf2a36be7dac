//! A session between three organisations: from a client's wish to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use cryptflow_program::Checked;
use cryptflow_wire::tls::Channel;
use cryptflow_wire::{Clock, Guard, Link, LinkOptions, Links, Role, WireError};
use serde_json::json;

use crate::attested::{Accord, Instance, Proved, Terms, attest, role};
use crate::audit::{self, Head};
use crate::config::{ClientEntry, Right};
use crate::deployment::{CHANGED, Part};
use crate::difference::Difference;
use crate::greeting::{Greeting, Tell, ready, say};
use crate::messages::{Manifest, Obstacle, SessionError, VERSION};
use crate::serve::{Job, agree, check, converse};
use crate::service::Service;

/// What the links of a session are made with, where they are attested.
struct Attested {
    instance: Instance,
    /// By index; nothing at this party's own.
    peers: Vec<Option<(Terms, Proved)>>,
}

/// Where and until when the parties of a session come together.
struct Meeting<'a> {
    manifest: &'a Manifest,
    options: &'a LinkOptions,
    deadline: Instant,
    /// Whoever wants the session.
    client: &'a Link,
}

impl Service {
    /// Serves a session. However it ends, it is written down.
    pub(crate) fn open(
        &self,
        mut channel: Channel,
        client: &str,
        rights: &ClientEntry,
        model: &str,
        manifest: &Manifest,
    ) {
        let begun = Instant::now();
        let session = hex::encode(manifest.session);
        let fields = || {
            json!({
                "session": session, "client": client, "model": model, "protocol": manifest.protocol,
                "program": hex::encode(manifest.program), "policy": manifest.policy.map(hex::encode),
            })
        };
        let prepared = self.seat().and_then(|seat| Ok((seat, self.prepare(rights, model, manifest)?)));
        let (_seat, (program, part)) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = say(&mut channel, &Tell::Refused { reason: error.to_string() });
                self.record("refused", with(fields(), &[("reason", error.to_string().into())]));
                self.log(&format!("session {session:.8} of {client}, {model}: refused: {error}"));
                return;
            }
        };
        // What cannot be written down is not done.
        let head = match self.audit.write("session", fields()) {
            Ok(head) => head,
            Err(error) => {
                let reason = format!("the audit log cannot be written: {error}");
                self.log(&format!("session {session:.8} of {client}, {model}: refused: {reason}"));
                let _ = say(&mut channel, &Tell::Refused { reason });
                return;
            }
        };
        let mut heads = Vec::new();
        // A mistake in here ends this session alone, and is written down as any other end.
        let run = AssertUnwindSafe(|| self.run(channel, program, part, manifest, (&head, &mut heads)));
        let result = catch_unwind(run).unwrap_or(Err(SessionError::Panicked));
        let (outcome, appraisals) = match &result {
            Ok(appraisals) => ("finished".to_string(), appraisals.clone()),
            Err(error) => (error.to_string(), Vec::new()),
        };
        self.log(&format!("session {session:.8} of {client}, {model}: {outcome}"));
        let seconds = begun.elapsed().as_secs_f64();
        let ended = [
            ("outcome", outcome.into()),
            ("seconds", seconds.into()),
            ("evidence", appraisals.into()),
            ("heads", audit::noted(&heads)),
        ];
        self.record("ended", with(fields(), &ended));
    }

    /// Whether this party can, and will, run what it is asked for.
    fn prepare(
        &self,
        rights: &ClientEntry,
        model: &str,
        manifest: &Manifest,
    ) -> Result<(Checked, Part), SessionError> {
        let refused = |difference| Err(Obstacle::Different(difference).into());
        self.permit(rights, Right::Predict, model)?;
        if !self.config.session.protocols.contains(&manifest.protocol) {
            let (party, protocol) = (format!("P{}", self.index), manifest.protocol);
            return Err(Obstacle::Protocol { party, protocol }.into());
        }
        if manifest.client != Some(rights.fingerprint.0) {
            return refused(Difference::Client);
        }
        let policy = self.trust.as_ref().map(|trust| trust.policy);
        if manifest.policy != policy {
            return refused(match (manifest.policy, policy) {
                (None, _) => Difference::NoPolicy(self.index),
                (_, None) => Difference::NoEvidence(self.index),
                _ => Difference::Policy(self.index),
            });
        }
        if self.config.session.check_inputs && !manifest.check_inputs {
            return refused(Difference::Unchecked(self.index));
        }
        let part = self.store.get(model)?;
        if manifest.deployment != Some(part.deployment.digest()) {
            return refused(Difference::Model { party: self.index, model: model.into() });
        }
        if !part.deployment.protocol.shares_like(manifest.protocol) {
            let (deployed, asked) = (part.deployment.protocol, manifest.protocol);
            return refused(Difference::Sharing { model: model.into(), deployed, asked });
        }
        let program = part.deployment.parse()?;
        check(manifest, &program)?;
        self.config.session.run.admit(&program).map_err(Obstacle::from)?;
        part.check(self.index, &program, CHANGED)?;
        self.take_number(manifest.session)?;
        Ok((program, part))
    }

    /// Comes together with everybody, shows them the head of this party's log and notes theirs, and runs.
    /// Returns what the evidence of the others said.
    fn run(
        &self,
        mut channel: Channel,
        program: Checked,
        part: Part,
        manifest: &Manifest,
        (head, heads): (&Head, &mut Vec<(usize, Head)>),
    ) -> Result<Vec<String>, SessionError> {
        let deadline = self.deadline();
        channel.extend(deadline);
        say(&mut channel, &Tell::Ready)?;
        let options = LinkOptions { deadline: self.config.session.deadline, ..LinkOptions::default() };

        let instance = if self.trust.is_some() { Some(Instance::fresh()?) } else { None };
        let met = self.meet(&mut channel, instance.as_ref(), Role::Client, manifest)?;
        let (client_terms, guard) = match met {
            Some((terms, _, guard)) => (Some(terms), Some(guard)),
            None => (None, None),
        };
        let patient = LinkOptions { stall_limit: self.config.session.idle, ..options.clone() };
        let client = channel.into_link(Arc::default(), patient, guard)?;

        let meeting = Meeting { manifest, options: &options, deadline, client: &client };
        let (links, attested) = match self.link(instance, &meeting) {
            Ok(linked) => linked,
            Err(error) => {
                client.abort(&error.to_string());
                return Err(error);
            }
        };
        let breaker = links.breaker();
        breaker.tie(&client);
        let accord = match (&self.trust, attested, client_terms) {
            (Some(trust), Some(attested), Some(terms)) => {
                let Attested { instance, peers } = attested;
                Some(Accord::new(self.index, trust.clone(), instance, peers, terms))
            }
            _ => None,
        };
        let agreed = match &accord {
            Some(accord) => accord.agree(&links, manifest),
            None => agree(&links, manifest),
        };
        if let Err(error) = agreed {
            breaker.abort_all(&error.to_string());
            return Err(error);
        }
        *heads = audit::exchange(&links, head).inspect_err(|error| breaker.abort_all(&error.to_string()))?;
        let appraisals = accord.iter().flat_map(|accord| accord.appraisals().iter().enumerate());
        let appraisals = appraisals
            .filter_map(|(j, appraisal)| appraisal.as_ref().map(|appraisal| format!("P{j}: {appraisal}")))
            .collect();
        let Manifest { protocol, session, check_inputs, .. } = *manifest;
        let job = Job { program, protocol, session, weights: Some(part.weights), check_inputs, accord };
        converse(links, &client, job)?;
        Ok(appraisals)
    }

    /// Mutual proof over a fresh channel, where this party attests: the terms, what the peer
    /// proved, and the guard of the link to come.
    fn meet(
        &self,
        channel: &mut Channel,
        instance: Option<&Instance>,
        peer: Role,
        manifest: &Manifest,
    ) -> Result<Option<(Terms, Proved, Guard)>, SessionError> {
        let (Some(trust), Some(instance)) = (&self.trust, instance) else { return Ok(None) };
        let own = role(self.index);
        let spki = self.config.identity.spki();
        let terms = Terms::of(channel, spki, own, peer, manifest.session, manifest.program)?;
        let proved = attest(&mut *channel, trust, instance, &terms)?;
        let guard = instance.guard(&proved.instance, manifest.session, own, peer, &terms.exporter)?;
        Ok(Some((terms, proved, guard)))
    }

    /// The links to the other parties, in the same order everywhere: P0 with P1, P0 with P2, …, P1
    /// with P2, … The lower index dials.
    fn link(
        &self,
        instance: Option<Instance>,
        meeting: &Meeting<'_>,
    ) -> Result<(Links, Option<Attested>), SessionError> {
        let clock: Arc<Clock> = Arc::default();
        let parties = self.config.parties.len();
        let mut peers: Vec<_> = (0..parties).map(|_| None).collect();
        let mut links: Vec<Link> = Vec::with_capacity(parties);
        for j in (0..parties).filter(|&j| j != self.index) {
            let linked = self.link_one(j, instance.as_ref(), meeting, &clock);
            match linked {
                Ok((link, proved)) => {
                    links.push(link);
                    peers[j] = proved;
                }
                Err(error) => {
                    links.iter().for_each(|link| link.abort(&error.to_string()));
                    return Err(error);
                }
            }
        }
        let attested = instance.map(|instance| Attested { instance, peers });
        Ok((Links::new(self.index, links, clock), attested))
    }

    fn link_one(
        &self,
        j: usize,
        instance: Option<&Instance>,
        meeting: &Meeting<'_>,
        clock: &Arc<Clock>,
    ) -> Result<(Link, Option<(Terms, Proved)>), SessionError> {
        let Meeting { manifest, options, deadline, client } = *meeting;
        let mut channel = if j > self.index {
            self.dial(j, manifest, deadline)?
        } else {
            let wanted = || !client.has_ended();
            let Some(mut channel) = self.room.claim((manifest.session, j), deadline, &wanted) else {
                if !wanted() {
                    // It says why, where it has a reason.
                    client.recv_any(0)?;
                }
                let seconds = self.config.session.deadline.as_secs();
                let reason = format!("it did not come to the session within {seconds} s");
                return Err(WireError::Connect { peer: self.peer_name(j), reason }.into());
            };
            channel.extend(deadline);
            say(&mut channel, &Tell::Ready)?;
            channel
        };
        let met = self.meet(&mut channel, instance, role(j), manifest)?;
        let (proved, guard) = match met {
            Some((terms, proved, guard)) => (Some((terms, proved)), Some(guard)),
            None => (None, None),
        };
        Ok((channel.into_link(Arc::clone(clock), options.between(self.index, j), guard)?, proved))
    }

    fn dial(&self, j: usize, manifest: &Manifest, deadline: Instant) -> Result<Channel, SessionError> {
        let party = &self.config.parties[j];
        let name = self.peer_name(j);
        let mut channel =
            Channel::connect(&party.address, &self.config.identity, party.fingerprint, &name, deadline)?;
        let index = u8::try_from(self.index).unwrap_or(u8::MAX);
        say(&mut channel, &Greeting::Party { version: VERSION, index, session: manifest.session })?;
        ready(&mut channel)?;
        Ok(channel)
    }
}

/// An object with more fields.
fn with(mut object: serde_json::Value, more: &[(&str, serde_json::Value)]) -> serde_json::Value {
    if let Some(fields) = object.as_object_mut() {
        fields.extend(more.iter().map(|(name, value)| (name.to_string(), value.clone())));
    }
    object
}
