//! [`Intake`]: where bytes come in, with or without waiting for the network.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::net::TcpStream;

/// Where bytes are read from.
pub(crate) trait Intake: Read + Send {
    /// Whether [`Read::read`] waits from now on, or fails with [`io::ErrorKind::WouldBlock`] where nothing is there.
    /// Only what [`Transport::socket`](crate::stream::Transport::socket) belongs to is asked not to wait.
    fn wait(&mut self, wait: bool);
}

/// Bytes that are all there.
impl Intake for Cursor<Vec<u8>> {
    fn wait(&mut self, _wait: bool) {}
}

/// A socket.
pub(crate) struct Tap {
    socket: TcpStream,
    wait: bool,
}

impl Tap {
    pub(crate) fn new(socket: TcpStream) -> Tap {
        Tap { socket, wait: true }
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wait { self.socket.read(buffer) } else { without_waiting(&self.socket, buffer) }
    }
}

impl Intake for Tap {
    fn wait(&mut self, wait: bool) {
        self.wait = wait;
    }
}

/// Reads as much as the network has, so that small messages that came together take one call of the system.
pub(crate) struct Basin(BufReader<Tap>);

impl Basin {
    pub(crate) fn new(socket: TcpStream, size: usize) -> Basin {
        Basin(BufReader::with_capacity(size, Tap::new(socket)))
    }
}

impl Read for Basin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for Basin {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl Intake for Basin {
    fn wait(&mut self, wait: bool) {
        self.0.get_mut().wait(wait);
    }
}

impl Basin {
    /// What was read from the network and not taken yet.
    pub(crate) fn buffer(&self) -> &[u8] {
        self.0.buffer()
    }
}

/// Reads what the network has; an error where that is nothing.
#[cfg(unix)]
fn without_waiting(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    use rustix::net::{RecvFlags, recv};
    let (_, read) = rustix::io::retry_on_intr(|| recv(socket, &mut *buffer, RecvFlags::DONTWAIT))?;
    Ok(read)
}

/// This system is not asked: links have threads that read, and these may wait.
#[cfg(not(unix))]
fn without_waiting(mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    socket.read(buffer)
}
