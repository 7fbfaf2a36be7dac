//! What the reference says of itself.

use cryptflow_wire::Links;

use super::Clear;
use super::owner::PARTIES;
use crate::definition::{Definition, Facts, Piece};
use crate::keys::Scope;
use crate::{Error, Party};

/// [`Clear`], as a protocol that can be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearDefinition;

impl Definition for ClearDefinition {
    type Protocol = Clear;
    type Owner = Clear;
    type Costs = Clear;

    const FACTS: Facts = Facts {
        name: "clear",
        title: "plain fixed point",
        help: "Without any protection, every party sees everything: for finding errors",
        parties: PARTIES,
        dealer: None,
        ahead: false,
        sharing: "clear",
        pieces: &[Piece { holders: &[Party::P0, Party::P1, Party::P2], bytes: None }],
        usual: false,
        unprotected: Some("shows every secret to every party; it is for finding errors on one machine"),
        weight_bits: None,
    };

    /// It has no choice.
    fn for_network(self, _: Option<u64>) -> Self {
        self
    }

    fn begin(&self, links: Links, scope: &Scope) -> Result<Clear, Error> {
        match links.parties() {
            PARTIES => Ok(Clear::new(Party::new(links.index()), scope.ring_bits)),
            other => Err(Error::parties(other, PARTIES)),
        }
    }

    fn owner(&self, ring_bits: u32) -> Clear {
        Clear::new(Party::P0, ring_bits)
    }

    fn costs(&self, ring_bits: u32) -> Clear {
        Clear::new(Party::P0, ring_bits)
    }
}
