//! What clients ask of a party's models: which there are, and to change them.

use std::time::{SystemTime, UNIX_EPOCH};

use cryptflow_program::Checked;
use cryptflow_wire::tls::{Channel, Fingerprint};
use serde_json::json;

use crate::commitments::{Arriving, Told, Unfit, What};
use crate::config::{ClientEntry, Right};
use crate::deployment::{CHANGED, Deployment, check_name};
use crate::greeting::{Ask, PIECE, Tell, say};
use crate::holding::Held;
use crate::locks::Lock;
use crate::messages::{Obstacle, SessionError, elements, part_limit};
use crate::service::{Service, allowed};
use crate::site::Site;
use crate::stock::Stocked;
use crate::store::StoreError;
use crate::versions::{Content, Model, Version};

/// A client that asks, and the party as it is at this moment.
pub(crate) struct Asking<'a> {
    pub(crate) service: &'a Service,
    pub(crate) site: &'a Site,
    /// How this party calls the client.
    pub(crate) name: &'a str,
    pub(crate) key: Fingerprint,
    pub(crate) client: &'a ClientEntry,
}

/// What is to be kept: everything but the weights.
struct Offer {
    generation: u64,
    deployment: Deployment,
    salts: Vec<[u8; 32]>,
    lengths: Vec<u64>,
    replace: bool,
}

impl Asking<'_> {
    /// Does what is asked of the models. `lock` is the right to change one, which the client may have.
    ///
    /// # Errors
    /// It may not, or it cannot be done.
    pub(crate) fn answer(
        &self,
        channel: &mut Channel,
        ask: Ask,
        lock: &mut Option<Lock>,
    ) -> Result<Tell, SessionError> {
        let held = |held| Ok(Tell::Held(Box::new(held)));
        match ask {
            Ask::Versions { name } => Ok(Tell::Versions(self.versions(name.as_deref())?)),
            Ask::Describe { name, deployment } => self.describe(&name, &deployment),
            Ask::Lock { name } => {
                self.permit(Right::Deploy, &name)?;
                check_name(&name)?;
                *lock = Some(self.service.locks.take(&name, self.name)?);
                Ok(Tell::Versions(self.versions(Some(&name))?))
            }
            Ask::Deploy { generation, deployment, salts, lengths, replace } => {
                let lock = self.may_change(lock, &deployment.name)?;
                held(self.take(channel, lock, Offer { generation, deployment, salts, lengths, replace })?)
            }
            Ask::Restore { name, generation, deployment } => {
                self.may_change(lock, &name)?.stands()?;
                held(self.restore(&name, generation, deployment)?)
            }
            Ask::Remove { name, generation } => {
                self.may_change(lock, &name)?.stands()?;
                held(self.promise(&name, generation, Content::Removed)?)
            }
            Ask::Still => match lock {
                // Whoever waits for other parties hears so of this one.
                Some(lock) => lock.stands().map(|()| Tell::Ready),
                None => Ok(Tell::Ready),
            },
            Ask::Commit { name, generation, held } => {
                self.may_use(&name)?;
                self.commit(&name, generation, &held)?;
                Ok(Tell::Ready)
            }
            Ask::Settle { name, common } => {
                self.may_change(lock, &name)?;
                self.site.store.settle(&name, &common, self.site.config.keep_versions)?;
                Ok(Tell::Ready)
            }
            Ask::Dealt { name } => Ok(Tell::Dealt(self.dealt(name.as_deref())?)),
            Ask::Status | Ask::Open { .. } | Ask::OpenAs { .. } | Ask::Probe { .. } | Ask::Standing => {
                Err(SessionError::Message {
                    peer: channel.peer().into(),
                    reason: "this asks for nothing of a model".into(),
                })
            }
        }
    }

    fn permit(&self, right: Right, model: &str) -> Result<(), SessionError> {
        self.service.permit(self.client, right, model)
    }

    fn versions(&self, name: Option<&str>) -> Result<Vec<Model>, SessionError> {
        match name {
            None => {
                let models = self.site.store.models()?.into_iter();
                Ok(models.filter(|model| allowed(self.client, &model.name)).collect())
            }
            Some(name) => {
                self.may_use(name)?;
                let versions = self.site.store.kept(name).map_err(|error| error.to_string());
                Ok(vec![Model { name: name.into(), versions }])
            }
        }
    }

    fn dealt(&self, name: Option<&str>) -> Result<Vec<Stocked>, SessionError> {
        let names = match name {
            None => self.site.store.names()?.into_iter().filter(|name| allowed(self.client, name)).collect(),
            Some(name) => {
                self.may_use(name)?;
                vec![name.to_string()]
            }
        };
        let mut stocked = Vec::new();
        for name in names {
            stocked.extend(self.site.store.stocks(&name, &self.site.config)?);
        }
        Ok(stocked)
    }

    fn describe(&self, name: &str, digest: &[u8; 32]) -> Result<Tell, SessionError> {
        self.permit(Right::Predict, name)?;
        let deployment = self.site.store.deployment(name, digest)?;
        let gone = || StoreError::Gone { model: name.into(), digest: hex::encode(digest) };
        Ok(Tell::Model(Box::new(deployment.ok_or_else(gone)?)))
    }

    /// Whether a client may use a model, in whichever way.
    fn may_use(&self, model: &str) -> Result<(), SessionError> {
        self.permit(Right::Deploy, model).or_else(|_| self.permit(Right::Predict, model))
    }

    /// A client's right to change a model, now and alone.
    fn may_change<'l>(&self, lock: &'l Option<Lock>, model: &str) -> Result<&'l Lock, SessionError> {
        self.permit(Right::Deploy, model)?;
        let lock = lock.as_ref().filter(|lock| lock.is_for(model));
        lock.ok_or_else(|| SessionError::NotLocked(model.into()))
    }

    /// Takes this party's part of a model onto the disk. Returns what it has signed of that.
    fn take(&self, channel: &mut Channel, lock: &Lock, offer: Offer) -> Result<Held, SessionError> {
        let Offer { generation, deployment, salts, lengths, replace } = offer;
        let (session, store, index) = (&self.site.config.session, &self.site.store, self.site.index);
        let (name, protocol) = (&deployment.name, deployment.protocol);
        if !session.protocols.contains(&protocol) {
            return Err(Obstacle::Protocol { party: "this party".into(), protocol }.into());
        }
        if !replace && store.current(name)?.is_some() {
            return Err(StoreError::Exists(name.clone()).into());
        }
        let program = deployment.parse()?;
        session.run.admit(&program).map_err(Obstacle::from)?;
        self.check_lengths(name, &program, &lengths)?;
        let told = Told { commitments: deployment.commitments.clone(), salts };
        let mut arriving = Arriving::new(protocol, index, &told);
        lock.stands()?;
        let mut file = store.receive(&deployment, &told.salts, &lengths, self.site.config.reserve)?;
        say(channel, &Tell::Ready)?;
        channel.extend_while_it_flows(session.deadline);
        for length in lengths {
            arriving.tensor(length);
            let mut left = length;
            while left > 0 {
                lock.stands()?;
                let piece = channel.recv(PIECE.min(usize::try_from(left).unwrap_or(PIECE)))?;
                if piece.is_empty() {
                    let (peer, reason) = (channel.peer().into(), "a piece of a weight is empty".into());
                    return Err(SessionError::Message { peer, reason });
                }
                arriving.take(&piece);
                file.write(&piece)?;
                left -= piece.len() as u64;
                say(channel, &Tell::Ready)?;
            }
        }
        if !arriving.holds() {
            let owner = format!("client {}", self.name);
            return Err(Unfit::Part { owner, party: index, what: What::Weights }.into());
        }
        let bytes = file.finish()?;
        let content = Content::Deployed { digest: deployment.digest(), protocol, bytes };
        self.promise(name, generation, content)
    }

    /// Whether there are as many weights as the program has, none longer than its own.
    fn check_lengths(&self, model: &str, program: &Checked, lengths: &[u64]) -> Result<(), SessionError> {
        let refused =
            |reason| Err(SessionError::Weights { party: self.site.index, model: model.into(), reason });
        if lengths.len() != program.weights.len() {
            return refused("has not as many tensors as the program");
        }
        let mut both = lengths.iter().zip(&program.weights);
        if both.any(|(length, weight)| *length > part_limit(elements(&weight.shape)) as u64) {
            return refused("has a tensor that is longer than its weight");
        }
        Ok(())
    }

    /// Holds a deployment that is kept here as a new version.
    fn restore(&self, name: &str, generation: u64, digest: [u8; 32]) -> Result<Held, SessionError> {
        let (store, index) = (&self.site.store, self.site.index);
        let gone = || StoreError::Gone { model: name.into(), digest: hex::encode(digest) };
        let part = store.get(name, &digest)?.ok_or_else(gone)?;
        if part.deployment.digest() != digest {
            let model = name.into();
            return Err(SessionError::Weights { party: index, model, reason: CHANGED });
        }
        // What it signs to hold, it holds.
        let program = part.deployment.parse()?;
        part.check(index, &program, CHANGED)?;
        let kept = store.kept(name)?.into_iter().map(|kept| kept.version.content);
        let content = kept.into_iter().find(|content| content.digest() == digest).ok_or_else(gone)?;
        self.promise(name, generation, content)
    }

    /// Stages a version, and signs that.
    fn promise(&self, name: &str, generation: u64, content: Content) -> Result<Held, SessionError> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map(|t| t.as_secs()).unwrap_or_default();
        let (client, owner) = (self.name.to_string(), self.key.0);
        let version = Version { generation, content, time, client, owner, held: Vec::new() };
        self.site.store.stage(name, &version)?;
        version.promise(name).sign(&self.site.config.identity, self.site.index)
    }

    /// Commits a version, once it is shown that all parties hold it.
    fn commit(&self, name: &str, generation: u64, held: &[Held]) -> Result<(), SessionError> {
        let config = &self.site.config;
        let (version, committed) = self.site.store.version(name, generation)?;
        if committed {
            return Ok(());
        }
        version.promise(name).agreed(held, &config.parties, self.site.index, &version.client)?;
        if !self.site.store.commit(name, generation, held)? {
            return Ok(());
        }
        let (event, said, what) = match &version.content {
            Content::Deployed { digest, .. } => {
                // Nobody else deploys what has this digest: each sharing is another.
                let again = self.site.store.kept(name)?.into_iter().any(|kept| {
                    kept.committed
                        && kept.version.generation < generation
                        && kept.version.content.digest() == *digest
                });
                let (event, said) =
                    if again { ("rolled-back", "rolled back") } else { ("deployed", "deployed") };
                (event, said, Some(hex::encode(digest)))
            }
            Content::Removed => ("removed", "removed", None),
        };
        let owner = &version.client;
        let digest = what.as_ref().map(|digest| format!(", {digest}")).unwrap_or_default();
        let client = self.name;
        let finished = if client == owner { String::new() } else { format!("; {client} brought the proof") };
        let fields = json!({
            "client": owner, "model": name, "version": generation, "deployment": what, "by": client,
        });
        self.service.record(event, fields);
        self.service.log(&format!("{owner} {said} {name}, version {generation}{digest}{finished}"));
        Ok(())
    }
}

/// The models that a client may use, of which there is a version: name, protocol, digest of the
/// deployment.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn listed(
    site: &Site,
    client: &ClientEntry,
) -> Result<Vec<(String, String, String)>, SessionError> {
    let names = site.store.names()?.into_iter().filter(|name| allowed(client, name));
    let listed = names.filter_map(|name| {
        // A damaged file is listed, too: its operator must hear of it.
        let damaged = |reason: String| ("damaged".to_string(), reason);
        let (protocol, digest) = match site.store.current(&name) {
            Err(error) => damaged(error.to_string()),
            Ok(None) => return None,
            Ok(Some(kept)) => match (kept.trouble, kept.version.content) {
                (Some(trouble), _) => damaged(trouble),
                (None, Content::Deployed { digest, protocol, .. }) => {
                    (protocol.to_string(), hex::encode(digest))
                }
                (None, Content::Removed) => return None,
            },
        };
        Some((name, protocol, digest))
    });
    Ok(listed.collect())
}
