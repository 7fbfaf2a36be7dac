//! The third stage: a plan with all its numbers. The scale, the ring, the margin and the bits of
//! weights are the [`Choice`]; from it follow the bounds of every value, and the bits that every
//! step shifts out.

pub(crate) use headroom::{SMALLEST_RING, at_one_shift};

mod alike;
pub(crate) mod choice;
mod headroom;
pub(crate) mod search;
mod skipped;
mod traffic;

use std::rc::Rc;

use cryptflow_operation::Bounds;

use super::FixError;
use super::planned::bounds::value_bounds;
use super::planned::plan::Plan;
use choice::Choice;

/// A plan with all its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) plan: Rc<Plan>,
    pub(crate) choice: Choice,
    /// The integers that each value of the plan stays within.
    pub(crate) bounds: Vec<Bounds>,
    /// The bits that each step of the plan shifts out; zero where it shifts nothing.
    pub(crate) shifts: Vec<u32>,
    /// The lowest bits that each step of the plan does not look at where it compares; zero where it compares nothing.
    pub(crate) skipped: Vec<u32>,
    /// Bits of the ring of each wide value of the plan.
    pub(crate) rings: Vec<u32>,
    /// Bits of the largest ring: that of the inputs.
    pub(crate) ring_bits: u32,
}

impl Chosen {
    /// What a plan becomes by a choice.
    ///
    /// # Errors
    /// [`FixError::DoesNotFit`], where a value does not fit the ring.
    pub(crate) fn new(plan: Rc<Plan>, choice: Choice) -> Result<Chosen, FixError> {
        let bounds = value_bounds(&plan, choice.scale, choice.margin);
        let skipped = skipped::skipped(&plan, &bounds, choice.scale);
        let room = headroom::room(&plan, &bounds, &skipped, choice)?;
        let headroom::Room { shifts, rings, ring_bits } = room;
        Ok(Chosen { plan, choice, bounds, shifts, skipped, rings, ring_bits })
    }
}
