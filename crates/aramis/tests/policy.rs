//! Policies: defaults, mistakes, digests.

use crate::hex::Hex;
use crate::policy::{Freshness, Policy, SgxRule};
use crate::{Role, TcbStatus};

const M: &str = "abababababababababababababababababababababababababababababababab";

fn minimal() -> String {
    format!(
        "version = 1\n[[party.p0.sgx]]\nmrenclave = \"{M}\"\n[[party.p1.sgx]]\nmrenclave = \"{M}\"\n\
         [[party.p2.sgx]]\nmrsigner = \"{M}\"\nprod_id = 1\nmin_svn = 3\n"
    )
}

#[test]
fn the_defaults_are_strict() {
    let policy = Policy::parse(&minimal()).unwrap();
    assert_eq!(policy.tcb.allow_status.iter().copied().collect::<Vec<_>>(), [TcbStatus::UpToDate]);
    assert!(policy.tcb.accept_advisory.is_empty());
    assert!(!policy.tcb.allow_smt && !policy.tcb.allow_dynamic_platform && !policy.tcb.allow_cached_keys);
    assert!(!policy.simulated.insecure_allow);
    assert_eq!(policy.freshness, Freshness { collateral_max_age_hours: 168, reattest_seconds: 600 });
    assert_eq!(policy.party(Role::Party(1)).unwrap().sgx, [SgxRule::Enclave(Hex([0xab; 32]))]);
    assert!(policy.party(Role::Party(3)).is_none() && policy.party(Role::Client).is_none());
}

#[test]
fn mistakes_are_told() {
    let minimal = minimal();
    let with = |more: &str| format!("{minimal}{more}");
    let cases = [
        ("", "version"),
        ("version = 1", "party"),
        (&minimal.replace("version = 1", "version = 2"), "version 2"),
        (
            &minimal
                .replace(&format!("[[party.p2.sgx]]\nmrsigner = \"{M}\"\nprod_id = 1\nmin_svn = 3\n"), ""),
            "p2",
        ),
        (&minimal.replace("min_svn = 3", ""), "mrsigner, prod_id and min_svn"),
        (&minimal.replace("[[party.p2.sgx]]", "[[party.p2.sgx]]\nmrenclave = \"00\""), "64 are needed"),
        (&minimal.replacen("mrenclave", "mrenclav", 1), "mrenclav"),
        (&minimal.replacen("abab", "xbab", 1), "'x'"),
        (&with("[tpc]"), "tpc"),
        (&with("[tcb]\nallow_status = [\"UpToDat\"]"), "UpToDat"),
        (&with("[tcb]\nallow_status = [\"Revoked\"]"), "Revoked cannot be allowed"),
        (&with("[[tcb.accept_advisory]]\nid = \"INTEL-SA-00001\""), "reason"),
        (&with("[[tcb.accept_advisory]]\nid = \"INTEL-SA-00001\"\nreason = \" \""), "without a reason"),
        (
            &with(
                "[[tcb.accept_advisory]]\nid = \"A\"\nreason = \"x\"\n[[tcb.accept_advisory]]\nid = \"A\"\nreason = \"y\"",
            ),
            "twice",
        ),
        (&with("[tcb.snp.milano]"), "milano"),
        (&with("[platform]\nallow = []"), "empty"),
        (&with("[freshness]\ncollateral_max_age_hours = 0"), "zero"),
        (&with("[freshness]\nreattest_seconds = 0"), "zero"),
        (&with("[insecure-simulated-tee]\nallow = true"), "allow"),
        (&with(&format!("[[party.p0.insecure-simulated]]\nmrenclave = \"{M}\"")), "insecure_allow"),
        (&with(&format!("[[party.p0.snp]]\nmeasurement = \"{}\"", "0".repeat(96))), "[tcb.snp.milan]"),
        (&with(&format!("[[party.p0.tdx]]\nmrtd = \"{}\"", "0".repeat(96))), "rtmr0"),
    ];
    for (text, expected) in cases {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected:?} is not in: {error}");
    }
    // With the place.
    let error = Policy::parse(&minimal.replacen("abab", "xbab", 1)).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
}

#[test]
fn the_digest_is_of_the_meaning() {
    let text = format!(
        "version = 1\n[[party.p0.sgx]]\nmrenclave = \"{M}\"\n[[party.p0.sgx]]\nmrenclave = \"{z}\"\n\
         [[party.p1.sgx]]\nmrenclave = \"{M}\"\n[[party.p2.sgx]]\nmrenclave = \"{M}\"\n\
         [tcb]\nallow_status = [\"UpToDate\", \"OutOfDate\"]\nmin_evaluation_number = 7\n\
         [[tcb.accept_advisory]]\nid = \"A\"\nreason = \"a\"\n[[tcb.accept_advisory]]\nid = \"B\"\nreason = \"b\"\n",
        z = "0".repeat(64)
    );
    let digest = Policy::parse(&text).unwrap().digest();
    let same = [
        format!("# a comment\n{text}\n\n"),
        text.replace(M, &M.to_uppercase()),
        text.replace("\"UpToDate\", \"OutOfDate\"", "\"OutOfDate\", \"UpToDate\""),
        text.replace("\"A\"\nreason = \"a\"", "\"C\"")
            .replace("\"B\"\nreason = \"b\"", "\"A\"\nreason = \"a\"")
            .replace("\"C\"", "\"B\"\nreason = \"b\""),
        format!(
            "{}[[party.p0.sgx]]\nmrenclave = \"{M}\"\n",
            text.replacen(&format!("[[party.p0.sgx]]\nmrenclave = \"{M}\"\n"), "", 1)
        ),
        format!("{text}[freshness]\nreattest_seconds = 600\n"),
        Policy::parse(&text).unwrap().to_toml().unwrap(),
    ];
    for text in same {
        assert_eq!(Policy::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).digest(), digest, "{text}");
    }
    let other = [
        text.replace("min_evaluation_number = 7", "min_evaluation_number = 8"),
        text.replace("\"UpToDate\", \"OutOfDate\"", "\"UpToDate\""),
        text.replace("reason = \"b\"", "reason = \"c\""),
        text.replacen(M, &"1".repeat(64), 1),
        text.replace("party.p1", "party.px")
            .replace("party.p2", "party.p1")
            .replace("party.px", "party.p2")
            .replacen(M, &"2".repeat(64), 1),
        format!("{text}[freshness]\nreattest_seconds = 601\n"),
        format!("{text}[platform]\nallow = [\"00\"]\n"),
        format!("{text}[insecure-simulated-tee]\ninsecure_allow = true\n"),
    ];
    for text in other {
        assert_ne!(Policy::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).digest(), digest, "{text}");
    }
}
