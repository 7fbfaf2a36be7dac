//! Numbers and times for people, and tables of them.

use cryptflow_figures::names::breakable;
use cryptflow_figures::table::{bytes, count, shape, table};
use cryptflow_figures::time::utc;

#[test]
fn columns_line_up() {
    let rows = [["layer", "bits"], ["é", "7"], ["conv", "1234567"]].map(|r| r.map(String::from).to_vec());
    assert_eq!(table(&rows, 1..), "layer     bits\né            7\nconv   1234567\n");
    assert_eq!(table(&rows, ..1), "layer  bits\n    é  7\n conv  1234567\n");
}

/// Names break behind what joins their parts, numbers nowhere.
#[test]
fn names_break_between_their_parts() {
    for (name, broken) in [
        ("block_1/Conv2D", "block_|1/|Conv2D"),
        ("a.weight is 0.25", "a.|weight is 0.25"),
        ("/é/", "/|é/"),
        ("a_ b", "a_ b"),
        ("<b>", "&lt;b&gt;"),
        ("", ""),
    ] {
        assert_eq!(breakable(name).into_string().replace("<wbr>", "|"), broken);
    }
}

#[test]
fn numbers_for_people() {
    for (n, text) in [(0, "0"), (999, "999"), (1000, "1.00 k"), (12_345, "12.3 k"), (4_089_184_256, "4.09 G")]
    {
        assert_eq!(count(n), text);
    }
    for (n, text) in [(0, "0 B"), (999, "999 B"), (1_250_000, "1.25 MB"), (987_654_321, "988 MB")] {
        assert_eq!(bytes(n), text);
    }
    assert_eq!(shape(&[1, 28, 28, 1]), "1x28x28x1");
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01 00:00:00"),
        (951_782_399, "2000-02-28 23:59:59"),
        (951_782_400, "2000-02-29 00:00:00"),
        (951_868_800, "2000-03-01 00:00:00"),
        (1_767_225_599, "2025-12-31 23:59:59"),
        (1_795_356_349, "2026-11-22 14:05:49"),
        (4_107_542_400, "2100-03-01 00:00:00"),
        (u64::MAX, "18446744073709551615 s"),
    ] {
        assert_eq!(utc(seconds), text);
    }
}
