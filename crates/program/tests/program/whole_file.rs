//! Files appear whole, or not at all.

use std::path::Path;

use cryptflow_program::{check_writable, write_whole};

#[test]
fn whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("y.npy");
    write_whole(&file, |w| w.write_all(b"first")).unwrap();
    let error = write_whole(&file, |w| {
        w.write_all(&[0; 100_000])?;
        Err(std::io::Error::other("the disk is full"))
    });
    assert!(error.unwrap_err().to_string().contains("the disk is full"));
    assert_eq!(std::fs::read(&file).unwrap(), b"first", "the old content stays");
    check_writable(&file).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else stays");

    let missing = folder.path().join("no/such/folder.npy");
    for wrong in [folder.path(), missing.as_path()] {
        assert!(check_writable(wrong).is_err(), "{}", wrong.display());
        assert!(write_whole(wrong, |_| Ok(())).is_err(), "{}", wrong.display());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_and_stays_a_device() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    check_writable(full).unwrap();
    assert!(write_whole(full, |w| w.write_all(b"y")).is_err());
    assert!(!std::fs::metadata(full).unwrap().is_file());
}
