//! Porthos solves every problem of the conformance suite.
//!
//! Its truncation fails with probability |z| / 2^64 for each element: the suite keeps z so small
//! that a whole run fails with a probability below 2^−15.

use cryptflow_conformance::suite::{self, Family, Traits, Transport};
use cryptflow_mpc::Definition;
use cryptflow_porthos::{PorthosDefinition, PorthosExactDefinition, Tuning};

fn traits(local_truncation: bool) -> Traits {
    Traits {
        // It computes modulo 2^64 whatever the program says: narrower programs would add time and no
        // case. A dealt truncation is exact for |z| < 2^62, which bounds of programs over Z_2^63
        // imply.
        ring_bits: 48..=if local_truncation { 64 } else { 63 },
        compare_bits: 63,
        local_truncation,
        bias: 0.0,
        blocks: vec![1 << 14],
    }
}

fn conforms<D: Definition + Sync>(
    definition: &D,
    local_truncation: bool,
    transport: Transport,
    families: &[Family],
) {
    let report = suite::check(definition, &traits(local_truncation), transport, families);
    println!("{} problems, {} operations", report.problems, report.operations);
    report.verdict().unwrap();
}

#[test]
fn in_one_process() {
    conforms(&PorthosDefinition::default(), true, Transport::InProcess, Family::QUICK);
}

#[test]
fn over_tcp() {
    conforms(&PorthosDefinition::default(), true, Transport::Tcp, Family::QUICK);
}

#[test]
fn on_a_million() {
    conforms(&PorthosDefinition::default(), true, Transport::InProcess, &[Family::Million]);
}

#[test]
fn with_dealt_truncation() {
    conforms(&PorthosExactDefinition::default(), false, Transport::InProcess, Family::QUICK);
}

#[test]
fn inputs_are_held_to_their_bounds() {
    suite::check_inputs(&PorthosDefinition::default(), &traits(true)).verdict().unwrap();
}

/// Waves and blocks that short tensors cross: as many bytes and rounds as are declared, and the same
/// values.
#[test]
fn in_short_waves_and_blocks() {
    let tuning = Tuning { block: 128, wave: 300, ..Tuning::USUAL };
    let definition = PorthosDefinition { tuning };
    let families = [Family::Linear, Family::Compare, Family::Activation, Family::Pool, Family::Chain];
    let report = suite::check(&definition, &traits(true), Transport::InProcess, &families);
    report.verdict().unwrap();
    suite::check_inputs(&definition, &traits(true)).verdict().unwrap();
}
