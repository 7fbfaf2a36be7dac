//! AES-128 with VAES: four blocks in a vector, eight vectors in flight, and the counters made in
//! registers.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::BLOCK;

/// Vectors in flight: enough to hide a round's latency.
const VECTORS: usize = 8;
/// Blocks of one step.
const STEP: usize = 4 * VECTORS;

/// The round keys of a key, on a machine that has VAES-512.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct RoundKeys([[u8; BLOCK]; 11]);

impl RoundKeys {
    /// The round keys, or none where this machine has no VAES-512.
    pub(super) fn new(key: &[u8; BLOCK]) -> Option<RoundKeys> {
        let available = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("avx512f");
        // SAFETY: the machine has AES-NI.
        available.then(|| unsafe { expand(key) })
    }

    /// Blocks `first_block ..` of a domain.
    pub(super) fn fill(&self, domain: u64, first_block: u64, out: &mut [[u8; BLOCK]]) {
        // SAFETY: round keys are made only where the machine has the instructions.
        unsafe { self.fill_here(domain, first_block, out) }
    }

    #[target_feature(enable = "avx512f,vaes")]
    fn fill_here(&self, domain: u64, first_block: u64, out: &mut [[u8; BLOCK]]) {
        let keys = self.0.map(|key| {
            // SAFETY: a key is 16 bytes.
            _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(key.as_ptr().cast()) })
        });
        let (domain, first) = (domain as i64, first_block as i64);
        let counters = _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0);
        let mut next = _mm512_add_epi64(
            counters,
            _mm512_set_epi64(first, domain, first, domain, first, domain, first, domain),
        );
        let four = _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0);
        let mut step = |out: &mut [[u8; BLOCK]; STEP]| {
            let mut state = [_mm512_setzero_si512(); VECTORS];
            for state in &mut state {
                *state = _mm512_xor_si512(next, keys[0]);
                next = _mm512_add_epi64(next, four);
            }
            for key in &keys[1..10] {
                state = state.map(|state| _mm512_aesenc_epi128(state, *key));
            }
            for (state, out) in state.iter().zip(out.as_chunks_mut::<4>().0) {
                let last = _mm512_aesenclast_epi128(*state, keys[10]);
                // SAFETY: four blocks are 64 bytes.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), last) };
            }
        };
        let (whole, rest) = out.as_chunks_mut::<STEP>();
        whole.iter_mut().for_each(&mut step);
        if !rest.is_empty() {
            let mut last = [[0; BLOCK]; STEP];
            step(&mut last);
            rest.copy_from_slice(&last[..rest.len()]);
            // What nobody asked for may be asked for later.
            last.zeroize();
        }
    }
}

/// The key schedule of FIPS-197, section 5.2.
#[target_feature(enable = "aes")]
fn expand(key: &[u8; BLOCK]) -> RoundKeys {
    #[target_feature(enable = "aes")]
    fn next<const CONSTANT: i32>(key: __m128i) -> __m128i {
        let word = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<CONSTANT>(key));
        // Each word is the exclusive or of all words up to it.
        let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
        let key = _mm_xor_si128(key, _mm_slli_si128::<8>(key));
        _mm_xor_si128(key, word)
    }
    let mut keys = RoundKeys([[0; BLOCK]; 11]);
    // SAFETY: a key is 16 bytes.
    let mut round = unsafe { _mm_loadu_si128(key.as_ptr().cast()) };
    for (i, out) in keys.0.iter_mut().enumerate() {
        // SAFETY: a key is 16 bytes.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), round) };
        round = match i {
            0 => next::<0x01>(round),
            1 => next::<0x02>(round),
            2 => next::<0x04>(round),
            3 => next::<0x08>(round),
            4 => next::<0x10>(round),
            5 => next::<0x20>(round),
            6 => next::<0x40>(round),
            7 => next::<0x80>(round),
            8 => next::<0x1b>(round),
            _ => next::<0x36>(round),
        };
    }
    keys
}
