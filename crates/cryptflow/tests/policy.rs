//! Policies from measurements.

use cryptflow::attest::policy::{Recipe, write};
use cryptflow_aramis::hex::Hex;
use cryptflow_aramis::policy::{Product, SgxRule};

fn recipe(parties: &[&str]) -> Recipe {
    Recipe { parties: parties.iter().map(|text| (*text).to_owned()).collect(), ..Recipe::default() }
}

#[test]
fn recipes() {
    let m = "ab".repeat(32);
    let all = [format!("p0=sgx:{m}"), format!("p1=sgx:{m}"), format!("p2=sgx:{m}")];
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let policy = write(&recipe(&all)).unwrap();
    assert_eq!(policy.party.p2.sgx, [SgxRule::Enclave(Hex([0xab; 32]))]);
    let more = Recipe {
        allow_status: vec!["SWHardeningNeeded".to_owned()],
        accept_advisory: vec!["INTEL-SA-00615 = alone on the machine".to_owned()],
        snp_minimum: vec!["turin=1,2,3,4,5".to_owned()],
        ..recipe(&all)
    };
    let policy = write(&more).unwrap();
    assert_eq!(policy.tcb.allow_status.len(), 2);
    assert_eq!(policy.tcb.accept_advisory.first().unwrap().reason, "alone on the machine");
    assert_eq!(policy.tcb.snp.get(&Product::Turin).unwrap().fmc, 5);

    let long = format!("p0=snp:{}", "0".repeat(96));
    let simulated = format!("p0=insecure-simulated:{m}");
    let wrong: [(Recipe, &str); 11] = [
        (recipe(&[]), "party.p0"),
        (recipe(&all[..2]), "party.p2"),
        (recipe(&["p3=sgx:00"]), "p3"),
        (recipe(&["p0"]), "p0=WHAT"),
        (recipe(&["p0=sgx:00"]), "64 are needed"),
        (recipe(&["p0=/no/such/file"]), "/no/such/file"),
        (recipe(&["p0=tdx:00"]), "five registers"),
        (recipe(&[&long, all[1], all[2]]), "tcb.snp"),
        (recipe(&[&simulated, all[1], all[2]]), "insecure_allow"),
        (Recipe { allow_status: vec!["Fine".to_owned()], ..recipe(&all) }, "Fine"),
        (Recipe { snp_minimum: vec!["turin=1,2,3,4".to_owned()], ..recipe(&all) }, "FMC"),
    ];
    for (recipe, expected) in wrong {
        let error = write(&recipe).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected:?} is not in: {error}");
    }
}
