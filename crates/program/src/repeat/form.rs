//! How the elements of several runs lie in one value.
//!
//! The elements of a value of one run are cut into `outer` equal pieces; those of all runs lie piece by
//! piece, of each piece that of the first run, of the second, and so on: `[outer, runs, rest]`. Where its
//! shape has the runs is another matter: any shape will do that has as many elements before them.

/// Where a shape has the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// This axis is so many times as long.
    Within(usize),
    /// They have an axis of their own, before the one that has this number in one run.
    Before(usize),
}

impl Place {
    /// The same in a shape with so many axes more in front.
    pub(super) fn behind(self, axes: usize) -> Place {
        match self {
            Place::Within(axis) => Place::Within(axis + axes),
            Place::Before(axis) => Place::Before(axis + axes),
        }
    }

    /// The same in a shape without so many axes in front; nowhere, if it was there.
    pub(super) fn without(self, axes: usize) -> Option<Place> {
        match self {
            Place::Within(axis) => axis.checked_sub(axes).map(Place::Within),
            Place::Before(axis) => axis.checked_sub(axes).map(Place::Before),
        }
    }
}

/// How the elements of all runs lie in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// Pieces of one run's value.
    pub(super) outer: usize,
    /// Where the shape has the runs.
    pub(super) place: Place,
}

/// The product of these extents.
pub(super) fn count(extents: &[usize]) -> usize {
    extents.iter().fold(1, |n: usize, &extent| n.saturating_mul(extent))
}

impl Form {
    /// One run after another, in the first axis: as inputs come, and outputs go.
    pub(super) fn runs_first(shape: &[usize]) -> Form {
        Form { outer: 1, place: if shape.is_empty() { Place::Before(0) } else { Place::Within(0) } }
    }

    /// One run after another, along an axis of their own.
    pub(super) const STACKED: Form = Form { outer: 1, place: Place::Before(0) };

    /// The runs within this axis, of which `pieces` pieces are apart.
    pub(super) fn within(shape: &[usize], axis: usize, pieces: usize) -> Form {
        let before = count(shape.get(..axis).unwrap_or_default());
        Form { outer: before.saturating_mul(pieces), place: Place::Within(axis) }
    }

    /// The shape of all runs' value, of the shape that one run's has.
    pub(super) fn shape(self, one: &[usize], runs: usize) -> Vec<usize> {
        let mut shape = one.to_vec();
        match self.place {
            Place::Within(axis) => {
                if let Some(extent) = shape.get_mut(axis) {
                    *extent = extent.saturating_mul(runs);
                }
            }
            Place::Before(axis) => shape.insert(axis.min(one.len()), runs),
        }
        shape
    }

    /// How many pieces of the axis are apart, where the runs are within one.
    pub(super) fn pieces(self, shape: &[usize]) -> Option<(usize, usize)> {
        match self.place {
            Place::Within(axis) => Some((axis, pieces(shape, axis, self.outer)?)),
            Place::Before(_) => None,
        }
    }

    /// A form with so many pieces, for a shape of which the first `free` axes may have the runs. Of several,
    /// `prefer`; then one where an axis begins with the runs, the first.
    pub(super) fn of(shape: &[usize], outer: usize, free: usize, prefer: Option<Place>) -> Option<Form> {
        let fits = |place: &Place| match *place {
            Place::Within(axis) => axis < free.min(shape.len()) && pieces(shape, axis, outer).is_some(),
            Place::Before(axis) => axis <= free.min(shape.len()) && count(&shape[..axis]) == outer,
        };
        let begins =
            |place: &Place| matches!(*place, Place::Within(axis) if pieces(shape, axis, outer) == Some(1));
        let within = (0..shape.len()).map(Place::Within);
        let own = (0..=shape.len()).map(Place::Before);
        let mut all = prefer.into_iter().chain(within.clone().filter(begins)).chain(within).chain(own);
        all.find(fits).map(|place| Form { outer, place })
    }
}

/// How many pieces of an axis are apart, where all of them are so many.
fn pieces(shape: &[usize], axis: usize, outer: usize) -> Option<usize> {
    let before = count(shape.get(..axis)?);
    let pieces = outer.checked_div(before)?;
    let extent = *shape.get(axis)?;
    let whole = pieces.checked_mul(before) == Some(outer) && extent.checked_rem(pieces) == Some(0);
    whole.then_some(pieces)
}
