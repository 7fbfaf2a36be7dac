//! The simulated manufacturer: its keys, the certificates that they sign, and the platforms that it
//! certifies.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use time::OffsetDateTime;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq};
use zeroize::Zeroizing;

use super::{Settings, SimulatedError, failed, io_error};

const ROOT: &str = "INSECURE Simulated Root CA";
const PLATFORM_CA: &str = "INSECURE Simulated PCK Platform CA";
const TCB_SIGNING: &str = "INSECURE Simulated TCB Signing";
const PLATFORM: &str = "INSECURE Simulated PCK Certificate";

/// The simulated family of platforms.
pub(super) const FMSPC: [u8; 6] = *b"INSECR";
/// The simulated version of the provisioning enclave.
pub(super) const PCE_SVN: u16 = 13;

/// The number of Intel's extension of a platform's certificate.
const SGX_EXTENSION: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

/// Certificates are valid this long, and a day into the past.
const CERTIFICATE_VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

const NOTICE: &str = "\
The keys in this folder sign evidence that looks as if it came from trusted hardware. They protect NOTHING: whoever can
read this folder can sign any evidence. It is for trying and testing Aramis on machines without such hardware.

root.der and collateral.json go to verifiers; platform-ca.key, platform-ca.der and root.der to parties.
`cryptflow attest insecure-simulated-root` on this folder renews the collateral.
";

/// All keys of the simulated manufacturer.
pub(super) struct Authority {
    pub(super) root: KeyPair,
    pub(super) root_der: Vec<u8>,
    pub(super) tcb_signing: KeyPair,
    pub(super) tcb_signing_der: Vec<u8>,
    pub(super) platform_ca: KeyPair,
    pub(super) platform_ca_der: Vec<u8>,
}

/// One platform's key and chain of certificates.
pub(super) struct Platform {
    /// PKCS #8.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// PEM: platform, platform CA, root.
    pub(super) chain: String,
    pub(super) cpu_svn: [u8; 16],
}

impl Authority {
    pub(super) fn generate(dir: &Path, now: SystemTime) -> Result<Authority, SimulatedError> {
        let bad = |e: rcgen::Error| failed(dir, e);
        let (root, tcb_signing, platform_ca) = (
            KeyPair::generate().map_err(bad)?,
            KeyPair::generate().map_err(bad)?,
            KeyPair::generate().map_err(bad)?,
        );
        let root_params = params(ROOT, Use::Ca, now);
        let root_der = root_params.self_signed(&root).map_err(bad)?.der().to_vec();
        let issuer = Issuer::from_params(&root_params, &root);
        let tcb_signing_der =
            params(TCB_SIGNING, Use::Leaf, now).signed_by(&tcb_signing, &issuer).map_err(bad)?.der().to_vec();
        let platform_ca_der =
            params(PLATFORM_CA, Use::Ca, now).signed_by(&platform_ca, &issuer).map_err(bad)?.der().to_vec();
        let authority =
            Authority { root, root_der, tcb_signing, tcb_signing_der, platform_ca, platform_ca_der };
        write(dir, "INSECURE.txt", NOTICE.as_bytes())?;
        write_secret(dir, "root.key", authority.root.serialized_der())?;
        write_secret(dir, "tcb-signing.key", authority.tcb_signing.serialized_der())?;
        write(dir, "tcb-signing.der", &authority.tcb_signing_der)?;
        write_secret(dir, "platform-ca.key", authority.platform_ca.serialized_der())?;
        write(dir, "platform-ca.der", &authority.platform_ca_der)?;
        // Last: a folder with it is whole.
        write(dir, "root.der", &authority.root_der)?;
        Ok(authority)
    }

    pub(super) fn open(dir: &Path) -> Result<Authority, SimulatedError> {
        Ok(Authority {
            root: key(dir, "root.key")?,
            root_der: read(dir, "root.der")?,
            tcb_signing: key(dir, "tcb-signing.key")?,
            tcb_signing_der: read(dir, "tcb-signing.der")?,
            platform_ca: key(dir, "platform-ca.key")?,
            platform_ca_der: read(dir, "platform-ca.der")?,
        })
    }

    /// Empty revocation lists of the root and of the platform CA, DER.
    pub(super) fn revocation_lists(
        &self,
        issued: SystemTime,
        expires: SystemTime,
    ) -> Result<(Vec<u8>, Vec<u8>), rcgen::Error> {
        let list = || CertificateRevocationListParams {
            this_update: OffsetDateTime::from(issued),
            next_update: OffsetDateTime::from(expires),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let root = params(ROOT, Use::Ca, issued);
        let platform_ca = params(PLATFORM_CA, Use::Ca, issued);
        let by_root = list().signed_by(&Issuer::from_params(&root, &self.root))?;
        let by_platform_ca = list().signed_by(&Issuer::from_params(&platform_ca, &self.platform_ca))?;
        Ok((by_root.der().to_vec(), by_platform_ca.der().to_vec()))
    }
}

impl Platform {
    /// A platform with a key of its own, certified by the folder's platform CA.
    pub(super) fn certified(dir: &Path, settings: &Settings) -> Result<Platform, SimulatedError> {
        let bad = |e: rcgen::Error| failed(dir, e);
        let now = SystemTime::now();
        let ca = key(dir, "platform-ca.key")?;
        let ca_params = params(PLATFORM_CA, Use::Ca, now);
        let cpu_svn = [settings.svn; 16];
        let mut platform = params(PLATFORM, Use::Leaf, now);
        platform.custom_extensions.push(sgx_extension(settings.platform, cpu_svn));
        let key = KeyPair::generate().map_err(bad)?;
        let certificate = platform.signed_by(&key, &Issuer::from_params(&ca_params, &ca)).map_err(bad)?;
        let chain = pem(&[certificate.der(), &read(dir, "platform-ca.der")?, &read(dir, "root.der")?]);
        Ok(Platform { key: Zeroizing::new(key.serialize_der()), chain, cpu_svn })
    }
}

enum Use {
    Ca,
    Leaf,
}

fn params(name: &str, purpose: Use, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from(now - DAY);
    params.not_after = OffsetDateTime::from(now + CERTIFICATE_VALIDITY);
    params.use_authority_key_identifier_extension = true;
    match purpose {
        Use::Ca => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        Use::Leaf => params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
    }
    params
}

/// Intel's extension of a platform's certificate.
fn sgx_extension(platform: [u8; 16], cpu_svn: [u8; 16]) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            field(fields, &[1], |w| w.write_bytes(&platform));
            field(fields, &[2], |w| {
                w.write_sequence(|tcb| {
                    for (svn, number) in cpu_svn.iter().zip(1..) {
                        field(tcb, &[2, number], |w| w.write_u8(*svn));
                    }
                    field(tcb, &[2, 17], |w| w.write_u16(PCE_SVN));
                    field(tcb, &[2, 18], |w| w.write_bytes(&cpu_svn));
                });
            });
            field(fields, &[3], |w| w.write_bytes(&[0, 0]));
            field(fields, &[4], |w| w.write_bytes(&FMSPC));
            field(fields, &[5], |w| w.write_enum(1));
            field(fields, &[6], |w| w.write_bytes(&platform));
            field(fields, &[7], |w| {
                w.write_sequence(|settings| {
                    for number in 1..=3 {
                        field(settings, &[7, number], |w| w.write_bool(false));
                    }
                });
            });
        });
    });
    CustomExtension::from_oid_content(&SGX_EXTENSION, content)
}

/// A pair of a number below the extension's and a value.
fn field(fields: &mut DERWriterSeq<'_>, tail: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    fields.next().write_sequence(|pair| {
        pair.next().write_oid(&ObjectIdentifier::from_slice(&[&SGX_EXTENSION, tail].concat()));
        value(pair.next());
    });
}

/// PEM of certificates, one after the other.
pub(super) fn pem(certificates: &[&[u8]]) -> String {
    use x509_cert::der::pem::{LineEnding, encode_string};
    certificates
        .iter()
        // Fails only for labels and lengths that do not occur here.
        .map(|der| encode_string("CERTIFICATE", LineEnding::LF, der).unwrap_or_default())
        .collect()
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, SimulatedError> {
    let path = dir.join(name);
    fs::read(&path).map_err(io_error("read", &path))
}

fn key(dir: &Path, name: &str) -> Result<KeyPair, SimulatedError> {
    let der = Zeroizing::new(read(dir, name)?);
    KeyPair::try_from(der.as_slice()).map_err(|e| failed(&dir.join(name), e))
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SimulatedError> {
    let path = dir.join(name);
    fs::write(&path, bytes).map_err(io_error("write", &path))
}

fn write_secret(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SimulatedError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = dir.join(name);
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(io_error("write", &path))
}
