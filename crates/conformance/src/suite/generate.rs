//! Values for problems: reproducible, and with every edge among them.

/// SplitMix64: reproducible test data, and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The same name gives the same values.
    pub(super) fn named(name: &str) -> Random {
        Random(
            name.bytes()
                .fold(0x9e37_79b9_7f4a_7c15, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer of [low, high].
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1).max(1) as u128;
        let offset = (u128::from(self.word()) * span) >> 64;
        (i128::from(low) + offset as i128) as i64
    }

    /// `n` integers of [low, high]: the bounds, what is next to them, 0 and ±1 first, then a
    /// mixture of those, of uniform ones and of small ones.
    pub(super) fn edgy(&mut self, n: usize, low: i64, high: i64) -> Vec<i64> {
        let edges: Vec<i64> =
            [low, high, 0, 1, -1, low.saturating_add(1), high.saturating_sub(1), low / 2, high / 2]
                .into_iter()
                .filter(|v| (low..=high).contains(v))
                .collect();
        (0..n)
            .map(|i| match (edges.get(i), self.word() % 8) {
                (Some(&edge), _) => edge,
                (None, 0) => edges.get(self.word() as usize % edges.len().max(1)).copied().unwrap_or(low),
                (None, 1 | 2) => (self.between(low, high) >> (self.word() % 63)).clamp(low, high),
                (None, _) => self.between(low, high),
            })
            .collect()
    }

    /// `n` integers of [−limit, limit], uniform.
    pub(super) fn uniform(&mut self, n: usize, limit: i64) -> Vec<i64> {
        (0..n).map(|_| self.between(-limit, limit)).collect()
    }
}
