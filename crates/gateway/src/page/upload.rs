//! Files in the body of a request: what they are in JSON, and behind that their bytes, one after another.

use bytes::Bytes;
use serde::Deserialize;

use crate::failure::Failure;

/// A file that somebody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// What it is called there.
    pub name: String,
    /// The input that it is for, where that was said.
    pub input: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    files: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    size: usize,
    #[serde(default)]
    input: Option<String>,
}

/// The files in a body, the first `head` bytes of which say what they are.
///
/// # Errors
/// What is wrong with it.
pub fn uploads(body: &Bytes, head: usize) -> Result<Vec<Upload>, Failure> {
    let wrong = |reason: String| Failure::Request(reason);
    if head > body.len() {
        return Err(wrong(format!("the description has {head} bytes, and the body {}", body.len())));
    }
    let mut rest = body.slice(head..);
    let Head { files } = serde_json::from_slice(&body.slice(..head))
        .map_err(|error| wrong(format!("the description of the files is malformed: {error}")))?;
    let mut uploads = Vec::with_capacity(files.len());
    for Entry { name, size, input } in files {
        if size > rest.len() {
            return Err(wrong(format!("{name} has {size} bytes, and {} are left of the body", rest.len())));
        }
        uploads.push(Upload { name, input, bytes: rest.split_to(size) });
    }
    if rest.is_empty() {
        Ok(uploads)
    } else {
        Err(wrong(format!("{} bytes of the body belong to no file", rest.len())))
    }
}
