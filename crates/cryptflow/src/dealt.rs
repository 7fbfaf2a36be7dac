//! Runs that were dealt ahead for a model, on this machine: a folder for each evaluator, and what its owner
//! has to know of them.

use std::path::{Path, PathBuf};

use cryptflow_mpc::keys::random;
use cryptflow_party::stock::{self, Left};
use cryptflow_program::{Digest, Program, digest, weights_digest, write_secret};
use cryptflow_protocols::ProtocolName;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::local::folder_of;

const FORMAT: &str = "cryptflow-dealt-1";
/// Appears last: a folder without it was never finished.
const FILE: &str = "dealt.json";

/// The evaluators of the protocols that can deal ahead, whose dealer is the last party.
fn evaluators(protocol: ProtocolName) -> std::ops::Range<usize> {
    0..protocol.facts().parties.saturating_sub(1)
}

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    protocol: ProtocolName,
    /// Digest of the program.
    #[serde(with = "hex::serde")]
    program: [u8; 32],
    /// Digest of the weights, under a key of this record's own.
    #[serde(with = "hex::serde")]
    weights: [u8; 32],
    #[serde(with = "hex::serde")]
    salt: [u8; 32],
    /// Digest of the deployment, as the evaluators have it.
    #[serde(with = "hex::serde")]
    deployment: [u8; 32],
}

impl Record {
    fn read(folder: &Path) -> Result<Record> {
        let path = folder.join(FILE);
        let text = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::at(
                folder,
                "no runs were dealt ahead here, or that was not finished: cryptflow preprocess deals them",
            ),
            _ => Error::at(&path, error),
        })?;
        let record: Record = serde_json::from_slice(&text).map_err(|error| Error::at(&path, error))?;
        match record.format == FORMAT {
            true => Ok(record),
            false => Err(Error::at(folder, "another version of this program wrote it: have runs dealt anew")),
        }
    }
}

/// Runs of a model that were dealt ahead.
pub struct Dealt {
    folder: PathBuf,
    record: Record,
    left: Left,
}

/// Makes a folder ready for runs that are dealt ahead: one that is not there, is empty, or holds runs that are
/// all used, which go.
///
/// # Errors
/// The protocol has no dealer whose messages can be kept, or there is something else in the folder.
pub fn prepare(folder: &Path, protocol: ProtocolName) -> Result<()> {
    if !protocol.facts().ahead {
        let able = ProtocolName::ALL.iter().filter(|protocol| protocol.facts().ahead);
        let able: Vec<String> = able.map(ToString::to_string).collect();
        return Err(Error::new(format_args!(
            "nothing can be dealt ahead for the protocol {protocol}: use {}",
            able.join(" or ")
        )));
    }
    std::fs::create_dir_all(folder).map_err(|error| Error::at(folder, error))?;
    let mut entries = std::fs::read_dir(folder).map_err(|error| Error::at(folder, error))?;
    if entries.next().is_none() {
        return Ok(());
    }
    let left = match Record::read(folder) {
        Ok(record) => looked(folder, record.protocol).map(|(_, left)| left.count()),
        Err(_) => Err(Error::at(folder, "there is something in it; name another folder, or remove it")),
    }?;
    if left > 0 {
        let runs = if left == 1 { "run that was dealt ahead is" } else { "runs that were dealt ahead are" };
        return Err(Error::at(folder, format!("{left} {runs} left: use them up, or remove the folder")));
    }
    std::fs::remove_file(folder.join(FILE)).map_err(|error| Error::at(folder, error))?;
    for party in evaluators(protocol) {
        let of = folder_of(folder, party);
        std::fs::remove_dir_all(&of).map_err(|error| Error::at(&of, error))?;
    }
    Ok(())
}

/// Removes what was dealt before something failed, in a folder that was made ready.
pub fn remove(folder: &Path, protocol: ProtocolName) {
    // Best effort: what stays is no use to anybody without the record.
    for party in evaluators(protocol) {
        let _ = std::fs::remove_dir_all(folder_of(folder, party));
    }
    let _ = std::fs::remove_dir(folder);
}

impl Dealt {
    /// Writes down what was dealt.
    ///
    /// # Errors
    /// The evaluators' folders do not go together, or it cannot be written.
    pub fn write(
        folder: &Path,
        program: &Program,
        protocol: ProtocolName,
        weights: &[Vec<i64>],
    ) -> Result<Dealt> {
        let (deployment, left) = looked(folder, protocol)?;
        let mut salt = [0; 32];
        random(&mut salt).map_err(Error::new)?;
        let record = Record {
            format: FORMAT.into(),
            protocol,
            program: digest_of(program)?,
            weights: weights_of(&salt, weights),
            salt,
            deployment,
        };
        let path = folder.join(FILE);
        let json = serde_json::to_vec_pretty(&record).map_err(Error::new)?;
        write_secret(&path, |writer| writer.write_all(&json)).map_err(|error| Error::at(&path, error))?;
        Ok(Dealt { folder: folder.into(), record, left })
    }

    /// What was dealt for this model, with these weights.
    ///
    /// # Errors
    /// Nothing was, it was for another, or it cannot be used.
    pub fn open(
        folder: &Path,
        program: &Program,
        protocol: ProtocolName,
        weights: &[Vec<i64>],
    ) -> Result<Dealt> {
        let refused = |reason: &str| Err(Error::at(folder, reason));
        let record = Record::read(folder)?;
        if record.protocol != protocol {
            return refused(&format!("these runs were dealt for the protocol {}", record.protocol));
        }
        if record.program != digest_of(program)? {
            return refused(
                "these runs were dealt for another program: deal some for this one (cryptflow preprocess)",
            );
        }
        if record.weights != weights_of(&record.salt, weights) {
            return refused(
                "these runs were dealt for other weights of this program: deal some for these (cryptflow preprocess)",
            );
        }
        let (deployment, left) = looked(folder, protocol)?;
        if deployment != record.deployment {
            return refused(
                "the evaluators' folders are not those that were made with it: have runs dealt anew",
            );
        }
        Ok(Dealt { folder: folder.into(), record, left })
    }

    /// Whether so many runs are left.
    ///
    /// # Errors
    /// There are fewer.
    pub fn enough(&self, runs: usize) -> Result<()> {
        let left = self.left.count();
        if runs as u64 <= left {
            return Ok(());
        }
        let are = if left == 1 { "is" } else { "are" };
        Err(Error::at(
            &self.folder,
            format!("{runs} runs are needed, and {left} {are} left of those that were dealt ahead"),
        ))
    }

    /// How many runs are left.
    ///
    /// # Errors
    /// The evaluators' folders cannot be read.
    pub fn left(&self) -> Result<u64> {
        looked(&self.folder, self.record.protocol).map(|(_, left)| left.count())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Digest of the deployment that was made with it.
    pub fn deployment(&self) -> [u8; 32] {
        self.record.deployment
    }

    /// How many evaluators there are, who run it alone.
    pub fn evaluators(&self) -> usize {
        evaluators(self.record.protocol).len()
    }

    /// Bytes on the disk of each evaluator.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn sizes(&self) -> Result<Vec<u64>> {
        evaluators(self.record.protocol).map(|party| size(&folder_of(&self.folder, party))).collect()
    }
}

fn size(folder: &Path) -> Result<u64> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::at(folder, error))?;
    let sizes = entries.map(|entry| entry.and_then(|entry| entry.metadata()).map(|metadata| metadata.len()));
    sizes.sum::<std::io::Result<u64>>().map_err(|error| Error::at(folder, error))
}

/// What all evaluators say: the deployment, and what is left.
fn looked(folder: &Path, protocol: ProtocolName) -> Result<([u8; 32], Left)> {
    let stocks = evaluators(protocol).map(|party| stock::look(&folder_of(folder, party)));
    let stocks = stocks.collect::<std::result::Result<Vec<_>, _>>().map_err(Error::new)?;
    let apart = || Error::at(folder, "the evaluators' folders are not of one dealing: have runs dealt anew");
    let mut stocks = stocks.into_iter();
    let (first, mut left) = stocks.next().ok_or_else(apart)?;
    for (label, other) in stocks {
        if (label.stock, label.deployment) != (first.stock, first.deployment) {
            return Err(apart());
        }
        left = left.both(other);
    }
    Ok((first.deployment, left))
}

fn digest_of(program: &Program) -> Result<[u8; 32]> {
    let Digest(digest) = digest(program).map_err(Error::new)?;
    Ok(digest)
}

/// Of the weights, under a key: without it, it says nothing of them.
fn weights_of(salt: &[u8; 32], weights: &[Vec<i64>]) -> [u8; 32] {
    *blake3::keyed_hash(salt, &weights_digest(weights).0).as_bytes()
}
