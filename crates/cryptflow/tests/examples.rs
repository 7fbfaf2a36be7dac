//! Examples of inputs.

use cryptflow::examples::{pixel_range, spread};
use cryptflow_program::Preprocessing;

#[test]
fn rows_are_spread() {
    assert_eq!(spread(3, 5), [true; 3]);
    assert_eq!(spread(6, 3), [true, false, true, false, true, false]);
}

#[test]
fn range_of_pixels() {
    let p = |divide, mean: &[f64], std: &[f64]| Preprocessing {
        divide,
        mean: mean.to_vec(),
        std: std.to_vec(),
        ..Preprocessing::default()
    };
    assert_eq!(pixel_range(&p(None, &[], &[])), None);
    assert_eq!(pixel_range(&p(Some(255.0), &[], &[])), Some((0.0, 1.0)));
    assert_eq!(pixel_range(&p(Some(127.5), &[1.0], &[])), Some((-1.0, 1.0)));
    assert_eq!(pixel_range(&p(None, &[100.0, 120.0], &[1.0, 2.0])), Some((-100.0, 155.0)));
}
