//! The audit log.

use cryptflow_party::{Audit, AuditError};
use serde_json::json;

#[test]
fn lines_follow_each_other_and_changes_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    for round in 0..2 {
        let audit = Audit::open(&path).unwrap();
        for i in 0..3 {
            audit.write("session", json!({ "number": 3 * round + i })).unwrap();
        }
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(Audit::check(&text).unwrap().len(), 6);
    let lines: Vec<&str> = text.lines().collect();
    let without = [&lines[..2], &lines[3..]].concat().join("\n");
    assert!(matches!(Audit::check(&without), Err(AuditError::Chain(3))));
    assert!(matches!(Audit::check(&text.replace("\"number\":1", "\"number\":7")), Err(AuditError::Chain(3))));
}
