//! The unit cases of the first CrypTFlow's compiler, those that it skipped too (made by
//! `models/conformance/athos_cases.py`): as floats, on plain integers, over Mirror and over
//! Porthos, against TensorFlow, to two decimals as there.

use crate::tensorflow_cases::Cases;

#[test]
fn all_cases_agree_with_tensorflow() {
    let cases = Cases::read("athos_cases.npz");
    assert_eq!(cases.members.len(), 132);
    let failed = cases.failures();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.members.len(), failed.join("\n"));
}
