//! A party, as its operator's port shows it.

use std::path::Path;
use std::time::SystemTime;

use cryptflow_operator::{
    Audit, Cause, Files, Memory, Model, Party, Peer, Places, Session, State, Version, Watched,
};

use super::peers::causes;
use super::standing::{Kept, clock};
use super::{Running, locked, resident};
use crate::code::Code;
use crate::service::Service;
use crate::site::Site;
use crate::stock::Stocked;
use crate::versions::{self, Content};

impl Watched for Service {
    fn state(&self) -> State {
        let site = &*self.site();
        let sessions: Vec<Session> = locked(&self.watch.live).values().map(session).collect();
        let kept = self.watch.kept(site);
        let occupancy = self.seats.occupancy();
        let (entries, head, writable) = self.audit.position();
        let memory = Memory {
            party: resident(),
            sessions: sessions.iter().map(|session| session.memory).sum(),
            session_most: site.config.session.run.memory,
        };
        State {
            time: clock() / 1000,
            party: self.described(site),
            causes: self.causes(site, &kept, writable),
            sessions,
            places: Places {
                taken: occupancy.taken,
                most: site.config.session.max_sessions,
                waiting: occupancy.waiting,
            },
            peers: self.peers(site),
            models: kept.models.iter().filter_map(|kept| model(site, kept)).collect(),
            audit: Audit { entries, head: hex::encode(head), writable },
            memory,
            files: Files {
                certificate: age(&site.config.certificate),
                collateral: site
                    .config
                    .attestation
                    .as_ref()
                    .and_then(|files| age(files.collateral.as_deref()?)),
            },
            totals: locked(&self.watch.totals).clone(),
        }
    }
}

impl Service {
    fn described(&self, site: &Site) -> Party {
        let config = &site.config;
        Party {
            index: site.index,
            name: config.parties.get(site.index).map(|party| party.name.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").into(),
            messages: config.session.messages.number(),
            protocols: config.session.protocols.iter().map(ToString::to_string).collect(),
            listen: config.listen.clone().unwrap_or_default(),
            fingerprint: config.identity.fingerprint().to_string(),
            hardware: self.hardware(),
            policy: site.trust.as_ref().map(|trust| hex::encode(trust.policy)),
            uptime: self.uptime().as_secs(),
        }
    }

    fn peers(&self, site: &Site) -> Vec<Peer> {
        let seen = locked(&self.watch.peers);
        let others = site.config.parties.iter().enumerate().filter(|(index, _)| *index != site.index);
        let peer = |(index, party): (usize, &crate::config::PartyEntry)| {
            let last = seen.get(&index);
            let said = last.and_then(|seen| seen.result.as_ref().ok());
            Peer {
                index,
                name: party.name.clone(),
                address: party.address.clone(),
                reached: said.is_some(),
                asked: last.map(|seen| seen.when.elapsed().as_secs_f64()),
                rtt: said.map(|said| said.rtt.as_secs_f64()),
                clock: said.map(|said| said.ahead),
                version: said.map(|said| said.standing.software.clone()),
                messages: said.map(|said| said.edition.number()),
            }
        };
        others.map(peer).collect()
    }

    /// What keeps this party from its work.
    fn causes(&self, site: &Site, kept: &Kept, writable: bool) -> Vec<Cause> {
        let of_this = |code: Code, model: Option<&str>, message: String, advice: &str| Cause {
            code: code.word().into(),
            party: None,
            model: model.map(String::from),
            message,
            advice: advice.into(),
        };
        let mut found = Vec::new();
        if !writable {
            let message = format!("the audit log cannot be written: {}", site.config.audit.display());
            found.push(of_this(
                Code::Storage,
                None,
                message,
                "make room on its disk; no session is served before",
            ));
        }
        if let Some(failure) = &kept.failure {
            let advice = "look at the folder's disk and at its rights";
            found.push(of_this(Code::Storage, None, format!("the store cannot be read: {failure}"), advice));
        }
        if self.seats.is_closed() {
            let advice = "wait until it is started again";
            found.push(of_this(Code::Busy, None, "this party is being stopped".into(), advice));
        }
        for model in &kept.models {
            if let Some(damage) = model.damage() {
                let advice = "whoever deployed it deploys it again: cryptflow deploy --replace";
                found.push(of_this(Code::DamagedModel, Some(&model.name), damage.into(), advice));
            }
        }
        let own = self.watch.standing(site);
        let seen = locked(&self.watch.peers);
        for index in (0..site.config.parties.len()).filter(|&index| index != site.index) {
            found.extend(causes(&own, index, &site.config.party_name(index), seen.get(&index)));
        }
        found
    }
}

fn session(running: &Running) -> Session {
    let progress = &running.progress;
    Session {
        id: running.id.clone(),
        client: running.client.clone(),
        model: running.model.clone(),
        protocol: running.protocol.clone(),
        phase: progress.phase.word().into(),
        step: progress.step,
        steps: progress.steps,
        layer: progress.layer.clone(),
        runs: progress.runs,
        seconds: running.begun.elapsed().as_secs_f64(),
        sent: progress.sent.iter().sum(),
        memory: progress.memory,
    }
}

/// A model, where anything is kept of it but that it was removed.
fn model(site: &Site, kept: &versions::Model) -> Option<Model> {
    let all = kept.versions.as_deref().unwrap_or_default();
    if kept.versions.is_ok() && all.iter().all(|kept| kept.version.content == Content::Removed) {
        return None;
    }
    let used = versions::used(all).map(|used| used.version.generation);
    let (protocol, digest) = kept.served().unzip();
    // Those that cannot be read are none that are left.
    let stocks = site.store.stocks(&kept.name, &site.config).unwrap_or_default();
    Some(Model {
        name: kept.name.clone(),
        protocol: protocol.map(|protocol| protocol.to_string()).unwrap_or_default(),
        digest: digest.map(hex::encode).unwrap_or_default(),
        damage: kept.damage().map(String::from),
        used,
        versions: all.iter().map(|kept| version(kept, used)).collect(),
        dealt_runs: stocks.iter().map(Stocked::left).sum(),
        dealt_bytes: stocks.iter().map(|stock| stock.bytes).sum(),
    })
}

fn version(kept: &versions::Kept, used: Option<u64>) -> Version {
    let versions::Version { generation, content, time, client, .. } = &kept.version;
    let (protocol, digest, bytes) = match content {
        Content::Deployed { digest, protocol, bytes } => {
            (Some(protocol.to_string()), Some(hex::encode(digest)), Some(*bytes))
        }
        Content::Removed => (None, None, None),
    };
    let state = match kept.committed {
        false => "staged",
        true if used == Some(*generation) => "used",
        true => "previous",
    };
    Version {
        generation: *generation,
        state,
        protocol,
        digest,
        bytes,
        time: *time,
        client: client.clone(),
        damage: kept.trouble.clone(),
    }
}

/// Seconds since a file was written.
fn age(path: &Path) -> Option<u64> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(written).unwrap_or_default().as_secs())
}
