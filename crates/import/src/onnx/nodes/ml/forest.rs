//! Trees as the importer holds them: splits, and leaves with the ways that lead to them.

use super::Node;
use crate::value::Fault;
use cryptflow_graph::Comparison;
use cryptflow_graph::operations::ENDLESS;

/// The ways to all leaves have at most so many splits together, those that only fill up counted.
const MOST: usize = 1 << 22;

/// What a split asks of a column; the other three questions are these with branches exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    LessEqual,
    Less,
    Equal,
    /// Whether it is one of several numbers.
    Member,
}

impl Question {
    pub(super) const COMPARED: [Question; 3] = [Question::LessEqual, Question::Less, Question::Equal];

    /// The comparison with a threshold.
    pub(super) fn comparison(self) -> Comparison {
        match self {
            Question::LessEqual => Comparison::LessEqual,
            Question::Less => Comparison::Less,
            Question::Equal | Question::Member => Comparison::Equal,
        }
    }
}

/// A question, and whether its answer is turned.
pub(super) fn question(mode: &str) -> Option<(Question, bool)> {
    Some(match mode {
        "BRANCH_LEQ" => (Question::LessEqual, false),
        "BRANCH_LT" => (Question::Less, false),
        "BRANCH_GTE" => (Question::Less, true),
        "BRANCH_GT" => (Question::LessEqual, true),
        "BRANCH_EQ" => (Question::Equal, false),
        "BRANCH_NEQ" => (Question::Equal, true),
        "BRANCH_MEMBER" => (Question::Member, false),
        _ => return None,
    })
}

/// A node that is no leaf.
#[derive(Clone, Debug)]
pub(super) struct Split {
    pub(super) feature: usize,
    pub(super) question: Question,
    /// The threshold; of a membership all numbers.
    pub(super) numbers: Vec<f32>,
    /// Where it goes on if the question is answered with yes, and with no.
    pub(super) branches: [Branch; 2],
}

/// What follows a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    Split(usize),
    Leaf(usize),
}

impl Split {
    /// The answer where it is the same for all numbers of fixed point.
    fn known(&self) -> Option<bool> {
        match (self.question, self.numbers.as_slice()) {
            (Question::LessEqual | Question::Less, [t]) if *t >= ENDLESS => Some(true),
            (Question::LessEqual | Question::Less, [t]) if *t <= -ENDLESS => Some(false),
            (Question::Equal, [t]) if t.abs() >= ENDLESS => Some(false),
            (Question::Member, []) => Some(false),
            _ => None,
        }
    }
}

/// A leaf that is reached where every split on its way is answered so.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    /// Splits, and the answers that lead here.
    pub(super) way: Vec<(usize, bool)>,
    pub(super) tree: usize,
    /// Targets, and what it gives to them.
    pub(super) gives: Vec<(usize, f32)>,
}

/// All trees of a node.
#[derive(Debug, Default)]
pub(super) struct Forest {
    pub(super) splits: Vec<Split>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) trees: usize,
}

/// The splits of all trees, where these begin, and what each leaf gives.
pub(super) struct Read {
    pub(super) splits: Vec<Split>,
    pub(super) roots: Vec<Branch>,
    pub(super) gives: Vec<Vec<(usize, f32)>>,
}

impl Read {
    /// The ways to all leaves. Questions that all numbers answer alike are left out.
    pub(super) fn forest(self, node: &mut Node<'_>, columns: usize) -> Result<Forest, Fault> {
        for split in &self.splits {
            if split.feature >= columns {
                return Err(format!("looks at column {} of {columns}", split.feature).into());
            }
            if split.numbers.iter().any(|v| v.is_nan()) {
                return Err("compares with something that is no number".into());
            }
        }
        let mut forest = Forest { trees: self.roots.len(), ..Forest::default() };
        let mut seen = vec![false; self.splits.len()];
        let (mut open, mut length) = (Vec::new(), 0usize);
        for (tree, &root) in self.roots.iter().enumerate() {
            open.push((root, Vec::new()));
            while let Some((at, way)) = open.pop() {
                length += way.len() + 1;
                if length > MOST {
                    return Err(too_large());
                }
                match at {
                    Branch::Leaf(leaf) => {
                        let gives = self.gives.get(leaf).cloned().unwrap_or_default();
                        forest.leaves.push(Leaf { way, tree, gives });
                    }
                    Branch::Split(index) => {
                        let split = self.splits.get(index).ok_or_else(damaged)?;
                        if std::mem::replace(&mut seen[index], true) {
                            return Err("has trees that share nodes, or that go round in circles".into());
                        }
                        for (branch, answer) in split.branches.into_iter().zip([true, false]) {
                            let mut way = way.clone();
                            match split.known() {
                                Some(known) if known == answer => {}
                                Some(_) => continue,
                                None => way.push((index, answer)),
                            }
                            open.push((branch, way));
                        }
                    }
                }
            }
        }
        node.budget.take_work(length)?;
        if forest.leaves.len().saturating_mul(forest.depth()) > MOST {
            return Err(too_large());
        }
        forest.splits = self.splits;
        Ok(forest)
    }
}

impl Forest {
    /// Splits on the longest way to a leaf.
    pub(super) fn depth(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.way.len()).max().unwrap_or(0)
    }
}

pub(super) fn damaged() -> Fault {
    "has trees whose parts do not go together: the file is damaged".into()
}

fn too_large() -> Fault {
    format!("has trees whose leaves lie so deep that the ways to them have over {MOST} splits. Train shallower trees").into()
}
