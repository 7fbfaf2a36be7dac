//! TDX and SEV-SNP, through the folder that Linux 6.7 and later have for all such hardware
//! (configfs-tsm).
//!
//! A report is a folder that one makes. Writing `inblob` chooses the 64 bytes; reading `outblob`
//! has the hardware sign them. `generation` counts what is written to the folder: if it has moved
//! by anything else than our own write, somebody else wrote in between.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Attester, Evidence, GatherError, read, write};
use crate::appraisal::TeeKind;
use crate::report_data::ReportData;

/// Where the kernel has its folder.
pub const TSM_REPORTS: &str = "/sys/kernel/config/tsm/report";

/// Bytes of an SEV-SNP report.
pub(crate) const SNP_REPORT_BYTES: usize = 1184;

const TRIES: usize = 5;

/// A trust domain (TDX) or guest (SEV-SNP), through configfs-tsm.
#[derive(Debug)]
pub struct ConfigfsTsm {
    root: PathBuf,
    kind: TeeKind,
    next: AtomicU64,
}

impl ConfigfsTsm {
    /// Asks the kernel which hardware it is.
    ///
    /// # Errors
    /// Where no report can be made there, or the hardware is neither TDX nor SEV-SNP.
    pub fn open(root: &Path) -> Result<ConfigfsTsm, GatherError> {
        let mut tsm = ConfigfsTsm { root: root.to_owned(), kind: TeeKind::Tdx, next: AtomicU64::new(0) };
        let report = tsm.make()?;
        let path = report.0.join("provider");
        let provider = read(&path)?;
        let provider = String::from_utf8_lossy(&provider);
        tsm.kind = match provider.trim() {
            "tdx_guest" => TeeKind::Tdx,
            "sev_guest" => TeeKind::Snp,
            other => {
                let reason =
                    format!("{other:?} is a provider that Aramis does not know (tdx_guest, sev_guest)");
                return Err(GatherError::Driver { path, reason });
            }
        };
        Ok(tsm)
    }

    fn make(&self) -> Result<Report, GatherError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("cryptflow-{}-{number}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Report(path)),
            // Left behind by a process of the same number: as good as new.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Report(path)),
            Err(error) => Err(GatherError::io("make", &path)(error)),
        }
    }
}

/// A report's folder, removed with all that the kernel put into it.
struct Report(PathBuf);

impl Drop for Report {
    fn drop(&mut self) {
        // A folder that stays behind costs the kernel some bytes and nobody a secret.
        let _ = fs::remove_dir(&self.0);
    }
}

fn generation(report: &Report) -> Result<u64, GatherError> {
    let path = report.0.join("generation");
    let text = read(&path)?;
    let text = String::from_utf8_lossy(&text);
    text.trim()
        .parse()
        .map_err(|_| GatherError::Driver { path, reason: format!("{:?} is no number", text.trim()) })
}

impl Attester for ConfigfsTsm {
    fn evidence(&self, data: &ReportData) -> Result<Evidence, GatherError> {
        let report = self.make()?;
        for _ in 0..TRIES {
            let before = generation(&report)?;
            write(&report.0.join("inblob"), &data.0)?;
            let signed = read(&report.0.join("outblob"))?;
            let certificates = match self.kind {
                TeeKind::Snp => read(&report.0.join("auxblob")).unwrap_or_default(), // the host may offer none
                _ => Vec::new(),
            };
            if generation(&report)? != before.wrapping_add(1) {
                continue;
            }
            if signed.is_empty() {
                let path = report.0.join("outblob");
                return Err(GatherError::Driver { path, reason: "the report is empty".to_owned() });
            }
            return Ok(match self.kind {
                TeeKind::Snp => Evidence::Snp { report: signed, certificates },
                _ => Evidence::Tdx { quote: signed },
            });
        }
        Err(GatherError::Contended { path: report.0.clone() })
    }

    fn kind(&self) -> TeeKind {
        self.kind
    }

    fn describe(&self) -> String {
        format!("{} through {}", self.kind, self.root.display())
    }
}
