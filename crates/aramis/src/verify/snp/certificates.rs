//! AMD's certificates: the two authorities of a product, which are part of this program, and a
//! chip's own.

use sev::certs::snp::{Certificate, builtin, ca};
use sev::firmware::host::TcbVersion;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, OctetStringRef};

use super::TEE;
use crate::collateral::Collateral;
use crate::der::{self, DerError};
use crate::hex;
use crate::policy::Product;
use crate::refusal::Refusal;

/// AMD's extensions of a chip's certificate (Versioned Chip Endorsement Key Certificate and KDS
/// Interface Specification, table 9).
const PRODUCT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.2");
const BOOTLOADER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
const TEE_OS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
const SNP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
const MICROCODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
const FMC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");
const CHIP_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");

/// The kind of a chip's certificate in a host's table (GHCB specification):
/// 63da758d-e664-4564-adc5-f4b93be8accd, its first three parts with their bytes reversed where a
/// host wrote them as a GUID of UEFI.
const VCEK_IN_TABLE: [[u8; 16]; 2] = [
    [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd],
    [0x8d, 0x75, 0xda, 0x63, 0x64, 0xe6, 0x64, 0x45, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd],
];

/// Why a chip's certificate, or what goes with it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    /// Lengths that are not those of the bytes.
    #[error("the chip's certificate: {0}")]
    Structure(#[from] DerError),
    /// No certificate.
    #[error("the chip's certificate: {0}")]
    Certificate(x509_cert::der::Error),
    /// One of AMD's extensions is missing.
    #[error("the chip's certificate has no extension {0}")]
    Missing(ObjectIdentifier),
    /// One of AMD's extensions is there more than once.
    #[error("the chip's certificate has extension {0} twice")]
    Twice(ObjectIdentifier),
    /// One of AMD's extensions holds something else than it should.
    #[error(transparent)]
    Extension(x509_cert::der::Error),
    /// A product that this program does not know.
    #[error("a chip of the unknown product {0:?}")]
    Product(String),
    /// The chip's number is no string of bytes.
    #[error("the chip's number: {0}")]
    ChipId(x509_cert::der::Error),
    /// The chip's number is too long.
    #[error("a chip's number of {0} bytes")]
    ChipIdLength(usize),
    /// The certificates of AMD's authorities, which are part of this program.
    #[error(transparent)]
    Authority(#[from] std::io::Error),
    /// The host's table.
    #[error("the host's table of certificates points outside of itself")]
    Table,
}

/// A chip's certificate, with what it says of the chip.
pub(super) struct Vcek {
    pub(super) certificate: Certificate,
    pub(super) x509: x509_cert::Certificate,
    pub(super) product: Product,
    pub(super) tcb: TcbVersion,
    pub(super) chip_id: [u8; 64],
}

impl Vcek {
    pub(super) fn parse(der: &[u8]) -> Result<Vcek, CertificateError> {
        der::check(der)?;
        let x509 = x509_cert::Certificate::from_der(der).map_err(CertificateError::Certificate)?;
        let product = match Ia5StringRef::from_der(extension(&x509, PRODUCT)?)
            .map_err(CertificateError::Extension)?
            .as_str()
        {
            name if name.starts_with("Milan") => Product::Milan,
            name if name.starts_with("Genoa") || name.starts_with("Siena") => Product::Genoa,
            name if name.starts_with("Turin") => Product::Turin,
            name => return Err(CertificateError::Product(name.to_owned())),
        };
        let version = |id| u8::from_der(extension(&x509, id)?).map_err(CertificateError::Extension);
        let tcb = TcbVersion {
            fmc: if product == Product::Turin { Some(version(FMC)?) } else { None },
            bootloader: version(BOOTLOADER)?,
            tee: version(TEE_OS)?,
            snp: version(SNP)?,
            microcode: version(MICROCODE)?,
        };
        let id = extension(&x509, CHIP_ID)?;
        // Bare bytes on older products, an OCTET STRING on newer ones.
        let id = if matches!(id.len(), 64 | 8) {
            id
        } else {
            OctetStringRef::from_der(id).map_err(CertificateError::ChipId)?.as_bytes()
        };
        let mut chip_id = [0; 64];
        chip_id.get_mut(..id.len()).ok_or(CertificateError::ChipIdLength(id.len()))?.copy_from_slice(id);
        Ok(Vcek { certificate: x509.clone().into(), x509, product, tcb, chip_id })
    }
}

fn extension(certificate: &x509_cert::Certificate, id: ObjectIdentifier) -> Result<&[u8], CertificateError> {
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let mut found = extensions.iter().filter(|extension| extension.extn_id == id);
    match (found.next(), found.next()) {
        (Some(extension), None) => Ok(extension.extn_value.as_bytes()),
        (None, _) => Err(CertificateError::Missing(id)),
        _ => Err(CertificateError::Twice(id)),
    }
}

/// AMD's two authorities of a product.
pub(super) fn authority(product: Product) -> Result<ca::Chain, CertificateError> {
    let (ark, ask) = match product {
        Product::Milan => (builtin::milan::ark(), builtin::milan::ask()),
        Product::Genoa => (builtin::genoa::ark(), builtin::genoa::ask()),
        Product::Turin => (builtin::turin::ark(), builtin::turin::ask()),
    };
    Ok(ca::Chain { ark: ark?, ask: ask? })
}

pub(super) fn check_dates(ca: &ca::Chain, vcek: &Vcek, now: u64) -> Result<(), Refusal> {
    let certificates: [(&str, x509_cert::Certificate); 3] = [
        ("AMD's root certificate", ca.ark.clone().into()),
        ("AMD's signing certificate", ca.ask.clone().into()),
        ("the chip's certificate", vcek.x509.clone()),
    ];
    for (what, certificate) in certificates {
        let validity = &certificate.tbs_certificate.validity;
        if now < validity.not_before.to_unix_duration().as_secs() {
            let reason = format!("{what} begins {}", validity.not_before);
            return Err(Refusal::CollateralNotYetValid { tee: TEE, reason });
        }
        if now > validity.not_after.to_unix_duration().as_secs() {
            let reason = format!("{what} ended {}", validity.not_after);
            return Err(Refusal::CollateralExpired { tee: TEE, reason });
        }
    }
    Ok(())
}

/// A chip's certificate: from the host's table, else from the collateral.
pub(super) fn vcek<'a>(
    table: &'a [u8],
    chip_id: &[u8; 64],
    collateral: &'a Collateral,
) -> Result<Option<&'a [u8]>, CertificateError> {
    if let Some(der) = in_table(table)? {
        return Ok(Some(der));
    }
    let chip = hex::encode(super::chip(chip_id));
    Ok(collateral.amd.values().find_map(|amd| amd.vcek.get(&chip)).map(|der| der.0.as_slice()))
}

/// A table of 24-byte entries (kind, offset, length), the last of which is zero.
fn in_table(table: &[u8]) -> Result<Option<&[u8]>, CertificateError> {
    for entry in table.chunks_exact(24) {
        let (kind, place) = entry.split_at(16);
        if kind.iter().all(|byte| *byte == 0) {
            break;
        }
        if !VCEK_IN_TABLE.iter().any(|vcek| vcek == kind) {
            continue;
        }
        let number = |bytes: &[u8]| {
            bytes.try_into().map(|bytes| u32::from_le_bytes(bytes) as usize).unwrap_or(usize::MAX)
        };
        let (offset, length) = place.split_at(4);
        let (offset, length) = (number(offset), number(length));
        return table.get(offset..offset.saturating_add(length)).map(Some).ok_or(CertificateError::Table);
    }
    Ok(None)
}

#[cfg(test)]
#[path = "../../../tests/certificates.rs"]
mod tests;
