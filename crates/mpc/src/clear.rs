//! [`Clear`]: fixed point without secrets. It is what every protocol is compared with, and what the
//! compiler runs to see which values a program takes.
//!
//! Every party holds the plain values and nothing is sent. The rings are those of a protocol that
//! has many of them: a truncation by `shift` bits of values in Z_2^K leaves Z_2^(K − shift − 1), so that a value which would not fit there wraps here as well. [`Clear::checked`] turns each
//! broken precondition into an [`Error::Range`] instead.

mod checks;
mod definition;
mod each;
mod owner;
mod pool;
mod rounding;
mod weight;

use std::borrow::Cow;

use cryptflow_operation::{Bounds, Looks, Operation, Rectifier};
use cryptflow_ring::{LinearMap, Movement, Window};

use rounding::Rounding;
use weight::{Factor, Summand};

use crate::{Cost, CostModel, Error, Layout, Operand, Operands, Party, Place, Protocol, Term};

pub use definition::ClearDefinition;
pub use rounding::shifted_as_shares;
pub use weight::{ClearWeight, ShortWeights};

/// The plaintext reference.
#[derive(Clone)]
pub struct Clear {
    party: Party,
    ring_bits: u32,
    checked: bool,
    rounding: Rounding,
}

/// A tensor in the plain: elements of Z_2^bits, each below 2^bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearValue {
    /// The elements, modulo 2^bits.
    pub data: Vec<u64>,
    /// Bits of the ring.
    pub bits: u32,
}

impl ClearValue {
    /// Integers as elements of Z_2^bits.
    pub fn from_signed(x: &[i64], bits: u32) -> ClearValue {
        ClearValue { data: x.iter().map(|&v| reduce(v as u64, bits)).collect(), bits }
    }

    /// Integers as words, elements of Z_2^64, in the memory that they have.
    pub fn from_words(x: Vec<i64>) -> ClearValue {
        ClearValue { data: x.into_iter().map(|v| v as u64).collect(), bits: 64 }
    }

    /// The signed integers that the elements stand for, in [−2^(bits−1), 2^(bits−1)).
    pub fn signed(&self) -> Vec<i64> {
        self.data.iter().map(|&v| sign_extend(v, self.bits)).collect()
    }

    /// The same integers modulo 2^64.
    fn in_words(&self) -> Cow<'_, [u64]> {
        if self.bits == 64 { Cow::Borrowed(&self.data) } else { Cow::Owned(self.in_ring(64)) }
    }

    /// The elements in another ring, see [`ClearValue::resized`].
    fn in_ring(&self, bits: u32) -> Vec<u64> {
        let from = self.bits;
        each::of(&self.data, |v| reduce(sign_extend(v, from) as u64, bits))
    }

    /// The same integers modulo a smaller or larger power of two; sign-extended where the ring
    /// grows.
    fn resized(&self, bits: u32) -> ClearValue {
        match bits.cmp(&self.bits) {
            std::cmp::Ordering::Equal => self.clone(),
            std::cmp::Ordering::Less => ClearValue { data: each::of(&self.data, |v| reduce(v, bits)), bits },
            std::cmp::Ordering::Greater => ClearValue { data: self.in_ring(bits), bits },
        }
    }
}

/// `v` modulo 2^bits, for 1 to 64 bits.
pub fn reduce(v: u64, bits: u32) -> u64 {
    if bits >= 64 { v } else { v & ((1 << bits) - 1) }
}

/// The signed integer that an element of Z_2^bits stands for, for 1 to 64 bits.
pub fn sign_extend(v: u64, bits: u32) -> i64 {
    let unused = 64 - bits.clamp(1, 64);
    ((v << unused) as i64) >> unused
}

/// The ring that is left of one of so many bits, where a shift takes some.
fn narrow(operation: &'static str, ring: u32, lost: u32) -> Result<u32, Error> {
    ring.checked_sub(lost).filter(|&k| k >= 1).ok_or_else(|| Error::Range {
        operation,
        reason: format!("a shift by {lost} bits leaves nothing of a ring of {ring} bits"),
    })
}

impl Clear {
    /// A party of a program over Z_2^ring_bits (at most 64). Values that do not fit wrap around, as
    /// they would in a protocol.
    pub fn new(party: Party, ring_bits: u32) -> Clear {
        Clear { party, ring_bits: ring_bits.clamp(1, 64), checked: false, rounding: Rounding::Nearest }
    }

    /// The same, but what is shifted out is rounded as the shares of a protocol are, at random: as
    /// Mirror's, whose truncation errs most. The same seed gives the same errors.
    pub fn rounding_as_shares(party: Party, ring_bits: u32, seed: [u8; 16]) -> Clear {
        Clear { rounding: Rounding::of_shares(seed), ..Clear::new(party, ring_bits) }
    }

    /// The same, but a value that breaks a precondition of its operation is an [`Error::Range`]
    /// that names the operation, the first such value and its place.
    pub fn checked(party: Party, ring_bits: u32) -> Clear {
        Clear { checked: true, ..Clear::new(party, ring_bits) }
    }

    /// Bits of the ring of inputs and weights.
    pub fn ring_bits(&self) -> u32 {
        self.ring_bits
    }

    fn pairwise(
        &self,
        operation: &'static str,
        x: &ClearValue,
        y: &ClearValue,
        f: impl Fn(u64, u64) -> u64 + Sync,
        exact: impl Fn(i128, i128) -> i128,
    ) -> Result<ClearValue, Error> {
        checks::same_length(operation, x.data.len(), y.data.len())?;
        let bits = x.bits.min(y.bits);
        if self.checked {
            let sums = x.signed().into_iter().zip(y.signed()).map(|(a, b)| exact(a.into(), b.into()));
            checks::fits(operation, sums, bits)?;
        }
        let data = each::of_two(&x.data, &y.data, |a, b| reduce(f(a, b), bits));
        Ok(ClearValue { data, bits })
    }
}

impl Protocol for Clear {
    type Value = ClearValue;
    type Weight = ClearValue;

    fn party(&self) -> Party {
        self.party
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<ClearValue, Error> {
        owner::parse(name, len, &part, self.ring_bits)
    }

    fn receive_weight(
        &mut self,
        name: &str,
        len: usize,
        part: Vec<u8>,
        _bits: u32,
    ) -> Result<ClearValue, Error> {
        owner::parse(name, len, &part, self.ring_bits)
    }

    fn require_within(&mut self, inputs: &[(&ClearValue, Bounds)]) -> Result<(), Error> {
        let within = |(x, bounds): &(&ClearValue, Bounds)| {
            x.signed().into_iter().all(|x| (bounds.low..=bounds.high).contains(&x))
        };
        if inputs.iter().all(within) { Ok(()) } else { Err(Error::Outside) }
    }

    fn reveal(&mut self, x: &ClearValue) -> Result<Vec<u8>, Error> {
        Ok(x.signed().into_iter().flat_map(i64::to_le_bytes).collect())
    }

    fn apply(&mut self, operation: &Operation, on: &Operands<'_, Clear>) -> Result<ClearValue, Error> {
        self.computed(operation, on, Factor::Value)
    }

    fn metered(&self) -> Cost {
        Cost { rounds: 0, bytes: [[0; owner::PARTIES]; owner::PARTIES].into() }
    }
}

/// The operations. Preconditions are checked where the party was made to check them.
impl Clear {
    /// The result of an operation, whatever weights are kept in.
    fn computed<'a, P: Protocol<Value = ClearValue>>(
        &mut self,
        operation: &'a Operation,
        on: &Operands<'a, P>,
        factor: impl Fn(&'a P::Weight) -> Factor<'a>,
    ) -> Result<ClearValue, Error> {
        match operation {
            Operation::Linear(o) => {
                let summand = |term: &Term<'a, P>| Summand { map: term.map, x: term.x, w: factor(term.w) };
                let terms: Vec<Summand<'a>> = on.terms(o)?.iter().map(summand).collect();
                self.linear(&terms, on.bias(o)?.map(&factor), o.shift, on.ring_bits)
            }
            Operation::Product(o) => self.product(&o.map, on.x()?, on.y()?, o.shift),
            Operation::Compare(o) => self.compare(on.x()?, &o.thresholds, o.looks(), on.ring_bits),
            Operation::Combine(o) => self.combine(on.x()?, &o.factors, &o.offsets),
            Operation::ScalePublic(o) => self.scale_public(on.x()?, &o.factors, o.shift),
            Operation::Widen => self.widen(on.x()?, on.ring_bits),
            Operation::Activation(o) => {
                let activated = match o.function {
                    Rectifier::Relu => self.relu(on.x()?, o.looks())?,
                    Rectifier::ClippedRelu { limit } => self.clipped_relu(on.x()?, limit, o.looks())?,
                };
                Ok(if o.widen { activated.resized(on.ring_bits) } else { activated })
            }
            Operation::MaxPool(o) => self.max_pool(on.x()?, o.input, &o.window, o.looks()),
            Operation::SumPool(o) => self.sum_pool(on.x()?, o.input, &o.window),
            Operation::Add => self.add(on.x()?, on.y()?),
            Operation::Sub => self.sub(on.x()?, on.y()?),
            Operation::Movement(movement) => self.movement(movement, &on.inputs),
        }
    }

    /// Rounded half up, unless asked otherwise: `(z + 2^(shift−1)) >> shift` for the signed K-bit z,
    /// K the bits of the smallest ring of an operand. The result has K − shift − 1 bits.
    fn linear(
        &mut self,
        terms: &[Summand<'_>],
        bias: Option<Factor<'_>>,
        shift: u32,
        otherwise: u32,
    ) -> Result<ClearValue, Error> {
        const NAME: &str = "linear";
        let bias = bias.map(|bias| ClearValue { data: bias.words().into_owned(), bits: 64 });
        let bias = bias.as_ref();
        let ring = terms.iter().map(|t| t.x.bits).min().unwrap_or(otherwise);
        let bits = narrow(NAME, ring, shift + 1)?;
        let mut sum = checks::empty_sum(NAME, terms.iter().map(|t| t.map), bias.map(|b| b.data.len()))?;
        let mut bound = checks::SumBound::default();
        for term in terms {
            let x = term.x.in_words();
            if self.checked {
                bound.add_term(term.map, &x, &term.w.words());
            }
            term.w.add_product(term.map, &x, &mut sum)?;
        }
        if let Some(bias) = bias {
            if self.checked {
                bound.add_bias(&bias.data);
            }
            for row in sum.chunks_mut(bias.data.len().max(1)) {
                for (s, &b) in row.iter_mut().zip(&bias.data) {
                    *s = s.wrapping_add(b);
                }
            }
        }
        if self.checked {
            checks::linear_range(terms, bias, &sum, bound, ring, shift)?;
        }
        self.rounding.shift(&mut sum, ring, shift, bits);
        Ok(ClearValue { data: sum, bits })
    }

    /// As `linear`, with y in the place of the weights, in the smaller of their rings.
    fn product(
        &mut self,
        map: &LinearMap,
        x: &ClearValue,
        y: &ClearValue,
        shift: u32,
    ) -> Result<ClearValue, Error> {
        let (one, other) =
            if x.bits <= y.bits { (Cow::Borrowed(x), y) } else { (Cow::Owned(x.resized(y.bits)), y) };
        self.linear(&[Summand { map, x: &one, w: Factor::Value(other) }], None, shift, one.bits)
    }

    fn compare(
        &mut self,
        x: &ClearValue,
        thresholds: &[i64],
        looks: Looks,
        ring_bits: u32,
    ) -> Result<ClearValue, Error> {
        const NAME: &str = "compare";
        checks::compare_bits(NAME, looks, x.bits)?;
        let len = x.data.len();
        let mut data = vec![0; len * thresholds.len()];
        for (&t, out) in thresholds.iter().zip(data.chunks_exact_mut(len.max(1))) {
            if self.checked {
                let differences = x.signed().into_iter().map(|v| i128::from(v) - i128::from(t));
                checks::compared(NAME, looks, differences)?;
            }
            match self.rounding.below(len, looks.skipped) {
                None => each::into(out, &x.data, |v| u64::from(sign_extend(v, x.bits) >= t)),
                Some(below) => {
                    let reaches =
                        |(&v, below): (&u64, i64)| sign_extend(v, x.bits).saturating_sub(below) >= t;
                    let all = x.data.iter().zip(below).map(reaches);
                    out.iter_mut().zip(all).for_each(|(out, reaches)| *out = u64::from(reaches));
                }
            }
        }
        Ok(ClearValue { data, bits: ring_bits })
    }

    fn combine(&self, x: &ClearValue, factors: &[i64], offsets: &[i64]) -> Result<ClearValue, Error> {
        const NAME: &str = "combine";
        let n = crate::combine::tensor_len(x.data.len(), factors, offsets)?;
        if self.checked {
            let signed: Vec<i128> = x.signed().into_iter().map(i128::from).collect();
            let columns = factors.len() / offsets.len().max(1);
            for (row, &offset) in factors.chunks_exact(columns.max(1)).zip(offsets) {
                let sums = (0..n).map(|i| {
                    let products = row.iter().zip(signed.iter().skip(i).step_by(n.max(1)));
                    products.fold(i128::from(offset), |sum, (&f, v)| sum + i128::from(f) * v)
                });
                checks::fits(NAME, sums, x.bits)?;
            }
        }
        let mut data = crate::combine::combined(&x.data, n, factors, offsets);
        data.iter_mut().for_each(|v| *v = reduce(*v, x.bits));
        Ok(ClearValue { data, bits: x.bits })
    }

    /// Rounded as `linear` does. The result has as many bits as x, less the shift. Factors are signed (two's complement).
    fn scale_public(&mut self, x: &ClearValue, factors: &[u64], shift: u32) -> Result<ClearValue, Error> {
        const NAME: &str = "scale_public";
        checks::repeats(NAME, x.data.len(), factors.len())?;
        let bits = narrow(NAME, x.bits, shift)?;
        let signed = x.signed();
        if self.checked {
            let products =
                signed.iter().zip(factors.iter().cycle()).map(|(&v, &c)| v as i128 * c as i64 as i128);
            let (half, unit) = (1i128 << (x.bits - 1), 1i128 << shift);
            checks::between(NAME, "x * factor", products, -half + unit, half - 1 - unit)?;
        }
        let products = signed.iter().zip(factors.iter().cycle());
        let mut products: Vec<u64> = products.map(|(&v, &c)| (v as u64).wrapping_mul(c)).collect();
        self.rounding.shift_public(&mut products, factors, x.bits, shift, bits);
        Ok(ClearValue { data: products, bits })
    }

    fn widen(&self, x: &ClearValue, ring_bits: u32) -> Result<ClearValue, Error> {
        if self.checked && x.bits < ring_bits {
            let limit = if x.bits >= 2 { 1i128 << (x.bits - 2) } else { 0 };
            checks::between("widen", "x", x.signed().into_iter().map(i128::from), -limit, limit)?;
        }
        Ok(x.resized(ring_bits))
    }

    fn relu(&mut self, x: &ClearValue, looks: Looks) -> Result<ClearValue, Error> {
        const NAME: &str = "relu";
        checks::compare_bits(NAME, looks, x.bits)?;
        if self.checked {
            checks::compared(NAME, looks, x.signed().into_iter().map(i128::from))?;
        }
        let data = match self.rounding.below(x.data.len(), looks.skipped) {
            None => each::of(&x.data, |v| if sign_extend(v, x.bits) < 0 { 0 } else { v }),
            Some(below) => {
                let stays = |(&v, below): (&u64, i64)| if sign_extend(v, x.bits) < below { 0 } else { v };
                x.data.iter().zip(below).map(stays).collect()
            }
        };
        Ok(ClearValue { data, bits: x.bits })
    }

    fn clipped_relu(&mut self, x: &ClearValue, limit: u64, looks: Looks) -> Result<ClearValue, Error> {
        const NAME: &str = "clipped_relu";
        checks::compare_bits(NAME, looks, x.bits)?;
        let top = checks::limit(NAME, limit, looks.bits)?;
        let signed = x.signed();
        if self.checked {
            checks::compared(NAME, looks, signed.iter().map(|&v| v.into()))?;
            let from_top = signed.iter().map(|&v| i128::from(v) - i128::from(top));
            checks::fits(NAME, from_top, looks.bits)?;
        }
        let clipped: Vec<i64> = match [(); 2].map(|()| self.rounding.below(signed.len(), looks.skipped)) {
            [Some(low), Some(high)] => {
                // What is next to the limit from below may count as it.
                let clipped = |(v, (low, high)): (i64, (i64, i64))| match v {
                    v if v < low => 0,
                    v if v >= top - high => top,
                    v => v,
                };
                signed.into_iter().zip(low.into_iter().zip(high)).map(clipped).collect()
            }
            [None, _] | [_, None] => signed.into_iter().map(|v| v.clamp(0, top)).collect(),
        };
        let data = clipped.into_iter().map(|v| reduce(v as u64, x.bits)).collect();
        Ok(ClearValue { data, bits: x.bits })
    }

    fn max_pool(
        &mut self,
        x: &ClearValue,
        input: [usize; 4],
        window: &Window,
        looks: Looks,
    ) -> Result<ClearValue, Error> {
        const NAME: &str = "max_pool";
        checks::compare_bits(NAME, looks, x.bits)?;
        let signed = x.signed();
        let (mut data, mut spread) = (Vec::new(), Vec::new());
        pool::each_window(&signed, input, window, |taps| {
            let (Some(&low), Some(&high)) = (taps.iter().min(), taps.iter().max()) else {
                return Err(Error::Range { operation: NAME, reason: "a window sees only padding".into() });
            };
            let largest = match self.rounding.below(taps.len(), looks.skipped) {
                None => high,
                Some(below) => {
                    // The one so far stays where it is larger by enough.
                    let stays = |largest: i64, (&tap, below): (&i64, i64)| {
                        if largest.saturating_sub(below) >= tap { largest } else { tap }
                    };
                    taps.iter().zip(below).fold(low, stays)
                }
            };
            data.push(reduce(largest as u64, x.bits));
            if self.checked {
                spread.push(i128::from(high) - i128::from(low));
            }
            Ok(())
        })?;
        checks::compared(NAME, looks, spread.into_iter().flat_map(|d| [d, -d]))?;
        Ok(ClearValue { data, bits: x.bits })
    }

    fn sum_pool(&self, x: &ClearValue, input: [usize; 4], window: &Window) -> Result<ClearValue, Error> {
        let signed = x.signed();
        let mut sums: Vec<i128> = Vec::new();
        pool::each_window(&signed, input, window, |taps| {
            sums.push(taps.iter().map(|&v| i128::from(v)).sum());
            Ok(())
        })?;
        if self.checked {
            checks::fits("sum_pool", sums.iter().copied(), x.bits)?;
        }
        Ok(ClearValue { data: sums.into_iter().map(|s| reduce(s as u64, x.bits)).collect(), bits: x.bits })
    }

    fn add(&self, x: &ClearValue, y: &ClearValue) -> Result<ClearValue, Error> {
        self.pairwise("add", x, y, u64::wrapping_add, |a, b| a + b)
    }

    fn sub(&self, x: &ClearValue, y: &ClearValue) -> Result<ClearValue, Error> {
        self.pairwise("sub", x, y, u64::wrapping_sub, |a, b| a - b)
    }

    fn movement<'a, P: Protocol<Value = ClearValue>>(
        &self,
        movement: &Movement,
        inputs: &[Operand<'a, P>],
    ) -> Result<ClearValue, Error> {
        let bits = inputs.iter().map(|x| x.value.bits).min().unwrap_or(self.ring_bits);
        if self.checked {
            for x in inputs {
                checks::fits("movement", x.value.signed().into_iter().map(i128::from), bits)?;
            }
        }
        let in_ring = |x: &Operand<'a, P>| match x.value.bits == bits {
            true => Cow::Borrowed(x.value.data.as_slice()),
            false => Cow::Owned(x.value.resized(bits).data),
        };
        let data: Vec<Cow<'a, [u64]>> = inputs.iter().map(in_ring).collect();
        let parts: Vec<(&[usize], &[u64])> = inputs.iter().zip(&data).map(|(x, v)| (x.shape, &**v)).collect();
        Ok(ClearValue { data: movement.apply(&parts)?, bits })
    }
}

/// Nothing is sent; the layouts are those of the values.
impl CostModel for Clear {
    fn input(&self, len: usize, ring_bits: u32) -> Layout {
        Layout { len, bits: ring_bits }
    }

    fn weight(&self, len: usize, _ring_bits: u32, _bits: u32) -> Vec<u64> {
        vec![len as u64 * owner::WORD as u64; owner::PARTIES]
    }

    fn input_check(&self, _inputs: &[(usize, Bounds)], _ring_bits: u32) -> Cost {
        Cost::FREE
    }

    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let rings: Vec<u32> = place.inputs.iter().map(|x| x.bits).collect();
        let bits = operation.rules().ring(&rings, place.ring_bits).unwrap_or(0);
        Ok((Cost::FREE, Layout { len: place.len, bits }))
    }
}
