//! How many runs of its program a session computes at once, as its client asks.

use cryptflow_program::{Checked, Repeated, repeat};

/// The runs that the next inputs are for.
pub(crate) struct Runs<'a> {
    one: &'a Checked,
    most: usize,
    /// Several at once.
    several: Option<Repeated>,
}

impl<'a> Runs<'a> {
    /// One, and so many at once at most.
    pub(crate) fn of(one: &'a Checked, most: usize) -> Runs<'a> {
        Runs { one, most, several: None }
    }

    /// From here on, so many at once.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn ask(&mut self, runs: u32) -> Result<(), String> {
        let runs = usize::try_from(runs).unwrap_or(usize::MAX);
        if runs == 0 || runs > self.most {
            return Err(format!("{runs} batches at once, and this party takes 1 to {}", self.most));
        }
        if runs != self.count() {
            self.several =
                if runs == 1 { None } else { Some(repeat(self.one, runs).map_err(|e| e.to_string())?) };
        }
        Ok(())
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.several.as_ref().map_or(1, Repeated::runs)
    }

    /// What is run.
    pub(crate) fn program(&self) -> &Checked {
        self.several.as_ref().map_or(self.one, Repeated::program)
    }

    /// Which step of one run a step of it belongs to.
    pub(crate) fn origin(&self, step: usize) -> usize {
        self.several.as_ref().map_or(step, |several| several.origin(step))
    }
}
