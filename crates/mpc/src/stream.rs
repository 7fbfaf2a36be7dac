//! Streams of pseudo-random words, which can only be consumed: each word is drawn once, and hides one
//! word of a message at most.
//!
//! Whoever draws words gives their stream away. They are drawn either to be known ([`Stream::draw`]: a
//! share, a mask), or to hide values that leave ([`Stream::hide`]). Only the latter makes
//! [`Hidden`] words, and only these go into a message.

use std::sync::Arc;

use cryptflow_ring::Prf;

/// Where the words of a key's streams come from: AES in counter mode, [`Prf`], in every session.
pub trait Source: Send + Sync {
    /// Words `first..first + out.len()` of the stream `domain`.
    fn words(&self, domain: u64, first: u64, out: &mut [u64]);

    /// Is told what words of it hid, if it [`watches`](Source::watches), so that tests can hold it against
    /// what a party sees.
    fn hid(&self, _hidden: &Hiding<'_>) {}

    /// Whether it is to be told.
    fn watches(&self) -> bool {
        false
    }
}

impl Source for Prf {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        self.fill_words(domain, first, out);
    }
}

/// Words of a message, and what hides them.
pub struct Hiding<'a> {
    /// The stream.
    pub domain: u64,
    /// The first of the words that hide.
    pub first: u64,
    /// The elements that the stream's words stood for.
    pub pads: &'a [u64],
    /// `value + pad` or `value − pad` in this group.
    pub group: &'a dyn Group,
    /// Whether it is the difference.
    pub subtracted: bool,
    /// The words of the message.
    pub message: &'a [u64],
}

/// Where values and pads are added: each of its elements hides every other one.
pub trait Group: Sync {
    /// The element that a random word stands for.
    fn element(&self, word: u64) -> u64;
    /// a + b.
    fn sum(&self, a: u64, b: u64) -> u64;
    /// a − b.
    fn difference(&self, a: u64, b: u64) -> u64;

    /// Whether its words hide together with those of other streams, so that a message alone does not say
    /// what they are.
    fn joint(&self) -> bool {
        false
    }
}

/// Z_2^bits, for 1 to 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Ring(pub u32);

impl Ring {
    #[inline]
    fn reduced(self, word: u64) -> u64 {
        word & (u64::MAX >> (64 - self.0.clamp(1, 64)))
    }
}

impl Group for Ring {
    #[inline]
    fn element(&self, word: u64) -> u64 {
        self.reduced(word)
    }

    #[inline]
    fn sum(&self, a: u64, b: u64) -> u64 {
        self.reduced(a.wrapping_add(b))
    }

    #[inline]
    fn difference(&self, a: u64, b: u64) -> u64 {
        self.reduced(a.wrapping_sub(b))
    }
}

/// Words of 64 bits, each of which is added by itself.
#[derive(Clone, Copy, Debug)]
pub struct Bits;

impl Group for Bits {
    #[inline]
    fn element(&self, word: u64) -> u64 {
        word
    }

    #[inline]
    fn sum(&self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline]
    fn difference(&self, a: u64, b: u64) -> u64 {
        a ^ b
    }
}

/// A pseudo-random stream of words, or a part of one. It cannot be cloned, and drawing from it consumes
/// it.
///
/// # Panics
/// All that draws panics where more words are drawn than a piece has: those beyond it would serve twice.
pub struct Stream {
    source: Arc<dyn Source>,
    domain: u64,
    first: u64,
    end: u64,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(source: Arc<dyn Source>, domain: u64) -> Stream {
        Stream { source, domain, first: 0, end: u64::MAX }
    }

    /// Its first `words` words, and the rest.
    pub fn split_at(self, words: usize) -> (Stream, Stream) {
        let Stream { source, domain, first, end } = self;
        let middle = first.saturating_add(words as u64).min(end);
        let head = Stream { source: Arc::clone(&source), domain, first, end: middle };
        (head, Stream { source, domain, first: middle, end })
    }

    /// What comes after the first `words` words, which nobody draws.
    pub fn after(self, words: usize) -> Stream {
        self.split_at(words).1
    }

    /// The stream in pieces of so many words, one after another.
    pub fn pieces(self, words: usize) -> Pieces {
        Pieces { rest: self, words: words as u64 }
    }

    /// Its first words, to be known.
    pub fn draw(self, out: &mut [u64]) {
        self.read(out);
    }

    /// Its first words, as elements of a group.
    pub fn draw_elements(self, group: &impl Group, out: &mut [u64]) {
        self.read(out);
        out.iter_mut().for_each(|word| *word = group.element(*word));
    }

    /// Hides values under its first words: each becomes `value + pad`. The pads are written down for
    /// whoever goes on to compute with them.
    pub fn hide<'a, G: Group>(self, group: &G, values: &'a mut [u64], pads: &mut [u64]) -> Hidden<'a> {
        self.hidden(group, false, values, pads)
    }

    /// The same with `value − pad`.
    pub fn hide_less<'a, G: Group>(self, group: &G, values: &'a mut [u64], pads: &mut [u64]) -> Hidden<'a> {
        self.hidden(group, true, values, pads)
    }

    /// Its first words, for a kernel that hides something under them by itself.
    pub fn pad(self, out: &mut [u64]) -> Pad {
        self.read(out);
        Pad { source: self.source, domain: self.domain, first: self.first }
    }

    fn hidden<'a, G: Group>(
        self,
        group: &G,
        subtracted: bool,
        values: &'a mut [u64],
        pads: &mut [u64],
    ) -> Hidden<'a> {
        let pad = self.pad(pads);
        for (value, pad) in values.iter_mut().zip(pads.iter_mut()) {
            *pad = group.element(*pad);
            *value = if subtracted { group.difference(*value, *pad) } else { group.sum(*value, *pad) };
        }
        pad.hides(group, subtracted, pads, values);
        Hidden(values)
    }

    fn read(&self, out: &mut [u64]) {
        // Words beyond this piece are another's, and would hide two things: the session ends before they
        // do, in a release too. No input leads here, as lengths follow from the program.
        assert!(out.len() as u64 <= self.end - self.first, "more words than a piece of a stream has");
        self.source.words(self.domain, self.first, out);
    }

    /// The same words once more: for bugs that tests plant. There is no such thing in a release.
    #[cfg(debug_assertions)]
    pub fn insecure_copy(&self) -> Stream {
        Stream { source: Arc::clone(&self.source), ..*self }
    }

    /// A stream whose words `change` makes of these (it is given each word's number): for bugs that tests
    /// plant. There is no such thing in a release.
    #[cfg(debug_assertions)]
    pub fn insecure_changed(self, change: Change) -> Stream {
        Stream { source: Arc::new(Changed { source: Arc::clone(&self.source), change }), ..self }
    }
}

/// Words that a kernel drew to hide something: once.
#[must_use]
pub struct Pad {
    source: Arc<dyn Source>,
    domain: u64,
    first: u64,
}

impl Pad {
    /// Says what they hide: they stood for `pads`, and are added to what is hidden or, if so said,
    /// subtracted from it. The message is read again only where somebody watches.
    pub fn hid(self, group: &dyn Group, subtracted: bool, pads: &[u64], message: impl FnOnce() -> Vec<u64>) {
        if self.source.watches() {
            self.hides(group, subtracted, pads, &message());
        }
    }

    fn hides(self, group: &dyn Group, subtracted: bool, pads: &[u64], message: &[u64]) {
        let Pad { source, domain, first } = self;
        if source.watches() {
            source.hid(&Hiding { domain, first, pads, group, subtracted, message });
        }
    }
}

impl std::fmt::Debug for Pad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pad").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// A word of a changed stream, of the words that there were and its own number.
#[cfg(debug_assertions)]
pub type Change = Arc<dyn Fn(&dyn Fn(u64) -> u64, u64) -> u64 + Send + Sync>;

#[cfg(debug_assertions)]
struct Changed {
    source: Arc<dyn Source>,
    change: Change,
}

#[cfg(debug_assertions)]
impl Source for Changed {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        let word = |at| {
            let mut word = [0];
            self.source.words(domain, at, &mut word);
            word[0]
        };
        (first..).zip(out).for_each(|(at, out)| *out = (self.change)(&word, at));
    }

    fn hid(&self, hidden: &Hiding<'_>) {
        self.source.hid(hidden);
    }

    fn watches(&self) -> bool {
        self.source.watches()
    }
}

/// A stream in pieces of the same length, one after another.
#[derive(Debug)]
pub struct Pieces {
    rest: Stream,
    words: u64,
}

impl Pieces {
    /// The next piece.
    pub fn cut(&mut self) -> Stream {
        let Stream { source, domain, first, end } = &mut self.rest;
        let begin = *first;
        *first = begin.saturating_add(self.words).min(*end);
        Stream { source: Arc::clone(source), domain: *domain, first: begin, end: *first }
    }
}

impl Iterator for Pieces {
    type Item = Stream;

    fn next(&mut self) -> Option<Stream> {
        Some(self.cut())
    }
}

/// Words that are hidden under a pad which served for them alone.
#[derive(Debug)]
pub struct Hidden<'a>(&'a [u64]);

impl<'a> Hidden<'a> {
    /// The words.
    pub fn words(self) -> &'a [u64] {
        self.0
    }
}
