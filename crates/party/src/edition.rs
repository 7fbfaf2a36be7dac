//! [`Edition`]: the version of the messages of [`crate::messages`] and [`crate::greeting`]. A release speaks
//! several, so that participants can be upgraded one after another.
//!
//! Whoever connects greets with the newest that it speaks. A party that does not speak that one refuses the
//! greeting ([`Code::DifferentVersion`]), and hears the next older one over a new connection ([`Spoken::ask`]).
//! A session speaks the newest that all of its parties speak; the manifest says which.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cryptflow_mpc::Older;

use crate::code::Code;
use crate::messages::SessionError;

/// For how long a party is taken to speak no newer edition than it spoke: it may be upgraded meanwhile.
const BELIEVED: Duration = Duration::from_secs(600);

/// Names the editions, each once, the oldest first.
macro_rules! editions {
    ($($(#[$help:meta])* $edition:ident = $number:literal,)*) => {
        /// A version of the messages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Edition {
            $($(#[$help])* $edition,)*
        }

        impl Edition {
            /// All that this release speaks, the oldest first.
            pub const ALL: &[Edition] = &[$(Edition::$edition,)*];

            /// Its number, as messages have it.
            pub fn number(self) -> u32 {
                match self { $(Edition::$edition => $number,)* }
            }
        }
    };
}

editions! {
    /// Inputs, their parts and the word to begin are messages of their own.
    Six = 6,
    /// Small inputs and the word to begin are one message ([`crate::messages::Request::Batch`]).
    Seven = 7,
    /// Several batches may run at once ([`crate::messages::Request::AtOnce`]): a party says how many when it is ready.
    Eight = 8,
    /// Runs may be dealt ahead, and sessions may take such runs ([`crate::mode::Mode`]). Steps that do not depend on each other run
    /// beside each other, and the check of inputs beside them ([`cryptflow_mpc::Protocol::beside`]).
    Nine = 9,
    /// Weights are shared in the ring that their steps need, where their parts get shorter by that, and no longer in the
    /// largest of the program ([`cryptflow_mpc::Owner::share_weight`]). Signs are not dealt ([`Older::DealtSigns`]).
    Ten = 10,
}

impl Edition {
    /// The oldest that this release speaks.
    pub const OLDEST: Edition = Edition::Six;
    /// The newest.
    pub const NEWEST: Edition = Edition::Ten;

    /// What protocols do otherwise where this is spoken.
    pub fn older(self) -> Option<Older> {
        match self {
            Edition::Six | Edition::Seven | Edition::Eight => Some(Older::OneByOne),
            Edition::Nine => Some(Older::DealtSigns),
            Edition::Ten => None,
        }
    }

    /// The one of this number, where this release speaks it.
    pub fn of(number: u32) -> Option<Edition> {
        Edition::ALL.iter().copied().find(|edition| edition.number() == number)
    }

    /// Those that are spoken where this one is the newest, for people.
    pub fn and_older(self) -> String {
        match (Edition::OLDEST.number(), self.number()) {
            (oldest, newest) if oldest == newest => format!("version {newest}"),
            (oldest, newest) => format!("versions {oldest} to {newest}"),
        }
    }
}

impl std::fmt::Display for Edition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// Why a party refuses an edition that somebody speaks; `most` is the newest that the party does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side speaks version {theirs} of the messages, and this party {}: {}", most.and_older(), self.advice())]
pub struct NotSpoken {
    /// The number that was heard.
    pub theirs: u32,
    /// The newest that this party speaks.
    pub most: Edition,
}

impl NotSpoken {
    /// What to do.
    fn advice(self) -> &'static str {
        match self.theirs {
            theirs if theirs < Edition::OLDEST.number() => "upgrade the other side",
            theirs if theirs <= Edition::NEWEST.number() => {
                "its operator lets it speak a newer one, or the other side speaks an older one (session.messages)"
            }
            _ => "upgrade this party, or have the other side speak an older one (session.messages)",
        }
    }

    /// Whether the other side may come again with an older one.
    pub(crate) fn is_newer(self) -> bool {
        self.theirs > self.most.number()
    }
}

/// The edition of this number, for whom `most` is the newest.
///
/// # Errors
/// It is none of those that are spoken here.
pub fn spoken(theirs: u32, most: Edition) -> Result<Edition, NotSpoken> {
    Edition::of(theirs).filter(|edition| *edition <= most).ok_or(NotSpoken { theirs, most })
}

/// What parties, by their addresses, were found to speak.
#[derive(Debug, Default)]
pub struct Spoken(Mutex<HashMap<String, (Edition, Instant)>>);

impl Spoken {
    fn known(&self) -> MutexGuard<'_, HashMap<String, (Edition, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest that a party and this side speak, as was found not long ago.
    pub fn by(&self, address: &str) -> Option<Edition> {
        let (edition, when) = self.known().get(address).copied()?;
        (edition == Edition::NEWEST || when.elapsed() < BELIEVED).then_some(edition)
    }

    fn found(&self, address: &str, edition: Edition) {
        let mut known = self.known();
        // What is believed for a while is not believed for longer because it was used.
        if known.get(address).is_none_or(|(before, _)| *before != edition) {
            known.insert(address.into(), (edition, Instant::now()));
        }
    }

    /// Asks a party something in the newest edition that both speak; `most` is the newest that this side does. `ask`
    /// connects, greets and asks. Where the party refuses an edition, `probe` connects, greets and asks for nothing,
    /// until it is known which one the party takes: then it is asked again.
    ///
    /// # Errors
    /// That of `ask`; where the party refuses all editions, both sides are named.
    pub fn ask<T>(
        &self,
        (peer, address): (&str, &str),
        most: Edition,
        mut probe: impl FnMut(Edition) -> Result<(), SessionError>,
        mut ask: impl FnMut(Edition) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let none_in_common = |reason| SessionError::NoCommonEdition { peer: peer.into(), most, reason };
        let first = self.by(address).unwrap_or(most).min(most);
        let heard = Heard::of(ask(first));
        if let Heard::Taken(answer) = heard {
            self.found(address, first);
            return answer;
        }
        // It may be another program by now.
        self.known().remove(address);
        let (failure, lost) = match heard {
            Heard::Taken(answer) => return answer,
            Heard::Nothing(error) => return Err(error),
            Heard::Refused(reason) => (none_in_common(reason), false),
            Heard::Lost(error) => (error, true),
        };
        let mut refusal = None;
        for &edition in Edition::ALL.iter().rev().filter(|&&edition| edition <= most) {
            if edition == first && !lost {
                continue;
            }
            match Heard::of(probe(edition)) {
                Heard::Taken(_) => {
                    self.found(address, edition);
                    // What was asked in this edition was heard, and failed for another reason.
                    return if edition == first { Err(failure) } else { ask(edition) };
                }
                Heard::Refused(reason) => refusal = Some(reason),
                Heard::Nothing(error) => return Err(error),
                Heard::Lost(_) => {}
            }
        }
        Err(refusal.map_or(failure, none_in_common))
    }
}

/// What a party has made of a greeting, by what came of what was asked behind it.
enum Heard<T> {
    /// It speaks that: this is what it answered, or why not.
    Taken(Result<T, SessionError>),
    /// It does not speak that, for this reason.
    Refused(String),
    /// It closed the connection. It may have refused: who is closed to while it asks may lose what was said to it last.
    Lost(SessionError),
    /// It was not greeted.
    Nothing(SessionError),
}

impl<T> Heard<T> {
    fn of(asked: Result<T, SessionError>) -> Heard<T> {
        match asked {
            Err(SessionError::Refused { code: Code::DifferentVersion, reason, .. }) => Heard::Refused(reason),
            Err(SessionError::Wire(error)) if Code::from(&error) == Code::Gone => Heard::Lost(error.into()),
            Err(error @ SessionError::Wire(_)) => Heard::Nothing(error),
            answer => Heard::Taken(answer),
        }
    }
}
