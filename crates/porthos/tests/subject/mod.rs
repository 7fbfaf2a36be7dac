//! Porthos as the suites of `mpc` see it.

use cryptflow_conformance::secrecy;
use cryptflow_conformance::suite::{Subject, Traits};
use cryptflow_mpc::Error;
use cryptflow_mpc::keys::Keys;
use cryptflow_porthos::{Porthos, PorthosCosts, PorthosOwner, Truncation};
use cryptflow_wire::Links;

/// Porthos, with the parameter that the tests vary.
pub(crate) struct Conforming(pub(crate) Truncation);

impl Subject for Conforming {
    const PARTIES: usize = 3;

    type Protocol = Porthos;
    type Owner = PorthosOwner;
    type Costs = PorthosCosts;

    fn join(&self, links: Links, ring_bits: u32) -> Result<Porthos, Error> {
        Ok(Porthos::new(links, ring_bits)?.with_truncation(self.0))
    }

    fn owner(&self, ring_bits: u32) -> PorthosOwner {
        PorthosOwner::new(ring_bits)
    }

    fn costs(&self, _ring_bits: u32) -> PorthosCosts {
        PorthosCosts { truncation: self.0 }
    }

    fn traits(&self) -> Traits {
        Traits {
            // It computes modulo 2^64 whatever the program says: narrower programs would add time
            // and no case. A dealt truncation is exact for |z| < 2^62, which bounds of programs
            // over Z_2^63 imply.
            ring_bits: 48..=if self.0 == Truncation::Local { 64 } else { 63 },
            compare_bits: 63,
            local_truncation: self.0 == Truncation::Local,
            bias: 0.0,
            blocks: vec![1 << 14],
        }
    }
}

impl secrecy::Subject for Conforming {
    const LISTENS: bool = true;
    const ALPHABETS: &'static [usize] = &[256, 127];
    const VALUE_WORDS: [Option<usize>; 3] = [None, Some(0), None];
    const WEIGHT_WORDS: [Option<usize>; 3] = [None, Some(0), None];
    const HELPER_DRAWS_THE_SAME: bool = false;

    fn part_bits(&self, _ring_bits: u32) -> u32 {
        64
    }

    fn insecure_join(&self, links: Links, keys: Keys, _ring_bits: u32) -> Result<Porthos, Error> {
        Ok(Porthos::insecure_with_keys(links, keys).with_truncation(self.0))
    }
}
