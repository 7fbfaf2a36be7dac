//! Headers and reasons.

use super::*;

#[test]
fn headers_come_back() {
    for header in [
        Header { kind: FrameKind::Data, clock: 7, len: 0 },
        Header { kind: FrameKind::Data, clock: u32::MAX, len: 1 << 33 },
        Header { kind: FrameKind::Abort, clock: 0, len: 4096 },
        Header { kind: FrameKind::Abort, clock: 77, len: 0 },
        Header { kind: FrameKind::Close, clock: 1, len: 0 },
        Header { kind: FrameKind::Alive, clock: 0, len: 0 },
    ] {
        assert_eq!(Header::decode(&header.encode(), 1 << 33), Ok(header));
    }
}

#[test]
fn malformed_headers_are_refused() {
    let data = Header { kind: FrameKind::Data, clock: 7, len: 1 << 60 }.encode();
    let long_reason = Header { kind: FrameKind::Abort, clock: 7, len: 4097 }.encode();
    let close = Header { kind: FrameKind::Close, clock: 7, len: 1 }.encode();
    let mut reserved = Header { kind: FrameKind::Data, clock: 7, len: 1 }.encode();
    reserved[2] = 1;
    for (bytes, reason) in [
        (data, FrameError::TooLong { announced: 1 << 60, limit: 1 << 34 }),
        (long_reason, FrameError::TooLong { announced: 4097, limit: 4096 }),
        (close, FrameError::TooLong { announced: 1, limit: 0 }),
        (reserved, FrameError::Reserved),
        ([0; HEADER_LEN], FrameError::Kind(0)),
        (*b"GET / HTTP/1.1\r\n", FrameError::Kind(b'G')),
    ] {
        assert_eq!(Header::decode(&bytes, 1 << 34), Err(reason));
    }
}

#[test]
fn reasons_are_cut_and_cleaned() {
    let long = "é".repeat(3000);
    assert_eq!(encode_reason(&long).len(), MAX_REASON);
    assert_eq!(decode_reason(b"a\x1b[2Jb\xff\n"), "a [2Jb\u{fffd} ");
}
