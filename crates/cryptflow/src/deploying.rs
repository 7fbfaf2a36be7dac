//! Changing what the parties keep: the same at all of them, whoever stops in the middle.
//!
//! A change is a new version ([`cryptflow_party::versions`]). The client keeps all others out, at P0 first
//! and then at each after it; finishes what somebody else left half done; has all parties stage the version
//! and sign that; and hands each what all have signed. If it stops before that, nothing has changed. If it
//! stops in the middle of that, whoever comes next finishes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cryptflow_party::code::Code;
use cryptflow_party::commitments::{Told, commit};
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, PIECE, held, ready, say, versions};
use cryptflow_party::holding::Held;
use cryptflow_party::messages::SessionError;
use cryptflow_party::versions::Kept;
use cryptflow_program::{Checked, Program};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::Channel;

use crate::client::{shared_in, words};
use crate::deployed::only;
use crate::error::{Error, Result};
use crate::remote::{GRACE, Site, all};
use crate::standing::Standing;

/// Pieces of weights that are on their way to a party at a time.
const WINDOW: usize = 32;

/// How often a client says that it is there, while it waits for other parties.
const STILL: Duration = Duration::from_secs(1);

/// Hears how many bytes of all have arrived at the parties.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// A change that all parties have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The number of the version.
    pub generation: u64,
    /// The digest of the deployment that is used now; nothing where the model was removed.
    pub deployment: Option<[u8; 32]>,
}

/// The parties, where all others are kept out of a model.
struct Alone<'a> {
    site: &'a Site,
    channels: Vec<Channel>,
    standing: Standing,
}

/// What parties do at once has come so far.
#[derive(Default)]
struct Together {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Together {
    fn state(&self) -> MutexGuard<'_, (usize, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One is done, rightly or not.
    fn done(&self, failed: bool) {
        let mut state = self.state();
        state.0 += 1;
        state.1 |= failed;
        self.changed.notify_all();
    }

    /// Whether one has failed: what the others do is in vain.
    fn has_failed(&self) -> bool {
        self.state().1
    }

    /// Waits until so many are done or one has failed, but not for long: whether that is so.
    fn is_over(&self, all: usize) -> bool {
        let pending = |state: &mut (usize, bool)| state.0 < all && !state.1;
        let waited = self.changed.wait_timeout_while(self.state(), STILL, pending);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !pending(&mut state)
    }
}

/// One of those who do something together. Where it ends without a word, as a thread does that panics or is unwound,
/// it has failed: nobody waits for it.
struct Doing<'a> {
    together: &'a Together,
    failed: bool,
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        self.together.done(self.failed);
    }
}

impl Site {
    /// Shares a model's weights into the parties' stores: all use it from then on, or none does.
    ///
    /// # Errors
    /// A party cannot be reached, or refuses; or another client changes the model.
    pub fn deploy(
        &self,
        name: &str,
        program: &Checked,
        weights: &[Vec<i64>],
        protocol: ProtocolName,
        replace: bool,
        progress: Progress<'_>,
    ) -> Result<Changed> {
        self.fits(protocol)?;
        let mut alone = self.alone(name)?;
        let parts = alone.share(program, weights, protocol)?;
        let told = commit(protocol, &parts)?;
        let commitments = told.first().map(|told| told.commitments.clone()).unwrap_or_default();
        let program = serde_json::to_string::<Program>(program).map_err(Error::new)?;
        let deployment = Deployment { name: name.into(), program, protocol, commitments };
        let total: u64 = parts.iter().flatten().map(|part| part.len() as u64).sum();
        let (arrived, silence) = (AtomicU64::new(0), self.config().session.deadline.saturating_add(GRACE));
        let generation = alone.standing.next();
        alone.change(generation, Some(deployment.digest()), |index, channel, together| {
            let (Some(Told { salts, .. }), Some(parts)) = (told.get(index), parts.get(index)) else {
                return Err(SessionError::NoParty(index));
            };
            let (deployment, salts) = (deployment.clone(), salts.clone());
            let lengths = parts.iter().map(|part| part.len() as u64).collect();
            say(channel, &Ask::Deploy { generation, deployment, salts, lengths, replace })?;
            ready(channel)?;
            channel.extend_while_it_flows(silence);
            let mut waiting = VecDeque::with_capacity(WINDOW);
            let taken = |channel: &mut Channel, bytes: u64| {
                ready(channel)?;
                progress(arrived.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
                Ok::<_, SessionError>(())
            };
            for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
                if together.has_failed() {
                    return Ok(None);
                }
                if let Some(bytes) = if waiting.len() < WINDOW { None } else { waiting.pop_front() } {
                    taken(channel, bytes)?;
                }
                channel.send(piece)?;
                waiting.push_back(piece.len() as u64);
            }
            while let Some(bytes) = waiting.pop_front() {
                taken(channel, bytes)?;
            }
            held(channel).map(Some)
        })
    }

    /// Has the parties use what they used before, or the version with this number; they keep it still.
    ///
    /// # Errors
    /// A party cannot be reached, or refuses; there is no such version; or another client changes the model.
    pub fn roll_back(&self, name: &str, to: Option<u64>) -> Result<Changed> {
        let alone = self.alone(name)?;
        let standing = &alone.standing;
        let Some(version) = standing.before(to) else {
            let kept: Vec<String> = standing.settled().iter().map(u64::to_string).collect();
            let wanted = to.map_or("earlier version".to_string(), |to| format!("version {to}"));
            return Err(Error::new(format!(
                "there is no {wanted} of {name:?} that all parties keep; what they keep: {}",
                if kept.is_empty() { "nothing".to_string() } else { kept.join(", ") }
            )));
        };
        let (deployment, generation) = (version.content.digest(), standing.next());
        alone.change(generation, Some(deployment), |_, channel, _| {
            say(channel, &Ask::Restore { name: name.into(), generation, deployment })?;
            held(channel).map(Some)
        })
    }

    /// Has the parties remove all that they keep under a name.
    ///
    /// # Errors
    /// A party cannot be reached, or refuses; there is no such model; or another client changes it.
    pub fn remove(&self, name: &str) -> Result<Changed> {
        let alone = self.alone(name)?;
        let generation = alone.standing.next();
        let there = alone.standing.parties.iter().flatten();
        if !there.into_iter().any(|kept| kept.version.content.digest() != [0; 32]) {
            return Err(Error::of(Code::UnknownModel, format!("no model {name:?} is deployed")));
        }
        alone.change(generation, None, |_, channel, _| {
            say(channel, &Ask::Remove { name: name.into(), generation })?;
            held(channel).map(Some)
        })
    }

    /// Keeps all others out of a model, at one party after the other, and finishes what they left.
    fn alone(&self, name: &str) -> Result<Alone<'_>> {
        let (mut channels, mut parties) = (Vec::new(), Vec::new());
        for index in 0..self.config().parties.len() {
            let (channel, kept) = self.greet(index, |channel| {
                say(channel, &Ask::Lock { name: name.into() })?;
                only(versions(channel)?, channel)
            })?;
            channels.push(channel);
            parties.push(kept);
        }
        let mut standing = Standing { name: name.into(), parties };
        let refused = self.finish(&mut channels, &mut standing);
        if !refused.is_empty() {
            return Err(Error::new(format!(
                "what another deployment of {name:?} left half done cannot be finished: {}",
                refused.join("; ")
            )));
        }
        let mut alone = Alone { site: self, channels, standing };
        alone.settle()?;
        Ok(alone)
    }
}

impl Alone<'_> {
    /// Shares weights as all parties read them, who are told meanwhile that the client is there: each party's parts.
    fn share(
        &mut self,
        program: &Checked,
        weights: &[Vec<i64>],
        protocol: ProtocolName,
    ) -> Result<Vec<Vec<Vec<u8>>>> {
        let owner = protocol.owner(program.ring_bits);
        let mut parts: Vec<Vec<Vec<u8>>> = vec![Vec::new(); protocol.facts().parties];
        // All parties were greeted just now.
        let spoken = (0..self.channels.len()).map(|party| self.site.spoken(party).unwrap_or(Edition::OLDEST));
        let edition = spoken.min().unwrap_or(Edition::OLDEST);
        let mut heard = Instant::now();
        for (weight, bits) in weights.iter().zip(shared_in(program, edition)) {
            let shared = owner.share_weight(words(weight), bits).map_err(Error::new)?;
            parts.iter_mut().zip(shared).for_each(|(parts, part)| parts.push(part));
            if heard.elapsed() >= STILL {
                heard = Instant::now();
                for channel in &mut self.channels {
                    channel.extend(heard + self.site.config().session.deadline.saturating_add(GRACE));
                    say(channel, &Ask::Still).and_then(|()| ready(channel))?;
                }
            }
        }
        Ok(parts)
    }

    /// Has the parties give up what is older than what all of them have.
    fn settle(&mut self) -> Result<()> {
        let common = self.standing.settled();
        if common.is_empty() {
            return Ok(());
        }
        for channel in &mut self.channels {
            channel.extend(Instant::now() + self.site.config().session.deadline);
            let settle = Ask::Settle { name: self.standing.name.clone(), common: common.clone() };
            say(channel, &settle).and_then(|()| ready(channel))?;
        }
        Ok(())
    }

    /// Has all parties stage a version, at once, and then commit it, one after the other. `stage` has one
    /// of them do it; it returns nothing where another one has failed.
    fn change(
        mut self,
        generation: u64,
        deployment: Option<[u8; 32]>,
        stage: impl Fn(usize, &mut Channel, &Together) -> std::result::Result<Option<Held>, SessionError> + Sync,
    ) -> Result<Changed> {
        let deadline = self.site.config().session.deadline;
        let (stage, together, count) = (&stage, &Together::default(), self.channels.len());
        let one = |index: usize, channel: &mut Channel| {
            channel.extend(Instant::now() + deadline.saturating_add(GRACE));
            let mut doing = Doing { together, failed: true };
            let staged = stage(index, channel, together);
            doing.failed = !matches!(staged, Ok(Some(_)));
            drop(doing);
            // The others may need hours; who is silent for long is taken for gone.
            let staged = staged?;
            while !together.is_over(count) {
                channel.extend(Instant::now() + deadline.saturating_add(GRACE));
                say(channel, &Ask::Still)
                    .and_then(|()| ready(channel))
                    .inspect_err(|_| together.done(true))?;
            }
            Ok(staged)
        };
        let staged = thread::scope(|scope| {
            let one = &one;
            let channels = self.channels.iter_mut().enumerate();
            let threads: Vec<_> =
                channels.map(|(index, channel)| scope.spawn(move || one(index, channel))).collect();
            let joined =
                threads.into_iter().map(|thread| thread.join().unwrap_or(Err(SessionError::Panicked)));
            joined.collect::<Vec<_>>()
        });
        let held: Option<Vec<Held>> = all(staged)?.into_iter().collect();
        // It is nothing only where another one has failed, which is an error.
        let held = held.ok_or_else(|| Error::new("a party has not held its part"))?;
        self.commit(generation, &held)?;
        // From here on the change stands. What parties keep of old versions until the next one comes, they
        // keep in vain; no more than that.
        if let Ok(parties) = self.kept() {
            self.standing.parties = parties;
            let _ = self.settle();
        }
        Ok(Changed { generation, deployment })
    }

    fn commit(&mut self, generation: u64, held: &[Held]) -> Result<()> {
        let mut failed = Vec::new();
        for (index, channel) in self.channels.iter_mut().enumerate() {
            channel.extend(Instant::now() + self.site.config().session.deadline.saturating_add(GRACE));
            let commit = Ask::Commit { name: self.standing.name.clone(), generation, held: held.to_vec() };
            match say(channel, &commit).and_then(|()| ready(channel)) {
                Ok(()) => {}
                // Nobody else has it. If this one has, it will show that.
                Err(error) if index == 0 => return Err(error.into()),
                Err(error) => failed.push(error),
            }
        }
        let Some(first) = failed.first().map(Code::from) else { return Ok(()) };
        let failed: Vec<String> = failed.iter().map(SessionError::to_string).collect();
        let text = format!(
            "{}. Version {generation} of {:?} is decided all the same: the next command that speaks of it, `cryptflow \
             models show` say, hands that party what it missed",
            failed.join("; "),
            self.standing.name
        );
        Err(Error::of(first, text))
    }

    /// What the parties keep now.
    fn kept(&mut self) -> Result<Vec<Vec<Kept>>> {
        let name = self.standing.name.clone();
        let kept = self.channels.iter_mut().map(|channel| {
            channel.extend(Instant::now() + self.site.config().session.deadline);
            say(channel, &Ask::Versions { name: Some(name.clone()) })?;
            only(versions(channel)?, channel)
        });
        all(kept.collect())
    }
}
