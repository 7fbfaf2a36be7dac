//! Whether a log holds what its party wrote, and nothing else.

use cryptflow_wire::tls::{Keys, signer};
use hex::FromHex;
use serde_json::Value;

use super::{END, Head, RENEWED, SIGNATURE, STARTED, TORN, digest, digest_of, signed};

/// Where the lines of a log do not go together.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A line is no entry.
    #[error("line {line} is no signed entry: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A line does not have the digest of the one before it.
    #[error("line {0} does not follow the one before it: a line was changed, put in, or taken out")]
    Chain(usize),
    /// A line that the log's key did not sign.
    #[error("line {0} was not signed by the key of this log: it was changed, or is a forgery")]
    Signature(usize),
    /// A second key.
    #[error("line {0} begins with another key than the lines before it")]
    Key(usize),
}

/// An entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its digest, as others know it.
    pub digest: [u8; 32],
    /// All of its fields.
    pub fields: Value,
}

impl Entry {
    /// A field that is a text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// What the other parties showed of their logs in the session that this entry is about, by party.
    pub fn heads(&self) -> Vec<(usize, Head)> {
        let heads = self.fields.get("heads").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let head = |value: &Value| {
            let text = |field: &str| value.get(field).and_then(Value::as_str);
            let digest = <[u8; 32]>::from_hex(text("digest")?).ok()?;
            let signature = Vec::from_hex(text("signature")?).ok()?;
            let party = usize::try_from(value.get("party")?.as_u64()?).ok()?;
            Some((party, Head { digest, signature }))
        };
        heads.iter().filter_map(head).collect()
    }
}

/// A log that goes together.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Which party wrote it; nothing where it has no entry.
    pub party: Option<usize>,
    /// The key that signed the last of them, and the one that the log may go on with.
    pub key: Option<Keys>,
    /// The certificates that carried its keys, DER, the last one last.
    pub certificates: Vec<Vec<u8>>,
    /// A last line that was not written to its end: the party has not been started since.
    pub torn: Option<String>,
}

/// The entries of a log, if every line goes with the one before it and is signed by the key that the
/// log begins with, or by one that the key before it has named.
///
/// # Errors
/// The first line that does not, or is not.
pub fn check(text: &str) -> Result<Log, AuditError> {
    let mut log = Log::default();
    let mut previous = [0; 32];
    let mut lines = (1..).zip(text.split_inclusive('\n')).peekable();
    while let Some((number, whole)) = lines.next() {
        let line = whole.trim_end_matches('\n');
        let (digest, fields, signature) = match parsed(line) {
            Ok(parsed) => parsed,
            // Nothing more was written, or the next line says that this one was torn.
            Err(_) if lines.peek().is_none() && !whole.ends_with('\n') => {
                log.torn = Some(line.into());
                break;
            }
            Err(_) if lines.peek().is_some_and(|(_, next)| says_torn(next, line)) => continue,
            Err(reason) => return Err(AuditError::Line { line: number, reason }),
        };
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        if text("previous") != Some(&hex::encode(previous)) {
            return Err(AuditError::Chain(number));
        }
        if text("event") == Some(STARTED) {
            let certificate = text("certificate").and_then(|hex| Vec::from_hex(hex).ok()).unwrap_or_default();
            if log.certificates.last() != Some(&certificate) {
                log.certificates.push(certificate);
            }
            log.party = fields.get("party").and_then(Value::as_u64).and_then(|p| usize::try_from(p).ok());
        }
        let certificate = log.certificates.last().map(Vec::as_slice).unwrap_or_default();
        let Some(key) = signer(certificate, &signed(&digest), &signature) else {
            return Err(AuditError::Signature(number));
        };
        log.key = match log.key {
            None => Some(key.into()),
            Some(keys) if keys.now == key => Some(keys),
            Some(keys) if keys.next == Some(key) => Some(key.into()),
            Some(_) => return Err(AuditError::Key(number)),
        };
        if text("event") == Some(RENEWED) {
            let next = text("key").and_then(|key| key.parse().ok());
            let next =
                next.ok_or_else(|| AuditError::Line { line: number, reason: "it names no key".into() })?;
            log.key = Some(Keys { now: key, next: Some(next) });
        }
        previous = digest;
        log.entries.push(Entry { line: number, digest, fields });
    }
    Ok(log)
}

/// An entry's digest, its fields and its signature.
fn parsed(line: &str) -> Result<([u8; 32], Value, Vec<u8>), String> {
    let parts = line.strip_suffix(END).and_then(|rest| rest.rsplit_once(SIGNATURE));
    let (body, signature) = parts.ok_or("it does not end with a signature")?;
    let signature = Vec::from_hex(signature).map_err(|_| "its signature is malformed")?;
    let unsigned = format!("{body}}}");
    let fields: Value = serde_json::from_str(&unsigned).map_err(|e| e.to_string())?;
    Ok((digest(&unsigned), fields, signature))
}

/// Whether an entry says that the line before it was torn. That it is signed is found when its turn
/// comes.
fn says_torn(entry: &str, line: &str) -> bool {
    let Ok((_, fields, _)) = parsed(entry.trim_end_matches('\n')) else { return false };
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    text("event") == Some(TORN) && text("line") == Some(&digest_of(line))
}
