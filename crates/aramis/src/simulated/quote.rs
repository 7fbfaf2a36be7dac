//! An SGX quote, version 3, byte by byte (Intel SGX ECDSA QuoteLibReference DCAP API, appendix A).

use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::authority::{PCE_SVN, Platform};
use super::documents::{self, QE_ATTRIBUTES, QE_PROD_ID, QE_SIGNER, QE_SVN};
use super::{ContentError, Settings};
use crate::report_data::ReportData;

const ECDSA_P256: u16 = 2;
const SGX: u32 = 0;
const CERTIFICATE_CHAIN: u16 = 5;
const DEBUG: u8 = 0x02;

/// Signer of simulated enclaves.
const SIGNER: [u8; 32] = *b"INSECURE simulated enclave sign.";

pub(super) fn sign(
    platform: &Platform,
    settings: &Settings,
    data: &ReportData,
) -> Result<Vec<u8>, ContentError> {
    let mut quote = Vec::with_capacity(4096);
    quote.extend(3u16.to_le_bytes());
    quote.extend(ECDSA_P256.to_le_bytes());
    quote.extend(SGX.to_le_bytes());
    quote.extend(QE_SVN.to_le_bytes());
    quote.extend(PCE_SVN.to_le_bytes());
    quote.extend(dcap_qvl::INTEL_QE_VENDOR_ID);
    quote.extend([0; 20]);
    quote.extend(report(Report {
        cpu_svn: platform.cpu_svn,
        attributes: if settings.debug { QE_ATTRIBUTES | DEBUG } else { QE_ATTRIBUTES },
        measurement: settings.measurement,
        signer: SIGNER,
        prod_id: 0,
        svn: 0,
        data: data.0,
    }));

    // The attestation key is fresh for each quote; the platform's key vouches for it through the
    // quoting enclave's report.
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(ContentError::Randomness)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .map_err(ContentError::Key)?;
    let public = key.public_key().as_ref().get(1..).unwrap_or_default(); // without the 4 of "uncompressed"
    let signature = key.sign(&random, &quote).map_err(ContentError::Randomness)?;

    let authentication_data = [0; 32];
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(public);
    hash.update(&authentication_data);
    let mut qe_data = [0; 64];
    for (byte, hashed) in qe_data.iter_mut().zip(hash.finish().as_ref()) {
        *byte = *hashed;
    }
    let qe_report = report(Report {
        cpu_svn: platform.cpu_svn,
        attributes: QE_ATTRIBUTES,
        measurement: [0; 32],
        signer: QE_SIGNER,
        prod_id: QE_PROD_ID,
        svn: QE_SVN,
        data: qe_data,
    });
    let qe_signature = documents::sign(&platform.key, &qe_report)?;

    let mut authentication = Vec::new();
    authentication.extend_from_slice(signature.as_ref());
    authentication.extend_from_slice(public);
    authentication.extend(qe_report);
    authentication.extend(qe_signature);
    authentication.extend((authentication_data.len() as u16).to_le_bytes());
    authentication.extend(authentication_data);
    authentication.extend(CERTIFICATE_CHAIN.to_le_bytes());
    authentication.extend((platform.chain.len() as u32).to_le_bytes());
    authentication.extend_from_slice(platform.chain.as_bytes());
    quote.extend((authentication.len() as u32).to_le_bytes());
    quote.extend(authentication);
    Ok(quote)
}

struct Report {
    cpu_svn: [u8; 16],
    attributes: u8,
    measurement: [u8; 32],
    signer: [u8; 32],
    prod_id: u16,
    svn: u16,
    data: [u8; 64],
}

/// An enclave report's body, 384 bytes.
fn report(report: Report) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(384);
    bytes.extend(report.cpu_svn);
    bytes.extend([0; 32]); // MISCSELECT and reserved
    bytes.push(report.attributes);
    bytes.extend([0; 15]);
    bytes.extend(report.measurement);
    bytes.extend([0; 32]);
    bytes.extend(report.signer);
    bytes.extend([0; 96]);
    bytes.extend(report.prod_id.to_le_bytes());
    bytes.extend(report.svn.to_le_bytes());
    bytes.extend([0; 60]);
    bytes.extend(report.data);
    bytes
}
