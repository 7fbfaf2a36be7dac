//! What the system tells of itself.

use super::*;

#[test]
fn fields_of_the_system() {
    let text = "processor\t: 0\nmodel name\t: Some CPU: fast\n\nmodel name\t: Other\n";
    assert_eq!(field(text, "model name").as_deref(), Some("Some CPU: fast"));
    assert_eq!(field(text, "MemTotal"), None);
    assert_eq!(kilobytes("24000 kB"), Some(24_576_000));
    assert_eq!(kilobytes("24000"), None);
    let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 31 1000 11 20 0 1 0 123 456";
    assert_eq!((ticks(stat), times(stat, 13)), (Some(281), Some(1011)));
    assert_eq!(ticks("7 (a) S 1"), None);
    assert!(Machine::this().cores > 0);
}
