//! Nodes that cannot be compiled, for people and for programs.

use cryptflow_athos::check::Why;
use serde::Serialize;

/// A node that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Its name in the model.
    pub node: String,
    /// Its operation, as the model calls it.
    pub operation: String,
    /// What kind of reason it is: `operation` where the operation is not supported at all.
    pub kind: &'static str,
    /// What is the matter.
    pub reason: String,
    /// What to do, where there is something.
    pub advice: Option<String>,
}

impl Refused {
    /// Of a node that was looked at.
    pub fn new(node: &str, operation: &str, why: &Why) -> Refused {
        Refused {
            node: node.into(),
            operation: operation.into(),
            kind: why.kind(),
            reason: why.reason(),
            advice: why.advice().map(String::from),
        }
    }
}

/// The nodes, those together of which the same is said: names of any length, a line each, and then
/// why, and what to do.
pub fn text(nodes: &[Refused]) -> String {
    let mut said: Vec<(&str, Option<&str>)> = Vec::new();
    for node in nodes {
        let this = (node.reason.as_str(), node.advice.as_deref());
        if !said.contains(&this) {
            said.push(this);
        }
    }
    let mut text = String::new();
    for this in said {
        text.push('\n');
        for node in nodes.iter().filter(|n| (n.reason.as_str(), n.advice.as_deref()) == this) {
            text += &format!("{} ({})\n", node.node, node.operation);
        }
        text += &format!("    {}\n", this.0);
        this.1.into_iter().for_each(|advice| text += &format!("    {advice}\n"));
    }
    text
}
