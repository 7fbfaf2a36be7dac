//! What counts as outside of a value's bounds, and how far.

use cryptflow_engine::Beyond;
use cryptflow_program::Value;

#[test]
fn the_farthest_number_is_told() {
    let value =
        Value { name: "y".into(), shape: vec![4], scale: 2, low: -8, high: 4, wide: true, ring: None };
    let beyond = |value, elements| Some(Beyond { value, low: -2.0, high: 1.0, elements });
    let table: [(&[i64], Option<Beyond>, f64); 7] = [
        (&[], None, 0.0),
        (&[-8, 4, 0, 1], None, 0.0),
        (&[-8, 5, 0, 1], beyond(1.25, 1), 0.25),
        (&[-9, 6, 0, 1], beyond(1.5, 2), 0.5),
        (&[-12, 6, 0, 1], beyond(-3.0, 2), 1.0),
        (&[i64::MIN, 6], beyond(i64::MIN as f64 / 4.0, 2), 2f64.powi(61) - 2.0),
        (&[i64::MAX], beyond(i64::MAX as f64 / 4.0, 1), 2f64.powi(61) - 1.0),
    ];
    for (numbers, expected, by) in table {
        let found = Beyond::of(&value, numbers);
        assert_eq!(found, expected, "{numbers:?}");
        assert_eq!(found.map_or(0.0, |found| found.by()), by, "{numbers:?}");
    }
}
