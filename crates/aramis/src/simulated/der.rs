//! The few forms of DER that an SGX extension is made of.

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..0x80 => bytes.push(length as u8),
        0x80..0x100 => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend_from_slice(content);
    bytes
}

/// SEQUENCE.
pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// OCTET STRING.
pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

/// INTEGER of at most 32767.
pub(super) fn integer(value: u16) -> Vec<u8> {
    match value.to_be_bytes() {
        [0, low] if low < 0x80 => element(0x02, &[low]),
        [high, low] => element(0x02, &[high, low]),
    }
}

/// ENUMERATED of at most 127.
pub(super) fn enumerated(value: u8) -> Vec<u8> {
    element(0x0a, &[value])
}

/// BOOLEAN.
pub(super) fn boolean(value: bool) -> Vec<u8> {
    element(0x01, &[if value { 0xff } else { 0 }])
}

/// OBJECT IDENTIFIER of Intel's SGX extensions, 1.2.840.113741.1.13.1, and what comes after it
/// (each at most 127).
pub(super) fn sgx_oid(tail: &[u8]) -> Vec<u8> {
    let mut content = vec![0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
    content.extend_from_slice(tail);
    element(0x06, &content)
}
