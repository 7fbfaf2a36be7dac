//! The simulated TEE, verified by the code that verifies genuine evidence: what is accepted, and
//! each way to be refused.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::simulated::{self, SVN_UP_TO_DATE, Settings, SimulatedTee, SimulatedTrust};
use crate::{
    Attester as _, Collateral, Evidence, Policy, Refusal, ReportData, Role, Roots, TcbStatus, TeeKind,
    Verifier, hex,
};

const MEASUREMENT: [u8; 32] = [0xab; 32];
const PLATFORM: [u8; 16] = [0xcd; 16];
const DATA: ReportData = ReportData([0x5a; 64]);
const HOUR: Duration = Duration::from_secs(3600);

fn honest() -> Settings {
    Settings { measurement: MEASUREMENT, debug: false, svn: SVN_UP_TO_DATE, platform: PLATFORM }
}

fn policy(more: &str) -> Policy {
    let text = format!(
        "version = 1\n\
         [insecure-simulated-tee]\ninsecure_allow = true\n\
         [[party.p0.insecure-simulated]]\nmrenclave = \"{listed}\"\n\
         [[party.p1.insecure-simulated]]\nmrenclave = \"{other}\"\n\
         [[party.p2.sgx]]\nmrenclave = \"{listed}\"\n\
         {more}",
        listed = hex::encode(&MEASUREMENT),
        other = hex::encode(&[1; 32]),
    );
    Policy::parse(&text).unwrap()
}

struct Case {
    what: &'static str,
    settings: fn(&mut Settings),
    policy: &'static str,
    change: fn(Evidence) -> Evidence,
    data: ReportData,
    role: Role,
    /// Hours after the collateral was issued; it is valid for 100.
    at: i64,
    refused: Expected,
}

/// None: it is accepted.
type Expected = Option<fn(&Refusal) -> bool>;

fn accepted(what: &'static str) -> Case {
    Case { refused: None, ..case(what, |_| false) }
}

fn case(what: &'static str, refused: fn(&Refusal) -> bool) -> Case {
    Case {
        what,
        settings: |_| {},
        policy: "",
        change: |evidence| evidence,
        data: DATA,
        role: Role::Party(0),
        at: 1,
        refused: Some(refused),
    }
}

fn flip(evidence: Evidence, at: usize) -> Evidence {
    match evidence {
        Evidence::InsecureSimulated { mut quote } => {
            quote[at] ^= 1;
            Evidence::InsecureSimulated { quote }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_case() {
    let signature: fn(&Refusal) -> bool = |refusal| matches!(refusal, Refusal::Signature { .. });
    let cases = [
        accepted("honest"),
        case("flipped: version", |r| matches!(r, Refusal::Malformed { .. })).with_flip(|e| flip(e, 0)),
        case("flipped: CPUSVN", signature).with_flip(|e| flip(e, 48)),
        case("flipped: MRENCLAVE", signature).with_flip(|e| flip(e, 48 + 64)),
        case("flipped: report data", signature).with_flip(|e| flip(e, 48 + 320)),
        case("flipped: signature", signature).with_flip(|e| flip(e, 436)),
        case("flipped: attestation key", signature).with_flip(|e| flip(e, 500)),
        case("flipped: quoting enclave's report", signature).with_flip(|e| flip(e, 564)),
        case("flipped: its signature", signature).with_flip(|e| flip(e, 948)),
        Case {
            change: |e| match e {
                Evidence::InsecureSimulated { quote } => {
                    Evidence::InsecureSimulated { quote: quote[..1000].to_vec() }
                }
                other => other,
            },
            ..case("cut off", |r| matches!(r, Refusal::Malformed { .. }))
        },
        Case {
            settings: |s| s.measurement = [1; 32],
            ..case("another program", |r| matches!(r, Refusal::Measurement { role: Role::Party(0), .. }))
        },
        Case {
            role: Role::Party(1),
            ..case("P1's measurement is another", |r| matches!(r, Refusal::Measurement { .. }))
        },
        Case {
            data: ReportData([0; 64]),
            ..case("made for something else", |r| matches!(r, Refusal::Binding { role: Role::Party(0) }))
        },
        Case {
            role: Role::Party(2),
            ..case("P2 may run on SGX only", |r| {
                matches!(r, Refusal::TeeNotAllowed { role: Role::Party(2), tee: TeeKind::InsecureSimulated })
            })
        },
        Case {
            role: Role::Client,
            ..case("clients prove nothing", |r| matches!(r, Refusal::UnknownRole { .. }))
        },
        Case { settings: |s| s.debug = true, ..case("debug", |r| matches!(r, Refusal::Debug { .. })) },
        Case {
            settings: |s| s.svn = SVN_UP_TO_DATE - 2,
            ..case(
                "out of date",
                |r| matches!(r, Refusal::Tcb { status: TcbStatus::OutOfDate, advisories, .. } if advisories.len() == 2),
            )
        },
        Case {
            settings: |s| s.svn = SVN_UP_TO_DATE - 3,
            ..case("older than any level", |r| matches!(r, Refusal::Tcb { status: TcbStatus::OutOfDate, .. }))
        },
        Case {
            settings: |s| s.svn = SVN_UP_TO_DATE - 1,
            ..case("hardening needed", |r| {
                matches!(r, Refusal::Tcb { status: TcbStatus::SWHardeningNeeded, .. })
            })
        },
        Case {
            settings: |s| s.svn = SVN_UP_TO_DATE - 1,
            policy: "[tcb]\nallow_status = [\"UpToDate\", \"SWHardeningNeeded\"]",
            ..case(
                "hardening allowed, advisory not",
                |r| matches!(r, Refusal::Advisory { advisories, .. } if *advisories == ["SIMULATED-SA-00001"]),
            )
        },
        Case {
            settings: |s| s.svn = SVN_UP_TO_DATE - 1,
            policy: "[tcb]\nallow_status = [\"SWHardeningNeeded\"]\n\
                     [[tcb.accept_advisory]]\nid = \"SIMULATED-SA-00001\"\nreason = \"a test\"",
            ..accepted("hardening and advisory allowed")
        },
        Case {
            policy: "[tcb]\nmin_evaluation_number = 21",
            ..case("old assessment", |r| matches!(r, Refusal::EvaluationNumber { found: 20, wanted: 21, .. }))
        },
        Case {
            policy: "[platform]\nallow = [\"00000000000000000000000000000000\"]",
            ..case("another machine", |r| matches!(r, Refusal::Platform { id, .. } if *id == PLATFORM))
        },
        Case {
            policy: "[platform]\nallow = [\"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\"]",
            ..accepted("a listed machine")
        },
        Case { at: 101, ..case("expired", |r| matches!(r, Refusal::CollateralExpired { .. })) },
        Case { at: -1, ..case("not valid yet", |r| matches!(r, Refusal::CollateralNotYetValid { .. })) },
        Case {
            at: 50,
            policy: "[freshness]\ncollateral_max_age_hours = 24",
            ..case("older than the policy wants", |r| {
                matches!(r, Refusal::CollateralTooOld { age_hours: 50, allowed_hours: 24, .. })
            })
        },
        Case {
            change: |e| match e {
                Evidence::InsecureSimulated { quote } => Evidence::Sgx { quote },
                other => other,
            },
            role: Role::Party(2),
            // The collateral of real verifiers has no such platforms.
            ..case("said to be genuine", |r| matches!(r, Refusal::CollateralMissing { .. }))
        },
    ];
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    simulated::create(dir.path(), now).unwrap();
    let collateral = simulated::collateral(dir.path(), now, now + 100 * HOUR).unwrap();
    let trust = SimulatedTrust::open(dir.path()).unwrap().with_collateral(collateral);
    for case in cases {
        let mut settings = honest();
        (case.settings)(&mut settings);
        let tee = SimulatedTee::with_settings(dir.path(), settings).unwrap();
        let evidence = (case.change)(tee.evidence(&DATA).unwrap());
        let roots = Roots::manufacturers().with_insecure_simulated(trust.clone());
        let verifier = Verifier::new(policy(case.policy), Collateral::default(), roots);
        let time = match u32::try_from(case.at) {
            Ok(hours) => now + HOUR * hours,
            Err(_) => now - HOUR,
        };
        match verifier.verify(&evidence, &case.data, case.role, time) {
            Ok(appraisal) => {
                assert!(case.refused.is_none(), "{}: accepted", case.what);
                assert!(appraisal.simulated);
                assert_eq!(appraisal.tee, TeeKind::InsecureSimulated);
                assert_eq!(appraisal.platform_id, PLATFORM);
                assert!(appraisal.to_string().contains("SIMULATED"), "{appraisal}");
            }
            Err(refusal) => {
                let named = case.refused.is_some_and(|named| named(&refusal));
                assert!(named, "{}: {refusal} ({refusal:?})", case.what);
            }
        }
    }
}

impl Case {
    fn with_flip(mut self, change: fn(Evidence) -> Evidence) -> Case {
        self.change = change;
        self
    }
}

/// A verifier needs the root, and a policy that allows it; and a root of its own is not another's.
#[test]
fn three_permissions() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let now = SystemTime::now();
    simulated::create(dir.path(), now).unwrap();
    simulated::create(other.path(), now).unwrap();
    let evidence = SimulatedTee::with_settings(dir.path(), honest()).unwrap().evidence(&DATA).unwrap();
    let judge = |policy: Policy, root: Option<&Path>| {
        let mut roots = Roots::manufacturers();
        if let Some(root) = root {
            roots = roots.with_insecure_simulated(SimulatedTrust::open(root).unwrap());
        }
        let verifier = Verifier::new(policy, Collateral::default(), roots);
        verifier.verify(&evidence, &DATA, Role::Party(0), now + Duration::from_secs(1))
    };
    assert!(judge(policy(""), Some(dir.path())).is_ok());
    assert!(matches!(judge(policy(""), None), Err(Refusal::SimulatedNotAllowed { .. })));
    assert!(matches!(judge(policy(""), Some(other.path())), Err(Refusal::Signature { .. })));
    let strict = format!(
        "version = 1\n[[party.p0.sgx]]\nmrenclave = \"{m}\"\n[[party.p1.sgx]]\nmrenclave = \"{m}\"\n[[party.p2.sgx]]\nmrenclave = \"{m}\"",
        m = hex::encode(&MEASUREMENT)
    );
    let strict = Policy::parse(&strict).unwrap();
    assert!(matches!(judge(strict, Some(dir.path())), Err(Refusal::SimulatedNotAllowed { .. })));
}

/// The default measurement is the executable's; the collateral can be renewed, with the same root;
/// evidence travels.
#[test]
fn this_process() {
    let dir = tempfile::tempdir().unwrap();
    simulated::create(dir.path(), SystemTime::now() - 48 * HOUR).unwrap();
    let root = std::fs::read(dir.path().join("root.der")).unwrap();
    simulated::create(dir.path(), SystemTime::now()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("root.der")).unwrap(), root);
    let tee = SimulatedTee::open(dir.path()).unwrap();
    assert_eq!(tee.measurement(), simulated::measure(&std::env::current_exe().unwrap()).unwrap());
    let text = format!(
        "version = 1\n[insecure-simulated-tee]\ninsecure_allow = true\n[freshness]\ncollateral_max_age_hours = 1\n{}",
        [0, 1, 2]
            .map(|party| format!(
                "[[party.p{party}.insecure-simulated]]\nmrenclave = \"{}\"\n",
                hex::encode(&tee.measurement())
            ))
            .concat()
    );
    let roots = Roots::manufacturers().with_insecure_simulated(SimulatedTrust::open(dir.path()).unwrap());
    let verifier = Verifier::new(Policy::parse(&text).unwrap(), Collateral::default(), roots);
    let evidence = tee.evidence(&DATA).unwrap();
    let bytes = postcard::to_stdvec(&evidence).unwrap();
    assert!(bytes.len() < crate::evidence::MAX_EVIDENCE);
    let received: Evidence = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(received, evidence);
    let json = serde_json::to_vec(&evidence).unwrap();
    assert_eq!(Evidence::from_file_bytes(&json).unwrap(), evidence);
    let appraisal = verifier.verify(&received, &DATA, Role::Party(2), SystemTime::now()).unwrap();
    assert_eq!(appraisal.status, TcbStatus::UpToDate);
}
