//! Products of two secrets.

use cryptflow_ring::LinearMap;
use cryptflow_ring::movement::elements;
use serde::{Deserialize, Serialize};

use crate::bits;
use crate::form::{Form, Integers};
use crate::linear::shifts_out;
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule, smallest, too_few};

/// `map(x, y) / 2^shift`, rounded, of two secret values. Wide operands, narrow result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "F::Shift: Serialize", deserialize = "F::Shift: Deserialize<'de>"))]
pub struct Product<F: Form = Integers> {
    /// The map; `y` takes the place of the weights. Each operand is a tensor with as many elements
    /// as its side of the map has.
    pub map: LinearMap,
    /// Bits to shift out.
    pub shift: F::Shift,
}

impl<F: Form> Named for Product<F> {
    fn name(&self) -> &'static str {
        match self.map {
            LinearMap::Scale { .. } => "product",
            LinearMap::MatMul { .. } | LinearMap::BatchMatMul { .. } | LinearMap::Conv2d(_) => {
                "matrix product of secrets"
            }
        }
    }

    rule!(reaches what the data says);
}

impl Rules for Product {
    rule!(takes 2);

    fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
        bits::linear_ring(smallest(operands, ring_bits), self.shift)
    }

    fn shape(&self, site: &Site<'_>) -> Check {
        let [x, y] = site.inputs else { return Err(too_few(site.inputs.len())) };
        site.has_elements()?;
        let misfit = |e: &dyn std::fmt::Display| Misfit::new(Rule::Shape, e);
        self.map.check().map_err(|e| misfit(&e))?;
        shifts_out(self.shift, "a product")?;
        let lengths = [
            ("left", x.shape, self.map.input_len()),
            ("right", y.shape, self.map.weight_len()),
            ("result", site.out.shape, self.map.output_len()),
        ];
        for (what, shape, due) in lengths {
            if elements(shape).map_err(|e| misfit(&e))? != due {
                let reason = format!("its {what} has {due} elements, and {shape:?} is declared");
                return Err(misfit(&reason));
            }
        }
        Ok(())
    }

    fn scale(&self, site: &Site<'_>) -> Check {
        let [x, y] = site.inputs else { return Err(too_few(site.inputs.len())) };
        let (out, shift) = (site.out.scale, self.shift);
        if x.scale + y.scale == out + shift {
            return Ok(());
        }
        let reason = format!(
            "its operands have {} + {} fractional bits, and the result {out} after a shift by {shift}",
            x.scale, y.scale
        );
        Err(Misfit::new(Rule::Scale, reason))
    }

    rule!(leads from wide to narrow);
    rule!(compares nothing);
    rule!(is exact everywhere);
}
