//! A TLS connection used by two threads at once: one reads, one writes. `rustls::StreamOwned`
//! serves one thread only.
//!
//! The connection's state is behind a lock that nobody holds while waiting for the network. What
//! the reader finds to answer (a key update) leaves with the next thing that the writer writes; a
//! link writes at least its signs of life.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::Connection;

use crate::intake::{Basin, Intake};
use crate::outlet::{Outlet, Port};

/// Bytes that are asked of the network at once.
const CHUNK: usize = 256 << 10;

/// What the two halves share.
struct Shared {
    tls: Mutex<Connection>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading and the writing half of a connection whose handshake is done.
pub(crate) fn split(tls: Connection, socket: TcpStream) -> io::Result<(Reader, Writer)> {
    let raw = Basin::new(socket.try_clone()?, CHUNK);
    let shared = Arc::new(Shared { tls: Mutex::new(tls) });
    let reader = Reader { shared: Arc::clone(&shared), raw, finished: false };
    Ok((reader, Writer { shared, port: Port::new(socket), out: Vec::with_capacity(CHUNK) }))
}

/// The reading half.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// The network; what is buffered was not decrypted yet.
    raw: Basin,
    finished: bool,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let mut tls = self.shared.lock();
            // Nothing at all means that the peer closed in good order; an error that the network
            // ended before.
            match tls.reader().read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock && !self.finished => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::UnexpectedEof.into()),
                result => return result,
            }
            let mut pending = self.raw.buffer();
            if !pending.is_empty() {
                let taken = tls.read_tls(&mut pending)?;
                self.raw.consume(taken);
                tls.process_new_packets().map_err(broken)?;
                continue;
            }
            drop(tls);
            match self.raw.fill_buf() {
                Ok([]) => {
                    self.finished = true;
                    self.shared.lock().read_tls(&mut io::empty())?;
                }
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Intake for Reader {
    fn wait(&mut self, wait: bool) {
        self.raw.wait(wait);
    }
}

/// The writing half. Dropping it says that nothing more comes.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    port: Port,
    /// What came out of the connection last.
    out: Vec<u8>,
}

impl Writer {
    /// Lets `step` put something into the connection, and takes what comes out.
    fn encrypt(&mut self, step: impl FnOnce(&mut Connection) -> io::Result<usize>) -> io::Result<usize> {
        self.out.clear();
        let mut tls = self.shared.lock();
        let taken = step(&mut tls)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.out)?;
        }
        Ok(taken)
    }

    /// The same, and sends it.
    fn send(&mut self, step: impl FnOnce(&mut Connection) -> io::Result<usize>) -> io::Result<usize> {
        let taken = self.encrypt(step)?;
        self.port.write_all(&self.out)?;
        self.port.flush()?;
        Ok(taken)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(|tls| tls.writer().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(|_| Ok(0)).map(drop)
    }
}

impl Outlet for Writer {
    fn offer(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let (mut rest, mut sent) = (bytes, true);
        while !rest.is_empty() {
            let taken = self.encrypt(|tls| tls.writer().write(rest))?;
            rest = rest.get(taken..).unwrap_or_default();
            sent = self.port.offer(&self.out)?;
        }
        Ok(sent)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Best effort: a peer that is gone needs no good-bye.
        let _ = self.send(|tls| {
            tls.send_close_notify();
            Ok(0)
        });
    }
}

/// A record that does not decrypt was changed on its way.
pub(crate) fn broken(error: rustls::Error) -> io::Error {
    let kind = match error {
        rustls::Error::DecryptError | rustls::Error::PeerMisbehaved(_) => ErrorKind::InvalidData,
        rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac) => ErrorKind::InvalidData,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
