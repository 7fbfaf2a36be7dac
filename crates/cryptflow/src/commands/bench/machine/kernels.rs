//! What the cores of this machine do with one kernel at a time, and what its loopback takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cryptflow_bench::calibration::{Kernels, Loopback};
use cryptflow_bench::median;
use cryptflow_ring::{LinearMap, Prf, bilinear_into, pack, packed_len, unpack};
use cryptflow_wire::{LinkOptions, WireError, tcp};

use super::RINGS;
use crate::error::{Error, Result};

/// A product of the size of a layer.
const PRODUCT: [usize; 3] = [784, 576, 128];
/// Words of a stream, and of what is packed, into so many bits each.
const WORDS: usize = 1 << 18;
const BITS: u32 = 20;
/// How long each is measured at least.
const LONG: Duration = Duration::from_millis(100);
/// Long messages, and short ones.
const LONG_MESSAGES: usize = 128;
const LONG_MESSAGE: usize = 1 << 20;
const SHORT_MESSAGES: usize = 400;

/// Work a second, by the fastest of several times.
fn rate(amount: f64, mut run: impl FnMut()) -> f64 {
    let (begun, mut fastest) = (Instant::now(), f64::MAX);
    while begun.elapsed() < LONG || fastest == f64::MAX {
        let started = Instant::now();
        run();
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    amount / fastest.max(1e-9)
}

pub(super) fn kernels() -> Kernels {
    let [rows, inner, columns] = PRODUCT;
    let map = LinearMap::MatMul { rows, inner, columns };
    let mut words = vec![0; WORDS.max(rows * inner)];
    let prf = Prf::new([7; 16]);
    let stream_bytes = rate(8.0 * words.len() as f64, || prf.fill_words(1, 0, black_box(&mut words)));
    let mut out = vec![0; rows * columns];
    let product = |bits| {
        let (x, w) = (words.get(..rows * inner), words.get(..inner * columns));
        let (x, w) = (x.unwrap_or_default(), w.unwrap_or_default());
        // A map of this file's own, with data of its lengths.
        let mut run = || drop(black_box(bilinear_into(&map, x, w, bits, &mut out)));
        (bits, rate(map.macs() as f64, &mut run))
    };
    let products = RINGS.map(product).into();
    let (mut packed, mut unpacked) = (Vec::new(), vec![0; WORDS]);
    let of_words = words.get(..WORDS).unwrap_or_default();
    let packed_bytes = rate(packed_len(WORDS, BITS) as f64, || {
        packed.clear();
        pack(of_words, BITS, &mut packed);
        unpack(black_box(&packed), BITS, &mut unpacked);
    });
    Kernels { products, stream_bytes, packed_bytes }
}

/// Messages over a link between two threads.
pub(super) fn loopback() -> Result<Loopback> {
    let mut links = tcp::mesh_on_loopback(2, LinkOptions::default()).map_err(Error::new)?;
    let (Some(there), Some(here)) = (links.pop(), links.pop()) else {
        return Err(Error::new("two parties have no links"));
    };
    let echo = std::thread::spawn(move || -> std::result::Result<(), WireError> {
        for _ in 0..SHORT_MESSAGES {
            let message = there.to(0).recv(64)?;
            there.to(0).send(message)?;
        }
        for _ in 0..LONG_MESSAGES {
            there.to(0).recv(LONG_MESSAGE)?;
        }
        there.to(0).send(Vec::new())
    });
    let times = || -> std::result::Result<Loopback, WireError> {
        let mut short = Vec::with_capacity(SHORT_MESSAGES);
        for _ in 0..SHORT_MESSAGES {
            let begun = Instant::now();
            here.to(1).send(vec![0; 64])?;
            here.to(1).recv(64)?;
            short.push(begun.elapsed().as_secs_f64() / 2.0);
        }
        let begun = Instant::now();
        for _ in 0..LONG_MESSAGES {
            here.to(1).send(vec![0; LONG_MESSAGE])?;
        }
        here.to(1).recv(0)?;
        let bytes = (LONG_MESSAGES * LONG_MESSAGE) as f64 / begun.elapsed().as_secs_f64();
        Ok(Loopback { bytes, message: median(&short) })
    };
    let found = times();
    // Whatever went wrong at one end went wrong at the other, too.
    drop(here);
    match echo.join() {
        Ok(there) => there.and(found).map_err(Error::new),
        Err(_) => Err(Error::new("a thread that measures the loopback ended: a mistake in this program")),
    }
}
