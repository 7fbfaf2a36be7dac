//! The catalogue of functions.

use cryptflow_graph::operations::{End, catalogue};
use cryptflow_graph::{Function, Range};

#[test]
fn titles_tell_entries_apart() {
    let titles: std::collections::BTreeSet<&str> = catalogue().map(|f| f.entry().title).collect();
    assert_eq!(titles.len(), catalogue().count());
}

/// What an entry says of its function is so, at many numbers.
#[test]
fn entries_agree_with_their_values() {
    for function in catalogue() {
        let (low, high) = function.entry().shown;
        for (low, high) in [(low, high), (low, (low + high) / 2.0), ((low + high) / 2.0, high)] {
            let image = function.image(Range { low, high });
            for i in 0..=1000 {
                let y = function.at(low + (high - low) * f64::from(i) / 1000.0);
                assert!(image.low <= y && y <= image.high, "{}: {y}", function.name());
            }
        }
        assert!(function.at(f64::NAN).is_nan(), "{}", function.name());
        let (below, beyond) = function.domain().ends(true);
        for (end, outside) in [(below, -1e-9), (beyond, 1e-9)] {
            match end {
                End::Open => {}
                End::At(x) => {
                    assert!(function.at(x).is_finite() && function.at(x + outside).is_nan());
                }
                End::Pole(x) => assert!(function.at(x - outside).abs() > 10.0, "{}", function.name()),
            }
        }
    }
}

#[test]
fn parameters() {
    assert_eq!(Function::leaky_relu(0.5).with(&[0.25, 7.0]), Function::leaky_relu(0.25));
    assert_ne!(Function::leaky_relu(0.5), Function::elu(0.5));
    assert_eq!(Function::EXP.with(&[1.0]), Function::EXP);
    assert_eq!(Function::power(0.5).simplest(), Function::SQRT);
}
