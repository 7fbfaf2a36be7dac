//! A toy of two parties passes the suite: nothing in it, in links, costs or owners assumes three.
//!
//! Shares are additive over Z_2^k. What a helper would deal, masks and whatever is made of them, is
//! dealt in the clear, from a seed that both parties know: so each of them sees everything, and the
//! protocol protects nothing.

use cryptflow_conformance::suite::{self, Family, Traits, Transport};
use cryptflow_mpc::clear::{ClearDefinition, reduce, sign_extend};
use cryptflow_mpc::definition::Facts;
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{
    Clear, ClearValue, Cost, CostModel, Definition, Error, Layout, Operand, Operands, Owner, Party, Place,
    Protocol, keys,
};
use cryptflow_operation::{Bounds, Linear, Operation, WeightId};
use cryptflow_ring::Prf;
use cryptflow_ring::bilinear::bilinear_into;
use cryptflow_wire::Links;

const PARTIES: usize = 2;
const WORD: usize = 8;

/// x = x0 + x1 modulo 2^bits.
#[derive(Clone)]
struct Share {
    data: Vec<u64>,
    bits: u32,
}

impl Share {
    fn plain(self) -> ClearValue {
        ClearValue { data: self.data, bits: self.bits }
    }
}

struct InsecureTwoParties {
    party: Party,
    links: Links,
    clear: Clear,
    /// What the helper would deal, and the number of streams that were drawn from it.
    dealt: Prf,
    streams: u64,
}

impl InsecureTwoParties {
    fn new(links: Links, ring_bits: u32) -> Result<InsecureTwoParties, Error> {
        if links.parties() != PARTIES {
            return Err(Error::parties(links.parties(), PARTIES));
        }
        let party = Party::new(links.index());
        let (clear, dealt) = (Clear::new(party, ring_bits), Prf::new([7; 16]));
        Ok(InsecureTwoParties { party, links, clear, dealt, streams: 0 })
    }

    fn deal(&mut self, len: usize, bits: u32) -> Vec<u64> {
        let mut words = vec![0; len];
        self.dealt.fill_words(self.streams, 0, &mut words);
        self.streams += 1;
        words.iter().map(|&w| reduce(w, bits)).collect()
    }

    /// Opens secrets under masks that both parties know. One round.
    fn open(&mut self, shares: &[&Share]) -> Result<Vec<ClearValue>, Error> {
        let masks: Vec<Vec<u64>> = shares.iter().map(|x| self.deal(x.data.len(), x.bits)).collect();
        let mut message = Vec::new();
        for (x, mask) in shares.iter().zip(&masks) {
            for (v, a) in x.data.iter().zip(mask) {
                let masked = if self.party == Party::P0 { v.wrapping_sub(*a) } else { *v };
                message.extend_from_slice(&masked.to_le_bytes());
            }
        }
        let mut theirs = message.clone();
        if !message.is_empty() {
            let peer = self.links.to(1 - self.party.index());
            peer.send(message.clone())?;
            theirs = peer.recv(message.len())?;
        }
        let mut masked = words(&message).zip(words(&theirs)).map(|(a, b)| a.wrapping_add(b));
        let opened = shares.iter().zip(&masks).map(|(x, mask)| {
            let data =
                mask.iter().zip(&mut masked).map(|(a, m)| reduce(m.wrapping_add(*a), x.bits)).collect();
            ClearValue { data, bits: x.bits }
        });
        Ok(opened.collect())
    }

    /// This party's share of a result that the helper would have dealt.
    fn share(&mut self, x: &ClearValue) -> Share {
        let mut pad = self.deal(x.data.len(), x.bits);
        if self.party == Party::P0 {
            pad.iter_mut().zip(&x.data).for_each(|(p, v)| *p = reduce(v.wrapping_sub(*p), x.bits));
        }
        Share { data: pad, bits: x.bits }
    }

    /// Runs an operation of the reference, on whole values or on shares.
    fn plainly(
        &mut self,
        operation: &Operation,
        inputs: &[ClearValue],
        shapes: &[&[usize]],
        weights: &[ClearValue],
        ring_bits: u32,
    ) -> Result<ClearValue, Error> {
        let inputs = inputs.iter().zip(shapes).map(|(value, shape)| Operand { shape, value }).collect();
        self.clear.apply(operation, &Operands { inputs, weights, ring_bits })
    }

    /// The products from opened factors, then the truncation of their opened sum.
    fn linear(&mut self, o: &Linear, on: &Operands<'_, Self>) -> Result<ClearValue, Error> {
        let terms = on.terms(o)?;
        let bits = terms.iter().map(|term| term.x.bits).min().unwrap_or(on.ring_bits);
        let factors: Vec<&Share> = terms.iter().flat_map(|term| [term.x, term.w]).collect();
        let opened = self.open(&factors)?;
        let bias = on.bias(o)?;
        let len = terms.first().map_or_else(|| bias.map_or(0, |b| b.data.len()), |t| t.map.output_len());
        let mut sum = vec![0; len];
        for (term, factors) in terms.iter().zip(opened.chunks_exact(2)) {
            bilinear_into(term.map, &factors[0].data, &factors[1].data, 64, &mut sum)?;
        }
        sum.iter_mut().for_each(|v| *v = reduce(*v, bits));
        let mut sum = self.share(&ClearValue { data: sum, bits });
        if let Some(bias) = bias {
            for (v, b) in sum.data.iter_mut().zip(bias.data.iter().cycle()) {
                *v = reduce(v.wrapping_add(*b), bits);
            }
        }
        let sum = self.open(&[&sum])?;
        let shift = Linear { terms: Vec::new(), bias: Some(WeightId(0)), shift: o.shift };
        self.plainly(&Operation::Linear(shift), &[], &[], &sum, bits)
    }
}

/// Whether a share of the result follows from shares of the operands alone.
fn is_local(operation: &Operation) -> bool {
    match operation {
        Operation::SumPool(_) | Operation::Add | Operation::Sub | Operation::Movement(_) => true,
        Operation::Linear(_)
        | Operation::Product(_)
        | Operation::Compare(_)
        | Operation::Combine(_)
        | Operation::ScalePublic(_)
        | Operation::Widen
        | Operation::Activation(_)
        | Operation::MaxPool(_) => false,
    }
}

impl Protocol for InsecureTwoParties {
    type Value = Share;
    type Weight = Share;

    fn party(&self) -> Party {
        self.party
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<Share, Error> {
        read(name, &part, len, self.clear.ring_bits())
    }

    fn receive_weight(&mut self, name: &str, len: usize, part: Vec<u8>, _bits: u32) -> Result<Share, Error> {
        self.receive_value(name, len, part)
    }

    fn require_within(&mut self, inputs: &[(&Share, Bounds)]) -> Result<(), Error> {
        let (shares, bounds): (Vec<&Share>, Vec<Bounds>) = inputs.iter().copied().unzip();
        let opened = self.open(&shares)?;
        self.clear.require_within(&opened.iter().zip(bounds).collect::<Vec<_>>())
    }

    fn reveal(&mut self, x: &Share) -> Result<Vec<u8>, Error> {
        Ok([vec![x.bits as u8], bytes(&x.data)].concat())
    }

    fn apply(&mut self, operation: &Operation, on: &Operands<'_, Self>) -> Result<Share, Error> {
        if let Operation::Linear(o) = operation {
            let result = self.linear(o, on)?;
            return Ok(self.share(&result));
        }
        let shapes: Vec<&[usize]> = on.inputs.iter().map(|x| x.shape).collect();
        let shares: Vec<&Share> = on.inputs.iter().map(|x| x.value).collect();
        if is_local(operation) {
            let own: Vec<ClearValue> = shares.into_iter().map(|x| x.clone().plain()).collect();
            let ClearValue { data, bits } = self.plainly(operation, &own, &shapes, &[], on.ring_bits)?;
            return Ok(Share { data, bits });
        }
        let opened = self.open(&shares)?;
        let result = self.plainly(operation, &opened, &shapes, &[], on.ring_bits)?;
        Ok(self.share(&result))
    }

    fn metered(&self) -> Cost {
        Cost::seen(&self.links)
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks::<WORD>().0.iter().map(|&w| u64::from_le_bytes(w))
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn read(name: &str, part: &[u8], len: usize, bits: u32) -> Result<Share, Error> {
    if part.len() != len * WORD {
        return Err(Error::Share { name: name.into(), reason: format!("{} bytes came", part.len()) });
    }
    Ok(Share { data: words(part).collect(), bits })
}

struct ToyOwner(u32);

impl Owner for ToyOwner {
    fn share_value(&self, x: &[u64]) -> Result<Vec<Vec<u8>>, Error> {
        let mut seed = [0; 16];
        keys::random(&mut seed)?;
        let mut pad = vec![0; x.len()];
        Prf::new(seed).fill_words(0, 0, &mut pad);
        pad.iter_mut().for_each(|p| *p = reduce(*p, self.0));
        let rest: Vec<u64> = x.iter().zip(&pad).map(|(v, p)| reduce(v.wrapping_sub(*p), self.0)).collect();
        Ok(vec![bytes(&pad), bytes(&rest)])
    }

    fn share_weight(&self, w: &[u64], _bits: u32) -> Result<Vec<Vec<u8>>, Error> {
        self.share_value(w)
    }

    fn open(&self, len: usize, parts: &[&[u8]]) -> Result<Vec<i64>, Error> {
        const NAME: &str = "the output";
        let &[first, second] = parts else { return Err(Error::parts(NAME, parts.len(), PARTIES)) };
        let (Some((&bits, first)), Some((_, second))) = (first.split_first(), second.split_first()) else {
            return Err(Error::Share { name: NAME.into(), reason: "it is empty".into() });
        };
        let bits = u32::from(bits);
        let (a, b) = (read(NAME, first, len, bits)?, read(NAME, second, len, bits)?);
        Ok(a.data.iter().zip(&b.data).map(|(a, b)| sign_extend(a.wrapping_add(*b), bits)).collect())
    }
}

/// The layouts of the reference, and what is opened.
struct ToyCosts(Clear);

fn opened(elements: usize) -> Cost {
    let bytes = (elements * WORD) as u64;
    Cost { rounds: u64::from(elements > 0), bytes: [[0, bytes], [bytes, 0]].into() }
}

impl CostModel for ToyCosts {
    fn input(&self, len: usize, ring_bits: u32) -> Layout {
        self.0.input(len, ring_bits)
    }

    fn weight(&self, len: usize, _ring_bits: u32, _bits: u32) -> Vec<u64> {
        vec![(len * WORD) as u64; PARTIES]
    }

    fn input_check(&self, inputs: &[(usize, Bounds)], _ring_bits: u32) -> Cost {
        opened(inputs.iter().map(|(len, _)| len).sum())
    }

    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let (_, layout) = self.0.cost(operation, place)?;
        let all = place.inputs.iter().map(|x| x.len).sum();
        let cost = match operation {
            Operation::Linear(o) => {
                let lengths = o.terms.iter().map(|t| t.map.input_len() + t.map.weight_len());
                opened(lengths.sum()) + opened(place.len)
            }
            operation if is_local(operation) => Cost::FREE,
            _ => opened(all),
        };
        Ok((cost, layout))
    }
}

#[derive(Default)]
struct Toy;

impl Definition for Toy {
    type Protocol = InsecureTwoParties;
    type Owner = ToyOwner;
    type Costs = ToyCosts;

    const FACTS: Facts = Facts { parties: PARTIES, ..ClearDefinition::FACTS };

    /// It has no choice.
    fn for_network(self, _: Option<u64>) -> Self {
        self
    }

    fn begin(&self, links: Links, scope: &Scope) -> Result<InsecureTwoParties, Error> {
        InsecureTwoParties::new(links, scope.ring_bits)
    }

    fn owner(&self, ring_bits: u32) -> ToyOwner {
        ToyOwner(ring_bits)
    }

    fn costs(&self, ring_bits: u32) -> ToyCosts {
        ToyCosts(Clear::new(Party::P0, ring_bits))
    }
}

fn solved(transport: Transport, families: &[Family]) -> usize {
    let traits = Traits {
        ring_bits: 4..=64,
        compare_bits: 64,
        local_truncation: false,
        // Halves are rounded up.
        bias: 0.03,
        blocks: Vec::new(),
    };
    suite::check(&Toy, &traits, transport, families).verdict().unwrap()
}

#[test]
fn two_parties_conform_in_one_process() {
    assert!(solved(Transport::InProcess, Family::QUICK) > 100);
}

#[test]
fn two_parties_conform_over_tcp() {
    assert!(solved(Transport::Tcp, &[Family::Linear, Family::Activation]) > 0);
}
