//! What carries frames: a pair of byte streams here, a pair of channels in [`crate::local`].

use std::io::{self, ErrorKind};
use std::net::TcpStream;

use crate::frame::{HEADER_LEN, Header};
use crate::guard::{Chain, Sealer, TAG_LEN};
use crate::intake::Intake;
use crate::outlet::Outlet;

/// Bytes that are written or read between two signs of life, and sealed at once. So few that a part
/// is still in the core's own cache when it is opened after it was read.
const PART: usize = 128 << 10;
/// Payloads up to this length are allocated when they are announced (the system commits the memory
/// when it is written to); longer ones grow as they arrive.
const TRUSTED: usize = 64 << 20;

/// Where frames are written to.
pub(crate) trait Sink: Send {
    /// Writes a frame. Calls `pace` before every part of it with the part's length.
    fn write(&mut self, header: Header, payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()>;
    /// Hands everything written to the peer.
    fn flush(&mut self) -> io::Result<()>;
    /// Writes a frame as far as that goes without waiting for anybody, or not at all where it is to be kept for
    /// the next one. Nothing is before it but what was kept.
    fn offer(&mut self, _header: Header, payload: Vec<u8>, _keep: bool) -> io::Result<Offered> {
        Ok(Offered::NotNow(payload))
    }
    /// Writes what was kept, in the same way: whether the network has it.
    fn offer_kept(&mut self) -> io::Result<bool> {
        Ok(false)
    }
    /// The chain of the messages written so far, where frames are authenticated.
    fn chain(&self) -> Option<Chain> {
        None
    }
}

/// What became of a frame that was to be written without waiting.
pub(crate) enum Offered {
    /// The network has it.
    Sent,
    /// It was kept, or the network did not take all of it: it must be flushed.
    Kept,
    /// Nothing of it is written.
    NotNow(Vec<u8>),
}

/// Bytes that may wait for others before they are handed to the [`Outlet`].
const GATHERED: usize = 64 << 10;

/// Where frames are read from. Each call that fails with [`ErrorKind::WouldBlock`], as it was not to wait,
/// is made again later, and goes on where it was.
pub(crate) trait Source: Send {
    /// Whether what is called from now on waits for the network, see [`Intake::wait`].
    fn wait(&mut self, _wait: bool) {}
    /// Waits for a frame; nothing where the stream ends between two frames.
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>>;
    /// The payload of the frame whose header was read last. Calls `alive` for every part that
    /// arrives.
    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>>;
    /// Reads the payload of the frame whose header was read last, and keeps nothing of it.
    fn skip(&mut self, len: usize) -> io::Result<()>;
    /// The chain of the messages read so far, where frames are authenticated.
    fn chain(&self) -> Option<Chain> {
        None
    }
}

/// The way to end a transport from outside of the threads that use it.
pub(crate) trait Control: Send + Sync {
    /// Nothing more will be written: the peer sees the end of the stream.
    fn finish(&self);
    /// Wakes whoever waits in the source or the sink, with an error or the end of the stream.
    fn stop(&self);
    /// The socket that the source reads from, where somebody can wait for several of them at once.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

/// A connection that frames travel over.
pub(crate) struct Transport {
    pub(crate) source: Box<dyn Source>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) control: Box<dyn Control>,
}

/// Frames over any stream of bytes (TCP, TLS), sealed where there is a guard.
pub(crate) struct StreamSink {
    outlet: Box<dyn Outlet>,
    gathered: Vec<u8>,
    sealer: Option<Sealer>,
}

impl StreamSink {
    pub(crate) fn new(outlet: Box<dyn Outlet>, sealer: Option<Sealer>) -> StreamSink {
        StreamSink { outlet, gathered: Vec::with_capacity(GATHERED), sealer }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gathered.len() + bytes.len() > GATHERED {
            self.hand_over()?;
        }
        if bytes.len() >= GATHERED {
            return self.outlet.write_all(bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        self.outlet.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

impl Sink for StreamSink {
    fn write(&mut self, header: Header, mut payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()> {
        let mut bytes = header.encode();
        let tag = self.sealer.as_mut().map(|sealer| sealer.seal_header(&mut bytes)).transpose()?;
        pace(HEADER_LEN);
        self.put(&bytes)?;
        self.put(tag.as_ref().map_or(&[], |tag| tag))?;
        for part in payload.chunks_mut(PART) {
            let tag = self.sealer.as_mut().map(|sealer| sealer.seal_part(part)).transpose()?;
            pace(part.len());
            self.put(part)?;
            self.put(tag.as_ref().map_or(&[], |tag| tag))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()?;
        self.outlet.flush()
    }

    fn offer(&mut self, header: Header, payload: Vec<u8>, keep: bool) -> io::Result<Offered> {
        // As much as is gathered, with its tags and what may be there: so nothing is handed over before.
        if self.gathered.len() + HEADER_LEN + payload.len() + 2 * TAG_LEN > GATHERED {
            return Ok(Offered::NotNow(payload));
        }
        self.write(header, payload, &mut |_| ())?;
        let sent = !keep && self.offer_kept()?;
        Ok(if sent { Offered::Sent } else { Offered::Kept })
    }

    fn offer_kept(&mut self) -> io::Result<bool> {
        let sent = self.outlet.offer(&self.gathered)?;
        self.gathered.clear();
        Ok(sent)
    }

    fn chain(&self) -> Option<Chain> {
        self.sealer.as_ref().map(Sealer::chain)
    }
}

/// Frames over any stream of bytes, sealed where there is a guard: nothing of a frame is handed out
/// before all of it was opened.
pub(crate) struct StreamSource {
    intake: Box<dyn Intake>,
    opener: Option<Sealer>,
    /// The header that is read just now, and its tag.
    header: [u8; HEADER_LEN + TAG_LEN],
    /// The part of a payload that is read just now, and its tag.
    part: Vec<u8>,
    /// How much of either is there.
    filled: usize,
    /// The payload that is read just now, and how much of it is to come.
    payload: Vec<u8>,
    left: Option<usize>,
}

impl StreamSource {
    pub(crate) fn new(intake: Box<dyn Intake>, opener: Option<Sealer>) -> StreamSource {
        StreamSource {
            intake,
            opener,
            header: [0; HEADER_LEN + TAG_LEN],
            part: Vec::new(),
            filled: 0,
            payload: Vec::new(),
            left: None,
        }
    }

    fn tag_len(&self) -> usize {
        if self.opener.is_some() { TAG_LEN } else { 0 }
    }

    /// Reads and opens a payload, part by part, and keeps it if it is to be kept.
    fn parts(&mut self, len: usize, keep: bool, alive: &mut dyn FnMut()) -> io::Result<()> {
        let tag_len = self.tag_len();
        let mut left = match self.left {
            Some(left) => left,
            None => {
                self.payload = Vec::with_capacity(if keep { len.min(TRUSTED) } else { 0 });
                *self.left.insert(len)
            }
        };
        while left > 0 {
            let due = PART.min(left);
            if self.part.len() < due + tag_len {
                self.part.resize(due + tag_len, 0);
            }
            let part = self.part.get_mut(..due + tag_len).unwrap_or_default();
            if !fill(&mut *self.intake, part, &mut self.filled, alive)? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.filled = 0;
            let (part, tag) = part.split_at_mut_checked(due).unwrap_or_default();
            if let Some(opener) = &mut self.opener {
                opener.open_part(part, &tag.try_into().map_err(|_| ErrorKind::UnexpectedEof)?)?;
            }
            if keep {
                self.payload.extend_from_slice(part);
            }
            left -= due;
            self.left = Some(left);
        }
        self.left = None;
        Ok(())
    }
}

/// Reads until `buffer` is full or the stream ends: whether it is full. `filled` bytes of it are there.
fn fill(
    intake: &mut dyn Intake,
    buffer: &mut [u8],
    filled: &mut usize,
    alive: &mut dyn FnMut(),
) -> io::Result<bool> {
    while let Some(rest) = buffer.get_mut(*filled..).filter(|rest| !rest.is_empty()) {
        match intake.read(rest) {
            Ok(0) => return Ok(false),
            Ok(n) => *filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        alive();
    }
    Ok(true)
}

impl Source for StreamSource {
    fn wait(&mut self, wait: bool) {
        self.intake.wait(wait);
    }

    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        let whole = HEADER_LEN + self.tag_len();
        let bytes = self.header.get_mut(..whole).unwrap_or_default();
        if !fill(&mut *self.intake, bytes, &mut self.filled, &mut || ())? {
            return if self.filled == 0 { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        self.filled = 0;
        let (header, tag) = self.header.split_first_chunk_mut().ok_or(ErrorKind::UnexpectedEof)?;
        let mut header = *header;
        if let Some(opener) = &mut self.opener {
            opener.open_header(&mut header, &(&*tag).try_into().map_err(|_| ErrorKind::UnexpectedEof)?)?;
        }
        Ok(Some(header))
    }

    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        self.parts(len, true, alive)?;
        Ok(std::mem::take(&mut self.payload))
    }

    fn skip(&mut self, len: usize) -> io::Result<()> {
        self.parts(len, false, &mut || ())
    }

    fn chain(&self) -> Option<Chain> {
        self.opener.as_ref().map(Sealer::chain)
    }
}

#[cfg(test)]
#[path = "../tests/stream.rs"]
mod tests;
