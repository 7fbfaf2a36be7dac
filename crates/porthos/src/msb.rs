//! ComputeMSB: shares modulo N = 2^L − 1, L = 64, become shares modulo 2^L of the most significant
//! bit. 264 bytes for each element, four messages one after another.
//!
//! N is odd, so MSB(a) = LSB(2a). P0 and P1 open r = 2a + x under P2's random x; then LSB(2a) = r_0
//! ⊕ x_0 ⊕ (x > r), where the last is the wrap of r − x, which PrivateCompare finds.

use cryptflow_mpc::{Cost, Error};
use cryptflow_ring::small_field::Thresholds;

use crate::PorthosCosts;
use crate::odd::{self, Odd};
use crate::private_compare::{Coins, Question, group_of};
use crate::session::{Dealt, Session, WORD, draw_elements};

impl<const L: u32> Session<L> {
    /// Shares modulo 2^L of the most significant bit of what `y` shares modulo N.
    pub(crate) fn msb(&mut self, y: &[u64], len: usize) -> Result<Vec<u64>, Error> {
        let Some(k_beta) = self.common() else { return self.help_msb(len) };
        let Dealt::Evaluator(k_x) = self.dealt() else { return Ok(Vec::new()) };
        // 5. r = 2y + x, opened to P0 and P1.
        let doubled = y.iter().map(|y| odd::add::<L>(*y, *y)).collect();
        let r = self.exchange(&Odd::<L>, self.hide(&Odd::<L>, doubled, k_x).0)?;
        // 6. Is x > r, or, if turned, x < r + 1? (r is at most N − 1.)
        let x0 = self.deal_words(len, &[])?;
        let coins = Coins::draw(k_beta, len);
        let thresholds = |group: usize| {
            let (r, turned) = (group_of(&r, group), coins.group(group));
            let word = std::array::from_fn(|e| r[e] + u64::from(turned[e] & 1));
            Thresholds { word, greater: turned.map(|t| !t), always: [0; 64] }
        };
        self.ask(len, &Question { thresholds: &thresholds })?;
        // 7. γ = β' ⊕ β and δ = x_0 ⊕ r_0, both with one public side.
        let mut gamma = self.deal_words(len, &[])?;
        let mut delta = x0;
        let one = self.one();
        for (i, ((g, d), r)) in gamma.iter_mut().zip(&mut delta).zip(&r).enumerate() {
            *g = exclusive_or(*g, coins.bit(i), one);
            *d = exclusive_or(*d, r & 1, one);
        }
        // 8. γ ⊕ δ = γ + δ − 2γδ.
        let mut both = self.multiply(&gamma, &delta, len)?;
        for ((b, g), d) in both.iter_mut().zip(&gamma).zip(&delta) {
            *b = g.wrapping_add(*d).wrapping_sub(b.wrapping_mul(2));
        }
        Ok(both)
    }

    /// P2's part.
    fn help_msb(&mut self, len: usize) -> Result<Vec<u64>, Error> {
        let Dealt::Dealer([k02, k12]) = self.dealt() else { return Ok(Vec::new()) };
        let (mut x, other) = (draw_elements(&Odd::<L>, k02, len), draw_elements(&Odd::<L>, k12, len));
        x.iter_mut().zip(&other).for_each(|(x, other)| *x = odd::add::<L>(*x, *other));
        let lowest: Vec<u64> = x.iter().map(|x| x & 1).collect();
        self.deal_words(len, &lowest)?;
        self.deal_bits(&x)?;
        let beta = self.answer(len)?;
        self.deal_words(len, &beta)?;
        self.multiply(&[], &[], len)
    }
}

/// A share of `v ⊕ bit`, for a shared v and a public bit; `one` is 1 for the party that adds
/// constants.
fn exclusive_or(share: u64, bit: u64, one: u64) -> u64 {
    share.wrapping_mul(1u64.wrapping_sub(2 * bit)).wrapping_add(one * bit)
}

impl PorthosCosts {
    /// 3 l log p + 9 l bits an element; four rounds.
    pub(crate) fn msb(&self, len: usize) -> Cost {
        let [to0, to1] = self.halves(len).map(|n| n * WORD as u64);
        let answers = Cost { rounds: 1, bytes: [[0; 3], [0; 3], [to0, to1, 0]].into() };
        // r opened, with x's lowest bits dealt; the comparison; β'; the product.
        let opened = self.exchanged(len as u64, len, WORD as u64);
        opened + self.private_compare(len) + answers + self.multiply(len)
    }
}
