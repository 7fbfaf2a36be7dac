//! A session, as the party's own process sees it: who may have it, its place, where it runs, and what
//! is written down of it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use cryptflow_wire::WireError;
use cryptflow_wire::tls::{Channel, Fingerprint, Route};
use serde_json::json;

use crate::ahead;
use crate::audit::{self, Head};
use crate::code::Code;
use crate::config::{ClientEntry, Right};
use crate::difference::Difference;
use crate::edition::spoken;
use crate::greeting::{Tell, say};
use crate::messages::{Manifest, Obstacle, SessionError};
use crate::mode::Mode;
use crate::numbers::Begun;
use crate::seats::{Need, Occupancy, Seat};
use crate::service::Service;
use crate::session::Order;
use crate::site::Site;
use crate::surviving::surviving;
use crate::worker::{News, Worker};

/// Deployments whose demand is remembered.
const DEMANDS: usize = 1000;

/// How often a client that waits hears so.
const WORD: Duration = Duration::from_secs(1);

/// How long one waits that would rather not: a session gives its seat back a moment after its client has
/// heard that it ended.
const LEAVING: Duration = Duration::from_millis(200);

/// What a client asks for.
pub(crate) struct Wanted {
    /// Its key.
    pub(crate) client: Fingerprint,
    /// The model.
    pub(crate) model: String,
    /// What all must agree on.
    pub(crate) manifest: Manifest,
    /// What the session is for.
    pub(crate) mode: Mode,
    /// Whether it waits in line.
    pub(crate) wait: bool,
}

impl Wanted {
    /// The client, as this party calls it now, and its rights: they may have changed since it came.
    fn of<'a>(&self, site: &'a Site) -> Result<(&'a str, &'a ClientEntry), SessionError> {
        site.config.client(self.client).ok_or_else(|| SessionError::Forbidden("do anything".into()))
    }

    /// What a client must be allowed to do for it: what is dealt ahead is kept by the parties, as models are.
    fn right(&self) -> Right {
        match self.mode {
            Mode::Live | Mode::Dealt { .. } => Right::Predict,
            Mode::Deal => Right::Deploy,
        }
    }
}

impl Service {
    /// Serves a session. However it ends, it is written down.
    pub(crate) fn open(&self, mut channel: Channel, wanted: Wanted) {
        let session = hex::encode(wanted.manifest.session);
        let client = wanted.of(&self.site()).map(|(name, _)| name.to_string());
        let client = client.unwrap_or_else(|_| channel.peer().into());
        let name = format!("session {session:.8} of {client}, {}", wanted.model);
        let fields = {
            let Wanted { model, manifest, mode, .. } = &wanted;
            let mut fields = json!({
                "session": session, "client": client, "model": model, "protocol": manifest.protocol,
                "program": hex::encode(manifest.program), "policy": manifest.policy.map(hex::encode),
                "messages": manifest.version,
            });
            match mode {
                Mode::Live => {}
                Mode::Deal => fields["mode"] = mode.word().into(),
                Mode::Dealt { stock } => {
                    (fields["mode"], fields["stock"]) = (mode.word().into(), hex::encode(stock).into());
                }
            }
            move || fields.clone()
        };
        let (_seat, _number, worker) = match surviving(|| self.admit(&mut channel, &wanted)) {
            Ok(admitted) => admitted,
            Err(SessionError::Manifest(obstacle)) if obstacle.passes().is_some() => {
                return self.put_off(&mut channel, &client, &obstacle);
            }
            Err(error) => {
                let _ = say(&mut channel, &Tell::refused(&error));
                self.watch.refused(Code::from(&error));
                self.record("refused", with(fields(), &[("reason", error.to_string().into())]));
                self.warn(&format!("{name}: refused: {error}"));
                return;
            }
        };
        let begun = Instant::now();
        let followed = self.watch.begin(&client, &wanted.model, &wanted.manifest);
        // What cannot be written down is not done.
        let head = match self.audit.write("session", fields()) {
            Ok(head) => head,
            Err(error) => {
                let reason = format!("the audit log cannot be written: {error}");
                self.watch.refused(Code::Storage);
                self.warn(&format!("{name}: refused: {reason}"));
                let _ = say(&mut channel, &Tell::Refused { code: Code::Storage, reason });
                return;
            }
        };
        let opened = self.routes.open(Route::to_session(&wanted.manifest.session), worker.entrance());
        let ender = worker.ender();
        let number = wanted.manifest.session;
        let entered =
            self.live.enter(number, wanted.client, &wanted.model, ender.clone(), Arc::clone(&followed));
        // Whoever was revoked since it was let in is not among those that were ended for it.
        if let Err(error) = self.may_still(&wanted) {
            ender.end((&error).into());
        }
        let mut heads = Vec::new();
        // Whoever has asked comes back, to where the session runs.
        let mut told = |news| self.note(news, &mut heads);
        let result = say(&mut channel, &Tell::Ready)
            .and_then(|()| surviving(|| worker.run(channel.into_socket(), &head, &followed, &mut told)));
        drop((opened, entered));
        followed.ended(result.as_ref().err().map(Code::from));
        let finished = result.is_ok();
        let (outcome, appraisals) = match result {
            Ok(appraisals) => ("finished".to_string(), appraisals),
            Err(error) => (error.to_string(), Vec::new()),
        };
        let seconds = begun.elapsed().as_secs_f64();
        let ended = [
            ("outcome", outcome.as_str().into()),
            ("seconds", seconds.into()),
            ("evidence", appraisals.into()),
            ("heads", audit::noted(&heads)),
        ];
        self.record("ended", with(fields(), &ended));
        let line = format!("{name}: {outcome}");
        if finished { self.log(&line) } else { self.warn(&line) }
    }

    /// Tells a client to come again. That there was no room is nothing to write down; that too many wait
    /// is, now and then.
    pub(crate) fn put_off(&self, channel: &mut Channel, client: &str, obstacle: &Obstacle) {
        self.watch.refused(Code::from(obstacle));
        let after = obstacle.passes().unwrap_or_default().as_millis();
        let after = after.try_into().unwrap_or(u32::MAX);
        let reason = obstacle.to_string();
        // It may be gone; what matters is that nothing happens.
        let _ = say(channel, &Tell::Later { reason: reason.clone(), after });
        if !matches!(obstacle, Obstacle::Busy { .. }) {
            self.log(&format!("{client} is to come again: {reason}"));
            self.record_stranger(client, &reason);
        }
    }

    /// What a session tells while it runs.
    fn note(&self, news: News, heads: &mut Vec<(usize, Head)>) {
        match news {
            News::Shown(shown) => *heads = shown,
            News::NotLetIn { peer, reason } => {
                self.watch.refused(Code::KeyNotAccepted);
                self.warn(&format!("{peer} is not let in: {reason}"));
                self.record_stranger(&peer, &reason);
            }
        }
    }

    /// A place for a session, its number, and the worker that can run it.
    fn admit(&self, channel: &mut Channel, wanted: &Wanted) -> Result<(Seat, Begun, Worker), SessionError> {
        let site = self.site();
        self.consider(&site, wanted)?;
        let memory = self.demanded(&site, wanted)?;
        let need = Need { client: wanted.of(&site)?.0.into(), memory };
        let seat = self.seat(channel, wanted, need)?;
        // The configuration may be another by now.
        let site = self.site();
        self.consider(&site, wanted)?;
        let (client, _) = wanted.of(&site)?;
        let Wanted { model, manifest, mode, .. } = wanted;
        let order =
            Order { client: client.into(), model: model.clone(), manifest: manifest.clone(), mode: *mode };
        let worker = self.workers.prepare(&site, order)?;
        let number = self.numbers.begin(manifest.session)?;
        Ok((seat, number, worker))
    }

    /// A seat, as soon as it is the client's turn.
    fn seat(&self, channel: &mut Channel, wanted: &Wanted, need: Need) -> Result<Seat, SessionError> {
        let capacity = || self.site().config.session.capacity();
        let client = need.client.clone();
        let place = self.seats.line_up(need, &capacity())?;
        let mut until = Instant::now() + LEAVING;
        loop {
            let before = match place.seat(&capacity(), until)? {
                Ok(seat) => return Ok(seat),
                Err(before) => before,
            };
            if !wanted.wait {
                let Occupancy { taken, waiting, .. } = self.seats.occupancy();
                return Err(Obstacle::Busy { taken, waiting: waiting.saturating_sub(1) }.into());
            }
            if !channel.is_quiet() {
                return Err(WireError::Closed { peer: channel.peer().into() }.into());
            }
            self.may_still(wanted)?;
            if before == 0 {
                self.make_room(&client);
            }
            channel.extend(Instant::now() + self.site().config.session.deadline);
            say(channel, &Tell::Waits { before: before.try_into().unwrap_or(u32::MAX) })?;
            until = Instant::now() + WORD;
        }
    }

    /// Somebody waits, and is the next: a session that does nothing gives its place up. Where the client has
    /// as many as it may, one of its own.
    fn make_room(&self, client: &str) {
        let site = self.site();
        let session = &site.config.session;
        let own = self.seats.taken_by(client) >= session.capacity().of_one;
        let reason = format!(
            "it has waited for its client for {} s, and others wait for its place (session.yield_seconds)",
            session.yields.as_secs_f64()
        );
        let of = |key| !own || site.config.client(key).is_some_and(|(name, _)| name == client);
        self.live.end_idle(of, session.yields, Code::Busy.reason(reason));
    }

    /// The memory that the program of a session demands. What was found of a deployment stays so.
    fn demanded(&self, site: &Site, wanted: &Wanted) -> Result<u64, SessionError> {
        let known = |digest| self.demands.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied();
        if let Some(memory) = wanted.manifest.deployment.as_ref().and_then(known) {
            return Ok(memory);
        }
        let kept = match &wanted.manifest.deployment {
            Some(digest) => site.store.deployment(&wanted.model, digest)?,
            None => None,
        };
        let kept = kept.filter(|kept| wanted.manifest.deployment == Some(kept.digest()));
        let Some(deployment) = kept else {
            let difference = Difference::Model { party: site.index, model: wanted.model.clone() };
            return Err(Obstacle::Different(difference).into());
        };
        let program = deployment.parse()?;
        site.config.session.run.admit(&program).map_err(Obstacle::from)?;
        let memory = site.config.session.at_once(&program).memory;
        let mut demands = self.demands.lock().unwrap_or_else(PoisonError::into_inner);
        if demands.len() >= DEMANDS {
            // They are found again.
            demands.clear();
        }
        demands.insert(deployment.digest(), memory);
        Ok(memory)
    }

    /// Whether the client may have this session, by the configuration of now.
    fn may_still(&self, wanted: &Wanted) -> Result<(), SessionError> {
        let site = self.site();
        let (_, rights) = wanted.of(&site)?;
        self.permit(rights, wanted.right(), &wanted.model)
    }

    /// Whether a client may ask for this, by all that can be said of it without a look at the model.
    fn consider(&self, site: &Site, wanted: &Wanted) -> Result<(), SessionError> {
        let (index, session, manifest) = (site.index, &site.config.session, &wanted.manifest);
        let refused = |difference| Err(Obstacle::Different(difference).into());
        let (_, rights) = wanted.of(site)?;
        self.permit(rights, wanted.right(), &wanted.model)?;
        let edition = spoken(manifest.version, session.messages).map_err(Obstacle::from)?;
        ahead::consider(site, wanted.mode, manifest, edition)?;
        if !session.protocols.contains(&manifest.protocol) {
            let (party, protocol) = (format!("P{index}"), manifest.protocol);
            return Err(Obstacle::Protocol { party, protocol }.into());
        }
        if manifest.client != Some(wanted.client.0) {
            return refused(Difference::Client);
        }
        if session.check_inputs && !manifest.check_inputs {
            return refused(Difference::Unchecked(index));
        }
        Ok(())
    }
}

/// An object with more fields.
fn with(mut object: serde_json::Value, more: &[(&str, serde_json::Value)]) -> serde_json::Value {
    if let Some(fields) = object.as_object_mut() {
        fields.extend(more.iter().map(|(name, value)| (name.to_string(), value.clone())));
    }
    object
}
