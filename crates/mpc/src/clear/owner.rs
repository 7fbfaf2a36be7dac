//! Sharing without secrets: every party is sent the plain words.

use super::{Clear, ClearValue, reduce, sign_extend};
use crate::{Error, Owner};

/// Any number of parties could run it; it is run by as many as the protocols are that it is
/// compared with.
pub(super) const PARTIES: usize = 3;

pub(super) const WORD: usize = size_of::<u64>();

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks::<WORD>().0.iter().map(|&c| u64::from_le_bytes(c))
}

fn bytes(x: &[u64], bits: u32) -> Vec<u8> {
    x.iter().flat_map(|&v| reduce(v, bits).to_le_bytes()).collect()
}

fn malformed(name: &str, reason: String) -> Error {
    Error::Share { name: name.into(), reason }
}

fn check_length(name: &str, len: usize, received: usize) -> Result<(), Error> {
    if Some(received) == len.checked_mul(WORD) {
        return Ok(());
    }
    Err(malformed(name, format!("{len} elements of {WORD} bytes were due, {received} bytes came")))
}

/// A party's part of a tensor over Z_2^bits.
pub(super) fn parse(name: &str, len: usize, part: &[u8], bits: u32) -> Result<ClearValue, Error> {
    check_length(name, len, part.len())?;
    let data: Vec<u64> = words(part).collect();
    match data.iter().position(|&v| reduce(v, bits) != v) {
        Some(i) => Err(malformed(name, format!("element {i} does not fit a ring of {bits} bits"))),
        None => Ok(ClearValue { data, bits }),
    }
}

/// The parts are little-endian words, the same for every party; a revealed value is sign-extended
/// to 64 bits.
impl Owner for Clear {
    fn share_value(&self, x: &[u64]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(vec![bytes(x, self.ring_bits); PARTIES])
    }

    /// In the program's ring, wherever it is used.
    fn share_weight(&self, w: &[u64], _bits: u32) -> Result<Vec<Vec<u8>>, Error> {
        self.share_value(w)
    }

    fn open(&self, len: usize, parts: &[&[u8]]) -> Result<Vec<i64>, Error> {
        const NAME: &str = "the output";
        let &[first, second, third] = parts else { return Err(Error::parts(NAME, parts.len(), PARTIES)) };
        for part in parts {
            check_length(NAME, len, part.len())?;
        }
        if first != second || first != third {
            return Err(malformed(NAME, "the parties do not agree on it".into()));
        }
        Ok(words(first).map(|v| sign_extend(v, 64)).collect())
    }
}
