//! What each party does on its own: sums, differences, movements; and the way into a larger ring.

use cryptflow_ring::Movement;

use crate::bits;
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule};

/// The rules of [`crate::Operation::Widen`]: exact for |x| <= 2^(k−2), k the bits of the narrow
/// ring.
#[derive(Clone, Copy, Debug)]
pub struct Widening;

/// The rules of [`crate::Operation::Add`].
#[derive(Clone, Copy, Debug)]
pub struct Addition;

/// The rules of [`crate::Operation::Sub`].
#[derive(Clone, Copy, Debug)]
pub struct Subtraction;

impl Named for Widening {
    fn name(&self) -> &'static str {
        "widen"
    }

    rule!(reaches what its operands do);
}

impl Rules for Widening {
    rule!(takes 1);
    rule!(goes to a ring of its own);
    rule!(keeps the shape);
    rule!(keeps the scale);

    fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
        if site.all_wide() {
            return Err(Misfit::new(Rule::Width, "its operand is wide already"));
        }
        Ok(true)
    }

    rule!(compares nothing);

    fn exact(&self, site: &Site<'_>) -> Check {
        let x = site.first()?;
        let Bounds { low, high } = x.bounds;
        let needed = bits::widen_bits(low, high);
        if needed <= x.ring {
            return Ok(());
        }
        let reason = format!(
            "to widen values from {low} to {high} takes a ring of {needed} bits, and there are {}",
            x.ring
        );
        Err(Misfit::new(Rule::Ring, reason))
    }
}

impl Named for Addition {
    fn name(&self) -> &'static str {
        "add"
    }

    fn reach(&self, operands: &[Bounds], _: u32) -> Reach {
        if Bounds::hull(operands).low >= 0 { Reach::NotNegative } else { Reach::Data }
    }
}

impl Named for Subtraction {
    fn name(&self) -> &'static str {
        "sub"
    }

    rule!(reaches what the data says);
}

/// Sums and differences obey the same rules.
macro_rules! pairwise {
    ($operation:ty) => {
        impl Rules for $operation {
            rule!(takes 2);
            rule!(stays in the smallest ring);
            rule!(keeps the shape);
            rule!(keeps the scale);
            rule!(is as wide as all operands);
            rule!(compares nothing);
            rule!(is exact everywhere);
        }
    };
}
pairwise!(Addition);
pairwise!(Subtraction);

impl Named for Movement {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn reach(&self, operands: &[Bounds], _: u32) -> Reach {
        let all = Bounds::hull(operands);
        Reach::Follows(match self {
            Movement::Pad { .. } => all.with_zero(),
            Movement::Reshape { .. }
            | Movement::Transpose { .. }
            | Movement::Slice { .. }
            | Movement::Concat { .. }
            | Movement::Broadcast { .. }
            | Movement::Gather { .. } => all,
        })
    }
}

impl Rules for Movement {
    fn takes(&self, operands: usize) -> bool {
        operands > 0
    }

    rule!(stays in the smallest ring);

    /// Movements may be of nothing.
    fn shape(&self, site: &Site<'_>) -> Check {
        let shapes: Vec<&[usize]> = site.inputs.iter().map(|x| x.shape).collect();
        let shape = self.output_shape(&shapes).map_err(|e| Misfit::new(Rule::Shape, e))?;
        site.gives(&shape)
    }

    rule!(keeps the scale);
    rule!(is as wide as all operands);
    rule!(compares nothing);
    rule!(is exact everywhere);
}
