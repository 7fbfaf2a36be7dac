//! Bytes as hexadecimal digits, in policies, collateral and reports.

/// Why a text is not the bytes that are needed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum HexError {
    /// An odd number of digits, or a character that is none.
    #[error(transparent)]
    Digits(#[from] ::hex::FromHexError),
    /// Another number of digits.
    #[error("{found} hexadecimal digits where {needed} are needed")]
    Count {
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// Lower case digits, two a byte.
pub fn encode(bytes: &[u8]) -> String {
    ::hex::encode(bytes)
}

/// Reads digits of either case; white space around them is ignored.
///
/// # Errors
/// An odd number of digits, or a character that is none.
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    Ok(::hex::decode(text.trim())?)
}

/// Reads exactly N bytes.
///
/// # Errors
/// As [`decode`], or another number of bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let bytes = decode(text)?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| HexError::Count { found: length * 2, needed: N * 2 })
}

/// `#[serde(with = "hex::array")]`: digits in formats for people, bytes in others.
pub(crate) mod array {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::bytes::serialize(bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            super::decode_array(&text).map_err(D::Error::custom)
        } else {
            let bytes = Vec::<u8>::deserialize(deserializer)?;
            let length = bytes.len();
            bytes.try_into().map_err(|_| D::Error::custom(format!("{length} bytes where {N} are needed")))
        }
    }
}

/// `#[serde(with = "hex::bytes")]`: digits in formats for people, bytes in others.
pub(crate) mod bytes {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&super::encode(bytes))
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            super::decode(&text).map_err(D::Error::custom)
        } else {
            Vec::<u8>::deserialize(deserializer)
        }
    }
}

/// N bytes that are read and written as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> serde::Serialize for Hex<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        array::serialize(&self.0, serializer)
    }
}

impl<'de, const N: usize> serde::Deserialize<'de> for Hex<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        array::deserialize(deserializer).map(Hex)
    }
}

impl<const N: usize> std::fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl<const N: usize> std::fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&encode(&self.0))
    }
}
