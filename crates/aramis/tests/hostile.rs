//! Evidence and collateral that somebody made up: whatever the bytes, there is a verdict, and never
//! another one than the genuine bytes have.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::collateral::IntelCollateral;
use crate::simulated::{self, Settings, SimulatedTee, SimulatedTrust};
use crate::{
    Appraisal, Attester as _, Collateral, Evidence, Policy, Refusal, ReportData, Role, Roots, Verifier, hex,
};

const JULY: Duration = Duration::from_secs(1_751_328_000);

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/genuine").join(name)).unwrap()
}

/// A verifier that accepts `evidence`, and what it says of it.
struct Accepting {
    verifier: Verifier,
    evidence: Evidence,
    data: ReportData,
    now: SystemTime,
    appraisal: Appraisal,
}

impl Accepting {
    fn new(
        evidence: Evidence,
        collateral: Collateral,
        roots: Roots,
        now: SystemTime,
        rule: &str,
    ) -> Accepting {
        let parties: String =
            [0, 1, 2].map(|party| rule.replace("PARTY", &format!("party.p{party}"))).concat();
        let text = format!(
            "version = 1\n[insecure-simulated-tee]\ninsecure_allow = true\n[freshness]\ncollateral_max_age_hours = 10000\n\
             [tcb]\nallow_smt = true\nallow_dynamic_platform = true\nallow_cached_keys = true\n{parties}"
        );
        let verifier = Verifier::new(Policy::parse(&text).unwrap(), collateral, roots);
        let data = evidence.contents().unwrap().report_data;
        let appraisal = verifier.verify(&evidence, &data, Role::Party(0), now).unwrap();
        Accepting { verifier, evidence, data, now, appraisal }
    }

    fn tdx() -> Accepting {
        let collateral = serde_json::from_slice(&file("tdx_quote_collateral.json")).unwrap();
        let collateral =
            Collateral { intel: vec![IntelCollateral::new(collateral).unwrap()], ..Collateral::default() };
        let evidence = Evidence::Tdx { quote: file("tdx_quote") };
        let registers = match evidence.contents().unwrap().measurement {
            crate::Measurement::TrustDomain { mrtd, rtmr: [r0, r1, r2, r3], .. } => format!(
                "[[PARTY.tdx]]\nmrtd = \"{mrtd}\"\nrtmr0 = \"{r0}\"\nrtmr1 = \"{r1}\"\nrtmr2 = \"{r2}\"\nrtmr3 = \"{r3}\"\n"
            ),
            other => panic!("{other}"),
        };
        Accepting::new(evidence, collateral, Roots::manufacturers(), UNIX_EPOCH + JULY, &registers)
    }

    fn simulated() -> Accepting {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        simulated::create(dir.path(), now).unwrap();
        let settings = Settings { measurement: [0xab; 32], ..Settings::of_this_process().unwrap() };
        let tee = SimulatedTee::with_settings(dir.path(), settings).unwrap();
        let roots = Roots::manufacturers().with_insecure_simulated(SimulatedTrust::open(dir.path()).unwrap());
        let rule = format!("[[PARTY.insecure-simulated]]\nmrenclave = \"{}\"\n", hex::encode(&[0xab; 32]));
        let evidence = tee.evidence(&ReportData([9; 64])).unwrap();
        Accepting::new(evidence, Collateral::default(), roots, now + Duration::from_secs(1), &rule)
    }

    fn judge(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<Appraisal, Refusal> {
        let mut evidence = self.evidence.clone();
        match &mut evidence {
            Evidence::Sgx { quote } | Evidence::Tdx { quote } | Evidence::InsecureSimulated { quote } => {
                change(quote)
            }
            Evidence::Snp { report, .. } => change(report),
        }
        let _ = evidence.contents();
        self.verifier.verify(&evidence, &self.data, Role::Party(0), self.now)
    }

    /// Refused, or (where the bytes do not count, as in the last certificate of a chain) what the
    /// genuine bytes are.
    fn check(&self, verdict: Result<Appraisal, Refusal>) {
        if let Ok(appraisal) = verdict {
            assert_eq!(appraisal, self.appraisal);
        }
    }
}

/// SplitMix64: the same bytes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % bound as u64) as usize
    }
}

#[test]
fn changed_quotes() {
    let mut random = Random(1);
    for accepting in [Accepting::tdx(), Accepting::simulated()] {
        for case in 0..300 {
            let verdict = accepting.judge(|bytes| {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
                if case % 3 == 0 {
                    bytes.truncate(random.below(bytes.len()));
                }
            });
            accepting.check(verdict);
        }
    }
}

/// Every byte of what is signed counts: header, report, and the signatures themselves.
#[test]
fn every_signed_byte() {
    let accepting = Accepting::simulated();
    // Header and report; length of what follows; signature, key, quoting enclave's report and
    // signature, authentication data.
    for at in 0..432 + 4 + 64 + 64 + 384 + 64 + 2 + 32 {
        let verdict = accepting.judge(|bytes| bytes[at] ^= 0x10);
        assert!(verdict.is_err(), "byte {at}");
    }
}

#[test]
fn bytes_that_are_nothing() {
    let accepting = Accepting::tdx();
    let mut random = Random(2);
    for _ in 0..300 {
        let length = if random.below(4) == 0 { 1184 } else { random.below(1500) };
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        if let Ok(evidence) = Evidence::from_file_bytes(&bytes) {
            let _ = evidence.contents();
        }
        let judged = [
            Evidence::Tdx { quote: bytes.clone() },
            Evidence::InsecureSimulated { quote: bytes.clone() },
            Evidence::Snp { report: bytes.clone(), certificates: bytes.clone() },
        ];
        for evidence in judged {
            let _ = evidence.contents();
            let verdict =
                accepting.verifier.verify(&evidence, &accepting.data, Role::Party(0), accepting.now);
            assert!(verdict.is_err());
        }
    }
}
