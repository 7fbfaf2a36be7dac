//! Messages that are kept in a file, sealed as on a link, until a [`Link`] is made of them: for what a
//! peer sends long before somebody asks for it.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::WireError;
use crate::frame::{FrameKind, HEADER_LEN, Header};
use crate::guard::{Chain, Guard};
use crate::intake::Intake;
use crate::link::Link;
use crate::options::LinkOptions;
use crate::outlet::Outlet;
use crate::stream::{Control, Sink, Source, StreamSink, StreamSource, Transport};

/// Writes messages into a file.
pub struct Keeper {
    sink: StreamSink,
    file: File,
}

impl Keeper {
    /// Writes into this file, which is empty. The guard is that of whoever sends the messages, towards
    /// whoever will receive them; its secret serves for this file alone.
    ///
    /// # Errors
    /// The system gives no second handle to the file.
    pub fn new(file: File, guard: Guard) -> io::Result<Keeper> {
        let (sealer, _) = guard.split();
        let sink = StreamSink::new(Box::new(Shelf(file.try_clone()?)), Some(sealer));
        Ok(Keeper { sink, file })
    }

    /// The next message.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, message: Vec<u8>) -> io::Result<()> {
        // A clock of zero: what was kept before a run is on no chain of its messages.
        let header = Header { kind: FrameKind::Data, clock: 0, len: message.len() as u64 };
        self.sink.write(header, message, &mut |_| ())
    }

    /// That was all: it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        let header = Header { kind: FrameKind::Close, clock: 0, len: 0 };
        self.sink.write(header, Vec::new(), &mut |_| ())?;
        self.sink.flush()?;
        self.file.sync_all()
    }
}

/// A link from which the messages in a file come, in order. Nothing can be sent over it. `peer` is what
/// errors call it; the guard is that of whoever receives, towards who sent.
///
/// # Errors
/// The system gives no threads.
pub(crate) fn link(
    peer: String,
    file: File,
    guard: Guard,
    clock: Arc<Clock>,
    options: LinkOptions,
) -> Result<Link, WireError> {
    let (_, opener) = guard.split();
    let transport = Transport {
        source: Box::new(Kept(StreamSource::new(Box::new(file), Some(opener)))),
        sink: Box::new(Nobody),
        control: Box::new(Nobody),
    };
    Link::start(peer, transport, clock, options)
}

/// A file, as frames are written to it.
struct Shelf(File);

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Outlet for Shelf {
    fn offer(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.0.write_all(bytes).map(|()| true)
    }
}

/// It is all there.
impl Intake for File {
    fn wait(&mut self, _wait: bool) {}
}

/// The frames of a file. It must not end but after its last frame.
struct Kept(StreamSource);

/// What is said of a file that ends too early: it is no connection that was closed.
fn cut(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => io::Error::new(ErrorKind::InvalidData, "the file ends too early"),
        _ => error,
    }
}

impl Source for Kept {
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        let header = self.0.header().map_err(cut)?;
        header.map(Some).ok_or_else(|| cut(ErrorKind::UnexpectedEof.into()))
    }

    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        self.0.payload(len, alive).map_err(cut)
    }

    fn skip(&mut self, len: usize) -> io::Result<()> {
        self.0.skip(len).map_err(cut)
    }

    fn chain(&self) -> Option<Chain> {
        self.0.chain()
    }
}

/// Who is at the other end of a file.
struct Nobody;

impl Sink for Nobody {
    /// Signs of life and the good-bye go nowhere.
    fn write(&mut self, header: Header, _: Vec<u8>, _: &mut dyn FnMut(usize)) -> io::Result<()> {
        match header.kind {
            FrameKind::Data => Err(io::Error::other("nobody is there: its messages were kept before")),
            FrameKind::Abort | FrameKind::Close | FrameKind::Alive => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reading a file waits for nobody.
impl Control for Nobody {
    fn finish(&self) {}

    fn stop(&self) {}
}

#[cfg(test)]
#[path = "../tests/kept.rs"]
mod tests;
