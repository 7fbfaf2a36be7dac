//! What a party sees of a network in which every operation is could be what it sees under other
//! secrets: in tensors of several blocks and waves, with either truncation.

use cryptflow_conformance::secrecy::coupling::{Coupled, Coupling, Joint, Masks, Sharing};
use cryptflow_conformance::secrecy::network::Network;
use cryptflow_conformance::secrecy::{self, Fault, PARTIES, Subject, seeds};
use cryptflow_mpc::clear::sign_extend;
use cryptflow_mpc::{Definition, Owner, Party};
use cryptflow_porthos::{Porthos, Share, Tuning};

use super::subject::{dealt, local};

/// As small as they can be: tensors of the network have four blocks and two waves, or more.
pub(crate) const SHORT: Tuning = Tuning { block: 128, wave: 300, ..Tuning::USUAL };

/// The modulus of a comparison's bytes.
const P: u8 = 127;
/// Rows of a comparison, and lanes of a group.
const LANES: usize = 64;
/// Words of a group.
const GROUP_WORDS: usize = 512;

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn multiply(a: u8, b: u8) -> u8 {
    (u16::from(a) * u16::from(b) % u16::from(P)) as u8
}

/// `a / b` modulo 127.
fn divide(a: u8, b: u8) -> u8 {
    (1..P).find(|q| multiply(*q, b) == a).unwrap_or(0)
}

fn subtract(a: u8, b: u8) -> u8 {
    (a + P - b) % P
}

/// x = x0 + x1, where x0 is a mask.
pub(crate) struct Written;

impl Sharing<Porthos> for Written {
    fn value(&self, party: Party, bits: u32, x: &[u64], [x0, _]: &Masks) -> Share {
        let data = match party {
            Party::P0 => x0.clone(),
            Party::P1 => {
                x.iter().zip(x0).map(|(x, x0)| (sign_extend(*x, bits) as u64).wrapping_sub(*x0)).collect()
            }
            _ => Vec::new(),
        };
        Share { data, len: x.len() }
    }

    fn weight(&self, party: Party, bits: u32, w: &[u64], masks: &Masks) -> Share {
        self.value(party, bits, w, masks)
    }

    /// Bytes of cells are 1 to 126: elements, and factors.
    fn fit(word: u64) -> u64 {
        u64::from_le_bytes(word.to_le_bytes().map(|byte| 1 + byte % (P - 1)))
    }

    /// The cells of a group of comparisons. A lane that has a zero where it had none, or none where it had
    /// one, gets the other question: its cells are solved in the next run. Else its zero is moved to where
    /// it was, and every cell gets the factor and the share of zero that make of it what it was.
    fn solved(&self, joint: &Joint<'_>) -> Vec<(u64, u64, u64)> {
        let group = joint.first / GROUP_WORDS as u64;
        // Streams are drawn in this order, with the places of their words.
        let places = [
            (-2i64, group, 1),
            (-1, joint.first, GROUP_WORDS),
            (0, joint.first, GROUP_WORDS),
            (1, group * 8, 8),
        ];
        let places =
            places.map(|(stream, first, count)| (joint.domain.wrapping_add_signed(stream), first, count));
        let before = places.map(|(stream, first, count)| (joint.words)(stream, first, count));
        let [mut coins, mut factors, mut zeros, mut rows] = before.each_ref().map(|words| bytes(words));
        let (was, is) = (joint.was.map(bytes), joint.is.map(bytes));
        let sum = |cells: &[Vec<u8>; 2], at: usize| (cells[0][at] + cells[1][at]) % P;
        for lane in 0..LANES {
            let zero = |cells| (0..LANES).find(|row| sum(cells, row * LANES + lane) == 0);
            let (there, here) = (zero(&was), zero(&is));
            if there.is_some() != here.is_some() {
                coins[lane / 8] ^= 1 << (lane % 8);
                continue;
            }
            let moved = there.unwrap_or(0) ^ here.unwrap_or(0);
            rows[lane] ^= moved as u8;
            let place = usize::from(rows[lane] & 63);
            for row in 0..LANES {
                let (due, now) = (row * LANES + lane, (row ^ moved) * LANES + lane);
                let ratio = if sum(&is, now) == 0 { 1 } else { divide(sum(&was, due), sum(&is, now)) };
                let at = (row ^ place) * LANES + lane;
                let bare = subtract(is[0][now], zeros[at]);
                factors[at] = multiply(factors[at], ratio);
                zeros[at] = subtract(was[0][due], multiply(bare, ratio));
            }
        }
        let mut solved = Vec::new();
        for (((stream, first, _), before), after) in
            places.into_iter().zip(&before).zip([coins, factors, zeros, rows])
        {
            let after = after.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            let changed =
                (first..).zip(before.iter().zip(after)).filter(|(_, (before, after))| *before != after);
            solved.extend(changed.map(|(at, (_, after))| (stream, at, after)));
        }
        solved
    }

    /// An evaluator's share stays.
    fn moved(&self, party: Party, bits: u32, [x0, rest]: &Masks, from: &[u64], to: &[u64]) -> Masks {
        let signed = |x: u64| sign_extend(x, bits) as u64;
        let moved = |i: usize| match party {
            Party::P1 => x0[i].wrapping_add(signed(to[i])).wrapping_sub(signed(from[i])),
            _ => x0[i],
        };
        [(0..x0.len()).map(moved).collect(), rest.clone()]
    }
}

pub(crate) fn coupled<D: Definition<Protocol = Porthos> + Sync>(
    subject: &Subject<D>,
    ring_bits: u32,
    party: Party,
    secrets: [u64; 2],
) -> Result<Coupled, String> {
    let coupling = Coupling { subject, sharing: Written };
    let network = Network { ring_bits };
    let coupled = coupling.check(&network, party, secrets)?;
    coupling.check_refused(&network, party, secrets)?;
    Ok(coupled)
}

#[test]
fn every_view_is_one_under_other_secrets() {
    for party in PARTIES {
        for (name, coupled) in [
            ("local", coupled(&local(SHORT), 64, party, [1, 2])),
            ("dealt", coupled(&dealt(SHORT), 40, party, [1, 2])),
        ] {
            println!("{name} {party} {coupled:?}");
            let coupled = coupled.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(coupled.hidden > 0 && coupled.moved > 0);
        }
    }
}

/// What a client opens of the network.
pub(crate) fn answers(tuning: Tuning, ring_bits: u32) -> Vec<Vec<i64>> {
    let (subject, network) = (dealt(tuning), Network { ring_bits });
    let run = secrecy::run(&subject, &network, 1, seeds(4), Fault::None).unwrap();
    let owner = subject.definition.owner(ring_bits);
    let outputs = run.revealed[0].iter().zip(&run.revealed[1]);
    outputs.map(|(a, b)| owner.open(a.len() / 8, &[a, b, &[]]).unwrap()).collect()
}
