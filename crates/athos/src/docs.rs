//! What operations of models become, for people: the tables of the importers say it for each name, and the page
//! `docs/operations.md` is made from them.

use std::sync::Arc;

use cryptflow_ring::Window;

use crate::graph::{Array, Graph, Op};
use crate::import::{Framework, operations};
use crate::operations::OpError;

/// What an operation becomes: what the page says once for all names that become the same.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// What it is called on the page.
    pub title: &'static str,
    /// What of it must be known when compiling, or shared by the model's owner.
    pub public: &'static str,
    /// For which values of its operands it is right, beyond fitting the ring.
    pub range: &'static str,
    /// How near its result is to the exact one.
    pub exact: &'static str,
    /// A graph that does this and nothing else, from which the costs follow; nothing where there is nothing to do.
    pub example: Option<Example>,
}

/// A graph of one operation whose operands are secret: an input of this shape, and what comes of it.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Shape of the input.
    pub shape: &'static [usize],
    /// The operation, on the input (or on two inputs).
    pub op: fn() -> Op,
    /// What else it takes.
    pub operands: &'static [Operand],
}

/// An operand of an example behind the first.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// Another secret of the same shape.
    Secret,
    /// A weight of this shape.
    Weight(&'static [usize]),
}

impl Example {
    /// The graph.
    ///
    /// # Errors
    /// An example that makes no sense.
    pub fn graph(&self) -> Result<Graph, OpError> {
        let mut graph = Graph { name: "example".into(), ..Graph::default() };
        let mut inputs = vec![graph.add_input("x", self.shape.to_vec())];
        for (i, operand) in self.operands.iter().enumerate() {
            inputs.push(match operand {
                Operand::Secret => graph.add_input(format!("x{i}"), self.shape.to_vec()),
                Operand::Weight(shape) => {
                    let n = shape.iter().product::<usize>();
                    // No two alike, so that no pass finds a shorter way.
                    let data = (0..n).map(|i| 0.5 + (i % 101) as f32 / 128.0).collect();
                    graph.add_constant("w", Array { shape: shape.to_vec(), data: Arc::new(data) })
                }
            });
        }
        let y = graph.add("y", (self.op)(), &inputs)?;
        graph.add_output("y", y);
        Ok(graph)
    }
}

/// An operation of a framework, as the tables have it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Whose name it is.
    pub framework: Framework,
    /// Its name.
    pub name: &'static str,
    /// What it becomes.
    pub meaning: Meaning,
    /// What is supported of it, where that is not all.
    pub note: &'static str,
}

/// Every operation that an importer knows, by framework and name.
pub fn entries() -> Vec<Entry> {
    let mut all = operations();
    all.sort_by_key(|entry| (entry.framework, entry.name));
    all
}

const NOTHING: &str = "nothing";
const FITS: &str = "";
const EXACT: &str = "exact";
const ONE_UNIT: &str = "one unit of the last place, and the rounding of the weights";

const fn free(title: &'static str, public: &'static str) -> Meaning {
    Meaning { title, public, range: FITS, exact: EXACT, example: None }
}

/// Elements of the examples.
const VECTOR: &[usize] = &[1, 4096];
const IMAGE: &[usize] = &[1, 32, 32, 16];

const fn of_elements(title: &'static str, exact: &'static str, op: fn() -> Op) -> Meaning {
    Meaning {
        title,
        public: NOTHING,
        range: FITS,
        exact,
        example: Some(Example { shape: VECTOR, op, operands: &[] }),
    }
}

fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
}

/// What the client shares.
pub(crate) const INPUT: Meaning = free("input", "its shape");
/// What the owner of the model shares.
pub(crate) const WEIGHT: Meaning = free("weight", "its shape");
/// Nothing.
pub(crate) const NONE: Meaning = free("nothing: its operand is passed on", NOTHING);
/// What is known when compiling.
pub(crate) const KNOWN: Meaning = free("known when compiling", "its operands");
/// Elements that change places.
pub(crate) const MOVEMENT: Meaning = free("movement of elements", "shapes, axes, places");
/// A linear map whose coefficients are weights.
pub(crate) const LINEAR: Meaning = Meaning {
    title: "linear map",
    public: "its shape; the weights are secret constants",
    range: FITS,
    exact: ONE_UNIT,
    example: Some(Example {
        shape: IMAGE,
        op: || Op::Conv2d { window: window(3, 1, 1), groups: 1 },
        operands: &[Operand::Weight(&[3, 3, 16, 16])],
    }),
};
/// Sums and differences.
pub(crate) const SUM: Meaning = Meaning {
    title: "sum",
    public: NOTHING,
    range: FITS,
    exact: EXACT,
    example: Some(Example { shape: VECTOR, op: || Op::Add, operands: &[Operand::Secret] }),
};
/// Means over windows or axes.
pub(crate) const AVERAGE: Meaning = Meaning {
    title: "average",
    public: "windows, axes",
    range: FITS,
    exact: "one unit of the last place",
    example: Some(Example {
        shape: IMAGE,
        op: || Op::AvgPool { window: window(2, 2, 0), count_padding: false },
        operands: &[],
    }),
};
/// The larger of a number and zero.
pub(crate) const RELU: Meaning = of_elements("ReLU", EXACT, || Op::Relu);
/// A ReLU with an upper limit.
pub(crate) const CLIPPED_RELU: Meaning =
    of_elements("clipped ReLU", EXACT, || Op::ClippedRelu { limit: 6.0 });
/// Maxima over windows.
pub(crate) const MAX_POOL: Meaning = Meaning {
    title: "maximum over windows",
    public: "windows",
    range: FITS,
    exact: EXACT,
    example: Some(Example { shape: IMAGE, op: || Op::MaxPool { window: window(2, 2, 0) }, operands: &[] }),
};
