//! Pseudo-random streams beside the `aes` crate, used block by block.
#![allow(missing_docs)]

mod paired;

use std::hint::black_box;
use std::time::Duration;

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use cryptflow_ring::Prf;

/// Words of a stream: a message's block, and more than the caches hold.
const SIZES: [usize; 3] = [1 << 10, 1 << 15, 1 << 22];

fn naive(cipher: &Aes128, out: &mut [u64]) {
    for (i, out) in out.chunks_exact_mut(2).enumerate() {
        let mut block = Array((7 | (i as u128) << 64).to_le_bytes());
        cipher.encrypt_block(&mut block);
        let block = u128::from_le_bytes(block.0);
        out[0] = block as u64;
        out[1] = (block >> 64) as u64;
    }
}

fn main() {
    paired::on_one_thread();
    let (prf, cipher) = (Prf::new([1; 16]), Aes128::new(&Array([1; 16])));
    for size in SIZES {
        let (mut theirs, mut ours) = (vec![0; size], vec![0; size]);
        let best = paired::fastest(
            &mut [&mut || naive(&cipher, black_box(&mut theirs)), &mut || {
                prf.fill_words(7, 0, black_box(&mut ours))
            }],
            Duration::from_secs(1),
        );
        let rate = |seconds: f64| 8.0 * size as f64 / seconds / 1e9;
        println!(
            "{size} words: block by block {:.2} GB/s, fill_words {:.2} GB/s, {:.2} times as fast",
            rate(best[0]),
            rate(best[1]),
            best[0] / best[1]
        );
    }
}
