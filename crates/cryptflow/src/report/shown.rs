//! What a person sees of a row.

use std::collections::BTreeMap;

use cryptflow_figures::table::number;
use cryptflow_program::OutputTransform;
use serde::Serialize;

use super::kind::{HALF, Kind, Rows, index};
use crate::labels::{Labels, top};

/// Numbers of a row that are shown, at most.
const SHOWN: usize = 4;
/// Classes of a row that are shown, at most.
const BEST: usize = 3;
/// Classes of a row that programs are given.
const RANKED: usize = 5;

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
    /// What was opened of it: its logit, unless the parties apply the softmax.
    pub logit: f32,
    /// Its probability, where the model ends in a softmax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
}

impl Ranked {
    fn text(&self) -> String {
        match self.probability {
            Some(p) => format!("{} {}", self.label, percent(p)),
            None => format!("{} ({:.3})", self.label, self.logit),
        }
    }
}

/// How the rows of an output are shown.
#[derive(Clone, Copy, Debug)]
pub struct Showing<'a> {
    /// The output.
    pub rows: Rows<'a>,
    /// What its rows are about.
    pub kind: Kind,
    /// The names of its classes, where it has any and they were given.
    names: Option<&'a Labels>,
}

impl<'a> Showing<'a> {
    /// Names go with outputs of so many classes.
    pub fn new(rows: Rows<'a>, labels: Option<&'a Labels>) -> Showing<'a> {
        let names = labels.filter(|labels| rows.names() == Some(labels.count()));
        Showing { rows, kind: rows.kind(names.map(Labels::count)), names }
    }

    /// What the row says, for a person.
    pub(super) fn text(&self, row: &[f32]) -> String {
        match self.kind {
            Kind::Classes => self.ranked(row, BEST).iter().map(Ranked::text).collect::<Vec<_>>().join(", "),
            Kind::Class => row.iter().map(|&x| self.label(index(x)).to_string()).collect(),
            Kind::Decision => self.decision(row),
            Kind::Probabilities => self.probabilities(row),
            Kind::ClassMap | Kind::IndexMap | Kind::Mask => self.map(row),
            Kind::Indices => some(row, "indices", |x| match self.names {
                Some(_) => self.label(index(x)).to_string(),
                None => index(x).to_string(),
            }),
            Kind::Flags => some(row, "answers", |x| (if x > HALF { "yes" } else { "no" }).to_string()),
            Kind::Numbers => self.numbers(row),
        }
    }

    /// What a row of the float model says, beside the same of the secure run.
    pub(super) fn plain(&self, row: &[f32]) -> String {
        match self.kind {
            Kind::Classes => self.ranked(row, 1).iter().map(Ranked::text).collect(),
            _ => self.text(row),
        }
    }

    /// The label of the class that a row is for, where it is one of classes.
    pub(super) fn labels(&self, row: &[f32]) -> Option<Label> {
        match self.kind {
            Kind::Classes | Kind::Class => self.top(row)?.into_iter().next().map(|ranked| ranked.label),
            Kind::Decision => self.names.and(row.first()).map(|&p| self.label(usize::from(p > HALF))),
            Kind::Numbers => self.top(row)?.into_iter().next().map(|ranked| ranked.label),
            // One row has many.
            Kind::Probabilities
            | Kind::ClassMap
            | Kind::IndexMap
            | Kind::Mask
            | Kind::Indices
            | Kind::Flags => None,
        }
    }

    /// The classes with the largest scores, for programs. They are given those of any vector:
    /// whether its numbers are logits, they know.
    pub(super) fn top(&self, row: &[f32]) -> Option<Vec<Ranked>> {
        match self.kind {
            Kind::Classes => Some(self.ranked(row, RANKED)),
            Kind::Numbers if self.is_vector() => Some(self.ranked(row, RANKED)),
            Kind::Class => {
                let ranked = |&x: &f32| {
                    let class = index(x);
                    Ranked { class, label: self.label(class), logit: x, probability: None }
                };
                Some(row.iter().map(ranked).collect())
            }
            Kind::Numbers
            | Kind::Decision
            | Kind::Probabilities
            | Kind::ClassMap
            | Kind::IndexMap
            | Kind::Mask
            | Kind::Indices
            | Kind::Flags => None,
        }
    }

    /// Whether a row is a single row of several numbers as they were opened.
    pub(super) fn is_vector(&self) -> bool {
        let sorted = matches!(self.rows.transform, Some(OutputTransform::TopK { .. }));
        !sorted && self.rows.last() > 1 && self.rows.last() == self.rows.elements()
    }

    fn ranked(&self, row: &[f32], most: usize) -> Vec<Ranked> {
        let softmax = (self.rows.transform == Some(OutputTransform::Softmax)).then(|| softmax(row));
        let opened = self.kind == Kind::Classes && self.rows.is_distribution();
        let probability = |class: usize, opened_value: f32| match &softmax {
            Some(softmax) => softmax.get(class).copied(),
            None => opened.then_some(opened_value),
        };
        let ranked = |(class, logit)| Ranked {
            class,
            label: self.label(class),
            logit,
            probability: probability(class, logit),
        };
        top(row, most).into_iter().map(ranked).collect()
    }

    fn label(&self, class: usize) -> Label {
        match self.names.and_then(|names| names.name(class)) {
            Some(name) => Label::Name(name.to_owned()),
            None => Label::Class(class),
        }
    }

    /// One probability; with names for no and yes, that of the likelier one.
    fn decision(&self, row: &[f32]) -> String {
        let p = row.first().copied().unwrap_or(0.0);
        match self.names {
            Some(_) if p > HALF => format!("{} {}", self.label(1), percent(p)),
            Some(_) => format!("{} {}", self.label(0), percent(1.0 - p)),
            None => percent(p),
        }
    }

    /// With names, the largest of them.
    fn probabilities(&self, row: &[f32]) -> String {
        if self.names.is_none() {
            return some(row, "probabilities", percent);
        }
        let best = top(row, BEST).into_iter();
        best.map(|(class, p)| format!("{} {}", self.label(class), percent(p))).collect::<Vec<_>>().join(", ")
    }

    /// The first numbers; of more, the largest besides: they may be logits.
    fn numbers(&self, row: &[f32]) -> String {
        let first = some(row, "numbers", one);
        match top(row, 1).first() {
            Some((place, largest)) if row.len() > SHOWN && self.is_vector() => {
                format!("{first}; the largest is number {place}: {}", one(*largest))
            }
            _ => first,
        }
    }

    /// What part of the places is of which class.
    fn map(&self, row: &[f32]) -> String {
        let choices = self.kind.choices(row, self.rows.last());
        let (all, places) = (choices.len(), self.rows.places(self.kind));
        if self.kind == Kind::Mask && self.names.is_none() {
            let above = choices.iter().filter(|&&choice| choice == 1).count();
            return format!("{} of {all} {places} above {HALF}", part(above, all));
        }
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for class in choices {
            *counts.entry(class).or_default() += 1;
        }
        let mut counts: Vec<(usize, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let shares = counts.iter().take(BEST);
        let shares: Vec<String> =
            shares.map(|&(class, count)| format!("{} {}", self.label(class), part(count, all))).collect();
        format!("{} of {all} {places}", shares.join(", "))
    }
}

/// A probability, for a person.
fn percent(p: f32) -> String {
    format!("{:.1}%", p * 100.0)
}

/// A part of a whole, for a person. Nearly all is not all, and hardly any is not none.
pub(super) fn part(count: usize, all: usize) -> String {
    let percent = 100.0 * count as f64 / all.max(1) as f64;
    if (1.0..=99.0).contains(&percent) || count == 0 || count >= all {
        format!("{percent:.1}%")
    } else {
        format!("{:.3}%", (percent * 1e3).floor() / 1e3)
    }
}

/// The first ones of a row.
fn some(row: &[f32], what: &str, text: impl Fn(f32) -> String) -> String {
    let mut shown = row.iter().take(SHOWN).map(|&x| text(x)).collect::<Vec<_>>().join(", ");
    if row.len() > SHOWN {
        shown.push_str(&format!(", … ({} {what})", row.len()));
    }
    shown
}

/// A number, for a person.
pub(super) fn one(x: f32) -> String {
    if x == 0.0 || x.abs() >= 0.1 { format!("{x:.3}") } else { number(x.into()) }
}

/// The probabilities behind logits.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}
