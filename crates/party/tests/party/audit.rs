//! The audit log: what was changed, put in, taken out or cut off, and what a crash leaves.

use std::path::{Path, PathBuf};

use cryptflow_party::audit::{Audit, AuditError, Head, Log, OpenError, check, compare, noted};
use cryptflow_wire::tls::Identity;
use serde_json::json;
use tempfile::TempDir;

/// A site's key, in a folder of its own.
pub(crate) fn identity(folder: &Path) -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["site".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    Identity::read(&certificate, &key).unwrap()
}

/// A party that writes a log.
struct Site {
    _folder: TempDir,
    identity: Identity,
    path: PathBuf,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let (identity, path) = (identity(folder.path()), folder.path().join("audit.jsonl"));
        Site { _folder: folder, identity, path }
    }

    fn open(&self) -> Audit {
        Audit::open(&self.path, self.identity.clone()).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    fn log(&self) -> Log {
        check(&self.text()).unwrap()
    }
}

/// A log of two starts with three sessions each.
fn site() -> Site {
    let site = Site::new();
    for round in 0..2 {
        let audit = site.open();
        audit.begin(1, json!({})).unwrap();
        for i in 0..3 {
            audit.write("session", json!({ "number": 3 * round + i })).unwrap();
        }
    }
    site
}

#[test]
fn whatever_was_changed_put_in_or_taken_out_shows() {
    let site = site();
    let log = site.log();
    assert_eq!(
        (log.entries.len(), log.party, log.key),
        (8, Some(1), Some(site.identity.fingerprint().into()))
    );
    let text = site.text();
    let lines: Vec<&str> = text.lines().collect();
    let joined = |parts: &[&[&str]]| parts.concat().join("\n") + "\n";
    assert!(matches!(check(&joined(&[&lines[..2], &lines[3..]])), Err(AuditError::Chain(3))));
    assert!(matches!(check(&text.replace("\"number\":1", "\"number\":7")), Err(AuditError::Signature(3))));
    assert!(matches!(check(&joined(&[&lines[..3], &lines[2..]])), Err(AuditError::Chain(4))));
    assert!(matches!(check(&joined(&[&lines[1..]])), Err(AuditError::Chain(1))));
    // A last line that somebody else wrote, who knows all but the key.
    let forged = lines[7].replace("\"number\":5", "\"number\":6");
    assert!(matches!(check(&joined(&[&lines[..7], &[&forged]])), Err(AuditError::Signature(8))));
    assert!(matches!(
        check(&format!("{text}{{\"event\":\"session\"}}\n")),
        Err(AuditError::Line { line: 9, .. })
    ));
    // All of it written anew, with another key, goes together; but it is another key.
    let other = Site::new();
    other.open().begin(1, json!({})).unwrap();
    assert_ne!(other.log().key, log.key);
    assert!(matches!(check(&(text.clone() + &other.text())), Err(AuditError::Chain(9))));
    assert!(matches!(Audit::open(&site.path, other.identity.clone()), Err(OpenError::OtherKey)));
}

/// Whoever has a key, but not the log's, goes on with the log as if it were its own.
#[test]
fn a_log_has_one_key() {
    let (site, other) = (site(), Site::new().identity);
    let before = site.log();
    let head = hex::encode(before.entries.last().unwrap().digest);
    let certificate = hex::encode(other.certificate());
    let entry =
        json!({ "event": "started", "party": 1, "previous": head, "certificate": certificate }).to_string();
    let signed = [&b"cryptflow audit log v2\0"[..], blake3::hash(entry.as_bytes()).as_bytes()].concat();
    let signature = hex::encode(other.sign(&signed).unwrap());
    let line = format!("{},\"signature\":\"{signature}\"}}\n", entry.strip_suffix('}').unwrap());
    assert!(matches!(check(&(site.text() + &line)), Err(AuditError::Key(9))));
}

#[test]
fn a_line_that_a_crash_tore_is_known_as_that() {
    let site = site();
    let text = site.text();
    let whole = text.trim_end_matches('\n').len();
    let last = text[..whole].rfind('\n').unwrap() + 1;
    for end in last + 1..=whole {
        std::fs::write(&site.path, &text[..end]).unwrap();
        let before = site.log();
        // The newline alone may lack.
        let torn = end < whole;
        assert_eq!((before.entries.len(), before.torn.is_some()), (if torn { 7 } else { 8 }, torn), "{end}");
        site.open().write("session", json!({})).unwrap();
        let log = site.log();
        let events: Vec<_> = log.entries.iter().skip(7).filter_map(|entry| entry.text("event")).collect();
        assert_eq!(events, if torn { ["torn", "session"] } else { ["session", "session"] }, "{end}");
        assert!(log.torn.is_none());
    }
    // Nobody else can say of a line that it was torn.
    let torn = &text[..whole - 1];
    assert!(matches!(
        check(&format!("{torn}\n{{\"event\":\"torn\"}}\n")),
        Err(AuditError::Line { line: 8, .. })
    ));
}

#[test]
fn what_was_cut_off_or_written_anew_shows_beside_the_logs_of_others() {
    let sites = [Site::new(), Site::new()];
    let audits = [0, 1].map(|i| {
        let audit = sites[i].open();
        audit.begin(i, json!({})).unwrap();
        audit
    });
    for session in ["a", "b"] {
        let heads = [0, 1].map(|i| audits[i].write("session", json!({ "session": session })).unwrap());
        for i in 0..2 {
            let heads = noted(&[(1 - i, heads[1 - i].clone())]);
            audits[i].write("ended", json!({ "session": session, "heads": heads })).unwrap();
        }
    }
    let logs = || [sites[0].log(), sites[1].log()];
    assert_eq!(compare(&logs()), []);
    let text = sites[0].text();
    let lines: Vec<&str> = text.lines().collect();
    // (what is left of P0's log, the sessions in which P1 saw more)
    for (left, sessions) in [(4, vec![]), (3, vec!["b"]), (1, vec!["a", "b"])] {
        let left = &lines[..if left == 4 { 4 } else { left }];
        std::fs::write(&sites[0].path, left.join("\n") + "\n").unwrap();
        let gaps = compare(&logs());
        let found: Vec<&str> = gaps.iter().map(|gap| gap.session.as_str()).collect();
        assert_eq!(found, sessions, "{left:?}");
        assert!(gaps.iter().all(|gap| (gap.of, gap.by, gap.signed) == (0, 1, true)), "{gaps:?}");
    }
    // Written anew, with the key.
    std::fs::remove_file(&sites[0].path).unwrap();
    sites[0].open().begin(0, json!({})).unwrap();
    assert_eq!(compare(&logs()).len(), 2);
    // A party that names what another never wrote is found, too.
    std::fs::write(&sites[0].path, &text).unwrap();
    let lie = Head { digest: [7; 32], signature: vec![1, 2, 3] };
    audits[1].write("ended", json!({ "session": "c", "heads": noted(&[(0, lie)]) })).unwrap();
    let gaps = compare(&logs());
    assert_eq!(gaps.iter().map(|gap| (gap.of, gap.by, gap.signed)).collect::<Vec<_>>(), [(0, 1, false)]);
}

/// A disk that is full takes nothing of an entry.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let site = Site::new();
    let audit = Audit::open(Path::new("/dev/full"), site.identity.clone()).unwrap();
    let error = audit.write("session", json!({})).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

/// A log goes on with another key where the one before it says so, and with no other.
#[test]
fn a_log_changes_its_key() {
    let (site, other, third) = (site(), Site::new(), Site::new());
    let open = |identity: &Identity| Audit::open(&site.path, identity.clone());
    assert!(matches!(open(&other.identity).map(drop), Err(OpenError::OtherKey)));
    open(&site.identity).unwrap().renew(other.identity.fingerprint()).unwrap();
    assert!(matches!(open(&third.identity).map(drop), Err(OpenError::OtherKey)));
    // Until the other is used, the first one may go on.
    open(&site.identity).unwrap().begin(1, json!({})).unwrap();
    let audit = open(&other.identity).unwrap();
    audit.begin(1, json!({})).unwrap();
    audit.write("session", json!({})).unwrap();
    assert!(matches!(open(&site.identity).map(drop), Err(OpenError::OtherKey)));
    let log = site.log();
    assert_eq!((log.entries.len(), log.certificates.len()), (12, 2));
    assert_eq!(log.key, Some(other.identity.fingerprint().into()));
    // Nobody else can have it go on.
    let without: String =
        site.text().split_inclusive('\n').filter(|line| !line.contains("\"renewed\"")).collect();
    assert!(matches!(check(&without), Err(AuditError::Chain(_))));
}
