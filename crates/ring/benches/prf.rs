//! Pseudo-random streams beside the `aes` crate, used block by block.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
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

fn streams(c: &mut Criterion) {
    let (prf, cipher) = (Prf::new([1; 16]), Aes128::new(&Array([1; 16])));
    for size in SIZES {
        let mut out = vec![0; size];
        let mut group = c.benchmark_group(format!("{size} words"));
        group.throughput(Throughput::Bytes(8 * size as u64));
        group.bench_function(BenchmarkId::from_parameter("block by block"), |b| {
            b.iter(|| naive(&cipher, &mut out))
        });
        group.bench_function(BenchmarkId::from_parameter("fill_words"), |b| {
            b.iter(|| prf.fill_words(7, 0, &mut out))
        });
        group.finish();
    }
}

fn table() {
    let (prf, cipher) = (Prf::new([1; 16]), Aes128::new(&Array([1; 16])));
    for size in SIZES {
        let mut out = vec![0; size];
        let (mut best, begin) = ([f64::MAX; 2], Instant::now());
        while begin.elapsed() < Duration::from_secs(1) {
            let start = Instant::now();
            naive(&cipher, black_box(&mut out));
            best[0] = best[0].min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            prf.fill_words(7, 0, black_box(&mut out));
            best[1] = best[1].min(start.elapsed().as_secs_f64());
        }
        let rate = |seconds: f64| 8.0 * size as f64 / seconds / 1e9;
        println!(
            "{size} words: block by block {:.2} GB/s, fill_words {:.2} GB/s, {:.2} times as fast",
            rate(best[0]),
            rate(best[1]),
            best[0] / best[1]
        );
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = streams
}

fn main() {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    assert!(one.is_ok());
    if !std::env::args().any(|argument| argument == "table") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    table();
}
