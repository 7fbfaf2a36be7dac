//! What a party tells its operator: a line at a time, on standard error. There are some twenty kinds of lines,
//! and the audit log is the record for programs: `tracing` and its subscriber would be six more crates in the
//! attested binary.

use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use time::OffsetDateTime;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The party cannot do its work.
    Error,
    /// Something went wrong, or somebody was refused.
    Warn,
    /// What happens.
    Info,
}

impl Level {
    /// All of them.
    pub const ALL: [Level; 3] = [Level::Error, Level::Warn, Level::Info];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
        }
    }
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// An object a line, for programs.
    Json,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 2] = [Form::Text, Form::Json];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::Json => "json",
        }
    }
}

/// A word that names no level, or no form.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is none of these: {1}")]
pub struct NoSuch(String, String);

impl FromStr for Level {
    type Err = NoSuch;

    fn from_str(text: &str) -> Result<Level, NoSuch> {
        let words = Level::ALL.map(Level::word).join(", ");
        Level::ALL.into_iter().find(|level| level.word() == text).ok_or_else(|| NoSuch(text.into(), words))
    }
}

impl FromStr for Form {
    type Err = NoSuch;

    fn from_str(text: &str) -> Result<Form, NoSuch> {
        let words = Form::ALL.map(Form::word).join(", ");
        Form::ALL.into_iter().find(|form| form.word() == text).ok_or_else(|| NoSuch(text.into(), words))
    }
}

/// Tells the operator what happens.
#[derive(Clone)]
pub struct Log {
    /// How lines look.
    pub form: Form,
    /// What matters less is left out.
    pub level: Level,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for Log {
    fn default() -> Log {
        Log::new(Form::Text, Level::Info)
    }
}

impl Log {
    /// On standard error: lines of this form, without what matters less than this level.
    pub fn new(form: Form, level: Level) -> Log {
        // Who cannot be told, as the disk is full or the reader gone, must not end what is told of: the
        // macro for this would panic.
        let tell = |line: &str| drop(writeln!(std::io::stderr(), "{line}"));
        Log { form, level, tell: Arc::new(tell) }
    }

    /// Whoever shall hear the lines, in place of standard error.
    pub fn telling(tell: impl Fn(&str) + Send + Sync + 'static) -> Log {
        Log { tell: Arc::new(tell), ..Log::default() }
    }

    /// A line. It must hold nothing secret.
    pub fn line(&self, level: Level, text: &str) {
        if level <= self.level {
            (self.tell)(&self.form.line(SystemTime::now(), level, text));
        }
    }
}

impl Form {
    /// A line, with the date and the time in UTC.
    pub fn line(self, now: SystemTime, level: Level, text: &str) -> String {
        // What others say is a part of some lines: it must not begin a line of its own.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (time, level) = (utc(now), level.word());
        match self {
            Form::Text => format!("{time} {level:<5} {text}"),
            Form::Json => json!({ "time": time, "level": level, "message": text }).to_string(),
        }
    }
}

/// As RFC 3339 has it.
fn utc(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map(|t| t.as_secs()).unwrap_or_default();
    let date = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", date.hour(), date.minute(), date.second())
}
