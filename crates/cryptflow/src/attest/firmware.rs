//! Whether a file has the form of a virtual firmware with SEV metadata: what reads it afterwards
//! takes its offsets and lengths on trust.

use std::path::Path;

use crate::error::{Error, Result};

/// Longest firmware: it lies below 4 GiB, and QEMU takes no longer one.
const LONGEST: u64 = 16 << 20;
/// Sections of memory that the metadata may name; OVMF has 6.
const SECTIONS: usize = 64;
/// What follows the table of GUIDs, whose end is known.
const AFTER_TABLE: usize = 32;
/// An entry's length and GUID, which follow its data.
const ENTRY: usize = 18;
/// Header of the metadata: signature, length, version, number of sections.
const HEADER: usize = 16;
/// Address, length and kind of a section; 12 bytes apart.
const SECTION: usize = 12;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Kind of the section that holds the hashes of kernel, initrd and command line.
const KERNEL_HASHES: u8 = 0x10;

/// GUID of the table's last entry, which holds the table's length (OVMF, ResetVectorVtf0.asm), in
/// the order of its bytes in the file.
const TABLE: [u8; 16] = guid(0x96b5_82de, 0x1fb2, 0x45f7, 0xbaea_a366_c55a_082d);
/// GUID of the entry that says where the metadata begins.
const METADATA: [u8; 16] = guid(0xdc88_6566, 0x984a, 0x4798, 0xa75e_5585_a7bf_67cc);

/// A GUID as UEFI writes it: three numbers in little endian, eight bytes.
const fn guid(a: u32, b: u16, c: u16, d: u64) -> [u8; 16] {
    let (a, b, c, d) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_be_bytes());
    [a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]]
}

/// Checks a firmware's file.
///
/// # Errors
/// It cannot be read, or is no firmware with SEV metadata.
pub(super) fn check(path: &Path) -> Result<()> {
    let length = std::fs::metadata(path).map_err(|e| Error::at(path, e))?.len();
    if length > LONGEST {
        return Err(Error::at(path, format_args!("a firmware of {length} bytes; the most is {LONGEST}")));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::at(path, e))?;
    well_formed(&bytes).map_err(|reason| {
        Error::at(path, format_args!("this is no OVMF that measures SEV-SNP guests (AmdSev): {reason}"))
    })
}

fn well_formed(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    if !bytes.len().is_multiple_of(PAGE) {
        return Err("its length is not a number of pages");
    }
    let end = bytes.len().checked_sub(AFTER_TABLE).ok_or("it is empty")?;
    let mut table = bytes.get(..end).unwrap_or_default();
    let (length, found, _) = entry(table).ok_or("its table of GUIDs is cut off")?;
    if found != TABLE {
        return Err("it has no table of GUIDs");
    }
    // The table's own entry says how long the whole of it is.
    let begin = table.len().checked_sub(length).ok_or("its table of GUIDs is longer than the file")?;
    table = table.get(begin..table.len() - ENTRY).unwrap_or_default();
    let mut metadata = None;
    while table.len() >= ENTRY {
        let (length, found, data) = entry(table).ok_or("an entry of its table of GUIDs is malformed")?;
        if found == METADATA {
            metadata = Some(number(data, 0).ok_or("its table does not say where the metadata is")?);
        }
        table = table.get(..table.len() - length).unwrap_or_default();
    }
    let before_end = metadata.ok_or("it has no SEV metadata")?;
    let begin =
        bytes.len().checked_sub(before_end as usize).ok_or("its SEV metadata is outside of the file")?;
    sections(bytes.get(begin..).unwrap_or_default())
}

/// The last entry of a table: its length, GUID and data.
fn entry(table: &[u8]) -> Option<(usize, [u8; 16], &[u8])> {
    let (rest, guid) = table.split_last_chunk::<16>()?;
    let (rest, length) = rest.split_last_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(*length));
    let data = length.checked_sub(ENTRY)?;
    // The table's own entry is as long as the table, whose bytes it does not own; a caller that
    // needs them looks there.
    Some((length, *guid, rest.get(rest.len().checked_sub(data)?..)?))
}

/// Checks the metadata that begins here.
fn sections(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let length = number(bytes, 4).ok_or("its SEV metadata is cut off")? as usize;
    let count = number(bytes, 12).ok_or("its SEV metadata is cut off")? as usize;
    let body = bytes.get(HEADER..length).ok_or("its SEV metadata is cut off")?;
    if count > SECTIONS || count * SECTION > body.len() {
        return Err("its SEV metadata names more sections than it has room for");
    }
    for section in body.chunks_exact(SECTION).take(count) {
        if section.get(8) == Some(&KERNEL_HASHES) && number(section, 4) != Some(PAGE as u32) {
            return Err("its section for the kernel's hashes is not one page");
        }
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
