//! What the rows of an output are about: so they are shown and compared.

use cryptflow_athos::Meaning;
use cryptflow_program::OutputTransform;
use serde::Serialize;

use crate::labels::top;

/// The probability above which a decision is yes.
pub(super) const HALF: f32 = 0.5;

/// What a row of an output is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Scores of classes, one of which is right.
    Classes,
    /// The index of a class, which the parties have found.
    Class,
    /// Whether something is the case: its probability.
    Decision,
    /// Several probabilities, each for itself.
    Probabilities,
    /// Scores of classes in each place of a picture or a sequence.
    ClassMap,
    /// The index of a class in each place.
    IndexMap,
    /// A probability in each place.
    Mask,
    /// Indices of something.
    Indices,
    /// Yes or no.
    Flags,
    /// Numbers.
    Numbers,
}

/// An output whose rows have a shape.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The shape of a row.
    pub shape: &'a [usize],
    /// What the client makes of it.
    pub transform: Option<OutputTransform>,
    /// What the model says of its numbers.
    pub meaning: Meaning,
    /// Extent of the axis along which the client sorts, where it does.
    pub sorted: Option<usize>,
}

impl<'a> Rows<'a> {
    /// Of an output that is opened in the shape `opened`, rows of which have the shape `shape`.
    pub fn opened(
        shape: &'a [usize],
        opened: &[usize],
        transform: Option<OutputTransform>,
        meaning: Meaning,
    ) -> Rows<'a> {
        let sorted = match transform {
            Some(OutputTransform::TopK { axis, .. }) => opened.get(axis).copied(),
            Some(OutputTransform::Softmax | OutputTransform::ArgMax | OutputTransform::Class { .. })
            | None => None,
        };
        Rows { shape, transform, meaning, sorted }
    }

    /// Its kind, where there are so many names of classes.
    pub fn kind(&self, names: Option<usize>) -> Kind {
        match self.transform {
            Some(OutputTransform::Softmax | OutputTransform::ArgMax) => self.scores(),
            Some(OutputTransform::Class { .. }) if self.elements() == 1 => Kind::Class,
            Some(OutputTransform::Class { .. }) => Kind::IndexMap,
            Some(OutputTransform::TopK { indices: true, .. }) => Kind::Indices,
            Some(OutputTransform::TopK { indices: false, .. }) => Kind::Numbers,
            None => match self.meaning {
                Meaning::Distribution => self.scores(),
                Meaning::Probabilities if self.elements() == 1 => Kind::Decision,
                Meaning::Probabilities if extents(self.shape) > 1 => Kind::Mask,
                Meaning::Probabilities => Kind::Probabilities,
                Meaning::Indices if extents(self.shape) > 1 => Kind::IndexMap,
                Meaning::Indices => Kind::Indices,
                Meaning::Flags => Kind::Flags,
                // Names are given for what has classes.
                Meaning::Numbers if names == Some(self.last()) => self.scores(),
                Meaning::Numbers => Kind::Numbers,
            },
        }
    }

    /// How many names of classes could go with it.
    pub fn names(&self) -> Option<usize> {
        let last = Some(self.last()).filter(|&n| n > 1);
        match (self.transform, self.meaning) {
            (Some(OutputTransform::Class { of }), _) => Some(of),
            (Some(OutputTransform::TopK { indices: true, .. }), _) => self.sorted,
            (Some(OutputTransform::TopK { indices: false, .. }), _) => None,
            (None, Meaning::Probabilities) if self.elements() == 1 || extents(self.shape) > 1 => Some(2),
            (None, Meaning::Indices | Meaning::Flags) => None,
            (Some(OutputTransform::Softmax | OutputTransform::ArgMax), _)
            | (None, Meaning::Distribution | Meaning::Probabilities | Meaning::Numbers) => last,
        }
    }

    /// Whether the parties have applied the softmax.
    pub(super) fn is_distribution(&self) -> bool {
        self.transform.is_none() && self.meaning == Meaning::Distribution
    }

    /// Scores of classes along the last axis; those of a single one are but numbers.
    fn scores(&self) -> Kind {
        match (self.last(), self.elements()) {
            (0 | 1, _) => Kind::Numbers,
            (last, elements) if last == elements => Kind::Classes,
            _ => Kind::ClassMap,
        }
    }

    /// Extent of the last axis: classes, where there are any.
    pub(super) fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Numbers of a row.
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// What the places of a map are called.
    pub(super) fn places(&self, kind: Kind) -> &'static str {
        let places = match (kind, self.shape.split_last()) {
            (Kind::ClassMap, Some((_, places))) => places,
            _ => self.shape,
        };
        if extents(places) > 1 { "pixels" } else { "places" }
    }
}

/// Which of a model's outputs so many names of classes go with: those of as many classes; where
/// there is none, those of as many numbers, which may be logits.
pub fn named(outputs: &[Rows<'_>], names: usize) -> Vec<bool> {
    let fits = |rows: &Rows<'_>| rows.names() == Some(names);
    let sure = |rows: &Rows<'_>| fits(rows) && rows.kind(None) != Kind::Numbers;
    match outputs.iter().any(sure) {
        true => outputs.iter().map(sure).collect(),
        false => outputs.iter().map(fits).collect(),
    }
}

impl Kind {
    /// What a row decides: a class, or one in each place, or yes (1) and no (0). Nothing where it
    /// holds numbers. `last` is the extent of a row's last axis.
    pub(super) fn choices(self, row: &[f32], last: usize) -> Vec<usize> {
        let best = |scores: &[f32]| top(scores, 1).first().map(|&(class, _)| class);
        match self {
            Kind::Classes => best(row).into_iter().collect(),
            Kind::ClassMap => row.chunks(last.max(1)).filter_map(best).collect(),
            Kind::Class | Kind::IndexMap | Kind::Indices => row.iter().map(|&x| index(x)).collect(),
            Kind::Decision | Kind::Probabilities | Kind::Mask | Kind::Flags => {
                row.iter().map(|&x| usize::from(x > HALF)).collect()
            }
            Kind::Numbers => Vec::new(),
        }
    }
}

/// The index that an opened number stands for: it may be off by a rounding.
pub(super) fn index(x: f32) -> usize {
    x.round().max(0.0) as usize
}

/// How many axes of a shape have an extent.
fn extents(shape: &[usize]) -> usize {
    shape.iter().filter(|&&extent| extent > 1).count()
}
