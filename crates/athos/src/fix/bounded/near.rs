//! What is close to where a comparison decides, as examples show it: how much is lost where the comparison
//! does not look at its lowest bits.
//!
//! A ReLU that does not see what is below T makes zero of an x in between, with probability 1 − x/T (the carry that is lost
//! is that of uniform masks; see [`cryptflow_operation::Compare`]). Its mean square error is `E[x² (1 − x/T)]` over all elements with 0 < x < T.
//! A maximum of a and b is b + relu(a − b), and a limit is a ReLU from the other side.

use cryptflow_graph::{Activation, Array, Graph, Node, Op, Pooling};

/// The exponents that are told apart: below 2^LOWEST everything is the same.
const LOWEST: i32 = -40;
const BINS: usize = 80;

/// Elements of a value that are looked at, in each example.
const LOOKED_AT: usize = 1 << 14;

/// The interval is at most this part of what the values typically are: beyond, a few examples say too little.
const OF_TYPICAL: f64 = 0.25;

/// Deviations on both sides of zero over which values are thought to be spread evenly: examples do not show fewer close to zero.
const SPREAD: f64 = 6.0;

/// How much there is close to where a node decides.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    decides: Decides,
    /// Sums of squares and of cubes of the differences whose exponent is LOWEST + i, and of the squares of all values.
    squares: Vec<f64>,
    cubes: Vec<f64>,
    of_all: f64,
    elements: usize,
}

/// What a node compares.
#[derive(Clone, Copy, Debug)]
enum Decides {
    /// Elements with zero.
    Zero,
    /// With zero, and with a limit.
    Limit(f32),
    /// Elements that are so far apart, in pictures of so many channels, as often as a tournament has levels.
    Apart { channels: usize, times: f64 },
}

/// For each node that decides, nothing seen yet.
pub(crate) fn decides(graph: &Graph) -> Vec<Option<Near>> {
    graph.nodes.iter().map(|node| Near::of(graph, node)).collect()
}

impl Near {
    fn of(graph: &Graph, node: &Node) -> Option<Near> {
        let decides = match &node.op {
            Op::Activation(Activation::Relu) => Decides::Zero,
            Op::Activation(Activation::ClippedRelu { limit }) => Decides::Limit(*limit),
            Op::Pool(pool) if matches!(pool.kind, Pooling::Max) => {
                let channels = *graph.node(*node.inputs.first()?).shape.last()?;
                let taps = pool.window.kernel.iter().map(|&taps| f64::from(taps.max(1) as u32).log2().ceil());
                Decides::Apart { channels, times: taps.sum() }
            }
            Op::Activation(Activation::Softmax | Activation::MaskedSoftmax)
            | Op::Pool(_)
            | Op::Input
            | Op::Constant(_)
            | Op::Identity
            | Op::Linear(_)
            | Op::Function(_)
            | Op::Arithmetic(_)
            | Op::Reduce(_)
            | Op::Order(_)
            | Op::Movement(_) => return None,
        };
        let (squares, cubes) = (vec![0.0; BINS], vec![0.0; BINS]);
        Some(Near { decides, squares, cubes, of_all: 0.0, elements: 0 })
    }

    /// Looks at an operand.
    pub(crate) fn see(&mut self, operand: &Array) {
        let data = &operand.data;
        // An odd number, so that all channels are seen.
        let step = (data.len() / LOOKED_AT) | 1;
        for (i, &x) in data.iter().enumerate().step_by(step) {
            self.of_all += f64::from(x) * f64::from(x);
            self.elements += 1;
            match self.decides {
                Decides::Zero => self.add(x, 1.0),
                Decides::Limit(limit) => {
                    self.add(x, 1.0);
                    self.add(limit - x, 1.0);
                }
                Decides::Apart { channels, times } => {
                    if let Some(other) = data.get(i + channels) {
                        self.add(x - other, times);
                    }
                }
            }
        }
    }

    fn add(&mut self, x: f32, times: f64) {
        if x > 0.0 {
            // Its exponent.
            let at = ((x.to_bits() >> 23) as i32 - 127 - LOWEST).clamp(0, BINS as i32 - 1) as usize;
            let x = f64::from(x);
            self.squares[at] += times * x * x;
            self.cubes[at] += times * x * x * x;
        }
    }

    /// The mean square error of a result where the node does not see what is below 2^exponent.
    pub(crate) fn lost(&self, exponent: i32) -> f64 {
        let typical = (self.of_all / self.elements.max(1) as f64).sqrt();
        let below = f64::from(exponent).exp2();
        if below > OF_TYPICAL * typical {
            return f64::INFINITY;
        }
        let bins = (exponent - LOWEST).clamp(0, BINS as i32) as usize;
        let sum = |bins: &[f64]| bins.iter().sum::<f64>();
        let seen = sum(&self.squares[..bins]) - sum(&self.cubes[..bins]) / below;
        let evenly = below.powi(3) / (12.0 * SPREAD * typical);
        (seen / self.elements.max(1) as f64).max(evenly)
    }
}
