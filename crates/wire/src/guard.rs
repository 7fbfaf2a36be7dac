//! Authenticated frames: every frame has its place (session, sender, receiver, counter), and is
//! sealed for this place under a key that the two ends of the link hold.
//!
//! A frame that was changed, left out, repeated, put out of order, sent back to its sender or taken
//! from another session or link does not open, and breaks the link. The tags of the messages are
//! chained: both ends of a link have the same [`Chain`] after the same messages, and
//! [`crate::Link::transcript`] tells it.
//!
//! Frames are sealed with AES-256-GCM: the header, 16 bytes, by itself, so that nobody acts on a
//! length that was changed; the payload in parts, each with a tag of 16 bytes. Nonces count, and
//! after [`GENERATION`] of them come other keys, made from those before. A tag is not forged but
//! with probability 2^-114 (NIST SP 800-38D, appendix B; parts of 2^13 blocks).
//!
//! Nobody uses a nonce twice, unless a host copies its party, memory and all, and the copies send
//! different things. From two tags of one nonce follows GCM's authentication key (Joux,
//! "Authentication failures in NIST version of GCM", 2006), and the host could then make frames
//! itself, which no comparison of transcripts would show. So tags travel enciphered, by AES-256
//! under a key of its own, as AES-GCM-SIV does it (RFC 8452, section 4): what a copy gives away is
//! which of its parts are equal.

use std::io;

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::frame::{FrameKind, HEADER_LEN, Header};
use crate::hello::Role;

/// Bytes of the tag of a header or of a part.
pub(crate) const TAG_LEN: usize = 16;
/// Headers and parts that are sealed under one key: at most 8 GiB in parts of 128 KiB.
const GENERATION: u64 = 1 << 16;

/// The keys of one end of a link, one for each direction of a session between two roles.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Guard {
    send: [u8; 32],
    receive: [u8; 32],
    #[zeroize(skip)]
    own: Role,
    #[zeroize(skip)]
    peer: Role,
}

impl Guard {
    /// The guard of the link from `own` to `peer` in a session, under a secret that these two hold
    /// and nobody else does. It must be fresh: the counters of the frames begin at zero. Both ends
    /// call this with their own view.
    pub fn new(secret: &[u8; 32], session: [u8; 32], own: Role, peer: Role) -> Guard {
        let key = |from: Role, to: Role| {
            let mut hasher = blake3::Hasher::new_derive_key("cryptflow 2026 link authentication v1");
            hasher.update(secret).update(&session).update(&[from.code(), to.code()]);
            *hasher.finalize().as_bytes()
        };
        Guard { send: key(own, peer), receive: key(peer, own), own, peer }
    }

    /// What seals this end's frames, and what opens the peer's.
    pub(crate) fn split(self) -> (Sealer, Sealer) {
        (Sealer::new(self.send), Sealer::new(self.receive))
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("own", &self.own).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// A digest of all messages that went in one direction of a link so far, and their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Messages so far.
    pub messages: u64,
    /// BLAKE3 of the tags of their headers and parts, in order.
    pub digest: [u8; 32],
}

/// What went over a link, both ways, as one end saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTranscript {
    /// What this end sent.
    pub sent: Chain,
    /// What this end received.
    pub received: Chain,
}

/// What seals headers and parts, and what enciphers their tags.
struct Keys {
    seal: LessSafeKey,
    tag: Aes256,
}

impl Keys {
    fn new(secret: &[u8; 32]) -> io::Result<Keys> {
        let seal = Zeroizing::new(blake3::derive_key("cryptflow 2026 link frames v1", secret));
        let tag = Zeroizing::new(blake3::derive_key("cryptflow 2026 link tags v1", secret));
        let seal = UnboundKey::new(&AES_256_GCM, &*seal).map_err(|_| unusable())?;
        Ok(Keys { seal: LessSafeKey::new(seal), tag: Aes256::new((&*tag).into()) })
    }
}

/// One direction of a link, frame after frame: the sender's end seals, the receiver's opens.
pub(crate) struct Sealer {
    secret: Zeroizing<[u8; 32]>,
    /// Made from the secret when they are first used.
    keys: Option<Keys>,
    /// Headers and parts under these keys so far.
    counter: u64,
    frames: u64,
    /// Whether the frame that was begun last is a message.
    data: bool,
    chain: blake3::Hasher,
    messages: u64,
}

impl Sealer {
    fn new(secret: [u8; 32]) -> Sealer {
        Sealer {
            secret: Zeroizing::new(secret),
            keys: None,
            counter: 0,
            frames: 0,
            data: false,
            chain: blake3::Hasher::new_derive_key("cryptflow 2026 link transcript v1"),
            messages: 0,
        }
    }

    /// The keys and the nonce of what comes next; they do not come together again.
    fn next(&mut self) -> io::Result<(&Keys, Nonce)> {
        if self.counter == GENERATION {
            let next = blake3::derive_key("cryptflow 2026 link next key v1", &*self.secret);
            self.secret = Zeroizing::new(next);
            (self.keys, self.counter) = (None, 0);
        }
        let mut nonce = [0; NONCE_LEN];
        for (to, from) in nonce.iter_mut().zip(self.counter.to_le_bytes()) {
            *to = from;
        }
        self.counter += 1;
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => Keys::new(&self.secret)?,
        };
        Ok((self.keys.insert(keys), Nonce::assume_unique_for_key(nonce)))
    }

    /// Seals the header of the next frame in place; its tag.
    ///
    /// # Errors
    /// The cipher refuses its key or the length; it never does.
    pub(crate) fn seal_header(&mut self, header: &mut [u8; HEADER_LEN]) -> io::Result<[u8; TAG_LEN]> {
        self.begin(header);
        self.seal_part(header)
    }

    /// Seals the next part of the frame's payload in place; its tag.
    ///
    /// # Errors
    /// The cipher refuses its key or the length; it never does.
    pub(crate) fn seal_part(&mut self, part: &mut [u8]) -> io::Result<[u8; TAG_LEN]> {
        let (keys, nonce) = self.next()?;
        let tag = keys.seal.seal_in_place_separate_tag(nonce, Aad::empty(), part).map_err(|_| unusable())?;
        let mut tag = <[u8; TAG_LEN]>::try_from(tag.as_ref()).map_err(|_| unusable())?;
        keys.tag.encrypt_block((&mut tag).into());
        self.absorb(&tag);
        Ok(tag)
    }

    /// Opens the header of the next frame in place.
    ///
    /// # Errors
    /// It is not what the peer sealed at this place.
    pub(crate) fn open_header(
        &mut self,
        header: &mut [u8; HEADER_LEN],
        tag: &[u8; TAG_LEN],
    ) -> io::Result<()> {
        self.open(header, tag)?;
        self.begin(header);
        self.absorb(tag);
        Ok(())
    }

    /// Opens the next part of the frame's payload in place.
    ///
    /// # Errors
    /// It is not what the peer sealed at this place.
    pub(crate) fn open_part(&mut self, part: &mut [u8], tag: &[u8; TAG_LEN]) -> io::Result<()> {
        self.open(part, tag)?;
        self.absorb(tag);
        Ok(())
    }

    fn open(&mut self, bytes: &mut [u8], tag: &[u8; TAG_LEN]) -> io::Result<()> {
        let frames = self.frames;
        let (keys, nonce) = self.next()?;
        let mut tag = *tag;
        keys.tag.decrypt_block((&mut tag).into());
        match keys.seal.open_in_place_separate_tag(nonce, Aad::empty(), tag.into(), bytes, 0..) {
            Ok(_) => Ok(()),
            Err(_) => {
                let reason = format!("what follows its frame {frames} is not what it sent at this place");
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
        }
    }

    /// A frame begins.
    fn begin(&mut self, header: &[u8; HEADER_LEN]) {
        self.data = Header::decode(header, u64::MAX).is_ok_and(|header| header.kind == FrameKind::Data);
        self.frames += 1;
        self.messages += u64::from(self.data);
    }

    /// Tags of data go into the chain; those of signs of life and the like, whose number depends on
    /// time, do not.
    fn absorb(&mut self, tag: &[u8; TAG_LEN]) {
        if self.data {
            self.chain.update(tag);
        }
    }

    /// The chain after the messages so far.
    pub(crate) fn chain(&self) -> Chain {
        Chain { messages: self.messages, digest: *self.chain.finalize().as_bytes() }
    }
}

fn unusable() -> io::Error {
    io::Error::other("AES-256-GCM refuses its key or the length of a part")
}

#[cfg(test)]
#[path = "../tests/guard.rs"]
mod tests;
