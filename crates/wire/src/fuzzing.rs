//! For fuzzers: what reads a peer's bytes, without the peer. No part of the interface.

use std::io::Cursor;

use crate::Role;
use crate::frame::{FrameKind, Header, MAX_REASON, decode_reason};
use crate::hello::{self, HelloError};
use crate::stream::{Source, StreamSource};

/// Reads frames from a peer's bytes until they end or make no sense, as a link does. Returns how
/// many there were.
pub fn frames(bytes: &[u8], max_message: u64) -> usize {
    let mut source = StreamSource::new(Box::new(Cursor::new(bytes.to_vec())), None);
    let mut count = 0;
    while let Ok(Some(header)) = source.header() {
        let Ok(header) = Header::decode(&header, max_message) else { break };
        let Ok(len) = usize::try_from(header.len) else { break };
        let Ok(payload) = source.payload(len, &mut || ()) else { break };
        if header.kind == FrameKind::Abort {
            assert!(decode_reason(&payload).len() <= 3 * MAX_REASON);
        }
        count += 1;
    }
    count
}

/// The role that a hello names.
///
/// # Errors
/// What is wrong with it.
pub fn hello(bytes: &[u8; hello::HELLO_LEN]) -> Result<Role, HelloError> {
    hello::decode(bytes)
}

/// Reads the route that somebody says. What is one has one way to be written.
pub fn route(bytes: &[u8]) {
    if let Some(route) = crate::tls::Route::said(bytes) {
        assert_eq!(route.protocol(), bytes);
    }
}
