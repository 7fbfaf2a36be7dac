//! CRC-32C as TensorFlow stores it.

/// The checksum of bytes that come after those of `crc`.
pub(super) fn extend(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

/// The form in which a checksum is stored, so that a checksum over stored checksums stays one.
pub(super) fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}
