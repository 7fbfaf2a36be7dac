//! ShareConvert: shares modulo 2^L, L = 64, become shares of the same number modulo N = 2^L − 1.
//! The number must not be N itself. 232 bytes for each element, four messages one after another.
//!
//! The number c = c0 + c1 − θ·2^L, so modulo N it is c0 + c1 − θ: what is to be shared is the wrap
//! θ. P0 and P1 hide c under r = r0 + r1 − α·2^L, and P2 sees c̃ = c + r and the wrap δ of its
//! shares; with β_j the wrap of c_j + r_j and η = (c̃ >= r) (no wrap of c + r): θ = β0 + β1 + δ − α
//! − 1 + η. PrivateCompare finds η, hidden from P2 by a bit that P0 and P1 know.

use cryptflow_mpc::stream::Ring;
use cryptflow_mpc::{Cost, Error};
use cryptflow_ring::small_field::Thresholds;

use crate::PorthosCosts;
use crate::odd::{self, Odd};
use crate::private_compare::{Coins, Question, group_of};
use crate::session::{Session, WORD, draw, from_bytes};

impl<const L: u32> Session<L> {
    /// Shares modulo N of the number that `c` shares modulo 2^L; each share is less than 2^L.
    pub(crate) fn share_convert(&mut self, c: &[u64], len: usize) -> Result<Vec<u64>, Error> {
        let common = [self.common(), self.common(), self.common()];
        let [Some(k_r0), Some(k_r1), Some(k_beta)] = common else { return self.help_convert(len) };
        let k_r0 = planted!(self.tuning, BareWords: crate::planted::bare(k_r0); k_r0);
        let k_r1 = planted!(self.tuning, BareWords: crate::planted::bare(k_r1); k_r1);
        let k_r1 = planted!(self.tuning, OneMaskForWords: k_r0.insecure_copy(); k_r1);
        let k_beta = planted!(self.tuning, NoCoins: crate::planted::bare(k_beta); k_beta);
        // 1. c̃_j = c_j + r_j to P2.
        let (own, other) = if self.is_first() { (k_r0, k_r1) } else { (k_r1, k_r0) };
        let (sealed, own_r) = self.hide(&Ring(L), c.to_vec(), own);
        self.to_helper(&sealed)?;
        let other_r = draw::<L>(other, len);
        let (r0, r1) = if self.is_first() { (&own_r, &other_r) } else { (&other_r, &own_r) };
        // 2. and 3. δ, the bits of c̃, and the question c̃ > r − 1 or, if turned, c̃ < r.
        let delta = self.deal_in(&Odd::<L>, len, &[])?;
        let r: Vec<u64> = r0.iter().zip(r1).map(|(a, b)| odd::add_words::<L>(*a, *b)).collect();
        let coins = Coins::draw(k_beta, len);
        let thresholds = |group: usize| {
            let (r, turned) = (group_of(&r, group), coins.group(group));
            let greater = turned.map(|t| !t);
            // c̃ >= 0 is true whatever c̃ is.
            let always = std::array::from_fn(|e| if r[e] == 0 { greater[e] } else { 0 });
            let word = std::array::from_fn(|e| r[e].wrapping_sub(u64::from(greater[e] & 1)));
            Thresholds { word, greater, always }
        };
        self.ask(len, &Question { thresholds: &thresholds })?;
        // 4. Shares of η' = η ⊕ β; both travel, as published.
        let mut eta = self.receive_whole_share(len)?;
        let (first, one) = (self.is_first(), self.one());
        for (i, (y, c)) in eta.iter_mut().zip(c).enumerate() {
            let eta = if coins.bit(i) == 0 { *y } else { odd::sub::<L>(one, *y) };
            let (_, beta) = odd::add_with_wrap::<L>(*c, own_r[i]);
            let mut theta = odd::add::<L>(odd::add::<L>(beta, delta[i]), eta);
            if first {
                let (_, alpha) = odd::add_with_wrap::<L>(r0[i], r1[i]);
                theta = odd::sub::<L>(theta, alpha + 1);
            }
            *y = odd::sub::<L>(odd::element::<L>(*c), theta);
        }
        Ok(eta)
    }

    /// P2's part.
    fn help_convert(&mut self, len: usize) -> Result<Vec<u64>, Error> {
        let (mut x, mut delta) = (vec![0; len], vec![0; len]);
        for block in self.tuning.blocks(len) {
            let [from0, from1] = self.of_evaluators(block.len(), WORD)?;
            let mut other = vec![0; block.len()];
            from_bytes(&from0, &mut x[block.clone()]);
            from_bytes(&from1, &mut other);
            for ((x, d), o) in x[block.clone()].iter_mut().zip(&mut delta[block]).zip(other) {
                (*x, *d) = odd::add_with_wrap::<L>(*x, o);
            }
        }
        self.deal_in(&Odd::<L>, len, &delta)?;
        self.deal_bits(&x)?;
        let eta = self.answer(len)?;
        self.send_both_shares(&eta)?;
        Ok(Vec::new())
    }
}

impl PorthosCosts {
    /// 3 l log p + 5 l bits an element; four rounds.
    pub(crate) fn share_convert(&self, len: usize) -> Cost {
        let words = (len * WORD) as u64;
        let [to0, to1] = self.halves(len).map(|n| n * WORD as u64);
        // c̃ to P2; δ, half of it drawn; both shares of η'.
        let hidden = Cost { rounds: 1, bytes: [[0, 0, words], [0, 0, words], [0; 3]].into() };
        let wraps = Cost { rounds: 1, bytes: [[0; 3], [0; 3], [to0, to1, 0]].into() };
        let answers = Cost { rounds: 1, bytes: [[0; 3], [0; 3], [words, words, 0]].into() };
        hidden + wraps + self.private_compare(len) + answers
    }
}
