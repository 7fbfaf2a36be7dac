//! [`Arriving`]: parts that are checked as they come, so that nobody has to hold them in memory.

use std::collections::VecDeque;

use cryptflow_mpc::Party;
use cryptflow_protocols::ProtocolName;

use super::{Told, committing};

/// A piece that a party holds, of all tensors.
struct Held {
    hasher: blake3::Hasher,
    commitment: [u8; 32],
    /// Bytes of it in each tensor; nothing where it is the rest of the part.
    bytes: Option<u64>,
}

/// The check of a party's parts of some tensors against what its owner has committed to.
pub struct Arriving {
    held: Vec<Held>,
    /// What is to come of the tensor that arrives: of which piece, and how many bytes.
    due: VecDeque<(usize, u64)>,
    fits: bool,
}

impl Arriving {
    /// A check of the parts that this party gets.
    pub fn new(protocol: ProtocolName, party: usize, told: &Told) -> Arriving {
        let facts = protocol.facts();
        let numbers: Vec<_> = facts.held_by(Party::new(party)).collect();
        let whole = told.commitments.len() == facts.pieces.len() && told.salts.len() == numbers.len();
        let of = |((number, piece), salt): (&(usize, &cryptflow_mpc::definition::Piece), &[u8; 32])| {
            let commitment = *told.commitments.get(*number)?;
            let bytes = piece.bytes.map(|bytes| bytes as u64);
            Some(Held { hasher: committing(salt), commitment, bytes })
        };
        let held: Option<Vec<_>> = numbers.iter().zip(&told.salts).map(of).collect();
        let fits = whole && held.is_some();
        Arriving { held: held.unwrap_or_default(), due: VecDeque::new(), fits }
    }

    /// The next tensor begins; this party's part of it has so many bytes.
    pub fn tensor(&mut self, bytes: u64) {
        self.fits &= self.due.is_empty();
        let mut rest = bytes;
        for (number, held) in self.held.iter_mut().enumerate() {
            let bytes = held.bytes.unwrap_or(rest);
            held.hasher.update(&bytes.to_le_bytes());
            match rest.checked_sub(bytes) {
                Some(behind) => rest = behind,
                None => self.fits = false,
            }
            if bytes > 0 {
                self.due.push_back((number, bytes));
            }
        }
        // Where nothing is due to a party, its part is empty.
        self.fits &= rest == 0;
    }

    /// The next bytes of the tensor's part.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((number, left)) = self.due.front_mut() else {
                self.fits = false;
                return;
            };
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(taken);
            if let Some(held) = self.held.get_mut(*number) {
                held.hasher.update(now);
            }
            bytes = later;
            *left -= taken as u64;
            if *left == 0 {
                self.due.pop_front();
            }
        }
    }

    /// Whether what has come is all of what the owner has committed to.
    pub fn holds(self) -> bool {
        let same = |held: &Held| *held.hasher.finalize().as_bytes() == held.commitment;
        self.fits && self.due.is_empty() && self.held.iter().all(same)
    }
}
