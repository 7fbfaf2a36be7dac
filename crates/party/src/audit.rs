//! The audit log: what this party did, for whom, with what outcome. One JSON object a line, only ever
//! appended to.
//!
//! An entry's *digest* is that of its line without the signature, its last field. Each entry has the
//! digest of the one before it, and is signed with the site's key: nothing is changed, put in or taken
//! out of the middle unseen, by nobody who has not that key. What its operator could do still, cut the
//! end off or write all anew, shows beside the logs of the others: in every session the parties
//! exchange the digests of their last entries, and write down each other's ([`compare`]).

mod check;
mod compare;
mod exchange;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cryptflow_wire::tls::{Fingerprint, Identity};
use serde_json::{Value, json};

pub use check::{AuditError, Entry, Log, check};
pub use compare::{Gap, compare};
pub use exchange::{exchange, noted};

use crate::store::restrict;

/// What a signature is about, before the digest.
const CONTEXT: &[u8] = b"cryptflow audit log v2\0";

/// How an entry ends, with the signature between these.
const SIGNATURE: &str = ",\"signature\":\"";
const END: &str = "\"}";

/// The event after a line that was not written to its end.
const TORN: &str = "torn";

/// The event with which a party begins: it has the certificate.
const STARTED: &str = "started";

/// The event after which the log may go on with another key, which it names: the key before it vouches for
/// that.
const RENEWED: &str = "renewed";

/// An open log.
pub struct Audit {
    state: Mutex<State>,
    identity: Identity,
}

struct State {
    file: File,
    /// Bytes of all entries; nothing where the file is no ordinary one.
    length: Option<u64>,
    head: [u8; 32],
    entries: u64,
    /// Whether the last entry could be written.
    writable: bool,
}

/// The digest of a log's last entry, and its signature: what a party shows the others in a session.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The digest.
    pub digest: [u8; 32],
    /// Signed by the site's key, as the entry is.
    pub signature: Vec<u8>,
}

/// Why a log is not gone on with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is there is no log of this site.
    #[error("{0}. Move the file away: it is evidence; a new one is begun")]
    Other(AuditError),
    /// It is that of another key.
    #[error("it was signed by another key. Move the file away: it is evidence; a new one is begun")]
    OtherKey,
}

impl Audit {
    /// Opens a log, or begins one. Where its last line was not written to its end, as in a crash, the
    /// log says so and goes on.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not a log of this site.
    pub fn open(path: &Path, identity: Identity) -> Result<Audit, OpenError> {
        let ordinary = std::fs::metadata(path).map_or(true, |there| there.is_file());
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut text = String::new();
        if ordinary {
            restrict(path, 0o600)?;
            file.read_to_string(&mut text)?;
        }
        let log = check(&text).map_err(OpenError::Other)?;
        if log.key.is_some_and(|keys| !keys.contains(identity.fingerprint())) {
            return Err(OpenError::OtherKey);
        }
        let head = log.entries.last().map_or([0; 32], |entry| entry.digest);
        let length = ordinary.then_some(text.len() as u64);
        let entries = log.entries.len() as u64;
        let state = State { file, length, head, entries, writable: true };
        let audit = Audit { state: Mutex::new(state), identity };
        if !text.is_empty() && !text.ends_with('\n') {
            audit.append("\n")?;
        }
        if let Some(torn) = &log.torn {
            audit.write(TORN, json!({ "bytes": torn.len(), "line": digest_of(torn) }))?;
        }
        Ok(audit)
    }

    /// Begins: whoever reads the log finds here whose it is.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn begin(&self, party: usize, fields: Value) -> io::Result<Head> {
        let certificate = hex::encode(self.identity.certificate());
        let mut all = json!({ "party": party, "certificate": certificate });
        if let (Some(all), Value::Object(fields)) = (all.as_object_mut(), fields) {
            all.extend(fields);
        }
        self.write(STARTED, all)
    }

    /// Lets the log go on with another key from the next start on.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn renew(&self, next: Fingerprint) -> io::Result<Head> {
        self.write(RENEWED, json!({ "key": next.to_string() }))
    }

    /// Writes an event down, with the time and the digest of the entry before, signed. `fields` must be
    /// an object, and hold no secret. Returns the log's head.
    ///
    /// # Errors
    /// The disk is full, or gone, or the key cannot sign; the log is then as it was before.
    pub fn write(&self, event: &str, fields: Value) -> io::Result<Head> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map(|t| t.as_secs()).unwrap_or_default();
        let mut entry = json!({ "time": time, "event": event, "previous": hex::encode(state.head) });
        if let (Some(entry), Value::Object(fields)) = (entry.as_object_mut(), fields) {
            entry.extend(fields);
        }
        let unsigned = entry.to_string();
        let digest = digest(&unsigned);
        let signature = self.identity.sign(&signed(&digest)).map_err(io::Error::other)?;
        let body = unsigned.strip_suffix('}').unwrap_or(&unsigned);
        let written = state.append(&format!("{body}{SIGNATURE}{}{END}\n", hex::encode(&signature)));
        state.writable = written.is_ok();
        written?;
        state.head = digest;
        state.entries += 1;
        Ok(Head { digest, signature })
    }

    /// How many entries there are, the digest of the last one, and whether it could be written.
    pub fn position(&self) -> (u64, [u8; 32], bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.entries, state.head, state.writable)
    }

    fn append(&self, text: &str) -> io::Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).append(text)
    }
}

impl State {
    /// Writes to the end, all of it or nothing.
    fn append(&mut self, text: &str) -> io::Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        match (&written, &mut self.length) {
            (Ok(()), Some(length)) => *length += text.len() as u64,
            // What was written of it must not stand before the next one.
            (Err(_), Some(length)) => self.file.set_len(*length)?,
            (_, None) => {}
        }
        written
    }
}

/// What is signed of an entry.
fn signed(digest: &[u8; 32]) -> Vec<u8> {
    [CONTEXT, digest].concat()
}

/// The digest of an entry, which is given without its signature.
fn digest(unsigned: &str) -> [u8; 32] {
    *blake3::hash(unsigned.as_bytes()).as_bytes()
}

fn digest_of(text: &str) -> String {
    hex::encode(digest(text))
}
