//! Weighted sums of secrets: layers of a network.

use cryptflow_ring::LinearMap;
use serde::{Deserialize, Serialize};

use crate::bits;
use crate::form::{Form, Integers};
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, Tensor, rule, smallest};

/// One term `map(x, w)` of a linear operation: which of the step's operands, which weight, which
/// map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "F::Weight: Serialize", deserialize = "F::Weight: Deserialize<'de>"))]
pub struct LinearTerm<F: Form = Integers> {
    /// Index into the step's operands.
    pub input: usize,
    /// The weight.
    pub weight: F::Weight,
    /// The bilinear map; its output length is the step's.
    pub map: LinearMap,
}

/// `(Σ map(x, w) + bias) / 2^shift`, rounded. Bias: one element for each element of the last axis,
/// at the scale of the products. Wide operands, narrow result. What has a term shifts out a bit at
/// least; a constant need not, and is exact then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "F::Weight: Serialize, F::Bias: Serialize, F::Shift: Serialize",
    deserialize = "F::Weight: Deserialize<'de>, F::Bias: Deserialize<'de>, F::Shift: Deserialize<'de>"
))]
pub struct Linear<F: Form = Integers> {
    /// The terms, all of the same output shape. None: the result is the bias alone, a secret
    /// constant along one axis.
    pub terms: Vec<LinearTerm<F>>,
    /// The bias.
    pub bias: Option<F::Bias>,
    /// Bits to shift out.
    pub shift: F::Shift,
}

impl<F: Form> Named for Linear<F> {
    fn name(&self) -> &'static str {
        match self.terms.first().map(|t| &t.map) {
            Some(LinearMap::Conv2d(c)) if c.groups > 1 && c.groups == c.in_channels => "depthwise conv",
            Some(LinearMap::Conv2d(_)) => "conv",
            Some(LinearMap::Scale { .. }) => "scale",
            Some(LinearMap::MatMul { .. } | LinearMap::BatchMatMul { .. }) => "matmul",
            None => "constant",
        }
    }

    rule!(reaches what the data says);
}

impl Rules for Linear {
    fn takes(&self, operands: usize) -> bool {
        self.terms.is_empty() == (operands == 0)
    }

    fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
        bits::linear_ring(smallest(operands, ring_bits), self.shift)
    }

    fn shape(&self, site: &Site<'_>) -> Check {
        if self.terms.is_empty() {
            return self.constant_shape(site);
        }
        site.has_elements()?;
        shifts_out(self.shift, "a linear operation")?;
        for (index, term) in self.terms.iter().enumerate() {
            term.shape(site).map_err(|e| Misfit::new(e.rule, format!("term {index} {}", e.reason)))?;
        }
        let Some(bias) = self.bias.map(|id| site.weight(id)).transpose()? else { return Ok(()) };
        if bias.shape == site.out.shape.last().map_or(&[][..], std::slice::from_ref) {
            return Ok(());
        }
        let reason = format!("a bias of the shape {:?} does not go with {:?}", bias.shape, site.out.shape);
        Err(Misfit::new(Rule::Shape, reason))
    }

    fn scale(&self, site: &Site<'_>) -> Check {
        for (index, term) in self.terms.iter().enumerate() {
            let (x, w) = (term.operand(site)?.scale, site.weight(term.weight)?.scale);
            if x + w != site.out.scale + self.shift {
                return Err(self.scales_differ(&format!("term {index} has {x} + {w}"), site));
            }
        }
        let Some(bias) = self.bias.map(|id| site.weight(id)).transpose()? else { return Ok(()) };
        if bias.scale == site.out.scale + self.shift {
            return Ok(());
        }
        if self.terms.is_empty() {
            return Err(self.scales_differ(&format!("it has {}", bias.scale), site));
        }
        let products = site.out.scale + self.shift;
        let reason = format!("its bias has {} fractional bits, the products have {products}", bias.scale);
        Err(Misfit::new(Rule::Scale, reason))
    }

    rule!(leads from wide to narrow);
    rule!(compares nothing);

    // The sum's range follows from the result's bounds, which fit its ring.
    rule!(is exact everywhere);
}

impl Linear {
    /// A bias without products.
    fn constant_shape(&self, site: &Site<'_>) -> Check {
        let missing = || Misfit::new(Rule::Operands, "it has neither a term nor a bias");
        let bias = site.weight(self.bias.ok_or_else(missing)?)?;
        site.gives(bias.shape)?;
        if bias.shape.len() == 1 {
            return Ok(());
        }
        Err(Misfit::new(Rule::Shape, format!("a constant has one axis, not the shape {:?}", bias.shape)))
    }

    fn scales_differ(&self, who: &str, site: &Site<'_>) -> Misfit {
        let (out, shift) = (site.out.scale, self.shift);
        let reason = format!("{who} fractional bits, and the result {out} after a shift by {shift}");
        Misfit::new(Rule::Scale, reason)
    }
}

impl LinearTerm {
    fn operand<'s, 'a>(&self, site: &'s Site<'a>) -> Result<&'s Tensor<'a>, Misfit> {
        let missing = || Misfit::new(Rule::Operands, format!("uses operand {}", self.input));
        site.inputs.get(self.input).ok_or_else(missing)
    }

    fn shape(&self, site: &Site<'_>) -> Check {
        let (x, w) = (self.operand(site)?, site.weight(self.weight)?);
        let [input, filter, result] = map_shapes(&self.map)?;
        let rows = |shape: &[usize]| shape.split_last().map(|(_, rows)| rows.iter().product::<usize>());
        // A matrix product and a scale see all leading axes as rows; a convolution is exact about
        // its four.
        let fits = |shape: &[usize], wanted: &[usize]| match self.map {
            LinearMap::Conv2d(_) => shape == wanted,
            LinearMap::MatMul { .. } | LinearMap::BatchMatMul { .. } | LinearMap::Scale { .. } => {
                shape.last() == wanted.last() && rows(shape) == rows(wanted)
            }
        };
        let reason = if !fits(x.shape, &input) {
            format!("takes {input:?}, and its operand is {:?}", x.shape)
        } else if w.shape != filter {
            format!("takes weights of {filter:?}, and its weight is {:?}", w.shape)
        } else if !fits(site.out.shape, &result) {
            format!("gives {result:?}, and the result is {:?}", site.out.shape)
        } else {
            return Ok(());
        };
        Err(Misfit::new(Rule::Shape, reason))
    }
}

/// The shapes that a map takes and gives: of x, of w, of the result.
fn map_shapes(map: &LinearMap) -> Result<[Vec<usize>; 3], Misfit> {
    let misfit = |e: &dyn std::fmt::Display| Misfit::new(Rule::Shape, format!("cannot be: {e}"));
    map.check().map_err(|e| misfit(&e))?;
    Ok(match map {
        LinearMap::MatMul { rows, inner, columns } => {
            [vec![*rows, *inner], vec![*inner, *columns], vec![*rows, *columns]]
        }
        LinearMap::BatchMatMul { .. } => {
            return Err(misfit(&"a batched product is one of two secrets"));
        }
        LinearMap::Scale { rows, channels } => {
            [vec![*rows, *channels], vec![*channels], vec![*rows, *channels]]
        }
        LinearMap::Conv2d(c) => {
            let [h, w] = c.window.output(c.input).map_err(|e| misfit(&e))?;
            let [kh, kw] = c.window.kernel;
            [
                vec![c.batch, c.input[0], c.input[1], c.in_channels],
                vec![kh, kw, c.in_channels / c.groups.max(1), c.out_channels],
                vec![c.batch, h, w, c.out_channels],
            ]
        }
    })
}

/// Every truncation shifts out something.
pub(crate) fn shifts_out(shift: u32, what: &str) -> Check {
    if shift > 0 {
        return Ok(());
    }
    Err(Misfit::new(Rule::Scale, format!("{what} shifts out at least one bit")))
}
