//! Whether two parties hold the same bytes, which a third one, the judge, finds out.
//!
//! The holders send it a keyed digest of their bytes each. The key is a fresh one that both have and
//! the judge has not: where the digests are the same, they tell it that and nothing else; where they
//! are not, each looks like random bytes. So it is one bit that comes out, whatever the bytes are.

use cryptflow_wire::Links;

use crate::keys::Keys;
use crate::turn::turn;
use crate::{Cost, Error, Party, Traffic};

/// Bytes of a digest.
const DIGEST: usize = 32;
/// Words of its key.
const KEY: usize = 4;

/// Who asks, who judges, and who hears of it: the same for all parties, by the protocol.
#[derive(Clone, Copy, Debug)]
pub struct Roles {
    /// Who hold bytes.
    pub holders: [Party; 2],
    /// Who finds out whether these are the same.
    pub judge: Party,
    /// The holders whom the judge tells.
    pub told: &'static [Party],
}

/// One party's side of a question whether two hold the same.
pub struct Same {
    roles: Roles,
    party: Party,
    /// The judge's has no key, and is not used.
    hasher: Option<blake3::Hasher>,
}

impl Same {
    /// Begins a question: the holders draw a fresh key.
    pub fn begin(party: Party, keys: &mut Keys, roles: Roles) -> Same {
        let [first, second] = roles.holders;
        let other = match party {
            party if party == first => Some(second),
            party if party == second => Some(first),
            _ => None,
        };
        let hasher = other.map(|other| {
            let mut words = [0; KEY];
            keys.with(other).stream().draw(&mut words);
            let mut key = [0; DIGEST];
            for (bytes, word) in key.as_chunks_mut().0.iter_mut().zip(words) {
                *bytes = word.to_le_bytes();
            }
            blake3::Hasher::new_keyed(&key)
        });
        Same { roles, party, hasher }
    }

    /// More of what this party holds; not for the judge. Both holders give it in pieces of the same
    /// lengths.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    /// Whether both hold the same; nothing for a holder that is not told. Two rounds, in each of which all parties give way
    /// once. What comes of a holder that waits for nobody is read where it is sent.
    ///
    /// # Errors
    /// A link fails.
    pub async fn finish(self, links: &Links) -> Result<Option<bool>, Error> {
        let Roles { holders, judge, told } = self.roles;
        if let Some(hasher) = self.hasher {
            links.to(judge.index()).send(hasher.finalize().as_bytes().to_vec())?;
            turn().await;
            turn().await;
            if !told.contains(&self.party) {
                return Ok(None);
            }
            return Ok(Some(links.to(judge.index()).recv(1)? == [1]));
        }
        let mut digests = [None, None];
        for waits in [false, true] {
            for (holder, digest) in holders.iter().zip(&mut digests) {
                if told.contains(holder) == waits {
                    *digest = Some(links.to(holder.index()).recv(DIGEST)?);
                }
            }
            if !waits {
                turn().await;
            }
        }
        let same = digests[0] == digests[1];
        for holder in told {
            links.to(holder.index()).send(vec![u8::from(same)])?;
        }
        turn().await;
        Ok(Some(same))
    }
}

/// What a question costs.
pub fn cost(parties: usize, roles: Roles) -> Cost {
    let mut bytes = Traffic::NONE;
    for from in Party::all(parties) {
        let sent = |to: Party| {
            let asks = roles.holders.contains(&from) && to == roles.judge;
            let tells = from == roles.judge && roles.told.contains(&to);
            if asks { DIGEST as u64 } else { u64::from(tells) }
        };
        bytes += &Traffic::sent_by(from, &Party::all(parties).map(sent).collect::<Vec<_>>());
    }
    Cost { rounds: 2, bytes }
}
