//! What operations of models become, for people: the importers' tables say it for each name, and
//! the page `docs/operations.md` is made from them.

use cryptflow_ring::{Movement, Window};

use crate::{Framework, operations};
use cryptflow_graph::Range;
use cryptflow_graph::operations::{Breaks, OpError};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Linear, NodeId, Op, Order, Pool, Pooling,
    Reduce, Reduction,
};

/// What an operation becomes. The page says it once for all names that become the same.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// What it is called on the page.
    pub title: &'static str,
    /// What of it must be known when compiling; weights are secret, but constants.
    pub public: &'static str,
    /// For which values it can be computed. `{PIECES}` stands for the most pieces that the compiler
    /// cuts a function into.
    pub range: &'static str,
    /// A graph that does this and nothing else, from which costs and errors follow; nothing where
    /// there is nothing to do.
    pub example: Option<Example>,
}

/// An operation, with what the page says of it.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// What it becomes.
    pub meaning: Meaning,
    /// What is supported of it, where that is not all of it.
    pub note: &'static str,
}

impl Doc {
    /// With a remark on what is supported.
    pub(crate) const fn note(self, note: &'static str) -> Doc {
        Doc { note, ..self }
    }
}

/// An operation of a framework, as an importer's table has it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Whose name it is.
    pub framework: Framework,
    /// Its name.
    pub name: &'static str,
    /// What it becomes.
    pub doc: Doc,
}

/// Every operation that an importer knows, by framework and name.
pub fn entries() -> Vec<Entry> {
    let mut all = operations();
    all.sort_by_key(|entry| (entry.framework, entry.name));
    all
}

/// A graph of one operation on a secret input.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Shape of the input.
    pub shape: &'static [usize],
    /// Smallest and largest element of the input.
    pub range: (f64, f64),
    /// What is computed.
    sample: Sample,
}

#[derive(Clone, Copy, Debug)]
enum Sample {
    /// An operation on the input alone.
    Of(fn() -> Op),
    Function(Function),
    /// An operation on the input that the client would do at an output, and another behind it.
    Inside(fn() -> Op),
    /// An operation on the input and another of the same shape.
    WithSecret(fn() -> Op),
    /// An operation on the input and a weight of this shape.
    WithWeight(fn() -> Op, &'static [usize]),
    /// One of two secrets, where a third is not negative.
    Choice,
    /// A hundred trees of depth 6.
    Trees,
}

impl Example {
    /// The graph, and the ranges of its inputs.
    ///
    /// # Errors
    /// An example that makes no sense.
    pub fn graph(&self) -> Result<(Graph, Vec<Range>), OpError> {
        let mut graph = Graph { name: "example".into(), ..Graph::default() };
        let x = graph.add_input("x", self.shape.to_vec());
        let y = match self.sample {
            Sample::Of(op) => graph.add("y", op(), &[x])?,
            Sample::Inside(op) => {
                let inner = graph.add("inner", op(), &[x])?;
                let shape = vec![1, graph.node(inner).shape.iter().product()];
                graph.add("y", Movement::Reshape { shape }, &[inner])?
            }
            Sample::Function(function) => graph.add("y", function, &[x])?,
            Sample::WithSecret(op) => {
                let other = graph.add_input("other", self.shape.to_vec());
                graph.add("y", op(), &[x, other])?
            }
            Sample::WithWeight(op, shape) => {
                // No two alike, so that no pass finds a shorter way.
                let n = shape.iter().product::<usize>();
                let data = (0..n).map(|i| (i % 101) as f32 / 512.0 - 0.0625).collect();
                let weight = graph.add_constant("w", Array::new(shape.to_vec(), data)?);
                graph.add("y", op(), &[x, weight])?
            }
            Sample::Trees => trees(&mut graph, x)?,
            Sample::Choice => {
                let [a, b] = ["a", "b"].map(|name| graph.add_input(name, self.shape.to_vec()));
                let zero = graph.add_constant("zero", Array::scalar(0.0));
                let flag = graph.add("flag", Arithmetic::Compare(Comparison::GreaterEqual), &[x, zero])?;
                graph.add("y", Arithmetic::Select, &[flag, a, b])?
            }
        };
        graph.add_output("y", y);
        let (low, high) = self.range;
        let ranges = vec![Range { low, high }; graph.inputs.len()];
        Ok((graph, ranges))
    }
}

/// What a hundred trees of depth 6 become, each of whose splits asks for another threshold.
fn trees(graph: &mut Graph, x: NodeId) -> Result<NodeId, OpError> {
    const TREES: usize = 100;
    const DEPTH: usize = 6;
    let (splits, leaves) = (TREES * ((1 << DEPTH) - 1), TREES << DEPTH);
    let columns = graph.node(x).shape.last().copied().unwrap_or(1);
    let indices = (0..splits).map(|i| i % columns).collect();
    let gathered = graph.add("columns", Movement::Gather { axis: 1, indices }, &[x])?;
    let thresholds = (0..splits).map(|i| (i % 509) as f32 / 64.0 - 4.0).collect();
    let thresholds = graph.add_constant("thresholds", Array::vector(thresholds));
    let yes = graph.add("yes", Arithmetic::Compare(Comparison::LessEqual), &[gathered, thresholds])?;
    let one = graph.add_constant("one", Array::scalar(1.0));
    let no = graph.add("no", Arithmetic::Sub, &[one, yes])?;
    let answers = graph.add("answers", Movement::Concat { axis: 1 }, &[no, yes])?;
    let mut indices = Vec::with_capacity(leaves * DEPTH);
    for (tree, leaf) in (0..TREES).flat_map(|tree| (0..1usize << DEPTH).map(move |leaf| (tree, leaf))) {
        for level in 0..DEPTH {
            // Nodes of a tree are numbered level by level.
            let node = (1 << level) - 1 + (leaf >> (DEPTH - level));
            let turn = leaf >> (DEPTH - 1 - level) & 1;
            indices.push(turn * splits + tree * ((1 << DEPTH) - 1) + node);
        }
    }
    let ways = graph.add("ways", Movement::Gather { axis: 1, indices }, &[answers])?;
    let ways = graph.add("of_leaves", Movement::Reshape { shape: vec![1, leaves, DEPTH] }, &[ways])?;
    let sum = Reduce { kind: Reduction::Sum, axes: vec![2], keep_dims: false };
    let otherwise = graph.add("otherwise", sum, &[ways])?;
    let zero = graph.add_constant("none", Array::scalar(0.0));
    let reached = graph.add("leaves", Arithmetic::Compare(Comparison::LessEqual), &[otherwise, zero])?;
    let weights = (0..leaves).map(|i| (i % 101) as f32 / 512.0 - 0.0625).collect();
    let weights = graph.add_constant("weights", Array::new(vec![leaves, 1], weights)?);
    graph.add("y", Linear::MatMul { transpose_a: false, transpose_b: false }, &[reached, weights])
}

const VECTOR: &[usize] = &[1, 4096];
const IMAGE: &[usize] = &[1, 32, 32, 16];
const ANY: &str = "any";
/// What is compared with.
const NUMBER: &str = "a constant that is one number";

const fn free(title: &'static str, public: &'static str) -> Doc {
    Doc { meaning: Meaning { title, public, range: ANY, example: None }, note: "" }
}

const fn example(title: &'static str, public: &'static str, shape: &'static [usize], sample: Sample) -> Doc {
    let example = Some(Example { shape, range: (-4.0, 4.0), sample });
    Doc { meaning: Meaning { title, public, range: ANY, example }, note: "" }
}

/// What the catalogue says of a function.
pub(crate) const fn of(function: Function) -> Doc {
    let entry = function.entry();
    let range = match entry.breaks {
        Breaks::Steps(_) => "spanning fewer than {PIECES} integers",
        Breaks::Nowhere | Breaks::At(_) if entry.defined.is_empty() => ANY,
        Breaks::Nowhere | Breaks::At(_) => entry.defined,
    };
    let example = Some(Example { shape: VECTOR, range: entry.shown, sample: Sample::Function(function) });
    Doc { meaning: Meaning { title: entry.title, public: entry.public, range, example }, note: entry.note }
}

fn window(kernel: usize, padding: usize) -> Window {
    let stride = if padding == 0 { kernel } else { 1 };
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
}

pub(crate) const INPUT: Doc = free("input", "its shape");
pub(crate) const WEIGHT: Doc = free("weight", "its shape");
pub(crate) const NONE: Doc = free("nothing", "");
pub(crate) const KNOWN: Doc = free("known when compiling", "all operands; of a secret, its shape");
pub(crate) const MOVEMENT: Doc = free("movement of elements", "shapes, axes, indices");
pub(crate) const LINEAR: Doc = example(
    "linear map",
    "weights are constants",
    IMAGE,
    Sample::WithWeight(|| Op::Linear(Linear::Conv2d { window: window(3, 1), groups: 1 }), &[3, 3, 16, 16]),
);
pub(crate) const SUM: Doc =
    example("sum", "", VECTOR, Sample::WithSecret(|| Op::Arithmetic(Arithmetic::Add)));
pub(crate) const PRODUCT: Doc =
    example("product", "", VECTOR, Sample::WithSecret(|| Op::Arithmetic(Arithmetic::Mul)));
pub(crate) const SQUARE: Doc = example("square", "", VECTOR, Sample::Function(Function::power(2.0)));
pub(crate) const TOTAL: Doc = example(
    "sum over axes",
    "axes",
    &[64, 64],
    Sample::Of(|| Op::Reduce(Reduce { kind: Reduction::Sum, axes: vec![1], keep_dims: false })),
);
pub(crate) const AVERAGE: Doc = example(
    "average",
    "windows, axes",
    IMAGE,
    Sample::Of(|| Op::Pool(Pool { kind: Pooling::Average { count_padding: false }, window: window(2, 0) })),
);
pub(crate) const QUOTIENT: Doc = Doc {
    meaning: Meaning {
        title: "quotient",
        public: "",
        range: "a secret divisor that zero is no value of, but in rows of zeros",
        example: Some(Example {
            shape: VECTOR,
            range: (0.25, 4.0),
            sample: Sample::WithSecret(|| Op::Arithmetic(Arithmetic::Div)),
        }),
    },
    note: "",
};
pub(crate) const RELU: Doc = example("ReLU", "", VECTOR, Sample::Of(|| Op::Activation(Activation::Relu)));
pub(crate) const CLIP: Doc = example(
    "clipped ReLU",
    "limits",
    VECTOR,
    Sample::Of(|| Op::Activation(Activation::ClippedRelu { limit: 3.0 })),
);
pub(crate) const LARGER: Doc =
    example("larger of two", NUMBER, VECTOR, Sample::WithSecret(|| Op::Arithmetic(Arithmetic::Maximum)));
pub(crate) const COMPARISON: Doc = example(
    "comparison",
    NUMBER,
    VECTOR,
    Sample::WithSecret(|| Op::Arithmetic(Arithmetic::Compare(Comparison::Greater))),
);
pub(crate) const CHOICE: Doc =
    example("choice", "a constant condition, a constant that is one number", VECTOR, Sample::Choice);
pub(crate) const TREES: Doc = Doc {
    meaning: Meaning {
        title: "trees",
        public: "their shape, and which column each split looks at",
        range: ANY,
        example: Some(Example { shape: &[1, 30], range: (-4.0, 4.0), sample: Sample::Trees }),
    },
    note: "",
};
pub(crate) const MAX_POOL: Doc = example(
    "maximum over windows",
    "windows",
    IMAGE,
    Sample::Of(|| Op::Pool(Pool { kind: Pooling::Max, window: window(2, 0) })),
);
pub(crate) const EXTREME: Doc = example(
    "maximum over axes",
    "axes",
    &[64, 64],
    Sample::Of(|| Op::Reduce(Reduce { kind: Reduction::Max, axes: vec![1], keep_dims: false })),
);
pub(crate) const ARG_MAX: Doc = example(
    "index of the largest",
    "the axis",
    &[64, 64],
    Sample::Inside(|| Op::Order(Order::ArgMax { axis: 1 })),
);
pub(crate) const TOP_K: Doc = example(
    "the largest k",
    "k, the axis",
    &[64, 64],
    Sample::Of(|| Op::Order(Order::TopK { axis: 1, k: 4, largest: true, indices: false })),
);
pub(crate) const SOFTMAX: Doc =
    example("softmax", "the axis", &[64, 64], Sample::Inside(|| Op::Activation(Activation::Softmax)));
pub(crate) const NORMALISATION: Doc = free("mean, variance, 1/√x, product", "axes");
pub(crate) const FLOOR: Doc = of(Function::FLOOR);
pub(crate) const EXP: Doc = of(Function::EXP);
pub(crate) const ERF: Doc = of(Function::ERF);
pub(crate) const GELU: Doc = of(Function::GELU);
pub(crate) const SWISH: Doc = of(Function::SWISH);
pub(crate) const LOG: Doc = of(Function::LOG);
pub(crate) const SQRT: Doc = of(Function::SQRT);
pub(crate) const POWER: Doc = of(Function::power(1.5));

/// Notes that several names have.
pub(crate) mod notes {
    pub(crate) const ADDED: &str = "a constant is part of a layer beside it, or else a linear map";
    pub(crate) const CATEGORIES: &str = "of numbers with the categories; texts are encoded before the input";
    pub(crate) const CLASSIFIER: &str = "the class is the largest of the scores, found by the client at the end of a model, \
         which looks up its name, too; softmax and the sigmoid of one score are the client's; not with the post transform `PROBIT`";
    pub(crate) const CLIENT: &str = "at the end of a model the client computes it, for nothing";
    pub(crate) const CONDITION: &str = "a movement, where the condition is known when compiling";
    pub(crate) const CONVERTED: &str = "from floats to integers the fraction is cut off, in steps as `Floor` has them; to flags, a comparison \
         with zero";
    pub(crate) const EINSUM: &str =
        "of any number of operands, one after another; a product, where two are secret";
    pub(crate) const EXTRACTED: &str =
        "with known indices; names of classes with secret ones, which the client looks up";
    pub(crate) const FAKE: &str = "numbers that depend on an input are cut off at the ends of the grid, and not rounded to it; of constants \
         nothing";
    pub(crate) const FINITE: &str = "known of constants; a number in fixed point is always finite";
    pub(crate) const FIRST: &str =
        "of equal ones the first; at the end of a model the client sees all and finds it, for nothing";
    pub(crate) const FLAGS: &str = "of flags, which are 0 and 1";
    pub(crate) const LOOKED_UP: &str = "by indices that are secret, too: a linear map of rows with a one at the index, which the client makes \
         of inputs; of indices that are computed, a comparison for each place";
    pub(crate) const OFF_GRID: &str = "nothing, of numbers that were put on the same grid: they are what they were before, cut off where that \
         may lie beyond the ends of the grid";
    pub(crate) const ON_GRID: &str = "computed with the numbers that the integers stand for, cut off at the ends of a grid; these are rounded to it where \
         something else than a quantised operator uses them, in steps as `Round` has them";
    pub(crate) const ONE_HOT: &str =
        "of known indices for nothing, and of inputs, which the client gives in this form";
    pub(crate) const HALVES: &str = "of the halves of an axis, until one element is left";
    pub(crate) const IMPUTED: &str = "of a number that stands for what is missing; nothing where that is NaN, which is not shared: the client puts a number there";
    pub(crate) const INFERENCE: &str = "in inference, by constants; the first result only";
    pub(crate) const KERNELS: &str = "of kernels, linear, polynomial, RBF or sigmoid: products, exponentials or hyperbolic tangents for \
         each support vector; calibrated probabilities of two classes only";
    pub(crate) const LEAST: &str = "of the smallest; of equal ones the first; at the end of a model the client sees all and \
         finds it, for nothing";
    pub(crate) const LOG_SOFTMAX: &str =
        "its logarithm: a maximum, exponentials, a sum and a logarithm, at the end of a model too";
    pub(crate) const NORMS: &str = "by the L1 or L2 norm of a row, or its largest absolute value, as in ONNX's reference; nothing behind a softmax, which sums to one";
    pub(crate) const PLACEHOLDER: &str = "of numbers; only the first length may be left open";
    pub(crate) const POWERS: &str = "of a sum of squares; in other norms, 1 to 16, powers of absolute values";
    pub(crate) const RELABELLED: &str =
        "of numbers with the keys; names of classes are looked up by the client; no texts as input";
    pub(crate) const REPLACED: &str =
        "the indices are public; with a `reduction` sums, products, or the larger of two";
    pub(crate) const SECRETS: &str = "a product, where both operands are secret";
    pub(crate) const SORTED: &str = "at the end of a model, where the client sees all and picks them, for nothing; inside of it a comparison of each element with each \
         other one, and with k places";
    pub(crate) const STACK: &str = "a product, where both operands are secret; a constant stack, or one on the left of a stack, has at \
         most 64 matrices";
    pub(crate) const TRIANGLE: &str = "by a triangle of ones";
    pub(crate) const WEIGHT_TYPES: &str =
        "integers and flags are known when compiling; nothing computes on strings";
}
