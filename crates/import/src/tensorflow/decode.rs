//! Decoding a file's bytes, and finding where they go wrong.

use prost::Message;

use super::messages::{FunctionDefLibrary, GraphDef, NodeDef, VersionDef};
use crate::cursor::Cursor;
use crate::{ImportError, Lookalike};

/// The message in these bytes, or what they are instead.
pub(super) fn graph_def(bytes: &[u8]) -> Result<GraphDef, ImportError> {
    if let Some(found) = Lookalike::of(bytes) {
        return Err(ImportError::NotAGraph { found });
    }
    GraphDef::decode(bytes).map_err(|error| {
        let (offset, reason) = locate(bytes).unwrap_or_else(|| (0, error.to_string()));
        ImportError::Decode { offset, length: bytes.len(), reason }
    })
}

/// Where the first top-level field begins that does not decode, and why it does not.
fn locate(bytes: &[u8]) -> Option<(usize, String)> {
    let mut cursor = Cursor(bytes);
    while !cursor.0.is_empty() {
        let start = bytes.len() - cursor.0.len();
        if let Err(reason) = field(&mut cursor) {
            return Some((start, reason));
        }
    }
    None
}

/// Decodes a field, or says why it does not decode.
fn field(cursor: &mut Cursor<'_>) -> Result<(), String> {
    const CUT: &str = "the file ends in the middle of a field";
    let first = cursor.0.first().copied().unwrap_or_default();
    let key = cursor.varint().ok_or(CUT)?;
    let (number, wire) = (key >> 3, key & 7);
    let body = match wire {
        0 => cursor.varint().map(|_| &[][..]).ok_or("a number has no end")?,
        1 => cursor.take(8).ok_or(CUT)?,
        5 => cursor.take(4).ok_or(CUT)?,
        2 => {
            let length = cursor.varint().ok_or("a length has no end")?;
            let left = cursor.0.len();
            let body = usize::try_from(length).ok().and_then(|length| cursor.take(length));
            body.ok_or_else(|| {
                format!(
                    "a field of {length} bytes begins, but only {left} bytes are left: the file is cut off"
                )
            })?
        }
        _ => return Err(format!("the byte 0x{first:02x} begins no field (wire type {wire})")),
    };
    let decoded = match (number, wire) {
        (1, 2) => NodeDef::decode(body).map(drop),
        (2, 2) => FunctionDefLibrary::decode(body).map(drop),
        (4, 2) => VersionDef::decode(body).map(drop),
        (1 | 2 | 4, _) => return Err(format!("field {number} has the wire type {wire}")),
        _ => Ok(()),
    };
    decoded.map_err(|error| format!("a node does not decode ({error})"))
}
