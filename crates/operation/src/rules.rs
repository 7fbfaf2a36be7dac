//! What every operation says of itself, and the words in which it does.

use std::fmt;

use crate::form::WeightId;

/// Smallest and largest integer that a value may take, in units of its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Smallest.
    pub low: i64,
    /// Largest.
    pub high: i64,
}

impl Bounds {
    /// Zero alone.
    pub const ZERO: Bounds = Bounds { low: 0, high: 0 };

    /// The smallest bounds that hold all of these; zero where there are none.
    pub fn hull(all: &[Bounds]) -> Bounds {
        Bounds::of(all.iter().flat_map(|b| [b.low, b.high]))
    }

    /// The smallest bounds that hold all of these integers; zero where there are none.
    pub fn of(values: impl IntoIterator<Item = i64>) -> Bounds {
        let mut values = values.into_iter();
        let first = values.next().unwrap_or(0);
        let wider = |b: Bounds, v: i64| Bounds { low: b.low.min(v), high: b.high.max(v) };
        values.fold(Bounds { low: first, high: first }, wider)
    }

    /// The largest magnitude.
    pub fn magnitude(self) -> u64 {
        self.low.unsigned_abs().max(self.high.unsigned_abs())
    }

    /// What is this far from zero at most.
    pub fn within(reach: i64) -> Bounds {
        Bounds { low: -reach, high: reach }
    }

    /// What each end becomes, by a function that never falls.
    pub fn map(self, end: impl Fn(i64) -> i64) -> Bounds {
        Bounds { low: end(self.low), high: end(self.high) }
    }

    /// Of the negative.
    pub fn negated(self) -> Bounds {
        Bounds { low: self.high.saturating_neg(), high: self.low.saturating_neg() }
    }

    /// Of sums of two values.
    pub fn plus(self, other: Bounds) -> Bounds {
        Bounds { low: self.low.saturating_add(other.low), high: self.high.saturating_add(other.high) }
    }

    /// Of differences of two values.
    pub fn minus(self, other: Bounds) -> Bounds {
        Bounds { low: self.low.saturating_sub(other.high), high: self.high.saturating_sub(other.low) }
    }

    /// How far apart they are.
    pub fn apart(self) -> i64 {
        self.high.saturating_sub(self.low)
    }

    /// With zero between them.
    pub fn with_zero(self) -> Bounds {
        Bounds { low: self.low.min(0), high: self.high.max(0) }
    }
}

/// What the operands' bounds say of the result's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The result is moved, picked or cut out of the operands: it takes every value between these.
    Follows(Bounds),
    /// The result takes every value between these, whatever the operands are.
    Always(Bounds),
    /// What values there are depends on the data; none of them is negative.
    NotNegative,
    /// What values there are depends on the data.
    Data,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// How many operands there are.
    Operands,
    /// Shapes, and attributes that go with them.
    Shape,
    /// Fractional bits.
    Scale,
    /// Wide and narrow.
    Width,
    /// Bits of rings, and bits that comparisons look at.
    Ring,
    /// Bounds of the result.
    Bounds,
}

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Misfit {
    /// Which kind of rule.
    pub rule: Rule,
    /// What is wrong, for people.
    pub reason: String,
}

impl Misfit {
    pub(crate) fn new(rule: Rule, reason: impl fmt::Display) -> Misfit {
        Misfit { rule, reason: reason.to_string() }
    }
}

/// Whether a rule holds.
pub(crate) type Check = Result<(), Misfit>;

/// What a rule sees of a value.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Shape.
    pub shape: &'a [usize],
    /// Fractional bits.
    pub scale: u32,
    /// Bounds, in units.
    pub bounds: Bounds,
    /// Whether linear maps and sums over windows can take it: it is what nothing was shifted out of
    /// since it was brought into its ring.
    pub wide: bool,
    /// Bits of its ring.
    pub ring: u32,
}

/// What a rule sees of a weight.
#[derive(Clone, Copy, Debug)]
pub struct WeightTensor<'a> {
    /// Shape.
    pub shape: &'a [usize],
    /// Fractional bits.
    pub scale: u32,
}

/// A step of a program, as a rule sees it.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The operands.
    pub inputs: &'a [Tensor<'a>],
    /// The result, as it is declared; its ring is the one that follows from the operation.
    pub out: Tensor<'a>,
    /// The weights of the program.
    pub weights: &'a [WeightTensor<'a>],
}

impl<'a> Site<'a> {
    /// The first operand of an operation that has one.
    pub(crate) fn first(&self) -> Result<&Tensor<'a>, Misfit> {
        self.inputs.first().ok_or_else(|| too_few(self.inputs.len()))
    }

    pub(crate) fn weight(&self, id: WeightId) -> Result<&WeightTensor<'a>, Misfit> {
        let missing = || Misfit::new(Rule::Operands, format!("weight {} is not declared", id.0));
        self.weights.get(id.0).ok_or_else(missing)
    }

    /// Whether all operands are wide.
    pub(crate) fn all_wide(&self) -> bool {
        self.inputs.iter().all(|x| x.wide)
    }

    /// The result has this shape.
    pub(crate) fn gives(&self, shape: &[usize]) -> Check {
        if self.out.shape == shape {
            return Ok(());
        }
        let reason = format!("its result has the shape {shape:?}, and {:?} is declared", self.out.shape);
        Err(Misfit::new(Rule::Shape, reason))
    }

    /// The result has the shape of every operand.
    pub(crate) fn keeps_shape(&self) -> Check {
        self.inputs.iter().try_for_each(|x| self.gives(x.shape))
    }

    /// The result has the scale of every operand.
    pub(crate) fn keeps_scale(&self) -> Check {
        match self.inputs.iter().find(|x| x.scale != self.out.scale) {
            None => Ok(()),
            Some(x) => {
                let (x, out) = (x.scale, self.out.scale);
                let reason = format!("its operand has {x} fractional bits, its result {out}");
                Err(Misfit::new(Rule::Scale, reason))
            }
        }
    }

    /// No operand and no result is empty: nothing is computed on nothing.
    pub(crate) fn has_elements(&self) -> Check {
        match self.inputs.iter().chain([&self.out]).find(|v| v.shape.contains(&0)) {
            None => Ok(()),
            Some(v) => Err(Misfit::new(Rule::Shape, format!("the shape {:?} has no elements", v.shape))),
        }
    }

    /// All operands are wide.
    pub(crate) fn takes_wide(&self) -> Check {
        if self.all_wide() {
            return Ok(());
        }
        Err(Misfit::new(Rule::Width, "it takes wide operands, and one is narrow"))
    }

    /// A comparison that needs `needed` bits of its operand, and has `looked_at` of which it skips the lowest, is as exact as it says.
    pub(crate) fn compares(&self, needed: Option<u32>, looked_at: u32, skipped: u32) -> Check {
        let x = self.first()?;
        let needed = needed.unwrap_or(crate::bits::SMALLEST_COMPARISON);
        if looked_at < crate::bits::smallest_comparison(skipped) {
            let reason = format!("it compares {looked_at} bits, and skips {skipped} of them");
            return Err(Misfit::new(Rule::Ring, reason));
        }
        if needed > looked_at {
            let reason = format!(
                "values from {} to {} are compared on {needed} bits, and it looks at {looked_at}",
                x.bounds.low, x.bounds.high
            );
            return Err(Misfit::new(Rule::Ring, reason));
        }
        if looked_at > x.ring {
            let reason = format!("it compares {looked_at} bits in a ring of {}", x.ring);
            return Err(Misfit::new(Rule::Ring, reason));
        }
        Ok(())
    }
}

pub(crate) fn too_few(given: usize) -> Misfit {
    Misfit::new(Rule::Operands, format!("{given} operands are not what it takes"))
}

/// Bits of the smallest ring of the operands; where there are none, of the one that a step without
/// operands works in.
pub(crate) fn smallest(operands: &[u32], ring_bits: u32) -> u32 {
    operands.iter().copied().min().unwrap_or(ring_bits)
}

/// A rule that several operations share, as the method that states it: each operation still names
/// every one of its rules.
macro_rules! rule {
    (takes $number:literal) => {
        fn takes(&self, operands: usize) -> bool {
            operands == $number
        }
    };
    (stays in the smallest ring) => {
        fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
            Some($crate::rules::smallest(operands, ring_bits))
        }
    };
    (goes to a ring of its own) => {
        fn ring(&self, _: &[u32], ring_bits: u32) -> Option<u32> {
            Some(ring_bits)
        }
    };
    (keeps the shape) => {
        fn shape(&self, site: &Site<'_>) -> Check {
            site.has_elements()?;
            site.keeps_shape()
        }
    };
    (keeps the scale) => {
        fn scale(&self, site: &Site<'_>) -> Check {
            site.keeps_scale()
        }
    };
    (leads from wide to narrow) => {
        fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
            site.takes_wide()?;
            Ok(false)
        }
    };
    (is as wide as all operands) => {
        fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
            Ok(site.all_wide())
        }
    };
    (compares nothing) => {
        fn compared(&self, _: Bounds) -> Option<u32> {
            None
        }
    };
    (is exact everywhere) => {
        fn exact(&self, _: &Site<'_>) -> Check {
            Ok(())
        }
    };
    (reaches what the data says) => {
        fn reach(&self, _: &[Bounds], _: u32) -> Reach {
            Reach::Data
        }
    };
    (reaches what its operands do) => {
        fn reach(&self, operands: &[Bounds], _: u32) -> Reach {
            Reach::Follows(Bounds::hull(operands))
        }
    };
}
pub(crate) use rule;

/// What is true of an operation in every [`crate::Form`].
pub trait Named {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// What the operands' bounds say of the result's; `scale` is the result's.
    fn reach(&self, operands: &[Bounds], scale: u32) -> Reach;
}

/// What must hold for a step of a program. Nothing here has a default: who adds an operation says
/// all of it.
pub trait Rules: Named {
    /// Whether it takes so many operands.
    fn takes(&self, operands: usize) -> bool;
    /// Bits of the ring of its result, for operands in rings of these bits; `ring_bits` are those of the
    /// ring to which a step goes that widens, or has no operands. None where a shift leaves nothing.
    fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32>;
    /// Shapes go together, and attributes with them.
    ///
    /// # Errors
    /// What does not.
    fn shape(&self, site: &Site<'_>) -> Check;
    /// Fractional bits go together.
    ///
    /// # Errors
    /// What does not.
    fn scale(&self, site: &Site<'_>) -> Check;
    /// Operands are as wide as it needs them; whether its result is wide.
    ///
    /// # Errors
    /// An operand that is not.
    fn width(&self, site: &Site<'_>) -> Result<bool, Misfit>;
    /// Signed bits that its comparisons need, of an operand within these bounds; none where it
    /// compares nothing.
    fn compared(&self, x: Bounds) -> Option<u32>;
    /// Values within their bounds are in the range in which it is exact.
    ///
    /// # Errors
    /// Why they are not.
    fn exact(&self, site: &Site<'_>) -> Check;
}

impl dyn Rules + '_ {
    /// Holds a step to every rule, in this order: operands, shapes, scales, width, exactness,
    /// bounds.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check(&self, site: &Site<'_>) -> Check {
        if !self.takes(site.inputs.len()) {
            return Err(too_few(site.inputs.len()));
        }
        self.shape(site)?;
        self.scale(site)?;
        let wide = self.width(site)?;
        if wide != site.out.wide {
            let name = |wide: bool| if wide { "wide" } else { "narrow" };
            let (is, declared) = (name(wide), name(site.out.wide));
            let reason = format!("its result is {is}, and {declared} is declared");
            return Err(Misfit::new(Rule::Width, reason));
        }
        self.exact(site)?;
        self.declared_bounds(site)
    }

    /// Where the result's bounds follow from the operands', the declared ones are not tighter; and
    /// they fit the result's ring.
    fn declared_bounds(&self, site: &Site<'_>) -> Check {
        let operands: Vec<Bounds> = site.inputs.iter().map(|x| x.bounds).collect();
        let (out, ring) = (site.out.bounds, site.out.ring);
        match self.reach(&operands, site.out.scale) {
            Reach::Follows(Bounds { low, high }) | Reach::Always(Bounds { low, high })
                if low < out.low || out.high < high =>
            {
                let reason = format!(
                    "its result takes values from {low} to {high}, and {} to {} is declared",
                    out.low, out.high
                );
                return Err(Misfit::new(Rule::Bounds, reason));
            }
            Reach::Follows(_) | Reach::Always(_) | Reach::NotNegative | Reach::Data => {}
        }
        site.out.fits(ring)
    }
}

impl Tensor<'_> {
    /// Its bounds fit a ring of so many bits.
    ///
    /// # Errors
    /// By how much they do not.
    pub fn fits(&self, ring: u32) -> Check {
        let Bounds { low, high } = self.bounds;
        let needed = crate::bits::ring_bits(low, high);
        if needed <= ring {
            return Ok(());
        }
        let reason = format!("values from {low} to {high} need {needed} bits, and there are {ring}");
        Err(Misfit::new(Rule::Bounds, reason))
    }
}
