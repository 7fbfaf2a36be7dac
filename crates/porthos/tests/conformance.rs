//! Porthos solves every problem of the conformance suite.
//!
//! Its truncation fails with probability |z| / 2^64 for each element: the suite keeps z so small that a whole run fails with a
//! probability below 2^−15.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cryptflow_mpc::Error;
use cryptflow_mpc::conformance::{self, Family, Subject, Traits, Transport};
use cryptflow_porthos::{Porthos, PorthosCosts, PorthosOwner, Truncation};
use cryptflow_wire::Links;

struct Conforming(Truncation);

impl Subject for Conforming {
    type Protocol = Porthos;
    type Owner = PorthosOwner;
    type Costs = PorthosCosts;

    fn join(&self, links: Links, ring_bits: u32) -> Result<Porthos, Error> {
        Ok(Porthos::new(links, ring_bits)?.with_truncation(self.0))
    }

    fn owner(&self, ring_bits: u32) -> PorthosOwner {
        PorthosOwner::new(ring_bits)
    }

    fn costs(&self, _ring_bits: u32) -> PorthosCosts {
        PorthosCosts { truncation: self.0 }
    }

    fn traits(&self) -> Traits {
        Traits {
            // It computes modulo 2^64 whatever the program says: narrower programs would add time and no case.
            // A dealt truncation is exact for |z| < 2^62, which bounds of programs over Z_2^63 imply.
            ring_bits: 48..=if self.0 == Truncation::Local { 64 } else { 63 },
            compare_bits: 63,
            local_truncation: self.0 == Truncation::Local,
            bias: 0.0,
            blocks: vec![1 << 14],
        }
    }
}

fn conforms(truncation: Truncation, transport: Transport, families: &[Family]) {
    let report = conformance::check(&Conforming(truncation), transport, families);
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
