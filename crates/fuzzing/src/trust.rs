//! What decides whom to trust, and what a party keeps.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use cryptflow::attest::measure;
use cryptflow_aramis::collateral::IntelCollateral;
use cryptflow_aramis::hex;
use cryptflow_aramis::{Collateral, Evidence, Measurement, Policy, ReportData, Role, Roots, Verifier};
use cryptflow_party::config::Config;
use cryptflow_party::deployment::{CHANGED, Deployment, Part};
use cryptflow_party::holding::Held;
use cryptflow_party::store::{Store, read_part, restrict, write_part};
use cryptflow_party::versions::{Content, Version};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::Identity;

use crate::{read, write};

const GENUINE: &str = "crates/aramis/tests/genuine";

pub(crate) fn policy(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::parse(text) {
        // What was read can be written, and means the same.
        Ok(policy) => {
            assert_eq!(Policy::parse(&policy.to_toml().unwrap()).unwrap().digest(), policy.digest())
        }
        Err(error) => drop(error.to_string()),
    }
}

/// A policy that lists this trust domain and a guest, for every party.
fn policy_text(measured: &Measurement) -> String {
    let Measurement::TrustDomain { mrtd, rtmr: [r0, r1, r2, r3], .. } = measured else {
        panic!("{measured}")
    };
    let guest = "00".repeat(48);
    let parties: String = ["p0", "p1", "p2"]
        .map(|party| {
            format!(
                "[[party.{party}.tdx]]\nmrtd = \"{mrtd}\"\nrtmr0 = \"{r0}\"\nrtmr1 = \"{r1}\"\nrtmr2 = \"{r2}\"\nrtmr3 = \"{r3}\"\n\
                 [[party.{party}.snp]]\nmeasurement = \"{guest}\"\n[[party.{party}.sgx]]\nmrenclave = \"{}\"\n",
                "ab".repeat(32)
            )
        })
        .concat();
    format!(
        "version = 1\n[freshness]\ncollateral_max_age_hours = 10000\n[tcb]\nallow_smt = true\nallow_dynamic_platform = true\n\
         allow_cached_keys = true\n[tcb.snp.milan]\nbootloader = 1\ntee = 0\nsnp = 1\nmicrocode = 1\n[tcb.snp.genoa]\nbootloader = 1\n\
         tee = 0\nsnp = 1\nmicrocode = 1\n{parties}"
    )
}

fn tdx() -> Evidence {
    Evidence::Tdx { quote: read(&format!("{GENUINE}/tdx_quote")) }
}

pub(crate) fn policies() -> Vec<Vec<u8>> {
    let text = policy_text(&tdx().contents().unwrap().measurement);
    Policy::parse(&text).unwrap();
    vec![text.into_bytes()]
}

fn intel(name: &str) -> IntelCollateral {
    let json = read(&format!("{GENUINE}/{name}_collateral.json"));
    IntelCollateral::new(serde_json::from_slice(&json).unwrap()).unwrap()
}

/// Collateral for all genuine evidence.
fn genuine_collateral() -> Collateral {
    let mut all = Collateral { intel: vec![intel("tdx_quote"), intel("sgx_quote")], ..Collateral::default() };
    for (product, name) in [
        (cryptflow_aramis::policy::Product::Milan, "milan"),
        (cryptflow_aramis::policy::Product::Genoa, "genoa"),
    ] {
        let amd = cryptflow_aramis::collateral::AmdCollateral {
            fetched: 1_751_328_000,
            crl: read(&format!("{GENUINE}/crl_{name}.der")),
            ..Default::default()
        };
        all.amd.insert(product, amd);
    }
    all
}

fn judge(evidence: &Evidence, collateral: Collateral) {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let policy =
        POLICY.get_or_init(|| Policy::parse(&policy_text(&tdx().contents().unwrap().measurement)).unwrap());
    let data = evidence.contents().map_or(ReportData([0; 64]), |contents| contents.report_data);
    let verifier = Verifier::new(policy.clone(), collateral, Roots::manufacturers());
    let now = UNIX_EPOCH + Duration::from_secs(1_751_328_000);
    if let Err(refusal) = verifier.verify(evidence, &data, Role::Party(0), now) {
        drop(refusal.to_string());
    }
}

pub(crate) fn evidence(bytes: &[u8], _: &Path) {
    static COLLATERAL: OnceLock<Collateral> = OnceLock::new();
    if let Ok(evidence) = Evidence::from_file_bytes(bytes) {
        judge(&evidence, COLLATERAL.get_or_init(genuine_collateral).clone());
    }
}

pub(crate) fn quotes() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        ["tdx_quote", "sgx_quote", "tdx_quote_td15ex", "report_genoa.bin", "report_milan.hex"]
            .iter()
            .map(|name| read(&format!("{GENUINE}/{name}")))
            .collect();
    let snp = Evidence::Snp {
        report: read(&format!("{GENUINE}/report_genoa.bin")),
        certificates: certificate_tables().remove(0),
    };
    all.push(serde_json::to_vec(&snp).unwrap());
    all
}

/// The host's table of certificates beside a genuine report.
pub(crate) fn certificates(bytes: &[u8], _: &Path) {
    static COLLATERAL: OnceLock<Collateral> = OnceLock::new();
    let report = read(&format!("{GENUINE}/report_genoa.bin"));
    let evidence = Evidence::Snp { report, certificates: bytes.to_vec() };
    judge(&evidence, COLLATERAL.get_or_init(genuine_collateral).clone());
}

/// Entries of a GUID, an offset and a length; an empty one; the certificates.
pub(crate) fn certificate_tables() -> Vec<Vec<u8>> {
    // 63da758d-e664-4564-adc5-f4b93be8accd: VCEK.
    const VCEK: [u8; 16] =
        [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd];
    ["genoa", "milan"]
        .map(|name| {
            let certificate = read(&format!("{GENUINE}/vcek_{name}.der"));
            let mut table = VCEK.to_vec();
            table.extend(48u32.to_le_bytes());
            table.extend((certificate.len() as u32).to_le_bytes());
            table.extend([0; 24]);
            table.extend(certificate);
            table
        })
        .to_vec()
}

pub(crate) fn collateral(bytes: &[u8], _: &Path) {
    match Collateral::from_json(bytes) {
        Ok(collateral) => judge(&tdx(), collateral),
        Err(error) => drop(error.to_string()),
    }
}

pub(crate) fn collaterals() -> Vec<Vec<u8>> {
    vec![genuine_collateral().to_json().unwrap().into_bytes()]
}

pub(crate) fn firmware(bytes: &[u8], folder: &Path) {
    let path = folder.join("OVMF.fd");
    write(&path, bytes);
    let guest = measure::Guest {
        ovmf: path,
        kernel: None,
        initrd: None,
        append: None,
        vcpus: 1,
        vcpu_type: "EPYC".into(),
        guest_features: 1,
    };
    if let Err(error) = measure::guest(&guest) {
        drop(error.to_string());
    }
}

pub(crate) fn firmwares() -> Vec<Vec<u8>> {
    vec![read("crates/cryptflow/tests/data/ovmf_AmdSev_suffix.bin")]
}

/// A key and its certificate in a folder.
fn keys(folder: &Path) -> Identity {
    let (certificate, key) = (folder.join("site.cert.pem"), folder.join("site.key.pem"));
    if !key.exists() {
        let made = rcgen::generate_simple_self_signed(vec!["site".to_owned()]).unwrap();
        write(&certificate, made.cert.pem().as_bytes());
        write(&key, made.signing_key.serialize_pem().as_bytes());
        restrict(&key, 0o600).unwrap();
    }
    Identity::read(&certificate, &key).unwrap()
}

pub(crate) fn site(bytes: &[u8], folder: &Path) {
    keys(folder);
    let path = folder.join("cryptflow.toml");
    write(&path, bytes);
    match Config::read(&path) {
        Ok(config) => drop(config.known()),
        Err(error) => drop(error.to_string()),
    }
}

pub(crate) fn sites() -> Vec<Vec<u8>> {
    let party = |i: u8| {
        let digits = format!("{i:02x}").repeat(32);
        format!("[p{i}]\nname = \"site {i}\"\naddress = \"p{i}.example:7843\"\nfingerprint = \"{digits}\"\n")
    };
    let text = format!(
        "[site]\nrole = \"client\"\ncertificate = \"site.cert.pem\"\nkey = \"site.key.pem\"\nlisten = \"0.0.0.0:7843\"\n{}{}{}\
         [clients.alice]\nfingerprint = \"{}\"\nmay = [\"deploy\", \"predict\"]\nmodels = [\"m\"]\n\
         [session]\nprotocols = [\"mirror\"]\ndeadline_seconds = 30.5\nidle_seconds = 600\nmax_sessions = 2\nmemory_mb = 900.5\nmax_waiting = 9\ndrain_seconds = 7\n\
         [attestation]\npolicy = \"policy.toml\"\ncollateral = \"collateral.json\"\n",
        party(0),
        party(1),
        party(2),
        "ff".repeat(32)
    );
    vec![text.into_bytes()]
}

/// A certificate, beside a key that is its own at first.
pub(crate) fn identity(bytes: &[u8], folder: &Path) {
    keys(folder);
    for (certificate, key) in [("changed.pem", "site.key.pem"), ("site.cert.pem", "changed.pem")] {
        write(&folder.join("changed.pem"), bytes);
        restrict(&folder.join("changed.pem"), 0o600).unwrap();
        if let Err(error) = Identity::read(&folder.join(certificate), &folder.join(key)) {
            drop(error.to_string());
        }
    }
}

pub(crate) fn identities() -> Vec<Vec<u8>> {
    let made = rcgen::generate_simple_self_signed(vec!["site".to_owned()]).unwrap();
    vec![made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes()]
}

pub(crate) fn part(bytes: &[u8], folder: &Path) {
    let path = folder.join("m.part");
    write(&path, bytes);
    match read_part(&path, 1) {
        Ok(part) => {
            if let Ok(program) = part.deployment.parse() {
                let _ = part.check(1, &program, CHANGED);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

pub(crate) fn parts() -> Vec<Vec<u8>> {
    let path = std::env::temp_dir().join(format!("cryptflow-fuzzing-{}.part", std::process::id()));
    let program = String::from_utf8(read("crates/fuzzing/seeds/program.json")).unwrap();
    let deployment = Deployment {
        name: "m".into(),
        program,
        protocol: ProtocolName::Mirror,
        commitments: vec![[1; 32]; 3],
    };
    let (salts, weights) = (vec![[9; 32], [8; 32]], vec![vec![1; 30], Vec::new(), vec![2; 7]]);
    write_part(&path, 1, &Part { deployment, salts, weights }).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    vec![bytes]
}

/// A record of a version, as a party keeps it beside the parts of a model.
pub(crate) fn version(bytes: &[u8], folder: &Path) {
    let store = Store::open(&folder.join("store"), 1).unwrap();
    let model = folder.join("store/m.model");
    std::fs::create_dir_all(&model).unwrap();
    write(&model.join("3.version"), bytes);
    match store.kept("m") {
        Ok(kept) => {
            for kept in kept {
                assert_eq!((kept.version.generation, kept.committed), (3, true));
                // What was read can be written, and means the same.
                let written = serde_json::to_vec(&kept.version).unwrap();
                assert_eq!(serde_json::from_slice::<Version>(&written).unwrap(), kept.version);
            }
        }
        Err(error) => drop(error.to_string()),
    }
    drop(store.current("m").map_err(|error| error.to_string()));
    drop(store.models().unwrap());
}

pub(crate) fn versions() -> Vec<Vec<u8>> {
    let held = vec![Held { deployment: [1; 32], certificate: vec![2; 90], signature: vec![3; 70] }; 3];
    let deployed = Content::Deployed { digest: [1; 32], protocol: ProtocolName::Mirror, bytes: 407 };
    [deployed, Content::Removed]
        .map(|content| {
            let (client, held) = ("alice".into(), held.clone());
            let version = Version { generation: 3, content, time: 1, client, owner: [4; 32], held };
            serde_json::to_vec_pretty(&version).unwrap()
        })
        .into()
}

pub(crate) fn audit(bytes: &[u8], _: &Path) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(log) = cryptflow_party::audit::check(text)
    {
        drop(cryptflow_party::audit::compare(&[log.clone(), log]));
    }
}

pub(crate) fn audits() -> Vec<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("cryptflow-fuzzing-audit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("audit.jsonl");
    let audit = cryptflow_party::Audit::open(&path, keys(&folder)).unwrap();
    let head = audit.begin(0, serde_json::json!({})).unwrap();
    let shown = serde_json::json!({ "party": 1, "digest": hex::encode(&head.digest), "signature": hex::encode(&head.signature) });
    audit.write("ended", serde_json::json!({ "session": "00", "heads": [shown] })).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let torn = [&whole[..], &whole[..20]].concat();
    vec![whole, torn]
}
