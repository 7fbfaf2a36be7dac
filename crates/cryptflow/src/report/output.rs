//! What one output says.

use cryptflow_arrays::npy::{Names, WrittenAs};
use cryptflow_athos::Meaning;
use cryptflow_graph::OpError;
use cryptflow_program::{ClassNames, OutputTransform};
use serde::Serialize;

use super::bounds::OutOfBounds;
use super::kind::{Kind, Rows};
use super::shown::{Label, Ranked, Showing, part};
use crate::compare::Comparison;
use crate::labels::Labels;
use crate::results::Results;

const PROBABILITY: &str = "probability";

/// Numbers of a row that programs are given.
const GIVEN: usize = 8;

/// What results say of their rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdicts {
    /// The top label of each row, where the output is one of classes: its name, or the index of its
    /// class where no names were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<Label>>,
    /// The five top classes of each row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<Vec<Ranked>>>,
    /// The difference from the float model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<Comparison>,
}

/// What one output says.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Shape of the array of all results: `[rows, …]`, unless one result is for all rows.
    pub shape: Vec<usize>,
    /// What it is about.
    pub kind: Kind,
    /// What its results say.
    #[serde(flatten)]
    pub verdicts: Verdicts,
    /// The first numbers of each row, where they are not those of classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<Vec<f32>>>,
    /// The rows that left the bounds that the program declares for this output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out_of_bounds: Vec<OutOfBounds>,
    /// What a person sees of each row.
    #[serde(skip)]
    pub(super) shown: Vec<String>,
    /// Characters of the longest of them.
    #[serde(skip)]
    pub(super) width: usize,
    /// The same of the float model's; empty without one.
    #[serde(skip)]
    pub(super) plain: Vec<String>,
    /// The output's name and the shape of one result.
    #[serde(skip)]
    pub(super) title: String,
    /// One result for all rows.
    #[serde(skip)]
    pub(super) whole: bool,
    /// What places of a map are called.
    #[serde(skip)]
    places: &'static str,
    /// What its numbers are called.
    #[serde(skip)]
    unit: &'static str,
}

/// What is known of an output beside its results.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// What the client applies to what is opened.
    pub transform: Option<OutputTransform>,
    /// What the model says of its numbers.
    pub meaning: Meaning,
    /// Names of classes; they go with outputs of so many.
    pub labels: Option<&'a Labels>,
    /// What the program calls the classes.
    pub classes: Option<&'a ClassNames>,
}

impl<'a> Known<'a> {
    /// What is written in place of indices of classes; none where numbers are written as they are.
    pub fn written_names(&self) -> Option<Names<'a>> {
        match (self.written_as(), self.classes?) {
            (WrittenAs::Int64 | WrittenAs::Int32, ClassNames::Numbers(numbers)) => {
                Some(Names::Numbers(numbers))
            }
            (WrittenAs::Int64 | WrittenAs::Int32, ClassNames::Texts(texts)) => Some(Names::Texts(texts)),
            (WrittenAs::Float32 | WrittenAs::Bool, _) => None,
        }
    }
}

impl Known<'_> {
    /// The type in which the model itself returns its numbers: that of TensorFlow's operations.
    pub fn written_as(&self) -> WrittenAs {
        match (self.transform, self.meaning) {
            (Some(OutputTransform::ArgMax | OutputTransform::Class { .. }), _) => WrittenAs::Int64,
            (Some(OutputTransform::TopK { indices: true, .. }), _) => WrittenAs::Int32,
            (None, Meaning::Indices) => WrittenAs::Int64,
            (None, Meaning::Flags) => WrittenAs::Bool,
            (Some(OutputTransform::Softmax | OutputTransform::TopK { indices: false, .. }), _)
            | (None, Meaning::Numbers | Meaning::Probabilities | Meaning::Distribution) => WrittenAs::Float32,
        }
    }
}

impl OutputReport {
    /// Of these opened results, and of the float model's where there are any.
    ///
    /// # Errors
    /// Results that do not go with what the client applies to them.
    pub fn new(
        results: &Results,
        float: Option<&Results>,
        known: Known<'_>,
    ) -> Result<OutputReport, OpError> {
        // What is sorted is shown as that; of logits there is more to say than the answer.
        let answered = |results: &Results| match known.transform {
            Some(OutputTransform::TopK { .. }) => results.answered(known.transform),
            Some(OutputTransform::Softmax | OutputTransform::ArgMax | OutputTransform::Class { .. })
            | None => Ok(results.clone()),
        };
        let (shape, opened, beyond) =
            (results.tensor_shape(), results.opened_shape(), OutOfBounds::of(results));
        let (results, float) = (&answered(results)?, float.map(answered).transpose()?);
        let rows = Rows::opened(&results.shape, &opened, known.transform, known.meaning);
        let showing = Showing::new(rows, known.labels);
        let (kind, last) = (showing.kind, rows.last());
        let verdicts = Verdicts {
            labels: results.rows.iter().map(|row| showing.labels(row)).collect(),
            top: results.rows.iter().map(|row| showing.top(row)).collect(),
            compare: float.as_ref().map(|float| {
                let choices = |row: &[f32]| match kind {
                    Kind::Numbers if showing.is_vector() => Kind::Classes.choices(row, last),
                    kind => kind.choices(row, last),
                };
                let first = |row: &Vec<f32>| showing.top(row)?.into_iter().next();
                let mut comparison = Comparison::by(&results.rows, &float.rows, &choices);
                comparison.top1 = float.rows.iter().filter_map(first).collect();
                let one = !comparison.top1.is_empty();
                comparison.same_top1 = one.then_some(comparison.same_choices);
                comparison
            }),
        };
        let numbers = (kind != Kind::Classes && kind != Kind::Class)
            .then(|| results.rows.iter().map(|row| row.iter().copied().take(GIVEN).collect()).collect());
        let shown: Vec<String> = results.rows.iter().map(|row| showing.text(row)).collect();
        Ok(OutputReport {
            name: results.name.clone(),
            shape,
            kind,
            verdicts,
            numbers,
            out_of_bounds: beyond,
            width: widest(&shown),
            shown,
            plain: float.iter().flat_map(|float| &float.rows).map(|row| showing.plain(row)).collect(),
            title: format!("{} {:?}", results.name, results.shape),
            whole: results.whole,
            places: rows.places(kind),
            unit: match kind {
                Kind::Classes | Kind::ClassMap if !rows.is_distribution() => "logit",
                Kind::Classes | Kind::ClassMap | Kind::Decision | Kind::Probabilities | Kind::Mask => {
                    PROBABILITY
                }
                Kind::Class | Kind::IndexMap | Kind::Indices | Kind::Flags | Kind::Numbers => "number",
            },
        })
    }

    /// What a person sees of each row.
    pub fn said(&self) -> &[String] {
        &self.shown
    }

    /// How results compare with the float model's, for a person.
    pub(super) fn compared(&self, c: &Comparison) -> String {
        let (same, of, places) = (c.same_choices, c.choices, self.places);
        let plural =
            if self.unit == PROBABILITY { "probabilities".into() } else { format!("{}s", self.unit) };
        let difference = format!(
            "largest difference of a {} {:.5} ({plural} up to {:.3})",
            self.unit, c.largest_difference, c.largest_logit
        );
        let side = "on the same side of 0.5 as the float model's";
        match self.kind {
            Kind::Classes => format!("top-1 as the float model on {same} of {of}; {difference}"),
            Kind::Class => format!("the same class as the float model on {same} of {of}"),
            Kind::Decision => format!("{same} of {of} {side}; {difference}"),
            Kind::Probabilities => format!("{same} of {of} probabilities {side}; {difference}"),
            Kind::Mask => {
                format!("{same} of {of} {places} ({}) {side}; {difference}", part(same, of))
            }
            Kind::ClassMap => {
                let part = part(same, of);
                format!(
                    "{same} of {of} {places} ({part}) of the same class as the float model's; {difference}"
                )
            }
            Kind::IndexMap => {
                let part = part(same, of);
                format!("{same} of {of} {places} ({part}) of the same class as the float model's")
            }
            Kind::Indices => format!("the same index as the float model {same} of {of} times"),
            Kind::Flags => format!("the same answer as the float model {same} of {of} times"),
            Kind::Numbers if of > 0 => {
                format!("{difference}; the same one is the largest of a row on {same} of {of}")
            }
            Kind::Numbers => difference,
        }
    }

    /// What a row is called that decides otherwise than the float model, where each row decides one
    /// thing.
    pub(super) fn another(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Classes | Kind::Class => Some("another top-1"),
            Kind::Decision => Some("another side of 0.5"),
            Kind::Probabilities
            | Kind::ClassMap
            | Kind::IndexMap
            | Kind::Mask
            | Kind::Indices
            | Kind::Flags
            | Kind::Numbers => None,
        }
    }
}

/// Characters of the longest text.
pub(super) fn widest<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(|text| text.chars().count()).max().unwrap_or(0)
}
