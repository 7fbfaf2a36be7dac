//! The suite itself: it accepts the reference, over both transports, and rejects every planted
//! fault.

use cryptflow_conformance::suite::{self, Family, Traits, Transport};
use cryptflow_mpc::clear::ClearDefinition;
use cryptflow_mpc::definition::Facts;
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{
    Clear, ClearValue, Cost, CostModel, Definition, Error, Layout, Operand, Operands, Party, Place, Protocol,
    Traffic,
};
use cryptflow_operation::{Activation, Bounds, Operation, Rectifier};
use cryptflow_wire::Links;

/// What a faulty protocol does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Fault {
    /// Nothing.
    #[default]
    None,
    /// One element of a ReLU is one too large.
    OffByOne,
    /// One element of a product of secrets is two too large.
    ProductOffByTwo,
    /// A comparison answers no for yes.
    FlippedBit,
    /// One element of a truncation is two too large.
    OffByTwo,
    /// Truncations round up: each is within a unit, the mean is not.
    Biased,
    /// Truncations err by a unit up and down in turn: each is within a unit, and so is the mean.
    Loose,
    /// A product with a public factor is exactly one unit too large.
    WholeUnit,
    /// The result has an element too many.
    Longer,
    /// The result has the cost model's width, but not the value's.
    WrongLayout,
    /// One byte more than declared.
    ExtraByte,
    /// The bytes go where they should not.
    WrongLink,
    /// P1 answers after it has heard P0, where they should speak at once.
    ExtraRound,
    /// A message that nobody receives.
    Leftover,
    /// The bytes are not reported.
    Unreported,
    /// The parties do not agree on what they reveal.
    Inconsistent,
    /// A party panics.
    Panics,
    /// A party gives up.
    Fails,
    /// A party calls itself another.
    Impostor,
}

/// [`Clear`], and an exchange of eight bytes between P0 and P1 in each ReLU.
struct Chatty {
    clear: Clear,
    links: Links,
    fault: Fault,
}

impl Chatty {
    fn exchange(&mut self) -> Result<(), Error> {
        let index = self.links.index();
        let peer = match (self.fault, index) {
            (Fault::WrongLink, 0) => 2,
            (Fault::WrongLink, 2) => 0,
            (Fault::WrongLink, _) | (_, 2) => return Ok(()),
            (_, i) => 1 - i,
        };
        let bytes = if self.fault == Fault::ExtraByte && index == 1 { 9 } else { 8 };
        let due = if self.fault == Fault::ExtraByte && index == 0 { 9 } else { 8 };
        let link = self.links.to(peer);
        match (self.fault, index) {
            (Fault::ExtraRound, 1) => {
                link.recv(due)?;
                link.send(vec![0; bytes])?;
            }
            (Fault::Leftover, 0) => link.send(vec![0; bytes])?,
            _ => {
                link.send(vec![0; bytes])?;
                link.recv(due)?;
            }
        }
        Ok(())
    }
}

impl Protocol for Chatty {
    type Value = ClearValue;
    type Weight = ClearValue;

    fn party(&self) -> Party {
        if self.fault == Fault::Impostor { Party::P0 } else { self.clear.party() }
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<ClearValue, Error> {
        self.clear.receive_value(name, len, part)
    }

    fn receive_weight(
        &mut self,
        name: &str,
        len: usize,
        part: Vec<u8>,
        bits: u32,
    ) -> Result<ClearValue, Error> {
        self.clear.receive_weight(name, len, part, bits)
    }

    fn require_within(&mut self, inputs: &[(&ClearValue, Bounds)]) -> Result<(), Error> {
        self.clear.require_within(inputs)
    }

    fn reveal(&mut self, x: &ClearValue) -> Result<Vec<u8>, Error> {
        let mut bytes = self.clear.reveal(x)?;
        if self.fault == Fault::Inconsistent && self.party() == Party::P1 && !bytes.is_empty() {
            bytes[0] ^= 1;
        }
        Ok(bytes)
    }

    fn apply(&mut self, operation: &Operation, on: &Operands<'_, Self>) -> Result<ClearValue, Error> {
        let relu = matches!(operation, Operation::Activation(Activation { function: Rectifier::Relu, .. }));
        if relu {
            match self.fault {
                Fault::Panics if self.party() == Party::P1 => panic!("planted"),
                Fault::Fails if self.party() == Party::P2 => {
                    return Err(Error::Range { operation: "relu", reason: "planted".into() });
                }
                _ => {}
            }
            self.exchange()?;
        }
        let inputs = on.inputs.iter().map(|x| Operand { shape: x.shape, value: x.value }).collect();
        let mut value = self
            .clear
            .apply(operation, &Operands { inputs, weights: on.weights, ring_bits: on.ring_bits })?;
        let mask = u64::MAX >> (64 - value.bits);
        match (self.fault, operation, value.data.as_mut_slice()) {
            (Fault::OffByTwo, Operation::Linear(_), [.., last]) => *last = (*last + 2) & mask,
            (Fault::Biased, Operation::Linear(_), data) => {
                data.iter_mut().step_by(2).for_each(|v| *v = (*v + 1) & mask);
            }
            (Fault::Loose, Operation::Linear(_), data) => {
                let turns = data.iter_mut().zip([1, mask].into_iter().cycle());
                turns.for_each(|(v, unit)| *v = v.wrapping_add(unit) & mask);
            }
            (Fault::ProductOffByTwo, Operation::Product(_), [first, ..]) => *first = (*first + 2) & mask,
            (Fault::FlippedBit, Operation::Compare(_), [.., last]) => *last ^= 1,
            (Fault::WholeUnit, Operation::ScalePublic(_), [first, ..]) => *first = (*first + 1) & mask,
            (Fault::OffByOne, _, [.., last]) if relu => *last ^= 1,
            (Fault::Longer, ..) if relu => value.data.push(0),
            _ => {}
        }
        Ok(value)
    }

    fn metered(&self) -> Cost {
        let seen = Cost::seen(&self.links);
        if self.fault == Fault::Unreported { Cost { bytes: Traffic::NONE, ..seen } } else { seen }
    }
}

/// [`Clear`]'s costs, and the exchange.
struct Costs {
    clear: Clear,
    fault: Fault,
}

impl CostModel for Costs {
    fn input(&self, len: usize, ring_bits: u32) -> Layout {
        self.clear.input(len, ring_bits)
    }

    fn weight(&self, len: usize, ring_bits: u32, bits: u32) -> Vec<u64> {
        self.clear.weight(len, ring_bits, bits)
    }

    fn input_check(&self, inputs: &[(usize, Bounds)], ring_bits: u32) -> Cost {
        self.clear.input_check(inputs, ring_bits)
    }

    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let (free, mut layout) = self.clear.cost(operation, place)?;
        let Operation::Activation(Activation { function: Rectifier::Relu, .. }) = operation else {
            return Ok((free, layout));
        };
        if self.fault == Fault::WrongLayout {
            layout.len += 1;
        }
        Ok((Cost { rounds: 1, bytes: [[0, 8, 0], [8, 0, 0], [0; 3]].into() }, layout))
    }
}

#[derive(Default)]
struct Planted(Fault);

impl Definition for Planted {
    type Protocol = Chatty;
    type Owner = Clear;
    type Costs = Costs;

    const FACTS: Facts = ClearDefinition::FACTS;

    /// It has no choice.
    fn for_network(self, _: Option<u64>) -> Self {
        self
    }

    fn begin(&self, links: Links, scope: &Scope) -> Result<Chatty, Error> {
        let clear = Clear::new(Party::new(links.index()), scope.ring_bits);
        Ok(Chatty { clear, links, fault: self.0 })
    }

    fn owner(&self, ring_bits: u32) -> Clear {
        Clear::new(Party::P0, ring_bits)
    }

    fn costs(&self, ring_bits: u32) -> Costs {
        Costs { clear: self.owner(ring_bits), fault: self.0 }
    }
}

fn traits(one_ring: bool) -> Traits {
    Traits {
        ring_bits: 4..=64,
        compare_bits: 64,
        local_truncation: one_ring,
        // Halves are rounded up.
        bias: 0.03,
        blocks: vec![1 << 14],
    }
}

fn solved(one_ring: bool, transport: Transport, families: &[Family]) -> usize {
    let report = suite::check(&Planted(Fault::None), &traits(one_ring), transport, families);
    println!("{} problems, {} operations", report.problems, report.operations);
    report.verdict().unwrap()
}

#[test]
fn the_reference_solves_every_problem_in_one_process() {
    assert!(solved(false, Transport::InProcess, Family::QUICK) > 500);
}

#[test]
fn the_reference_solves_every_problem_over_tcp() {
    assert!(solved(false, Transport::Tcp, Family::QUICK) > 500);
}

#[test]
fn problems_for_local_truncation_are_problems_too() {
    assert!(solved(true, Transport::InProcess, Family::QUICK) > 500);
}

#[test]
fn the_reference_solves_a_million() {
    assert_eq!(solved(false, Transport::InProcess, &[Family::Million]), 20);
}

#[test]
fn every_fault_is_found() {
    let long = [Family::Chain, Family::Length];
    // (fault, families, what the report must say; of several, one: which one depends on who is done
    // first)
    let faults: [(Fault, &[Family], &str); 18] = [
        (Fault::ProductOffByTwo, &[Family::Product], "elements are wrong"),
        (Fault::FlippedBit, &[Family::Compare], "elements are wrong"),
        (Fault::OffByOne, &[Family::Chain], "elements are wrong"),
        (Fault::OffByTwo, &[Family::Chain], "elements are wrong"),
        (Fault::Biased, &long, "mean error"),
        (Fault::Loose, &long, "the compiler assumes"),
        (Fault::WholeUnit, &[Family::Linear], "a unit or more"),
        (Fault::Longer, &[Family::Activation], "cannot be opened"),
        (Fault::WrongLayout, &[Family::Chain], "the cost model speaks of"),
        (Fault::ExtraByte, &[Family::Chain], "sent 9 bytes"),
        (Fault::WrongLink, &[Family::Chain], "sent 0 bytes"),
        (Fault::ExtraRound, &[Family::Chain], "2 rounds"),
        (Fault::Leftover, &[Family::Chain], "received 0 of the 1 messages|ended the session before"),
        (Fault::Unreported, &[Family::Chain], "reports 0 bytes"),
        (Fault::Inconsistent, &[Family::Chain], "cannot be opened"),
        (Fault::Panics, &[Family::Chain], "P1: panicked"),
        (Fault::Fails, &[Family::Chain], "P2: warm-up: relu"),
        (Fault::Impostor, &[Family::Chain], "calls itself P0"),
    ];
    for (fault, families, expected) in faults {
        let report = suite::check(&Planted(fault), &traits(false), Transport::InProcess, families);
        let verdict = report.verdict().expect_err(&format!("{fault:?} was not found"));
        assert!(expected.split('|').any(|e| verdict.contains(e)), "{fault:?}: {verdict}");
        assert!(verdict.len() < 10_000, "{fault:?}: the report is too long");
    }
}
