//! ONNX's own tests of its operators: as floats, on plain integers, and by three parties over
//! Mirror and Porthos.
//!
//! Some dozens are committed, and always run. All 1,884 run where `CRYPTFLOW_ONNX_NODES` names the
//! file into which `models/conformance/onnx_nodes.py` has packed them. An operator that is not
//! supported must say why; none may give a wrong answer. Inputs that an operator needs to be public
//! become constants of the model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod judge;
#[path = "../common/whole.rs"]
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use case::{Case, Cases};
use cryptflow_import::Framework;
use cryptflow_import::docs::entries;
use judge::{Verdict, judge};
use prost::Message;

const WAYS: [&str; 4] = ["floats", "Clear", "Mirror", "Porthos"];

fn read(path: &Path) -> Vec<Case> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Cases::decode(bytes.as_slice()).unwrap().case
}

/// A verdict for each way, for each test; a panic is a failure.
fn verdicts(cases: &[Case]) -> Vec<[Verdict; 4]> {
    let one = |case: &Case| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(case))).unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".into());
            [(); 4].map(|()| Verdict::Failed(format!("panicked: {text}")))
        })
    };
    cases.iter().map(one).collect()
}

/// Prints how many there are of each, and why; returns how many failed.
fn report(cases: &[Case], verdicts: &[[Verdict; 4]]) -> usize {
    let mut failed = 0;
    for (way, name) in WAYS.iter().enumerate() {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (case, verdict) in cases.iter().zip(verdicts) {
            let kind = match &verdict[way] {
                Verdict::Passed(secret) => format!("passed, {secret:?} secret"),
                Verdict::Known => "passed, known when compiling".into(),
                Verdict::Unsupported(reason) => {
                    reasons.entry(reason.clone()).or_default().push(&case.name);
                    "unsupported".into()
                }
                Verdict::Failed(reason) => {
                    failed += 1;
                    println!("FAILED {name}: {} ({}): {reason}", case.name, case.operator());
                    "failed".into()
                }
            };
            *counts.entry(kind).or_default() += 1;
        }
        let passed: usize = counts.iter().filter(|(k, _)| k.starts_with("passed")).map(|(_, n)| n).sum();
        println!("\n{name}: {passed} of {} passed; {counts:?}", cases.len());
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        for (reason, names) in reasons {
            let some =
                names.iter().take(4).map(|n| n.trim_start_matches("test_")).collect::<Vec<_>>().join(", ");
            println!(
                "  unsupported, {}: {reason} [{some}{}]",
                names.len(),
                if names.len() > 4 { ", …" } else { "" }
            );
        }
    }
    failed
}

#[test]
fn the_committed_ones() {
    let cases = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx_nodes.pb"));
    assert!(cases.len() >= 40);
    let verdicts = verdicts(&cases);
    assert_eq!(report(&cases, &verdicts), 0);
    for (case, verdict) in cases.iter().zip(&verdicts) {
        let fine = matches!(verdict[0], Verdict::Passed(_) | Verdict::Known);
        assert!(fine, "{}: {:?}", case.name, verdict[0]);
    }
}

/// Operators without a test of their own there, or with one of what no secret is, or whose test shows the grid itself;
/// `models/testgraphs/onnx_models.py` and the importer's tests have them.
const TESTED_ELSEWHERE: [&str; 43] = [
    "GlobalLpPool",
    "IsInf",
    "IsNaN",
    "DynamicQuantizeLinear",
    "QLinearConv",
    // Those of `ai.onnx.ml`.
    "ArrayFeatureExtractor",
    "Binarizer",
    "FeatureVectorizer",
    "Imputer",
    "LabelEncoder",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
    "OneHotEncoder",
    "SVMClassifier",
    "SVMRegressor",
    "Scaler",
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    "ZipMap",
    // Those of ONNX Runtime.
    "QLinearAdd",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearLeakyRelu",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "QLinearConcat",
    "QGemm",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
    "MatMulNBits",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "EmbedLayerNormalization",
    "FastGelu",
    "BiasGelu",
    "QuickGelu",
    "FusedMatMul",
    "MultiHeadAttention",
    "GroupQueryAttention",
];

/// Those on the page of operations of which no test passes.
fn untested(cases: &[Case], verdicts: &[[Verdict; 4]]) -> Vec<&'static str> {
    let passes = |verdict: &Verdict| matches!(verdict, Verdict::Passed(_) | Verdict::Known);
    let tested: BTreeSet<&str> = cases
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| passes(&verdict[0]))
        .flat_map(|(case, _)| case.operators())
        .chain(TESTED_ELSEWHERE)
        .collect();
    let entries = entries().into_iter().filter(|entry| entry.framework == Framework::Onnx);
    entries.map(|entry| entry.name).filter(|name| !tested.contains(name)).collect()
}

#[test]
fn all_of_them() {
    let Some(path) = std::env::var_os("CRYPTFLOW_ONNX_NODES").map(PathBuf::from) else {
        println!("skipped: CRYPTFLOW_ONNX_NODES names no file");
        return;
    };
    let cases = read(&path);
    let verdicts = verdicts(&cases);
    let unexplained = verdicts
        .iter()
        .flatten()
        .filter(|v| matches!(v, Verdict::Unsupported(reason) if reason.is_empty()))
        .count();
    assert_eq!((report(&cases, &verdicts), unexplained), (0, 0), "failed, and unsupported without a reason");
    assert_eq!(
        untested(&cases, &verdicts),
        [""; 0],
        "on the page of operations, but without a test that passes"
    );
}
