//! What a party is and has, in each of its processes.

use std::time::Instant;

use cryptflow_wire::Role;

use crate::attested::Trust;
use crate::config::Config;
use crate::service::ServiceError;
use crate::store::Store;

/// A party's site.
pub(crate) struct Site {
    pub(crate) config: Config,
    /// Which party.
    pub(crate) index: usize,
    pub(crate) store: Store,
    pub(crate) trust: Option<Trust>,
}

impl Site {
    /// What a configuration describes.
    ///
    /// # Errors
    /// It is a client's, or the store cannot be used.
    pub(crate) fn new(config: Config, trust: Option<Trust>) -> Result<Site, ServiceError> {
        let Role::Party(index) = config.role else { return Err(ServiceError::NoParty) };
        let index = usize::from(index);
        let store = Store::open(&config.store, index)?;
        Ok(Site { config, index, store, trust })
    }

    /// A moment by which everybody must have come together.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.config.session.deadline
    }
}
