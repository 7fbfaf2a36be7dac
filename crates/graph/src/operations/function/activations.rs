//! Activations of networks that are no part of the protocols.

use super::{Break, Breaks, Entry, Function, Parameter, above, between, smooth};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::SIGMOID,
    Function::TANH,
    Function::GELU,
    Function::GELU_TANH,
    Function::SWISH,
    Function::HARD_SWISH,
    Function::MISH,
    Function::SOFTPLUS,
    Function::LOG_SIGMOID,
    Function::SOFTSIGN,
    Function::elu(1.0),
    Function::SELU,
    Function::celu(1.0),
    Function::hard_sigmoid(0.2, 0.5),
    Function::leaky_relu(0.1),
    Function::thresholded_relu(1.0),
    Function::shrink(0.5, 0.25),
];

/// The parameters of SELU, of which frameworks have more digits than a float.
const SELU: [f32; 2] = [1.673_263_2, 1.050_701];

/// What the page says of parameters.
const PARAMETERS: &str = "its parameters";

/// A parameter that TensorFlow has fixed, and ONNX has as an attribute with the same default.
const fn fixed(attribute: &'static str, value: f32) -> Parameter {
    Parameter { tensorflow: (None, value), onnx: (attribute, value) }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 }
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { x } else { alpha * x.exp_m1() }
}

/// It bends at zero.
const AT_ZERO: Breaks = Breaks::At(|_| vec![Break::From(0.0)]);

impl Function {
    /// 1 / (1 + e^−x).
    pub const SIGMOID: Function = Function::of(&Entry {
        value: |x, _| sigmoid(x),
        image: |_, _| between(0.0, 1.0),
        written_out: true,
        ..smooth("sigmoid", "sigmoid").in_both(&["Sigmoid"])
    });

    /// The hyperbolic tangent.
    pub const TANH: Function = Function::of(&Entry {
        value: |x, _| x.tanh(),
        image: |_, _| between(-1.0, 1.0),
        ..smooth("tanh", "tanh").in_both(&["Tanh"])
    });

    /// x · Φ(x), Φ the distribution function of the normal distribution.
    pub const GELU: Function = Function::of(&Entry {
        value: |x, _| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        written_out: true,
        ..smooth("gelu", "GELU")
    });

    /// The form of GELU with tanh, which differs by up to 5e-4.
    pub const GELU_TANH: Function = Function::of(&Entry {
        value: |x, _| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        },
        written_out: true,
        ..smooth("gelu", "GELU with tanh")
    });

    /// x · sigmoid(x).
    pub const SWISH: Function =
        Function::of(&Entry { value: |x, _| x * sigmoid(x), written_out: true, ..smooth("swish", "swish") });

    /// x · hard-sigmoid(x) with slope 1/6 and 1/2 at zero.
    pub const HARD_SWISH: Function = Function::of(&Entry {
        onnx: &["HardSwish"],
        value: |x, _| x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        breaks: Breaks::At(|_| vec![Break::From(-3.0), Break::Above(3.0)]),
        written_out: true,
        ..smooth("hard swish", "hard swish")
    });

    /// x · tanh(softplus(x)).
    pub const MISH: Function = Function::of(&Entry {
        onnx: &["Mish"],
        value: |x, _| x * softplus(x).tanh(),
        written_out: true,
        ..smooth("mish", "mish")
    });

    /// ln(1 + e^x).
    pub const SOFTPLUS: Function = Function::of(&Entry {
        value: |x, _| softplus(x),
        image: |_, _| above(0.0),
        written_out: true,
        ..smooth("softplus", "softplus").in_both(&["Softplus"])
    });

    /// ln(sigmoid(x)) = −ln(1 + e^−x): as precise where the sigmoid is next to nothing.
    pub const LOG_SIGMOID: Function = Function::of(&Entry {
        value: |x, _| -softplus(-x),
        image: |_, _| between(f64::NEG_INFINITY, 0.0),
        written_out: true,
        ..smooth("log sigmoid", "logarithm of the sigmoid")
    });

    /// x / (1 + |x|).
    pub const SOFTSIGN: Function = Function::of(&Entry {
        value: |x, _| x / (1.0 + x.abs()),
        breaks: AT_ZERO,
        image: |_, _| between(-1.0, 1.0),
        ..smooth("softsign", "softsign").in_both(&["Softsign"])
    });

    /// x above zero, `alpha · (e^x − 1)` below.
    pub const fn elu(alpha: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            parameters: &[fixed("alpha", 1.0)],
            public: PARAMETERS,
            value: |x, [alpha, _]| elu(x, alpha),
            breaks: AT_ZERO,
            ..smooth("elu", "ELU").in_both(&["Elu"])
        };
        Function { entry: ENTRY, parameters: [alpha, 0.0] }
    }

    /// SELU with the parameters that it is defined with.
    pub const SELU: Function = Function::selu(SELU[0], SELU[1]);

    /// `gamma · elu(x)`.
    pub const fn selu(alpha: f32, gamma: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            parameters: &[fixed("alpha", SELU[0]), fixed("gamma", SELU[1])],
            public: PARAMETERS,
            value: |x, [alpha, gamma]| gamma * elu(x, alpha),
            breaks: AT_ZERO,
            ..smooth("selu", "SELU").in_both(&["Selu"])
        };
        Function { entry: ENTRY, parameters: [alpha, gamma] }
    }

    /// x above zero, `alpha · (e^(x/alpha) − 1)` below.
    pub const fn celu(alpha: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            onnx: &["Celu"],
            parameters: &[fixed("alpha", 1.0)],
            public: PARAMETERS,
            value: |x, [alpha, _]| if x > 0.0 { x } else { alpha * (x / alpha).exp_m1() },
            breaks: AT_ZERO,
            ..smooth("celu", "CELU")
        };
        Function { entry: ENTRY, parameters: [alpha, 0.0] }
    }

    /// `alpha · x + beta`, cut at 0 and 1.
    pub const fn hard_sigmoid(alpha: f32, beta: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            onnx: &["HardSigmoid"],
            parameters: &[fixed("alpha", 0.2), fixed("beta", 0.5)],
            public: PARAMETERS,
            value: |x, [alpha, beta]| (alpha * x + beta).clamp(0.0, 1.0),
            breaks: Breaks::At(|[alpha, beta]| {
                let bends = [-beta / alpha, (1.0 - beta) / alpha].map(Break::From);
                if alpha == 0.0 { Vec::new() } else { bends.to_vec() }
            }),
            image: |_, _| between(0.0, 1.0),
            ..smooth("hard sigmoid", "hard sigmoid")
        };
        Function { entry: ENTRY, parameters: [alpha, beta] }
    }

    /// x above zero, `alpha · x` below.
    pub const fn leaky_relu(alpha: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            parameters: &[Parameter { tensorflow: (Some("alpha"), 0.2), onnx: ("alpha", 0.01) }],
            public: PARAMETERS,
            value: |x, [alpha, _]| if x > 0.0 { x } else { alpha * x },
            breaks: AT_ZERO,
            ..smooth("leaky relu", "leaky ReLU").in_both(&["LeakyRelu"])
        };
        Function { entry: ENTRY, parameters: [alpha, 0.0] }
    }

    /// x above `alpha`, zero up to it.
    pub const fn thresholded_relu(alpha: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            onnx: &["ThresholdedRelu"],
            parameters: &[fixed("alpha", 1.0)],
            public: PARAMETERS,
            value: |x, [alpha, _]| if x <= alpha { 0.0 } else { x },
            breaks: Breaks::At(|[alpha, _]| vec![Break::Above(alpha)]),
            ..smooth("thresholded relu", "thresholded ReLU")
        };
        Function { entry: ENTRY, parameters: [alpha, 0.0] }
    }

    /// x + `bias` below −`lambda`, x − `bias` above `lambda`, zero between.
    pub const fn shrink(lambda: f32, bias: f32) -> Function {
        const ENTRY: &Entry = &Entry {
            onnx: &["Shrink"],
            parameters: &[fixed("lambd", 0.5), fixed("bias", 0.0)],
            public: PARAMETERS,
            value: |x, [lambda, bias]| {
                if x < -lambda {
                    x + bias
                } else if x > lambda {
                    x - bias
                } else {
                    // Keeps a NaN.
                    x * 0.0
                }
            },
            breaks: Breaks::At(|[lambda, _]| vec![Break::From(-lambda), Break::Above(lambda)]),
            ..smooth("shrink", "shrink")
        };
        Function { entry: ENTRY, parameters: [lambda, bias] }
    }
}
