//! Functions of one number, element by element: activations of networks and the usual elementary functions.

use super::{OpError, operands};
use crate::graph::Array;

/// A function of one number. Parameters are public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// |x|.
    Abs,
    /// e^x.
    Exp,
    /// The natural logarithm.
    Log,
    /// √x.
    Sqrt,
    /// 1/√x.
    Rsqrt,
    /// 1/x.
    Reciprocal,
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// x · Φ(x), Φ the distribution function of the normal distribution.
    Gelu {
        /// The form with tanh, which differs by up to 5e-4.
        approximate: bool,
    },
    /// x above zero, `alpha · (e^x − 1)` below.
    Elu {
        /// The factor below zero.
        alpha: f32,
    },
    /// `gamma · elu(x)`.
    Selu {
        /// The factor below zero.
        alpha: f32,
        /// The factor of all.
        gamma: f32,
    },
    /// x above zero, `alpha · (e^(x/alpha) − 1)` below.
    Celu {
        /// The scale below zero.
        alpha: f32,
    },
    /// ln(1 + e^x).
    Softplus,
    /// x / (1 + |x|).
    Softsign,
    /// x · sigmoid(x).
    Swish,
    /// x · tanh(softplus(x)).
    Mish,
    /// `alpha · x + beta`, cut at 0 and 1.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at zero.
        beta: f32,
    },
    /// x · hard-sigmoid(x) with slope 1/6 and 1/2 at zero.
    HardSwish,
    /// x above zero, `alpha · x` below.
    LeakyRelu {
        /// The slope below zero.
        alpha: f32,
    },
    /// x above `alpha`, zero up to it.
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// The largest integer that is not above x.
    Floor,
    /// The smallest integer that is not below x.
    Ceil,
    /// The nearest integer, the even one of two.
    Round,
    /// The integer part: towards zero.
    Truncate,
    /// −1, 0 or 1.
    Sign,
    /// The sine, of radians.
    Sin,
    /// The cosine, of radians.
    Cos,
    /// The tangent, of radians.
    Tan,
    /// The inverse of the sine.
    Asin,
    /// The inverse of the cosine.
    Acos,
    /// The inverse of the tangent.
    Atan,
    /// The hyperbolic sine.
    Sinh,
    /// The hyperbolic cosine.
    Cosh,
    /// The inverse of the hyperbolic sine.
    Asinh,
    /// The inverse of the hyperbolic cosine.
    Acosh,
    /// The inverse of the hyperbolic tangent.
    Atanh,
    /// x^`exponent`.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// x + `bias` below −`lambda`, x − `bias` above `lambda`, zero between.
    Shrink {
        /// Where the function leaves zero.
        lambda: f32,
        /// By how much it shrinks what is outside.
        bias: f32,
    },
}

impl Function {
    /// The function's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Function::Abs => "abs",
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Sqrt => "sqrt",
            Function::Rsqrt => "rsqrt",
            Function::Reciprocal => "reciprocal",
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
            Function::Erf => "erf",
            Function::Gelu { .. } => "gelu",
            Function::Elu { .. } => "elu",
            Function::Selu { .. } => "selu",
            Function::Celu { .. } => "celu",
            Function::Softplus => "softplus",
            Function::Softsign => "softsign",
            Function::Swish => "swish",
            Function::Mish => "mish",
            Function::HardSigmoid { .. } => "hard sigmoid",
            Function::HardSwish => "hard swish",
            Function::LeakyRelu { .. } => "leaky relu",
            Function::ThresholdedRelu { .. } => "thresholded relu",
            Function::Floor => "floor",
            Function::Ceil => "ceil",
            Function::Round => "round",
            Function::Truncate => "truncate",
            Function::Sign => "sign",
            Function::Sin => "sin",
            Function::Cos => "cos",
            Function::Tan => "tan",
            Function::Asin => "asin",
            Function::Acos => "acos",
            Function::Atan => "atan",
            Function::Sinh => "sinh",
            Function::Cosh => "cosh",
            Function::Asinh => "asinh",
            Function::Acosh => "acosh",
            Function::Atanh => "atanh",
            Function::Power { .. } => "power",
            Function::Shrink { .. } => "shrink",
        }
    }

    /// The value at x, NaN where there is none. A NaN stays one.
    pub fn at(&self, x: f64) -> f64 {
        let elu = |x: f64, alpha: f64| if x > 0.0 { x } else { alpha * x.exp_m1() };
        match *self {
            Function::Abs => x.abs(),
            Function::Exp => x.exp(),
            Function::Log => x.ln(),
            Function::Sqrt => x.sqrt(),
            Function::Rsqrt => 1.0 / x.sqrt(),
            Function::Reciprocal => 1.0 / x,
            Function::Sigmoid => sigmoid(x),
            Function::Tanh => x.tanh(),
            Function::Erf => libm::erf(x),
            Function::Gelu { approximate: false } => {
                0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
            }
            Function::Gelu { approximate: true } => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Function::Elu { alpha } => elu(x, alpha.into()),
            Function::Selu { alpha, gamma } => f64::from(gamma) * elu(x, alpha.into()),
            Function::Celu { alpha } => {
                let alpha = f64::from(alpha);
                if x > 0.0 { x } else { alpha * (x / alpha).exp_m1() }
            }
            Function::Softplus => softplus(x),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Swish => x * sigmoid(x),
            Function::Mish => x * softplus(x).tanh(),
            Function::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
            Function::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Function::LeakyRelu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(alpha) * x
                }
            }
            Function::ThresholdedRelu { alpha } => {
                if x <= f64::from(alpha) {
                    0.0
                } else {
                    x
                }
            }
            Function::Floor => x.floor(),
            Function::Ceil => x.ceil(),
            Function::Round => x.round_ties_even(),
            Function::Truncate => x.trunc(),
            Function::Sign => {
                if x == 0.0 || x.is_nan() {
                    x
                } else {
                    x.signum()
                }
            }
            Function::Sin => x.sin(),
            Function::Cos => x.cos(),
            Function::Tan => x.tan(),
            Function::Asin => x.asin(),
            Function::Acos => x.acos(),
            Function::Atan => x.atan(),
            Function::Sinh => x.sinh(),
            Function::Cosh => x.cosh(),
            Function::Asinh => x.asinh(),
            Function::Acosh => x.acosh(),
            Function::Atanh => x.atanh(),
            Function::Power { exponent } => x.powf(exponent.into()),
            Function::Shrink { lambda, bias } => {
                let (lambda, bias) = (f64::from(lambda), f64::from(bias));
                if x < -lambda {
                    x + bias
                } else if x > lambda {
                    x - bias
                } else {
                    // Keeps a NaN.
                    x * 0.0
                }
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 }
}

impl Function {
    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        Ok(x.to_vec())
    }

    pub(super) fn evaluate(&self, inputs: &[&Array]) -> Result<Array, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        Array::new(x.shape.clone(), x.data.iter().map(|&v| self.at(v.into()) as f32).collect())
    }
}
