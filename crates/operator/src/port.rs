//! [`Port`]: listens, and shows what it is asked for.

use std::net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::http::{self, Answer, Request};
use crate::metrics::metrics;
use crate::state::{State, Watched};
use crate::token::{Token, TokenError};

/// Connections at a time; those beyond are closed at once.
const MOST: usize = 32;

/// Stack of a thread that answers one.
const STACK: usize = 512 << 10;

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Others could look at it.
    #[error(
        "operator.listen is {0:?}, which other machines can reach: name a file with a token, operator.token, or listen on \
         127.0.0.1. The port speaks plain HTTP: keep it within your network, or put TLS before it"
    )]
    Open(String),
    /// The token cannot be used.
    #[error("operator.token: {0}")]
    Token(#[from] TokenError),
    /// It cannot listen there.
    #[error("operator.listen: cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A port that listens.
pub struct Port {
    listener: TcpListener,
    token: Option<Token>,
}

impl Port {
    /// Listens at an address. One that other machines can reach needs a token.
    ///
    /// # Errors
    /// It has none, or the address is taken, or is none.
    pub fn open(address: &str, token: Option<Token>) -> Result<Port, PortError> {
        let fail = |source| PortError::Listen { address: address.into(), source };
        let all: Vec<_> = address.to_socket_addrs().map_err(fail)?.collect();
        if token.is_none() && !all.iter().all(|address| address.ip().is_loopback()) {
            return Err(PortError::Open(address.into()));
        }
        let listener = TcpListener::bind(&*all).map_err(fail)?;
        Ok(Port { listener, token })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers, until the process ends.
    pub fn serve(self, watched: Arc<dyn Watched>) {
        let inside = Arc::new(AtomicUsize::new(0));
        let token = self.token.map(Arc::new);
        loop {
            let Ok((socket, _)) = self.listener.accept() else {
                // A system that is out of descriptors has some again later.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let place = Place::take(&inside);
            if inside.load(Ordering::Relaxed) > MOST {
                continue;
            }
            let (watched, token) = (Arc::clone(&watched), token.clone());
            // Where there is no thread for it, it finds its connection closed.
            let _ = thread::Builder::new().stack_size(STACK).spawn(move || {
                let _place = place;
                converse(socket, &*watched, token.as_deref());
            });
        }
    }
}

/// A place among those who are answered.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(inside: &Arc<AtomicUsize>) -> Place {
        inside.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(inside))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn converse(mut socket: TcpStream, watched: &dyn Watched, token: Option<&Token>) {
    let Ok(request) = http::read(&mut socket) else { return };
    let whole = request.as_ref().is_some_and(|request| matches!(request.method.as_str(), "GET" | "HEAD"));
    let head_only = request.as_ref().is_some_and(|request| request.method == "HEAD");
    let answer = match request {
        Some(request) => respond(&request, watched, token),
        None => Answer::text("400 Bad Request", "this is no request\n"),
    };
    // Who asked may be gone.
    let _ = http::answer(&mut socket, &answer, head_only);
    if !whole {
        http::let_say(&mut socket);
    }
}

/// What is said to a request.
fn respond(request: &Request, watched: &dyn Watched, token: Option<&Token>) -> Answer {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        let answer = Answer::text("405 Method Not Allowed", "nothing is changed here: GET or HEAD\n");
        return Answer { more: "Allow: GET, HEAD\r\n", ..answer };
    }
    if token.is_none() && !request.host.as_deref().is_none_or(names_no_site) {
        // A page of some site, whose name leads here all at once, would read what the operator's browser may.
        return Answer::text("421 Misdirected Request", "ask for this port by its address, not by a name\n");
    }
    match request.path.as_str() {
        // These say nothing of the party.
        "/healthz" => return Answer::text("200 OK", "ok\n"),
        "/" => return Answer::new("200 OK", "text/html; charset=utf-8", include_str!("page/index.html")),
        "/page.js" => {
            return Answer::new("200 OK", "text/javascript; charset=utf-8", include_str!("page/page.js"));
        }
        "/page.css" => {
            return Answer::new("200 OK", "text/css; charset=utf-8", include_str!("page/page.css"));
        }
        _ => {}
    }
    if token.is_some_and(|token| !request.bearer.as_deref().is_some_and(|said| token.is(said))) {
        if request.path == "/readyz" {
            // The probe of a node has no token. The causes are for who has one.
            let ready = watched.state().ready();
            return if ready {
                Answer::text("200 OK", "ready\n")
            } else {
                Answer::text("503 Service Unavailable", "not ready: the causes are for who has the token\n")
            };
        }
        let answer = Answer::text(
            "401 Unauthorized",
            "the operator's token is asked for: Authorization: Bearer TOKEN\n",
        );
        return Answer { more: "WWW-Authenticate: Bearer\r\n", ..answer };
    }
    match request.path.as_str() {
        "/readyz" => readiness(&watched.state()),
        "/metrics" => {
            Answer::new("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics(&watched.state()))
        }
        "/status.json" => {
            let state = watched.state();
            json_answer("200 OK", &json!({ "ready": state.ready(), "state": state }))
        }
        _ => Answer::text("404 Not Found", "there are /, /healthz, /readyz, /metrics and /status.json\n"),
    }
}

fn readiness(state: &State) -> Answer {
    let said = json!({ "ready": state.ready(), "causes": state.causes });
    json_answer(if state.ready() { "200 OK" } else { "503 Service Unavailable" }, &said)
}

fn json_answer(status: &'static str, value: &serde_json::Value) -> Answer {
    Answer::new(status, "application/json", format!("{value:#}\n"))
}

/// Whether a host is an address, or this machine itself: no name that somebody else could have lead here.
fn names_no_site(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}
