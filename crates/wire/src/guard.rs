//! Authenticated frames: every frame has its place (session, sender, receiver, counter), and a tag over place, header and
//! payload under a key that the two ends of the link hold.
//!
//! A frame that was changed, left out, repeated, put out of order, sent back to its sender or taken from another session or
//! link does not have the tag that is due, and breaks the link. The tags of the messages are chained: both ends of a link
//! have the same [`Chain`] after the same messages, and [`crate::Link::transcript`] tells it.
//!
//! A tag is keyed BLAKE3. A header has one of its own, of 16 bytes, so that nobody acts on a length that was changed; the tag of the
//! whole frame, 32 bytes, follows the payload, where there is one.

use std::io;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::frame::HEADER_LEN;
use crate::hello::Role;

/// Bytes of the tag of a frame.
pub(crate) const TAG_LEN: usize = 32;
/// Bytes of the tag of a header.
pub(crate) const HEADER_TAG_LEN: usize = 16;

/// The keys of one end of a link, one for each direction, and where its frames belong.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Guard {
    send: [u8; 32],
    receive: [u8; 32],
    #[zeroize(skip)]
    session: [u8; 32],
    #[zeroize(skip)]
    own: Role,
    #[zeroize(skip)]
    peer: Role,
}

impl Guard {
    /// The guard of the link from `own` to `peer` in a session, under a secret that these two hold and nobody else does. It
    /// must be fresh: the counters of the frames begin at zero. Both ends call this with their own view.
    pub fn new(secret: &[u8; 32], session: [u8; 32], own: Role, peer: Role) -> Guard {
        let key = |from: Role, to: Role| {
            let mut hasher = blake3::Hasher::new_derive_key("cryptflow 2026 link authentication v1");
            hasher.update(secret).update(&session).update(&[from.code(), to.code()]);
            *hasher.finalize().as_bytes()
        };
        Guard { send: key(own, peer), receive: key(peer, own), session, own, peer }
    }

    /// What makes the tags of this end's frames, and what checks the peer's.
    pub(crate) fn split(self) -> (Tagger, Tagger) {
        let sender = Tagger::new(&self.send, &self.session, self.own, self.peer);
        let receiver = Tagger::new(&self.receive, &self.session, self.peer, self.own);
        (sender, receiver)
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
    /// BLAKE3 of their tags, in order.
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

/// The tags of one direction, frame after frame.
pub(crate) struct Tagger {
    /// Keyed, with the place but for the counter absorbed.
    start: blake3::Hasher,
    counter: u64,
    current: blake3::Hasher,
    chain: blake3::Hasher,
    messages: u64,
}

impl Tagger {
    fn new(key: &[u8; 32], session: &[u8; 32], from: Role, to: Role) -> Tagger {
        let mut start = blake3::Hasher::new_keyed(key);
        start.update(session).update(&[from.code(), to.code()]);
        Tagger {
            current: start.clone(),
            start,
            counter: 0,
            chain: blake3::Hasher::new_derive_key("cryptflow 2026 link transcript v1"),
            messages: 0,
        }
    }

    /// A frame begins: the tag of its header.
    pub(crate) fn begin(&mut self, header: &[u8; HEADER_LEN]) -> [u8; HEADER_TAG_LEN] {
        self.current = self.start.clone();
        self.current.update(&self.counter.to_le_bytes()).update(header);
        self.counter += 1;
        let mut tag = [0; HEADER_TAG_LEN];
        self.current.finalize_xof().fill(&mut tag);
        // What follows is another message than the header alone.
        self.current.update(&[1]);
        tag
    }

    /// As [`Tagger::begin`], at the other end.
    pub(crate) fn check_header(
        &mut self,
        header: &[u8; HEADER_LEN],
        tag: &[u8; HEADER_TAG_LEN],
    ) -> io::Result<()> {
        let due = self.begin(header);
        self.same(&due, tag)
    }

    /// A part of its payload.
    pub(crate) fn update(&mut self, part: &[u8]) {
        self.current.update(part);
    }

    /// Its tag. Data goes into the chain; signs of life and the like, whose number depends on time, do not.
    pub(crate) fn end(&mut self, data: bool) -> [u8; TAG_LEN] {
        let tag = *self.current.finalize().as_bytes();
        if data {
            self.chain.update(&tag);
            self.messages += 1;
        }
        tag
    }

    /// As [`Tagger::end`], at the other end.
    pub(crate) fn check(&mut self, data: bool, tag: &[u8; TAG_LEN]) -> io::Result<()> {
        let due = self.end(data);
        self.same(&due, tag)
    }

    /// Whether the tag is the one that is due, in a time that does not depend on where they differ.
    fn same<const N: usize>(&self, due: &[u8; N], tag: &[u8; N]) -> io::Result<()> {
        let difference = due.iter().zip(tag).fold(0, |sum, (a, b)| sum | (a ^ b));
        if std::hint::black_box(difference) == 0 {
            return Ok(());
        }
        let reason = format!("frame {} is not the one that it sent at this place", self.counter);
        Err(io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    /// The chain after the messages so far.
    pub(crate) fn chain(&self) -> Chain {
        Chain { messages: self.messages, digest: *self.chain.finalize().as_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: u8, session: u8, from: Role, to: Role, skip: u64, header: u8, payload: &[u8]) -> [u8; 32] {
        let (mut tagger, _) = Guard::new(&[key; 32], [session; 32], from, to).split();
        for _ in 0..skip {
            tagger.begin(&[0; HEADER_LEN]);
            tagger.end(false);
        }
        tagger.begin(&[header; HEADER_LEN]);
        tagger.update(payload);
        tagger.end(true)
    }

    #[test]
    fn a_tag_binds_everything() {
        let (p0, p1) = (Role::Party(0), Role::Party(1));
        let good = tag(1, 2, p0, p1, 3, 4, b"payload");
        assert_eq!(good, tag(1, 2, p0, p1, 3, 4, b"payload"));
        for other in [
            tag(9, 2, p0, p1, 3, 4, b"payload"),
            tag(1, 9, p0, p1, 3, 4, b"payload"),
            tag(1, 2, p1, p0, 3, 4, b"payload"),
            tag(1, 2, p0, Role::Party(2), 3, 4, b"payload"),
            tag(1, 2, p0, Role::Client, 3, 4, b"payload"),
            tag(1, 2, p0, p1, 2, 4, b"payload"),
            tag(1, 2, p0, p1, 3, 5, b"payload"),
            tag(1, 2, p0, p1, 3, 4, b"paymoad"),
            tag(1, 2, p0, p1, 3, 4, b"payloa"),
        ] {
            assert_ne!(good, other);
        }
    }

    #[test]
    fn both_ends_have_the_same_chain() {
        let (p0, p1) = (Role::Party(0), Role::Party(1));
        let (mut sender, _) = Guard::new(&[1; 32], [2; 32], p0, p1).split();
        let (_, mut receiver) = Guard::new(&[1; 32], [2; 32], p1, p0).split();
        for (data, payload) in [(true, b"a"), (false, b"b"), (true, b"c")] {
            let header = sender.begin(&[0; HEADER_LEN]);
            sender.update(payload);
            let tag = sender.end(data);
            receiver.check_header(&[0; HEADER_LEN], &header).unwrap();
            receiver.update(payload);
            receiver.check(data, &tag).unwrap();
        }
        assert_eq!(sender.chain(), receiver.chain());
        assert_eq!(sender.chain().messages, 2);
    }
}
