//! The preconditions of the operations, on plain values.

use cryptflow_ring::{GeometryError, LinearMap, bilinear};

use cryptflow_operation::Looks;
use cryptflow_operation::bits::smallest_comparison;

use super::ClearValue;
use super::weight::{Factor, Summand};
use crate::Error;

fn range(operation: &'static str, reason: String) -> Error {
    Error::Range { operation, reason }
}

fn mismatch(reason: String) -> Error {
    GeometryError::Mismatch(reason).into()
}

/// Every value lies in [low, high].
pub(super) fn between(
    operation: &'static str,
    what: &str,
    values: impl Iterator<Item = i128>,
    low: i128,
    high: i128,
) -> Result<(), Error> {
    for (i, v) in values.enumerate() {
        if v < low || v > high {
            return Err(range(
                operation,
                format!("{what} = {v} at element {i} is outside of {low} to {high}"),
            ));
        }
    }
    Ok(())
}

/// Every value fits `bits` signed bits.
pub(super) fn fits(
    operation: &'static str,
    mut values: impl Iterator<Item = i128>,
    bits: u32,
) -> Result<(), Error> {
    let half = 1i128 << bits.saturating_sub(1).min(100);
    match values.position(|v| v < -half || v >= half) {
        Some(i) => Err(range(operation, format!("the value at element {i} does not fit {bits} signed bits"))),
        None => Ok(()),
    }
}

/// A comparison looks at 2 to all bits of its operand, those that it skips beside.
pub(super) fn compare_bits(operation: &'static str, looks: Looks, bits: u32) -> Result<(), Error> {
    let (Looks { bits: compare_bits, skipped }, least) = (looks, smallest_comparison(looks.skipped));
    if (least..=bits).contains(&compare_bits) {
        return Ok(());
    }
    Err(range(
        operation,
        format!(
            "a comparison on {compare_bits} bits without the lowest {skipped} in a ring of {bits} bits: {least} to {bits} are possible"
        ),
    ))
}

/// Every difference can be compared: it fits, and less what a comparison takes from it first it does.
pub(super) fn compared(
    operation: &'static str,
    looks: Looks,
    differences: impl Iterator<Item = i128>,
) -> Result<(), Error> {
    let below = i128::from(looks.below());
    fits(operation, differences.flat_map(|d| [d, d - below]), looks.bits)
}

/// The limit of a clipped ReLU is itself a value that can be compared.
pub(super) fn limit(operation: &'static str, limit: u64, compare_bits: u32) -> Result<i64, Error> {
    i64::try_from(limit)
        .ok()
        .filter(|&l| i128::from(l) < 1i128 << (compare_bits - 1))
        .ok_or_else(|| range(operation, format!("the limit {limit} does not fit {compare_bits} signed bits")))
}

pub(super) fn same_length(operation: &'static str, x: usize, y: usize) -> Result<(), Error> {
    if x == y { Ok(()) } else { Err(mismatch(format!("{operation} of {x} and {y} elements"))) }
}

/// Factors can be repeated along the leading axes.
pub(super) fn repeats(operation: &'static str, len: usize, factors: usize) -> Result<(), Error> {
    if (len == 0 && factors > 0) || len.checked_rem(factors) == Some(0) {
        return Ok(());
    }
    Err(mismatch(format!("{operation}: {factors} factors for {len} elements")))
}

/// Zeros for the result of a linear operation, after a look at the lengths of its parts.
pub(super) fn empty_sum<'a>(
    operation: &'static str,
    mut maps: impl Iterator<Item = &'a LinearMap>,
    bias: Option<usize>,
) -> Result<Vec<u64>, Error> {
    let Some(first) = maps.next() else {
        let len = bias.ok_or_else(|| mismatch(format!("{operation} with neither a term nor a bias")))?;
        return Ok(vec![0; len]);
    };
    first.check()?;
    for map in maps {
        map.check()?;
        same_length(operation, first.output_len(), map.output_len())?;
    }
    if let Some(len) = bias.filter(|&len| len != first.out_channels()) {
        return Err(mismatch(format!("a bias of {len} elements for {} channels", first.out_channels())));
    }
    Ok(vec![0; first.output_len()])
}

fn largest(v: &[u64]) -> u128 {
    v.iter().map(|&e| (e as i64).unsigned_abs()).max().unwrap_or(0).into()
}

/// What the magnitudes of the operands say of a sum of products.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SumBound {
    /// No |z| is larger than this.
    largest: u128,
    /// If every x were wrong by less than one, no z would be wrong by more than this.
    sensitivity: u128,
}

impl SumBound {
    pub(super) fn add_term(&mut self, map: &LinearMap, x: &[u64], w: &[u64]) {
        let sensitivity = largest(w).saturating_mul(map.terms() as u128);
        self.sensitivity = self.sensitivity.saturating_add(sensitivity);
        self.largest = self.largest.saturating_add(sensitivity.saturating_mul(largest(x)));
    }

    pub(super) fn add_bias(&mut self, bias: &[u64]) {
        self.largest = self.largest.saturating_add(largest(bias));
    }
}

/// The sums, taken as integers and not modulo anything, lie where a truncation is exact:
/// −2^(K−2) + 2^(f−1) <= z <= 2^(K−2) − 3·2^(f−1) − 1.
///
/// `sum` holds them modulo 2^64. Where the magnitudes of the operands alone do not exclude that
/// they wrapped there, they are computed once more from the high bits of x, which shows them to
/// within the sensitivity.
pub(super) fn linear_range(
    terms: &[Summand<'_>],
    bias: Option<&ClearValue>,
    sum: &[u64],
    bound: SumBound,
    ring_bits: u32,
    shift: u32,
) -> Result<(), Error> {
    const NAME: &str = "linear";
    let half = if shift == 0 { 1 } else { 1i128 << (shift - 1) };
    let quarter = 1i128 << ring_bits.saturating_sub(2);
    let (low, high) = (-quarter + half, quarter - 3 * half - 1);
    if i128::try_from(bound.largest).is_ok_and(|l| l <= high && -l >= low) {
        return Ok(());
    }
    between(NAME, "z", sum.iter().map(|&z| i128::from(z as i64)), low, high)?;
    if bound.largest < 1 << 63 {
        return Ok(());
    }
    let dropped = 61u32.saturating_sub(128 - bound.sensitivity.leading_zeros());
    if dropped == 0 || bound.largest >> dropped >= 1 << 62 {
        if bound.largest >= 1 << 126 {
            return Err(range(NAME, "x and w are so large that the sums may exceed 2^126".into()));
        }
        return between(NAME, "z", exact(terms, bias, sum.len())?.into_iter(), low, high);
    }
    let mut high_sum = vec![0u64; sum.len()];
    for term in terms {
        let x: Vec<u64> = term.x.signed().into_iter().map(|v| (v >> dropped) as u64).collect();
        let w: Vec<u64> = term.w.signed().into_iter().map(|v| v as u64).collect();
        for (s, p) in high_sum.iter_mut().zip(bilinear(term.map, &x, &w, 64)?) {
            *s = s.wrapping_add(p);
        }
    }
    let bias = bias.map_or_else(Vec::new, ClearValue::signed);
    let slack = (bound.sensitivity << dropped) as i128;
    for (i, (&z, &h)) in sum.iter().zip(&high_sum).enumerate() {
        let b = i.checked_rem(bias.len()).and_then(|channel| bias.get(channel)).copied().unwrap_or(0);
        if (i128::from(z as i64) - i128::from(b) - (i128::from(h as i64) << dropped)).abs() > slack {
            return Err(range(NAME, format!("the sum at element {i} exceeds 64 bits")));
        }
    }
    Ok(())
}

/// Bits of a limb of [`exact`], and how many a word has.
const LIMB: u32 = 16;
const LIMBS: u32 = u64::BITS / LIMB;

/// The sums as integers that are below 2^126, from products of parts of the operands, of which none wraps.
fn exact(terms: &[Summand<'_>], bias: Option<&ClearValue>, len: usize) -> Result<Vec<i128>, GeometryError> {
    // The highest part has the sign.
    let limb = |v: Factor<'_>, i: u32| -> Vec<u64> {
        let part =
            |v: i64| if i + 1 == LIMBS { v >> (LIMB * i) } else { v >> (LIMB * i) & ((1 << LIMB) - 1) };
        v.signed().into_iter().map(|v| part(v) as u64).collect()
    };
    let bias = bias.map_or_else(Vec::new, ClearValue::signed);
    let of_bias = |i: usize| i.checked_rem(bias.len()).and_then(|channel| bias.get(channel)).copied();
    let mut sums: Vec<i128> = (0..len).map(|i| of_bias(i).unwrap_or(0).into()).collect();
    for term in terms {
        let w: Vec<Vec<u64>> = (0..LIMBS).map(|j| limb(term.w, j)).collect();
        for (i, j) in (0..LIMBS).flat_map(|i| (0..LIMBS).map(move |j| (i, j))) {
            let Some(w) = w.get(j as usize) else { continue };
            for (sum, p) in sums.iter_mut().zip(bilinear(term.map, &limb(Factor::Value(term.x), i), w, 64)?) {
                *sum = sum.wrapping_add(i128::from(p as i64) << (LIMB * (i + j)));
            }
        }
    }
    Ok(sums)
}
