//! Whether the lengths in DER are those of the bytes that are there. The parsers of certificates
//! take the room for a string before they look: a certificate of a kilobyte could make them take a
//! quarter of a gigabyte.

/// Checks the structure of certificates and revocation lists: every length fits into what it is in.
///
/// # Errors
/// A text for people, with the place.
pub(crate) fn check(der: &[u8]) -> Result<(), String> {
    // Ends of the elements that are open, outermost first.
    let mut open = vec![der.len()];
    let mut at = 0;
    while let Some(&end) = open.last() {
        if at == end {
            open.pop();
            continue;
        }
        let wrong =
            || format!("the element at byte {at} is longer than what it is in: it is cut off or damaged");
        let (constructed, length, header) =
            element(der.get(at..end).unwrap_or_default()).ok_or_else(wrong)?;
        let begin = at + header;
        let inner = begin.checked_add(length).filter(|&inner| inner <= end).ok_or_else(wrong)?;
        if constructed {
            if open.len() > MOST_NESTED {
                return Err(format!("the element at byte {at} is nested too deeply"));
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
