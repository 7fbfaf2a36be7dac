//! Pairwise PRF keys: agreed fresh in each session over the links, and drawn from so that nothing is drawn twice.

use std::sync::Arc;

use cryptflow_ring::prf::Prf;
use cryptflow_wire::Links;
use zeroize::Zeroizing;

use crate::{Error, Party};

/// Bytes that each party of a pair contributes to their key.
const CONTRIBUTION: usize = 32;

/// A key that exactly two parties know, with the number of streams drawn from it so far.
///
/// Both parties draw streams in the same order, because both run the same program; the number of a stream is its domain, so
/// no two streams of a session overlap. Keys are not stored: a session that broke cannot be resumed.
pub struct Key {
    prf: Arc<Prf>,
    next: u64,
}

impl Key {
    /// The next stream. It serves for one purpose in one step; it cannot be cloned.
    pub fn stream(&mut self) -> Stream {
        let domain = self.next;
        self.next += 1;
        Stream { prf: Arc::clone(&self.prf), domain }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("streams", &self.next).finish_non_exhaustive()
    }
}

/// A pseudo-random stream of words, random access. Whatever uses a word of it as a pad uses it once.
#[derive(Debug)]
pub struct Stream {
    prf: Arc<Prf>,
    domain: u64,
}

impl Stream {
    /// Words `first..first + out.len()` of the stream.
    pub fn words(&self, first: usize, out: &mut [u64]) {
        self.prf.fill_words(self.domain, first as u64, out);
    }
}

/// A party's keys: one with each of the other two.
#[derive(Debug)]
pub struct Keys {
    party: Party,
    next: Key,
    previous: Key,
}

impl Keys {
    /// Agrees on a key with each of the other parties. Both contribute 32 bytes of the operating system's randomness,
    /// the key is a hash of both contributions, so neither can choose it. The links must be authenticated, and
    /// confidential against the third party.
    pub fn agree(links: &Links) -> Result<Keys, Error> {
        let party = Party::ALL[links.index() % 3];
        let contribute = |other: Party| -> Result<_, Error> {
            let mut own = Zeroizing::new([0; CONTRIBUTION]);
            random(own.as_mut_slice())?;
            links.to(other.index()).send(own.to_vec())?;
            Ok(own)
        };
        let derive = |other: Party, own: &[u8]| -> Result<Key, Error> {
            let theirs = Zeroizing::new(links.to(other.index()).recv(CONTRIBUTION)?);
            let (low, high) = if party < other { (own, &theirs[..]) } else { (&theirs[..], own) };
            let mut hasher = blake3::Hasher::new_derive_key("cryptflow 2026 pairwise PRF key v1");
            hasher.update(&[party.min(other).index() as u8, party.max(other).index() as u8]);
            hasher.update(low).update(high);
            let mut key = Zeroizing::new([0; 16]);
            hasher.finalize_xof().fill(key.as_mut_slice());
            Ok(Key { prf: Arc::new(Prf::new(*key)), next: 0 })
        };
        let (next, previous) = (party.next(), party.previous());
        let (own_next, own_previous) = (contribute(next)?, contribute(previous)?);
        Ok(Keys {
            party,
            next: derive(next, own_next.as_slice())?,
            previous: derive(previous, own_previous.as_slice())?,
        })
    }

    /// The key with another party.
    pub fn with(&mut self, other: Party) -> &mut Key {
        debug_assert_ne!(other, self.party, "a party shares no key with itself");
        if other == self.party.next() { &mut self.next } else { &mut self.previous }
    }
}

/// Fills a buffer with the operating system's randomness.
pub fn random(out: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(out).map_err(|e| Error::Randomness(e.to_string()))
}
