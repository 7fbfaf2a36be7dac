//! What a party and the process of a session say to each other, over a pair of sockets that nobody
//! else has. A connection travels with its message, as a descriptor.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::audit::Head;
use crate::code::Code;
use crate::config::Source;
use crate::session::Order;
use crate::watch::Progress;

/// Longest message: a configuration, or what somebody has said first.
const LONGEST: usize = 16 << 20;

/// From the party, in this order, but for arrivals and the end, which come at any time after the order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Instruction {
    /// What the party is.
    Site(Source),
    /// What to prepare. Where sessions have the model's weights in common, the memory comes with it.
    Prepare(Box<Order>),
    /// The session is written down: the head of the party's log. The connection over which the client
    /// has asked for it comes with it.
    Begin(Head),
    /// Somebody has come to the session, and said this; the connection comes with it.
    Arrival { number: u64, heard: Vec<u8> },
    /// The session shall end, for this reason.
    End { code: Code, reason: String },
}

/// From the session's process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The session can begin.
    Prepared,
    /// It cannot.
    Refused { code: Code, reason: String },
    /// What the other parties have shown of their logs.
    Shown(Vec<(usize, Head)>),
    /// Whoever has come with this number is known now, or gone; who is not let in, and why.
    Settled { number: u64, not_let_in: Option<(String, String)> },
    /// How far the session is.
    Progress(Progress),
    /// Nothing new.
    Alive,
    /// The session has ended: what the evidence of the other parties said, or what went wrong.
    Ended(Result<Vec<String>, (Code, String)>),
}

/// One end.
pub(crate) struct Control {
    socket: UnixStream,
    /// Messages go whole.
    sending: Mutex<()>,
}

impl Control {
    pub(crate) fn over(socket: UnixStream) -> Control {
        Control { socket, sending: Mutex::default() }
    }

    /// The socket, for its deadlines, and to end it.
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Says something. After an error nothing more can be said.
    pub(crate) fn send(&self, message: &impl Serialize, with: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let body = postcard::to_stdvec(message).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let bytes = [&length.to_le_bytes()[..], &body].concat();
        let descriptors: Vec<BorrowedFd<'_>> = with.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            beside.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let _whole = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut beside, SendFlags::empty())
        })?;
        (&self.socket).write_all(bytes.get(sent..).unwrap_or_default())
    }

    /// Waits for a message, and what came with it; nothing where the other end is gone.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let (mut length, mut filled, mut came) = ([0; 4], 0, None);
        while let Some(rest) = length.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut rest = [IoSliceMut::new(rest)];
            let received =
                rustix::io::retry_on_intr(|| recvmsg(&self.socket, &mut rest, &mut beside, FLAGS))?;
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                    came = descriptors.next();
                }
            }
            match received.bytes {
                0 if filled == 0 => return Ok(None),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                bytes => filled += bytes,
            }
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "a message that is too long"));
        }
        let mut body = vec![0; length];
        (&self.socket).read_exact(&mut body)?;
        let message = postcard::from_bytes(&body).map_err(io::Error::other)?;
        Ok(Some((message, came)))
    }
}

/// A descriptor that comes is no other program's.
#[cfg(target_os = "linux")]
const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const FLAGS: RecvFlags = RecvFlags::empty();
