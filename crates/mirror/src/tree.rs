//! The comparison's tree, and the choice of the cheapest one.
//!
//! A comparison of `bits` bits is cut into leaves of a few bits, which need no message between the
//! evaluators, and joined by nodes, each of which takes one round. Leaves of many bits and nodes of
//! many children save rounds and cost dealt bits.

use std::sync::OnceLock;

use crate::tuning::Tuning;

/// A comparison's tree, least significant part first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// A leaf of this many bits.
    Leaf(u32),
    /// A node; its children, least significant first.
    Branch(Vec<Tree>),
}

/// What a comparison costs for one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TreeCost {
    /// Bits that P2 deals once for all thresholds that the element is compared with.
    pub shared: u64,
    /// Bits that P2 deals for each threshold.
    pub dealt: u64,
    /// Bits that the evaluators open for each threshold; each crosses the link in both directions.
    pub opened: u64,
    /// Rounds: the height of the tree.
    pub rounds: u64,
}

/// Leaves above this size deal more than any node saves.
const MAX_LEAF: u32 = 6;
/// Nodes above this arity likewise.
const MAX_ARITY: usize = 5;
/// Trees above this height save nothing more.
const MAX_HEIGHT: usize = 6;
/// From so many thresholds on, the same trees are the best.
const MAX_SHARING: usize = 16;

impl Tree {
    /// Bits that the plan compares.
    pub fn bits(&self) -> u32 {
        match self {
            Tree::Leaf(bits) => *bits,
            Tree::Branch(children) => children.iter().map(Tree::bits).sum(),
        }
    }

    /// Rounds of the plan.
    pub fn height(&self) -> u64 {
        match self {
            Tree::Leaf(_) => 0,
            Tree::Branch(children) => 1 + children.iter().map(Tree::height).max().unwrap_or(0),
        }
    }

    /// The plan's cost for one element.
    pub fn cost(&self) -> TreeCost {
        self.cost_of(false)
    }

    fn cost_of(&self, need_equal: bool) -> TreeCost {
        match self {
            Tree::Leaf(bits) => TreeCost { shared: (1 << bits) - 1, ..TreeCost::default() },
            Tree::Branch(children) => {
                let mut cost = node_cost(children.len(), need_equal);
                for (j, child) in children.iter().enumerate() {
                    let c = child.cost_of(need_equal || j > 0);
                    cost.shared += c.shared;
                    cost.dealt += c.dealt;
                    cost.opened += c.opened;
                }
                cost.rounds = self.height();
                cost
            }
        }
    }

    /// The plan for `bits` bits and `len` elements, each compared with so many thresholds, that
    /// comes to least: of each height the one with the least traffic is looked at.
    pub fn best(bits: u32, len: usize, thresholds: usize, tuning: Tuning) -> Tree {
        let table = Table::shared(thresholds);
        let weight = |plan: &Tree| {
            let c = plan.cost();
            let thresholds = thresholds as u64;
            tuning.comes_to(len, c.shared + c.dealt * thresholds, c.opened * thresholds, c.rounds)
        };
        (0..=MAX_HEIGHT)
            .filter_map(|height| table.plan(height, bits as usize, false))
            .min_by_key(weight)
            .unwrap_or(Tree::Leaf(bits))
    }
}

/// The products of opened bits that a node's formula needs, as sets of variables: `less_j` is
/// variable `j`, `equal_j` is variable `arity + j`.
///
/// `less = less_top ⊕ ⊕_j less_j Π_{i>j} equal_i` and, where it is needed, `equal = Π equal_i`.
pub(crate) fn node_products(arity: usize, need_equal: bool) -> Vec<Vec<usize>> {
    let mut products: Vec<Vec<usize>> = (0..arity.saturating_sub(1))
        .map(|j| std::iter::once(j).chain((j + 1..arity).map(|i| arity + i)).collect())
        .collect();
    if need_equal {
        products.push((0..arity).map(|i| arity + i).collect());
    }
    products
}

/// Every subset of at least two variables of some product: what P2 deals for a node.
pub(crate) fn node_monomials(products: &[Vec<usize>]) -> Vec<u32> {
    let mut sets: Vec<u32> = Vec::new();
    for product in products {
        for subset in 1u32..1 << product.len() {
            let set: u32 = (0..product.len()).filter(|i| subset >> i & 1 == 1).map(|i| 1 << product[i]).sum();
            if set.count_ones() > 1 {
                sets.push(set);
            }
        }
    }
    sets.sort_unstable();
    sets.dedup();
    sets
}

/// Variables that a node opens, ascending.
pub(crate) fn node_variables(products: &[Vec<usize>]) -> Vec<usize> {
    let mut variables: Vec<usize> = products.iter().flatten().copied().collect();
    variables.sort_unstable();
    variables.dedup();
    variables
}

fn node_cost(arity: usize, need_equal: bool) -> TreeCost {
    let products = node_products(arity, need_equal);
    TreeCost {
        shared: 0,
        dealt: node_monomials(&products).len() as u64,
        opened: node_variables(&products).len() as u64,
        rounds: 1,
    }
}

/// Something for each number of bits: the bits of traffic of what is cheapest, and what that is.
type Best<T> = Vec<Option<(u64, T)>>;

/// The root of a cheapest tree. What is below it is found in the table again: a table of whole trees
/// would take a tenth of a second to make, in each process of a party.
#[derive(Clone, Copy)]
enum Root {
    Leaf,
    /// A node of a tree of this height.
    Node {
        height: usize,
        children: Children,
    },
}

/// The bits of a node's children, least significant first.
#[derive(Clone, Copy, Default)]
struct Children {
    bits: [usize; MAX_ARITY],
    count: usize,
}

impl Children {
    fn and(mut self, bits: usize) -> Children {
        if let Some(place) = self.bits.get_mut(self.count) {
            *place = bits;
            self.count += 1;
        }
        self
    }
}

/// Cheapest trees by dynamic programming, for one number of thresholds:
/// `entries[height][need_equal][bits]`.
struct Table {
    entries: Vec<[Best<Root>; 2]>,
}

impl Table {
    /// The table for every width that a comparison can have, made once for each number of
    /// thresholds.
    fn shared(thresholds: usize) -> &'static Table {
        static TABLES: [OnceLock<Table>; MAX_SHARING] = [const { OnceLock::new() }; MAX_SHARING];
        let thresholds = thresholds.clamp(1, MAX_SHARING);
        TABLES[thresholds - 1].get_or_init(|| Table::new(63, thresholds as u64))
    }

    fn new(bits: u32, thresholds: u64) -> Table {
        let mut entries: Vec<[Best<Root>; 2]> = Vec::new();
        let leaves: Best<Root> =
            (0..=bits).map(|b| (1..=MAX_LEAF).contains(&b).then(|| ((1 << b) - 1, Root::Leaf))).collect();
        entries.push([leaves.clone(), leaves]);
        let nodes =
            [false, true].map(|need| (2..=MAX_ARITY).map(|arity| node_cost(arity, need)).collect::<Vec<_>>());
        for height in 1..=MAX_HEIGHT {
            let below = &entries[height - 1];
            let next = [false, true].map(|need| {
                let lowest = &below[usize::from(need)];
                let mut best = lowest.clone();
                // `rest[b]`: the children so far cover the low b bits.
                let mut rest: Best<Children> = lowest
                    .iter()
                    .enumerate()
                    .map(|(b, entry)| entry.map(|(cost, _)| (cost, Children::default().and(b))))
                    .collect();
                for node in &nodes[usize::from(need)] {
                    rest = add_child(&rest, &below[1]);
                    let base = (node.dealt + 2 * node.opened) * thresholds;
                    for (best, entry) in best.iter_mut().zip(&rest) {
                        let Some((cost, children)) = *entry else { continue };
                        let cost = cost + base;
                        if best.is_none_or(|(least, _)| cost < least) {
                            *best = Some((cost, Root::Node { height, children }));
                        }
                    }
                }
                best
            });
            entries.push(next);
        }
        Table { entries }
    }

    fn plan(&self, height: usize, bits: usize, need_equal: bool) -> Option<Tree> {
        let (_, root) = (*self.entries.get(height)?[usize::from(need_equal)].get(bits)?)?;
        match root {
            Root::Leaf => Some(Tree::Leaf(u32::try_from(bits).ok()?)),
            Root::Node { height, children: Children { bits, count } } => {
                let children = bits.iter().take(count).enumerate();
                let children = children.map(|(j, &bits)| self.plan(height - 1, bits, need_equal || j > 0));
                children.collect::<Option<Vec<_>>>().map(Tree::Branch)
            }
        }
    }
}

fn add_child(rest: &[Option<(u64, Children)>], child: &[Option<(u64, Root)>]) -> Best<Children> {
    let mut out: Best<Children> = vec![None; rest.len()];
    for (b, entry) in rest.iter().enumerate() {
        let Some((cost, children)) = *entry else { continue };
        for (c, other) in child.iter().enumerate().take(rest.len() - b) {
            let Some((more, _)) = *other else { continue };
            let total = cost + more;
            if out[b + c].is_none_or(|(least, _)| total < least) {
                out[b + c] = Some((total, children.and(c)));
            }
        }
    }
    out
}
