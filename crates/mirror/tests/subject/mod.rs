//! Mirror as the suites of `mpc` see it.

use cryptflow_conformance::secrecy;
use cryptflow_conformance::suite::{Subject, Traits};
use cryptflow_mirror::{Mirror, MirrorCosts, MirrorOwner, Tuning};
use cryptflow_mpc::Error;
use cryptflow_mpc::keys::Keys;
use cryptflow_wire::Links;

/// Mirror, with the parameter that the tests vary.
pub(crate) struct Conforming(pub(crate) Tuning);

impl Subject for Conforming {
    const PARTIES: usize = 3;

    type Protocol = Mirror;
    type Owner = MirrorOwner;
    type Costs = MirrorCosts;

    fn join(&self, links: Links, ring_bits: u32) -> Result<Mirror, Error> {
        Mirror::new(links, ring_bits, self.0)
    }

    fn owner(&self, ring_bits: u32) -> MirrorOwner {
        MirrorOwner::new(ring_bits)
    }

    fn costs(&self, _ring_bits: u32) -> MirrorCosts {
        MirrorCosts { tuning: self.0 }
    }

    fn traits(&self) -> Traits {
        Traits {
            ring_bits: 2..=64,
            compare_bits: 64,
            local_truncation: false,
            // A sum of one product keeps a trace of its weight's mask: 0.0017 units on average.
            bias: 0.004,
            blocks: vec![1 << 14],
        }
    }
}

impl secrecy::Subject for Conforming {
    const LISTENS: bool = false;
    const ALPHABETS: &'static [usize] = &[256];
    const VALUE_WORDS: [Option<usize>; 3] = [Some(16), Some(16), None];
    const WEIGHT_WORDS: [Option<usize>; 3] = [Some(0), Some(0), None];
    const HELPER_DRAWS_THE_SAME: bool = true;

    fn part_bits(&self, ring_bits: u32) -> u32 {
        ring_bits
    }

    fn insecure_join(&self, links: Links, keys: Keys, ring_bits: u32) -> Result<Mirror, Error> {
        Mirror::insecure_with_keys(links, keys, ring_bits, self.0)
    }
}
