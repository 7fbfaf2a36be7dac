//! A party of Porthos: the [`Protocol`] trait, each operation handed to the step that computes it.

use cryptflow_mpc::combine::{combined, tensor_len};
use cryptflow_mpc::keys::{Keys, Scope, Variant};
use cryptflow_mpc::{Cost, Definition, Error, Operand, Operands, Party, Protocol, Term};
use cryptflow_operation::{Bounds, Operation, Rectifier};
use cryptflow_ring::{GeometryError, Movement, Window, movement::elements, sum_pool};
use cryptflow_wire::Links;

use crate::definition::{PorthosDefinition, PorthosExactDefinition};
use crate::relu::COMPARE_BITS;
use crate::session::{Session, to_bytes};
use crate::share::{Share, from_nothing, from_seed, from_words};
use crate::truncation::Truncation;
use crate::tuning::Tuning;

/// P0 and P1 evaluate, P2 helps.
pub(crate) const PARTIES: usize = 3;

/// A party of the Porthos protocol, in a session of its own.
pub struct Porthos {
    pub(crate) session: Session,
    start: Cost,
}

impl Porthos {
    /// Begins a session: agrees on fresh pairwise keys over the links, which must be authenticated
    /// and confidential. Shares are modulo 2^64 whatever the program's ring is.
    pub fn new(
        links: Links,
        scope: &Scope,
        truncation: Truncation,
        tuning: Tuning,
    ) -> Result<Porthos, Error> {
        let ring_bits = scope.ring_bits;
        if !(2..=64).contains(&ring_bits) {
            return Err(Error::Range { operation: "session", reason: format!("a ring of {ring_bits} bits") });
        }
        if links.parties() != PARTIES {
            return Err(Error::parties(links.parties(), PARTIES));
        }
        let name = match truncation {
            Truncation::Local => PorthosDefinition::FACTS.name,
            Truncation::Dealt => PorthosExactDefinition::FACTS.name,
        };
        let keys = Keys::agree(&links, scope, &Variant { name, parameters: &tuning.parameters() })?;
        Porthos::insecure_with_keys(links, keys, truncation, tuning)
    }

    /// A party with keys that were not agreed on: for tests of what a party can see. All parties must
    /// truncate alike, and have the same tuning.
    pub fn insecure_with_keys(
        links: Links,
        keys: Keys,
        truncation: Truncation,
        tuning: Tuning,
    ) -> Result<Porthos, Error> {
        tuning.check()?;
        let session = Session::new(links, keys, truncation, tuning);
        let start = Cost::seen(session.links());
        Ok(Porthos { session, start })
    }

    /// The links of the session, for whoever must abort it.
    pub fn links(&self) -> &Links {
        self.session.links()
    }

    fn receive(&self, name: &str, len: usize, part: &[u8]) -> Result<Share, Error> {
        match self.session.party {
            Party::P0 => from_seed(name, part, len),
            Party::P1 => from_words(name, part, len),
            _ => from_nothing(name, part, len),
        }
    }

    /// An operation, handed to the step that computes it.
    fn applied(&mut self, operation: &Operation, on: &Operands<'_, Porthos>) -> Result<Share, Error> {
        let session = &mut self.session;
        match operation {
            Operation::Linear(o) => session.linear(&on.terms(o)?, on.bias(o)?, o.shift),
            Operation::Product(o) => {
                let terms = [Term { map: &o.map, x: on.x()?, w: on.y()? }];
                session.linear(&terms, None, o.shift)
            }
            Operation::Compare(o) => {
                compared("compare", o.compare_bits)?;
                session.compare(on.x()?, &o.thresholds)
            }
            Operation::Combine(o) => session.combine(on.x()?, &o.factors, &o.offsets),
            Operation::ScalePublic(o) => session.scale_public(on.x()?, &o.factors, o.shift),
            // There is one ring: nothing to do.
            Operation::Widen => Ok(on.x()?.clone()),
            Operation::Activation(o) => match o.function {
                Rectifier::Relu => {
                    compared("relu", o.compare_bits)?;
                    let x = on.x()?;
                    Ok(Share { data: session.relu(&x.data, x.len)?, len: x.len })
                }
                Rectifier::ClippedRelu { limit } => {
                    compared("clipped_relu", o.compare_bits)?;
                    session.clipped_relu(on.x()?, limit)
                }
            },
            Operation::MaxPool(o) => {
                compared("max_pool", o.compare_bits)?;
                session.max_pool(on.x()?, o.input, &o.window)
            }
            Operation::SumPool(o) => session.sum_pool(on.x()?, o.input, &o.window),
            Operation::Add => pairwise("add", on.x()?, on.y()?, u64::wrapping_add),
            Operation::Sub => pairwise("sub", on.x()?, on.y()?, u64::wrapping_sub),
            Operation::Movement(movement) => session.movement(movement, &on.inputs),
        }
    }
}

fn compared(operation: &'static str, compare_bits: u32) -> Result<(), Error> {
    if (2..=COMPARE_BITS).contains(&compare_bits) {
        return Ok(());
    }
    let reason = format!("comparisons are exact on 2 to {COMPARE_BITS} bits, not on {compare_bits}");
    Err(Error::Range { operation, reason })
}

fn pairwise(operation: &str, x: &Share, y: &Share, f: fn(u64, u64) -> u64) -> Result<Share, Error> {
    if x.len != y.len {
        let reason = format!("{operation} of {} and {} elements", x.len, y.len);
        return Err(GeometryError::Mismatch(reason).into());
    }
    Ok(Share { data: x.data.iter().zip(&y.data).map(|(a, b)| f(*a, *b)).collect(), len: x.len })
}

impl Protocol for Porthos {
    type Value = Share;
    type Weight = Share;

    fn party(&self) -> Party {
        self.session.party
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<Share, Error> {
        self.receive(name, len, &part)
    }

    fn receive_weight(&mut self, name: &str, len: usize, part: Vec<u8>, _bits: u32) -> Result<Share, Error> {
        self.receive(name, len, &part)
    }

    fn require_within(&mut self, inputs: &[(&Share, Bounds)]) -> Result<(), Error> {
        self.session.within(inputs)
    }

    /// A share, re-randomised by a share of zero from the key that P2 does not have; P2 sends
    /// nothing.
    fn reveal(&mut self, x: &Share) -> Result<Vec<u8>, Error> {
        let share = self.session.rerandomised(&x.data);
        planted!(self.session.tuning, RewoundBatches: self.session.begin_again());
        Ok(share.map(|share| to_bytes(&share)).unwrap_or_default())
    }

    fn apply(&mut self, operation: &Operation, on: &Operands<'_, Porthos>) -> Result<Share, Error> {
        let done = self.applied(operation, on);
        planted!(self.session.tuning, RewoundByErrors: self.session.back_if(done.is_err()));
        done
    }

    fn metered(&self) -> Cost {
        Cost::seen(self.session.links()).since(&self.start)
    }
}

/// What P0 and P1 do on their own with their shares; P2 has none.
impl<const L: u32> Session<L> {
    fn combine(&mut self, x: &Share, factors: &[i64], offsets: &[i64]) -> Result<Share, Error> {
        let n = tensor_len(x.len, factors, offsets)?;
        let len = n * offsets.len();
        if self.is_dealer() {
            return Ok(Share { data: Vec::new(), len });
        }
        // One evaluator adds public constants.
        let one = self.one() as i64;
        let offsets: Vec<i64> = offsets.iter().map(|o| o * one).collect();
        Ok(Share { data: combined(&x.data, n, factors, &offsets), len })
    }

    /// A product of each share, and a truncation.
    fn scale_public(&mut self, x: &Share, factors: &[u64], shift: u32) -> Result<Share, Error> {
        let fits = x.len == 0 && !factors.is_empty() || x.len.checked_rem(factors.len()) == Some(0);
        if !fits || shift > 62 {
            let reason =
                format!("{} factors for {} elements, and a shift by {shift} bits", factors.len(), x.len);
            return Err(Error::Range { operation: "scale_public", reason });
        }
        let mut data: Vec<u64> =
            x.data.iter().zip(factors.iter().cycle()).map(|(v, c)| v.wrapping_mul(*c)).collect();
        self.truncate(&mut data, x.len, shift)?;
        Ok(Share { data, len: x.len })
    }

    fn sum_pool(&self, x: &Share, input: [usize; 4], window: &Window) -> Result<Share, Error> {
        let [rows, columns] = window.output([input[1], input[2]])?;
        let len = elements(&[input[0], rows, columns, input[3]])?;
        let data = if self.is_dealer() { Vec::new() } else { sum_pool(&x.data, input, window)? };
        Ok(Share { data, len })
    }

    fn movement(&self, movement: &Movement, inputs: &[Operand<'_, Porthos>]) -> Result<Share, Error> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape).collect();
        let len = elements(&movement.output_shape(&shapes)?)?;
        if self.is_dealer() {
            return Ok(Share { data: Vec::new(), len });
        }
        let parts: Vec<(&[usize], &[u64])> =
            inputs.iter().map(|x| (x.shape, x.value.data.as_slice())).collect();
        Ok(Share { data: movement.apply(&parts)?, len })
    }
}
