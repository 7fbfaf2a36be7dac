//! `cryptflow attest`, as a person uses it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptflow_aramis::simulated::{Settings, SimulatedTee};
use cryptflow_aramis::{Attester as _, ReportData, hex};

const JULY: &str = "2025-07-01";

fn genuine(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aramis/tests/genuine").join(name);
    path.to_str().unwrap().to_owned()
}

/// Runs `cryptflow attest`; its standard output, or its standard error.
fn attest(arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cryptflow")).arg("attest").args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The whole way on the simulated TEE: a root, a measurement, a policy, evidence, a verdict.
#[test]
fn simulated() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (root, policy, program) = (text(&path("root")), text(&path("policy.toml")), text(&path("program")));
    let notice = attest(&["insecure-simulated-root", &root]).unwrap();
    assert!(notice.contains("INSECURE"), "{notice}");

    fs::write(&program, "a program").unwrap();
    let measured = attest(&["measure", &program]).unwrap();
    let what = measured.lines().find_map(|line| line.strip_prefix("policy     ")).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&attest(&["measure", &program, "--json"]).unwrap()).unwrap();
    assert_eq!(json["kind"], "insecure-simulated");
    assert_eq!(what, format!("insecure-simulated:{}", json["mrenclave"].as_str().unwrap()));

    let (p0, p1, p2) = (format!("p0={what}"), format!("p1={what}"), format!("p2=sgx:{}", "0".repeat(64)));
    let parties = ["policy", "--party", &p0, "--party", &p1, "--party", &p2, "-o", &policy];
    let error = attest(&parties).unwrap_err();
    assert!(error.contains("insecure_allow"), "{error}");
    attest(&[&parties[..], &["--insecure-simulated-tee"]].concat()).unwrap();

    let settings = Settings {
        measurement: hex::decode_array(json["mrenclave"].as_str().unwrap()).unwrap(),
        ..Settings::of_this_process().unwrap()
    };
    let tee = SimulatedTee::with_settings(Path::new(&root), settings).unwrap();
    let evidence = text(&path("evidence.json"));
    let signed = tee.evidence(&ReportData([7; 64])).unwrap();
    fs::write(&evidence, serde_json::to_vec(&signed).unwrap()).unwrap();

    let shown = attest(&["show", &evidence]).unwrap();
    assert!(
        shown.contains("INSECURE") && shown.contains("NOT VERIFIED") && shown.contains(&"07".repeat(64)),
        "{shown}"
    );
    let verify = ["verify", &evidence, "--policy", &policy];
    let error = attest(&verify).unwrap_err();
    assert!(error.contains("--insecure-simulated-tee"), "{error}");
    let trusting = [&verify[..], &["--insecure-simulated-tee", &root]].concat();
    let verdict = attest(&trusting).unwrap();
    assert!(verdict.contains("accepted for P0, P1:") && verdict.contains("SIMULATED"), "{verdict}");
    assert!(verdict.contains("not checked"), "{verdict}");
    let bound =
        attest(&[&trusting[..], &["--report-data", &"07".repeat(64), "--role", "p0"]].concat()).unwrap();
    assert!(!bound.contains("not checked"), "{bound}");
    let error = attest(&[&trusting[..], &["--report-data", &"08".repeat(64)]].concat()).unwrap_err();
    assert!(error.contains("made for something else"), "{error}");
    let error = attest(&[&trusting[..], &["--role", "p2"]].concat()).unwrap_err();
    assert!(error.contains("P2 runs on INSECURE simulated TEE"), "{error}");
    let error = attest(&[&trusting[..], &["--at", "2020-01-01"]].concat()).unwrap_err();
    assert!(error.contains("not valid yet"), "{error}");

    // The command's own evidence: another program.
    let own = text(&path("own.json"));
    attest(&["gather", "-o", &own, "--insecure-simulated-tee", &root]).unwrap();
    let own_program = attest(&["measure", env!("CARGO_BIN_EXE_cryptflow"), "--json"]).unwrap();
    let own_program: serde_json::Value = serde_json::from_str(&own_program).unwrap();
    assert!(attest(&["show", &own]).unwrap().contains(own_program["mrenclave"].as_str().unwrap()));
    let error =
        attest(&["verify", &own, "--policy", &policy, "--insecure-simulated-tee", &root]).unwrap_err();
    assert!(error.contains("P0 runs something else than the policy lists"), "{error}");

    // The same policy from the evidence itself, for this machine alone.
    let parties = ["p0", "p1", "p2"].map(|party| format!("{party}={evidence}"));
    let [p0, p1, p2] = &parties;
    let pinned = attest(&[
        "policy",
        "--party",
        p0,
        "--party",
        p1,
        "--party",
        p2,
        "--pin-platforms",
        "--insecure-simulated-tee",
    ]);
    let pinned = pinned.unwrap();
    assert!(pinned.contains("allow = [") && pinned.contains("# digest "), "{pinned}");
    fs::write(&policy, pinned).unwrap();
    assert!(attest(&trusting).unwrap().contains("accepted for P0, P1, P2:"));
}

/// Genuine evidence, whose collateral a service on this machine hands out as Intel's does.
#[test]
fn genuine_sgx_and_tdx() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    let (collateral, policy) = (path("collateral.json"), path("policy.toml"));
    for (kind, quote, tcb) in [
        (
            "sgx",
            "sgx_quote",
            &[
                "--allow-status=ConfigurationAndSWHardeningNeeded",
                "--accept-advisory=INTEL-SA-00289=a test",
                "--accept-advisory=INTEL-SA-00615=a test",
                // Its certificate does not say whether it has these.
                "--allow-smt",
                "--allow-dynamic-platform",
                "--allow-cached-keys",
            ][..],
        ),
        ("tdx", "tdx_quote", &["--allow-smt", "--allow-dynamic-platform", "--allow-cached-keys"][..]),
    ] {
        let evidence = genuine(quote);
        let service = Service::start(&genuine(&format!("{quote}_collateral.json")), kind);
        let crl = format!("{}/root.crl", service.url);
        let fetch =
            ["fetch", &evidence, "-o", &collateral, "--intel", &service.url, "--intel-root-crl", &crl];
        attest(&fetch).unwrap();
        let parties = ["p0", "p1", "p2"].map(|party| format!("--party={party}={evidence}"));
        let mut arguments = vec!["policy", "-o", &policy];
        arguments.extend(parties.iter().map(String::as_str).chain(tcb.iter().copied()));
        attest(&arguments).unwrap();
        // The default age is a week.
        let text = fs::read_to_string(&policy).unwrap().replace("max_age_hours = 168", "max_age_hours = 720");
        fs::write(&policy, text).unwrap();
        let verify = ["verify", &evidence, "--policy", &policy, "--collateral", &collateral];
        let json = attest(&[&verify[..], &["--at", JULY, "--json"]].concat()).unwrap();
        let verdict: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(verdict["accepted_for"].as_array().unwrap().len(), 3, "{json}");
        assert_eq!(verdict["appraisal"]["simulated"], false);
        let error = attest(&verify).unwrap_err();
        assert!(error.contains("expired"), "{error}");
        // What a platform has, or does not say that it has not, is accepted where the policy says so.
        let text = fs::read_to_string(&policy).unwrap();
        let settings =
            [("allow_smt", "SMT"), ("allow_dynamic_platform", "further"), ("allow_cached_keys", "kept")];
        for (setting, named) in settings {
            let strict = text.replace(&format!("{setting} = true"), &format!("{setting} = false"));
            assert_ne!(strict, text);
            fs::write(&policy, strict).unwrap();
            let error = attest(&[&verify[..], &["--at", JULY]].concat()).unwrap_err();
            let said = if kind == "sgx" { setting } else { named };
            assert!(error.contains(said) && error.contains("which the policy does not allow"), "{error}");
        }
    }
}

#[test]
fn mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let junk = text(&folder.path().join("junk"));
    fs::write(&junk, "junk").unwrap();
    let out = text(&folder.path().join("collateral.json"));
    let sgx = genuine("sgx_quote");
    // A port that no test is given.
    let closed = "http://127.0.0.1:1".to_string();
    let cases: [(&[&str], &str); 8] = [
        (&["show", "/no/such/file"], "/no/such/file"),
        (&["show", &junk], "neither an SGX quote"),
        (&["verify", &sgx, "--policy", &junk], "line 1"),
        (&["verify", &sgx, "--policy", &junk, "--role", "p7"], "p0, p1 or p2"),
        (&["measure"], "--ovmf"),
        (&["fetch", &sgx, "-o", &out, "--intel", &closed], "cannot reach"),
        (&["fetch", &genuine("report_milan.hex"), "-o", &out, "--amd", &closed], "--product"),
        (
            &["fetch", &genuine("report_milan.hex"), "-o", &out, "--amd", &closed, "--product", "milan"],
            "cannot reach",
        ),
    ];
    for (arguments, expected) in cases {
        let error = attest(arguments).unwrap_err();
        assert!(error.contains(expected), "{arguments:?}: {expected:?} is not in: {error}");
    }
    assert!(!Path::new(&out).exists());
}

/// A service that answers as Intel's does, with the parts of one collateral.
struct Service {
    url: String,
}

impl Service {
    fn start(collateral: &str, kind: &'static str) -> Service {
        let collateral: serde_json::Value =
            serde_json::from_slice(&fs::read(PathBuf::from(collateral)).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let part = |name: &str| collateral[name].as_str().unwrap().to_owned();
            let escaped = |name: &str| part(name).replace('\n', "%0A").replace(' ', "%20");
            let signed = |name: &str, document: &str, signature: &str| {
                format!("{{\"{name}\":{},\"signature\":\"{}\"}}", part(document), part(signature))
                    .into_bytes()
            };
            while let Ok((stream, _)) = listener.accept() {
                let mut reader = BufReader::new(stream);
                let mut request = String::new();
                reader.read_line(&mut request).unwrap();
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                let target = request.split(' ').nth(1).unwrap();
                let base = format!("/{kind}/certification/v4");
                let (header, body) = if target.starts_with("/sgx/certification/v4/pckcrl?ca=p")
                    && target.ends_with("&encoding=der")
                {
                    (
                        ("SGX-PCK-CRL-Issuer-Chain", escaped("pck_crl_issuer_chain")),
                        hex::decode(&part("pck_crl")).unwrap(),
                    )
                } else if target.starts_with(&format!("{base}/tcb?fmspc=")) {
                    (
                        ("TCB-Info-Issuer-Chain", escaped("tcb_info_issuer_chain")),
                        signed("tcbInfo", "tcb_info", "tcb_info_signature"),
                    )
                } else if target == format!("{base}/qe/identity") {
                    (
                        ("SGX-Enclave-Identity-Issuer-Chain", escaped("qe_identity_issuer_chain")),
                        signed("enclaveIdentity", "qe_identity", "qe_identity_signature"),
                    )
                } else if target == "/root.crl" {
                    (("X-Nothing", String::new()), hex::decode(&part("root_ca_crl")).unwrap())
                } else {
                    panic!("unexpected request {target}");
                };
                let mut stream = reader.into_inner();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}: {}\r\nConnection: close\r\n\r\n",
                    body.len(),
                    header.0,
                    header.1
                )
                .unwrap();
                stream.write_all(&body).unwrap();
            }
        });
        Service { url }
    }
}
