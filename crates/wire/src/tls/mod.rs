//! TLS 1.3 with both ends authenticated by pinned public keys.
//!
//! An organisation is its key: whoever talks to it has written down the key's [`Fingerprint`]
//! before. The certificate only carries the key: no authority signs it, and its names and dates
//! mean nothing. There is no resumption and no early data, so every connection has fresh keys.

mod arrival;
mod channel;
mod identity;
mod route;
mod stream;
mod verify;

pub use arrival::Arrival;
pub use channel::Channel;
#[cfg(all(test, unix))]
pub(crate) use identity::forbidden;
pub use identity::{Fingerprint, Identity, IdentityError, Keys, NoFingerprint, NoSignature, exposed, signer};
pub use route::Route;
