//! Hexadecimal digits.

use crate::hex::{decode, decode_array, encode};

#[test]
fn digits() {
    assert_eq!(decode("00fF10"), Ok(vec![0, 255, 16]));
    assert_eq!(encode(&[0, 255, 16]), "00ff10");
    for wrong in ["0", "0g", "é0", "0x00"] {
        assert!(decode(wrong).is_err(), "{wrong}");
    }
    assert!(decode_array::<2>("00").is_err());
    assert_eq!(decode_array::<2>(" 0102\n"), Ok([1, 2]));
}
