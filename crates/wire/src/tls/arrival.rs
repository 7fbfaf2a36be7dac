//! [`Arrival`]: somebody has connected, and said its first message; nothing was answered yet. Which
//! process answers can still be chosen.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, ServerConnection, version};

use super::channel::{Channel, arm};
use super::identity::{Fingerprint, Identity};
use super::route::{Route, SITE};
use super::verify::Pinned;
use crate::error::WireError;
use crate::tcp::prepare;

/// Longest first message, with what came behind it. Those of a site have some three hundred bytes.
const LONGEST: usize = 16 << 10;

/// A connection of which the first message was read and not answered.
pub struct Arrival {
    socket: TcpStream,
    heard: Vec<u8>,
    route: Option<Route>,
    deadline: Instant,
}

impl Arrival {
    /// Waits for the first message of whoever has connected. All of it, and the handshake that
    /// follows, must come before the deadline.
    ///
    /// # Errors
    /// It is none of TLS, too long, or too late.
    pub fn hear(socket: TcpStream, deadline: Instant) -> Result<Arrival, WireError> {
        let arrival = Arrival { socket, heard: Vec::new(), route: None, deadline };
        let peer = arrival.peer();
        arrival.listen().map_err(|e| {
            let reason = format!("the TLS handshake failed: {e}");
            WireError::NotLetIn { peer, reason }
        })
    }

    fn listen(mut self) -> io::Result<Arrival> {
        prepare(&self.socket)?;
        let mut acceptor = Acceptor::default();
        let mut chunk = [0; 2048];
        loop {
            arm(&self.socket, self.deadline)?;
            let heard = match self.socket.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(heard) => chunk.get(..heard).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.heard.extend_from_slice(heard);
            let mut rest = heard;
            while !rest.is_empty() {
                acceptor.read_tls(&mut rest)?;
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    let said = accepted.client_hello().alpn();
                    self.route = said.into_iter().flatten().find_map(Route::said);
                    return Ok(self);
                }
                Ok(None) if self.heard.len() > LONGEST => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "its first message is too long"));
                }
                Ok(None) => {}
                Err((error, mut alert)) => {
                    // It shall know why, where it still listens.
                    let _ = alert.write_all(&mut self.socket);
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            }
        }
    }

    /// To which session it wants, if it wants to one.
    pub fn route(&self) -> Option<Route> {
        self.route
    }

    /// Where it comes from, for errors.
    fn peer(&self) -> String {
        self.socket.peer_addr().map(|a| a.to_string()).unwrap_or_else(|_| "a stranger".into())
    }

    /// What another process needs to go on with it ([`Arrival::taken_over`]): the connection, and what
    /// was said.
    pub fn handed_over(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.heard)
    }

    /// An arrival that another process has heard first; it wants to this session.
    pub fn taken_over(socket: TcpStream, heard: Vec<u8>, route: Route, deadline: Instant) -> Arrival {
        Arrival { socket, heard, route: Some(route), deadline }
    }

    /// Shakes hands; only those whose keys are `welcome` get through. Everything that is said before
    /// the channel becomes a link must be said before the deadline.
    ///
    /// # Errors
    /// The peer's key is not welcome, or it does not speak this protocol.
    pub fn accept(self, identity: &Identity, welcome: HashSet<Fingerprint>) -> Result<Channel, WireError> {
        let peer = self.peer();
        let refused = |reason: String| WireError::NotLetIn { peer: peer.clone(), reason };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = Pinned { keys: welcome, algorithms: provider.signature_verification_algorithms };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|e| refused(e.to_string()))?
            .with_client_cert_verifier(Arc::new(pinned))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![self.route.map_or(SITE.to_vec(), |route| route.protocol())];
        let tls = ServerConnection::new(Arc::new(config)).map_err(|e| refused(e.to_string()))?;
        let Arrival { socket, heard, deadline, .. } = self;
        let mut channel = Channel::shake_hands(tls.into(), &heard, socket, deadline, &peer).map_err(|e| {
            refused(match e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(_)) => {
                    "its key is not in this party's configuration".into()
                }
                _ => format!("the TLS handshake failed: {e}"),
            })
        })?;
        channel.write(&[1]).map_err(|e| refused(e.to_string()))?;
        Ok(channel)
    }
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrival").field("route", &self.route).finish_non_exhaustive()
    }
}
