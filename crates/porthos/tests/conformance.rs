//! Porthos solves every problem of the conformance suite.
//!
//! Its truncation fails with probability |z| / 2^64 for each element: the suite keeps z so small that a whole run fails with a
//! probability below 2^−15.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cryptflow_mpc::Error;
use cryptflow_mpc::conformance::{self, Family, Subject, Traits, Transport};
use cryptflow_porthos::{Porthos, PorthosCosts, PorthosOwner};
use cryptflow_wire::Links;

struct Conforming;

impl Subject for Conforming {
    type Protocol = Porthos;
    type Owner = PorthosOwner;
    type Costs = PorthosCosts;

    fn join(&self, links: Links, ring_bits: u32) -> Result<Porthos, Error> {
        Porthos::new(links, ring_bits)
    }

    fn owner(&self, ring_bits: u32) -> PorthosOwner {
        PorthosOwner::new(ring_bits)
    }

    fn costs(&self, _ring_bits: u32) -> PorthosCosts {
        PorthosCosts
    }

    fn traits(&self) -> Traits {
        Traits {
            // It computes modulo 2^64 whatever the program says: narrower programs would add time and no case.
            ring_bits: 48..=64,
            compare_bits: 63,
            local_truncation: true,
            bias: 0.0,
            blocks: vec![1 << 14],
        }
    }
}

fn conforms(transport: Transport, families: &[Family]) {
    let report = conformance::check(&Conforming, transport, families);
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
