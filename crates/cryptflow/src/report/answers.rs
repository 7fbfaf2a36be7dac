//! What came out: the top classes of every input, and how far they are from the float model's.

use std::fmt::Write;

use cryptflow_program::OutputTransform;
use serde::Serialize;

use crate::compare::Comparison;
use crate::labels::{Labels, top};
use crate::results::Results;

use super::bounds::{self, OutOfBounds};

/// Numbers of an output that are shown, where they are not those of classes.
const SHOWN: usize = 4;

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

/// The outputs of a model for all inputs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answers {
    /// Those of the only output; absent where the model has several: see `outputs`.
    #[serde(flatten)]
    pub verdicts: Verdicts,
    /// Every output, in the model's order.
    pub outputs: Vec<OutputReport>,
    /// The inputs, by name.
    #[serde(skip)]
    pub inputs: Vec<String>,
}

/// What one output says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Shape of the array of all results: `[rows, …]`, unless one result is for all rows.
    pub shape: Vec<usize>,
    /// What its results say.
    #[serde(flatten)]
    pub verdicts: Verdicts,
    /// The rows that left the bounds that the program declares for this output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out_of_bounds: Vec<OutOfBounds>,
    /// What a person sees of each row.
    #[serde(skip)]
    shown: Vec<String>,
    /// Characters of the longest of them.
    #[serde(skip)]
    width: usize,
    /// The same of the float model's; empty without one.
    #[serde(skip)]
    plain: Vec<String>,
    /// The output's name and the shape of one result.
    #[serde(skip)]
    title: String,
    /// One result for all rows.
    #[serde(skip)]
    whole: bool,
    /// Results are the indices of classes.
    #[serde(skip)]
    class_alone: bool,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Label {
    /// A class without a name.
    Class(usize),
    /// The name of a class.
    Name(String),
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Class(class) => write!(f, "class {class}"),
            Label::Name(name) => f.write_str(name),
        }
    }
}

/// A class of an input, with its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// Index of the class.
    pub class: usize,
    /// Its label.
    pub label: Label,
    /// Its logit.
    pub logit: f32,
    /// Its probability, where the model ends in a softmax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
    /// The class is all that is known: there is no logit, and the index stands in its place.
    #[serde(skip)]
    alone: bool,
}

impl Ranked {
    fn text(&self) -> String {
        match self.probability {
            _ if self.alone => self.label.to_string(),
            Some(p) => format!("{} {:.1}%", self.label, p * 100.0),
            None => format!("{} ({:.3})", self.label, self.logit),
        }
    }
}

/// The number of classes that results of this shape are about; `None` if they are about something
/// else. The results of a model's `only` output are taken for those of classes, whatever they are;
/// those that the parties have found a class of are about all of them.
pub fn classes(shape: &[usize], transform: Option<OutputTransform>, only: bool) -> Option<usize> {
    let len = shape.iter().product();
    if let Some(OutputTransform::Class { of }) = transform {
        return (len == 1).then_some(of);
    }
    (only || (len > 1 && shape.last() == Some(&len))).then_some(len)
}

/// How the results of an output are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Showing<'a> {
    /// What the client applies to them.
    pub transform: Option<OutputTransform>,
    /// The names of the classes, where they have any; they go with outputs of so many classes.
    pub labels: Option<&'a Labels>,
    /// It is the model's only output.
    pub only: bool,
}

impl Showing<'_> {
    /// The five top classes.
    fn rank(&self, logits: &[f32]) -> Vec<Ranked> {
        let softmax = (self.transform == Some(OutputTransform::Softmax)).then(|| softmax(logits));
        let count = classes(&[logits.len()], self.transform, true);
        let names = self.labels.filter(|labels| Some(labels.count()) == count);
        let label = |class: usize| match names.and_then(|labels| labels.name(class)) {
            Some(name) => Label::Name(name.to_owned()),
            None => Label::Class(class),
        };
        if let (Some(OutputTransform::Class { .. }), [index]) = (self.transform, logits) {
            let class = index.round().max(0.0) as usize;
            return vec![Ranked {
                class,
                label: label(class),
                logit: *index,
                probability: None,
                alone: true,
            }];
        }
        top(logits, 5)
            .into_iter()
            .map(|(class, logit)| Ranked {
                class,
                label: label(class),
                logit,
                probability: softmax.as_ref().and_then(|p| p.get(class).copied()),
                alone: false,
            })
            .collect()
    }
}

impl OutputReport {
    /// Of these results, and of the float model's where there are any.
    pub fn new(results: &Results, float: Option<&Results>, showing: Showing<'_>) -> OutputReport {
        let mut report = OutputReport {
            name: results.name.clone(),
            shape: results.tensor_shape(),
            title: format!("{} {:?}", results.name, results.shape),
            whole: results.whole,
            out_of_bounds: OutOfBounds::of(results),
            class_alone: matches!(showing.transform, Some(OutputTransform::Class { .. })),
            ..OutputReport::default()
        };
        let best = |row: &[f32]| showing.rank(row).first().map(|ranked| ranked.class);
        let mut comparison = float.map(|float| Comparison::by(&results.rows, &float.rows, &best));
        if classes(&results.shape, showing.transform, showing.only).is_some() {
            let ranked: Vec<Vec<Ranked>> = results.rows.iter().map(|row| showing.rank(row)).collect();
            let first = |ranked: &[Ranked]| ranked.iter().take(3).map(Ranked::text).collect::<Vec<_>>();
            report.shown = ranked.iter().map(|row| first(row).join(", ")).collect();
            report.verdicts.labels =
                Some(ranked.iter().filter_map(|row| Some(row.first()?.label.clone())).collect());
            report.verdicts.top = Some(ranked);
            if let (Some(comparison), Some(float)) = (&mut comparison, float) {
                let best = |row: &Vec<f32>| showing.rank(row).into_iter().next();
                comparison.top1 = float.rows.iter().filter_map(best).collect();
                report.plain = comparison.top1.iter().map(Ranked::text).collect();
            }
        } else {
            report.shown = results.rows.iter().map(|row| numbers(row)).collect();
            report.plain = float.into_iter().flat_map(|f| &f.rows).map(|row| numbers(row)).collect();
        }
        report.width = widest(&report.shown);
        report.verdicts.compare = comparison;
        report
    }

    fn compared(&self, c: &Comparison) -> String {
        if self.verdicts.top.is_none() {
            return format!(
                "largest difference of an element {:.5} (elements up to {:.3})",
                c.largest_difference, c.largest_logit
            );
        }
        if self.class_alone {
            return format!("the same class as the float model on {} of {}", c.same_top1, c.rows);
        }
        format!(
            "top-1 as the float model on {} of {}; largest difference of a logit {:.5} (logits up to {:.3})",
            c.same_top1, c.rows, c.largest_difference, c.largest_logit
        )
    }
}

impl Answers {
    /// Of all outputs, for inputs of these names.
    pub fn new(inputs: Vec<String>, outputs: Vec<OutputReport>) -> Answers {
        let mut answers = Answers { inputs, ..Answers::default() };
        if let [only] = outputs.as_slice() {
            answers.verdicts = only.verdicts.clone();
            // Programs find both, whatever the output is about.
            answers.verdicts.labels.get_or_insert_default();
            answers.verdicts.top.get_or_insert_default();
        }
        answers.outputs = outputs;
        answers
    }

    /// A line for each input; where there are several outputs, one for each of them.
    pub(super) fn write_rows(&self, out: &mut String) -> std::fmt::Result {
        let line = |out: &mut String, title: &str, output: &OutputReport, row: usize| {
            let answer = output.shown.get(row).map_or("", String::as_str);
            match output.plain.get(row) {
                Some(plain) => {
                    writeln!(out, "{title}  {answer:width$}  | plaintext: {plain}", width = output.width)
                }
                None => writeln!(out, "{title}  {answer}"),
            }
        };
        if let [only] = self.outputs.as_slice()
            && !only.whole
        {
            let width = widest(&self.inputs).min(40);
            return (self.inputs.iter().enumerate())
                .try_for_each(|(row, name)| line(out, &format!("{name:width$}"), only, row));
        }
        let titles = widest(self.outputs.iter().map(|output| &output.title));
        let (whole, by_row): (Vec<&OutputReport>, Vec<_>) = self.outputs.iter().partition(|o| o.whole);
        let mut block = |name: &str, outputs: &[&OutputReport], row: usize| {
            writeln!(out, "{name}")?;
            (outputs.iter()).try_for_each(|o| line(out, &format!("  {:titles$}", o.title), o, row))
        };
        if !by_row.is_empty() {
            (self.inputs.iter().enumerate()).try_for_each(|(row, name)| block(name, &by_row, row))?;
        }
        if whole.is_empty() { Ok(()) } else { block("all inputs together", &whole, 0) }
    }

    /// A warning for each output of which rows left their bounds.
    pub(super) fn warnings(&self) -> Vec<String> {
        let beyond = self.outputs.iter().filter(|output| !output.out_of_bounds.is_empty());
        beyond.map(|o| bounds::of_output(&o.name, &o.out_of_bounds, &self.inputs)).collect()
    }

    /// The comparison with the float model, where there was one.
    pub(super) fn write_comparison(&self, out: &mut String) -> std::fmt::Result {
        let mut word = "compare";
        for output in &self.outputs {
            let Some(comparison) = &output.verdicts.compare else { continue };
            let name = if self.outputs.len() > 1 { format!("{}: ", output.name) } else { String::new() };
            writeln!(out, "{word:7}  {name}{}", output.compared(comparison))?;
            word = "";
            for row in comparison.different.iter().filter(|_| output.verdicts.top.is_some() && !output.whole)
            {
                let input = self.inputs.get(*row).map_or("", String::as_str);
                writeln!(out, "         {name}another top-1: {input}")?;
            }
        }
        Ok(())
    }
}

/// Characters of the longest text.
fn widest<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(|text| text.chars().count()).max().unwrap_or(0)
}

/// The first numbers of a result.
fn numbers(result: &[f32]) -> String {
    let mut text = result.iter().take(SHOWN).map(|x| format!("{x:.3}")).collect::<Vec<_>>().join(", ");
    if result.len() > SHOWN {
        text.push_str(&format!(", … ({} numbers)", result.len()));
    }
    text
}

/// The probabilities behind logits.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}
