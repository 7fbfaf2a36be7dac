//! Functions of angles and of hyperbolic angles, and their inverses.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{Domain, End, Entry, Function, above, between, smooth};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::SIN,
    Function::COS,
    Function::TAN,
    Function::ASIN,
    Function::ACOS,
    Function::ATAN,
    Function::SINH,
    Function::COSH,
    Function::ASINH,
    Function::ACOSH,
    Function::ATANH,
];

impl Function {
    /// The sine, of radians.
    pub const SIN: Function = Function::of(&Entry {
        value: |x, _| x.sin(),
        image: |_, _| between(-1.0, 1.0),
        straight: false,
        ..smooth("sin", "sine").in_both(&["Sin"])
    });

    /// The cosine, of radians.
    pub const COS: Function = Function::of(&Entry {
        value: |x, _| x.cos(),
        image: |_, _| between(-1.0, 1.0),
        straight: false,
        ..smooth("cos", "cosine").in_both(&["Cos"])
    });

    /// The tangent, of radians.
    pub const TAN: Function = Function::of(&Entry {
        defined: "away from its poles",
        shown: (-1.0, 1.0),
        value: |x, _| x.tan(),
        domain: |_| Domain::Between(End::Pole(-FRAC_PI_2), End::Pole(FRAC_PI_2)),
        straight: false,
        ..smooth("tan", "tangent").in_both(&["Tan"])
    });

    /// The inverse of the sine.
    pub const ASIN: Function = Function::of(&Entry {
        defined: "−1 to 1",
        shown: (-0.875, 0.875),
        value: |x, _| x.asin(),
        domain: |_| Domain::Between(End::At(-1.0), End::At(1.0)),
        ..smooth("asin", "arc sine").in_both(&["Asin"])
    });

    /// The inverse of the cosine.
    pub const ACOS: Function = Function::of(&Entry {
        defined: "−1 to 1",
        shown: (-0.875, 0.875),
        value: |x, _| x.acos(),
        domain: |_| Domain::Between(End::At(-1.0), End::At(1.0)),
        image: |_, _| between(0.0, PI),
        ..smooth("acos", "arc cosine").in_both(&["Acos"])
    });

    /// The inverse of the tangent.
    pub const ATAN: Function =
        Function::of(&Entry { value: |x, _| x.atan(), ..smooth("atan", "arc tangent").in_both(&["Atan"]) });

    /// The hyperbolic sine.
    pub const SINH: Function = Function::of(&Entry {
        value: |x, _| x.sinh(),
        straight: false,
        ..smooth("sinh", "hyperbolic sine").in_both(&["Sinh"])
    });

    /// The hyperbolic cosine.
    pub const COSH: Function = Function::of(&Entry {
        value: |x, _| x.cosh(),
        image: |_, _| above(1.0),
        straight: false,
        ..smooth("cosh", "hyperbolic cosine").in_both(&["Cosh"])
    });

    /// The inverse of the hyperbolic sine.
    pub const ASINH: Function = Function::of(&Entry {
        value: |x, _| x.asinh(),
        ..smooth("asinh", "inverse hyperbolic sine").in_both(&["Asinh"])
    });

    /// The inverse of the hyperbolic cosine.
    pub const ACOSH: Function = Function::of(&Entry {
        defined: "1 and above",
        shown: (1.25, 4.0),
        value: |x, _| x.acosh(),
        domain: |_| Domain::Between(End::At(1.0), End::Open),
        ..smooth("acosh", "inverse hyperbolic cosine").in_both(&["Acosh"])
    });

    /// The inverse of the hyperbolic tangent.
    pub const ATANH: Function = Function::of(&Entry {
        defined: "between −1 and 1",
        shown: (-0.875, 0.875),
        value: |x, _| x.atanh(),
        domain: |_| Domain::Between(End::Pole(-1.0), End::Pole(1.0)),
        ..smooth("atanh", "inverse hyperbolic tangent").in_both(&["Atanh"])
    });
}
