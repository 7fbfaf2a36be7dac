//! Shares, and what the owner of a secret does.

use cryptflow_mpc::clear::sign_extend;
use cryptflow_mpc::{Error, Owner, keys};
use cryptflow_ring::Prf;
use zeroize::Zeroizing;

use crate::porthos::PARTIES;
use crate::session::{WORD, from_bytes, to_bytes};

/// Bytes of a seed.
pub(crate) const SEED: usize = 16;

/// A party's part of a secret tensor: x = x0 + x1 modulo 2^64. P2 knows the length alone.
#[derive(Clone)]
pub struct Share {
    /// The evaluator's share; empty for P2.
    pub(crate) data: Vec<u64>,
    pub(crate) len: usize,
}

impl Share {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for a tensor without elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The owner of an input or of a model, in a program over Z_2^ring_bits. Porthos itself computes
/// modulo 2^64 whatever the program's ring is: the owner extends the sign.
#[derive(Clone, Copy, Debug)]
pub struct PorthosOwner {
    pub(crate) ring_bits: u32,
    /// What a test plants.
    #[cfg(all(test, debug_assertions))]
    pub(crate) planted: Option<crate::planted::Bug>,
}

impl PorthosOwner {
    /// An owner for programs over Z_2^ring_bits, at most 64.
    pub fn new(ring_bits: u32) -> PorthosOwner {
        PorthosOwner {
            ring_bits,
            #[cfg(all(test, debug_assertions))]
            planted: None,
        }
    }

    fn share_with(&self, x: &[u64], seed: &[u8; SEED]) -> Vec<Vec<u8>> {
        let mut difference = expand(seed, x.len());
        for (d, &v) in difference.iter_mut().zip(x) {
            *d = (sign_extend(v, self.ring_bits) as u64).wrapping_sub(*d);
        }
        vec![seed.to_vec(), to_bytes(&difference), Vec::new()]
    }
}

/// P0's part is the seed of its share, P1's the difference, P2's empty. Every tensor has a fresh
/// seed.
impl Owner for PorthosOwner {
    fn share_value(&self, x: &[u64]) -> Result<Vec<Vec<u8>>, Error> {
        let mut seed = Zeroizing::new([0; SEED]);
        keys::random(seed.as_mut_slice())?;
        let seed = planted!(self, ConstantSeed: Zeroizing::new([7; SEED]); seed);
        Ok(self.share_with(x, &seed))
    }

    /// Modulo 2^64, wherever it is used.
    fn share_weight(&self, w: &[u64], _bits: u32) -> Result<Vec<Vec<u8>>, Error> {
        planted!(self, ConstantWeightSeed: Ok(self.share_with(w, &[7; SEED])); self.share_value(w))
    }

    fn open(&self, len: usize, parts: &[&[u8]]) -> Result<Vec<i64>, Error> {
        const NAME: &str = "the output";
        let &[first, second, helper] = parts else { return Err(Error::parts(NAME, parts.len(), PARTIES)) };
        check_length(NAME, helper, 0)?;
        let mut sum = read_words(NAME, first, len)?;
        for (a, b) in sum.iter_mut().zip(read_words(NAME, second, len)?) {
            *a = a.wrapping_add(b);
        }
        Ok(sum.into_iter().map(|v| v as i64).collect())
    }
}

fn expand(seed: &[u8; SEED], len: usize) -> Vec<u64> {
    let mut share = vec![0; len];
    Prf::new(*seed).fill_words(0, 0, &mut share);
    share
}

fn check_length(name: &str, part: &[u8], due: usize) -> Result<(), Error> {
    if part.len() == due {
        return Ok(());
    }
    let reason = format!("{} bytes came where {due} were due", part.len());
    Err(Error::Share { name: name.into(), reason })
}

fn read_words(name: &str, part: &[u8], len: usize) -> Result<Vec<u64>, Error> {
    check_length(name, part, len.saturating_mul(WORD))?;
    let mut words = vec![0; len];
    from_bytes(part, &mut words);
    Ok(words)
}

/// P0's share, from its seed.
pub(crate) fn from_seed(name: &str, part: &[u8], len: usize) -> Result<Share, Error> {
    check_length(name, part, SEED)?;
    let mut seed = Zeroizing::new([0; SEED]);
    seed.copy_from_slice(part);
    Ok(Share { data: expand(&seed, len), len })
}

/// P1's share.
pub(crate) fn from_words(name: &str, part: &[u8], len: usize) -> Result<Share, Error> {
    Ok(Share { data: read_words(name, part, len)?, len })
}

/// P2's.
pub(crate) fn from_nothing(name: &str, part: &[u8], len: usize) -> Result<Share, Error> {
    check_length(name, part, 0)?;
    Ok(Share { data: Vec::new(), len })
}
