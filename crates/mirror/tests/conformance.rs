//! Mirror solves every problem of the conformance suite.

use cryptflow_conformance::suite::{self, Family, Traits, Transport};
use cryptflow_mirror::{MirrorDefinition, Tuning};
use cryptflow_mpc::Definition;

fn traits() -> Traits {
    Traits {
        ring_bits: 2..=64,
        compare_bits: 64,
        local_truncation: false,
        // A sum of one product keeps a trace of its weight's mask: 0.0017 units on average.
        bias: 0.004,
        blocks: vec![1 << 14],
    }
}

fn conforms(transport: Transport, families: &[Family]) {
    let report = suite::check(&MirrorDefinition::default(), &traits(), transport, families);
    println!("{} problems, {} operations", report.problems, report.operations);
    report.verdict().unwrap();
}

#[test]
fn in_one_process() {
    conforms(Transport::InProcess, Family::QUICK);
}

#[test]
fn over_tcp() {
    conforms(Transport::Tcp, Family::QUICK);
}

#[test]
fn on_a_million() {
    conforms(Transport::InProcess, &[Family::Million]);
}

#[test]
fn inputs_are_held_to_their_bounds() {
    suite::check_inputs(&MirrorDefinition::default(), &traits()).verdict().unwrap();
}

/// Comparisons of few levels, and choices in the large ring.
#[test]
fn on_a_network_where_rounds_are_dear() {
    let short = Tuning { block: 128, window: 2, wave: 384, ..Tuning::USUAL };
    for tuning in [Tuning::USUAL, short] {
        let definition = MirrorDefinition { tuning }.for_network(Some(u64::MAX));
        let families = [Family::Compare, Family::Activation, Family::Pool, Family::Chain];
        suite::check(&definition, &traits(), Transport::InProcess, &families).verdict().unwrap();
    }
}

/// Waves and blocks that short tensors cross: as many bytes and rounds as are declared, and the same
/// values.
#[test]
fn in_short_waves_and_blocks() {
    let waves = Tuning { wave: 1 << 14, ..Tuning::USUAL };
    let blocks = Tuning { block: 128, window: 2, wave: 384, ..Tuning::USUAL };
    let operations = [Family::Linear, Family::Compare, Family::Activation, Family::Pool, Family::Chain];
    for (tuning, families) in [(waves, &[Family::Length][..]), (blocks, &operations)] {
        let definition = MirrorDefinition { tuning };
        let report = suite::check(&definition, &traits(), Transport::InProcess, families);
        report.verdict().unwrap();
        suite::check_inputs(&definition, &traits()).verdict().unwrap();
    }
}
