//! The page `docs/operations.md`: what the importers' tables say, with costs and errors from
//! compiling an example of everything.

use std::fmt::Write;

use cryptflow_athos::compile::{Bounds, CompileOptions, compile};
use cryptflow_athos::{MOST_PIECES, passes};
use cryptflow_engine::estimate;
use cryptflow_graph::{Array, float};
use cryptflow_import::docs::{Entry, Example, Meaning, entries};
use cryptflow_import::{Framework, onnx};
use cryptflow_protocols::ProtocolName;

use crate::clear_runner::ClearRunner;
use crate::error::{Error, Result};

/// The protocol whose costs the page has.
const PRICED: ProtocolName = ProtocolName::DEFAULT;

/// What an operation costs, and how exact it is.
struct Measured {
    /// Rounds.
    rounds: u64,
    /// Bytes between the parties for each element of the result.
    bytes: f64,
    /// The largest difference from the float model.
    error: f64,
    /// Fractional bits.
    scale: u32,
}

/// The page.
///
/// # Errors
/// An example that does not compile: the tables say that something is supported which is not.
pub fn page() -> Result<String> {
    let all = entries();
    let opsets = onnx::OPSETS;
    let mut text = HEAD.replace("{FIRST}", &opsets.start().to_string());
    text = text.replace("{LAST}", &opsets.end().to_string());
    for framework in [Framework::TensorFlow, Framework::Onnx] {
        let of_framework: Vec<&Entry> = all.iter().filter(|e| e.framework == framework).collect();
        text += &format!(
            "\n## {framework}\n\n{} operations.\n\n| operation | becomes | |\n|---|---|---|\n",
            of_framework.len()
        );
        for entry in of_framework {
            let (title, note) = (entry.doc.meaning.title, entry.doc.note);
            text += &format!("| `{}` | {title} | {note} |\n", entry.name);
        }
        if framework == Framework::Onnx {
            text += "\nFunctions of the model are put in the places of their calls. Operators of `ai.onnx.ml` (linear models, trees, \
                     support vector machines, and what stands before and behind them) are in the same list.\n";
        }
    }
    text += &COSTS.replace("{PROTOCOL}", PRICED.facts().title);
    let mut meanings: Vec<Meaning> = all.iter().map(|entry| entry.doc.meaning).collect();
    meanings.sort_by_key(|meaning| meaning.title.to_lowercase());
    meanings.dedup_by_key(|meaning| meaning.title);
    for meaning in meanings {
        let row = match &meaning.example {
            None => "| | | |".to_string(),
            Some(example) => {
                let m = measure(example)
                    .map_err(|e| Error::new(format_args!("the example of {:?}: {e}", meaning.title)))?;
                format!("| {} | {} | {} |", m.rounds, short(m.bytes), units(m.error, m.scale))
            }
        };
        // Writing to a string does not fail.
        let range = meaning.range.replace("{PIECES}", &MOST_PIECES.to_string());
        let _ = writeln!(text, "| {} | {} | {range} {row}", meaning.title, meaning.public);
    }
    Ok(text)
}

fn measure(example: &Example) -> Result<Measured> {
    let (mut graph, ranges) = example.graph().map_err(Error::new)?;
    passes::optimise(&mut graph);
    let options = CompileOptions::default();
    let compiled =
        compile(&graph, Bounds::Ranges(ranges), &options, &ClearRunner, &mut |_| ()).map_err(Error::new)?;
    let program = &compiled.program;
    let cost = estimate(program, PRICED.costs(program.ring_bits, program.bits_per_round).as_ref())
        .map_err(Error::new)?
        .total;
    let elements = |shape: &[usize]| shape.iter().product::<usize>();
    let unit = f64::from(program.scale).exp2();
    // Every input goes evenly through the range, each with another step.
    let (low, high) = example.range;
    let mut floats = Vec::new();
    let mut integers = Vec::new();
    for (i, &input) in graph.inputs.iter().enumerate() {
        let shape = graph.node(input).shape.clone();
        let n = elements(&shape);
        let at = |j: usize| low + (high - low) * ((j * (2 * i + 1) + 37 * i) % n) as f64 / (n - 1) as f64;
        let whole: Vec<i64> = (0..n).map(|j| (at(j) * unit).round() as i64).collect();
        let data = whole.iter().map(|&v| (v as f64 / unit) as f32).collect();
        floats.push(Array::new(shape, data).map_err(Error::new)?);
        integers.push(whole);
    }
    use cryptflow_athos::fix::FixedRunner as _;
    let fixed = ClearRunner.run(program, &compiled.weights, &integers, &mut |_, _| ()).map_err(Error::new)?;
    let mut wanted = None;
    let last = graph.outputs.first().copied();
    float::run(&graph, &floats, &mut |id, array| {
        if Some(id) == last {
            wanted = Some(array.clone());
        }
    })
    .map_err(Error::new)?;
    let (Some(wanted), Some(fixed), Some(output)) = (wanted, fixed.first(), program.outputs.first()) else {
        return Err(Error::new("it has no output"));
    };
    let result = elements(&wanted.shape).max(1);
    let opened = f64::from(program.scale_of(output.value)).exp2();
    let error = match output.transform {
        // The client applies it to what is opened, exactly.
        Some(_) => 0.0,
        None => fixed
            .iter()
            .zip(wanted.data.iter())
            .map(|(&a, &b)| (a as f64 / opened - f64::from(b)).abs())
            .fold(0.0, f64::max),
    };
    Ok(Measured {
        rounds: cost.rounds,
        bytes: cost.total() as f64 / result as f64,
        error,
        scale: program.scale,
    })
}

/// A number of bytes for people; such that small changes of a machine's arithmetic do not show.
fn short(bytes: f64) -> String {
    if bytes < 10.0 { format!("{bytes:.1}") } else { format!("{bytes:.0}") }
}

/// An error in units of the last place, as a power of two above it.
fn units(error: f64, scale: u32) -> String {
    let units = error * f64::from(scale).exp2();
    // A unit of float arithmetic is none of fixed point.
    if units < 0.01 {
        return "0".into();
    }
    let power = units.log2().ceil().max(0.0);
    format!("{}", power.exp2())
}

const HEAD: &str = "\
# Operations

Which operations of TensorFlow and ONNX can be compiled, what they become, and what that costs. `cryptflow check MODEL` says it of a model, node by
node.

This page is made from the importers' tables: `cryptflow operations > docs/operations.md`. A test compares the two.

Inputs and whatever is computed from them are *secret*; weights are secret to the parties, but known to the compiler. Where all operands of
an operation are known when compiling, the compiler computes it, whatever the operation: shapes, axes, masks and constants cost nothing.

What holds for all of them:

* Shapes are known when compiling, and with them lengths, axes, sizes, strides, paddings and indices: as constants, or computed from shapes.
* An attribute with a value that is not supported is refused with a reason, never passed over; notes name those that models have. Windows may have any stride,
  dilation and padding, and channels first or last.
* Results beside the first one can be used, but for those that a note excludes.
* Integers and flags that depend on an input are numbers in fixed point that hold them, within their bounds: nothing wraps around. Integers are compared as
  integers; of other values, those that differ by one unit of the last place count as equal.
* A constant that stands for infinity (infinite, or of a magnitude of 10^10 and more: the lowest float) is understood where it limits nothing, is compared with,
  or hides places: added or chosen in front of a softmax, also of one that is written out, of a maximum or a minimum, or as the border of what a max pool sees.
  What is hidden from a softmax has the weight zero; where a constant says so, it costs nothing. A row of which all is hidden is zero, and its maximum, where it is secret which places are hidden, the least of them. The same constant elsewhere
  is refused.
* Numbers in fixed point are finite: where a secret is asked whether it is infinite, or no number, it is not.
* ONNX is read from opset {FIRST} to {LAST}, its own operators only; TensorFlow as a frozen graph or a SavedModel. No operation draws random numbers or
  learns: models are for inference.
";

const COSTS: &str = "
## What they cost

Each line is from an example that was compiled on its own: in rings that are large enough for worst cases, at 12 fractional bits, for elements from −4 to 4 (or in the
range that is named), some thousand elements of the result. Rounds and bytes are {PROTOCOL}'s, bytes between all parties for each element
of the result, dealt ones included. In a model, comparisons look at fewer bits where the examples allow, and neighbours share rounds and
truncations: `cryptflow inspect` has a model's real costs. Errors are the largest difference from the float model over the
example, in units of the last place (2^−12 there), rounded up to a power of two. Whatever has no costs is free: it moves shares, or is
done when compiling. Softmax and the index of the largest are those inside of a model; at its end the client computes them from what it opens, as
it does the largest k, for nothing.

*Public* is what whoever has the program sees, or what must be known when compiling. Of a function that polynomials stand for, the range of its
operand is public, too: the pieces are made for it.

| | public | values | rounds | bytes | error |
|---|---|---|--:|--:|--:|
";
