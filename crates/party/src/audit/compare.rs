//! Whether the logs of several parties go together: what one showed another in a session must be there.

use std::collections::HashSet;
use std::fmt;

use cryptflow_wire::tls::signer;

use super::check::{Entry, Log};
use super::signed;

/// An entry that a party showed to another, and that its log does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose log lacks the entry.
    pub of: usize,
    /// Whose log names it.
    pub by: usize,
    /// In which line.
    pub line: usize,
    /// The session in which it was shown.
    pub session: String,
    /// Whether the party that lacks it signed it.
    pub signed: bool,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gap { of, by, line, session, signed } = self;
        let what = if *signed {
            format!(
                "P{of}'s log lacks an entry that P{of} signed: its end was cut off, or it was written anew"
            )
        } else {
            format!("P{by}'s log names an entry of P{of} that P{of} did not sign")
        };
        write!(f, "{what} (session {session:.16}, line {line} of P{by}'s log)")
    }
}

/// What is missing in any of these logs, of what the others say that it has.
pub fn compare(logs: &[Log]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for log in logs {
        let Some(of) = log.party else { continue };
        let there: HashSet<[u8; 32]> = log.entries.iter().map(|entry| entry.digest).collect();
        for other in logs {
            let Some(by) = other.party.filter(|&by| by != of) else { continue };
            let lacks = |entry: &Entry| {
                let shown = entry.heads().into_iter().find(|(party, _)| *party == of)?.1;
                (!there.contains(&shown.digest)).then(|| Gap {
                    of,
                    by,
                    line: entry.line,
                    session: entry.text("session").unwrap_or_default().into(),
                    signed: log.certificates.iter().any(|certificate| {
                        signer(certificate, &signed(&shown.digest), &shown.signature).is_some()
                    }),
                })
            };
            gaps.extend(other.entries.iter().filter_map(lacks));
        }
    }
    gaps
}
