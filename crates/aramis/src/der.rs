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
mod tests {
    use super::*;

    #[test]
    fn lengths_are_checked() {
        // (bytes, whether they are well-formed)
        let table: [(&[u8], bool); 12] = [
            (&[], true),
            (&[0x02, 1, 5], true),
            (&[0x30, 3, 0x02, 1, 5], true),
            (&[0x30, 0x81, 3, 0x02, 1, 5], true),
            (&[0x30, 3, 0x02, 1, 5, 0x05, 0], true),
            (&[0x02, 2, 5], false),
            (&[0x30, 3, 0x02, 2, 5], false),
            (&[0x30, 2, 0x02, 1, 5], false),
            (&[0x30], false),
            (&[0x13, 0x84, 0x0f, 0xff, 0xff, 0xff, 0], false),
            (&[0x30, 0x80, 0, 0], false),
            (&[0x1f, 0x81, 1, 0], false),
        ];
        for (bytes, good) in table {
            assert_eq!(check(bytes).is_ok(), good, "{bytes:02x?}");
        }
        let deep: Vec<u8> = (0..60).rev().flat_map(|i| [0x30, 2 * i]).collect();
        assert!(check(&deep).unwrap_err().contains("deeply"));
    }

    #[test]
    fn genuine_certificates_and_lists_pass() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/genuine");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "der") {
                let bytes = std::fs::read(&path).unwrap();
                check(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                check(&bytes[..bytes.len() - 1]).unwrap_err();
                count += 1;
            }
        }
        assert_eq!(count, 5);
    }
}
