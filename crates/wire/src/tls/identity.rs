//! Who somebody is: a key pair and the certificate that carries it, and the fingerprint by which
//! others know it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SignatureVerificationAlgorithm};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// SHA-256 of a public key (its SubjectPublicKeyInfo in DER). Shown as sixteen groups of four
/// hexadecimal digits, to be read out and compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a SubjectPublicKeyInfo.
    pub fn of(spki: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(spki).into())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, pair) in self.0.chunks(2).enumerate() {
            f.write_str(if i > 0 { "-" } else { "" })?;
            pair.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The keys of a participant: one, and another while it changes to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What it has.
    pub now: Fingerprint,
    /// What it is about to have.
    pub next: Option<Fingerprint>,
}

impl Keys {
    /// Whether this is one of them.
    pub fn contains(&self, key: Fingerprint) -> bool {
        self.now == key || self.next == Some(key)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fingerprint> {
        [Some(self.now), self.next].into_iter().flatten()
    }
}

impl From<Fingerprint> for Keys {
    fn from(now: Fingerprint) -> Keys {
        Keys { now, next: None }
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint: it has sixteen groups of four hexadecimal digits, as init shows them")]
pub struct NoFingerprint(String);

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, NoFingerprint> {
        let wrong = || NoFingerprint(text.into());
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| !matches!(c, '-' | ':' | ' '))
            .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, d| sum << 4 | d)).collect();
        if digits.len() != 64 {
            return Err(wrong());
        }
        bytes.try_into().map(Fingerprint).map_err(|_| wrong())
    }
}

/// Why an identity cannot be used. Never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, or is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key that others on the machine can read, or put another in the place of.
    #[error(
        "{}: others than its owner have rights to this private key ({mode:03o}): make it its owner's alone, with chmod 600, and make a \
         new one if they may have read it",
        path.display()
    )]
    Exposed {
        /// The private key.
        path: PathBuf,
        /// The rights, as `chmod` writes them.
        mode: u32,
    },
    /// The two do not go together.
    #[error("the certificate {} does not carry the key {}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// What is wrong with the contents of an identity's files.
enum Wrong {
    Certificate(String),
    Key(&'static str),
    Mismatch,
}

/// A key pair and the certificate that carries its public half.
#[derive(Clone)]
pub struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
    spki: Vec<u8>,
}

impl Identity {
    /// Reads an identity from PEM files, as `init` writes them.
    ///
    /// # Errors
    /// A file cannot be read or is malformed, others can read the key, or it is not that of the
    /// certificate.
    pub fn read(certificate: &Path, key: &Path) -> Result<Identity, IdentityError> {
        let open = |path: &Path| {
            std::fs::read(path).map_err(|e| IdentityError::File {
                path: path.into(),
                reason: format!("it cannot be read: {e}"),
            })
        };
        let (certificate_pem, key_pem) = (open(certificate)?, Zeroizing::new(open(key)?));
        let identity = Identity::from_pem(&certificate_pem, &key_pem).map_err(|wrong| match wrong {
            Wrong::Certificate(reason) => IdentityError::File { path: certificate.into(), reason },
            Wrong::Key(reason) => IdentityError::File { path: key.into(), reason: reason.into() },
            Wrong::Mismatch => IdentityError::Mismatch { certificate: certificate.into(), key: key.into() },
        })?;
        match exposed(key) {
            Some(mode) => Err(IdentityError::Exposed { path: key.into(), mode }),
            None => Ok(identity),
        }
    }

    /// As [`Identity::read`], from what the files hold.
    fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Identity, Wrong> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|e| Wrong::Certificate(format!("it holds no certificate in PEM form: {e}")))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| Wrong::Key("it holds no private key in PEM form"))?;
        let spki = spki(&certificate).map_err(|e| Wrong::Certificate(e.to_string()))?;
        let signer = any_supported_type(&key).map_err(|_| Wrong::Key("its kind of key is not supported"))?;
        let pair = CertifiedKey::new(vec![certificate], signer);
        pair.keys_match().map_err(|_| Wrong::Mismatch)?;
        Ok(Identity { key: Arc::new(pair), spki })
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        self.key.cert.first().map(|certificate| certificate.as_ref()).unwrap_or_default()
    }

    /// Signs a message. What is signed must say what it is, so that no signature means two things.
    ///
    /// # Errors
    /// The key cannot sign: it is of no kind that is known here, or the system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoSignature> {
        let schemes: Vec<SignatureScheme> = algorithms().mapping.iter().map(|(scheme, _)| *scheme).collect();
        let signer = self.key.key.choose_scheme(&schemes).ok_or(NoSignature)?;
        signer.sign(message).map_err(|_| NoSignature)
    }

    /// The public key: SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// How others know it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }
}

/// The rights of a file, where more may read or change it than a private key, or another secret, allows; nothing where
/// the system has no such rights.
pub fn exposed(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        let (mode, process) = (file.mode() & 0o777, rustix::process::geteuid());
        (mode & forbidden(file.uid(), process.as_raw()) != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// The rights that nobody may have to a private key of this owner, which a process of this user reads. What
/// systemd (credentials) and Kubernetes (secrets) hand to a process that is not root's is root's, and a group
/// reads it that is the process's own.
#[cfg(unix)]
pub(crate) fn forbidden(owner: u32, process: u32) -> u32 {
    const ROOT: u32 = 0;
    if owner == ROOT && process != ROOT { 0o037 } else { 0o077 }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint()).finish()
    }
}

/// A key that cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of this site cannot sign")]
pub struct NoSignature;

/// Whose signature of a message this is: that of the key in a certificate, DER. Nothing where it is none.
pub fn signer(certificate: &[u8], message: &[u8], signature: &[u8]) -> Option<Fingerprint> {
    let certificate = CertificateDer::from(certificate);
    let parsed = webpki::EndEntityCert::try_from(&certificate).ok()?;
    let valid = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
        parsed.verify_signature(**algorithm, message, signature).is_ok()
    };
    algorithms().all.iter().find(valid)?;
    Some(Fingerprint::of(&parsed.subject_public_key_info()))
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

/// Bytes that are no certificate.
#[derive(Debug, thiserror::Error)]
#[error("it is no certificate that can be understood: {0}")]
pub(crate) struct NoCertificate(#[from] webpki::Error);

/// The public key in a certificate.
pub(crate) fn spki(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, NoCertificate> {
    let parsed = webpki::EndEntityCert::try_from(certificate)?;
    Ok(parsed.subject_public_key_info().to_vec())
}
