//! A table of keys and values in LevelDB's form: the index of a checkpoint.
//!
//! The file is a row of blocks and a footer of 48 bytes, which says where the index block is. The
//! index block maps the last key of each data block to the place of the block; data blocks hold the
//! entries, ascending. Each block is followed by a byte (0: as it is, 1: compressed with Snappy)
//! and by its masked CRC-32C.

use super::checksum::{extend, masked};
use crate::cursor::Cursor;

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER: usize = 48;
/// The type of the block and its checksum.
const TRAILER: usize = 5;
/// Snappy makes at most 64 bytes of 3: a block that claims more is damaged.
const SNAPPY_MOST: usize = 24;

/// Why a file is no table.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("it has {0} bytes, fewer than the {FOOTER} of its footer")]
    Short(usize),
    #[error("it does not end as an index ends: it is cut off, or it is another kind of file")]
    NoFooter,
    #[error("the footer is damaged")]
    Footer,
    #[error("the index block is damaged")]
    Index,
    #[error("its keys are not in order: it is damaged")]
    Order,
    #[error("its keys take far more room than its size justifies")]
    Large,
    #[error("a block of {size} bytes at {offset} lies outside of the file: it is cut off")]
    Outside { offset: u64, size: u64 },
    #[error("the checksum of the block at {0} is wrong: the file is damaged")]
    Checksum(u64),
    #[error("the compressed block at {0} is damaged ({1})")]
    Compressed(u64, snap::Error),
    #[error("the compressed block at {offset} claims {length} bytes, more than {held} can hold")]
    Claim { offset: u64, length: usize, held: usize },
    #[error("the block at {0} is compressed in a way that is not known here")]
    Compression(u64),
    #[error("the entries of a block are damaged")]
    Entries,
}

/// The entries of a table, in ascending order of their keys.
pub(super) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads all entries. Their memory is bounded by a multiple of the file's length.
pub(super) fn read(file: &[u8]) -> Result<Entries, TableError> {
    let Some((body, footer)) = file.len().checked_sub(FOOTER).map(|at| file.split_at(at)) else {
        return Err(TableError::Short(file.len()));
    };
    let (handles, magic) = footer.split_at(FOOTER - 8);
    if magic != MAGIC.to_le_bytes() {
        return Err(TableError::NoFooter);
    }
    let mut handles = Cursor(handles);
    let footer = |part: Option<(u64, u64)>| part.ok_or(TableError::Footer);
    footer(handle(&mut handles))?; // Of the meta index, which holds nothing.
    let index = footer(handle(&mut handles))?;
    let mut budget = Budget { left: (1 << 20) + file.len().saturating_mul(64) };
    let mut entries: Entries = Vec::new();
    for (_, value) in entries_of(&block(body, index)?, &mut budget)? {
        let place = handle(&mut Cursor(&value)).ok_or(TableError::Index)?;
        for (key, value) in entries_of(&block(body, place)?, &mut budget)? {
            // Also keeps a hostile file from listing one block many times.
            if entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(TableError::Order);
            }
            entries.push((key, value));
        }
    }
    Ok(entries)
}

/// Bytes of keys and values that may still be taken: prefixes are shared in the file, and not in
/// memory.
struct Budget {
    left: usize,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<(), TableError> {
        self.left = self.left.checked_sub(bytes).ok_or(TableError::Large)?;
        Ok(())
    }
}

/// The contents of a block, with its checksum verified.
fn block(file: &[u8], (offset, size): (u64, u64)) -> Result<Vec<u8>, TableError> {
    let outside = || TableError::Outside { offset, size };
    let at = usize::try_from(offset).map_err(|_| outside())?;
    let size_here = usize::try_from(size).map_err(|_| outside())?;
    let end = at.checked_add(size_here).and_then(|end| end.checked_add(TRAILER)).ok_or_else(outside)?;
    let whole = file.get(at..end).ok_or_else(outside)?;
    let (contents, trailer) = whole.split_at(size_here);
    let (kind, checksum) = trailer.split_at(1);
    if checksum != masked(extend(extend(0, contents), kind)).to_le_bytes() {
        return Err(TableError::Checksum(offset));
    }
    match kind {
        [0] => Ok(contents.to_vec()),
        [1] => {
            let damaged = |e: snap::Error| TableError::Compressed(offset, e);
            let length = snap::raw::decompress_len(contents).map_err(damaged)?;
            if length > contents.len().saturating_mul(SNAPPY_MOST) {
                return Err(TableError::Claim { offset, length, held: contents.len() });
            }
            snap::raw::Decoder::new().decompress_vec(contents).map_err(damaged)
        }
        _ => Err(TableError::Compression(offset)),
    }
}

/// The entries of a block. Each shares a prefix of its key with the one before; the restart points
/// at the end serve searches only.
fn entries_of(block: &[u8], budget: &mut Budget) -> Result<Entries, TableError> {
    let damaged = || TableError::Entries;
    let (rest, count) = block.split_last_chunk::<4>().ok_or_else(damaged)?;
    let restarts = usize::try_from(u32::from_le_bytes(*count)).ok().and_then(|n| n.checked_mul(4));
    let end = restarts.and_then(|n| rest.len().checked_sub(n)).ok_or_else(damaged)?;
    let mut cursor = Cursor(&rest[..end]);
    let mut entries: Entries = Vec::new();
    while !cursor.0.is_empty() {
        let mut length = || cursor.varint().and_then(|n| usize::try_from(n).ok());
        let (shared, own, value) = (length(), length(), length());
        let (shared, own, value) =
            shared.zip(own).zip(value).map(|((s, o), v)| (s, o, v)).ok_or_else(damaged)?;
        let previous = entries.last().map_or(&[][..], |(key, _)| key);
        let prefix = previous.get(..shared).ok_or_else(damaged)?;
        let own = cursor.take(own).ok_or_else(damaged)?;
        let value = cursor.take(value).ok_or_else(damaged)?;
        budget.take(prefix.len() + own.len() + value.len())?;
        entries.push(([prefix, own].concat(), value.to_vec()));
    }
    Ok(entries)
}

/// Offset and size of a block.
fn handle(cursor: &mut Cursor<'_>) -> Option<(u64, u64)> {
    Some((cursor.varint()?, cursor.varint()?))
}
