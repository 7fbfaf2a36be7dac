//! Products of secrets, with triples that P2 deals (Beaver): P2 knows A, B and C = A·B, and P0 and
//! P1 hold shares of them.
//!
//! The evaluators open E = x − A and F = w − B; then `x·w = x·F + E·w − E·F + A·B`, for every
//! bilinear map. A's and B's shares come from keys; of C's, half are sent.
//!
//! A convolution's E is opened before the input is reshaped into a matrix, which repeats elements,
//! or after, where strides leave elements out: whichever has fewer elements.

use cryptflow_mpc::stream::Ring;
use cryptflow_mpc::{Cost, Error, Term};
use cryptflow_ring::{Conv2d, GeometryError, LinearMap, Window, bilinear, bilinear_into};
use rayon::prelude::*;

use crate::PorthosCosts;
use crate::odd;
use crate::porthos::Porthos;
use crate::session::{Dealt, Mask, PIECE, Sealed, Session, WORD, draw};
use crate::share::Share;

/// A map, and which elements of x it is applied to, where those are not all.
pub(crate) struct Masked {
    pub(crate) map: LinearMap,
    /// For each element of the map's x the element of the tensor, or nothing for padding.
    pick: Option<Vec<Option<usize>>>,
}

impl Masked {
    /// Chooses where to mask.
    pub(crate) fn new(map: &LinearMap) -> Result<Masked, GeometryError> {
        map.check()?;
        if let LinearMap::Conv2d(conv) = map
            && reshaped_len(conv)? < map.input_len()
        {
            return reshape(conv);
        }
        Ok(Masked { map: map.clone(), pick: None })
    }

    /// Elements of E.
    pub(crate) fn len(map: &LinearMap) -> usize {
        match map {
            LinearMap::Conv2d(conv) => reshaped_len(conv).map_or(0, |len| len.min(map.input_len())),
            _ => map.input_len(),
        }
    }

    fn pick(&self, x: &[u64]) -> Vec<u64> {
        match &self.pick {
            None => x.to_vec(),
            Some(pick) => pick.iter().map(|i| i.and_then(|i| x.get(i)).copied().unwrap_or(0)).collect(),
        }
    }
}

/// Elements of a convolution's input when it is a matrix.
fn reshaped_len(conv: &Conv2d) -> Result<usize, GeometryError> {
    let [rows, columns] = conv.window.output(conv.input)?;
    Ok(conv.batch * rows * columns * conv.window.kernel[0] * conv.window.kernel[1] * conv.in_channels)
}

/// The convolution that sees each window's elements side by side, and no others: its stride is its
/// kernel.
fn reshape(conv: &Conv2d) -> Result<Masked, GeometryError> {
    let Window { kernel, stride, dilation, padding } = &conv.window;
    let [rows, columns] = conv.window.output(conv.input)?;
    let place = |axis: usize, at: usize| {
        let (output, tap) = (at / kernel[axis], at % kernel[axis]);
        (output * stride[axis] + tap * dilation[axis])
            .checked_sub(padding[axis][0])
            .filter(|&i| i < conv.input[axis])
    };
    let mut pick = Vec::with_capacity(reshaped_len(conv)?);
    for image in 0..conv.batch {
        for row in 0..rows * kernel[0] {
            for column in 0..columns * kernel[1] {
                let at = place(0, row)
                    .zip(place(1, column))
                    .map(|(i, j)| ((image * conv.input[0] + i) * conv.input[1] + j) * conv.in_channels);
                pick.extend((0..conv.in_channels).map(|channel| at.map(|at| at + channel)));
            }
        }
    }
    let window = Window { kernel: *kernel, stride: *kernel, dilation: [1; 2], padding: [[0; 2]; 2] };
    let input = [rows * kernel[0], columns * kernel[1]];
    let map = LinearMap::Conv2d(Conv2d { input, window, ..conv.clone() });
    Ok(Masked { map, pick: Some(pick) })
}

impl<const L: u32> Session<L> {
    /// A mask's share, not yet drawn, or for P2 the mask itself.
    fn mask(&mut self, len: usize) -> Mask {
        let dealt = self.dealt();
        self.mask_of(dealt, len)
    }

    fn mask_of(&self, dealt: Dealt, len: usize) -> Mask {
        match dealt {
            Dealt::Evaluator(own) => Mask::Evaluator(own),
            Dealt::Dealer([k02, k12]) => {
                let (mut sum, other) = (draw::<L>(k02, len), draw::<L>(k12, len));
                add_into(&mut sum, &other);
                Mask::Dealer(sum)
            }
        }
    }

    /// An evaluator opens what its mask hides: `words` less the mask.
    fn open_less(&self, sealed: &mut Sealed, words: &[u64], mask: Mask) {
        if let Mask::Evaluator(pad) = mask {
            sealed.append(self.hide_less(&Ring(L), words.to_vec(), pad));
        }
    }

    /// Shares of `x·y`, element by element. 40 bytes for each; one round.
    pub(crate) fn multiply(&mut self, x: &[u64], y: &[u64], len: usize) -> Result<Vec<u64>, Error> {
        let (a, b) = (self.dealt(), self.dealt());
        let b = planted!(self.tuning, OneMaskForBoth: a.copy(); b);
        let (a, b) = (self.mask_of(a, len), self.mask_of(b, len));
        if let (Mask::Dealer(a), Mask::Dealer(b)) = (&a, &b) {
            let products: Vec<u64> = a.par_iter().zip(b).map(|(a, b)| a.wrapping_mul(*b)).collect();
            return self.deal_words(len, &products);
        }
        let mut sealed = Sealed::default();
        self.open_less(&mut sealed, x, a);
        self.open_less(&mut sealed, y, b);
        let opened = self.exchange(&Ring(L), sealed)?;
        let (e, f) = opened.split_at(len);
        let mut product = self.deal_words(len, &[])?;
        let first = self.is_first();
        product.par_chunks_mut(PIECE).enumerate().for_each(|(i, piece)| {
            let at = i * PIECE;
            let operands = x[at..].iter().zip(&y[at..]).zip(e[at..].iter().zip(&f[at..]));
            for (p, ((x, y), (e, f))) in piece.iter_mut().zip(operands) {
                let x = if first { x.wrapping_sub(*e) } else { *x };
                *p = p.wrapping_add(x.wrapping_mul(*f)).wrapping_add(e.wrapping_mul(*y));
            }
        });
        Ok(product)
    }

    /// `(Σ map(x, w) + bias) / 2^shift`, truncated as the session does. One round, and one more if
    /// truncations are dealt.
    pub(crate) fn linear(
        &mut self,
        terms: &[Term<'_, Porthos>],
        bias: Option<&Share>,
        shift: u32,
    ) -> Result<Share, Error> {
        let len = check(terms, bias, shift)?;
        if len == 0 {
            return Ok(Share { data: Vec::new(), len });
        }
        if terms.is_empty() {
            // A constant: shared already.
            let mut data = bias.map(|b| b.data.clone()).unwrap_or_default();
            self.truncate(&mut data, len, shift)?;
            return Ok(Share { data, len });
        }
        let mut masked = Vec::with_capacity(terms.len());
        for term in terms {
            let m = Masked::new(term.map)?;
            let (a, b) = (self.mask(m.map.input_len()), self.mask(m.map.weight_len()));
            masked.push((m, a, b));
        }
        let mut sum = vec![0; len];
        if self.is_dealer() {
            for (m, a, b) in &masked {
                if let (Mask::Dealer(a), Mask::Dealer(b)) = (a, b) {
                    bilinear_into(&m.map, a, b, L, &mut sum)?;
                }
            }
            self.deal_words(len, &sum)?;
            self.truncate(&mut [], len, shift)?;
            return Ok(Share { data: Vec::new(), len });
        }
        // All terms' E and F are one message a block: one round whatever their number.
        let mut sealed = Sealed::default();
        let mut picked = Vec::with_capacity(terms.len());
        for (term, (m, a, b)) in terms.iter().zip(masked) {
            let x = m.pick(&term.x.data);
            self.open_less(&mut sealed, &x, a);
            self.open_less(&mut sealed, &term.w.data, b);
            picked.push((m, x));
        }
        let opened = self.exchange(&Ring(L), sealed)?;
        let mut rest = opened.as_slice();
        for (term, (m, mut x)) in terms.iter().zip(picked) {
            let (e, after) = rest.split_at(m.map.input_len());
            let (f, after) = after.split_at(m.map.weight_len());
            rest = after;
            if self.is_first() {
                x = difference::<L>(&x, e);
            }
            bilinear_into(&m.map, &x, f, L, &mut sum)?;
            add_into(&mut sum, &bilinear(&m.map, e, &term.w.data, L)?);
        }
        add_into(&mut sum, &self.deal_words(len, &[])?);
        if let Some(bias) = bias {
            for row in sum.chunks_mut(bias.len.max(1)) {
                add_into(row, &bias.data);
            }
        }
        self.truncate(&mut sum, len, shift)?;
        Ok(Share { data: sum, len })
    }
}

/// Elements of the result, after a look at the lengths of the parts.
fn check(terms: &[Term<'_, Porthos>], bias: Option<&Share>, shift: u32) -> Result<usize, Error> {
    let mismatch = |reason: String| Error::Geometry(GeometryError::Mismatch(reason));
    if shift > 62 {
        return Err(Error::Range { operation: "linear", reason: format!("a shift by {shift} bits") });
    }
    let Some(first) = terms.first() else {
        let neither = || mismatch("a linear operation with neither a term nor a bias".into());
        return bias.map(|b| b.len).ok_or_else(neither);
    };
    for term in terms {
        term.map.check()?;
        for (what, is, due) in [
            ("input", term.x.len, term.map.input_len()),
            ("weight", term.w.len, term.map.weight_len()),
            ("result", term.map.output_len(), first.map.output_len()),
        ] {
            if is != due {
                return Err(mismatch(format!("the {what} has {is} elements where {due} are due")));
            }
        }
    }
    match bias {
        Some(bias) if bias.len != first.map.out_channels() => Err(mismatch(format!(
            "a bias of {} elements for {} channels",
            bias.len,
            first.map.out_channels()
        ))),
        _ => Ok(first.map.output_len()),
    }
}

/// x − y modulo 2^L.
fn difference<const L: u32>(x: &[u64], y: &[u64]) -> Vec<u64> {
    x.par_iter().zip(y).map(|(x, y)| odd::sub_words::<L>(*x, *y)).collect()
}

fn add_into(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = x.wrapping_add(*y);
    }
}

impl PorthosCosts {
    /// Cost of products element by element: (2 + 2 + 1) l bits. One round.
    pub(crate) fn multiply(&self, len: usize) -> Cost {
        self.exchanged(2 * len as u64, len, WORD as u64)
    }

    /// Cost of a linear map: its masked operands opened, and a dealt share of each of its `len`
    /// results. One round; nothing for a sum without a term.
    pub(crate) fn linear<'a>(&self, maps: impl Iterator<Item = &'a LinearMap>, len: usize) -> Cost {
        let opened: usize = maps.map(|map| Masked::len(map) + map.weight_len()).sum();
        if len == 0 || opened == 0 { Cost::FREE } else { self.exchanged(opened as u64, len, WORD as u64) }
    }
}
