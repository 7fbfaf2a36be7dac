//! Arithmetic modulo 2^L − 1 against integers.

use crate::odd::{add, add_with_wrap, element, mask, negate, sub};

fn agrees<const L: u32>(values: &[u64]) {
    let n = u128::from(mask(L));
    for &a in values {
        assert_eq!(u128::from(negate::<L>(a)), (n - u128::from(a)) % n);
        for &b in values {
            let (wide_a, wide_b) = (u128::from(a), u128::from(b));
            assert_eq!(u128::from(add::<L>(a, b)), (wide_a + wide_b) % n, "{a} + {b}");
            assert_eq!(u128::from(sub::<L>(a, b)), (wide_a + n - wide_b) % n, "{a} - {b}");
            let (sum, wrapped) = add_with_wrap::<L>(a, b);
            assert_eq!(u128::from(sum) + (u128::from(wrapped) << L), wide_a + wide_b);
        }
    }
    assert_eq!(element::<L>(mask(L)), 0);
}

#[test]
fn agrees_with_integers() {
    let half = u64::MAX / 2;
    agrees::<64>(&[0, 1, 2, 5, 1 << 31, 1 << 63, half, half + 7, u64::MAX - 2, u64::MAX - 1]);
    agrees::<3>(&[0, 1, 2, 3, 4, 5, 6]);
    agrees::<5>(&(0..31).collect::<Vec<_>>());
}
