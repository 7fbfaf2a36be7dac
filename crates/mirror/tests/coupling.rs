//! What a party sees of a network in which every operation is could be what it sees under other
//! secrets: in tensors of several blocks, windows and waves, over rings of 8 to 64 bits.

use cryptflow_conformance::secrecy::coupling::{Coupled, Coupling, Masks, Sharing};
use cryptflow_conformance::secrecy::network::Network;
use cryptflow_conformance::secrecy::{self, Fault, PARTIES, Subject, seeds};
use cryptflow_mirror::{Mirror, MirrorDefinition, Tuning};
use cryptflow_mpc::{Definition, Owner, Party};

use super::subject::subject;
use crate::share::{Masked, MirroredWeight, WeightPart, low_bits};

/// As small as they can be: tensors of the network have four blocks, two windows and two waves, or
/// more.
pub(crate) const SHORT: Tuning =
    Tuning { bits_per_round: 0, block: 128, window: 2, wave: 384, ..Tuning::USUAL };

/// The same, for a network on which no bytes are too many for a round.
pub(crate) const SHORT_WIDE: Tuning = Tuning { bits_per_round: u64::MAX, chooses_wide: true, ..SHORT };

/// x = m − r0 − r1.
pub(crate) struct Written;

fn masked(x: &[u64], masks: &Masks, bits: u32) -> [Vec<u64>; 3] {
    let [r0, r1] = masks;
    let m = (0..x.len()).map(|i| x[i].wrapping_add(r0[i]).wrapping_add(r1[i]));
    [m.collect(), r0.clone(), r1.clone()]
        .map(|words: Vec<u64>| words.iter().map(|w| w & low_bits(bits)).collect())
}

impl Sharing<Mirror> for Written {
    fn value(&self, party: Party, bits: u32, x: &[u64], masks: &Masks) -> Masked {
        let [m, r0, r1] = masked(x, masks, bits);
        match party {
            Party::P0 => Masked { a: m, b: r0, bits },
            Party::P1 => Masked { a: m, b: r1, bits },
            _ => Masked { a: r0, b: r1, bits },
        }
    }

    fn weight(&self, party: Party, bits: u32, w: &[u64], masks: &Masks) -> MirroredWeight {
        let mirrored = self.value(party, bits, w, masks).mirrored(party == Party::P2);
        let part = if party == Party::P2 {
            WeightPart::Difference(mirrored.into())
        } else {
            WeightPart::Evaluator(mirrored.into())
        };
        MirroredWeight { part, len: w.len(), bits }
    }

    /// An evaluator's m stays, and its own mask; P2's two masks stay.
    fn moved(&self, party: Party, _: u32, [r0, r1]: &Masks, from: &[u64], to: &[u64]) -> Masks {
        let moved = |mask: &[u64]| -> Vec<u64> {
            (0..mask.len()).map(|i| mask[i].wrapping_add(from[i]).wrapping_sub(to[i])).collect()
        };
        match party {
            Party::P0 => [r0.clone(), moved(r1)],
            Party::P1 => [moved(r0), r1.clone()],
            _ => [r0.clone(), r1.clone()],
        }
    }
}

pub(crate) fn coupled(
    tuning: Tuning,
    ring_bits: u32,
    party: Party,
    secrets: [u64; 2],
) -> Result<Coupled, String> {
    let subject: Subject<MirrorDefinition> = subject(tuning);
    let coupling = Coupling { subject: &subject, sharing: Written };
    let network = Network { ring_bits };
    let coupled = coupling.check(&network, party, secrets)?;
    coupling.check_refused(&network, party, secrets)?;
    Ok(coupled)
}

#[test]
fn every_view_is_one_under_other_secrets() {
    assert_eq!(Network::wrong_entries(), Vec::<&str>::new());
    for (ring_bits, tuning) in
        [(8, SHORT), (17, SHORT), (40, SHORT), (64, SHORT), (17, SHORT_WIDE), (40, SHORT_WIDE)]
    {
        for party in PARTIES {
            let began = std::time::Instant::now();
            let coupled =
                coupled(tuning, ring_bits, party, [1, 2]).unwrap_or_else(|e| panic!("{ring_bits} bits: {e}"));
            println!("{ring_bits} {party} {coupled:?} {:?}", began.elapsed());
            assert!(coupled.hidden > 0 && coupled.moved > 0);
        }
    }
}

/// What a client opens of the network.
pub(crate) fn answers(tuning: Tuning, ring_bits: u32) -> Vec<Vec<i64>> {
    let (subject, network) = (subject(tuning), Network { ring_bits });
    let run = secrecy::run(&subject, &network, 1, seeds(4), Fault::None).unwrap();
    let owner = subject.definition.owner(ring_bits);
    let outputs = run.revealed[0].iter().zip(&run.revealed[1]);
    let open = |(a, b): (&Vec<u8>, &Vec<u8>)| {
        let len = (a.len() - 1) * 8 / usize::from(a[0]);
        owner.open(len, &[a, b, &[]]).unwrap()
    };
    outputs.map(open).collect()
}
