//! Runs that are dealt ahead: what the dealer sent for runs to come, in a folder of an evaluator's.
//!
//! | file | |
//! |---|---|
//! | `stock.json` | what the stock is for ([`Label`]) |
//! | `ledger` | which runs are taken (`ledger.rs`) |
//! | `N.messages` | what the dealer sent for run N, sealed; its first message is the evaluator's key with the dealer |
//! | `N.secret` | what that is sealed with; it appears last |
//! | `weights.part` | the evaluator's part of the weights, where they are kept nowhere else |
//! | `making` | is there, and locked, as long as the stock grows |
//! | `CACHEDIR.TAG` | has backups leave the folder out |
//!
//! Pads that served twice show what they hid. So a run is taken by a mark in the ledger that is on the disk
//! before a byte of the run is read, and the ledger of a copy is refused. The files of a run that is taken
//! lose their names, too, but it is the ledger that says what is. `making.rs` makes stocks, `dealing.rs` is what parties say to each other meanwhile,
//! `shelf.rs` is about all stocks of a model.

mod dealing;
mod ledger;
mod making;
mod shelf;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use cryptflow_mpc::{Older, Party};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{Guard, Role};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::limits::size;

pub(crate) use dealing::{Order, deal, take};
pub(crate) use making::Making;

pub use shelf::Stocked;
pub(crate) use shelf::{bytes, stocked, sweep};

use ledger::Ledger;

const FORMAT: &str = "cryptflow-stock-3";

/// As a release of this form writes it.
fn format(older: Option<Older>) -> &'static str {
    match older {
        Some(Older::OneByOne) => "cryptflow-stock-1",
        Some(Older::DealtSigns) => "cryptflow-stock-2",
        None => FORMAT,
    }
}
const LABEL: &str = "stock.json";
const LEDGER: &str = "ledger";
const MESSAGES: &str = "messages";
const SECRET: &str = "secret";
const MAKING: &str = "making";

/// The evaluator's part of the weights, in the folder.
pub(crate) const WEIGHTS: &str = "weights.part";

/// What differs where a stock was dealt to others.
const KEYS: &str = "pair of parties: one of them has another key by now";

/// Bytes of what a run's messages are sealed with.
const SECRET_LEN: usize = 32;

/// Runs that one dealing makes at most.
pub const MOST_RUNS: u32 = 1_000_000;

/// What a stock is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Of this file.
    format: String,
    /// The number of the dealing: the same at both evaluators, and no other dealing's.
    #[serde(with = "hex::serde")]
    pub stock: [u8; 32],
    /// Whose it is.
    pub party: usize,
    /// The protocol.
    pub protocol: ProtocolName,
    /// Digest of program and weights' sharing ([`crate::deployment::Deployment::digest`]).
    #[serde(with = "hex::serde")]
    pub deployment: [u8; 32],
    /// Whether the runs begin with the check of inputs.
    pub check_inputs: bool,
    /// What follows from the keys of all evaluators, where these belong to several organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parties: Option<String>,
    /// Whether steps run beside each other in them ([`crate::edition::Edition::Nine`]): the file is in the order of the dealing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

impl Label {
    /// Of a stock of this party's.
    pub(crate) fn new(
        order: &Order<'_>,
        party: usize,
        protocol: ProtocolName,
        deployment: [u8; 32],
    ) -> Label {
        let &Order { stock, check_inputs, older, .. } = order;
        let (format, beside) = (format(older).into(), older != Some(Older::OneByOne));
        Label { format, stock, party, protocol, deployment, check_inputs, parties: None, beside }
    }

    /// Which release's form the runs have, if it is an older one's; nothing where nobody knows.
    fn older(&self) -> Option<Option<Older>> {
        [None, Some(Older::DealtSigns), Some(Older::OneByOne)]
            .into_iter()
            .find(|&older| self.format == format(older))
    }

    /// The same, for evaluators with these keys.
    pub(crate) fn of(self, parties: Option<[u8; 32]>) -> Label {
        Label { parties: parties.map(hex::encode), ..self }
    }

    fn read(folder: &Path) -> Result<Label, StockError> {
        let path = folder.join(LABEL);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(StockError::None(folder.into())),
            Err(source) => return Err(StockError::Io { path, source }),
        };
        let damaged = |reason: String| StockError::Damaged { folder: folder.into(), reason };
        let label: Label = serde_json::from_slice(&text).map_err(|e| damaged(format!("{LABEL}: {e}")))?;
        match label.older().is_some_and(|older| label.beside == (older != Some(Older::OneByOne))) {
            true => Ok(label),
            false => Err(damaged(format!("{LABEL} is of another version of this program"))),
        }
    }
}

/// What is wrong with a stock, or with what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    /// The system's reason.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no stock.
    #[error("{}: no runs were dealt ahead here (cryptflow preprocess makes them)", .0.display())]
    None(PathBuf),
    /// Something stands where a stock is to be made.
    #[error("{}: there is something already; name another folder, or remove it", .0.display())]
    Exists(PathBuf),
    /// A file that this program did not write so.
    #[error("{}: {reason}. Nothing of it can be used: remove the folder, and have runs dealt anew", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder is not the one that was made.
    #[error(
        "{}: these dealt runs are a copy, or came back from a backup. Others may have been used, and a second use shows the \
         inputs of both: remove the folder, and have runs dealt anew",
        .0.display()
    )]
    Copied(PathBuf),
    /// Somebody takes from it, and does not come to an end.
    #[error("{}: another session has been taking one of these dealt runs for long", .0.display())]
    Held(PathBuf),
    /// A stock for something else.
    #[error("{}: these runs were dealt for another {what}; have runs dealt for this one", folder.display())]
    Different {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The evaluators' stocks are not of one dealing.
    #[error("{}: P{other}'s dealt runs are not of the same dealing", folder.display())]
    Apart {
        /// The folder.
        folder: PathBuf,
        /// The other evaluator.
        other: usize,
    },
    /// No run is left that both evaluators have.
    #[error("{}: all runs that were dealt ahead are used up; have more dealt", .0.display())]
    UsedUp(PathBuf),
    /// The disk has no room.
    #[error("{}: No space left on device: {} are needed, and {} are free", folder.display(), size(*needed), size(*free))]
    NoSpace {
        /// The folder.
        folder: PathBuf,
        /// Bytes of all runs.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// More than the operator allows.
    #[error(
        "{} more of dealt runs would be kept here, and {} may be (models.dealt_mb), of which {} are taken",
        size(*needed), size(*most), size(*taken)
    )]
    TooMuch {
        /// Bytes of all runs.
        needed: u64,
        /// Bytes that all dealt runs of the party may take.
        most: u64,
        /// Bytes that they take.
        taken: u64,
    },
    /// Parties that attest what they run.
    #[error("attested parties deal while a program runs, and have nothing dealt ahead")]
    Attested,
    /// A party that takes no part in a session of dealt runs.
    #[error("P{0} has nothing to do in a session of runs that were dealt ahead")]
    NoEvaluator(usize),
    /// More or less was dealt than the protocol's formulas say.
    #[error("{dealer} dealt other than the program demands: {dealt} bytes of {due}")]
    Amount {
        /// The dealer.
        dealer: Party,
        /// What came.
        dealt: u64,
        /// What is due.
        due: u64,
    },
    /// A number of runs that cannot be dealt.
    #[error("{0} runs cannot be dealt ahead at a time: from 1 to {MOST_RUNS}")]
    Runs(u32),
    /// A protocol without a party that only deals, or whose dealing cannot be kept.
    #[error("nothing can be dealt ahead for the protocol {0}")]
    Protocol(ProtocolName),
}

/// How many runs are left in a stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The next one.
    pub next: u64,
    /// The last one; below the next one where none is left.
    pub last: u64,
}

impl Left {
    /// Runs that both of two evaluators have.
    #[must_use]
    pub fn both(self, other: Left) -> Left {
        Left { next: self.next.max(other.next), last: self.last.min(other.last) }
    }

    /// How many.
    pub fn count(self) -> u64 {
        (self.last + 1).saturating_sub(self.next)
    }
}

/// Looks at a stock, without taking anything: what it is for, and what is left.
///
/// # Errors
/// There is none, or it cannot be used.
pub fn look(folder: &Path) -> Result<(Label, Left), StockError> {
    let label = Label::read(folder)?;
    let taken = Ledger::look(folder, &label.stock)?;
    Ok((label, left(folder, taken)))
}

/// What is left behind the last run that is taken: those whose files are there, without a gap.
fn left(folder: &Path, taken: u64) -> Left {
    let next = taken + 1;
    let last = (next..).take_while(|run| folder.join(file_of(*run, SECRET)).exists()).last();
    Left { next, last: last.unwrap_or(taken) }
}

fn file_of(run: u64, kind: &str) -> String {
    format!("{run:06}.{kind}")
}

/// An evaluator's stock. Several sessions may take from it, one run at a time.
pub struct Stock {
    folder: PathBuf,
    label: Label,
    /// The last run that is known to be there.
    last: u64,
}

/// A stock that nobody else takes from meanwhile.
pub(crate) struct Taking<'a> {
    stock: &'a Stock,
    ledger: Ledger,
    pub(crate) left: Left,
}

/// What was dealt to an evaluator for one run.
pub(crate) struct Portion {
    pub(crate) run: u64,
    messages: File,
    secret: Zeroizing<[u8; SECRET_LEN]>,
}

impl Stock {
    /// Opens a party's stock.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open(folder: &Path, party: usize) -> Result<Stock, StockError> {
        let label = Label::read(folder)?;
        if label.party != party {
            return Err(StockError::Different { folder: folder.into(), what: "party" });
        }
        let mut stock = Stock { folder: folder.into(), label, last: 0 };
        let taking = stock.taking()?;
        clear(folder, taking.ledger.taken())?;
        stock.last = taking.left.last;
        Ok(stock)
    }

    /// Whether it was dealt to evaluators with these keys.
    ///
    /// # Errors
    /// It was dealt to others.
    pub(crate) fn between(&self, parties: &[u8; 32]) -> Result<(), StockError> {
        match self.label.parties == Some(hex::encode(parties)) {
            true => Ok(()),
            false => Err(self.different(KEYS)),
        }
    }

    /// Whether it is for this.
    ///
    /// # Errors
    /// In what it is for something else.
    pub fn serves(
        &self,
        protocol: ProtocolName,
        deployment: &[u8; 32],
        check_inputs: bool,
    ) -> Result<(), StockError> {
        let label = &self.label;
        let what = match () {
            () if label.protocol != protocol => "protocol",
            () if label.deployment != *deployment => "program, or other weights",
            () if label.check_inputs && !check_inputs => "kind of session: one that checks inputs",
            () if check_inputs && !label.check_inputs => "kind of session: one that does not check inputs",
            () => return Ok(()),
        };
        Err(self.different(what))
    }

    /// Which release's form its runs have, if it is an older one's.
    pub(crate) fn older(&self) -> Option<Older> {
        self.label.older().flatten()
    }

    /// That it was made for something else.
    pub(crate) fn different(&self, what: &'static str) -> StockError {
        StockError::Different { folder: self.folder.clone(), what }
    }

    /// The file of this name in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Keeps other sessions from it, as soon as they are done.
    ///
    /// # Errors
    /// They are not done for long, or it cannot be used.
    fn taking(&self) -> Result<Taking<'_>, StockError> {
        let ledger = Ledger::open(&self.folder, &self.label.stock)?;
        let next = ledger.taken() + 1;
        // Runs are dealt one after another, and none comes back.
        let left =
            if next <= self.last { Left { next, last: self.last } } else { left(&self.folder, next - 1) };
        Ok(Taking { stock: self, ledger, left })
    }

    fn stock(&self) -> &[u8; 32] {
        &self.label.stock
    }
}

impl Taking<'_> {
    /// Takes a run, and wastes those before it. From here on nobody can take it again, whatever happens.
    ///
    /// # Errors
    /// It was taken, it is not there, or the disk fails: it is wasted then.
    fn take(mut self, run: u64) -> Result<Portion, StockError> {
        let (Left { next, last }, folder) = (self.left, &self.stock.folder);
        if run < next || run > last {
            return Err(StockError::UsedUp(folder.clone()));
        }
        self.ledger.mark(run)?;
        let path = |run, kind| folder.join(file_of(run, kind));
        let open = |kind| {
            let path = path(run, kind);
            File::open(&path).map_err(|source| StockError::Io { path, source })
        };
        let (messages, mut file) = (open(MESSAGES)?, open(SECRET)?);
        for run in next..=run {
            for path in [path(run, SECRET), path(run, MESSAGES)] {
                std::fs::remove_file(&path).map_err(|source| StockError::Io { path, source })?;
            }
        }
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        file.read_exact(secret.as_mut_slice())
            .map_err(|source| StockError::Io { path: path(run, SECRET), source })?;
        Ok(Portion { run, messages, secret })
    }
}

/// Removes what is there of runs that are taken: of those that a crash kept from it.
fn clear(folder: &Path, taken: u64) -> Result<(), StockError> {
    let fail = |source| StockError::Io { path: folder.into(), source };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let kept = path.extension().is_some_and(|kind| kind == MESSAGES || kind == SECRET);
        let run = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if kept && run.is_some_and(|run| run <= taken) {
            std::fs::remove_file(&path).map_err(|source| StockError::Io { path, source })?;
        }
    }
    Ok(())
}

/// The number of a run of a stock, among all sessions and runs.
fn number(stock: &[u8; 32], run: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("cryptflow run dealt ahead v1");
    hasher.update(stock).update(&run.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// What seals a run's messages from the dealer to an evaluator, for the one of them who asks.
fn guard(secret: &[u8; SECRET_LEN], number: [u8; 32], own: Party, peer: Party) -> Guard {
    let role = |party: Party| Role::Party(u8::try_from(party.index()).unwrap_or(u8::MAX));
    Guard::new(secret, number, role(own), role(peer))
}

/// Names that changed in a folder reach the disk, where the file system can do that: the ledger alone says what
/// is taken.
fn synced(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
