//! Whether the lengths in DER are those of the bytes that are there. The parsers of certificates
//! take the room for a string before they look: a certificate of a kilobyte could make them take a
//! quarter of a gigabyte.

/// What is wrong with the structure of DER, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// An element that ends after what it is in.
    #[error("the element at byte {0} is longer than what it is in: it is cut off or damaged")]
    Length(usize),
    /// More elements within one another than any certificate has.
    #[error("the element at byte {0} is nested too deeply")]
    Depth(usize),
}

/// Checks the structure of certificates and revocation lists: every length fits into what it is in.
///
/// # Errors
/// The first place where they do not.
pub(crate) fn check(der: &[u8]) -> Result<(), DerError> {
    // Ends of the elements that are open, outermost first.
    let mut open = vec![der.len()];
    let mut at = 0;
    while let Some(&end) = open.last() {
        if at == end {
            open.pop();
            continue;
        }
        let (constructed, length, header) =
            element(der.get(at..end).unwrap_or_default()).ok_or(DerError::Length(at))?;
        let begin = at + header;
        let inner = begin.checked_add(length).filter(|&inner| inner <= end).ok_or(DerError::Length(at))?;
        if constructed {
            if open.len() > MOST_NESTED {
                return Err(DerError::Depth(at));
            }
            open.push(inner);
            at = begin;
        } else {
            at = inner;
        }
    }
    Ok(())
}

/// Certificates have some ten.
const MOST_NESTED: usize = 32;

/// Whether an element consists of elements, the length of its contents, and the bytes before them.
fn element(bytes: &[u8]) -> Option<(bool, usize, usize)> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        // Numbers of tags above 30 are in no certificate.
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, more) = match first {
        0..=0x7f => (usize::from(first), 0),
        0x81..=0x84 => {
            let more = usize::from(first & 0x7f);
            (rest.get(..more)?.iter().fold(0, |n, &byte| n << 8 | usize::from(byte)), more)
        }
        _ => return None,
    };
    Some((tag & 0x20 != 0, length, 2 + more))
}

#[cfg(test)]
#[path = "../tests/der.rs"]
mod tests;
