//! A key's words under watch: which were drawn, and with which planted bug.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use cryptflow_ring::Prf;

use cryptflow_mpc::Party;
use cryptflow_mpc::stream::Source;

/// A bug in one stream of one key (that of `key` with the next of three parties).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// The stream's words are constants: whatever they hide is not hidden. Each byte is 1, an
    /// element of every alphabet.
    Forgotten {
        /// The key.
        key: Party,
        /// The stream.
        stream: u64,
    },
    /// The stream's words are those of another one.
    Repeated {
        /// The key.
        key: Party,
        /// The stream.
        stream: u64,
        /// The one whose words it takes.
        other: u64,
    },
    /// The stream's words are not uniform: each byte is at most 63.
    Skewed {
        /// The key.
        key: Party,
        /// The stream.
        stream: u64,
    },
}

impl Fault {
    /// The same fault in another stream.
    pub fn at(self, stream: u64) -> Fault {
        match self {
            Fault::None => Fault::None,
            Fault::Forgotten { key, .. } => Fault::Forgotten { key, stream },
            Fault::Repeated { key, other, .. } => Fault::Repeated { key, stream, other },
            Fault::Skewed { key, .. } => Fault::Skewed { key, stream },
        }
    }

    /// The same fault if it is one of this key, else none.
    pub fn of(self, which: Party) -> Fault {
        match self {
            Fault::Forgotten { key, .. } | Fault::Repeated { key, .. } | Fault::Skewed { key, .. }
                if key == which =>
            {
                self
            }
            _ => Fault::None,
        }
    }
}

/// The ranges of words that were drawn, from one to before another, for each stream.
pub type Ledger = HashMap<u64, Vec<(u64, u64)>>;

/// A key's words, with a ledger of which were drawn, and a bug on demand.
pub struct Watched {
    prf: Prf,
    fault: Fault,
    /// Streams whose first words are written down.
    written: BTreeMap<u64, Vec<u64>>,
    drawn: Mutex<Ledger>,
}

impl Watched {
    /// The words of a key.
    pub fn new(key: [u8; 16], fault: Fault) -> Arc<Watched> {
        Watched::with_words(key, fault, BTreeMap::new())
    }

    /// The same, but for streams whose first words are written down.
    pub fn with_words(key: [u8; 16], fault: Fault, written: BTreeMap<u64, Vec<u64>>) -> Arc<Watched> {
        Arc::new(Watched { prf: Prf::new(key), fault, written, drawn: Mutex::default() })
    }

    /// The ranges drawn, by stream; neighbouring ones become one, so that ledgers can be compared
    /// whatever the size of the draws.
    ///
    /// # Errors
    /// A word was drawn twice.
    pub fn ledger(&self) -> Result<Ledger, String> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (stream, ranges) in &mut drawn {
            ranges.retain(|(from, to)| from < to);
            ranges.sort_unstable();
            if let Some(pair) = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
                return Err(format!("stream {stream}: {:?} and {:?} overlap", pair[0], pair[1]));
            }
            ranges.dedup_by(|next, last| {
                let touching = last.1 == next.0;
                if touching {
                    last.1 = next.1;
                }
                touching
            });
        }
        drawn.retain(|_, ranges| !ranges.is_empty());
        Ok(drawn)
    }
}

impl Source for Watched {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        let domain = match self.fault {
            Fault::Repeated { stream, other, .. } if stream == domain => other,
            _ => domain,
        };
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.entry(domain).or_default().push((first, first + out.len() as u64));
        drop(drawn);
        self.prf.fill_words(domain, first, out);
        if let Some(written) = self.written.get(&domain) {
            let written = written.get(first as usize..).unwrap_or_default();
            out.iter_mut().zip(written).for_each(|(o, w)| *o = *w);
        }
        match self.fault {
            Fault::Forgotten { stream, .. } if stream == domain => out.fill(u64::from_le_bytes([1; 8])),
            Fault::Skewed { stream, .. } if stream == domain => {
                out.iter_mut().for_each(|w| *w &= u64::from_le_bytes([0x3f; 8]));
            }
            _ => {}
        }
    }
}

/// Whether each word of `less` is in `more`.
pub fn covers(more: &Ledger, less: &Ledger) -> bool {
    less.iter().all(|(stream, ranges)| {
        let covering = more.get(stream).map_or(&[][..], Vec::as_slice);
        ranges.iter().all(|(from, to)| covering.iter().any(|(a, b)| a <= from && to <= b))
    })
}
