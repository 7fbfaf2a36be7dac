//! Where values are widened: the operations of each program, in order, `w` for a wide result.

use cryptflow_athos::compile::CompileOptions;
use cryptflow_program::{Activation, Operation};

use crate::fix::graphs::GRAPHS;
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
        let program = compiled(&graph, &CompileOptions::default()).program;
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
