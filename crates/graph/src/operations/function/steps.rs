//! Functions that jump: from numbers to integers, and to signs.

use super::{Break, Breaks, Entry, Function, Range, between, smooth};

pub(super) const FUNCTIONS: &[Function] =
    &[Function::FLOOR, Function::CEIL, Function::ROUND, Function::TRUNCATE, Function::SIGN];

/// The integers around an operand.
fn integers(x: Range, _: [f64; 2]) -> Range {
    between(x.low.floor(), x.high.ceil())
}

impl Function {
    /// The largest integer that is not above x.
    pub const FLOOR: Function = Function::of(&Entry {
        value: |x, _| x.floor(),
        breaks: Breaks::Steps(|k| Break::From(k as f64)),
        image: integers,
        straight: false,
        ..smooth("floor", "floor").in_both(&["Floor"])
    });

    /// The smallest integer that is not below x.
    pub const CEIL: Function = Function::of(&Entry {
        value: |x, _| x.ceil(),
        breaks: Breaks::Steps(|k| Break::Above(k as f64)),
        image: integers,
        straight: false,
        ..smooth("ceil", "ceiling").in_both(&["Ceil"])
    });

    /// The nearest integer, the even one of two.
    pub const ROUND: Function = Function::of(&Entry {
        tensorflow: &["Rint", "Round"],
        onnx: &["Round"],
        note: "of two as near the even one",
        value: |x, _| x.round_ties_even(),
        // Half way, an even number below stays.
        breaks: Breaks::Steps(|k| {
            let half = k as f64 + 0.5;
            if k.rem_euclid(2) == 0 { Break::Above(half) } else { Break::From(half) }
        }),
        image: integers,
        straight: false,
        ..smooth("round", "nearest integer")
    });

    /// The integer part: towards zero.
    pub const TRUNCATE: Function = Function::of(&Entry {
        value: |x, _| x.trunc(),
        // Towards zero: from below an integer is reached, from above it is left.
        breaks: Breaks::Steps(|k| if k > 0 { Break::From(k as f64) } else { Break::Above(k as f64) }),
        image: integers,
        straight: false,
        ..smooth("truncate", "integer part")
    });

    /// −1, 0 or 1.
    pub const SIGN: Function = Function::of(&Entry {
        value: |x, _| if x == 0.0 || x.is_nan() { x } else { x.signum() },
        of_integer: Some(i64::signum),
        breaks: Breaks::At(|_| vec![Break::From(0.0), Break::Above(0.0)]),
        image: |_, _| between(-1.0, 1.0),
        ..smooth("sign", "sign").in_both(&["Sign"])
    });
}
