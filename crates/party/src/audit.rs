//! The audit log: what this party did, for whom, with what outcome. One JSON object a line, only
//! ever appended to; each line has the digest of the one before it, so that a line cannot be
//! changed or taken out unseen.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::store::restrict;

/// Where the lines of a log do not go together.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A line is no JSON.
    #[error("line {line}: {source}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A line does not have the digest of the one before it.
    #[error("line {0} does not follow the one before it")]
    Chain(usize),
}

/// An open log.
pub struct Audit {
    state: Mutex<(File, String)>,
}

impl Audit {
    /// Opens a log, or begins one.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Audit> {
        let mut last = String::new();
        if path.exists() {
            for line in BufReader::new(File::open(path)?).lines() {
                last = line?;
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        restrict(path, 0o600)?;
        let previous = if last.is_empty() { String::new() } else { digest(&last) };
        Ok(Audit { state: Mutex::new((file, previous)) })
    }

    /// Writes an event down, with the time and the digest of the line before. `fields` must be an
    /// object, and hold no secret.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn write(&self, event: &str, fields: Value) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map(|t| t.as_secs()).unwrap_or_default();
        let mut entry = json!({ "time": time, "event": event, "previous": state.1 });
        if let (Some(entry), Value::Object(fields)) = (entry.as_object_mut(), fields) {
            entry.extend(fields);
        }
        let line = entry.to_string();
        state.0.write_all(format!("{line}\n").as_bytes())?;
        state.0.flush()?;
        state.1 = digest(&line);
        Ok(())
    }

    /// The entries of a log, if every line goes with the one before it.
    ///
    /// # Errors
    /// The first line that does not.
    pub fn check(text: &str) -> Result<Vec<Value>, AuditError> {
        let mut previous = String::new();
        let mut entries = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let entry: Value =
                serde_json::from_str(line).map_err(|source| AuditError::Json { line: number, source })?;
            if entry.get("previous").and_then(Value::as_str) != Some(&previous) {
                return Err(AuditError::Chain(number));
            }
            previous = digest(line);
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn digest(line: &str) -> String {
    blake3::hash(line.as_bytes()).to_hex().to_string()
}
