//! What the kernels of several files share.

/// Compiles a function for the vectors that the machine may have, and calls the best.
macro_rules! for_this_machine {
    ($function:ident($($name:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
            fn avx512($($name: $type),*) { $function($($name),*) }
            #[target_feature(enable = "avx2")]
            fn avx2($($name: $type),*) { $function($($name),*) }
            #[allow(unsafe_code)]
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                // SAFETY: the machine has what the function needs.
                return unsafe { avx512($($name),*) };
            } else if is_x86_feature_detected!("avx2") {
                // SAFETY: as above.
                return unsafe { avx2($($name),*) };
            }
        }
        $function($($name),*)
    }};
}

pub(crate) use for_this_machine;

/// Steps on 512-bit vectors that several kernels need.
#[cfg(target_arch = "x86_64")]
pub(crate) mod vectors {
    use std::arch::x86_64::*;

    /// The 8 by 8 transposition of words: word `j` of result `i` is word `i` of vector `j`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn transpose_words(z: [__m512i; 8]) -> [__m512i; 8] {
        // Pairs of vectors give pairs of words: 128 bits that stay together from here on.
        let even = |i: usize| _mm512_unpacklo_epi64(z[i], z[i + 1]);
        let odd = |i: usize| _mm512_unpackhi_epi64(z[i], z[i + 1]);
        let [a, b] = [[even(0), even(2), even(4), even(6)], [odd(0), odd(2), odd(4), odd(6)]]
            .map(|t| transpose_pairs(t));
        [a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]]
    }

    /// The 4 by 4 transposition of pairs of words.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn transpose_pairs(t: [__m512i; 4]) -> [__m512i; 4] {
        let [low, high] =
            [_mm512_shuffle_i64x2::<0x88>(t[0], t[1]), _mm512_shuffle_i64x2::<0xdd>(t[0], t[1])];
        let [low2, high2] =
            [_mm512_shuffle_i64x2::<0x88>(t[2], t[3]), _mm512_shuffle_i64x2::<0xdd>(t[2], t[3])];
        [
            _mm512_shuffle_i64x2::<0x88>(low, low2),
            _mm512_shuffle_i64x2::<0x88>(high, high2),
            _mm512_shuffle_i64x2::<0xdd>(low, low2),
            _mm512_shuffle_i64x2::<0xdd>(high, high2),
        ]
    }

    /// A table for `_mm512_permutexvar_epi8`: byte `i` of the result is byte `table[i]`.
    pub(crate) const fn swap_bytes_and_words(reverse: bool) -> [u8; 64] {
        let mut table = [0; 64];
        let mut i = 0;
        while i < 64 {
            let (word, byte) = (i / 8, i % 8);
            table[i] = ((if reverse { 7 - byte } else { byte }) * 8 + word) as u8;
            i += 1;
        }
        table
    }

    /// Loads a table.
    #[inline]
    #[target_feature(enable = "avx512f")]
    #[allow(unsafe_code)]
    pub(crate) fn table(bytes: &[u8; 64]) -> __m512i {
        // SAFETY: 64 bytes are there to read.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }
}
