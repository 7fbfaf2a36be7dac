//! What steps cost, against the formulas of the paper.

use cryptflow_mpc::Cost;
use cryptflow_ring::LinearMap;

use crate::session::{BLOCK, WAVE};
use crate::{msb, relu, share_convert, triples};

#[test]
fn formulas_of_the_paper() {
    let (l, log_p) = (64, 8);
    for n in [1, 63, 64, 1000, BLOCK, 3 * BLOCK + 1, 2 * WAVE] {
        let bits = |cost: Cost| cost.total() * 8 / n as u64;
        assert_eq!(bits(share_convert::cost(n)), 3 * l * log_p + 5 * l);
        assert_eq!(bits(msb::cost(n)), 3 * l * log_p + 9 * l);
        assert_eq!(bits(relu::cost(n)), 6 * l * log_p + 19 * l);
        assert_eq!(bits(triples::multiply_cost(n)), 5 * l);
        assert_eq!(relu::cost(n).total(), 536 * n as u64);
    }
    assert_eq!(relu::cost(WAVE).rounds, 9);
    let matmul = LinearMap::MatMul { rows: 3, inner: 5, columns: 7 };
    let cost = triples::cost(std::iter::once(&matmul), 21);
    assert_eq!(cost.total() * 8, (2 * 15 + 2 * 35 + 21) * l);
}
