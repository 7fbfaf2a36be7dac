//! Digests: what parties compare to know that they run the same program on the same weights.

use std::fmt;

use cryptflow_ring::pack_signed;

use crate::program::Program;

/// A BLAKE3 digest; written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The digest of a program, weights excluded: of its JSON form, whose fields and numbers have one
/// spelling.
///
/// # Errors
/// Where the program cannot be written as JSON.
pub fn digest(program: &Program) -> Result<Digest, serde_json::Error> {
    Ok(digest_of_json(&serde_json::to_string(program)?))
}

/// The digest of a program in its JSON form.
pub fn digest_of_json(json: &str) -> Digest {
    Digest(blake3::derive_key("cryptflow compiled program, public part", json.as_bytes()))
}

/// The digest of the weights, in the order of their ids: of each its number of elements and the
/// elements as 64-bit integers, whatever width the file stores.
pub fn weights_digest(weights: &[Vec<i64>]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("cryptflow compiled program, weights");
    let mut bytes = Vec::with_capacity(8 << 12);
    for weight in weights {
        hasher.update(&(weight.len() as u64).to_le_bytes());
        for chunk in weight.chunks(1 << 12) {
            bytes.clear();
            pack_signed(chunk, 64, &mut bytes);
            hasher.update(&bytes);
        }
    }
    Digest(*hasher.finalize().as_bytes())
}
