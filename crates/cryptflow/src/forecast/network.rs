//! The networks that a machine is calibrated with: layers as convolutional networks have them, from many elements to a
//! few, with weights of nobody. What a step takes does not depend on the numbers in it.

use cryptflow_program::{
    Activation, Batch, Checked, Input, Linear, LinearTerm, MaxPool, OLDEST, Operation, Output, Preprocessing,
    Product, Program, Rectifier, Step, SumPool, Value, ValueId, Weight, WeightId, liveness, validate,
};
use cryptflow_ring::{Conv2d, LinearMap, Window};

use crate::error::{Error, Result};

/// Extents and channels of the pictures of networks that are worth more threads than one.
pub const LARGE: [(usize, usize); 7] =
    [(112, 16), (56, 32), (28, 64), (14, 128), (7, 256), (3, 128), (1, 128)];
/// Those of networks that are worth one, as many small ones are.
pub const SMALL: [(usize, usize); 5] = [(16, 8), (8, 16), (4, 32), (2, 64), (1, 256)];
/// Those of the smallest network of all, whose runs are little more than what is beside steps.
pub const SMALLEST: [(usize, usize); 1] = [(1, 4)];

/// A network, and what a run of it needs.
#[derive(Debug)]
pub struct Measured {
    /// The program.
    pub program: Checked,
    /// Its weights.
    pub weights: Vec<Vec<i64>>,
    /// A tensor for each input.
    pub inputs: Vec<Vec<i64>>,
}

/// Bits that values need, and that comparisons look at.
const VALUE_BITS: u32 = 14;
/// Bits of the ring that a truncation leaves.
const NARROW: u32 = 19;
/// Fractional bits of values.
const SCALE: u32 = 8;

/// A calibrating network in a ring of so many bits: `sizes` are the extents of its pictures, from the largest to the
/// smallest, each with its channels.
///
/// # Errors
/// A ring too small, or a mistake in this file.
pub fn calibrating(ring_bits: u32, sizes: &[(usize, usize)]) -> Result<Measured> {
    let (extent, channels) = sizes.first().copied().ok_or_else(|| Error::new("a network without layers"))?;
    let shift = ring_bits.saturating_sub(NARROW + 1).clamp(1, 30);
    let mut network = Building::new(ring_bits, shift, [1, extent, extent, channels]);
    let mut x = Picture { id: ValueId(0), extent, channels };
    for &(extent, channels) in sizes {
        while x.extent > extent {
            let before = x;
            x = network.sum_pool(&before);
        }
        let entry = network.convolution(&x, channels, 1);
        let entry = network.relu(&entry, true);
        let body = network.convolution(&entry, channels, 3);
        let narrow = network.relu(&body, false);
        let widened = network.widen(&narrow);
        let sum = network.add(&widened, &entry);
        // Nobody uses what comes out: it is computed all the same.
        let _pooled = if extent > 1 { network.max_pool(&body) } else { body };
        let product = network.product(&entry, &sum);
        let after = network.widen(&product);
        let again = network.convolution(&after, channels, 1);
        x = network.relu(&again, true);
    }
    network.finish(x.id)
}

/// A tensor of one picture.
#[derive(Clone, Copy)]
struct Picture {
    id: ValueId,
    extent: usize,
    channels: usize,
}

struct Building {
    program: Program,
    weights: Vec<Vec<i64>>,
    shift: u32,
    random: u64,
}

impl Building {
    fn new(ring_bits: u32, shift: u32, shape: [usize; 4]) -> Building {
        let mut program = Program {
            version: OLDEST,
            name: "calibration".into(),
            ring_bits,
            scale: SCALE,
            batch: Batch::default(),
            bits_per_round: None,
            inputs: vec![Input {
                name: "x".into(),
                value: ValueId(0),
                low: -1.0,
                high: 1.0,
                preprocessing: Preprocessing::default(),
                factors: Vec::new(),
                classes: None,
            }],
            outputs: Vec::new(),
            guard: None,
            values: Vec::new(),
            weights: Vec::new(),
            steps: Vec::new(),
        };
        program.values.push(value("x", shape.to_vec(), true));
        Building { program, weights: Vec::new(), shift, random: 1 }
    }

    /// A step whose result is a picture.
    fn step(
        &mut self,
        operation: Operation,
        inputs: &[&Picture],
        extent: usize,
        channels: usize,
        wide: bool,
    ) -> Picture {
        let id = ValueId(self.program.values.len());
        let name = format!("{} {}", operation.name(), self.program.steps.len());
        self.program.values.push(value(&name, vec![1, extent, extent, channels], wide));
        let inputs = inputs.iter().map(|x| x.id).collect();
        self.program.steps.push(Step { name, operation, inputs, output: id, last_uses: Vec::new() });
        Picture { id, extent, channels }
    }

    fn convolution(&mut self, x: &Picture, channels: usize, kernel: usize) -> Picture {
        let window =
            Window { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], padding: [[kernel / 2; 2]; 2] };
        let map = LinearMap::Conv2d(Conv2d {
            batch: 1,
            input: [x.extent; 2],
            in_channels: x.channels,
            out_channels: channels,
            groups: 1,
            window,
        });
        let id = WeightId(self.weights.len());
        let shape = vec![kernel, kernel, x.channels, channels];
        let len = shape.iter().product();
        self.program.weights.push(Weight { name: format!("w{}", id.0), shape, scale: self.shift });
        let numbers = self.numbers(len, self.shift);
        self.weights.push(numbers);
        let terms = vec![LinearTerm { input: 0, weight: id, map }];
        let linear = Linear { terms, bias: None, shift: self.shift };
        self.step(Operation::Linear(linear), &[x], x.extent, channels, false)
    }

    fn relu(&mut self, x: &Picture, widen: bool) -> Picture {
        let activation =
            Activation { function: Rectifier::Relu, compare_bits: VALUE_BITS + 1, skipped: 0, widen };
        self.step(Operation::Activation(activation), &[x], x.extent, x.channels, widen)
    }

    fn max_pool(&mut self, x: &Picture) -> Picture {
        let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], padding: [[0; 2]; 2] };
        let input = [1, x.extent, x.extent, x.channels];
        // Differences of two values are compared.
        let pool = MaxPool { input, window, compare_bits: VALUE_BITS + 2, skipped: 0 };
        self.step(Operation::MaxPool(pool), &[x], x.extent / 2, x.channels, false)
    }

    fn sum_pool(&mut self, x: &Picture) -> Picture {
        let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], padding: [[0; 2]; 2] };
        let input = [1, x.extent, x.extent, x.channels];
        self.step(Operation::SumPool(SumPool { input, window }), &[x], x.extent / 2, x.channels, true)
    }

    fn widen(&mut self, x: &Picture) -> Picture {
        self.step(Operation::Widen, &[x], x.extent, x.channels, true)
    }

    fn add(&mut self, x: &Picture, y: &Picture) -> Picture {
        self.step(Operation::Add, &[x, y], x.extent, x.channels, true)
    }

    /// Element by element; values of twice the fractional bits lose so many.
    fn product(&mut self, x: &Picture, y: &Picture) -> Picture {
        let map = LinearMap::Scale { rows: 1, channels: x.extent * x.extent * x.channels };
        let product = Product { map, shift: SCALE };
        self.step(Operation::Product(product), &[x, y], x.extent, x.channels, false)
    }

    fn finish(mut self, last: ValueId) -> Result<Measured> {
        self.program.outputs.push(Output {
            name: "y".into(),
            value: last,
            transform: None,
            digits: None,
            equal: 0,
            classes: None,
        });
        liveness::fill_last_uses(&mut self.program);
        let len = self.program.values.first().map_or(0, |x| x.shape.iter().product());
        let inputs = vec![self.numbers(len, VALUE_BITS)];
        let program = validate(self.program).map_err(Error::new)?;
        Ok(Measured { program, weights: self.weights, inputs })
    }

    /// Signed numbers of at most so many bits.
    fn numbers(&mut self, len: usize, bits: u32) -> Vec<i64> {
        let next = |_| {
            self.random =
                self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.random as i64) >> (64 - bits.clamp(2, 63))
        };
        (0..len).map(next).collect()
    }
}

fn value(name: &str, shape: Vec<usize>, wide: bool) -> Value {
    let limit = (1 << (VALUE_BITS - 1)) - 1;
    Value { name: name.into(), shape, scale: SCALE, low: -limit, high: limit, wide, ring: None }
}
