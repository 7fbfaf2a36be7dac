//! How a model stands at all parties: which of its versions is the one that is used, and what was begun
//! and not finished.
//!
//! What is used is the newest version that *all* parties have committed: a client never sees a mixture.
//! What one party has committed it can prove: it has what all parties have signed. So whatever one has
//! committed and another has only staged is finished by handing that over. A version that says that the
//! model was removed is one like all others; what is older than it is nowhere of use, whoever still has
//! it.

use cryptflow_party::config::PartyEntry;
use cryptflow_party::holding::Held;
use cryptflow_party::versions::{Content, Kept, Version};

/// A model at all parties.
pub struct Standing {
    /// Its name.
    pub name: String,
    /// What each party keeps, in order; the newest first.
    pub parties: Vec<Vec<Kept>>,
}

/// What a party has yet to be told, so that a version is committed everywhere.
pub struct Unfinished {
    /// Which party.
    pub party: usize,
    /// Which version.
    pub generation: u64,
    /// What all parties have signed of it.
    pub held: Vec<Held>,
}

impl Standing {
    /// The version that one party has of another's.
    fn same(&self, party: usize, version: &Version) -> Option<&Kept> {
        self.parties.get(party)?.iter().find(|kept| kept.version.is(version))
    }

    /// Whether all parties have this version committed.
    fn is_everywhere(&self, version: &Version) -> bool {
        let committed = |party| self.same(party, version).is_some_and(|kept| kept.committed);
        (0..self.parties.len()).all(committed)
    }

    /// The versions that all parties have committed, the newest first, as P0 keeps them: down to the one
    /// that says that the model was removed, if there is one.
    pub fn common(&self) -> Vec<&Version> {
        let first = self.parties.first().into_iter().flatten().map(|kept| &kept.version);
        let mut common = Vec::new();
        for version in first.filter(|version| self.is_everywhere(version)) {
            common.push(version);
            if version.content == Content::Removed {
                break;
            }
        }
        common
    }

    /// The version that is used, or that says that there is none any more.
    pub fn current(&self) -> Option<&Version> {
        self.common().first().copied()
    }

    /// The digest of the deployment that is used.
    pub fn deployment(&self) -> Option<[u8; 32]> {
        match self.current()?.content {
            Content::Deployed { digest, .. } => Some(digest),
            Content::Removed => None,
        }
    }

    /// The numbers of [`Standing::common`].
    pub fn settled(&self) -> Vec<u64> {
        self.common().iter().map(|version| version.generation).collect()
    }

    /// What was decided and not told everywhere: staged at one party, and committed at another, by which
    /// the first can be convinced. Only what is newer than what is used.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let used = self.current().map_or(0, |version| version.generation);
        let mut unfinished: Vec<Unfinished> = Vec::new();
        for (party, versions) in self.parties.iter().enumerate() {
            let staged = versions.iter().filter(|kept| !kept.committed && kept.version.generation > used);
            for kept in staged {
                let others = (0..self.parties.len()).filter_map(|other| self.same(other, &kept.version));
                let certain = others.into_iter().find(|other| other.committed);
                if let Some(Kept { version, .. }) = certain {
                    let (generation, held) = (version.generation, version.held.clone());
                    unfinished.push(Unfinished { party, generation, held });
                }
            }
        }
        // In the order in which they were decided.
        unfinished.sort_by_key(|unfinished| unfinished.generation);
        unfinished
    }

    /// A party has committed a version.
    pub fn finished(&mut self, done: &Unfinished) {
        let kept = self.parties.get_mut(done.party).into_iter().flatten();
        for kept in kept.filter(|kept| kept.version.generation == done.generation) {
            kept.committed = true;
            kept.version.held = done.held.clone();
        }
    }

    /// The newest version that all parties have signed to hold and not all have committed, where it is
    /// newer than what is used; and those that have it not.
    pub fn behind(&self, parties: &[PartyEntry]) -> Option<(&Version, Vec<usize>)> {
        let used = self.current().map_or(0, |version| version.generation);
        let all = self.parties.iter().flatten().filter(|kept| kept.committed).map(|kept| &kept.version);
        let decided = all.filter(|version| {
            version.generation > used && version.promise(&self.name).is_made_by_all(&version.held, parties)
        });
        let newest = decided.max_by_key(|version| version.generation)?;
        let without = |party: &usize| !self.same(*party, newest).is_some_and(|kept| kept.committed);
        Some((newest, (0..self.parties.len()).filter(without).collect()))
    }

    /// A number above those of all versions, whatever became of them.
    pub fn next(&self) -> u64 {
        let all = self.parties.iter().flatten().map(|kept| kept.version.generation);
        all.max().unwrap_or(0).saturating_add(1)
    }

    /// The deployment that was used before the one that is, or the one with this number; nothing where
    /// not all parties keep it.
    pub fn before(&self, generation: Option<u64>) -> Option<&Version> {
        let current = self.deployment();
        let mut common = self.common().into_iter().filter(|version| version.content != Content::Removed);
        common.find(|version| match generation {
            Some(generation) => version.generation == generation,
            None => Some(version.content.digest()) != current,
        })
    }
}
