//! What carries frames: a pair of byte streams here, a pair of channels in [`crate::local`].

use std::io::{self, BufWriter, ErrorKind, Read, Write};

use crate::frame::{HEADER_LEN, Header};
use crate::guard::{Chain, Sealer, TAG_LEN};

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
    /// The chain of the messages written so far, where frames are authenticated.
    fn chain(&self) -> Option<Chain> {
        None
    }
}

/// Where frames are read from.
pub(crate) trait Source: Send {
    /// Waits for a frame; nothing where the stream ends between two frames.
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>>;
    /// The payload of the frame whose header was read last. Calls `alive` for every part that
    /// arrives.
    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>>;
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
}

/// A connection that frames travel over.
pub(crate) struct Transport {
    pub(crate) source: Box<dyn Source>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) control: Box<dyn Control>,
}

/// Frames over any stream of bytes (TCP, TLS), sealed where there is a guard.
pub(crate) struct StreamSink {
    writer: BufWriter<Box<dyn Write + Send>>,
    sealer: Option<Sealer>,
}

impl StreamSink {
    pub(crate) fn new(writer: Box<dyn Write + Send>, sealer: Option<Sealer>) -> StreamSink {
        StreamSink { writer: BufWriter::with_capacity(64 << 10, writer), sealer }
    }
}

impl Sink for StreamSink {
    fn write(&mut self, header: Header, mut payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()> {
        let mut bytes = header.encode();
        let tag = self.sealer.as_mut().map(|sealer| sealer.seal_header(&mut bytes)).transpose()?;
        pace(HEADER_LEN);
        self.writer.write_all(&bytes)?;
        self.writer.write_all(tag.as_ref().map_or(&[], |tag| tag))?;
        for part in payload.chunks_mut(PART) {
            let tag = self.sealer.as_mut().map(|sealer| sealer.seal_part(part)).transpose()?;
            pace(part.len());
            self.writer.write_all(part)?;
            self.writer.write_all(tag.as_ref().map_or(&[], |tag| tag))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn chain(&self) -> Option<Chain> {
        self.sealer.as_ref().map(Sealer::chain)
    }
}

/// Frames over any stream of bytes, sealed where there is a guard: nothing of a frame is handed out
/// before all of it was opened.
pub(crate) struct StreamSource {
    reader: Box<dyn Read + Send>,
    opener: Option<Sealer>,
    /// The part that is read just now, and its tag.
    part: Vec<u8>,
}

impl StreamSource {
    pub(crate) fn new(reader: Box<dyn Read + Send>, opener: Option<Sealer>) -> StreamSource {
        StreamSource { reader, opener, part: Vec::new() }
    }

    /// Bytes of a tag, where there are tags.
    fn tag_len(&self) -> usize {
        if self.opener.is_some() { TAG_LEN } else { 0 }
    }
}

/// Reads until `buffer` is full or the stream ends; returns how many bytes came.
fn fill(reader: &mut dyn Read, buffer: &mut [u8], alive: &mut dyn FnMut()) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        alive();
    }
    Ok(filled)
}

/// As [`fill`], where all of it must come.
fn fill_all(reader: &mut dyn Read, buffer: &mut [u8], alive: &mut dyn FnMut()) -> io::Result<()> {
    if fill(reader, buffer, alive)? < buffer.len() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

impl Source for StreamSource {
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        let mut header = [0; HEADER_LEN];
        match fill(&mut self.reader, &mut header, &mut || ())? {
            0 => return Ok(None),
            HEADER_LEN => {}
            _ => return Err(ErrorKind::UnexpectedEof.into()),
        }
        if let Some(opener) = &mut self.opener {
            let mut tag = [0; TAG_LEN];
            fill_all(&mut self.reader, &mut tag, &mut || ())?;
            opener.open_header(&mut header, &tag)?;
        }
        Ok(Some(header))
    }

    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        let mut payload = Vec::with_capacity(len.min(TRUSTED));
        let tag_len = self.tag_len();
        self.part.resize(PART + tag_len, 0);
        while payload.len() < len {
            let due = PART.min(len - payload.len());
            let part = self.part.get_mut(..due + tag_len).unwrap_or_default();
            fill_all(&mut self.reader, part, alive)?;
            let (part, tag) = part.split_at_mut_checked(due).unwrap_or_default();
            if let Some(opener) = &mut self.opener {
                opener.open_part(part, &tag.try_into().map_err(|_| ErrorKind::UnexpectedEof)?)?;
            }
            payload.extend_from_slice(part);
        }
        Ok(payload)
    }

    fn chain(&self) -> Option<Chain> {
        self.opener.as_ref().map(Sealer::chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_longer_than_what_is_trusted_grow_as_they_come() {
        let len = 2 * TRUSTED + 5;
        let mut source = StreamSource::new(Box::new(io::repeat(3).take(len as u64)), None);
        let payload = source.payload(len, &mut || ()).unwrap();
        assert_eq!(payload.len(), len);
        assert!(payload.iter().all(|&b| b == 3));
    }

    #[test]
    fn the_end_of_a_stream_within_a_frame_is_an_error() {
        let source = |n: u64| StreamSource::new(Box::new(io::repeat(1).take(n)), None);
        assert!(source(0).header().unwrap().is_none());
        assert_eq!(source(15).header().unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(source(16).header().unwrap().is_some());
        assert_eq!(source(9).payload(10, &mut || ()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    /// What somebody on the way can do with three messages, and whether the receiver takes what
    /// comes.
    #[test]
    fn every_change_on_the_way_is_noticed() {
        use crate::frame::FrameKind;
        use crate::guard::Guard;
        use crate::hello::Role;
        let (p0, p1) = (Role::Party(0), Role::Party(1));
        let guard = |session, own, peer| Guard::new(&[7; 32], [session; 32], own, peer).split();
        let frames_of = |mut sealer: Sealer| -> Vec<Vec<u8>> {
            let written = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            struct Tap(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
            impl Write for Tap {
                fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                    self.0.lock().unwrap().extend(bytes);
                    Ok(bytes.len())
                }
                fn flush(&mut self) -> io::Result<()> {
                    Ok(())
                }
            }
            let mut frames = Vec::new();
            for payload in [&b"first"[..], b"other", b""] {
                let mut sink = StreamSink::new(Box::new(Tap(written.clone())), Some(sealer));
                let header = Header { kind: FrameKind::Data, clock: 3, len: payload.len() as u64 };
                sink.write(header, payload.to_vec(), &mut |_| ()).unwrap();
                sink.flush().unwrap();
                sealer = sink.sealer.take().unwrap();
                frames.push(std::mem::take(&mut *written.lock().unwrap()));
            }
            frames
        };
        let read = |frames: &[Vec<u8>]| -> io::Result<Vec<Vec<u8>>> {
            let bytes = io::Cursor::new(frames.concat());
            let mut source = StreamSource::new(Box::new(bytes), Some(guard(1, p1, p0).1));
            let mut payloads = Vec::new();
            while let Some(header) = source.header()? {
                let header = Header::decode(&header, 100).unwrap();
                payloads.push(source.payload(header.len as usize, &mut || ())?);
            }
            Ok(payloads)
        };
        let sent = frames_of(guard(1, p0, p1).0);
        assert_eq!(read(&sent).unwrap(), [&b"first"[..], b"other", b""]);

        let noticed = |what: &str, frames: &[Vec<u8>]| {
            let error = read(frames).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{what}: {error}");
        };
        for (frame, bytes) in sent.iter().enumerate() {
            for bit in 0..bytes.len() * 8 {
                let mut changed = sent.clone();
                changed[frame][bit / 8] ^= 1 << (bit % 8);
                noticed(&format!("bit {bit} of frame {frame}"), &changed);
            }
        }
        let [a, b, c] = [0, 1, 2].map(|i| sent[i].clone());
        noticed("another order", &[b.clone(), a.clone(), c.clone()]);
        noticed("one left out", &[a.clone(), c.clone()]);
        noticed("one twice", &[a.clone(), a.clone(), b.clone()]);
        noticed("one sent back to its sender", &frames_of(guard(1, p1, p0).0));
        noticed("one of another session", &frames_of(guard(2, p0, p1).0));
        noticed("one of another link", &frames_of(guard(1, Role::Party(2), p1).0));
        noticed("no tags", &[a[..HEADER_LEN].to_vec(), b"first of other bytes than a tag".to_vec()]);
        assert_eq!(read(&[a[..20].to_vec()]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
