//! Porthos solves every problem of the conformance suite.
//!
//! Its truncation fails with probability |z| / 2^64 for each element: the suite keeps z so small
//! that a whole run fails with a probability below 2^−15.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod subject;

use cryptflow_conformance::suite::{self, Family, Transport};
use cryptflow_porthos::Truncation;
use subject::Conforming;

fn conforms(truncation: Truncation, transport: Transport, families: &[Family]) {
    let report = suite::check(&Conforming(truncation), transport, families);
    println!("{} problems, {} operations", report.problems, report.operations);
    report.verdict().unwrap();
}

#[test]
fn in_one_process() {
    conforms(Truncation::Local, Transport::InProcess, Family::QUICK);
}

#[test]
fn over_tcp() {
    conforms(Truncation::Local, Transport::Tcp, Family::QUICK);
}

#[test]
fn on_a_million() {
    conforms(Truncation::Local, Transport::InProcess, &[Family::Million]);
}

#[test]
fn with_dealt_truncation() {
    conforms(Truncation::Dealt, Transport::InProcess, Family::QUICK);
}
