//! Lengths in DER.

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
    assert!(matches!(check(&deep), Err(DerError::Depth(_))));
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
