//! Functions in integers: how far they are off, and how many pieces they take.

use cryptflow_athos::functions::{Form, Wanted, breaks, form};
use cryptflow_graph::Function;

struct Case {
    function: Function,
    low: f64,
    high: f64,
}

fn cases() -> Vec<Case> {
    let case = |function, low, high| Case { function, low, high };
    vec![
        case(Function::SIGMOID, -20.0, 20.0),
        case(Function::TANH, -9.0, 9.0),
        case(Function::ERF, -5.0, 5.0),
        case(Function::GELU, -12.0, 12.0),
        case(Function::GELU_TANH, -12.0, 12.0),
        case(Function::SWISH, -30.0, 30.0),
        case(Function::MISH, -15.0, 15.0),
        case(Function::SOFTPLUS, -15.0, 15.0),
        case(Function::SOFTSIGN, -8.0, 8.0),
        case(Function::elu(1.0), -10.0, 10.0),
        case(Function::HARD_SWISH, -8.0, 8.0),
        case(Function::hard_sigmoid(0.2, 0.5), -8.0, 8.0),
        case(Function::leaky_relu(0.1), -8.0, 8.0),
        case(Function::thresholded_relu(1.0), -8.0, 8.0),
        case(Function::shrink(1.0, 0.5), -8.0, 8.0),
        case(Function::EXP, -40.0, 2.0),
        case(Function::LOG, 0.02, 20.0),
        case(Function::SQRT, 0.0, 16.0),
        case(Function::RSQRT, 0.01, 16.0),
        case(Function::RECIPROCAL, 0.1, 16.0),
        case(Function::RECIPROCAL, -16.0, -0.1),
        case(Function::SIN, -7.0, 7.0),
        case(Function::ATAN, -9.0, 9.0),
        case(Function::power(1.5), 0.0, 4.0),
        case(Function::FLOOR, -20.0, 20.0),
        case(Function::CEIL, -20.0, 20.0),
        case(Function::ROUND, -20.0, 20.0),
        case(Function::TRUNCATE, -20.0, 20.0),
        case(Function::SIGN, -20.0, 20.0),
    ]
}

fn with<T>(case: &Case, scale: u32, f: impl FnOnce(&Wanted<'_>, &Form) -> T) -> T {
    let unit = (-f64::from(scale)).exp2();
    let (low, high) = ((case.low / unit).ceil() as i64, (case.high / unit).floor() as i64);
    let at = |x: f64| case.function.at(x);
    let breaks = breaks(case.function, low, high, unit, 0).unwrap();
    let (elements, bits_per_round) = (1 << 20, 600_000);
    let wanted =
        Wanted { at: &at, low, high, from_scale: scale, to_scale: scale, breaks, elements, bits_per_round };
    f(&wanted, &form(&wanted).unwrap())
}

/// Operands densely over the range, each of them where there are few, and those beside every
/// threshold.
fn operands(wanted: &Wanted<'_>, form: &Form) -> Vec<i64> {
    let step = ((wanted.high - wanted.low) / 10_000).max(1);
    let mut all: Vec<i64> = (wanted.low..=wanted.high).step_by(step as usize).collect();
    if let Form::Table(table) = form {
        all.extend(table.thresholds.iter().flat_map(|&t| [t - 1, t]));
    }
    all
}

#[test]
fn errors_are_below_what_is_stated() {
    for case in cases() {
        for scale in [8, 13, 20] {
            with(&case, scale, |wanted, form| {
                let unit = (-f64::from(scale)).exp2();
                let name = format!("{} at {scale} bits", case.function.name());
                let stated = form.largest_error(wanted, wanted.low, wanted.high);
                let bounds = form.bounds();
                for x in operands(wanted, form) {
                    let (y, want) = (form.at(x), case.function.at(x as f64 * unit));
                    let error = (y as f64 * unit - want).abs();
                    // The grid on which the error is stated is coarser: an eighth more.
                    assert!(error <= 1.125 * stated, "{name}: off by {error} at {x}, stated {stated}");
                    assert!(
                        bounds.low <= y && y <= bounds.high,
                        "{name}: {y} at {x} is outside of {bounds:?}"
                    );
                }
            });
        }
    }
}

/// Half a unit of approximation, one of rounding; where a function is steep, half of what a
/// unit of the operand makes.
#[test]
fn errors_are_of_the_order_of_a_unit() {
    for case in cases() {
        for scale in [10, 14] {
            with(&case, scale, |wanted, form| {
                let unit = (-f64::from(scale)).exp2();
                for x in operands(wanted, form) {
                    let at = |x: i64| case.function.at(x as f64 * unit);
                    let (before, after) = ((x - 1).max(wanted.low), (x + 1).min(wanted.high));
                    let steep = (at(after) - at(x)).abs().max((at(x) - at(before)).abs());
                    let error = (form.at(x) as f64 * unit - at(x)).abs();
                    let allowed = 2.0 * unit + steep;
                    let name = case.function.name();
                    assert!(
                        error <= allowed,
                        "{name} at {scale} bits: off by {error} at {x}, {allowed} allowed"
                    );
                }
            });
        }
    }
}

#[test]
fn cheap_where_a_function_is_simple() {
    // Function, range, pieces, degree.
    let table: [(Function, f64, usize, usize); 6] = [
        (Function::leaky_relu(0.1), 8.0, 2, 1),
        (Function::hard_sigmoid(0.25, 0.5), 8.0, 1, 2),
        (Function::HARD_SWISH, 8.0, 1, 2),
        (Function::SIGN, 8.0, 3, 0),
        (Function::FLOOR, 4.0, 9, 0),
        (Function::thresholded_relu(1.0), 8.0, 2, 1),
    ];
    for (function, reach, pieces, degree) in table {
        with(&Case { function, low: -reach, high: reach }, 12, |_, form| {
            assert_eq!((form.pieces(), form.degree()), (pieces, degree), "{}", function.name());
        });
    }
    for (function, low, high, most) in [
        (Function::SIGMOID, -16.0, 16.0, 8),
        (Function::GELU, -12.0, 12.0, 8),
        (Function::EXP, -20.0, 0.0, 5),
        (Function::RSQRT, 0.01, 16.0, 16),
    ] {
        with(&Case { function, low, high }, 12, |_, form| {
            assert!(form.pieces() <= most, "{}: {} pieces", function.name(), form.pieces());
        });
    }
}

#[test]
fn too_many_integers_are_no_table() {
    assert!(breaks(Function::FLOOR, 0, 1 << 30, 1.0 / 4096.0, 0).is_none());
}

/// Functions that are smooth where they are not flat or a ReLU are one polynomial: no comparison picks its
/// coefficients.
#[test]
fn one_polynomial_where_a_function_is_smooth() {
    // Function, range, degree at most.
    for (function, low, high, most) in [
        (Function::GELU, -47.0, 47.0, 12),
        (Function::GELU_TANH, -47.0, 47.0, 12),
        (Function::SWISH, -47.0, 47.0, 16),
        (Function::SOFTPLUS, -47.0, 47.0, 12),
        (Function::EXP, -13.0, 0.0, 12),
        (Function::EXP, -50.0, 0.0, 12),
    ] {
        with(&Case { function, low, high }, 14, |_, form| {
            let name = function.name();
            assert!(matches!(form, Form::Curve(_)), "{name}: {} pieces", form.pieces());
            assert!(form.degree() <= most, "{name}: a polynomial of degree {}", form.degree());
        });
    }
}
