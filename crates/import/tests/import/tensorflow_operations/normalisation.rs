//! Biases and batch normalisation.

use cryptflow_import::tensorflow::messages::Attr;

use super::{array, dims, run, test_input};
use crate::graph_def::text;

#[test]
fn biases_and_normalisation() {
    let x = test_input(&[4, 1, 4]);
    let bias = [1.0, 2.0, 3.0, 4.0];
    let table: [(&[usize], &str, fn(usize) -> usize); 3] = [
        (&[4, 1, 4], "NHWC", |i| i % 4),
        (&[4, 4, 1], "NCHW", |i| i % 4),
        (&[2, 4, 2], "NCHW", |i| i / 2 % 4),
    ];
    for (shape, format, channel) in table {
        let x = array(shape, &x.data);
        let got = run(
            |b| {
                b.input("a", &dims(shape)).floats("b", &[4], &bias);
                b.node("y", "BiasAdd", &["a", "b"], &[("data_format", text(format))]);
            },
            std::slice::from_ref(&x),
        );
        let want: Vec<f32> = x.data.iter().enumerate().map(|(i, v)| v + bias[channel(i)]).collect();
        assert_eq!(got.data.as_slice(), want, "{format} {shape:?}");
    }
    for (op, format) in
        [("FusedBatchNorm", "NHWC"), ("FusedBatchNormV3", "NHWC"), ("FusedBatchNormV3", "NCHW")]
    {
        let first = format == "NCHW";
        let shape = if first { [1, 2, 2, 3] } else { [1, 2, 3, 2] };
        let x = test_input(&shape);
        let got = run(
            |b| {
                b.input("a", &dims(&shape)).floats("g", &[2], &[1.5, -2.0]).floats("b", &[2], &[0.5, 0.25]);
                b.floats("m", &[2], &[0.1, -0.3]).floats("v", &[2], &[0.5, 2.0]);
                let attrs = [
                    ("is_training", Attr::B(false)),
                    ("epsilon", Attr::F(0.01)),
                    ("data_format", text(format)),
                ];
                b.node("n", op, &["a", "g", "b", "m", "v"], &attrs).node("y", "Relu", &["n:0"], &[]);
            },
            std::slice::from_ref(&x),
        );
        for (i, (got, x)) in got.data.iter().zip(x.data.iter()).enumerate() {
            let c = if first { i / 6 } else { i % 2 };
            let (g, b, m, v) = ([1.5, -2.0][c], [0.5, 0.25][c], [0.1, -0.3][c], [0.5f32, 2.0][c]);
            let want = (g * (x - m) / (v + 0.01).sqrt() + b).max(0.0);
            assert!((got - want).abs() < 1e-5, "{op} {format}: {got}, {want}");
        }
    }
}
