//! Mirror solves every problem of the conformance suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cryptflow_mirror::{Mirror, MirrorCosts, MirrorOwner, Tuning};
use cryptflow_mpc::Error;
use cryptflow_mpc::conformance::{self, Family, Subject, Traits, Transport};
use cryptflow_wire::Links;

struct Conforming(Tuning);

impl Subject for Conforming {
    type Protocol = Mirror;
    type Owner = MirrorOwner;
    type Costs = MirrorCosts;

    fn join(&self, links: Links, ring_bits: u32) -> Result<Mirror, Error> {
        Mirror::new(links, ring_bits, self.0)
    }

    fn owner(&self, ring_bits: u32) -> MirrorOwner {
        MirrorOwner::new(ring_bits)
    }

    fn costs(&self, _ring_bits: u32) -> MirrorCosts {
        MirrorCosts { tuning: self.0 }
    }

    fn traits(&self) -> Traits {
        Traits {
            ring_bits: 2..=64,
            compare_bits: 64,
            local_truncation: false,
            // A sum of one product keeps a trace of its weight's mask: 0.0017 units on average.
            bias: 0.004,
            blocks: vec![1 << 14],
        }
    }
}

fn conforms(tuning: Tuning, transport: Transport, families: &[Family]) {
    let report = conformance::check(&Conforming(tuning), transport, families);
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
