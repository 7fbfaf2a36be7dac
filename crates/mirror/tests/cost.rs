//! What operations cost, against the table of the specification.

use cryptflow_mpc::{CostModel, Layout, Party, Place};
use cryptflow_operation::{Activation, Operation, Product, Rectifier};
use cryptflow_ring::LinearMap;

use crate::{MirrorCosts, Tuning};

/// The table of the specification: bytes of an activation, convolution, truncation and ReLU
/// together.
#[test]
fn bytes_of_an_activation() {
    let costs = MirrorCosts { tuning: Tuning::USUAL };
    let n = 1 << 20;
    for (ring, compare, at_most) in [(64, 32, 70.5), (64, 24, 64.5), (37, 24, 40.9)] {
        let map = LinearMap::Scale { rows: n / 64, channels: 64 };
        let x = Layout { len: n, bits: ring };
        let cost = |operation: &Operation, inputs: &[Layout]| {
            costs.cost(operation, &Place { inputs, len: n, ring_bits: ring }).unwrap()
        };
        let (linear, narrow) = cost(&Operation::Product(Product { map, shift: 12 }), &[x, x]);
        let function = Rectifier::Relu;
        let relu = Activation { function, compare_bits: compare, skipped: 0, widen: true };
        let (relu, wide) = cost(&Operation::Activation(relu), &[narrow]);
        assert_eq!(wide, Layout { len: n, bits: ring });
        let both = linear.clone() + relu;
        let bytes = both.total() as f64 / n as f64;
        assert!(bytes <= at_most + 0.01, "K = {ring}, c = {compare}: {bytes} bytes an activation");
        assert_eq!(linear.rounds, 1);
        let dealt = both.bytes.sent(Party::P2);
        assert_eq!(dealt[0], dealt[1], "both of P2's links carry the same");
    }
}
