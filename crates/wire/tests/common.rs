//! Identities and connections for tests.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::tls::{Channel, Identity};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Sets the rights of a file, where the system has such rights.
pub(crate) fn restrict(path: &std::path::Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
}

/// A fresh identity.
pub(crate) fn identity() -> Identity {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["anybody".to_string()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    restrict(&key, 0o600);
    Identity::read(&certificate, &key).unwrap()
}

/// Both ends of a TLS connection.
pub(crate) fn channels() -> (Channel, Channel) {
    let (a, b) = (identity(), identity());
    let end = Instant::now() + SOON;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, key) = (listener.local_addr().unwrap().to_string(), b.fingerprint());
    let dialler = {
        let a = a.clone();
        thread::spawn(move || Channel::connect(&address, &a, key, "the other end", end).unwrap())
    };
    let socket = listener.accept().unwrap().0;
    let accepted = Channel::accept(socket, &b, [a.fingerprint()].into(), end).unwrap();
    (dialler.join().unwrap(), accepted)
}
