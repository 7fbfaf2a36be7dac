//! AMD's list of revoked certificates. The root signs it and lists in it those that it signed
//! itself: signing certificates, not chips'.

use ring::signature::{RSA_PSS_2048_8192_SHA384, UnparsedPublicKey};
use sev::certs::snp::Chain;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};

use super::TEE;
use crate::der;
use crate::refusal::Refusal;

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Checks that `crl` is of the product's root, valid now, and does not name the product's signing
/// certificate.
pub(super) fn check(crl: &[u8], chain: &Chain, now: u64) -> Result<(), Refusal> {
    let broken = |reason: String| Refusal::CollateralBroken {
        tee: TEE,
        reason: format!("the revocation list: {reason}"),
    };
    der::check(crl).map_err(|e| broken(e.to_string()))?;
    let list = CertificateList::from_der(crl).map_err(|e| broken(e.to_string()))?;
    let (root, signing): (Certificate, Certificate) =
        (chain.ca.ark.clone().into(), chain.ca.ask.clone().into());
    let tbs = &list.tbs_cert_list;
    if tbs.issuer != root.tbs_certificate.subject {
        return Err(broken(format!("it is {}'s, not {}'s", tbs.issuer, root.tbs_certificate.subject)));
    }
    if list.signature_algorithm.oid != RSA_PSS {
        return Err(broken("it is not signed with RSA-PSS".to_owned()));
    }
    let message = tbs.to_der().map_err(|e| broken(e.to_string()))?;
    let key = root.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, key)
        .verify(&message, list.signature.raw_bytes())
        .map_err(|_| broken("its signature does not hold".to_owned()))?;
    if now < tbs.this_update.to_unix_duration().as_secs() {
        let reason = format!("the revocation list begins {}", tbs.this_update);
        return Err(Refusal::CollateralNotYetValid { tee: TEE, reason });
    }
    match tbs.next_update {
        Some(end) if now <= end.to_unix_duration().as_secs() => {}
        Some(end) => {
            let reason = format!("the revocation list ended {end}");
            return Err(Refusal::CollateralExpired { tee: TEE, reason });
        }
        None => return Err(broken("it says not how long it is valid".to_owned())),
    }
    for revoked in tbs.revoked_certificates.iter().flatten() {
        if revoked.serial_number == signing.tbs_certificate.serial_number {
            return Err(Refusal::Revoked { tee: TEE, reason: "AMD's signing certificate".to_owned() });
        }
    }
    Ok(())
}
