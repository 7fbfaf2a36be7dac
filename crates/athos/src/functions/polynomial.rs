//! One polynomial with public coefficients over a whole range, in integers: what costs products alone.
//!
//! With u within −1 to 1 across the range, and blocks A of b coefficients each,
//! `f = A_0 + u^b (A_1 + u^b (A_2 + …))`: the powers up to u^b are made once, each block is a public combination of
//! them, and each pair of brackets is one product. (Paterson and Stockmeyer, SIAM J. Comput. 1973.)

use cryptflow_operation::Bounds;

use super::fit::Wanted;

/// Bits that powers of u have beyond those of the result.
const FINER: u32 = 3;

/// Units of the result that all coefficients together may come to, each times a unit of its power: a power may be off by
/// some of its units, so that together they are off by about one of the result's.
const LOUDEST: f64 = 0.3;

/// The most bits of a ring in which these products are computed: less than a word, with headroom for the room of
/// what the result is an operand of.
const MOST_BITS: u32 = 60;

/// Units by which a power or a bracket may be off, by its own rounding and that of what it is made of.
const OFF: i64 = 3;

/// Points at which a polynomial is looked at, at most.
const POINTS: usize = 400;

/// The size of a block, and how many brackets there are.
pub(crate) type Plan = (usize, usize);

/// The plans that are tried, cheapest first: of degrees 2 to 20.
pub(crate) const PLANS: [Plan; 10] =
    [(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (4, 2), (3, 3), (4, 3), (5, 3), (6, 3)];

/// A polynomial in integers. For an operand X:
///
/// * `P_1 = (X − centre) · factor`, within −2^fine to 2^fine; `P_(i+j) = P_i · P_j / 2^fine`;
/// * the last block `T = Σ row[k]·P_k`, with `P_0 = 1`;
/// * for each bracket before it `T = (P_b · T + Σ row[k]·P_k) / 2^shift`.
///
/// Every division by a power of two rounds, and may be off by a unit more in a protocol.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Polynomial {
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) centre: i64,
    pub(crate) factor: i64,
    /// Bits of powers.
    pub(crate) fine: u32,
    /// The highest power that is made.
    pub(crate) block: usize,
    /// Coefficients, the last block first; each of the constant, of P_1, and so on.
    pub(crate) rows: Vec<Vec<i64>>,
    /// For each row but the first the bits that are shifted out.
    pub(crate) shifts: Vec<u32>,
    /// The fractional bits that powers have in a program. What they stand for there does not matter, but that products
    /// of two of them shift as they should.
    pub(crate) label: u32,
}

/// What came of making a polynomial.
enum Made {
    Fits(Polynomial),
    /// It needs so many bits more.
    Finer(u32),
}

/// What each integer of a polynomial stays within.
pub(crate) struct Reach {
    /// `P_1`, `P_2` and so on.
    pub(crate) powers: Vec<Bounds>,
    /// The blocks by themselves.
    pub(crate) blocks: Vec<Bounds>,
    /// What each bracket comes to.
    pub(crate) brackets: Vec<Bounds>,
}

/// All integers on the way, for one operand.
struct Steps {
    powers: Vec<i64>,
    blocks: Vec<i64>,
    brackets: Vec<i64>,
}

impl Polynomial {
    /// The polynomial of a plan over the range that is wanted; none where it is not close enough, or takes a larger
    /// ring than there is.
    pub(crate) fn fit(wanted: &Wanted<'_>, plan: Plan) -> Option<Polynomial> {
        // The coarsest of last blocks first: their bits are bits of the ring.
        const MORE: [u32; 2] = [0, 4];
        let usual = wanted.to_scale + FINER;
        MORE.iter().find_map(|&more| match Polynomial::made(wanted, plan, usual, more)? {
            Made::Fits(made) => Some(made),
            // Rounding of powers comes to more where coefficients are large.
            Made::Finer(bits) => match Polynomial::made(wanted, plan, usual + bits, more)? {
                Made::Fits(made) => Some(made),
                Made::Finer(_) => None,
            },
        })
    }

    /// The polynomial whose powers have so many bits at least.
    fn made(wanted: &Wanted<'_>, (block, brackets): Plan, fine: u32, more: u32) -> Option<Made> {
        let Wanted { low, high, .. } = *wanted;
        let centre = low + (high - low) / 2;
        let half = (high - centre).max(centre - low).max(1);
        let fine = fine.max(half.ilog2() + 1);
        if 2 * fine + 4 > MOST_BITS {
            return None;
        }
        let factor = ((1i64 << fine) / half).max(1);
        // What P_k is of u^k, in bits.
        let first = (half as f64 * factor as f64).log2() - f64::from(fine);
        let of_power = |k: usize| if k == 0 { 0.0 } else { f64::from(fine) + k as f64 * first };
        // Coefficients of the last block are rounded to few bits, one after the other, and those before make up for
        // that: an error in one of degree n is worth 2^(1 − n) of itself then.
        let bits = i64::from(wanted.to_scale + FINER + more) - (block * brackets) as i64;
        let aimed = f64::from(fine) + bits.max(2) as f64;
        // Shifts, from the result backwards: what is between brackets has as many bits as powers.
        let mut shifts = Vec::with_capacity(brackets);
        let mut units = vec![f64::from(wanted.to_scale)];
        for bracket in 0..brackets {
            let aimed = if bracket + 1 == brackets { aimed } else { f64::from(fine) };
            let shift = (aimed + of_power(block) - units[bracket]).round().max(1.0);
            units.push(units[bracket] + shift - of_power(block));
            shifts.push(shift as u32);
        }
        let at =
            |u: f64| (wanted.at)((centre as f64 + u * half as f64) / f64::from(wanted.from_scale).exp2());
        let last = block * brackets;
        let coefficients = rounded_from(&at, block * (brackets + 1), last, |k| {
            (units[brackets] - of_power(k - last)).exp2()
        });
        let value = |u: f64| coefficients.iter().rev().fold(0.0, |sum, c| sum * u + c);
        if !close(wanted, centre, half, &value) {
            return None;
        }
        let sum: f64 = coefficients.iter().skip(1).map(|c| c.abs()).sum();
        let loud = (sum / f64::from(fine - wanted.to_scale).exp2() / LOUDEST).log2().ceil();
        if loud > 0.0 {
            return Some(Made::Finer(loud as u32));
        }
        let row = |i: usize| -> Option<Vec<i64>> {
            // Of a product's scale, where it is added to one.
            let unit = if i == brackets { units[i] } else { units[i + 1] + of_power(block) };
            let own = coefficients.iter().skip(i * block).take(if i == brackets { block + 1 } else { block });
            own.enumerate().map(|(k, c)| whole(c * (unit - of_power(k)).exp2())).collect()
        };
        let rows = (0..=brackets).rev().map(row).collect::<Option<Vec<_>>>()?;
        shifts.reverse();
        let label = label(wanted, fine, &shifts)?;
        let made = Polynomial { low, high, centre, factor, fine, block, rows, shifts, label };
        (made.ring() <= MOST_BITS).then_some(Made::Fits(made))
    }

    /// The degree.
    pub(crate) fn degree(&self) -> usize {
        self.block * self.rows.len()
    }

    /// Bits of the ring of its products.
    pub(crate) fn ring(&self) -> u32 {
        let reach = self.reach();
        let bits = |b: &Bounds| 64 - b.magnitude().leading_zeros();
        let of_brackets = reach.brackets.iter().zip(&self.shifts).map(|(b, shift)| bits(b) + 3 + shift);
        let of_blocks = reach.blocks.iter().map(|b| bits(b) + 1);
        of_brackets.chain(of_blocks).fold(2 * self.fine + 4, u32::max)
    }

    fn steps(&self, x: i64) -> Steps {
        let round = |v: i128, shift: u32| if shift == 0 { v } else { (v + (1 << (shift - 1))) >> shift };
        let mut powers = vec![(x - self.centre) * self.factor];
        while powers.len() < self.block {
            let have = powers.len();
            for i in 0..have.min(self.block - have) {
                powers.push(round(i128::from(powers[i]) * i128::from(powers[have - 1]), self.fine) as i64);
            }
        }
        let combined = |row: &Vec<i64>| {
            let all = std::iter::once(&1).chain(&powers);
            row.iter().zip(all).map(|(c, p)| i128::from(*c) * i128::from(*p)).sum::<i128>()
        };
        let sums: Vec<i128> = self.rows.iter().map(combined).collect();
        let mut brackets = Vec::new();
        let mut inner = sums[0];
        for (sum, shift) in sums[1..].iter().zip(&self.shifts) {
            inner = round(inner * i128::from(powers[self.block - 1]) + sum, *shift);
            brackets.push(word(inner));
        }
        Steps { powers, blocks: sums.into_iter().map(word).collect(), brackets }
    }

    /// What a program computes, every division rounded to the nearest.
    pub(crate) fn at(&self, x: i64) -> i64 {
        self.steps(x).brackets.last().copied().unwrap_or_default()
    }

    /// What all integers on the way stay within, with headroom for the rounding of truncations.
    pub(crate) fn reach(&self) -> Reach {
        let all: Vec<Steps> = places(self.low, self.high).map(|x| self.steps(x)).collect();
        let hull = |pick: &dyn Fn(&Steps) -> i64, off: i64| {
            let Bounds { low, high } = Bounds::of(all.iter().map(pick));
            // Between the places that are looked at.
            let slack = off.saturating_add(high.saturating_sub(low) / 256);
            Bounds { low: low.saturating_sub(slack), high: high.saturating_add(slack) }
        };
        let powers = (0..self.block).map(|k| match k {
            0 => Bounds {
                low: (self.low - self.centre) * self.factor,
                high: (self.high - self.centre) * self.factor,
            },
            _ => hull(&|s| s.powers[k], OFF),
        });
        let of_row = |row: &Vec<i64>| {
            row.iter().skip(2).map(|c| c.abs()).fold(1i64, i64::saturating_add).saturating_mul(OFF)
        };
        let blocks = self.rows.iter().enumerate().map(|(i, row)| hull(&|s| s.blocks[i], of_row(row)));
        let brackets = (0..self.shifts.len()).map(|i| hull(&|s| s.brackets[i], 4 * OFF));
        Reach { powers: powers.collect(), blocks: blocks.collect(), brackets: brackets.collect() }
    }
}

/// The fractional bits that powers have in a program: no fewer than the operand, enough that no product has fewer than
/// none, and no more than what a product shifts out; none where there is no such number.
fn label(wanted: &Wanted<'_>, fine: u32, shifts: &[u32]) -> Option<u32> {
    let (last, inner) = shifts.split_last()?;
    let least = inner.iter().copied().fold(fine, u32::max).div_ceil(2).max(wanted.from_scale);
    let fits = inner.iter().all(|&shift| least <= shift) && 2 * least <= wanted.to_scale + last;
    (least <= fine && fits).then_some(least)
}

/// A number as a word, or the largest word: no ring has room for that.
fn word(v: i128) -> i64 {
    v.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A number as an integer, where it fits a word with headroom.
fn whole(v: f64) -> Option<i64> {
    let v = v.round();
    (v.abs() < f64::from(MOST_BITS).exp2()).then_some(v as i64)
}

/// The integers of a range at which what is between them is judged: all of few, and closer to the ends of many.
pub(crate) fn places(low: i64, high: i64) -> impl Iterator<Item = i64> {
    let apart = high - low;
    let count = apart.min(POINTS as i64);
    (0..=count).map(move |i| {
        if apart <= POINTS as i64 {
            return low + i;
        }
        let along = 0.5 - 0.5 * (std::f64::consts::PI * i as f64 / count as f64).cos();
        low + (along * apart as f64).round() as i64
    })
}

fn close(wanted: &Wanted<'_>, centre: i64, half: i64, value: &dyn Fn(f64) -> f64) -> bool {
    places(wanted.low, wanted.high).all(|x| {
        let error = value((x - centre) as f64 / half as f64) - (wanted.at)(wanted.real(x));
        wanted.allows(error.abs(), x)
    })
}

/// The coefficients of a polynomial of this degree that is close to a function from −1 to 1, where those from the
/// `first` on are rounded to units, and those below make up for that: what u^k differs by from the Chebyshev polynomial
/// T_k / 2^(k−1), which is nowhere large, is of a lower degree.
fn rounded_from(
    at: &dyn Fn(f64) -> f64,
    degree: usize,
    first: usize,
    units: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut coefficients = interpolated(at, degree);
    for k in (first.max(1)..=degree).rev() {
        let rounded = (coefficients[k] * units(k)).round() / units(k);
        let off = coefficients[k] - rounded;
        coefficients[k] = rounded;
        let lower = chebyshev(k);
        for (c, t) in coefficients.iter_mut().zip(&lower[..k]) {
            *c -= off * t / lower[k];
        }
    }
    coefficients
}

/// The powers' coefficients of the Chebyshev polynomial of a degree.
fn chebyshev(degree: usize) -> Vec<f64> {
    let (mut before, mut polynomial) = (vec![0.0; degree + 1], vec![0.0; degree + 1]);
    polynomial[0] = 1.0;
    for i in 0..degree {
        let next = following(&before, &polynomial, i);
        before = std::mem::replace(&mut polynomial, next);
    }
    polynomial
}

/// The Chebyshev polynomial of degree `i` + 1, of that of degree `i` and the one before it.
fn following(before: &[f64], polynomial: &[f64], i: usize) -> Vec<f64> {
    let factor = if i == 0 { 1.0 } else { 2.0 };
    let of = |k: usize| {
        factor * if k == 0 { 0.0 } else { polynomial[k - 1] } - if i == 0 { 0.0 } else { before[k] }
    };
    (0..polynomial.len()).map(of).collect()
}

/// The powers' coefficients of the polynomial through the Chebyshev points of −1 to 1.
fn interpolated(at: &dyn Fn(f64) -> f64, degree: usize) -> Vec<f64> {
    let n = degree + 1;
    let angle = |k: usize| std::f64::consts::PI * (k as f64 + 0.5) / n as f64;
    let values: Vec<f64> = (0..n).map(|k| at(angle(k).cos())).collect();
    let coefficient = |i: usize| {
        let sum: f64 = values.iter().enumerate().map(|(k, v)| v * (i as f64 * angle(k)).cos()).sum();
        sum * if i == 0 { 1.0 } else { 2.0 } / n as f64
    };
    let mut powers = vec![0.0; n];
    let (mut before, mut polynomial) = (vec![0.0; n], vec![0.0; n]);
    polynomial[0] = 1.0;
    for i in 0..n {
        let c = coefficient(i);
        powers.iter_mut().zip(&polynomial).for_each(|(p, t)| *p += c * t);
        let next = following(&before, &polynomial, i);
        before = std::mem::replace(&mut polynomial, next);
    }
    powers
}
