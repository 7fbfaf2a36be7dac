//! Aramis with parties that do not cheat: what it shows, and that it goes on.

use crate::sites::{Sites, cryptflow, outcome};

#[test]
fn every_protocol_runs_attested_and_says_what_was_proved() {
    let mut sites = Sites::new(true);
    sites.start();
    for protocol in ["mirror", "porthos-exact", "porthos"] {
        sites.deploy(protocol).unwrap();
        let report = sites.predict().unwrap();
        let session = &report["session"];
        assert_eq!(session["security"], "insecure-simulated");
        // Nothing was proved by a simulation, and everything that shows a result says so.
        assert_eq!(session["insecure_simulated_tee"], true);
        assert_eq!(session["evidence"].as_array().unwrap().len(), 3);
        assert!(session["evidence"].as_array().unwrap().iter().all(|e| e["simulated"] == true), "{session}");
    }
    let status = outcome(sites.client(&["status"])).unwrap();
    assert!(status.contains("INSECURE"), "{status}");
    for party in 0..3 {
        let log = std::fs::read_to_string(sites.site(&format!("p{party}")).join("audit.jsonl")).unwrap();
        assert!(log.contains("SIMULATED") && log.contains("INSECURE simulated TEE"), "{log}");
        assert!(sites.log(party).contains("INSECURE"), "{}", sites.log(party));
    }
}

/// When it starts, a party leaves evidence for those who write policies, fetch collateral, or look.
#[test]
fn a_party_leaves_evidence_in_its_store() {
    let mut sites = Sites::new(true);
    sites.start();
    for index in 0..3 {
        sites.await_log(index, "hardware says of this program");
        let evidence = sites.site(&format!("p{index}")).join("store/evidence.json");
        let (policy, tee) = (sites.folder.path().join("policy.toml"), sites.tee());
        let [evidence, policy, tee] = [&evidence, &policy, &tee].map(|path| path.to_str().unwrap());
        let verify = ["attest", "verify", evidence, "--policy", policy, "--insecure-simulated-tee", tee];
        let verdict = outcome(cryptflow(&verify)).unwrap();
        assert!(verdict.contains("accepted for P0, P1, P2: INSECURE simulated TEE"), "{verdict}");
    }
}

/// Evidence is asked for again between two batches.
#[test]
fn evidence_is_renewed_at_the_interval_of_the_policy() {
    let mut sites = Sites::new(true);
    sites.write_policy(1, &[]);
    sites.start();
    sites.deploy("mirror").unwrap();
    let mut session = crate::fork::open(&sites, &[0, 1, 2]).unwrap();
    session.batch().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    session.renew().unwrap();
    session.batch().unwrap();
    session.finish().unwrap();
}

#[test]
fn who_does_not_agree_on_the_policy_takes_no_part() {
    // A client without a policy, with parties that demand one, and the other way round; a party
    // with another policy.
    let mut sites = Sites::new(true);
    sites.start();
    sites.deploy("mirror").unwrap();
    let mine = std::fs::read_to_string(sites.config("client")).unwrap();
    sites.edit("client", "[attestation]\npolicy = \"../policy.toml\"\n", "");
    sites.attested = false;
    let error = sites.predict().unwrap_err();
    assert!(error.contains("runs attested sessions only"), "{error}");

    sites.attested = true;
    let policy = sites.folder.path().join("policy.toml");
    let other = std::fs::read_to_string(&policy).unwrap().replace("= 600", "= 601");
    std::fs::write(sites.folder.path().join("other.toml"), other).unwrap();
    std::fs::write(sites.config("client"), mine.replace("policy.toml", "other.toml")).unwrap();
    let error = sites.predict().unwrap_err();
    assert!(error.contains("different attestation policies"), "{error}");
    let status = outcome(sites.client(&["status"])).unwrap_err();
    assert!(status.contains("its attestation policy is not this client's"), "{status}");

    // Comments and order do not matter: what the policy says is the same.
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(sites.folder.path().join("other.toml"), format!("# a comment\n{text}")).unwrap();
    sites.predict().unwrap();
}

#[test]
fn a_party_without_hardware_does_not_start() {
    let sites = Sites::new(true);
    let config = sites.config("p0");
    let error =
        outcome(crate::sites::cryptflow(&["party", "--config", config.to_str().unwrap()])).unwrap_err();
    assert!(error.contains("runs in no trusted hardware"), "{error}");
}

#[test]
fn simulated_evidence_is_refused_by_who_was_not_told_to_accept_it() {
    let mut sites = Sites::new(true);
    sites.start();
    sites.deploy("mirror").unwrap();
    let (_, input) = crate::common::write(sites.folder.path(), 3);
    let config = sites.config("client");
    let arguments =
        ["predict", "tiny", "--input", input.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let error = outcome(crate::sites::cryptflow(&arguments)).unwrap_err();
    assert!(error.contains("--insecure-simulated-tee"), "{error}");
    // The parties' operators learn who has refused, and what.
    for party in 0..3 {
        let said = format!("refuses: the evidence of P{party} is refused");
        sites.await_log(party, &said);
        let log = std::fs::read_to_string(sites.site(&format!("p{party}")).join("audit.jsonl")).unwrap();
        let ended = log.lines().find(|line| line.contains("\"event\":\"ended\""));
        assert!(ended.is_some_and(|line| line.contains(&said)), "{log}");
    }
}
