//! [`Outlet`]: where bytes leave, with or without waiting for the network.

use std::io::{self, Write};
use std::net::TcpStream;

/// Where bytes are written to.
pub(crate) trait Outlet: Write + Send {
    /// Takes all of the bytes, and hands to the network what it takes without waiting: whether that is
    /// all of them. What is left goes before whatever is written next, or with [`Write::flush`].
    fn offer(&mut self, bytes: &[u8]) -> io::Result<bool>;
}

/// A socket.
pub(crate) struct Port {
    socket: TcpStream,
    /// What the network has not taken yet.
    left: Vec<u8>,
}

impl Port {
    pub(crate) fn new(socket: TcpStream) -> Port {
        Port { socket, left: Vec::new() }
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.left.is_empty() {
            self.socket.write_all(&self.left)?;
            self.left.clear();
        }
        Ok(())
    }
}

impl Outlet for Port {
    fn offer(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let taken = if self.left.is_empty() { without_waiting(&self.socket, bytes)? } else { 0 };
        self.left.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        Ok(self.left.is_empty())
    }
}

/// Writes what the network takes at once; returns how much that is.
#[cfg(unix)]
fn without_waiting(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match rustix::io::retry_on_intr(|| send(socket, bytes, flags)) {
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        result => Ok(result?),
    }
}

/// This system is not asked: whoever may wait writes all of it.
#[cfg(not(unix))]
fn without_waiting(_socket: &TcpStream, _bytes: &[u8]) -> io::Result<usize> {
    Ok(0)
}
