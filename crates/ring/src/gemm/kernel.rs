//! The innermost kernels: a tile of the result in registers. Which one runs is decided once, by
//! what the machine has.

use std::sync::OnceLock;

/// Columns of a vector of the widest kernel. Panels are padded to this.
pub(crate) const LANES: usize = 8;
/// Columns between the rows of a tile in memory.
pub(crate) const TILE_COLUMNS: usize = 4 * LANES;
/// Words of a tile.
pub(crate) const TILE_LEN: usize = 6 * TILE_COLUMNS;

/// `tile = a · b`: `a` has rows of `depth` words that are `stride` apart, `b` has `depth` rows of
/// whole vectors. Arguments: `a`, `stride`, `b`, `depth`, `tile`. A kernel asserts that its
/// operands are long enough; calling it is unsafe for the instructions that it uses alone.
pub(crate) type Tile = unsafe fn(&[u64], usize, &[u64], usize, &mut [u64; TILE_LEN]);

/// A family of kernels, one for each size of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// What the kernel needs of the machine.
    pub(crate) name: &'static str,
    /// Most rows of a tile.
    pub(crate) rows: usize,
    /// Most vectors in a row of a tile.
    pub(crate) lanes: usize,
    /// The widest ring in which the result is right.
    pub(crate) bits: u32,
    /// Roughly how many products it does in a cycle of a core.
    pub(crate) products_a_cycle: f64,
    /// The kernel of a number of rows and vectors, both from 1.
    select: fn(usize, usize) -> Tile,
}

impl Kernel {
    /// For the kernels' own files: `select` may return only kernels whose instructions this machine
    /// has.
    pub(super) fn new(
        name: &'static str,
        [rows, lanes]: [usize; 2],
        bits: u32,
        products_a_cycle: f64,
        select: fn(usize, usize) -> Tile,
    ) -> Kernel {
        Kernel { name, rows, lanes, bits, products_a_cycle, select }
    }

    /// The fastest kernel of this machine whose results are right modulo 2^`bits`.
    pub(crate) fn best(bits: u32) -> Kernel {
        static ALL: OnceLock<Vec<Kernel>> = OnceLock::new();
        let all = ALL.get_or_init(Kernel::available);
        all.iter().find(|kernel| bits <= kernel.bits).copied().unwrap_or(PORTABLE)
    }

    /// The kernels that run on this machine, the fastest first.
    pub(crate) fn available() -> Vec<Kernel> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(super::avx512::kernels());
            all.extend(super::avx2::kernel());
        }
        all.push(PORTABLE);
        all
    }

    /// Computes a tile of `rows` by `lanes` vectors.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn tile(
        &self,
        rows: usize,
        lanes: usize,
        a: &[u64],
        stride: usize,
        b: &[u64],
        depth: usize,
        tile: &mut [u64; TILE_LEN],
    ) {
        debug_assert!((1..=self.rows).contains(&rows) && (1..=self.lanes).contains(&lanes));
        let kernel = (self.select)(rows, lanes);
        #[allow(unsafe_code)]
        // SAFETY: a `Kernel` is made only on machines that have its instructions.
        unsafe {
            kernel(a, stride, b, depth, tile);
        }
    }
}

/// One kernel of each size: `sizes!(function, [1 2 3], [1 2])` is an array of rows of functions.
#[allow(unused_macros)]
macro_rules! sizes {
    ($function:ident, [$($rows:literal)*], $lanes:tt) => { [$(sizes!(@ $function, $rows, $lanes)),*] };
    (@ $function:ident, $rows:literal, [$($lanes:literal)*]) => { [$($function::<$rows, $lanes> as Tile),*] };
}
#[allow(unused_imports)]
pub(super) use sizes;

/// What a kernel asserts of its operands.
pub(super) fn check(rows: usize, lanes: usize, a: &[u64], stride: usize, b: &[u64], depth: usize) {
    assert!(a.len() >= (rows - 1) * stride + depth, "the rows of a tile are too short");
    assert!(b.len() >= depth * lanes * LANES, "the panel of a tile is too short");
}

const PORTABLE: Kernel =
    Kernel { name: "portable", rows: 4, lanes: 1, bits: 64, products_a_cycle: 0.7, select: select_portable };

fn select_portable(rows: usize, _: usize) -> Tile {
    const KERNELS: [[Tile; 1]; 4] = sizes!(portable, [1 2 3 4], [1]);
    KERNELS[rows - 1][0]
}

fn portable<const R: usize, const V: usize>(
    a: &[u64],
    stride: usize,
    b: &[u64],
    depth: usize,
    tile: &mut [u64; TILE_LEN],
) {
    check(R, V, a, stride, b, depth);
    let mut sums = [[0u64; LANES]; R];
    for (k, b) in b.chunks_exact(LANES).take(depth).enumerate() {
        for (r, sums) in sums.iter_mut().enumerate() {
            let a = a[r * stride + k];
            for (s, b) in sums.iter_mut().zip(b) {
                *s = s.wrapping_add(a.wrapping_mul(*b));
            }
        }
    }
    for (line, sums) in tile.chunks_exact_mut(TILE_COLUMNS).zip(&sums) {
        line[..LANES].copy_from_slice(sums);
    }
}
