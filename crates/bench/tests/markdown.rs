//! The report.

use super::*;
use crate::tests::results;

#[test]
fn report_has_ratios_failures_and_sources() {
    let text = report(&results());
    for part in [
        "Measured 2026-02-03 04:05 UTC with `cryptflow bench paper --models DIR`",
        "Some & Processor, 2 cores, 24.0 GB of memory",
        "TensorFlow 2.21.0",
        "the median of 3 runs",
        "| ResNet50 | 6.87 GB | 545 MB | 6.54 GB | 12.6 | 12.0 |",
        "| own&lt;net> | – | 1.00 kB | failed | – | – |",
        "| ResNet50 | about 30 | 3.00 | 24.0 | 8.0 | 0.30 |",
        "| ResNet50 | mirror | 31 | 3.00 (2.00 to 9.00) | 1.00 / 1.50 / 0.25 | 136 MB | 409 MB | 391 | 420 MB / 430 MB / – | 2 of 3 | 1.0e-2 |",
        "own<net> with porthos failed: a ring of 3 bits | too small",
    ] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
}

#[test]
fn every_row_of_a_table_has_as_many_cells_as_its_head() {
    for only in [None, Some("mirror")] {
        let mut results = results();
        for n in &mut results.networks {
            n.measurements.retain(|m| only.is_none_or(|only| m.protocol == only));
        }
        let text = report(&results).replace("\\|", "");
        let mut cells = 0;
        for line in text.lines() {
            let bars = line.matches('|').count();
            if !line.starts_with('|') {
                cells = 0;
            } else if cells == 0 {
                cells = bars;
            } else {
                assert_eq!(bars, cells, "{line}");
            }
        }
    }
}

#[test]
fn numbers() {
    for (s, text) in [(0.00123, "0.0012"), (0.25, "0.25"), (7.654, "7.65"), (25.94, "25.9")] {
        assert_eq!(seconds(s), text);
    }
    assert_eq!(ratio(Some(10.0), Some(4.0)), "2.5");
    assert_eq!(ratio(Some(800.0), Some(1.0)), "800");
    assert_eq!(ratio(Some(1.0), Some(0.0)), "–");
}
