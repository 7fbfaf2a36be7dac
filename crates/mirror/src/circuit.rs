//! A comparison's tree, laid out for evaluation on bit planes: which planes are dealt, which are
//! opened in which round, and the pure functions that compute a party's share of each node from
//! them.
//!
//! Planes are slices of words, one bit an element; every function works on all the elements of a
//! block at once.

use crate::tree::{Tree, node_monomials, node_products, node_variables};

/// Comparisons `m < r` of several public `m` with one dealer-known `r`, as leaves and levels of
/// nodes.
///
/// The monomials of r's bits serve every comparison; what is opened on the way is each comparison's
/// own, under masks of its own. Dealt planes come in this order: the monomials of each leaf, then
/// for each comparison the products of each level's nodes.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// Bits compared.
    pub(crate) bits: u32,
    pub(crate) leaves: Vec<Leaf>,
    /// Nodes by the round in which their variables are opened.
    pub(crate) levels: Vec<Vec<Gate>>,
    /// How many comparisons there are of each element.
    pub(crate) copies: usize,
    /// Slots for a comparison's shares of `less` and `equal`.
    pub(crate) slots: usize,
    /// The slot of the root's `less`.
    pub(crate) root: usize,
    /// Planes dealt for all comparisons together.
    pub(crate) shared: usize,
    /// Planes dealt for each comparison.
    pub(crate) each: usize,
}

/// A few bits, compared with no message between the evaluators.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// Lowest bit.
    pub(crate) low: u32,
    /// Number of bits.
    pub(crate) bits: u32,
    /// First of its 2^bits − 1 dealt planes: monomial `set` is plane `first + set − 1`.
    pub(crate) first: usize,
    less: usize,
    equal: Option<usize>,
}

/// A node: opens shares of its children, and combines them.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The slots opened, in the order of [`node_variables`].
    pub(crate) opened: Vec<usize>,
    /// First of the first comparison's opened planes within the level.
    pub(crate) first_opened: usize,
    /// Sets of (positions in `opened` of) variables whose products are dealt.
    pub(crate) monomials: Vec<u32>,
    /// First of the first comparison's dealt planes.
    pub(crate) first: usize,
    /// Each product, as a set of positions in `opened`; the last one is `equal` where it is needed.
    products: Vec<u32>,
    top_less: usize,
    less: usize,
    equal: Option<usize>,
}

struct Child {
    less: usize,
    equal: Option<usize>,
    height: usize,
}

impl Circuit {
    /// `copies` comparisons by one tree.
    pub(crate) fn new(tree: &Tree, copies: usize) -> Circuit {
        let mut circuit = Circuit {
            bits: tree.bits(),
            leaves: Vec::new(),
            levels: vec![Vec::new(); tree.height() as usize],
            copies,
            slots: 0,
            root: 0,
            shared: 0,
            each: 0,
        };
        circuit.root = circuit.add(tree, 0, false).less;
        for level in &mut circuit.levels {
            let mut opened = 0;
            for node in level {
                node.first_opened = opened;
                opened += node.opened.len();
                node.first = circuit.shared + circuit.each;
                circuit.each += node.monomials.len();
            }
        }
        circuit
    }

    /// Planes dealt for its leaves and nodes.
    pub(crate) fn dealt(&self) -> usize {
        self.shared + self.copies * self.each
    }

    /// Planes dealt in all: where the sign of r is no part of a mask, one more.
    pub(crate) fn planes(&self, masks_signs: bool) -> usize {
        self.dealt() + usize::from(!masks_signs)
    }

    /// Planes that each evaluator opens in a level, for each comparison.
    pub(crate) fn opened(level: &[Gate]) -> usize {
        level.iter().map(|n| n.opened.len()).sum()
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    fn add(&mut self, tree: &Tree, low: u32, need_equal: bool) -> Child {
        let children = match tree {
            Tree::Leaf(bits) => {
                let less = self.slot();
                let equal = need_equal.then(|| self.slot());
                self.leaves.push(Leaf { low, bits: *bits, first: self.shared, less, equal });
                self.shared += (1 << bits) - 1;
                return Child { less, equal, height: 0 };
            }
            Tree::Branch(children) => children,
        };
        let mut below = Vec::with_capacity(children.len());
        let mut at = low;
        for (j, child) in children.iter().enumerate() {
            below.push(self.add(child, at, need_equal || j > 0));
            at += child.bits();
        }
        let arity = below.len();
        let products = node_products(arity, need_equal);
        let variables = node_variables(&products);
        let position = |v: usize| variables.iter().position(|&x| x == v).map_or(0, |p| 1u32 << p);
        // A variable `arity + i` is child i's `equal`, which exists for every i > 0 and, where
        // `equal` is needed, for 0.
        let opened = variables
            .iter()
            .filter_map(|&v| if v < arity { Some(below[v].less) } else { below[v - arity].equal })
            .collect();
        let renumber = |set: u32| (0..2 * arity).filter(|i| set >> i & 1 == 1).map(position).sum();
        let height = below.iter().map(|c| c.height).max().unwrap_or(0);
        let node = Gate {
            opened,
            first_opened: 0,
            monomials: node_monomials(&products).into_iter().map(renumber).collect(),
            first: 0,
            products: products.iter().map(|p| p.iter().map(|&v| position(v)).sum()).collect(),
            top_less: below.last().map_or(0, |c| c.less),
            less: self.slot(),
            equal: need_equal.then(|| self.slot()),
        };
        let child = Child { less: node.less, equal: node.equal, height: height + 1 };
        self.levels[height].push(node);
        child
    }
}

impl Leaf {
    /// P2's part: the monomials of r's bits. `r(j)` is the plane of bit `low + j`.
    pub(crate) fn monomials<'a>(&self, r: impl Fn(usize) -> &'a [u64], out: &mut [u64], words: usize) {
        for set in 1usize..1 << self.bits {
            let lowest = set.trailing_zeros() as usize;
            let rest = set & (set - 1);
            let (before, at) = out.split_at_mut((set - 1) * words);
            let at = &mut at[..words];
            at.copy_from_slice(r(lowest));
            if rest != 0 {
                and_assign(at, &before[(rest - 1) * words..rest * words]);
            }
        }
    }

    /// An evaluator's shares of `less` and `equal`, from its shares of the monomials and the public
    /// bits of m.
    ///
    /// With same_i = 1 ⊕ m_i: equal = Π (same_i ⊕ r_i), less = ⊕_j same_j r_j Π_{i>j} (same_i ⊕
    /// r_i); both are linear in the monomials, and are summed by folding one bit after another.
    pub(crate) fn evaluate<'a>(
        &self,
        m: impl Fn(usize) -> &'a [u64],
        dealt: &[u64],
        first_party: bool,
        state: &mut [u64],
        words: usize,
        scratch: &mut Vec<u64>,
    ) {
        let t = self.bits as usize;
        let mono = |set: usize| &dealt[(self.first + set - 1) * words..(self.first + set) * words];
        let less = self.less * words;
        state[less..less + words].fill(0);
        for j in 0..t {
            // The monomials {j} ∪ S, S above j, indexed by S.
            let above = t - 1 - j;
            scratch.clear();
            for s in 0..1usize << above {
                scratch.extend_from_slice(mono((s << (j + 1)) | (1 << j)));
            }
            fold(scratch, above, |i| m(j + 1 + i), words);
            and_not_xor(&mut state[less..less + words], &scratch[..words], m(j));
        }
        if let Some(equal) = self.equal {
            scratch.clear();
            scratch.resize(words, if first_party { !0 } else { 0 });
            for s in 1..1usize << t {
                scratch.extend_from_slice(mono(s));
            }
            fold(scratch, t, m, words);
            state[equal * words..(equal + 1) * words].copy_from_slice(&scratch[..words]);
        }
    }
}

impl Gate {
    /// P2's part: products of the masks of the opened bits. `mask(p)` is the mask of the node's
    /// opened plane `p`.
    pub(crate) fn products<'a>(&self, mask: impl Fn(usize) -> &'a [u64], out: &mut [u64], words: usize) {
        for (set, at) in self.monomials.iter().zip(out.chunks_exact_mut(words)) {
            at.fill(!0);
            for p in ones(*set) {
                and_assign(at, mask(p));
            }
        }
    }

    /// An evaluator's shares of `less` and `equal`: a product of `public_p ⊕ hidden_p` is the sum
    /// over subsets S of Π_{p ∉ S} public_p times the share of Π_{p ∈ S} hidden_p.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn evaluate(
        &self,
        public: &[u64],
        hidden: &[u64],
        dealt: &[u64],
        first_party: bool,
        state: &mut [u64],
        words: usize,
        scratch: &mut Vec<u64>,
    ) {
        let plane = |planes: &[u64], p: usize| -> std::ops::Range<usize> {
            let at = (self.first_opened + p) * words;
            debug_assert!(at + words <= planes.len());
            at..at + words
        };
        state.copy_within(self.top_less * words..(self.top_less + 1) * words, self.less * words);
        let less_products = self.products.len() - usize::from(self.equal.is_some());
        for (i, &product) in self.products.iter().enumerate() {
            let variables: Vec<usize> = ones(product).collect();
            scratch.clear();
            for subset in 0u32..1 << variables.len() {
                let set: u32 = variables
                    .iter()
                    .enumerate()
                    .filter(|(b, _)| subset >> b & 1 == 1)
                    .map(|(_, p)| 1 << p)
                    .sum();
                match set.count_ones() {
                    0 => scratch.resize(words, if first_party { !0 } else { 0 }),
                    1 => scratch.extend_from_slice(&hidden[plane(hidden, set.trailing_zeros() as usize)]),
                    _ => {
                        // Every subset of a product is among the monomials.
                        let at = self.first + self.monomials.iter().position(|&m| m == set).unwrap_or(0);
                        scratch.extend_from_slice(&dealt[at * words..(at + 1) * words]);
                    }
                }
            }
            fold_and(scratch, variables.len(), |b| &public[plane(public, variables[b])], words);
            if i < less_products {
                xor_assign(&mut state[self.less * words..(self.less + 1) * words], &scratch[..words]);
            } else if let Some(equal) = self.equal {
                state[equal * words..(equal + 1) * words].copy_from_slice(&scratch[..words]);
            }
        }
    }
}

fn ones(set: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |i| set >> i & 1 == 1)
}

/// Folds `2^count` planes indexed by sets into one: bit after bit, `a[S] = a[S ∪ {i}] ⊕ ¬m_i a[S]`.
fn fold<'a>(planes: &mut [u64], count: usize, m: impl Fn(usize) -> &'a [u64], words: usize) {
    for i in (0..count).rev() {
        let half = (1 << i) * words;
        let (low, high) = planes.split_at_mut(half);
        let m = m(i);
        for (l, h) in low.chunks_exact_mut(words).zip(high[..half].chunks_exact(words)) {
            for ((l, h), m) in l.iter_mut().zip(h).zip(m) {
                *l = h ^ (!m & *l);
            }
        }
    }
}

/// The same with `public` in place of ¬m.
fn fold_and<'a>(planes: &mut [u64], count: usize, public: impl Fn(usize) -> &'a [u64], words: usize) {
    for i in (0..count).rev() {
        let half = (1 << i) * words;
        let (low, high) = planes.split_at_mut(half);
        let public = public(i);
        for (l, h) in low.chunks_exact_mut(words).zip(high[..half].chunks_exact(words)) {
            for ((l, h), p) in l.iter_mut().zip(h).zip(public) {
                *l = h ^ (p & *l);
            }
        }
    }
}

fn and_assign(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x &= y;
    }
}

pub(crate) fn xor_assign(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x ^= y;
    }
}

/// `x ^= y & !m`.
fn and_not_xor(x: &mut [u64], y: &[u64], m: &[u64]) {
    for ((x, y), m) in x.iter_mut().zip(y).zip(m) {
        *x ^= y & !m;
    }
}
