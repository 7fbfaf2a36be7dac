//! Functions of angles and of hyperbolic angles, and their inverses.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{Domain, End, Entry, Function, SMOOTH, above, between};

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
        name: "sin",
        title: "sine",
        tensorflow: &["Sin"],
        onnx: &["Sin"],
        value: |x, _| x.sin(),
        image: |_, _| between(-1.0, 1.0),
        ..SMOOTH
    });

    /// The cosine, of radians.
    pub const COS: Function = Function::of(&Entry {
        name: "cos",
        title: "cosine",
        tensorflow: &["Cos"],
        onnx: &["Cos"],
        value: |x, _| x.cos(),
        image: |_, _| between(-1.0, 1.0),
        ..SMOOTH
    });

    /// The tangent, of radians.
    pub const TAN: Function = Function::of(&Entry {
        name: "tan",
        title: "tangent",
        tensorflow: &["Tan"],
        onnx: &["Tan"],
        defined: "away from its poles",
        shown: (-1.0, 1.0),
        value: |x, _| x.tan(),
        domain: |_| Domain::Between(End::Pole(-FRAC_PI_2), End::Pole(FRAC_PI_2)),
        ..SMOOTH
    });

    /// The inverse of the sine.
    pub const ASIN: Function = Function::of(&Entry {
        name: "asin",
        title: "arc sine",
        tensorflow: &["Asin"],
        onnx: &["Asin"],
        defined: "−1 to 1",
        shown: (-0.875, 0.875),
        value: |x, _| x.asin(),
        domain: |_| Domain::Between(End::At(-1.0), End::At(1.0)),
        ..SMOOTH
    });

    /// The inverse of the cosine.
    pub const ACOS: Function = Function::of(&Entry {
        name: "acos",
        title: "arc cosine",
        tensorflow: &["Acos"],
        onnx: &["Acos"],
        defined: "−1 to 1",
        shown: (-0.875, 0.875),
        value: |x, _| x.acos(),
        domain: |_| Domain::Between(End::At(-1.0), End::At(1.0)),
        image: |_, _| between(0.0, PI),
        ..SMOOTH
    });

    /// The inverse of the tangent.
    pub const ATAN: Function = Function::of(&Entry {
        name: "atan",
        title: "arc tangent",
        tensorflow: &["Atan"],
        onnx: &["Atan"],
        value: |x, _| x.atan(),
        ..SMOOTH
    });

    /// The hyperbolic sine.
    pub const SINH: Function = Function::of(&Entry {
        name: "sinh",
        title: "hyperbolic sine",
        tensorflow: &["Sinh"],
        onnx: &["Sinh"],
        value: |x, _| x.sinh(),
        ..SMOOTH
    });

    /// The hyperbolic cosine.
    pub const COSH: Function = Function::of(&Entry {
        name: "cosh",
        title: "hyperbolic cosine",
        tensorflow: &["Cosh"],
        onnx: &["Cosh"],
        value: |x, _| x.cosh(),
        image: |_, _| above(1.0),
        ..SMOOTH
    });

    /// The inverse of the hyperbolic sine.
    pub const ASINH: Function = Function::of(&Entry {
        name: "asinh",
        title: "inverse hyperbolic sine",
        tensorflow: &["Asinh"],
        onnx: &["Asinh"],
        value: |x, _| x.asinh(),
        ..SMOOTH
    });

    /// The inverse of the hyperbolic cosine.
    pub const ACOSH: Function = Function::of(&Entry {
        name: "acosh",
        title: "inverse hyperbolic cosine",
        tensorflow: &["Acosh"],
        onnx: &["Acosh"],
        defined: "1 and above",
        shown: (1.25, 4.0),
        value: |x, _| x.acosh(),
        domain: |_| Domain::Between(End::At(1.0), End::Open),
        ..SMOOTH
    });

    /// The inverse of the hyperbolic tangent.
    pub const ATANH: Function = Function::of(&Entry {
        name: "atanh",
        title: "inverse hyperbolic tangent",
        tensorflow: &["Atanh"],
        onnx: &["Atanh"],
        defined: "between −1 and 1",
        shown: (-0.875, 0.875),
        value: |x, _| x.atanh(),
        domain: |_| Domain::Between(End::Pole(-1.0), End::Pole(1.0)),
        ..SMOOTH
    });
}
