//! Every TensorFlow operation on the page of operations (cases made by
//! `models/conformance/operation_cases.py`): as floats, on plain integers, over Mirror and over
//! Porthos, against TensorFlow.

use cryptflow_import::Framework;
use cryptflow_import::docs::entries;

use crate::tensorflow_cases::Cases;

#[test]
fn every_operation_has_a_case() {
    let cases = Cases::read("tensorflow_operations.npz");
    let has_case = |name: &str| {
        let mut names = cases.members.keys();
        names.any(|case| case.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
    };
    let entries = entries();
    let of_tensorflow = entries.iter().filter(|entry| entry.framework == Framework::TensorFlow);
    let missing: Vec<&str> = of_tensorflow.map(|entry| entry.name).filter(|name| !has_case(name)).collect();
    assert!(missing.is_empty(), "models/conformance/operation_cases.py makes no case of {missing:?}");
}

#[test]
fn all_cases_agree_with_tensorflow() {
    let cases = Cases::read("tensorflow_operations.npz");
    let failed = cases.failures();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.members.len(), failed.join("\n"));
}
