//! Names of classes, and the classes with the largest values.

use std::path::{Path, PathBuf};

use cryptflow_athos::fix::counted;
use cryptflow_program::ClassNames;

/// Names of a model's classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
}

/// Why a file of labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The operating system refuses.
    #[error("cannot read the labels {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A line that cannot be understood.
    #[error("{}, line {line}: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Another number of names than the model has classes.
    #[error("{} holds {}, {}", file.display(), counted(*found, "label"), of_classes(classes))]
    Count {
        /// The file.
        file: PathBuf,
        /// Labels that are there.
        found: usize,
        /// Classes of each output of the model that has any.
        classes: Vec<usize>,
    },
}

fn of_classes(classes: &[usize]) -> String {
    match classes {
        [] => "and no output of the model is one of classes".into(),
        [classes] => format!("the model has {classes} classes"),
        several => {
            let numbers: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("and the model's outputs have {} classes", numbers.join(" or "))
        }
    }
}

impl Labels {
    /// Reads the names of classes, as many as one of `classes`, in one of three forms: a name a
    /// line, in the order of the classes; `index<TAB>name`, in any order; or ImageNet's `n01440764
    /// tench, Tinca tinca`, in the order of the classes.
    ///
    /// # Errors
    /// With the line that is wrong.
    pub fn read(file: &Path, classes: &[usize]) -> Result<Labels, LabelsError> {
        let text = std::fs::read(file).map_err(|source| LabelsError::Io { file: file.into(), source })?;
        Self::parse(&text, classes, file)
    }

    fn parse(text: &[u8], classes: &[usize], file: &Path) -> Result<Labels, LabelsError> {
        let wrong = |line: usize, reason: String| LabelsError::Line { file: file.into(), line, reason };
        let mut lines: Vec<&str> = Vec::new();
        for (i, line) in text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).split(|&b| b == b'\n').enumerate()
        {
            lines.push(
                std::str::from_utf8(line).map_err(|_| wrong(i + 1, "this is not UTF-8 text".into()))?.trim(),
            );
        }
        while lines.last() == Some(&"") {
            lines.pop();
        }
        if let Some(empty) = lines.iter().position(|l| l.is_empty()) {
            return Err(wrong(empty + 1, "the line is empty".into()));
        }
        let count = lines.len();
        if !classes.contains(&count) {
            return Err(LabelsError::Count { file: file.into(), found: count, classes: classes.to_vec() });
        }
        if !lines.iter().any(|l| l.contains('\t')) {
            let synsets = lines.iter().all(|l| synset(l).is_some());
            let name = |l: &&str| if synsets { synset(l).unwrap_or(l) } else { l }.to_owned();
            return Ok(Labels { names: lines.iter().map(name).collect() });
        }
        let mut names = vec![None; count];
        for (i, line) in lines.iter().enumerate() {
            let parts = line
                .split_once('\t')
                .and_then(|(n, name)| Some((n.trim().parse::<usize>().ok()?, name.trim())));
            let (index, name) =
                parts.ok_or_else(|| wrong(i + 1, "an index, a tab and a name were expected".into()))?;
            match names.get_mut(index) {
                Some(slot @ None) => *slot = Some(name.to_owned()),
                Some(Some(_)) => return Err(wrong(i + 1, format!("class {index} has a name already"))),
                None => {
                    return Err(wrong(i + 1, format!("class {index} does not exist: there are {count}")));
                }
            }
        }
        // As many lines as classes, and none twice: all are there.
        Ok(Labels { names: names.into_iter().flatten().collect() })
    }

    /// The names that a program has for the classes of an output.
    pub fn of(classes: &ClassNames) -> Labels {
        let names = match classes {
            ClassNames::Numbers(numbers) => numbers.iter().map(ToString::to_string).collect(),
            ClassNames::Texts(texts) => texts.clone(),
        };
        Labels { names }
    }

    /// How many classes they are for.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The name of a class.
    pub fn name(&self, class: usize) -> Option<&str> {
        self.names.get(class).map(String::as_str)
    }
}

/// The name in a line such as `n01440764 tench, Tinca tinca`.
fn synset(line: &str) -> Option<&str> {
    let (id, name) = line.split_once(' ')?;
    let digits = id.strip_prefix('n')?;
    (digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

/// The `k` largest values with their classes, the largest first; of equal ones, the lower class
/// first.
pub fn top(values: &[f32], k: usize) -> Vec<(usize, f32)> {
    let mut all: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}
