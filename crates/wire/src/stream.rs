//! What carries frames: a pair of byte streams here, a pair of channels in [`crate::local`].

use std::io::{self, BufWriter, ErrorKind, Read, Write};

use crate::frame::{HEADER_LEN, Header, Kind};
use crate::guard::{Chain, HEADER_TAG_LEN, TAG_LEN, Tagger};

/// Bytes that are written or read between two signs of life. So few that a part is still in the core's own cache when it is hashed after it
/// was read, or encrypted after it was hashed.
const PART: usize = 128 << 10;
/// Payloads up to this length are allocated when they are announced (the system commits the memory when it is
/// written to); longer ones grow as they arrive.
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
    /// The payload of the frame whose header was read last. Calls `alive` for every part that arrives.
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

/// Frames over any stream of bytes (TCP, TLS), authenticated where there is a tagger.
pub(crate) struct StreamSink {
    writer: BufWriter<Box<dyn Write + Send>>,
    tagger: Option<Tagger>,
}

impl StreamSink {
    pub(crate) fn new(writer: Box<dyn Write + Send>, tagger: Option<Tagger>) -> StreamSink {
        StreamSink { writer: BufWriter::with_capacity(64 << 10, writer), tagger }
    }
}

impl Sink for StreamSink {
    fn write(&mut self, header: Header, payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()> {
        let bytes = header.encode();
        pace(HEADER_LEN);
        self.writer.write_all(&bytes)?;
        if let Some(tagger) = &mut self.tagger {
            self.writer.write_all(&tagger.begin(&bytes))?;
        }
        for part in payload.chunks(PART) {
            pace(part.len());
            if let Some(tagger) = &mut self.tagger {
                tagger.update(part);
            }
            self.writer.write_all(part)?;
        }
        if let Some(tagger) = self.tagger.as_mut().filter(|_| header.kind.has_payload()) {
            self.writer.write_all(&tagger.end(header.kind == Kind::Data))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn chain(&self) -> Option<Chain> {
        self.tagger.as_ref().map(Tagger::chain)
    }
}

/// Frames over any stream of bytes, authenticated where there is a tagger: nothing of a frame is handed out before its tag was
/// checked.
pub(crate) struct StreamSource {
    reader: Box<dyn Read + Send>,
    tagger: Option<Tagger>,
    data: bool,
}

impl StreamSource {
    pub(crate) fn new(reader: Box<dyn Read + Send>, tagger: Option<Tagger>) -> StreamSource {
        StreamSource { reader, tagger, data: false }
    }

    /// Reads until `buffer` is full or the stream ends; returns how many bytes came.
    fn fill(&mut self, buffer: &mut [u8], alive: &mut dyn FnMut()) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            alive();
        }
        Ok(filled)
    }

    /// Reads a tag.
    fn tag<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut tag = [0; N];
        if self.fill(&mut tag, &mut || ())? < N { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(tag) }
    }
}

impl Source for StreamSource {
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        let mut header = [0; HEADER_LEN];
        match self.fill(&mut header, &mut || ())? {
            0 => return Ok(None),
            HEADER_LEN => {}
            _ => return Err(ErrorKind::UnexpectedEof.into()),
        }
        if self.tagger.is_some() {
            let tag = self.tag::<HEADER_TAG_LEN>()?;
            if let Some(tagger) = &mut self.tagger {
                tagger.check_header(&header, &tag)?;
            }
            self.data = matches!(Header::decode(&header, u64::MAX), Ok(header) if header.kind == Kind::Data);
        }
        Ok(Some(header))
    }

    fn payload(&mut self, len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        let mut payload = vec![0; len.min(TRUSTED)];
        let mut filled: usize = 0;
        loop {
            let wanted = payload.len().min(filled.saturating_add(PART));
            let rest = payload.get_mut(filled..wanted).unwrap_or_default();
            let due = rest.len();
            if self.fill(rest, alive)? < due {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let (Some(tagger), Some(part)) = (&mut self.tagger, payload.get(filled..wanted)) {
                tagger.update(part);
            }
            filled = wanted;
            if filled == len {
                if self.tagger.is_some() {
                    let (tag, data) = (self.tag::<TAG_LEN>()?, self.data);
                    self.tagger.as_mut().map_or(Ok(()), |tagger| tagger.check(data, &tag))?;
                }
                return Ok(payload);
            }
            if filled == payload.len() {
                payload.resize(len.min(filled.saturating_mul(2)), 0);
            }
        }
    }

    fn chain(&self) -> Option<Chain> {
        self.tagger.as_ref().map(Tagger::chain)
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

    /// What somebody on the way can do with three messages, and whether the receiver takes what comes.
    #[test]
    fn every_change_on_the_way_is_noticed() {
        use crate::guard::Guard;
        use crate::hello::Role;
        let (p0, p1) = (Role::Party(0), Role::Party(1));
        let guard = |session, own, peer| Guard::new(&[7; 32], [session; 32], own, peer).split();
        let frames_of = |mut tagger: Tagger| -> Vec<Vec<u8>> {
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
                let mut sink = StreamSink::new(Box::new(Tap(written.clone())), Some(tagger));
                let header = Header { kind: Kind::Data, clock: 3, len: payload.len() as u64 };
                sink.write(header, payload.to_vec(), &mut |_| ()).unwrap();
                sink.flush().unwrap();
                tagger = sink.tagger.take().unwrap();
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
