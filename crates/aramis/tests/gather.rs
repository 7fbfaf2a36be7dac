//! Gathering evidence from drivers, played by a folder and a thread.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::evidence::{ConfigfsTsm, Gramine, detect_in};
use crate::{Attester as _, Evidence, GatherError, ReportData, TeeKind};

const DATA: ReportData = ReportData([0x5a; 64]);

fn report_folder(root: &Path, number: u32, provider: &str) -> std::path::PathBuf {
    let report = root.join(format!("cryptflow-{}-{number}", std::process::id()));
    fs::create_dir_all(&report).unwrap();
    fs::write(report.join("provider"), format!("{provider}\n")).unwrap();
    fs::write(report.join("generation"), "0\n").unwrap();
    fs::write(report.join("inblob"), "").unwrap();
    report
}

/// Plays the kernel: each reading of `outblob` waits for this thread, which counts up by `steps`
/// and signs what is in `inblob`.
fn kernel(report: &Path, readings: u32, steps: u32) -> thread::JoinHandle<()> {
    let outblob = report.join("outblob");
    let make = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    make(&outblob);
    let report = report.to_owned();
    thread::spawn(move || {
        for reading in 1..=readings {
            // Opens when the reader does.
            let mut pipe = fs::OpenOptions::new().write(true).open(&outblob).unwrap();
            fs::write(report.join("generation"), format!("{}\n", reading * steps)).unwrap();
            let mut signed = b"signed:".to_vec();
            signed.extend(fs::read(report.join("inblob")).unwrap());
            std::io::Write::write_all(&mut pipe, &signed).unwrap();
            // A pipe of its own for each reading: this one's reader would take the next one's
            // bytes, too.
            fs::remove_file(&outblob).unwrap();
            make(&outblob);
        }
    })
}

fn signed() -> Vec<u8> {
    [b"signed:".as_slice(), &DATA.0].concat()
}

#[test]
fn configfs() {
    for (provider, kind) in [("tdx_guest", TeeKind::Tdx), ("sev_guest", TeeKind::Snp)] {
        let root = tempfile::tempdir().unwrap();
        report_folder(root.path(), 0, provider);
        let report = report_folder(root.path(), 1, provider);
        if kind == TeeKind::Snp {
            fs::write(report.join("auxblob"), "certificates").unwrap();
        }
        let tsm = ConfigfsTsm::open(root.path()).unwrap();
        assert_eq!(tsm.kind(), kind);
        assert!(tsm.describe().contains(&kind.to_string()));
        let kernel = kernel(&report, 1, 1);
        let expected = match kind {
            TeeKind::Tdx => Evidence::Tdx { quote: signed() },
            _ => Evidence::Snp { report: signed(), certificates: b"certificates".to_vec() },
        };
        assert_eq!(tsm.evidence(&DATA).unwrap(), expected);
        kernel.join().unwrap();
    }
}

#[test]
fn configfs_used_by_somebody_else_in_between() {
    let root = tempfile::tempdir().unwrap();
    report_folder(root.path(), 0, "tdx_guest");
    let report = report_folder(root.path(), 1, "tdx_guest");
    let tsm = ConfigfsTsm::open(root.path()).unwrap();
    let kernel = kernel(&report, 5, 2);
    assert!(matches!(tsm.evidence(&DATA), Err(GatherError::Contended { .. })));
    kernel.join().unwrap();
}

#[test]
fn gramine() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("attestation_type"), "dcap\n").unwrap();
    fs::write(root.path().join("user_report_data"), "").unwrap();
    fs::write(root.path().join("quote"), "quote").unwrap();
    let sgx = Gramine::open(root.path()).unwrap();
    assert_eq!(sgx.evidence(&DATA).unwrap(), Evidence::Sgx { quote: b"quote".to_vec() });
    assert_eq!(fs::read(root.path().join("user_report_data")).unwrap(), DATA.0);
    fs::write(root.path().join("quote"), "").unwrap();
    assert!(matches!(sgx.evidence(&DATA), Err(GatherError::Driver { .. })));
}

#[test]
fn detection() {
    let root = tempfile::tempdir().unwrap();
    let (gramine, tsm) = (root.path().join("attestation"), root.path().join("tsm"));
    let error = detect_in(&gramine, &tsm).err().unwrap();
    assert!(
        matches!(error, GatherError::NoHardware { .. })
            && error.to_string().contains("insecure-simulated-root")
    );
    report_folder(&tsm, 0, "arm_cca_guest");
    let error = detect_in(&gramine, &tsm).err().unwrap();
    assert!(error.to_string().contains("arm_cca_guest"), "{error}");
    fs::write(tsm.join(format!("cryptflow-{}-0", std::process::id())).join("provider"), "sev_guest\n")
        .unwrap();
    assert_eq!(detect_in(&gramine, &tsm).unwrap().kind(), TeeKind::Snp);
    fs::create_dir(&gramine).unwrap();
    fs::write(gramine.join("attestation_type"), "epid").unwrap();
    let error = detect_in(&gramine, &tsm).err().unwrap();
    assert!(error.to_string().contains("epid"), "{error}");
    fs::write(gramine.join("attestation_type"), "dcap").unwrap();
    assert_eq!(detect_in(&gramine, &tsm).unwrap().kind(), TeeKind::Sgx);
}
