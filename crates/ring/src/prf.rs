//! Pseudo-random streams: AES-128 in counter mode.
//!
//! A key gives 2^64 streams, one for each *domain*. Word `i` of a domain is half `i % 2`
//! (little-endian) of `AES(key, le64(domain) ‖ le64(i / 2))`, so that any range of a stream can be
//! made anywhere.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use rayon::prelude::*;
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
mod vaes;

/// A keyed family of pseudo-random streams. The key schedule is wiped from memory when it is
/// dropped.
#[derive(Clone)]
pub struct Prf {
    cipher: Cipher,
}

#[derive(Clone)]
enum Cipher {
    /// The `aes` crate: AES-NI, NEON, or constant-time code.
    Library(Box<Aes128>),
    #[cfg(target_arch = "x86_64")]
    Vaes(vaes::RoundKeys),
}

impl Cipher {
    fn library(key: &[u8; BLOCK]) -> Cipher {
        Cipher::Library(Box::new(Aes128::new(key.into())))
    }

    fn best(key: &[u8; BLOCK]) -> Cipher {
        #[cfg(target_arch = "x86_64")]
        if let Some(keys) = vaes::RoundKeys::new(key) {
            return Cipher::Vaes(keys);
        }
        Cipher::library(key)
    }
}

impl std::fmt::Debug for Prf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prf { .. }")
    }
}

/// Bytes that one thread makes at a time: whole blocks.
const CHUNK: usize = 1 << 17;
/// Bytes of a block of AES.
const BLOCK: usize = 16;

impl Prf {
    /// The streams of a key.
    pub fn new(mut key: [u8; 16]) -> Prf {
        let cipher = Cipher::best(&key);
        key.zeroize();
        Prf { cipher }
    }

    /// The same streams by the `aes` crate alone, for benchmarks and tests of this machine's own
    /// way.
    #[doc(hidden)]
    pub fn by_library(key: [u8; 16]) -> Prf {
        Prf { cipher: Cipher::library(&key) }
    }

    /// Blocks `first_block ..` of the stream of a domain: block `i` is `AES(key, le64(domain) ‖
    /// le64(i))`. Uses all threads of the current rayon pool where that pays.
    pub fn fill_blocks(&self, domain: u64, first_block: u64, out: &mut [[u8; BLOCK]]) {
        let per_chunk = CHUNK / BLOCK;
        if out.len() <= per_chunk {
            return self.blocks(domain, first_block, out);
        }
        out.par_chunks_mut(per_chunk).enumerate().for_each(|(i, out)| {
            self.blocks(domain, first_block.wrapping_add((i * per_chunk) as u64), out);
        });
    }

    /// Words `first_word ..` of the stream of a domain.
    pub fn fill_words(&self, domain: u64, first_word: u64, out: &mut [u64]) {
        // Word 2^64 would be block 2^63: the stream goes on there, it does not begin again.
        let mut block = first_word / 2;
        let (first, rest) = out.split_at_mut(out.len().min((first_word % 2) as usize));
        if let Some(first) = first.first_mut() {
            *first = self.halves(domain, block)[1];
            block += 1;
        }
        let (whole, last) = rest.split_at_mut(rest.len() & !1);
        let blocks = whole.len() / 2;
        self.fill_blocks(domain, block, bytemuck::cast_slice_mut(whole));
        if cfg!(target_endian = "big") {
            whole.iter_mut().for_each(|word| *word = u64::from_le(*word));
        }
        if let Some(last) = last.first_mut() {
            *last = self.halves(domain, block + blocks as u64)[0];
        }
    }

    /// Bytes `first_byte ..` of the stream of a domain: its words, each with its lowest byte first.
    pub fn fill_bytes(&self, domain: u64, first_byte: u64, out: &mut [u8]) {
        let mut block = first_byte / BLOCK as u64;
        let mut rest = out;
        let skip = (first_byte % BLOCK as u64) as usize;
        if skip != 0 {
            let (first, after) = rest.split_at_mut(rest.len().min(BLOCK - skip));
            first.copy_from_slice(&self.block(domain, block)[skip..skip + first.len()]);
            (block, rest) = (block + 1, after);
        }
        let (whole, last) = rest.as_chunks_mut::<BLOCK>();
        self.fill_blocks(domain, block, whole);
        if !last.is_empty() {
            last.copy_from_slice(&self.block(domain, block + whole.len() as u64)[..last.len()]);
        }
    }

    fn block(&self, domain: u64, block: u64) -> [u8; BLOCK] {
        let mut out = [[0; BLOCK]];
        self.blocks(domain, block, &mut out);
        out[0]
    }

    fn halves(&self, domain: u64, block: u64) -> [u64; 2] {
        let block = u128::from_le_bytes(self.block(domain, block));
        [block as u64, (block >> 64) as u64]
    }

    /// One thread's work.
    fn blocks(&self, domain: u64, first_block: u64, out: &mut [[u8; BLOCK]]) {
        let library = match &self.cipher {
            Cipher::Library(library) => library,
            #[cfg(target_arch = "x86_64")]
            Cipher::Vaes(keys) => return keys.fill(domain, first_block, out),
        };
        for (i, block) in out.iter_mut().enumerate() {
            let counter = first_block.wrapping_add(i as u64);
            *block = (u128::from(domain) | u128::from(counter) << 64).to_le_bytes();
        }
        library.encrypt_blocks(Array::cast_slice_from_core_mut(out));
    }
}
