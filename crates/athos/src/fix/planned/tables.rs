//! Functions in integers, each made once for all plans of a graph, and for all steps that ask for the same.

use std::collections::HashMap;
use std::rc::Rc;

use cryptflow_graph::{Function, Range};
use cryptflow_operation::Bounds;

use crate::functions::{Form, Wanted, form};

/// All that a table follows from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    function: (&'static str, [u32; 2]),
    /// The bits of the ends of what the function is made for.
    domain: [u64; 2],
    /// Those of the operand below which all is zero.
    zero_below: Option<u64>,
    /// Units by which rounding leads to the other side of a jump.
    tie: i64,
    ends: [i64; 2],
    scales: [u32; 2],
    breaks: Vec<i64>,
    elements: usize,
}

impl Asked {
    /// What is wanted of a function over a domain.
    pub(crate) fn new(
        function: Function,
        domain: Range,
        zero_below: Option<f64>,
        tie: i64,
        wanted: &Wanted<'_>,
    ) -> Asked {
        Asked {
            function: function.key(),
            domain: [domain.low.to_bits(), domain.high.to_bits()],
            zero_below: zero_below.map(f64::to_bits),
            tie,
            ends: [wanted.low, wanted.high],
            scales: [wanted.from_scale, wanted.to_scale],
            breaks: wanted.breaks.clone(),
            elements: wanted.elements,
        }
    }
}

/// A function in integers, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) form: Form,
    pub(crate) bounds: Bounds,
    /// The largest difference from the function within its domain.
    pub(crate) largest_error: f64,
}

/// The tables that were made, and what there is no table for.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    made: HashMap<Asked, Option<Rc<Made>>>,
}

impl Tables {
    /// The table that is asked for, made as `wanted` says where there is none; none where it takes too many
    /// pieces. `first` and `last` are the ends of the domain, in units of the operand.
    pub(crate) fn get(
        &mut self,
        asked: Asked,
        wanted: &Wanted<'_>,
        [first, last]: [i64; 2],
    ) -> Option<Rc<Made>> {
        let make = || {
            let form = form(wanted)?;
            let (bounds, largest_error) = (form.bounds(), form.largest_error(wanted, first, last));
            Some(Rc::new(Made { form, bounds, largest_error }))
        };
        self.made.entry(asked).or_insert_with(make).clone()
    }
}
