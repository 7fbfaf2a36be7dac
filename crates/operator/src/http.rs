//! As much of HTTP/1.1 as it takes: the head of a request in, an answer out, and the connection is closed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Longest head.
const LONGEST: usize = 8 << 10;

/// Most lines of a head.
const LINES: usize = 64;

/// Time for a request to come, and for its answer to go.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Time for somebody to say the rest of what is not listened to.
const MOMENT: Duration = Duration::from_secs(1);

/// Most kilobytes of that.
const MORE: usize = 64;

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without what follows a question mark.
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    /// The word behind `Authorization: Bearer`.
    pub(crate) bearer: Option<String>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
    /// Further lines of the head.
    pub(crate) more: &'static str,
}

impl Answer {
    pub(crate) fn new(status: &'static str, kind: &'static str, body: impl Into<String>) -> Answer {
        Answer { status, kind, body: body.into(), more: "" }
    }

    pub(crate) fn text(status: &'static str, body: impl Into<String>) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", body)
    }
}

/// Reads the head of a request; nothing where what came is none.
pub(crate) fn read(socket: &mut TcpStream) -> io::Result<Option<Request>> {
    let end = Instant::now() + SOON;
    let mut heard = Vec::new();
    let mut chunk = [0; 1024];
    while heard.len() < LONGEST {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let count = socket.read(&mut chunk)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        heard.extend_from_slice(chunk.get(..count).unwrap_or_default());
        match parse(&heard) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(Some(request)),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// What a head says; nothing where more of it is to come.
fn parse(heard: &[u8]) -> Result<Option<Request>, httparse::Error> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut head = httparse::Request::new(&mut lines);
    if head.parse(heard)?.is_partial() {
        return Ok(None);
    }
    let value = |name: &str| {
        let line = head.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(line.value).ok().map(|text| text.trim().to_string())
    };
    let bearer = value("authorization").and_then(|text| {
        let (scheme, word) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| word.trim().to_string())
    });
    let path = head.path.unwrap_or_default();
    Ok(Some(Request {
        method: head.method.unwrap_or_default().into(),
        path: path.split_once('?').map_or(path, |(path, _)| path).into(),
        host: value("host"),
        bearer,
    }))
}

/// Answers, without the body where only the head was asked for.
pub(crate) fn answer(socket: &mut TcpStream, answer: &Answer, head_only: bool) -> io::Result<()> {
    socket.set_write_timeout(Some(SOON))?;
    let Answer { status, kind, body, more } = answer;
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: {POLICY}\r\n{more}\r\n",
        body.len()
    );
    if !head_only {
        text += body;
    }
    socket.write_all(text.as_bytes())?;
    socket.flush()
}

/// Takes what somebody says still, for a moment, and forgets it: a connection that is closed before breaks, and the
/// answer with it.
pub(crate) fn let_say(socket: &mut TcpStream) {
    let mut chunk = [0; 1024];
    let end = Instant::now() + MOMENT;
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    for _ in 0..MORE {
        let left = end.saturating_duration_since(Instant::now());
        let heard = !left.is_zero() && socket.set_read_timeout(Some(left)).is_ok();
        if !heard || !socket.read(&mut chunk).is_ok_and(|count| count > 0) {
            return;
        }
    }
}

/// What a browser may do with an answer: nothing but to show this port's own page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
