//! A session, as the party's own process sees it: who may have it, its place, where it runs, and what
//! is written down of it.

use std::sync::Arc;
use std::time::Instant;

use cryptflow_wire::tls::{Channel, Route};
use serde_json::json;

use crate::audit::{self, Head};
use crate::config::{ClientEntry, Right};
use crate::difference::Difference;
use crate::greeting::{Tell, say};
use crate::messages::{Manifest, Obstacle, SessionError};
use crate::seats::Seat;
use crate::service::Service;
use crate::session::Order;
use crate::site::Site;
use crate::worker::{News, Worker};

impl Service {
    /// Serves a session. However it ends, it is written down.
    pub(crate) fn open(&self, site: &Arc<Site>, mut channel: Channel, rights: &ClientEntry, order: Order) {
        let begun = Instant::now();
        let session = hex::encode(order.manifest.session);
        let name = format!("session {session:.8} of {}, {}", order.client, order.model);
        let fields = {
            let Order { client, model, manifest } = &order;
            let fields = json!({
                "session": session, "client": client, "model": model, "protocol": manifest.protocol,
                "program": hex::encode(manifest.program), "policy": manifest.policy.map(hex::encode),
            });
            move || fields.clone()
        };
        let route = Route::to_session(&order.manifest.session);
        let (_seat, worker) = match self.admit(site, rights, order) {
            Ok(admitted) => admitted,
            Err(error) => {
                let _ = say(&mut channel, &Tell::Refused { reason: error.to_string() });
                self.record("refused", with(fields(), &[("reason", error.to_string().into())]));
                self.log(&format!("{name}: refused: {error}"));
                return;
            }
        };
        // What cannot be written down is not done.
        let head = match self.audit.write("session", fields()) {
            Ok(head) => head,
            Err(error) => {
                let reason = format!("the audit log cannot be written: {error}");
                self.log(&format!("{name}: refused: {reason}"));
                let _ = say(&mut channel, &Tell::Refused { reason });
                return;
            }
        };
        let opened = self.routes.open(route, worker.entrance());
        let mut heads = Vec::new();
        // Whoever has asked comes back, to where the session runs.
        let result = say(&mut channel, &Tell::Ready)
            .and_then(|()| worker.run(channel.into_socket(), &head, &mut |news| self.note(news, &mut heads)));
        drop(opened);
        let (outcome, appraisals) = match result {
            Ok(appraisals) => ("finished".to_string(), appraisals),
            Err(error) => (error.to_string(), Vec::new()),
        };
        self.log(&format!("{name}: {outcome}"));
        let seconds = begun.elapsed().as_secs_f64();
        let ended = [
            ("outcome", outcome.into()),
            ("seconds", seconds.into()),
            ("evidence", appraisals.into()),
            ("heads", audit::noted(&heads)),
        ];
        self.record("ended", with(fields(), &ended));
    }

    /// What a session tells while it runs.
    fn note(&self, news: News, heads: &mut Vec<(usize, Head)>) {
        match news {
            News::Begun => self.get_ready(),
            News::Shown(shown) => *heads = shown,
            News::NotLetIn { peer, reason } => {
                self.log(&format!("{peer} is not let in: {reason}"));
                self.record_stranger(&peer, &reason);
            }
        }
    }

    /// A place for a session, and the worker that can run it.
    fn admit(
        &self,
        site: &Arc<Site>,
        rights: &ClientEntry,
        order: Order,
    ) -> Result<(Seat, Worker), SessionError> {
        let seat = self.seat(site, rights)?;
        self.consider(site, rights, &order.model, &order.manifest)?;
        let session = order.manifest.session;
        let worker = self.workers.prepare(site, order)?;
        self.take_number(session)?;
        Ok((seat, worker))
    }

    /// Whether a client may ask for this, by all that can be said of it without a look at the model.
    fn consider(
        &self,
        site: &Site,
        rights: &ClientEntry,
        model: &str,
        manifest: &Manifest,
    ) -> Result<(), SessionError> {
        let (index, session) = (site.index, &site.config.session);
        let refused = |difference| Err(Obstacle::Different(difference).into());
        self.permit(rights, Right::Predict, model)?;
        if !session.protocols.contains(&manifest.protocol) {
            let (party, protocol) = (format!("P{index}"), manifest.protocol);
            return Err(Obstacle::Protocol { party, protocol }.into());
        }
        if manifest.client != Some(rights.fingerprint.0) {
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
