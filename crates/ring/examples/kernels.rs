//! One kernel on fixed data, on one thread: for whoever counts its instructions (`.ci/instructions`). Without a
//! name, all names, a line each; `nothing` is what every run takes beside its kernel.
#![allow(missing_docs)]

use std::hint::black_box;

use cryptflow_ring::planes::{from_planes, plane_words, to_planes};
use cryptflow_ring::{
    Conv2d, GeometryError, LinearMap, Movement, Prf, Window, bilinear_into, pack, sum_pool, unpack,
};

/// Elements of what works on one after the other.
const ELEMENTS: usize = 1 << 16;
/// Bits of what is packed: those of a comparison, and of a ring.
const BITS: [u32; 2] = [13, 40];

type Kernel = (&'static str, fn(&[u64]) -> Result<(), GeometryError>);

const KERNELS: [Kernel; 15] = [
    ("nothing", |_| Ok(())),
    ("product-64", |x| linear(&PRODUCT, x, 64)),
    ("product-40", |x| linear(&PRODUCT, x, 40)),
    ("product-32", |x| linear(&PRODUCT, x, 32)),
    ("convolution-64", |x| linear(&convolution(1), x, 64)),
    ("convolution-40", |x| linear(&convolution(1), x, 40)),
    ("depth-wise-40", |x| linear(&convolution(32), x, 40)),
    ("classifier-40", |x| linear(&LinearMap::MatMul { rows: 1, inner: 256, columns: 250 }, x, 40)),
    ("stream", |_| {
        let mut out = vec![0; ELEMENTS];
        Prf::new([7; 16]).fill_words(3, 5, &mut out);
        black_box(&out);
        Ok(())
    }),
    ("pack", |x| {
        for bits in BITS {
            let mut out = Vec::new();
            pack(&x[..ELEMENTS], bits, &mut out);
            black_box(&out);
        }
        Ok(())
    }),
    ("unpack", |x| {
        let mut out = vec![0; ELEMENTS];
        for bits in BITS {
            unpack(&bytes(x)[..cryptflow_ring::packed_len(ELEMENTS, bits)], bits, &mut out);
            black_box(&out);
        }
        Ok(())
    }),
    ("to-planes", |x| {
        let mut planes = vec![0; 20 * plane_words(ELEMENTS)];
        to_planes(&x[..ELEMENTS], 0, 20, &mut planes);
        black_box(&planes);
        Ok(())
    }),
    ("from-planes", |x| {
        let mut out = vec![0; ELEMENTS];
        from_planes(&x[..20 * plane_words(ELEMENTS)], 20, &mut out);
        black_box(&out);
        Ok(())
    }),
    ("sum-pool", |x| {
        let window = Window { kernel: [3; 2], stride: [2; 2], dilation: [1; 2], padding: [[0; 2]; 2] };
        black_box(sum_pool(&x[..ELEMENTS], [1, 32, 32, 64], &window)?);
        Ok(())
    }),
    ("transpose", |x| {
        let movement = Movement::Transpose { permutation: vec![0, 3, 1, 2] };
        black_box(movement.apply(&[(&[1, 32, 32, 64], &x[..ELEMENTS])])?);
        Ok(())
    }),
];

const PRODUCT: LinearMap = LinearMap::MatMul { rows: 98, inner: 256, columns: 128 };

fn convolution(groups: usize) -> LinearMap {
    LinearMap::Conv2d(Conv2d {
        batch: 1,
        input: [14; 2],
        in_channels: 32,
        out_channels: 32,
        groups,
        window: Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], padding: [[1; 2]; 2] },
    })
}

fn linear(map: &LinearMap, x: &[u64], bits: u32) -> Result<(), GeometryError> {
    let mut out = vec![0; map.output_len()];
    bilinear_into(map, &x[..map.input_len()], &x[..map.weight_len()], bits, &mut out)?;
    black_box(&out);
    Ok(())
}

fn bytes(x: &[u64]) -> &[u8] {
    bytemuck::cast_slice(x)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(name) = std::env::args().nth(1) else {
        KERNELS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let data: Vec<u64> =
        (1..=2 * ELEMENTS as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)).collect();
    let (_, kernel) = KERNELS.iter().find(|(other, _)| *other == name).ok_or("there is no such kernel")?;
    kernel(black_box(&data))?;
    Ok(())
}
