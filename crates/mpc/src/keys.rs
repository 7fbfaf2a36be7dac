//! Pairwise PRF keys: agreed fresh in each session over the links, and drawn from so that nothing
//! is drawn twice.

use std::sync::Arc;

use cryptflow_ring::prf::Prf;
use cryptflow_wire::{Link, Links};
use zeroize::Zeroizing;

use crate::stream::{Source, Stream};
use crate::{Error, Party};

/// Bytes that each party of a pair contributes to their key.
const CONTRIBUTION: usize = 32;

/// Bytes with which each party of a pair shows that it has their key.
const CONFIRMATION: usize = 16;

/// What a session is of. Keys follow from all of it, so that parties that mean different sessions
/// cannot compute together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The session's number.
    pub session: [u8; 32],
    /// Digest of the program.
    pub program: [u8; 32],
    /// K: the ring of wide values has 2^K elements.
    pub ring_bits: u32,
}

impl Scope {
    /// Of no session and no program, over Z_2^ring_bits: for tests of a protocol alone.
    pub fn insecure_of_ring(ring_bits: u32) -> Scope {
        Scope { session: [0; 32], program: [0; 32], ring_bits }
    }
}

/// A protocol, as keys are derived for it: its name and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant<'a> {
    /// The name under which it is chosen.
    pub name: &'a str,
    /// Whatever else all parties must have alike.
    pub parameters: &'a [u64],
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
        Stream::new(Arc::clone(&self.source), domain)
    }

    /// Streams drawn so far, for bugs that tests plant. There is no such thing in a release.
    #[cfg(debug_assertions)]
    pub fn insecure_drawn(&self) -> u64 {
        self.next
    }

    /// Goes back to a number of streams, after which they are drawn again: for bugs that tests plant.
    /// There is no such thing in a release.
    #[cfg(debug_assertions)]
    pub fn insecure_rewind(&mut self, drawn: u64) {
        self.next = drawn;
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("streams", &self.next).finish_non_exhaustive()
    }
}

/// A key that was agreed on and from which nothing was drawn yet: it can be written down, to be used
/// once, later.
pub struct Fresh(Zeroizing<[u8; Fresh::BYTES]>);

impl Fresh {
    /// How long it is, written down.
    pub const BYTES: usize = 16;

    /// As it is written down.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Fresh::BYTES]> {
        self.0.clone()
    }

    /// A key that was written down, and is gone from there.
    pub fn from_bytes(bytes: Zeroizing<[u8; Fresh::BYTES]>) -> Fresh {
        Fresh(bytes)
    }

    /// The key.
    pub fn key(self) -> Key {
        Key { source: Arc::new(Prf::new(*self.0)), next: 0 }
    }
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

/// What a party contributes to a key with another one.
pub struct Offer(Zeroizing<[u8; CONTRIBUTION]>);

impl Offer {
    /// Contributes 32 bytes of the operating system's randomness.
    ///
    /// # Errors
    /// There is none, or the link fails.
    pub fn send(link: &Link) -> Result<Offer, Error> {
        let mut own = Zeroizing::new([0; CONTRIBUTION]);
        random(own.as_mut_slice())?;
        link.send(own.to_vec())?;
        Ok(Offer(own))
    }

    /// The key: a hash of both contributions, so that neither party can choose it, and of what the
    /// session is of. Shows the other party that this one has it.
    ///
    /// # Errors
    /// The link fails.
    pub fn derive(
        self,
        link: &Link,
        [own, other]: [Party; 2],
        scope: &Scope,
        variant: &Variant<'_>,
    ) -> Result<Derived, Error> {
        let theirs = Zeroizing::new(link.recv(CONTRIBUTION)?);
        let (low, high) = if own < other { (&self.0[..], &theirs[..]) } else { (&theirs[..], &self.0[..]) };
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow 2026 pairwise PRF key v2");
        hasher.update(&[own.min(other).index() as u8, own.max(other).index() as u8]);
        hasher.update(low).update(high);
        hasher.update(&scope.session).update(&scope.program).update(&scope.ring_bits.to_le_bytes());
        hasher.update(&(variant.name.len() as u64).to_le_bytes()).update(variant.name.as_bytes());
        hasher.update(&(variant.parameters.len() as u64).to_le_bytes());
        variant.parameters.iter().for_each(|parameter| {
            hasher.update(&parameter.to_le_bytes());
        });
        let mut made = hasher.finalize_xof();
        let mut key = Fresh(Zeroizing::new([0; Fresh::BYTES]));
        made.fill(key.0.as_mut_slice());
        let mut confirmations = [[0; CONFIRMATION]; 2];
        confirmations.iter_mut().for_each(|confirmation| made.fill(confirmation));
        if own > other {
            confirmations.reverse();
        }
        let [mine, due] = confirmations;
        link.send(mine.to_vec())?;
        Ok(Derived { key, due, parties: [own, other] })
    }
}

/// A key before the other party has shown that it has the same.
pub struct Derived {
    key: Fresh,
    due: [u8; CONFIRMATION],
    parties: [Party; 2],
}

impl Derived {
    /// The key, once the other party has shown that it has the same.
    ///
    /// # Errors
    /// It has another one: it means another session. Or the link fails.
    pub fn confirmed(self, link: &Link) -> Result<Key, Error> {
        self.fresh(link).map(Fresh::key)
    }

    /// The same, for one that is written down.
    ///
    /// # Errors
    /// As [`Derived::confirmed`].
    pub fn fresh(self, link: &Link) -> Result<Fresh, Error> {
        let [party, other] = self.parties;
        if link.recv(CONFIRMATION)? == self.due { Ok(self.key) } else { Err(Error::Scope { party, other }) }
    }
}

/// Agrees on a key with each of these parties. The links must be authenticated, and confidential against
/// everybody else.
///
/// # Errors
/// A link fails, or another party means another session.
pub fn agree_with(
    links: &Links,
    others: &[Party],
    scope: &Scope,
    variant: &Variant<'_>,
) -> Result<Vec<(Party, Fresh)>, Error> {
    let party = Party::new(links.index());
    let others = || others.iter().map(|other| (*other, links.to(other.index())));
    let offers = others().map(|(_, link)| Offer::send(link)).collect::<Result<Vec<_>, _>>()?;
    let derived = others()
        .zip(offers)
        .map(|((other, link), offer)| Ok((other, link, offer.derive(link, [party, other], scope, variant)?)));
    let derived = derived.collect::<Result<Vec<_>, Error>>()?;
    // Everybody has told everybody before anybody gives up.
    derived.into_iter().map(|(other, link, key)| Ok((other, key.fresh(link)?))).collect()
}

/// A party's keys: one with each of the others.
#[derive(Debug)]
pub struct Keys {
    party: Party,
    /// By the other party's index. At its own place the party has a key that nobody else knows.
    keys: Vec<Key>,
}

impl Keys {
    /// Agrees on a key with each of the other parties. The links must be authenticated, and
    /// confidential against everybody else.
    ///
    /// # Errors
    /// A link fails, or another party means another session.
    pub fn agree(links: &Links, scope: &Scope, variant: &Variant<'_>) -> Result<Keys, Error> {
        Keys::agree_beside(links, scope, variant, Vec::new())
    }

    /// The same, but for keys that are there already: with those parties nothing is said.
    ///
    /// # Errors
    /// As [`Keys::agree`].
    pub fn agree_beside(
        links: &Links,
        scope: &Scope,
        variant: &Variant<'_>,
        mut keys: Vec<(Party, Fresh)>,
    ) -> Result<Keys, Error> {
        let others = links.others().map(Party::new);
        let missing: Vec<Party> = others.filter(|other| keys.iter().all(|(has, _)| has != other)).collect();
        keys.extend(agree_with(links, &missing, scope, variant)?);
        let keys = keys.into_iter().map(|(other, key)| (other, key.key()));
        Keys::insecure_from_keys(Party::new(links.index()), keys)
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
