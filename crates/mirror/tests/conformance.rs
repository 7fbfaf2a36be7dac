//! Mirror solves every problem of the conformance suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod subject;

use cryptflow_conformance::suite::{self, Family, Transport};
use cryptflow_mirror::Tuning;
use subject::Conforming;

fn conforms(tuning: Tuning, transport: Transport, families: &[Family]) {
    let report = suite::check(&Conforming(tuning), transport, families);
    println!("{} problems, {} operations", report.problems, report.operations);
    report.verdict().unwrap();
}

#[test]
fn in_one_process() {
    conforms(Tuning::default(), Transport::InProcess, Family::QUICK);
}

#[test]
fn over_tcp() {
    conforms(Tuning::default(), Transport::Tcp, Family::QUICK);
}

#[test]
fn on_a_million() {
    conforms(Tuning::default(), Transport::InProcess, &[Family::Million]);
}
