//! Links over TCP: one connection a link, opened by the party with the higher index.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use crate::clock::Clock;
use crate::error::WireError;
use crate::hello::{Role, shake_hands};
use crate::intake::Basin;
use crate::link::Link;
use crate::links::Links;
use crate::options::LinkOptions;
use crate::outlet::Port;
use crate::stream::{Control, StreamSink, StreamSource, Transport};
use crate::token::Token;

/// Bytes that are asked of the network at once. A longer part of a payload goes where it belongs right away.
const CHUNK: usize = 64 << 10;
/// Time that a stranger on the port gets to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Strangers that may try at once.
const MAX_HANDSHAKES: usize = 32;
/// Pause between two attempts to connect or accept.
const PAUSE: Duration = Duration::from_millis(5);

/// A connection whose peer has proved that it belongs to the session.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: Role,
}

impl Connection {
    /// What the peer is.
    pub fn peer(&self) -> Role {
        self.peer
    }

    /// Makes it a link.
    ///
    /// # Errors
    /// The system gives no threads or refuses to set the socket up.
    pub fn into_link(self, clock: Arc<Clock>, options: LinkOptions) -> Result<Link, WireError> {
        let peer = self.peer.to_string();
        let io = |e: std::io::Error| WireError::Io { peer: peer.clone(), reason: e.to_string() };
        let intake = Basin::new(self.stream.try_clone().map_err(io)?, CHUNK);
        let transport = Transport {
            source: Box::new(StreamSource::new(Box::new(intake), None)),
            sink: Box::new(StreamSink::new(Box::new(Port::new(self.stream.try_clone().map_err(io)?)), None)),
            control: Box::new(Socket(self.stream)),
        };
        Link::start(peer, transport, clock, options)
    }

    /// The bare connection, after the handshake.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// Ends a socket from outside of the threads that use it.
pub(crate) struct Socket(pub(crate) TcpStream);

impl Control for Socket {
    // Both are best effort: a socket that cannot be shut down is down.
    fn finish(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    fn stop(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    #[cfg(unix)]
    fn socket(&self) -> Option<&TcpStream> {
        Some(&self.0)
    }
}

/// Waits for connections.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on a free port of the loopback interface: nobody outside of this machine can
    /// connect.
    ///
    /// # Errors
    /// The system refuses.
    pub fn loopback() -> Result<Listener, WireError> {
        Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Listens on an address.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub fn bind(address: SocketAddr) -> Result<Listener, WireError> {
        let refused =
            |e: std::io::Error| WireError::Io { peer: format!("peers at {address}"), reason: e.to_string() };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Listener { listener, address })
    }

    /// Where others find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until everybody in `wanted` has connected; returns them in this order. Whoever else
    /// connects is refused, and disturbs nobody.
    ///
    /// # Errors
    /// Somebody did not come before the deadline; the error names all of them, and the last one who
    /// was refused.
    pub fn accept(
        &self,
        own: Role,
        wanted: &[Role],
        token: &Token,
        deadline: Duration,
    ) -> Result<Vec<Connection>, WireError> {
        let end = Instant::now() + deadline;
        let mut arrived: Vec<Option<Connection>> = wanted.iter().map(|_| None).collect();
        let mut refused = None;
        let pending = Arc::new(AtomicUsize::new(0));
        let (done, results) = mpsc::channel();
        while arrived.iter().any(Option::is_none) {
            while let Ok(result) = results.try_recv() {
                let result: Result<Connection, WireError> = result;
                match result {
                    Ok(connection) => {
                        let place = wanted.iter().position(|&role| role == connection.peer);
                        if let Some(slot) = place.and_then(|i| arrived.get_mut(i)) {
                            slot.get_or_insert(connection);
                        }
                    }
                    Err(error) => refused = Some(error),
                }
            }
            if Instant::now() >= end {
                return Err(missing(wanted, &arrived, refused, deadline));
            }
            if pending.load(Ordering::Acquire) >= MAX_HANDSHAKES {
                thread::sleep(PAUSE);
                continue;
            }
            match self.listener.accept() {
                Ok((stream, address)) => {
                    pending.fetch_add(1, Ordering::AcqRel);
                    let (token, wanted) = (token.clone(), wanted.to_vec());
                    let (done, pending) = (done.clone(), Arc::clone(&pending));
                    // A stranger who says nothing must not keep the others waiting.
                    let greeter = thread::Builder::new().spawn(move || {
                        let name = address.to_string();
                        let result = greet(stream, own, |role| wanted.contains(&role), &token, &name);
                        pending.fetch_sub(1, Ordering::AcqRel);
                        // Nobody listens any more once everybody is there.
                        let _ = done.send(result);
                    });
                    greeter.map_err(|e| WireError::Io {
                        peer: address.to_string(),
                        reason: format!("no thread for it: {e}"),
                    })?;
                }
                // Nobody there yet, or somebody who left again at once.
                Err(e) if e.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    return Err(WireError::Io {
                        peer: format!("peers at {}", self.address),
                        reason: e.to_string(),
                    });
                }
            }
        }
        Ok(arrived.into_iter().flatten().collect())
    }
}

fn missing(
    wanted: &[Role],
    arrived: &[Option<Connection>],
    refused: Option<WireError>,
    deadline: Duration,
) -> WireError {
    let names: Vec<_> = wanted
        .iter()
        .zip(arrived)
        .filter(|(_, connection)| connection.is_none())
        .map(|(role, _)| role.to_string())
        .collect();
    let mut reason = format!("it did not connect within {} s", deadline.as_secs());
    if let Some(error) = refused {
        reason = format!("{reason}; refused meanwhile: {error}");
    }
    WireError::Connect { peer: names.join(" and "), reason }
}

/// Connects to `peer`, trying again until the deadline: it may not have started yet.
///
/// # Errors
/// The deadline passes, or the peer does not belong to the session.
pub fn connect(
    address: SocketAddr,
    own: Role,
    peer: Role,
    token: &Token,
    deadline: Duration,
) -> Result<Connection, WireError> {
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let error = match TcpStream::connect_timeout(&address, left.max(Duration::from_millis(1))) {
            Ok(stream) => return greet(stream, own, |role| role == peer, token, &peer.to_string()),
            Err(error) => error,
        };
        if Instant::now() + PAUSE >= end {
            return Err(WireError::Connect { peer: peer.to_string(), reason: error.to_string() });
        }
        thread::sleep(PAUSE);
    }
}

/// Sets a fresh connection up: blocking, without delay, watched by the system.
pub(crate) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Sets a fresh connection up and shakes hands over it.
fn greet(
    mut stream: TcpStream,
    own: Role,
    accept: impl Fn(Role) -> bool,
    token: &Token,
    name: &str,
) -> Result<Connection, WireError> {
    let io = |e: std::io::Error| WireError::Connect { peer: name.to_string(), reason: e.to_string() };
    prepare(&stream).map_err(io)?;
    stream.set_read_timeout(Some(HANDSHAKE)).map_err(io)?;
    stream.set_write_timeout(Some(HANDSHAKE)).map_err(io)?;
    let peer = shake_hands(&mut stream, own, accept, token, name)?;
    stream.set_read_timeout(None).map_err(io)?;
    stream.set_write_timeout(None).map_err(io)?;
    Ok(Connection { stream, peer })
}

/// A party's links to all others, and its connections with the `clients` that it waits for, in this
/// order. Every party calls this with its own index and listener; it connects to the parties with
/// lower indices (`addresses` holds their listeners' addresses) and waits for those with higher
/// ones.
///
/// # Errors
/// Somebody cannot be reached, does not come before the deadline or does not hold the token.
pub fn join(
    index: usize,
    listener: &Listener,
    addresses: &[SocketAddr],
    clients: &[Role],
    token: &Token,
    options: &LinkOptions,
    deadline: Duration,
) -> Result<(Links, Vec<Connection>), WireError> {
    let parties = addresses.len();
    let role = |i: usize| Role::Party(i as u8);
    let lower = addresses.iter().enumerate().take(index);
    let mut connections = Vec::new();
    for (i, &address) in lower {
        connections.push(connect(address, role(index), role(i), token, deadline)?);
    }
    let wanted: Vec<_> = (index + 1..parties).map(role).chain(clients.iter().copied()).collect();
    let mut accepted = listener.accept(role(index), &wanted, token, deadline)?;
    let waiting = accepted.split_off(accepted.len().saturating_sub(clients.len()));
    connections.append(&mut accepted);

    let clock = Arc::new(Clock::default());
    let peers = (0..parties).filter(|&j| j != index);
    let links = peers
        .zip(connections)
        .map(|(j, connection)| connection.into_link(Arc::clone(&clock), options.between(index, j)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((Links::new(index, links, clock), waiting))
}

/// The links of so many parties in one process, over real sockets: for tests.
///
/// # Errors
/// The system refuses a socket or a thread.
pub fn mesh_on_loopback(parties: usize, options: LinkOptions) -> Result<Vec<Links>, WireError> {
    let token = Token::fresh()?;
    let listeners = (0..parties).map(|_| Listener::loopback()).collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(Listener::address).collect();
    let (token, options, addresses) = (&token, &options, &addresses);
    thread::scope(|scope| {
        let join = |(index, listener)| {
            scope.spawn(move || join(index, listener, addresses, &[], token, options, HANDSHAKE))
        };
        let threads: Vec<_> = listeners.iter().enumerate().map(join).collect();
        let links = threads.into_iter().map(|thread| {
            let result = thread.join().unwrap_or_else(|_| {
                Err(WireError::Io { peer: "a party's thread".into(), reason: "it panicked".into() })
            });
            result.map(|(links, _)| links)
        });
        links.collect()
    })
}
