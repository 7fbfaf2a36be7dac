//! [`Commons`]: what parties compute with of a model's weights, in memory that all its sessions have in common.
//!
//! It follows from the party's part alone, and is the same in each session. The party makes it when the first
//! session of a model begins, and seals it: no process can change it. Each session's process maps it, in place of
//! making its own; it goes away with the last session. Many sessions of a model then read the same memory, and
//! weights that fit the processor's cache stay there.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::mode::Mode;
use crate::session::Order;
use crate::site::Site;

/// Of the memory that there is for sessions, the weights of a model take one in so many at most, to be in common. The party's
/// own process makes them, where nobody else's end must come of it, and holds its part of them meanwhile.
#[cfg(target_os = "linux")]
const SHARE: u64 = 4;
/// Bytes of what a party that only deals makes of a model's weights, at most. Its part is seeds; beyond what fits a cache,
/// to draw from them again is as fast as to read, and takes no memory.
#[cfg(target_os = "linux")]
const MOST_OF_SEEDS: u64 = 64 << 20;

/// A model's name, its deployment, and the protocol.
type Model = (String, Option<[u8; 32]>, &'static str);

/// The models that have sessions now.
#[derive(Default)]
pub(super) struct Commons(Mutex<HashMap<Model, Weak<InCommon>>>);

/// A model's weights; nothing where each session makes its own.
#[derive(Default)]
pub(super) struct InCommon(OnceLock<Option<OwnedFd>>);

impl InCommon {
    /// The memory, as it is handed to a process.
    pub(super) fn memory(&self) -> Option<BorrowedFd<'_>> {
        self.0.get().and_then(Option::as_ref).map(AsFd::as_fd)
    }
}

impl Commons {
    /// For a session of this model. Whoever else comes meanwhile waits until they are made.
    pub(super) fn of(&self, site: &Site, order: &Order) -> Arc<InCommon> {
        if order.mode == Mode::Deal {
            // Its dealer deals of its part itself, and is no reason to keep memory for others.
            return Arc::default();
        }
        let manifest = &order.manifest;
        let model = (order.model.clone(), manifest.deployment, manifest.protocol.name());
        let common = {
            let mut commons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            commons.retain(|_, common| common.strong_count() > 0);
            let known = commons.get(&model).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let common = Arc::default();
                commons.insert(model, Arc::downgrade(&common));
                common
            })
        };
        common.0.get_or_init(|| made(site, order));
        common
    }
}

/// Sealed memory with a model's weights. Where anything is wrong there is none: the session finds the same, and
/// says so.
#[cfg(target_os = "linux")]
fn made(site: &Site, order: &Order) -> Option<OwnedFd> {
    use crate::deployment::CHANGED;
    use cryptflow_ring::Words;

    let (digest, protocol) = (order.manifest.deployment?, order.manifest.protocol);
    let program = site.store.deployment(&order.model, &digest).ok()??.parse().ok()?;
    let shapes: Vec<(usize, u32)> = {
        let rings = program.weights.iter().zip(program.weight_rings());
        rings.map(|(weight, bits)| (crate::messages::elements(&weight.shape), bits)).collect()
    };
    let bytes = shapes.iter().map(|&(len, bits)| Words::bytes(len, bits) as u64);
    let deals = protocol.facts().dealer.is_some_and(|dealer| dealer.index() == site.index);
    let share = site.config.session.memory / SHARE;
    if bytes.fold(0, u64::saturating_add) > if deals { share.min(MOST_OF_SEEDS) } else { share } {
        return None;
    }
    let part = site.store.get(&order.model, &digest).ok()??;
    part.check(site.index, &program, CHANGED).ok()?;
    let preparing =
        linux::Preparing { party: site.index, program: &program, shapes: &shapes, parts: part.weights };
    // Threads of its own, which end with it: the party's process computes nothing else.
    let threads = rayon::ThreadPoolBuilder::new().build().ok()?;
    threads.install(|| protocol.visit(preparing))
}

#[cfg(not(target_os = "linux"))]
fn made(_: &Site, _: &Order) -> Option<OwnedFd> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{self, BufWriter, Write};
    use std::os::fd::OwnedFd;

    use cryptflow_mpc::{Definition, Party};
    use cryptflow_program::{Checked, Weight};
    use cryptflow_protocols::Visitor;
    use cryptflow_ring::{Common, Words};
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    /// What a protocol makes of a party's parts of weights, where it makes anything: each part goes when that is done.
    pub(super) struct Preparing<'a> {
        pub(super) party: usize,
        pub(super) program: &'a Checked,
        /// Elements of each weight, and the bits that are needed of it.
        pub(super) shapes: &'a [(usize, u32)],
        pub(super) parts: Vec<Vec<u8>>,
    }

    impl Visitor for Preparing<'_> {
        type Output = Option<OwnedFd>;

        fn visit<D: Definition>(self, protocol: D) -> Option<OwnedFd> {
            let (party, ring_bits) = (Party::new(self.party), self.program.ring_bits);
            let prepare = |((weight, part), &(len, bits)): ((&Weight, Vec<u8>), &(usize, u32))| {
                let made = protocol.prepare_weight(party, ring_bits, &weight.name, len, &part, bits);
                made.map_err(io::Error::other)?.ok_or_else(|| io::ErrorKind::Unsupported.into())
            };
            let parts = self.program.weights.iter().zip(self.parts);
            sealed(self.shapes, parts.zip(self.shapes).map(prepare)).ok()
        }
    }

    /// Memory with these tensors, which nobody can change any more.
    fn sealed(
        shapes: &[(usize, u32)],
        words: impl Iterator<Item = io::Result<Words>>,
    ) -> io::Result<OwnedFd> {
        let memory = memfd_create("cryptflow-weights", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut out = BufWriter::new(File::from(memory));
        Common::write_each(shapes, words, &mut out)?;
        out.flush()?;
        let memory = OwnedFd::from(out.into_inner().map_err(|e| e.into_error())?);
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(memory)
    }
}
