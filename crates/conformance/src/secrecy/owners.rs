//! Owners: whatever they share, each party's part is fresh and uniform.

use std::collections::HashSet;

use cryptflow_mpc::definition::Facts;
use cryptflow_mpc::{CostModel, Definition, Error, Owner, Party};
use cryptflow_ring::pack::unpack;

use super::{TOO_FAR, far_from_uniform};

/// Elements of the tensors that are shared.
const LEN: usize = 4096;
/// How often each is.
const TIMES: usize = 8;

/// How a tensor is shared, with each party's parts as they go to it.
pub type Share<'a> = &'a dyn Fn(&[u64]) -> Result<Vec<Vec<u8>>, Error>;

/// Holds an owner of programs over Z_2^ring_bits to what its parties rely on, for values and for
/// weights; `part_bits` is the width of the words of its parts.
///
/// # Errors
/// What does not hold.
pub fn check_owner<D: Definition>(definition: &D, ring_bits: u32, part_bits: u32) -> Result<(), String> {
    let owner = definition.owner(ring_bits);
    let named = |what: &str, found: Result<(), String>| found.map_err(|found| format!("{what}: {found}"));
    named("a value", check_sharing(&D::FACTS, part_bits, &|x| owner.share_value(x)))?;
    named("a weight", check_sharing(&D::FACTS, part_bits, &|w| owner.share_weight(w, ring_bits)))?;
    // One that is used in a smaller ring, in as many bits as its parts are said to have then.
    let (used, costs) = (ring_bits * 3 / 4, definition.costs(ring_bits));
    let told = costs.weight(LEN, ring_bits, used);
    let made = owner.share_weight(&[1; LEN], used).map_err(|e| e.to_string())?;
    let made: Vec<u64> = made.iter().map(|part| part.len() as u64).collect();
    if made != told {
        return Err(format!("the parts of a weight have {made:?} bytes, and {told:?} were said"));
    }
    let whole = costs.weight(LEN, ring_bits, ring_bits);
    let words = |parts: &[u64]| parts.iter().max().map_or(0, |part| part / (LEN as u64 / 8));
    let narrower = u64::from(part_bits).saturating_sub(words(&whole) - words(&told)) as u32;
    let weight = |w: &[u64]| owner.share_weight(w, used);
    named("a weight in a ring of its own", check_sharing(&D::FACTS, narrower, &weight))?;
    // What one is shared with serves no other.
    let mixed = |x: &[u64]| if x[0] == 0 { owner.share_value(x) } else { owner.share_weight(x, ring_bits) };
    named("a value and a weight", check_sharing(&D::FACTS, part_bits, &mixed))
}

/// Two sharings, of one tensor or of two, have no seed in common, and differ in every word; words are
/// uniform, and so is by what they differ.
///
/// # Errors
/// What does not hold.
pub fn check_sharing(facts: &Facts, part_bits: u32, share: Share<'_>) -> Result<(), String> {
    let mut seeds: HashSet<Vec<u8>> = HashSet::new();
    let mut before: Option<Vec<Vec<u64>>> = None;
    for secret in [0, 1].into_iter().cycle().take(TIMES) {
        let parts = share(&vec![secret; LEN]).map_err(|e| e.to_string())?;
        let mut words = Vec::new();
        for (number, piece) in facts.pieces.iter().enumerate() {
            let bytes = piece_of(facts, &parts, number)?;
            if piece.bytes.is_some() {
                if !seeds.insert(bytes) {
                    return Err(format!("the seed of piece {number} served before"));
                }
                continue;
            }
            let mut all = vec![0; LEN];
            unpack(&bytes, part_bits, &mut all);
            uniform(&all, part_bits).map_err(|e| format!("piece {number} of a tensor of {secret}: {e}"))?;
            words.push(all);
        }
        if let Some(before) = before {
            for (old, new) in before.iter().zip(&words) {
                let differences: Vec<u64> = old.iter().zip(new).map(|(a, b)| b.wrapping_sub(*a)).collect();
                let mask = u64::MAX >> (64 - part_bits);
                if differences.iter().any(|d| d & mask <= 1) {
                    return Err("two sharings have a word in common".into());
                }
                uniform(&differences, part_bits)
                    .map_err(|e| format!("two sharings differ by what is {e}"))?;
            }
        }
        before = Some(words);
    }
    Ok(())
}

/// A piece, which all of its holders have alike.
fn piece_of(facts: &Facts, parts: &[Vec<u8>], number: usize) -> Result<Vec<u8>, String> {
    let held = |party: Party| {
        let pieces = facts.pieces_of(party, parts.get(party.index())?)?;
        pieces.into_iter().find(|(held, _)| *held == number).map(|(_, bytes)| bytes.to_vec())
    };
    let holders = facts.pieces.get(number).map(|piece| piece.holders).unwrap_or_default();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for &party in holders {
        found.push(held(party).ok_or_else(|| format!("{party}'s part is not made of its pieces"))?);
    }
    found.dedup();
    match &found[..] {
        [bytes] => Ok(bytes.clone()),
        _ => Err(format!("piece {number} is not the same for all who get it")),
    }
}

/// Every byte of words of so many bits, those cut off that the width does not fill.
fn uniform(words: &[u64], bits: u32) -> Result<(), String> {
    for byte in 0..bits / 8 {
        let far = far_from_uniform(words.iter().map(|w| (w >> (8 * byte)) as u8), 0..256);
        if far > TOO_FAR {
            return Err(format!("not uniform in byte {byte}: {far:.0} deviations"));
        }
    }
    Ok(())
}
