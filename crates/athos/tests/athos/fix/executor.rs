//! A naive executor of programs on plain integers, in the widest arithmetic there is: an oracle
//! that shares no code with the kernels. It fails on every value that leaves its bounds or its
//! ring, and on every comparison that sees too few bits.

use std::cell::RefCell;

use cryptflow_athos::fix::{FixedRunner, LoadedProgram, RunError};
use cryptflow_program::{
    Activation, Checked, Combine, Compare, Linear, LinearTerm, MaxPool, Operation, Product, Program,
    Rectifier, ScalePublic, Step, SumPool, ValueId, bits,
};
use cryptflow_ring::{LinearMap, Window};

/// Rounds every truncation as a protocol may: exactly, or off by up to a unit.
pub(crate) struct Naive {
    noise: Option<RefCell<u64>>,
    /// Whether values must stay within their bounds.
    bounded: bool,
}

impl Naive {
    pub(crate) fn exact() -> Naive {
        Naive { noise: None, bounded: true }
    }

    /// With errors of −1, 0 and 1 unit at every truncation.
    pub(crate) fn noisy(seed: u64) -> Naive {
        Naive { noise: Some(RefCell::new(seed)), bounded: true }
    }

    /// The same, for values that leave their bounds, where what rings and comparisons need is met
    /// all the same.
    pub(crate) fn beyond(seed: u64) -> Naive {
        Naive { bounded: false, ..Naive::noisy(seed) }
    }

    fn rounded(&self, z: i128, shift: u32) -> i64 {
        // A constant that is not shifted is not rounded.
        if shift == 0 {
            return z.try_into().unwrap();
        }
        let noise = self.noise.as_ref().map_or(0, |state| {
            let mut state = state.borrow_mut();
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            i128::from(*state >> 33) % 3 - 1
        });
        (((z + (1 << (shift - 1))) >> shift) + noise).try_into().unwrap()
    }

    fn step(
        &self,
        program: &Program,
        step: &Step,
        rings: &[u32],
        weights: &[Vec<i64>],
        inputs: &[&Vec<i64>],
    ) -> Result<Vec<i64>, String> {
        let none = Vec::new();
        let x = inputs.first().copied().unwrap_or(&none);
        let shape = |i: usize| program.values[step.inputs[i].0].shape.as_slice();
        let bits = step.inputs.iter().map(|id| rings[id.0]).min().unwrap_or(program.ring_bits);
        Ok(match &step.operation {
            Operation::Linear(Linear { terms, bias, shift }) => {
                let len = program.values[step.output.0].shape.iter().product();
                let mut sum = vec![0i128; len];
                for LinearTerm { input, weight, map } in terms {
                    add_products(map, inputs[*input], &weights[weight.0], &mut sum);
                }
                if let Some(bias) = bias {
                    let bias = &weights[bias.0];
                    sum.iter_mut().enumerate().for_each(|(i, s)| *s += i128::from(bias[i % bias.len()]));
                }
                let limit = bits::largest_sum(bits, *shift);
                if let Some(z) = sum.iter().find(|z| z.abs() > limit) {
                    return Err(format!("{}: the sum {z} exceeds {limit}", step.name));
                }
                sum.into_iter().map(|z| self.rounded(z, *shift)).collect()
            }
            Operation::Product(Product { map, shift }) => {
                let mut sum = vec![0i128; map.output_len()];
                add_products(map, x, inputs[1], &mut sum);
                let limit = bits::largest_sum(bits, *shift);
                if let Some(z) = sum.iter().find(|z| z.abs() > limit) {
                    return Err(format!("{}: the sum {z} exceeds {limit}", step.name));
                }
                sum.into_iter().map(|z| self.rounded(z, *shift)).collect()
            }
            Operation::Compare(Compare { thresholds, compare_bits, .. }) => {
                let mut out = Vec::new();
                for &t in thresholds {
                    for &v in x {
                        comparable(&step.name, v - t, *compare_bits)?;
                        out.push(i64::from(v >= t));
                    }
                }
                out
            }
            Operation::Combine(Combine { factors, offsets }) => {
                let columns = factors.len() / offsets.len();
                let n = x.len() / columns;
                let element = |i: usize| {
                    let row = &factors[i / n * columns..][..columns];
                    row.iter().enumerate().map(|(j, f)| f * x[j * n + i % n]).sum::<i64>() + offsets[i / n]
                };
                (0..n * offsets.len()).map(element).collect()
            }
            Operation::ScalePublic(ScalePublic { factors, shift }) => x
                .iter()
                .enumerate()
                .map(|(i, &v)| {
                    self.rounded(i128::from(v) * i128::from(factors[i % factors.len()] as i64), *shift)
                })
                .collect(),
            Operation::Widen => {
                if let Some(v) = x.iter().find(|v| v.unsigned_abs() > 1 << (bits - 2)) {
                    return Err(format!("{}: {v} cannot be widened from {bits} bits", step.name));
                }
                x.clone()
            }
            Operation::Activation(Activation { function, compare_bits, .. }) => {
                let limit = match function {
                    Rectifier::Relu => i64::MAX,
                    Rectifier::ClippedRelu { limit } => *limit as i64,
                };
                for &v in x {
                    comparable(&step.name, v, *compare_bits)?;
                    if limit != i64::MAX {
                        comparable(&step.name, v - limit, *compare_bits)?;
                    }
                }
                x.iter().map(|&v| v.clamp(0, limit)).collect()
            }
            Operation::MaxPool(MaxPool { input, window, compare_bits, .. }) => {
                let mut out = Vec::new();
                for seen in windows(*input, window, x) {
                    let (low, high) = (seen.iter().min().unwrap(), *seen.iter().max().unwrap());
                    comparable(&step.name, high - low, *compare_bits)?;
                    comparable(&step.name, low - high, *compare_bits)?;
                    out.push(high);
                }
                out
            }
            Operation::SumPool(SumPool { input, window }) => {
                windows(*input, window, x).iter().map(|w| w.iter().sum()).collect()
            }
            Operation::Add => x.iter().zip(inputs[1]).map(|(a, b)| a + b).collect(),
            Operation::Sub => x.iter().zip(inputs[1]).map(|(a, b)| a - b).collect(),
            Operation::Movement(movement) => {
                let all: Vec<(&[usize], &[i64])> =
                    inputs.iter().enumerate().map(|(i, d)| (shape(i), d.as_slice())).collect();
                movement.apply(&all).map_err(|e| e.to_string())?
            }
        })
    }
}

impl FixedRunner for Naive {
    fn load<'a>(
        &'a self,
        program: &'a Checked,
        weights: &mut dyn Iterator<Item = Vec<i64>>,
    ) -> Result<Box<dyn LoadedProgram + 'a>, RunError> {
        Ok(Box::new(Loaded { naive: self, program, weights: weights.collect() }))
    }
}

struct Loaded<'a> {
    naive: &'a Naive,
    program: &'a Checked,
    weights: Vec<Vec<i64>>,
}

impl LoadedProgram for Loaded<'_> {
    // All runs are rounded to the nearest.
    fn pass_over(&self, _examples: usize) {}

    fn run_watched(
        &self,
        inputs: &[Vec<i64>],
        watched: &dyn Fn(ValueId) -> bool,
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        let Loaded { naive, program, weights } = self;
        let rings = program.rings();
        let mut values: Vec<Option<Vec<i64>>> = vec![None; program.values.len()];
        for (input, data) in program.inputs.iter().zip(inputs) {
            values[input.value.0] = Some(data.clone());
        }
        for step in &program.steps {
            let operands: Vec<&Vec<i64>> =
                step.inputs.iter().map(|id| values[id.0].as_ref().unwrap()).collect();
            let result = naive.step(program, step, rings, weights, &operands).map_err(RunError::new)?;
            let declared = &program.values[step.output.0];
            let outside = |v: &&i64| naive.bounded && (**v < declared.low || **v > declared.high);
            if let Some(v) = result.iter().find(outside) {
                let (low, high) = (declared.low, declared.high);
                return Err(RunError::new(format_args!("{}: {v} is outside of {low} to {high}", step.name)));
            }
            if watched(step.output) {
                observe(step.output, &result);
            }
            values[step.output.0] = Some(result);
            for id in &step.last_uses {
                values[id.0] = None;
            }
        }
        Ok(program.outputs.iter().map(|o| values[o.value.0].clone().unwrap()).collect())
    }
}

fn comparable(name: &str, v: i64, bits: u32) -> Result<(), String> {
    if v >= -(1 << (bits - 1)) && v < 1 << (bits - 1) {
        return Ok(());
    }
    Err(format!("{name}: {v} is compared on {bits} bits"))
}

fn add_products(map: &LinearMap, x: &[i64], w: &[i64], sum: &mut [i128]) {
    let product = |a: i64, b: i64| i128::from(a) * i128::from(b);
    match map {
        LinearMap::MatMul { rows, inner, columns } => {
            for r in 0..*rows {
                for i in 0..*inner {
                    for c in 0..*columns {
                        sum[r * columns + c] += product(x[r * inner + i], w[i * columns + c]);
                    }
                }
            }
        }
        LinearMap::BatchMatMul { batch, rows, inner, columns } => {
            for b in 0..*batch {
                let map = LinearMap::MatMul { rows: *rows, inner: *inner, columns: *columns };
                add_products(
                    &map,
                    &x[b * rows * inner..][..rows * inner],
                    &w[b * inner * columns..][..inner * columns],
                    &mut sum[b * rows * columns..][..rows * columns],
                );
            }
        }
        LinearMap::Scale { channels, .. } => {
            for (i, &v) in x.iter().enumerate() {
                sum[i] += product(v, w[i % channels]);
            }
        }
        LinearMap::Conv2d(conv) => {
            let [oh, ow] = conv.window.output(conv.input).unwrap();
            let [kh, kw] = conv.window.kernel;
            let (in_group, out_group) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
            for n in 0..conv.batch {
                for (at, s) in sum[n * oh * ow * conv.out_channels..]
                    .iter_mut()
                    .enumerate()
                    .take(oh * ow * conv.out_channels)
                {
                    let (o, column, row) =
                        (at % conv.out_channels, at / conv.out_channels % ow, at / conv.out_channels / ow);
                    for tap in 0..kh * kw {
                        let Some((y, z)) =
                            tap_at(&conv.window, conv.input, [row, column], [tap / kw, tap % kw])
                        else {
                            continue;
                        };
                        for i in 0..in_group {
                            let channel = o / out_group * in_group + i;
                            let input =
                                x[((n * conv.input[0] + y) * conv.input[1] + z) * conv.in_channels + channel];
                            *s += product(input, w[(tap * in_group + i) * conv.out_channels + o]);
                        }
                    }
                }
            }
        }
    }
}

/// The row and column of the input that a tap of a window sees; none in the padding.
fn tap_at(window: &Window, input: [usize; 2], out: [usize; 2], tap: [usize; 2]) -> Option<(usize, usize)> {
    let at = |axis: usize| {
        let position = out[axis] * window.stride[axis] + tap[axis] * window.dilation[axis];
        position.checked_sub(window.padding[axis][0]).filter(|&p| p < input[axis])
    };
    Some((at(0)?, at(1)?))
}

/// What each window sees, padding left out, in the order of the output.
fn windows(input: [usize; 4], window: &Window, x: &[i64]) -> Vec<Vec<i64>> {
    let [batch, height, width, channels] = input;
    let [oh, ow] = window.output([height, width]).unwrap();
    let [kh, kw] = window.kernel;
    let mut all = Vec::new();
    for at in 0..batch * oh * ow * channels {
        let (c, column, row, n) =
            (at % channels, at / channels % ow, at / channels / ow % oh, at / channels / ow / oh);
        let taps =
            (0..kh * kw).filter_map(|t| tap_at(window, [height, width], [row, column], [t / kw, t % kw]));
        all.push(taps.map(|(y, z)| x[((n * height + y) * width + z) * channels + c]).collect());
    }
    all
}
