//! Decoding a file's bytes, and finding where they go wrong.

use prost::Message;

use super::messages::{FunctionDefLibrary, GraphDef, NodeDef, VersionDef};
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
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let Some(key) = varint(bytes, &mut at) else {
            return Some((start, "the file ends in the middle of a field".into()));
        };
        let body = match key & 7 {
            0 => match varint(bytes, &mut at) {
                Some(_) => &[],
                None => return Some((start, "a number has no end".into())),
            },
            1 | 5 => {
                let width = if key & 7 == 1 { 8 } else { 4 };
                if bytes.len() - at < width {
                    return Some((start, "the file ends in the middle of a field".into()));
                }
                at += width;
                &[]
            }
            2 => {
                let length = varint(bytes, &mut at).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
                let left = bytes.len() - at;
                match length {
                    Some(length) if length <= left => {
                        at += length;
                        &bytes[at - length..at]
                    }
                    Some(length) => {
                        let reason = format!(
                            "a field of {length} bytes begins, but only {left} bytes are left: the file is cut off"
                        );
                        return Some((start, reason));
                    }
                    None => return Some((start, "a length has no end".into())),
                }
            }
            wire => {
                return Some((
                    start,
                    format!("the byte 0x{:02x} begins no field (wire type {wire})", bytes[start]),
                ));
            }
        };
        let result = match (key >> 3, key & 7) {
            (1, 2) => NodeDef::decode(body).map(drop),
            (2, 2) => FunctionDefLibrary::decode(body).map(drop),
            (4, 2) => VersionDef::decode(body).map(drop),
            (1 | 2 | 4, wire) => {
                return Some((start, format!("field {} has the wire type {wire}", key >> 3)));
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            return Some((start, format!("a node does not decode ({error})")));
        }
    }
    None
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
