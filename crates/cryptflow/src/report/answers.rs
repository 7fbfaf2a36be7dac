//! What came out: every output's answers for every input, and how far they are from the float
//! model's.

use std::fmt::Write;

use serde::Serialize;

use super::bounds;
use super::output::{OutputReport, Verdicts, widest};

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
            let Some(another) = output.another().filter(|_| !output.whole) else { continue };
            for row in &comparison.different {
                let input = self.inputs.get(*row).map_or("", String::as_str);
                writeln!(out, "         {name}{another}: {input}")?;
            }
        }
        Ok(())
    }
}
