//! What Mirror says of itself.

use cryptflow_mpc::definition::{Definition, Facts, Piece};
use cryptflow_mpc::keys::{Fresh, Keys, Scope, agree_with};
use cryptflow_mpc::{Error, Older, Party};
use cryptflow_ring::Words;
use cryptflow_wire::Links;

use crate::mirror::{PARTIES, variant};
use crate::share::{Part, SEED, difference, mirrored, read_weight};
use crate::{Mirror, MirrorCosts, MirrorOwner, Tuning};

/// Mirror, as a protocol that can be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct MirrorDefinition {
    /// What a round is worth. All parties must have the same: keys follow from it.
    pub tuning: Tuning,
}

/// What a round is worth on a network that is so slow that what P2 deals comes beside the rounds, and is not waited for. Where rounds are
/// cheaper, all traffic is work for somebody, whoever sends it.
const SLOW: u64 = 3_000_000;

impl Definition for MirrorDefinition {
    type Protocol = Mirror;
    type Owner = MirrorOwner;
    type Costs = MirrorCosts;

    const FACTS: Facts = Facts {
        name: "mirror",
        title: "Mirror",
        help: "Nobody sees anything; at most one party may be curious",
        parties: PARTIES,
        dealer: Some(Party::P2),
        ahead: true,
        sharing: "mirror",
        pieces: &[
            Piece { holders: &[Party::P0, Party::P2], bytes: Some(SEED) },
            Piece { holders: &[Party::P1, Party::P2], bytes: Some(SEED) },
            Piece { holders: &[Party::P0, Party::P1], bytes: None },
        ],
        usual: true,
        unprotected: None,
        weight_bits: None,
    };

    fn prepare_weight(
        &self,
        party: Party,
        ring_bits: u32,
        name: &str,
        len: usize,
        part: &[u8],
        bits: u32,
    ) -> Result<Option<Words>, Error> {
        let bits = bits.min(ring_bits);
        let (part, from) = read_weight(name, part, party == Party::P2, len, [ring_bits, bits])?;
        Ok(Some(match part {
            Part::Evaluator(seed, m) => mirrored(&seed, m, len, [from, bits]),
            Part::Dealer(seeds) => difference(&seeds, len, bits),
        }))
    }

    fn for_network(mut self, bits_per_round: Option<u64>) -> MirrorDefinition {
        if let Some(bits) = bits_per_round {
            self.tuning.bits_per_round = bits;
            self.tuning.chooses_wide = true;
            self.tuning.deals_beside = bits >= SLOW;
        }
        self
    }

    fn with_older(mut self, release: Older) -> MirrorDefinition {
        self.tuning.masks_signs = false;
        if release == Older::OneByOne {
            self.tuning.beside = false;
            self.tuning.deals_beside = false;
        }
        self
    }

    fn begin(&self, links: Links, scope: &Scope) -> Result<Mirror, Error> {
        Mirror::new(links, scope, self.tuning)
    }

    fn agree_ahead(
        &self,
        links: &Links,
        others: &[Party],
        scope: &Scope,
    ) -> Result<Vec<(Party, Fresh)>, Error> {
        agree_with(links, others, scope, &variant(&self.tuning.parameters()))
    }

    fn begin_ahead(&self, links: Links, scope: &Scope, keys: Vec<(Party, Fresh)>) -> Result<Mirror, Error> {
        let keys = Keys::agree_beside(&links, scope, &variant(&self.tuning.parameters()), keys)?;
        let mirror = Mirror::insecure_with_keys(links, keys, scope.ring_bits, self.tuning)?;
        Ok(mirror.dealt_ahead())
    }

    fn owner(&self, ring_bits: u32) -> MirrorOwner {
        let owner = MirrorOwner::new(ring_bits);
        #[cfg(all(test, debug_assertions))]
        let owner = MirrorOwner { planted: self.tuning.planted, ..owner };
        owner
    }

    fn costs(&self, _ring_bits: u32) -> MirrorCosts {
        MirrorCosts { tuning: self.tuning }
    }
}
