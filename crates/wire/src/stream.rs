//! What carries frames: a pair of byte streams here, a pair of channels in [`crate::local`].

use std::io::{self, BufWriter, ErrorKind, Read, Write};

use crate::frame::{HEADER_LEN, Header};

/// Bytes that are written or read between two signs of life.
const PART: usize = 1 << 20;
/// Payloads up to this length are allocated when they are announced (the system commits the memory when it is
/// written to); longer ones grow as they arrive.
const TRUSTED: usize = 64 << 20;

/// Where frames are written to.
pub(crate) trait Sink: Send {
    /// Writes a frame. Calls `pace` before every part of it with the part's length.
    fn write(&mut self, header: Header, payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()>;
    /// Hands everything written to the peer.
    fn flush(&mut self) -> io::Result<()>;
}

/// Where frames are read from.
pub(crate) trait Source: Send {
    /// Waits for a frame; nothing where the stream ends between two frames.
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>>;
    /// The payload of the frame whose header was read last. Calls `alive` for every part that arrives.
    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>>;
}

/// The way to end a transport from outside of the threads that use it.
pub(crate) trait Control: Send + Sync {
    /// Nothing more will be written: the peer sees the end of the stream.
    fn finish(&self);
    /// Wakes whoever waits in the source or the sink, with an error or the end of the stream.
    fn stop(&self);
}

/// A connection that frames travel over.
pub(crate) struct Transport {
    pub(crate) source: Box<dyn Source>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) control: Box<dyn Control>,
}

/// Frames over any stream of bytes (TCP; TLS, when it comes).
pub(crate) struct StreamSink(BufWriter<Box<dyn Write + Send>>);

impl StreamSink {
    pub(crate) fn new(writer: Box<dyn Write + Send>) -> StreamSink {
        StreamSink(BufWriter::with_capacity(64 << 10, writer))
    }
}

impl Sink for StreamSink {
    fn write(&mut self, header: Header, payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()> {
        pace(HEADER_LEN);
        self.0.write_all(&header.encode())?;
        for part in payload.chunks(PART) {
            pace(part.len());
            self.0.write_all(part)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Frames over any stream of bytes.
pub(crate) struct StreamSource(Box<dyn Read + Send>);

impl StreamSource {
    pub(crate) fn new(reader: Box<dyn Read + Send>) -> StreamSource {
        StreamSource(reader)
    }

    /// Reads until `buffer` is full or the stream ends; returns how many bytes came.
    fn fill(&mut self, buffer: &mut [u8], alive: &mut dyn FnMut()) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            alive();
        }
        Ok(filled)
    }
}

impl Source for StreamSource {
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        let mut header = [0; HEADER_LEN];
        match self.fill(&mut header, &mut || ())? {
            0 => Ok(None),
            HEADER_LEN => Ok(Some(header)),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        let mut payload = vec![0; len.min(TRUSTED)];
        let mut filled = 0;
        loop {
            let rest = payload.get_mut(filled..).unwrap_or_default();
            let wanted = rest.len();
            if self.fill(rest, alive)? < wanted {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            filled = payload.len();
            if filled == len {
                return Ok(payload);
            }
            payload.resize(len.min(filled.saturating_mul(2)), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_longer_than_what_is_trusted_grow_as_they_come() {
        let len = 2 * TRUSTED + 5;
        let mut source = StreamSource::new(Box::new(io::repeat(3).take(len as u64)));
        let payload = source.payload(len, &mut || ()).unwrap();
        assert_eq!(payload.len(), len);
        assert!(payload.iter().all(|&b| b == 3));
    }

    #[test]
    fn the_end_of_a_stream_within_a_frame_is_an_error() {
        let source = |n: u64| StreamSource::new(Box::new(io::repeat(1).take(n)));
        assert!(source(0).header().unwrap().is_none());
        assert_eq!(source(15).header().unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(source(16).header().unwrap().is_some());
        assert_eq!(source(9).payload(10, &mut || ()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
