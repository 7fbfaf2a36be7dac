//! The simulated manufacturer's assessments: TCB info, quoting enclave's identity, revocation
//! lists. Their forms are Intel's.

use std::time::{Duration, SystemTime};

use dcap_qvl::QuoteCollateralV3;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use x509_cert::der::DateTime;

use super::ContentError;
use super::authority::{Authority, FMSPC, PCE_SVN, pem};
use crate::collateral::unix_seconds;
use crate::hex;

/// The version of a platform's parts that has no known weaknesses.
pub const SVN_UP_TO_DATE: u8 = 3;

/// Signer, product number and version of the simulated quoting enclave.
pub(super) const QE_SIGNER: [u8; 32] = *b"INSECURE simulated quoting encl.";
pub(super) const QE_PROD_ID: u16 = 1;
pub(super) const QE_SVN: u16 = 8;
/// INIT and MODE64BIT.
pub(super) const QE_ATTRIBUTES: u8 = 0x05;

const EVALUATION_NUMBER: u32 = 20;

pub(super) fn quote_collateral(
    authority: &Authority,
    issued: SystemTime,
    expires: SystemTime,
) -> Result<QuoteCollateralV3, ContentError> {
    let (root_ca_crl, pck_crl) = authority.revocation_lists(issued, expires)?;
    let (issued, expires) = (rfc3339(issued)?, rfc3339(expires)?);
    let tcb_info = tcb_info(&issued, &expires).to_string();
    let qe_identity = qe_identity(&issued, &expires).to_string();
    let signing_chain = pem(&[&authority.tcb_signing_der, &authority.root_der]);
    let key = authority.tcb_signing.serialized_der();
    Ok(QuoteCollateralV3 {
        pck_crl_issuer_chain: pem(&[&authority.platform_ca_der, &authority.root_der]),
        root_ca_crl,
        pck_crl,
        tcb_info_issuer_chain: signing_chain.clone(),
        tcb_info_signature: sign(key, tcb_info.as_bytes())?,
        tcb_info,
        qe_identity_issuer_chain: signing_chain,
        qe_identity_signature: sign(key, qe_identity.as_bytes())?,
        qe_identity,
        pck_certificate_chain: None,
    })
}

/// ECDSA over P-256 with SHA-256: r and s, 32 bytes each.
pub(super) fn sign(pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>, ContentError> {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
        .map_err(ContentError::Key)?;
    let signature = key.sign(&random, message).map_err(ContentError::Randomness)?;
    Ok(signature.as_ref().to_vec())
}

fn tcb_info(issued: &str, expires: &str) -> Value {
    let level = |svn: u8, status: &str, advisories: &[&str]| {
        json!({
            "tcb": { "sgxtcbcomponents": vec![json!({ "svn": svn }); 16], "pcesvn": PCE_SVN },
            "tcbDate": "2026-01-01T00:00:00Z",
            "tcbStatus": status,
            "advisoryIDs": advisories,
        })
    };
    json!({
        "id": "SGX",
        "version": 3,
        "issueDate": issued,
        "nextUpdate": expires,
        "fmspc": hex::encode(&FMSPC),
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": EVALUATION_NUMBER,
        "tcbLevels": [
            level(SVN_UP_TO_DATE, "UpToDate", &[]),
            level(SVN_UP_TO_DATE - 1, "SWHardeningNeeded", &["SIMULATED-SA-00001"]),
            level(SVN_UP_TO_DATE - 2, "OutOfDate", &["SIMULATED-SA-00001", "SIMULATED-SA-00002"]),
        ],
    })
}

fn qe_identity(issued: &str, expires: &str) -> Value {
    let mut attributes = [0; 16];
    attributes[0] = QE_ATTRIBUTES;
    json!({
        "id": "QE",
        "version": 2,
        "issueDate": issued,
        "nextUpdate": expires,
        "tcbEvaluationDataNumber": EVALUATION_NUMBER,
        "miscselect": "00000000",
        "miscselectMask": "ffffffff",
        "attributes": hex::encode(&attributes),
        "attributesMask": "fbffffffffffffff0000000000000000",
        "mrsigner": hex::encode(&QE_SIGNER),
        "isvprodid": QE_PROD_ID,
        "tcbLevels": [{ "tcb": { "isvsvn": QE_SVN }, "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": "UpToDate" }],
    })
}

fn rfc3339(time: SystemTime) -> Result<String, ContentError> {
    Ok(DateTime::from_unix_duration(Duration::from_secs(unix_seconds(time)))?.to_string())
}
