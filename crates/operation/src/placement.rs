//! What each party does on its own: sums, differences, movements; and the way into the large ring.

use cryptflow_ring::Movement;

use crate::bits;
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site};

/// The rules of [`crate::Operation::Widen`]: exact for |x| <= 2^(k−2), k the bits of the narrow ring.
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

    fn reach(&self, operands: &[Bounds], _: u32) -> Reach {
        Reach::Follows(Bounds::hull(operands))
    }
}

impl Rules for Widening {
    fn takes(&self, operands: usize) -> bool {
        operands == 1
    }

    fn ring(&self, _: &[u32], ring_bits: u32) -> Option<u32> {
        Some(ring_bits)
    }

    fn shape(&self, site: &Site<'_>) -> Check {
        site.has_elements()?;
        site.keeps_shape()
    }

    fn scale(&self, site: &Site<'_>) -> Check {
        site.keeps_scale()
    }

    fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
        if site.all_wide() {
            return Err(Misfit::new(Rule::Width, "its operand is wide already"));
        }
        Ok(true)
    }

    fn compared(&self, _: Bounds) -> Option<u32> {
        None
    }

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

    fn reach(&self, _: &[Bounds], _: u32) -> Reach {
        Reach::Data
    }
}

/// Sums and differences obey the same rules.
macro_rules! pairwise {
    ($operation:ty) => {
        impl Rules for $operation {
            fn takes(&self, operands: usize) -> bool {
                operands == 2
            }

            fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
                Some(operands.iter().copied().min().unwrap_or(ring_bits))
            }

            fn shape(&self, site: &Site<'_>) -> Check {
                site.has_elements()?;
                site.keeps_shape()
            }

            fn scale(&self, site: &Site<'_>) -> Check {
                site.keeps_scale()
            }

            fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
                Ok(site.all_wide())
            }

            fn compared(&self, _: Bounds) -> Option<u32> {
                None
            }

            fn exact(&self, _: &Site<'_>) -> Check {
                Ok(())
            }
        }
    };
}
pairwise!(Addition);
pairwise!(Subtraction);

impl Named for Movement {
    fn name(&self) -> &'static str {
        match self {
            Movement::Reshape { .. } => "reshape",
            Movement::Transpose { .. } => "transpose",
            Movement::Pad { .. } => "pad",
            Movement::Slice { .. } => "slice",
            Movement::Concat { .. } => "concat",
            Movement::Broadcast { .. } => "broadcast",
            Movement::Gather { .. } => "gather",
        }
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

    fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
        Some(operands.iter().copied().min().unwrap_or(ring_bits))
    }

    /// Movements may be of nothing.
    fn shape(&self, site: &Site<'_>) -> Check {
        let shapes: Vec<&[usize]> = site.inputs.iter().map(|x| x.shape).collect();
        let shape = self.output_shape(&shapes).map_err(|e| Misfit::new(Rule::Shape, e))?;
        site.gives(&shape)
    }

    fn scale(&self, site: &Site<'_>) -> Check {
        site.keeps_scale()
    }

    fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
        Ok(site.all_wide())
    }

    fn compared(&self, _: Bounds) -> Option<u32> {
        None
    }

    fn exact(&self, _: &Site<'_>) -> Check {
        Ok(())
    }
}
