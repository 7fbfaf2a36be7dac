//! Frames over a stream, and what somebody on the way can do to them.

use std::io::{Read, Write};

use super::*;

impl Intake for io::Take<io::Repeat> {
    fn wait(&mut self, _wait: bool) {}
}

#[test]
fn payloads_longer_than_what_is_trusted_grow_as_they_come() {
    let len = 2 * TRUSTED + 5;
    let mut source = StreamSource::new(Box::new(io::repeat(3).take(len as u64)), None);
    let payload = source.payload(len, &mut || ()).unwrap();
    assert_eq!(payload.len(), len);
    assert!(payload.iter().all(|&b| b == 3));
}

#[test]
fn what_is_skipped_is_read_to_its_end() {
    let long = 3 * PART + 1;
    let bytes = [vec![1; long], vec![2; HEADER_LEN]].concat();
    let mut source = StreamSource::new(Box::new(io::Cursor::new(bytes)), None);
    source.skip(long).unwrap();
    assert_eq!(source.header().unwrap(), Some([2; HEADER_LEN]));
    assert_eq!(source.skip(1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
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
        impl Outlet for Tap {
            fn offer(&mut self, bytes: &[u8]) -> io::Result<bool> {
                self.write_all(bytes).map(|()| true)
            }
        }
        let mut frames = Vec::new();
        for (at_once, payload) in [(false, &b"first"[..]), (true, b"other"), (false, b"")] {
            let mut sink = StreamSink::new(Box::new(Tap(written.clone())), Some(sealer));
            let header = Header { kind: FrameKind::Data, clock: 3, len: payload.len() as u64 };
            if at_once {
                assert!(matches!(sink.offer(header, payload.to_vec(), false).unwrap(), Offered::Sent));
            } else {
                sink.write(header, payload.to_vec(), &mut |_| ()).unwrap();
                sink.flush().unwrap();
            }
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
