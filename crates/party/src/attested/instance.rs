//! A participant's key for one session, from which the keys of its links are made.
//!
//! It is the only secret on which the integrity of an attested session rests: see
//! docs/security/aramis.md. Whoever holds it can speak in the participant's name, in this session
//! alone.

use cryptflow_mpc::keys;
use cryptflow_wire::{Guard, Role};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::AttestationError;
use crate::messages::SessionError;

/// An X25519 key that one run of one participant has for one session. It is never written anywhere.
pub struct Instance {
    secret: StaticSecret,
    public: [u8; 32],
}

impl Instance {
    /// A fresh one, from the operating system's randomness.
    ///
    /// # Errors
    /// There is none.
    pub fn fresh() -> Result<Instance, SessionError> {
        let mut bytes = Zeroizing::new([0; 32]);
        keys::random(bytes.as_mut_slice())?;
        let secret = StaticSecret::from(*bytes);
        let public = PublicKey::from(&secret).to_bytes();
        Ok(Instance { secret, public })
    }

    /// What others know it by.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The guard of the link to a peer. `exporter` ties it to the connection that it runs over.
    ///
    /// # Errors
    /// The peer's key is none that gives a secret.
    pub fn guard(
        &self,
        peer_key: &[u8; 32],
        session: [u8; 32],
        own: Role,
        peer: Role,
        exporter: &[u8; 32],
    ) -> Result<Guard, SessionError> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*peer_key));
        if !shared.was_contributory() {
            return Err(AttestationError::WeakKey(peer).into());
        }
        let (low, high) =
            if self.public < *peer_key { (&self.public, peer_key) } else { (peer_key, &self.public) };
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow 2026 attested link v1");
        hasher.update(shared.as_bytes()).update(low).update(high).update(exporter);
        let secret = Zeroizing::new(*hasher.finalize().as_bytes());
        Ok(Guard::new(&secret, session, own, peer))
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}
