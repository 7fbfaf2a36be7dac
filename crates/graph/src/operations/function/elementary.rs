//! Elementary functions: powers, roots, exponential and logarithm.

use super::{Break, Breaks, Domain, End, Entry, Function, Parameter, above, between, smooth};
use crate::range::Range;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::ABS,
    Function::EXP,
    Function::LOG,
    Function::SQRT,
    Function::RSQRT,
    Function::RECIPROCAL,
    Function::ERF,
    Function::power(1.5),
];

/// The entry of [`Function::power`].
const POWER: &Entry = &Entry {
    // Both frameworks have the exponent as an operand: importers judge it.
    parameters: &[Parameter { tensorflow: (None, 1.0), onnx: ("", 1.0) }],
    public: "the exponent",
    defined: "any for whole exponents, 0 and above for others; without 0 for negative ones",
    shown: (0.25, 4.0),
    value: |x, [exponent, _]| x.powf(exponent),
    domain: |[exponent, _]| match (exponent.fract() == 0.0, exponent < 0.0) {
        (true, false) => Domain::Between(End::Open, End::Open),
        (true, true) => Domain::BesideZero,
        (false, false) => Domain::Between(End::At(0.0), End::Open),
        (false, true) => Domain::Between(End::Pole(0.0), End::Open),
    },
    image: |x, [exponent, _]| match x.low >= 0.0 {
        true if exponent >= 0.0 => x.map(|v| v.powf(exponent)),
        true => falling(x, |v| v.powf(exponent)),
        false if exponent % 2.0 == 0.0 || exponent.fract() != 0.0 => above(0.0),
        false => Range::ALL,
    },
    steep_at_zero: |[exponent, _]| exponent < 1.0,
    straight: false,
    ..smooth("power", "power")
};

/// What a function that never rises makes of a range.
fn falling(x: Range, f: impl Fn(f64) -> f64) -> Range {
    Range { low: f(x.high), high: f(x.low) }
}

impl Function {
    /// |x|.
    pub const ABS: Function = Function::of(&Entry {
        value: |x, _| x.abs(),
        of_integer: Some(i64::wrapping_abs),
        breaks: Breaks::At(|_| vec![Break::From(0.0)]),
        image: |x, _| Range { low: x.low.max(-x.high).max(0.0), high: x.magnitude() },
        ..smooth("abs", "absolute value").in_both(&["Abs"])
    });

    /// e^x.
    pub const EXP: Function = Function::of(&Entry {
        value: |x, _| x.exp(),
        image: |x, _| x.map(f64::exp),
        straight: false,
        ..smooth("exp", "exp").in_both(&["Exp"])
    });

    /// The natural logarithm.
    pub const LOG: Function = Function::of(&Entry {
        defined: "above zero",
        shown: (0.25, 4.0),
        value: |x, _| x.ln(),
        domain: |_| Domain::Between(End::Pole(0.0), End::Open),
        image: |x, _| x.map(|v| v.max(0.0).ln()),
        steep_at_zero: |_| true,
        ..smooth("log", "logarithm").in_both(&["Log"])
    });

    /// √x.
    pub const SQRT: Function = Function::of(&Entry {
        defined: "zero and above",
        shown: (0.0, 4.0),
        value: |x, _| x.sqrt(),
        domain: |_| Domain::Between(End::At(0.0), End::Open),
        image: |x, _| x.map(|v| v.max(0.0).sqrt()),
        steep_at_zero: |_| true,
        ..smooth("sqrt", "square root").in_both(&["Sqrt"])
    });

    /// 1/√x.
    pub const RSQRT: Function = Function::of(&Entry {
        tensorflow: &["Rsqrt"],
        defined: "above zero",
        shown: (0.25, 4.0),
        value: |x, _| 1.0 / x.sqrt(),
        domain: |_| Domain::Between(End::Pole(0.0), End::Open),
        image: |x, _| falling(x, |v| 1.0 / v.max(0.0).sqrt()),
        steep_at_zero: |_| true,
        ..smooth("rsqrt", "1/√x")
    });

    /// 1/x.
    pub const RECIPROCAL: Function = Function::of(&Entry {
        tensorflow: &["Inv", "Reciprocal"],
        onnx: &["Reciprocal"],
        defined: "all above zero, or all below",
        shown: (0.25, 4.0),
        value: |x, _| 1.0 / x,
        domain: |_| Domain::BesideZero,
        image: |x, _| if x.low > 0.0 || x.high < 0.0 { falling(x, |v| 1.0 / v) } else { Range::ALL },
        steep_at_zero: |_| true,
        ..smooth("reciprocal", "1/x")
    });

    /// The error function.
    pub const ERF: Function = Function::of(&Entry {
        value: |x, _| libm::erf(x),
        image: |_, _| between(-1.0, 1.0),
        ..smooth("erf", "erf").in_both(&["Erf"])
    });

    /// x^`exponent`.
    pub const fn power(exponent: f32) -> Function {
        Function { entry: POWER, parameters: [exponent, 0.0] }
    }

    /// The exponent, of a power.
    pub fn exponent(&self) -> Option<f32> {
        (self.entry.title == POWER.title).then_some(self.parameters[0])
    }

    /// The same function; for a power that has a name of its own, that one.
    pub fn simplest(self) -> Function {
        match self.exponent() {
            Some(0.5) => Function::SQRT,
            Some(-0.5) => Function::RSQRT,
            Some(-1.0) => Function::RECIPROCAL,
            Some(_) | None => self,
        }
    }
}
