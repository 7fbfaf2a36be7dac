//! [`Route`]: to which session of a site a connection is meant to go.

use std::fmt::Write;

/// What the two ends of a connection to a site agree to speak.
pub(crate) const SITE: &[u8] = b"cryptflow/1";

/// The name under which a session is reached. Whoever connects says it in the open, in its first
/// message (ALPN), so that a site knows where to take the connection before anything is answered;
/// both ends confirm it in the handshake. It follows from the session's number and does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route([u8; 16]);

impl Route {
    /// The route to the session of this number.
    pub fn to_session(number: &[u8; 32]) -> Route {
        let mut route = [0; 16];
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow route to a session v1");
        hasher.update(number).finalize_xof().fill(&mut route);
        Route(route)
    }

    /// As it is said in the handshake.
    pub(crate) fn protocol(&self) -> Vec<u8> {
        let mut digits = String::new();
        for byte in self.0 {
            // A string takes everything.
            let _ = write!(digits, "{byte:02x}");
        }
        [SITE, b"/", digits.as_bytes()].concat()
    }

    /// The route that somebody says, if it is one.
    pub(crate) fn said(protocol: &[u8]) -> Option<Route> {
        let digits = protocol.strip_prefix(SITE)?.strip_prefix(b"/")?;
        let number = u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        // One name has one way to be written.
        Some(Route(number.to_be_bytes())).filter(|route| route.protocol() == protocol)
    }
}
