//! [`Channel`]: a TLS connection before it becomes a link. One side at a time says something short,
//! until a deadline.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, Connection, version};

use super::arrival::Arrival;
use super::identity::{Fingerprint, Identity, Keys, spki};
use super::route::{Route, SITE};
use super::stream::{broken, split};
use super::verify::Pinned;
use crate::clock::Clock;
use crate::error::WireError;
use crate::guard::Guard;
use crate::link::Link;
use crate::options::LinkOptions;
use crate::stream::{StreamSink, StreamSource, Transport};
use crate::tcp::{Socket, prepare};

/// How long a peer may take to start: as long a refused connection is tried again.
const START: Duration = Duration::from_secs(5);
/// Pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// Plaintext that may wait within the connection for the writer.
const BUFFER: usize = 256 << 10;

/// A TLS 1.3 connection whose ends have proved who they are.
pub struct Channel {
    tls: Connection,
    socket: TcpStream,
    peer: String,
    spki: Vec<u8>,
    deadline: Instant,
    /// Whatever comes or goes puts the deadline off by this.
    silence: Option<Duration>,
}

impl Channel {
    /// Connects to whoever holds the expected key, or one of them, trying again for a few seconds: it
    /// may not have started yet. `peer` names it in errors.
    ///
    /// # Errors
    /// The address does not resolve, nobody listens there, or somebody else does.
    pub fn connect(
        address: &str,
        identity: &Identity,
        expected: impl Into<Keys>,
        peer: &str,
        deadline: Instant,
    ) -> Result<Channel, WireError> {
        Channel::connect_speaking(SITE.to_vec(), address, identity, expected, peer, deadline)
    }

    /// The same, to one of the sessions there.
    ///
    /// # Errors
    /// As [`Channel::connect`].
    pub fn connect_to(
        route: Route,
        address: &str,
        identity: &Identity,
        expected: impl Into<Keys>,
        peer: &str,
        deadline: Instant,
    ) -> Result<Channel, WireError> {
        Channel::connect_speaking(route.protocol(), address, identity, expected, peer, deadline)
    }

    fn connect_speaking(
        protocol: Vec<u8>,
        address: &str,
        identity: &Identity,
        expected: impl Into<Keys>,
        peer: &str,
        deadline: Instant,
    ) -> Result<Channel, WireError> {
        let expected = expected.into();
        let place = || format!("{peer} at {address}");
        let refused = |reason: String| WireError::Connect { peer: place(), reason };
        let rejected = |reason: String| WireError::Rejected { peer: place(), reason };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = Pinned {
            keys: expected.iter().collect(),
            algorithms: provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|e| refused(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        config.alpn_protocols = vec![protocol];
        let name = ServerName::try_from("cryptflow").map_err(|e| refused(e.to_string()))?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(|e| refused(e.to_string()))?;
        let socket = dial(address, deadline).map_err(|e| refused(e.to_string()))?;
        let mut channel =
            Channel::shake_hands(tls.into(), &[], socket, deadline, peer).map_err(|e| {
                match e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                    Some(rustls::Error::InvalidCertificate(_)) => {
                        let keys: Vec<String> = expected.iter().map(|key| key.to_string()).collect();
                        WireError::WrongKey { peer: place(), expected: keys.join(" or ") }
                    }
                    Some(error) => rejected(format!("the TLS handshake failed: {error}")),
                    None => refused(match e.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                        "somebody takes connections there, and did not answer in time: that process, or the network, stands still".into()
                    }
                    _ => format!("the TLS handshake failed: {e}"),
                }),
                }
            })?;
        // The peer checks this end's key after this end is done: wait for its verdict.
        let mut verdict = [0];
        let alert = |e: &io::Error| e.get_ref().is_some_and(|e| e.is::<rustls::Error>());
        channel.fill(&mut verdict).map_err(|e| match e.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => refused("it did not answer in time".into()),
            _ if alert(&e) => {
                WireError::KeyNotAccepted { peer: place(), own: identity.fingerprint().to_string() }
            }
            _ => refused(format!("it closed the connection before it had accepted this key: {e}")),
        })?;
        Ok(channel)
    }

    /// Shakes hands with whoever has connected; only those whose keys are `welcome` get through.
    /// Everything that is said before the channel becomes a link must be said before the deadline.
    ///
    /// # Errors
    /// The peer's key is not welcome, or it does not speak this protocol.
    pub fn accept(
        socket: TcpStream,
        identity: &Identity,
        welcome: HashSet<Fingerprint>,
        deadline: Instant,
    ) -> Result<Channel, WireError> {
        Arrival::hear(socket, deadline)?.accept(identity, welcome)
    }

    /// Shakes hands, where the peer has said so much already.
    pub(super) fn shake_hands(
        tls: Connection,
        mut heard: &[u8],
        socket: TcpStream,
        deadline: Instant,
        peer: &str,
    ) -> io::Result<Channel> {
        let mut channel =
            Channel { tls, socket, peer: peer.into(), spki: Vec::new(), deadline, silence: None };
        while !heard.is_empty() {
            channel.tls.read_tls(&mut heard)?;
            channel.process()?;
        }
        while channel.tls.is_handshaking() {
            channel.advance()?;
        }
        channel.flush()?;
        let certificate = channel.tls.peer_certificates().and_then(<[_]>::first);
        let certificate =
            certificate.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no certificate"))?;
        channel.spki = spki(certificate).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        Ok(channel)
    }

    /// Name of the peer in errors.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Gives the peer another name: what it is, once that is known.
    pub fn name(&mut self, peer: &str) {
        self.peer = peer.into();
    }

    /// The peer's public key: SubjectPublicKeyInfo, DER.
    pub fn peer_spki(&self) -> &[u8] {
        &self.spki
    }

    /// How the peer is known.
    pub fn peer_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }

    /// Whether the peer is still there, and has said nothing that was not heard. Must be asked by nobody
    /// who is owed an answer.
    pub fn is_quiet(&self) -> bool {
        let quiet = self.socket.set_nonblocking(true).is_ok()
            && matches!(self.socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).is_ok() && quiet
    }

    /// Waits until the peer says something, or is gone, or for `pause`: then, and only then, `false`.
    pub fn has_word_within(&mut self, pause: Duration) -> bool {
        // Some of it may have come already, together with what was read.
        if self.tls.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0) {
            return true;
        }
        let heard = self.socket.set_read_timeout(Some(pause)).map(|()| self.socket.peek(&mut [0]));
        !matches!(heard, Ok(Err(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// The bare connection, for whoever only looks whether the peer is still there. What it says next
    /// must be read by nobody, then.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Gives what follows until a new deadline.
    pub fn extend(&mut self, deadline: Instant) {
        (self.deadline, self.silence) = (deadline, None);
    }

    /// Gives what follows as long as it takes, while bytes flow: only so long a silence ends it.
    pub fn extend_while_it_flows(&mut self, silence: Duration) {
        self.silence = Some(silence);
        self.flowed();
    }

    fn flowed(&mut self) {
        // A silence that ends after the end of time leaves the deadline as it is.
        let end = self.silence.and_then(|silence| Instant::now().checked_add(silence));
        self.deadline = end.unwrap_or(self.deadline);
    }

    /// Reads what still comes, and forgets it, until the peer closes the connection or the deadline
    /// comes. Who is closed to while it sends may lose what was said to it last, and with it the reason.
    pub fn drain(&mut self, deadline: Instant) {
        self.extend(deadline);
        let mut forgotten = [0; 4096];
        while self.fill(&mut forgotten).is_ok() {}
    }

    /// 32 bytes that the two ends of this connection have in common, and nobody else (RFC 9266 in
    /// spirit).
    ///
    /// # Errors
    /// Never after a handshake.
    pub fn exporter(&self, label: &[u8]) -> Result<[u8; 32], WireError> {
        self.tls.export_keying_material([0; 32], label, None).map_err(|e| self.failed(&broken(e)))
    }

    /// Says something short.
    ///
    /// # Errors
    /// The peer is gone, or does not take it before the deadline.
    pub fn send(&mut self, message: &[u8]) -> Result<(), WireError> {
        let Ok(length) = u32::try_from(message.len()) else {
            let reason = format!("a message of {} bytes is too long: the most is 4 GiB", message.len());
            return Err(WireError::Io { peer: self.peer.clone(), reason });
        };
        self.write(&length.to_le_bytes()).and_then(|()| self.write(message)).map_err(|e| self.failed(&e))
    }

    /// Waits for something of at most `limit` bytes.
    ///
    /// # Errors
    /// The peer is gone, says too much, or nothing before the deadline.
    pub fn recv(&mut self, limit: usize) -> Result<Vec<u8>, WireError> {
        let length = self.announced(limit)?;
        self.recv_announced(length)
    }

    /// Waits for the length of something, which is at most `limit` bytes and follows: [`Channel::recv_announced`]
    /// takes it.
    ///
    /// # Errors
    /// As [`Channel::recv`].
    pub fn announced(&mut self, limit: usize) -> Result<usize, WireError> {
        let mut length = [0; 4];
        self.fill(&mut length).map_err(|e| self.failed(&e))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > limit {
            return Err(WireError::TooLong { peer: self.peer.clone(), announced: length as u64, limit });
        }
        Ok(length)
    }

    /// Waits for what was announced.
    ///
    /// # Errors
    /// The peer is gone, or stops before the deadline.
    pub fn recv_announced(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        let mut message = Vec::new();
        while message.len() < length {
            let begun = message.len();
            message.resize(length.min(begun + (1 << 20)), 0);
            let part = message.get_mut(begun..).unwrap_or_default();
            self.fill(part).map_err(|e| self.failed(&e))?;
        }
        Ok(message)
    }

    /// Makes it a link, whose frames are authenticated where there is a guard.
    ///
    /// # Errors
    /// The system gives no threads or refuses to set the socket up.
    pub fn into_link(
        self,
        clock: Arc<Clock>,
        options: LinkOptions,
        guard: Option<Guard>,
    ) -> Result<Link, WireError> {
        let io = |e: io::Error| WireError::Io { peer: self.peer.clone(), reason: e.to_string() };
        self.socket.set_read_timeout(None).map_err(io)?;
        self.socket.set_write_timeout(None).map_err(io)?;
        let control = Socket(self.socket.try_clone().map_err(io)?);
        let mut tls = self.tls;
        tls.set_buffer_limit(Some(BUFFER));
        let (reader, writer) = split(tls, self.socket).map_err(io)?;
        let (sealer, opener) = guard.map(Guard::split).unzip();
        let transport = Transport {
            source: Box::new(StreamSource::new(Box::new(reader), opener)),
            sink: Box::new(StreamSink::new(Box::new(writer), sealer)),
            control: Box::new(control),
        };
        Link::start(self.peer, transport, clock, options)
    }

    fn failed(&self, error: &io::Error) -> WireError {
        let peer = self.peer.clone();
        match error.kind() {
            ErrorKind::InvalidData => WireError::Tampered { peer, reason: error.to_string() },
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                WireError::Io { peer, reason: "it said nothing before the deadline".into() }
            }
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => WireError::Closed { peer },
            _ => WireError::Io { peer, reason: error.to_string() },
        }
    }

    /// Sends what the connection wants to send.
    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            arm(&self.socket, self.deadline)?;
            if self.tls.write_tls(&mut self.socket)? > 0 {
                self.flowed();
            }
        }
        Ok(())
    }

    /// Sends what is due, and takes what comes.
    fn advance(&mut self) -> io::Result<()> {
        self.flush()?;
        arm(&self.socket, self.deadline)?;
        if self.tls.wants_read() {
            if self.tls.read_tls(&mut self.socket)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.flowed();
        }
        self.process()
    }

    /// Makes something of what came.
    fn process(&mut self) -> io::Result<()> {
        let processed = self.tls.process_new_packets();
        if processed.is_err() {
            // The peer shall know why: an alert is waiting.
            let _ = self.flush();
        }
        processed.map(drop).map_err(broken)
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.tls.writer().write(bytes)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.flush()?;
        }
        Ok(())
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.tls.reader().read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => buffer = buffer.get_mut(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.advance()?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Time that is left, put on the socket.
pub(super) fn arm(socket: &TcpStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    socket.set_read_timeout(Some(left))?;
    socket.set_write_timeout(Some(left))
}

/// Connects to the first address that answers, trying again for a while.
fn dial(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    // Half of the time at most: whoever else waits for this connection shall hear that it fails
    // before giving up for its own part.
    let half = deadline.saturating_duration_since(Instant::now()) / 2;
    let patience = Instant::now() + half.min(START);
    loop {
        let mut error = io::Error::new(ErrorKind::NotFound, "the address has no meaning to the name service");
        match address.to_socket_addrs() {
            Ok(addresses) => {
                for address in addresses {
                    let left =
                        deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                    match TcpStream::connect_timeout(&address, left) {
                        Ok(socket) => {
                            prepare(&socket)?;
                            return Ok(socket);
                        }
                        Err(e) => error = e,
                    }
                }
            }
            Err(e) => error = e,
        }
        if Instant::now() + PAUSE >= patience {
            return Err(error);
        }
        thread::sleep(PAUSE);
    }
}
