//! Why a node cannot be imported, and what to do about it.

use std::fmt;

use cryptflow_graph::operations::OpError;

/// Why a node cannot be imported: as variants what a caller may tell apart, as texts what people
/// read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRefusal {
    /// Its operation is not supported, whatever its operands are.
    Operation(Explanation),
    /// Its operation is supported, but not with these operands, attributes or types.
    Form(Explanation),
    /// Its operands do not go together, as the rules of the graph have it.
    Rule(OpError),
}

/// What is the matter, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What is the matter.
    pub reason: String,
    /// What to do, where there is something.
    pub advice: Option<String>,
}

impl NodeRefusal {
    /// What is the matter.
    pub fn reason(&self) -> String {
        match self {
            NodeRefusal::Operation(said) | NodeRefusal::Form(said) => said.reason.clone(),
            NodeRefusal::Rule(error) => error.to_string(),
        }
    }

    /// What to do, where there is something.
    pub fn advice(&self) -> Option<&str> {
        match self {
            NodeRefusal::Operation(said) | NodeRefusal::Form(said) => said.advice.as_deref(),
            NodeRefusal::Rule(_) => None,
        }
    }

    /// The variant, as files name it.
    pub fn kind(&self) -> &'static str {
        match self {
            NodeRefusal::Operation(_) => "operation",
            NodeRefusal::Form(_) => "form",
            NodeRefusal::Rule(_) => "rule",
        }
    }

    /// The same with other words for its texts.
    pub(crate) fn map(self, words: impl Fn(&str) -> String) -> NodeRefusal {
        let map = |said: Explanation| Explanation {
            reason: words(&said.reason),
            advice: said.advice.as_deref().map(&words),
        };
        match self {
            NodeRefusal::Operation(said) => NodeRefusal::Operation(map(said)),
            NodeRefusal::Form(said) => NodeRefusal::Form(map(said)),
            NodeRefusal::Rule(error) => NodeRefusal::Rule(error),
        }
    }
}

impl fmt::Display for NodeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())?;
        self.advice().map_or(Ok(()), |advice| write!(f, ". {advice}"))
    }
}

/// What is said of the form of a node, the operation of which is supported.
impl From<&str> for NodeRefusal {
    fn from(text: &str) -> NodeRefusal {
        NodeRefusal::Form(text.into())
    }
}

impl From<String> for Explanation {
    fn from(text: String) -> Explanation {
        Explanation::from(text.as_str())
    }
}

/// A text as importers and compiler have it: its first sentence is the reason, the others are the advice.
impl From<&str> for Explanation {
    fn from(text: &str) -> Explanation {
        match text.split_once(". ") {
            Some((reason, advice)) => Explanation { reason: reason.into(), advice: Some(advice.into()) },
            None => Explanation { reason: text.into(), advice: None },
        }
    }
}
