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

/// Bytes of a model's weights that sessions have in common, at most. The party's own process makes them, and must
/// not need the memory of a large model for it; and such weights fit no cache.
#[cfg(target_os = "linux")]
const MOST: usize = 64 << 20;

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

    let part = site.store.get(&order.model, &order.manifest.deployment?).ok()??;
    let program = part.deployment.parse().ok()?;
    let rings = program.weights.iter().zip(program.weight_rings());
    let bytes = rings.map(|(weight, bits)| Words::bytes(crate::messages::elements(&weight.shape), bits));
    if bytes.fold(0, usize::saturating_add) > MOST {
        return None;
    }
    part.check(site.index, &program, CHANGED).ok()?;
    let preparing = linux::Preparing { party: site.index, program: &program, parts: &part.weights };
    // Threads of its own, which end with it: the party's process computes nothing else.
    let threads = rayon::ThreadPoolBuilder::new().build().ok()?;
    let words = threads.install(|| order.manifest.protocol.visit(preparing))?;
    linux::sealed(&words).ok()
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

    use crate::messages::elements;

    /// What a protocol makes of a party's parts of weights, where it makes anything.
    pub(super) struct Preparing<'a> {
        pub(super) party: usize,
        pub(super) program: &'a Checked,
        pub(super) parts: &'a [Vec<u8>],
    }

    impl Visitor for Preparing<'_> {
        type Output = Option<Vec<Words>>;

        fn visit<D: Definition>(self, protocol: D) -> Option<Vec<Words>> {
            let (party, ring_bits) = (Party::new(self.party), self.program.ring_bits);
            let prepare = |((weight, part), bits): ((&Weight, &Vec<u8>), u32)| {
                let len = elements(&weight.shape);
                protocol.prepare_weight(party, ring_bits, &weight.name, len, part, bits).ok().flatten()
            };
            let parts = self.program.weights.iter().zip(self.parts);
            parts.zip(self.program.weight_rings()).map(prepare).collect()
        }
    }

    /// Memory with these tensors, which nobody can change any more.
    pub(super) fn sealed(words: &[Words]) -> io::Result<OwnedFd> {
        let memory = memfd_create("cryptflow-weights", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut out = BufWriter::new(File::from(memory));
        Common::write(words, &mut out)?;
        out.flush()?;
        let memory = OwnedFd::from(out.into_inner().map_err(|e| e.into_error())?);
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(memory)
    }
}
