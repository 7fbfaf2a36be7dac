//! Pairwise PRF keys: agreed fresh in each session over the links, and drawn from so that nothing
//! is drawn twice.

use std::sync::Arc;

use cryptflow_ring::prf::Prf;
use cryptflow_wire::Links;
use zeroize::Zeroizing;

use crate::{Error, Party};

/// Bytes that each party of a pair contributes to their key.
const CONTRIBUTION: usize = 32;

/// Where the words of a key's streams come from: AES in counter mode, [`Prf`], in every session.
pub trait Source: Send + Sync {
    /// Words `first..first + out.len()` of the stream `domain`.
    fn words(&self, domain: u64, first: u64, out: &mut [u64]);
}

impl Source for Prf {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        self.fill_words(domain, first, out);
    }
}

/// A key that exactly two parties know, with the number of streams drawn from it so far.
///
/// Both parties draw streams in the same order, because both run the same program; the number of a
/// stream is its domain, so no two streams of a session overlap. Keys are not stored: a session
/// that broke cannot be resumed.
pub struct Key {
    source: Arc<dyn Source>,
    next: u64,
}

impl Key {
    /// A key whose streams are written down in advance. Nothing is secret under it: it serves to
    /// enumerate what a party can see, over every pad that it does not know.
    pub fn insecure_from_source(source: Arc<dyn Source>) -> Key {
        Key { source, next: 0 }
    }

    /// The next stream. It serves for one purpose in one step; it cannot be cloned.
    pub fn stream(&mut self) -> Stream {
        let domain = self.next;
        self.next += 1;
        Stream { source: Arc::clone(&self.source), domain }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("streams", &self.next).finish_non_exhaustive()
    }
}

/// A pseudo-random stream of words, random access. Whatever uses a word of it as a pad uses it
/// once.
pub struct Stream {
    source: Arc<dyn Source>,
    domain: u64,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Stream {
    /// Words `first..first + out.len()` of the stream.
    pub fn words(&self, first: usize, out: &mut [u64]) {
        self.source.words(self.domain, first as u64, out);
    }
}

/// A party's keys: one with each of the others.
#[derive(Debug)]
pub struct Keys {
    party: Party,
    /// By the other party's index. At its own place the party has a key that nobody else knows.
    keys: Vec<Key>,
}

impl Keys {
    /// Agrees on a key with each of the other parties. Both contribute 32 bytes of the operating
    /// system's randomness, the key is a hash of both contributions, so neither can choose it. The
    /// links must be authenticated, and confidential against everybody else.
    pub fn agree(links: &Links) -> Result<Keys, Error> {
        let party = Party::new(links.index());
        let mut contributions = Vec::with_capacity(links.parties());
        for other in links.others() {
            let mut own = Zeroizing::new([0; CONTRIBUTION]);
            random(own.as_mut_slice())?;
            links.to(other).send(own.to_vec())?;
            contributions.push((Party::new(other), own));
        }
        let mut keys = Vec::with_capacity(contributions.len());
        for (other, own) in contributions {
            let theirs = Zeroizing::new(links.to(other.index()).recv(CONTRIBUTION)?);
            let (low, high) = if party < other { (&own[..], &theirs[..]) } else { (&theirs[..], &own[..]) };
            let mut hasher = blake3::Hasher::new_derive_key("cryptflow 2026 pairwise PRF key v1");
            hasher.update(&[party.min(other).index() as u8, party.max(other).index() as u8]);
            hasher.update(low).update(high);
            let mut key = Zeroizing::new([0; 16]);
            hasher.finalize_xof().fill(key.as_mut_slice());
            keys.push((other, Key { source: Arc::new(Prf::new(*key)), next: 0 }));
        }
        Keys::insecure_from_keys(party, keys)
    }

    /// Keys that were not agreed on: see [`Key::insecure_from_source`]. There is one with each
    /// other party.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn insecure_from_keys(
        party: Party,
        with: impl IntoIterator<Item = (Party, Key)>,
    ) -> Result<Keys, Error> {
        let mut keys: Vec<(Party, Key)> = with.into_iter().collect();
        let mut own = Zeroizing::new([0; 16]);
        random(own.as_mut_slice())?;
        keys.push((party, Key { source: Arc::new(Prf::new(*own)), next: 0 }));
        keys.sort_by_key(|(other, _)| *other);
        Ok(Keys { party, keys: keys.into_iter().map(|(_, key)| key).collect() })
    }

    /// The key with another party. For a party that is not there it is a key that nobody else
    /// knows.
    pub fn with(&mut self, other: Party) -> &mut Key {
        debug_assert_ne!(other, self.party, "a party shares no key with itself");
        let index = if other.index() < self.keys.len() { other.index() } else { self.party.index() };
        &mut self.keys[index]
    }
}

/// Fills a buffer with the operating system's randomness.
pub fn random(out: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(out).map_err(|e| Error::Randomness(e.to_string()))
}
