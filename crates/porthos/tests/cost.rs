//! What steps cost, against the formulas of the paper.

use cryptflow_mpc::Cost;
use cryptflow_ring::LinearMap;

use crate::{PorthosCosts, Tuning};

#[test]
fn formulas_of_the_paper() {
    let (l, log_p) = (64, 8);
    let Tuning { block, wave, .. } = Tuning::USUAL;
    let costs = PorthosCosts::default();
    for n in [1, 63, 64, 1000, block, 3 * block + 1, 2 * wave] {
        let bits = |cost: Cost| cost.total() * 8 / n as u64;
        assert_eq!(bits(costs.share_convert(n)), 3 * l * log_p + 5 * l);
        assert_eq!(bits(costs.msb(n)), 3 * l * log_p + 9 * l);
        assert_eq!(bits(costs.relu(n)), 6 * l * log_p + 19 * l);
        assert_eq!(bits(costs.multiply(n)), 5 * l);
        assert_eq!(costs.relu(n).total(), 536 * n as u64);
    }
    assert_eq!(costs.relu(wave).rounds, 9);
    let matmul = LinearMap::MatMul { rows: 3, inner: 5, columns: 7 };
    let cost = costs.linear(std::iter::once(&matmul), 21);
    assert_eq!(cost.total() * 8, (2 * 15 + 2 * 35 + 21) * l);
}
