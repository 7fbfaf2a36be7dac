//! [`Scratch`]: words in which a block is worked on, and the next one after it.
//!
//! New memory is cleared before it is written to, and comes from further away than what was used just now: blocks
//! of a tensor follow one another in the same few buffers of each thread.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers that a thread keeps, at most.
const BUFFERS: usize = 12;
/// Words of a buffer: those of a block of values, usually.
const WORDS: usize = 1 << 14;
/// Longer ones are not kept.
const LONGEST: usize = 1 << 16;

thread_local! {
    static FREE: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Some words, which hold anything until they are written to. Whoever takes them has them alone: a thread that waits
/// for others may begin another block.
pub(crate) struct Scratch {
    words: Vec<u64>,
    len: usize,
}

impl Scratch {
    /// So many words.
    pub(crate) fn of(len: usize) -> Scratch {
        let mut words = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        if words.len() < len {
            words = vec![0; len.max(WORDS)];
        }
        // In tests nobody reads by accident what happens to be right.
        if cfg!(debug_assertions) {
            words[..len].fill(0xa5a5_5a5a_a5a5_5a5a);
        }
        Scratch { words, len }
    }
}

impl Deref for Scratch {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.words[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.words[..self.len]
    }
}

impl<'a> IntoIterator for &'a Scratch {
    type Item = &'a u64;
    type IntoIter = std::slice::Iter<'a, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let words = std::mem::take(&mut self.words);
        if words.len() > LONGEST {
            return;
        }
        // A thread that ends has no use for it.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < BUFFERS
            {
                free.push(words);
            }
        });
    }
}
