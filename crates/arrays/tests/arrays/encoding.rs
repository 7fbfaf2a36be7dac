//! Encodings of elements against their definitions.

use cryptflow_arrays::{Encoding, Numbers, bfloat, half};

#[test]
fn half_precision() {
    for (bits, value) in [
        (0x0001, 2f32.powi(-24)),
        (0x8400, -(2f32.powi(-14))),
        (0x3c00, 1.0),
        (0x7bff, 65504.0),
        (0x7c00, f32::INFINITY),
    ] {
        assert_eq!(half(bits), value, "{bits:04x}");
    }
    assert!(half(0x7e00).is_nan());
    assert_eq!(bfloat(0xc0a0), -5.0);
}

#[test]
fn every_encoding_reads_what_fills_its_bytes() {
    let bytes: Vec<u8> = (1..=16).map(|i| i * 15).collect();
    for (encoding, elements) in [
        (Encoding::Int8, Numbers::Integers(bytes.iter().map(|&b| (b as i8).into()).collect())),
        (Encoding::Uint8, Numbers::Integers(bytes.iter().map(|&b| b.into()).collect())),
        (Encoding::Flag, Numbers::Integers(vec![1; 16])),
        (Encoding::Int16, Numbers::Integers(vec![7695, 15405, 23115, 30825, -27001, -19291, -11581, -3871])),
        (Encoding::Uint32, Numbers::Integers(vec![1009589775, 2020170315, 3030750855, 4041331395])),
        (
            Encoding::Single,
            Numbers::Floats(bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()),
        ),
    ] {
        assert_eq!(encoding.read(&bytes), elements, "{encoding:?}");
        assert_eq!(elements.len(), bytes.len() / encoding.width(), "{encoding:?}");
        // An element that is cut off is none.
        assert_eq!(encoding.read(&bytes[..encoding.width() - 1]).len(), 0, "{encoding:?}");
    }
}
