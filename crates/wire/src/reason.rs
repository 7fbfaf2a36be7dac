//! [`Reason`]: why somebody gives up, for people and for programs.

use std::fmt;

/// What kind of reason it is: a number, which travels in the header of the frame that says why. Links have those
/// that are named here; what the others mean is up to those who use links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u32);

impl Kind {
    /// The text alone says it: so it is with releases that send no number.
    pub const UNSAID: Kind = Kind(0);
    /// Somebody has left, or the connection broke.
    pub const GONE: Kind = Kind(1);
    /// Somebody says nothing, or nothing moves.
    pub const TIMEOUT: Kind = Kind(2);
    /// What came does not belong where it came.
    pub const BAD_MESSAGE: Kind = Kind(3);
    /// Bytes were changed on their way.
    pub const TAMPERED: Kind = Kind(4);
    /// No connection can be made.
    pub const UNREACHABLE: Kind = Kind(5);
    /// Whoever answers has another key than the one that is written down.
    pub const WRONG_KEY: Kind = Kind(6);
    /// The key of whoever connects is not known where it has come.
    pub const KEY_NOT_ACCEPTED: Kind = Kind(7);
    /// A mistake in a program, or in the system below it.
    pub const INTERNAL: Kind = Kind(8);
}

/// Why somebody gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For programs.
    pub kind: Kind,
    /// For people.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for Reason {
    /// A text that says it alone.
    fn from(text: &str) -> Reason {
        Reason { kind: Kind::UNSAID, text: text.into() }
    }
}
