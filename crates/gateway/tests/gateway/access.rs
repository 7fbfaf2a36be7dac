//! Who may ask for what.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use cryptflow_gateway::Tls;
use cryptflow_gateway::keys::{self, Keys, KeysError};

use crate::served::Served;

#[test]
fn a_key_opens_its_models_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    let all = keys::add(&file, "all", None).unwrap();
    let one = keys::add(&file, "one", Some(BTreeSet::from(["other".to_string()]))).unwrap();
    assert!(matches!(keys::add(&file, "one", None), Err(KeysError::Taken { .. })));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&all) && !text.contains(&one), "{text}");

    let served = Served::with(Some(Keys::read(&file).unwrap()), None, 8);
    let bearer = |key: &str| format!("Bearer {key}");
    // Orchestrators look after a gateway without a key.
    assert_eq!(served.get("/v2/health/live", &[]).0, 200);
    assert_eq!(served.get("/v2/health/ready", &[]).0, 200);
    for path in ["/v2", "/v2/models", "/v2/models/twice", "/openapi.json", "/elsewhere"] {
        let (status, said) = served.get(path, &[]);
        assert!(
            status == 401 && said["error"].as_str().unwrap().contains("a key is needed"),
            "{path}: {said}"
        );
        let wrong = served.get(path, &[("X-API-Key", "cryptflow-00")]);
        assert!(wrong.0 == 401 && wrong.1["error"].as_str().unwrap().contains("not known"), "{path}");
    }
    assert_eq!(served.get("/v2/models/twice", &[("Authorization", &bearer(&all))]).0, 200);
    assert_eq!(served.get("/v2/models/twice", &[("X-API-Key", &all)]).0, 200);
    // What a key may not ask is not there.
    assert_eq!(served.get("/v2/models/twice", &[("X-API-Key", &one)]).0, 404);
    assert_eq!(served.get("/v2/models/other", &[("X-API-Key", &one)]).0, 200);
    let (_, models) = served.get("/v2/models", &[("X-API-Key", &one)]);
    assert_eq!(models, serde_json::json!({ "models": ["other"] }));
    let (status, _, _) = served.post("/v2/models/twice/infer", &[("X-API-Key", &one)], br#"{"inputs":[]}"#);
    assert_eq!(status, 404);
}

#[test]
fn keys_that_others_can_write_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    keys::add(&file, "all", None).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    assert!(matches!(Keys::read(&file), Err(KeysError::Open { mode: 0o666, .. })));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    for wrong in ["[a]\nsha256 = \"12\"", "[a]\n", "a = 1", "[a]\nsha = 2"] {
        std::fs::write(&file, wrong).unwrap();
        assert!(matches!(Keys::read(&file), Err(KeysError::Malformed { .. })), "{wrong}");
    }
    assert!(matches!(Keys::read(&folder.path().join("none.toml")), Err(KeysError::Io { .. })));
}

/// Over TLS, and where clients need a certificate, none without one.
#[test]
fn certificates_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signing = rcgen::KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&signing).unwrap();
    let issuer = rcgen::Issuer::new(parameters, signing);
    let key = rcgen::KeyPair::generate().unwrap();
    let own =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let (certificate, key) = (write("own.pem", &own.pem()), write("own.key", &key.serialize_pem()));
    let clients = write("authority.pem", &authority.pem());
    let tls = |clients| Tls { certificate: certificate.clone(), key: key.clone(), clients };

    let root = ureq::tls::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let roots = ureq::tls::RootCerts::new_with_certs(&[root]);
    let config = ureq::tls::TlsConfig::builder().root_certs(roots).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(config).build().into();
    for (clients, opens) in [(None, true), (Some(clients), false)] {
        let served = Served::with(None, Some(tls(clients)), 8);
        let port = served.address.rsplit_once(':').unwrap().1.to_string();
        let answer = agent.get(format!("https://localhost:{port}/v2/health/live")).call();
        assert_eq!(answer.is_ok(), opens, "{answer:?}");
        // In the clear there is nothing.
        assert!(ureq::get(served.url("/v2/health/live")).call().is_err());
    }
}
