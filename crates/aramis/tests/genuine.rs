//! Genuine evidence, as manufacturers signed it and other projects publish it
//! (`tests/genuine/README.md`): it passes at a time in its window, with the status and the
//! advisories that it carries, and each change is refused with a name of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::collateral::{AmdCollateral, DerBytes, IntelCollateral};
use crate::policy::Product;
use crate::{
    Collateral, Contents, Evidence, Measurement, Policy, Refusal, ReportData, Role, Roots, TcbStatus,
    TeeKind, Verifier, hex,
};

/// 2025-07-01, in the windows of `sgx_quote`, `tdx_quote` and `crl_milan.der`.
const JULY: u64 = 1_751_328_000;
/// 2026-03-01, in the window of `tdx_quote_outdated`.
const MARCH: u64 = 1_772_323_200;
/// 2026-10-20, in the window of `tdx_quote_td15ex`.
const OCTOBER: u64 = 1_792_454_400;
const DAY: u64 = 24 * 3600;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/genuine").join(name)).unwrap()
}

fn intel(name: &str) -> Collateral {
    let collateral = serde_json::from_slice(&file(name)).unwrap();
    Collateral { intel: vec![IntelCollateral::new(collateral).unwrap()], ..Collateral::default() }
}

fn sgx() -> (Evidence, Collateral) {
    (Evidence::Sgx { quote: file("sgx_quote") }, intel("sgx_quote_collateral.json"))
}

fn tdx() -> (Evidence, Collateral) {
    (Evidence::Tdx { quote: file("tdx_quote") }, intel("tdx_quote_collateral.json"))
}

fn tdx_v5() -> (Evidence, Collateral) {
    (Evidence::Tdx { quote: file("tdx_quote_td15ex") }, intel("tdx_quote_td15ex_collateral.json"))
}

fn tdx_outdated() -> (Evidence, Collateral) {
    (Evidence::Tdx { quote: file("tdx_quote_outdated") }, intel("tdx_quote_outdated_collateral.json"))
}

fn amd(report: Vec<u8>, product: Product, name: &str) -> (Evidence, Collateral) {
    let chip = hex::encode(&report[0x1a0..0x1e0]);
    let vcek = BTreeMap::from([(chip, DerBytes(file(&format!("vcek_{name}.der"))))]);
    let amd = AmdCollateral { fetched: JULY - DAY, crl: file(&format!("crl_{name}.der")), vcek };
    let collateral = Collateral { amd: BTreeMap::from([(product, amd)]), ..Collateral::default() };
    (Evidence::Snp { report, certificates: Vec::new() }, collateral)
}

fn milan() -> (Evidence, Collateral) {
    let report = hex::decode(std::str::from_utf8(&file("report_milan.hex")).unwrap()).unwrap();
    amd(report, Product::Milan, "milan")
}

fn genoa() -> (Evidence, Collateral) {
    amd(file("report_genoa.bin"), Product::Genoa, "genoa")
}

/// A rule for exactly what the evidence measured.
fn rule(contents: &Contents) -> (&'static str, String) {
    match &contents.measurement {
        Measurement::Enclave { mrenclave, .. } => ("sgx", format!("mrenclave = \"{mrenclave}\"")),
        Measurement::TrustDomain { mrtd, rtmr: [r0, r1, r2, r3], .. } => (
            "tdx",
            format!(
                "mrtd = \"{mrtd}\"\nrtmr0 = \"{r0}\"\nrtmr1 = \"{r1}\"\nrtmr2 = \"{r2}\"\nrtmr3 = \"{r3}\""
            ),
        ),
        Measurement::Guest { measurement, .. } => ("snp", format!("measurement = \"{measurement}\"")),
    }
}

const SNP_MINIMUM: &str = "[tcb.snp.milan]\nbootloader = 3\ntee = 0\nsnp = 8\nmicrocode = 115\n\
                           [tcb.snp.genoa]\nbootloader = 10\ntee = 0\nsnp = 23\nmicrocode = 84\n";

/// P0 and P1 may run what the evidence shows, P2 something else of the same kind.
fn policy(evidence: &Evidence, tcb: &str, more: &str) -> Policy {
    let (kind, rule) = rule(&evidence.contents().unwrap());
    let digits = rule.chars().filter(char::is_ascii_hexdigit).count();
    assert!(digits > 64);
    let other: String = rule
        .lines()
        .map(|line| {
            line.split_once('"').unwrap().0.to_owned()
                + "\""
                + &"0".repeat(line.split('"').nth(1).unwrap().len())
                + "\"\n"
        })
        .collect();
    let smt = if tcb.contains("allow_smt") { "" } else { "allow_smt = true\n" };
    let minimum = if kind == "snp" { SNP_MINIMUM } else { "" };
    let text = format!(
        "version = 1\n[[party.p0.{kind}]]\n{rule}\n[[party.p1.{kind}]]\n{rule}\n[[party.p2.{kind}]]\n{other}\n\
         [freshness]\ncollateral_max_age_hours = 10000\n[tcb]\nallow_dynamic_platform = true\nallow_cached_keys = true\n{smt}{tcb}\n{minimum}\n{more}"
    );
    Policy::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn accept(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("[[tcb.accept_advisory]]\nid = \"{id}\"\nreason = \"a test\"\n")).collect()
}

#[test]
fn passes_with_what_it_carries() {
    type Good = (
        &'static str,
        fn() -> (Evidence, Collateral),
        &'static str,
        TcbStatus,
        &'static [&'static str],
        u64,
        &'static str,
    );
    let cases: [Good; 5] = [
        (
            "sgx",
            sgx,
            "allow_status = [\"ConfigurationAndSWHardeningNeeded\"]",
            TcbStatus::ConfigurationAndSWHardeningNeeded,
            &["INTEL-SA-00289", "INTEL-SA-00615"],
            JULY,
            "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb",
        ),
        (
            "tdx",
            tdx,
            "",
            TcbStatus::UpToDate,
            &[],
            JULY,
            "91eb2b44d141d4ece09f0c75c2c53d247a3c68edd7fafe8a3520c942a604a407de03ae6dc5f87f27428b2538873118b7",
        ),
        (
            "snp",
            milan,
            "",
            TcbStatus::AtLeastMinimum,
            &[],
            JULY,
            "7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81841f",
        ),
        (
            "tdx, version 5",
            tdx_v5,
            "",
            TcbStatus::UpToDate,
            &[],
            OCTOBER,
            "2a674327c50218dba880066b349b8d559d749ed68dce33fd651c184a877d084b07a9e583767a7ad5da13ed91deec2b70",
        ),
        (
            "snp, version 3",
            genoa,
            "allow_smt = false",
            TcbStatus::AtLeastMinimum,
            &[],
            JULY,
            "572db4d3f521386bec1c76346f9c913431f2f257c9c09d604c1259b108a686ae0d277f31899a73098b41b556dc70a5fb",
        ),
    ];
    for (what, evidence, tcb, status, advisories, time, measured) in cases {
        let (evidence, collateral) = evidence();
        let contents = evidence.contents().unwrap();
        let policy = policy(&evidence, tcb, &accept(advisories));
        let verifier = Verifier::new(policy, collateral, Roots::manufacturers());
        let appraisal = verifier
            .verify(&evidence, &contents.report_data, Role::Party(0), at(time))
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(appraisal.status, status, "{what}");
        assert_eq!(appraisal.advisories.iter().map(String::as_str).collect::<Vec<_>>(), advisories, "{what}");
        assert!(appraisal.measurement.to_string().contains(measured), "{what}: {appraisal}");
        assert_eq!(appraisal.measurement, contents.measurement, "{what}");
        assert_eq!(appraisal.platform_id, contents.platform_id, "{what}");
        assert!(!appraisal.simulated, "{what}");
        assert_eq!(appraisal.tee, evidence.tee(), "{what}");
    }
}

struct Case {
    what: &'static str,
    evidence: fn() -> (Evidence, Collateral),
    change: fn(&mut Vec<u8>),
    collateral: fn(&mut Collateral),
    tcb: &'static str,
    accepted: &'static [&'static str],
    more: &'static str,
    role: Role,
    other_data: bool,
    at: u64,
    refused: fn(&Refusal) -> bool,
}

fn case(what: &'static str, evidence: fn() -> (Evidence, Collateral), refused: fn(&Refusal) -> bool) -> Case {
    Case {
        what,
        evidence,
        change: |_| {},
        collateral: |_| {},
        tcb: "allow_status = [\"UpToDate\", \"ConfigurationAndSWHardeningNeeded\"]",
        accepted: &["INTEL-SA-00289", "INTEL-SA-00615"],
        more: "",
        role: Role::Party(1),
        other_data: false,
        at: JULY,
        refused,
    }
}

fn flip(what: &'static str, evidence: fn() -> (Evidence, Collateral), change: fn(&mut Vec<u8>)) -> Case {
    Case { change, ..case(what, evidence, |r| matches!(r, Refusal::Signature { .. })) }
}

fn first(collateral: &mut Collateral) -> &mut dcap_qvl::QuoteCollateralV3 {
    &mut collateral.intel.first_mut().unwrap().quote_collateral
}

fn milan_entry(collateral: &mut Collateral) -> &mut AmdCollateral {
    collateral.amd.get_mut(&Product::Milan).unwrap()
}

fn bytes(evidence: &mut Evidence) -> &mut Vec<u8> {
    match evidence {
        Evidence::Sgx { quote } | Evidence::Tdx { quote } | Evidence::InsecureSimulated { quote } => quote,
        Evidence::Snp { report, .. } => report,
    }
}

fn refusals() -> Vec<Case> {
    let expired: fn(&Refusal) -> bool = |r| matches!(r, Refusal::CollateralExpired { .. });
    let early: fn(&Refusal) -> bool = |r| matches!(r, Refusal::CollateralNotYetValid { .. });
    let broken: fn(&Refusal) -> bool = |r| matches!(r, Refusal::CollateralBroken { .. });
    let missing: fn(&Refusal) -> bool = |r| matches!(r, Refusal::CollateralMissing { .. });
    let malformed: fn(&Refusal) -> bool = |r| matches!(r, Refusal::Malformed { .. });
    vec![
        // One bit, anywhere.
        flip("sgx: a reserved byte of the header", sgx, |q| q[30] ^= 1),
        flip("sgx: CPUSVN", sgx, |q| q[48] ^= 1),
        flip("sgx: debug bit", sgx, |q| q[48 + 48] ^= 2),
        flip("sgx: MRENCLAVE", sgx, |q| q[48 + 64] ^= 128),
        flip("sgx: report data", sgx, |q| q[48 + 383] ^= 1),
        flip("sgx: signature", sgx, |q| q[436 + 63] ^= 1),
        flip("sgx: attestation key", sgx, |q| q[500 + 40] ^= 1),
        flip("sgx: quoting enclave's report", sgx, |q| q[564 + 100] ^= 1),
        flip("sgx: quoting enclave's signature", sgx, |q| q[948 + 10] ^= 1),
        flip("sgx: authentication data", sgx, |q| q[1014] ^= 1),
        Case {
            // In the body of the first certificate, behind 27 characters of PEM; base64 of another
            // letter.
            change: |q| {
                let at = q.windows(5).position(|w| w == b"BEGIN").unwrap() + 400;
                q[at] = if q[at] == b'A' { b'B' } else { b'A' };
            },
            ..case("sgx: certificate", sgx, |r| {
                matches!(
                    r,
                    Refusal::Signature { .. } | Refusal::Malformed { .. } | Refusal::CollateralMissing { .. }
                )
            })
        },
        flip("tdx: MRTD", tdx, |q| q[48 + 136] ^= 1),
        flip("tdx: RTMR3", tdx, |q| q[48 + 472] ^= 1),
        flip("tdx: report data", tdx, |q| q[48 + 583] ^= 1),
        flip("tdx: debug bit", tdx, |q| q[48 + 120] ^= 1),
        flip("tdx: signature", tdx, |q| q[48 + 584 + 4] ^= 1),
        flip("tdx, version 5: number of the trust domain", tdx_v5, |q| q[54 + 649] ^= 1).at(OCTOBER),
        flip("snp: policy", milan, |r| r[0x0a] ^= 1),
        flip("snp: debug allowed", milan, |r| r[0x0a] ^= 8),
        flip("snp: measurement", milan, |r| r[0x90] ^= 1),
        flip("snp: report data", milan, |r| r[0x50] ^= 1),
        flip("snp: reported versions", milan, |r| r[0x180] ^= 1),
        flip("snp: signature, r", milan, |r| r[0x2a0] ^= 1),
        flip("snp: signature, s", milan, |r| r[0x2a0 + 72] ^= 1),
        Case { change: |r| r[0x18c] ^= 1, ..case("snp: a reserved byte", milan, malformed) },
        flip("snp: after the signature", milan, |r| r[1183] ^= 1),
        Case {
            collateral: |c| milan_entry(c).vcek.values_mut().for_each(|der| *der.0.last_mut().unwrap() ^= 1),
            ..flip("snp: the chip's certificate", milan, |_| {})
        },
        flip("snp, version 3: measurement", genoa, |r| r[0x90] ^= 1),
        flip("snp, version 3: report data", genoa, |r| r[0x8f] ^= 1),
        flip("snp, version 3: launch versions", genoa, |r| r[0x1f0] ^= 1),
        flip("snp, version 3: signature", genoa, |r| r[0x2a0 + 40] ^= 1),
        Case { collateral: |c| *c = milan().1, ..case("snp: another product's", genoa, missing) },
        // Not evidence at all.
        Case { change: |q| q.truncate(600), ..case("sgx: cut off", sgx, malformed) },
        Case { change: |q| q[0] = 9, ..case("sgx: another version", sgx, malformed) },
        Case { change: |q| *q = file("tdx_quote"), ..case("sgx: a quote of TDX", sgx, malformed) },
        Case { change: |r| r.truncate(1000), ..case("snp: cut off", milan, malformed) },
        Case { change: |r| r[0x48] |= 4, ..case("snp: signed by a provider's key", milan, malformed) },
        // Weaknesses.
        case("tdx: outdated", tdx_outdated, |r| {
            matches!(r, Refusal::Tcb { status: TcbStatus::OutOfDate, .. })
        })
        .at(MARCH),
        Case {
            tcb: "",
            ..case(
                "sgx: status not allowed",
                sgx,
                |r| matches!(r, Refusal::Tcb { status: TcbStatus::ConfigurationAndSWHardeningNeeded, advisories, .. } if advisories.len() == 2),
            )
        },
        Case {
            accepted: &["INTEL-SA-00289"],
            ..case(
                "sgx: advisory not accepted",
                sgx,
                |r| matches!(r, Refusal::Advisory { advisories, .. } if *advisories == ["INTEL-SA-00615"]),
            )
        },
        Case {
            tcb: "min_evaluation_number = 18",
            ..case("tdx: old assessment", tdx, |r| {
                matches!(r, Refusal::EvaluationNumber { found: 17, wanted: 18, .. })
            })
        },
        Case {
            more: "[platform]\nallow = [\"00\"]",
            ..case(
                "snp: another chip",
                milan,
                |r| matches!(r, Refusal::Platform { id, .. } if id.len() == 64),
            )
        },
        Case {
            more: "[platform]\nallow = [\"00000000000000000000000000000000\"]",
            ..case(
                "tdx: another machine",
                tdx,
                |r| matches!(r, Refusal::Platform { id, .. } if id.len() == 16),
            )
        },
        // Time.
        case("sgx: expired", sgx, expired).at(JULY + 30 * DAY),
        case("sgx: long expired", sgx, expired).at(JULY + 3 * 365 * DAY),
        case("sgx: before", sgx, early).at(JULY - 13 * DAY),
        case("tdx: expired", tdx, expired).at(JULY + 30 * DAY),
        case("tdx: before", tdx, early).at(JULY - 13 * DAY),
        case("snp: revocation list expired", milan, expired).at(JULY + 320 * DAY),
        case("snp: revocation list before", milan, early).at(JULY - 60 * DAY),
        case("snp: certificate expired", milan, expired).at(JULY + 5 * 365 * DAY),
        case("snp: certificate before", milan, early).at(JULY - 3 * 365 * DAY),
        // Collateral.
        Case { collateral: |c| c.intel.clear(), ..case("sgx: none", sgx, missing) },
        Case { collateral: |c| *c = sgx().1, ..case("tdx: another platform's", tdx, missing) },
        Case { collateral: |c| c.amd.clear(), ..case("snp: none", milan, missing) },
        Case {
            collateral: |c| milan_entry(c).vcek.clear(),
            ..case("snp: no certificate of the chip", milan, missing)
        },
        Case {
            collateral: |c| milan_entry(c).crl[400] ^= 1,
            ..case("snp: revocation list changed", milan, broken)
        },
        Case { collateral: |c| milan_entry(c).crl.clear(), ..case("snp: no revocation list", milan, broken) },
        Case {
            collateral: |c| first(c).pck_crl[300] ^= 1,
            ..case("sgx: revocation list changed", sgx, |r| {
                matches!(r, Refusal::CollateralBroken { .. } | Refusal::Signature { .. })
            })
        },
        Case {
            collateral: |c| first(c).root_ca_crl[250] ^= 1,
            ..case("sgx: root's revocation list changed", sgx, broken)
        },
        Case {
            collateral: |c| first(c).tcb_info = first(c).tcb_info.replace("\"OutOfDate\"", "\"UpToDate\""),
            ..case("sgx: TCB info changed", sgx, broken)
        },
        Case {
            collateral: |c| {
                first(c).qe_identity = first(c).qe_identity.replace("\"OutOfDate\"", "\"UpToDate\"")
            },
            ..case("sgx: quoting enclave's identity changed", sgx, broken)
        },
        // Something else.
        Case {
            role: Role::Party(2),
            ..case("sgx: another role's measurement", sgx, |r| {
                matches!(r, Refusal::Measurement { role: Role::Party(2), .. })
            })
        },
        Case {
            role: Role::Party(2),
            ..case("tdx: another role's measurement", tdx, |r| matches!(r, Refusal::Measurement { .. }))
        },
        Case {
            role: Role::Party(2),
            ..case("snp: another role's measurement", milan, |r| matches!(r, Refusal::Measurement { .. }))
        },
        Case {
            other_data: true,
            ..case("sgx: report data", sgx, |r| matches!(r, Refusal::Binding { role: Role::Party(1) }))
        },
        Case { other_data: true, ..case("tdx: report data", tdx, |r| matches!(r, Refusal::Binding { .. })) },
        Case {
            other_data: true,
            ..case("snp: report data", milan, |r| matches!(r, Refusal::Binding { .. }))
        },
        Case { role: Role::Client, ..case("sgx: client", sgx, |r| matches!(r, Refusal::UnknownRole { .. })) },
    ]
}

impl Case {
    fn at(mut self, time: u64) -> Case {
        self.at = time;
        self
    }
}

#[test]
fn each_change_is_refused_by_its_name() {
    for case in refusals() {
        let (mut evidence, mut collateral) = (case.evidence)();
        let expected = evidence.contents().unwrap().report_data;
        let policy = policy(&evidence, case.tcb, &(accept(case.accepted) + case.more));
        (case.change)(bytes(&mut evidence));
        (case.collateral)(&mut collateral);
        let expected = if case.other_data { ReportData([7; 64]) } else { expected };
        let verifier = Verifier::new(policy, collateral, Roots::manufacturers());
        match verifier.verify(&evidence, &expected, case.role, at(case.at)) {
            Ok(appraisal) => panic!("{}: accepted: {appraisal}", case.what),
            Err(refusal) => assert!((case.refused)(&refusal), "{}: {refusal} ({refusal:?})", case.what),
        }
    }
}

/// A chip that the policy has no versions for, or whose versions are too low, or whose threads
/// share cores.
#[test]
fn amd_versions_are_the_policys() {
    let (evidence, collateral) = milan();
    let data = evidence.contents().unwrap().report_data;
    let judge = |change: fn(String) -> String| {
        let text = change(policy(&evidence, "", "").to_toml().unwrap());
        let verifier =
            Verifier::new(Policy::parse(&text).unwrap(), collateral.clone(), Roots::manufacturers());
        verifier.verify(&evidence, &data, Role::Party(0), at(JULY))
    };
    assert!(judge(|text| text).is_ok());
    let outdated: [fn(String) -> String; 4] = [
        |text| text.replace("microcode = 115", "microcode = 116"),
        |text| text.replace("snp = 8", "snp = 9"),
        |text| text.replace("bootloader = 3", "bootloader = 4"),
        |text| text.replace("tcb.snp.genoa", "tcb.snp.turin").replace("tcb.snp.milan", "tcb.snp.genoa"),
    ];
    for change in outdated {
        assert!(matches!(
            judge(change),
            Err(Refusal::Tcb { tee: TeeKind::Snp, status: TcbStatus::OutOfDate, .. })
        ));
    }
    let smt = judge(|text| text.replace("allow_smt = true", "allow_smt = false"));
    assert!(matches!(smt, Err(Refusal::PlatformSetting { .. })), "{smt:?}");
    let vmpl = judge(|text| text.replace("vmpl = 0", "vmpl = 1"));
    assert!(matches!(vmpl, Err(Refusal::Measurement { .. })), "{vmpl:?}");
}

/// The platform of `tdx_quote` shares its cores between threads, can be extended, and has its keys
/// kept.
#[test]
fn settings_of_intels_platforms_are_the_policys() {
    let (evidence, collateral) = tdx();
    let data = evidence.contents().unwrap().report_data;
    let text = policy(&evidence, "", "").to_toml().unwrap();
    for (setting, named) in [
        ("allow_smt", "SMT"),
        ("allow_dynamic_platform", "further packages"),
        ("allow_cached_keys", "kept by Intel"),
    ] {
        let text = text.replace(&format!("{setting} = true"), &format!("{setting} = false"));
        let verifier =
            Verifier::new(Policy::parse(&text).unwrap(), collateral.clone(), Roots::manufacturers());
        match verifier.verify(&evidence, &data, Role::Party(0), at(JULY)) {
            Err(Refusal::PlatformSetting { setting, .. }) => assert!(setting.contains(named), "{setting}"),
            other => panic!("{setting}: {other:?}"),
        }
    }
}

/// The certificate of `sgx_quote` says nothing of these settings: what is not said may be.
#[test]
fn settings_that_a_certificate_leaves_out_are_refused_unless_allowed() {
    let (evidence, collateral) = sgx();
    let data = evidence.contents().unwrap().report_data;
    let status = "allow_status = [\"ConfigurationAndSWHardeningNeeded\"]\n";
    let accepted = accept(&["INTEL-SA-00289", "INTEL-SA-00615"]);
    let text = policy(&evidence, &format!("{status}{accepted}"), "").to_toml().unwrap();
    let judge = |text: &str| {
        let verifier =
            Verifier::new(Policy::parse(text).unwrap(), collateral.clone(), Roots::manufacturers());
        verifier.verify(&evidence, &data, Role::Party(0), at(JULY))
    };
    for setting in ["allow_smt", "allow_dynamic_platform", "allow_cached_keys"] {
        match judge(&text.replace(&format!("{setting} = true"), &format!("{setting} = false"))) {
            Err(Refusal::PlatformSetting { setting: said, .. }) => {
                assert!(said.contains("does not say whether") && said.contains(setting), "{said}");
            }
            other => panic!("{setting}: {other:?}"),
        }
    }
}

/// The host's table of certificates serves as well as the collateral, and cannot point outside of
/// itself.
#[test]
fn amd_certificate_in_the_hosts_table() {
    let (mut evidence, mut collateral) = milan();
    let data = evidence.contents().unwrap().report_data;
    let policy = policy(&evidence, "", "");
    milan_entry(&mut collateral).vcek.clear();
    let verifier = Verifier::new(policy, collateral, Roots::manufacturers());
    let der = file("vcek_milan.der");
    let mut table = hex::decode("63da758de6644564adc5f4b93be8accd").unwrap();
    table.extend(48u32.to_le_bytes());
    table.extend((der.len() as u32).to_le_bytes());
    table.extend([0; 24]);
    table.extend(&der);
    for (table, good) in
        [(table.clone(), true), (table[..500].to_vec(), false), (table[..24].to_vec(), false)]
    {
        let Evidence::Snp { certificates, .. } = &mut evidence else { panic!("not SNP") };
        *certificates = table;
        let verdict = verifier.verify(&evidence, &data, Role::Party(0), at(JULY));
        assert_eq!(verdict.is_ok(), good, "{verdict:?}");
    }
}
