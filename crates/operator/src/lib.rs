//! The port of whoever operates a party: is it alive, is it ready, how much does it do; for Prometheus, for
//! whatever starts and stops processes, and for a browser.
//!
//! It shows what a [`Watched`] says, changes nothing, and knows nothing of parties. It is small, as it is a
//! part of what gets attested: a request's head is read with `httparse`, and nothing else of a request is.

mod http;
mod metrics;
mod port;
mod state;
mod token;

pub use metrics::metrics;
pub use port::{Port, PortError};
pub use state::{
    Audit, Cause, Files, Memory, Model, Party, Peer, Places, Session, State, Totals, Version, Watched,
};
pub use token::{Token, TokenError};
