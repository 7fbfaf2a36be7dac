//! Where values are widened: the operations of each program, in order, `w` for a wide result.

use cryptflow_athos::compile::{CompileOptions, Ring, Scale};
use cryptflow_graph::{Arithmetic, Reduce, Reduction};
use cryptflow_program::{Activation, Checked, Operation, Step};

use crate::fix::graphs::{Builder, GRAPHS};
use crate::fix::small::compiled;

const EXPECTED: &[(&str, &str)] = &[
    ("two dense layers with relu", "matmul, relu w, matmul"),
    ("conv, relu, max pool, dense", "conv, relu, max pool, widen w, reshape w, matmul"),
    ("conv, padded max pool, relu, conv", "conv, max pool, relu w, conv"),
    ("residual block", "conv, relu w, conv, relu w, conv, add, relu w, conv"),
    ("residual block with a projection", "conv, relu"),
    (
        "inverted bottleneck with relu6",
        "conv, widen w, conv, clipped relu w, depthwise conv, clipped relu w, conv, add, widen w, conv, add",
    ),
    (
        "dense block: concatenation, batch norm, average pool",
        "conv, widen w, scale, relu w, conv, widen w, concat w, scale, relu w, conv, widen w, concat w, sum pool w, \
         scale public, widen w, conv",
    ),
    ("squeeze and expand, pooled", "conv, relu w, conv, relu, conv, relu, concat, max pool, widen w, conv"),
    ("pooled and used in full", "conv, relu, widen w, transpose, transpose w, max pool, conv, add"),
    ("sum pool into a dense layer", "conv, relu w, sum pool w, reshape w, matmul"),
    ("slice, pad and reverse", "conv, relu, slice, widen w, pad w, conv"),
    ("softmax", "matmul"),
];

#[test]
fn values_are_widened_once_where_it_is_cheapest() {
    for (name, expected) in EXPECTED {
        let graph = GRAPHS.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name}")).1();
        // Of one scale, so that nothing is there to bring values to the same.
        let options = CompileOptions { scale: Scale::Bits(12), ..CompileOptions::default() };
        let program = compiled(&graph, &options).program;
        let steps: Vec<String> = program
            .steps
            .iter()
            .map(|s| {
                let wide = if program.values[s.output.0].wide { " w" } else { "" };
                format!("{}{wide}", s.operation.name())
            })
            .collect();
        assert_eq!(steps.join(", "), *expected, "{name}");
        for step in &program.steps {
            if let Operation::Activation(Activation { widen: true, .. }) = step.operation {
                assert!(!program.values[step.inputs[0].0].wide, "{name}: widens what is wide");
            }
        }
    }
}

/// What is widened goes to a ring that has room for the layers behind it, and not for all others': together these
/// rings have no more bits than one for all, and in some program fewer.
#[test]
fn values_are_widened_as_far_as_is_needed() {
    let lifted = |program: &Checked| -> u32 {
        let widens = program.steps.iter().filter(|step| match &step.operation {
            Operation::Activation(activation) => activation.widen,
            Operation::Widen | Operation::Compare(_) => true,
            _ => false,
        });
        widens.map(|step| program.rings()[step.output.0]).sum()
    };
    let mut fewer = 0;
    for (name, graph) in GRAPHS {
        let graph = graph();
        let options = CompileOptions { scale: Scale::Bits(12), ..CompileOptions::default() };
        let own = compiled(&graph, &options).program;
        let one = compiled(&graph, &CompileOptions { ring: Ring::Bits(own.ring_bits), ..options }).program;
        assert!(one.values.iter().all(|value| value.ring.is_none()), "{name}");
        assert!(lifted(&own) <= lifted(&one), "{name}: {} and {}", lifted(&own), lifted(&one));
        fewer += usize::from(lifted(&own) < lifted(&one));
        for program in [&own, &one] {
            assert_eq!(program.version, program.due_version(), "{name}");
        }
    }
    assert!(fewer > 0, "all rings are the same");
}

/// What a row has less its mean, squared and added up, is opened and widened once a row: the mean is widened in place of
/// what it is subtracted from, and the squares are one inner product.
#[test]
fn rows_are_normalised_by_what_is_few() {
    let (rows, columns) = (4, 16);
    let mut b = Builder::new(5);
    let x = b.input(&[rows, 8]);
    let y = b.dense(x, 8, columns);
    let mean =
        |b: &mut Builder, x| b.add(Reduce { kind: Reduction::Mean, axes: vec![1], keep_dims: true }, &[x]);
    let m = mean(&mut b, y);
    let centred = b.add(Arithmetic::Sub, &[y, m]);
    let squares = b.add(Arithmetic::Mul, &[centred, centred]);
    let variance = mean(&mut b, squares);
    let graph = b.output(variance);
    let program = compiled(&graph, &CompileOptions::default()).program;
    let elements = |step: &Step| program.values[step.output.0].shape.iter().product::<usize>();
    let widened: Vec<usize> = program
        .steps
        .iter()
        .filter(|step| matches!(step.operation, Operation::Widen) && elements(step) > rows)
        .map(elements)
        .collect();
    assert_eq!(widened, [rows * columns], "the layer's own result");
    let products = program.steps.iter().filter(|step| matches!(step.operation, Operation::Product(_)));
    assert_eq!(products.map(elements).collect::<Vec<_>>(), [rows]);
}
