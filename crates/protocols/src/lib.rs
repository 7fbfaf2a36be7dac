//! The list of protocols. A protocol that stands here can be run, deployed, priced, measured, and
//! chosen by its name.

use std::fmt;
use std::str::FromStr;

use cryptflow_mirror::MirrorDefinition;
use cryptflow_mpc::clear::ClearDefinition;
use cryptflow_mpc::definition::{Definition, Facts, Truncation, Unsupported};
use cryptflow_mpc::{CostModel, Owner};
use cryptflow_porthos::{PorthosDefinition, PorthosExactDefinition};
use serde::{Deserialize, Serialize};

/// A line a protocol: its variant and its [`Definition`].
macro_rules! list {
    ($($(#[$doc:meta])* $name:ident: $definition:ty,)+) => {
        /// A protocol, by its name.
        ///
        /// Messages and files hold names, and messages hold them as places in this list: new ones
        /// are appended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ProtocolName {
            $($(#[$doc])* $name,)+
        }

        impl ProtocolName {
            /// All of them.
            pub const ALL: &'static [ProtocolName] = &[$(ProtocolName::$name),+];

            /// What holds of it in every session.
            pub fn facts(self) -> &'static Facts {
                match self {
                    $(ProtocolName::$name => &<$definition as Definition>::FACTS,)+
                }
            }

            /// Calls generic code for this protocol, with its usual settings.
            pub fn visit<V: Visitor>(self, visitor: V) -> V::Output {
                match self {
                    $(ProtocolName::$name => visitor.visit(<$definition>::default()),)+
                }
            }
        }
    };
}

list! {
    /// Mirror: nobody sees anything; at most one party may be curious.
    Mirror: MirrorDefinition,
    /// Porthos, as published in CrypTFlow: for comparison. At most one party may be curious; a
    /// truncation can fail.
    Porthos: PorthosDefinition,
    /// Porthos with a truncation that never fails: 32 bytes an element and one round more.
    PorthosExact: PorthosExactDefinition,
    /// Fixed point without any protection, every party sees everything: for finding errors.
    Clear: ClearDefinition,
}

/// Code that is generic over protocols.
pub trait Visitor {
    /// What it makes.
    type Output;

    /// Does it, for one protocol.
    fn visit<D: Definition>(self, definition: D) -> Self::Output;
}

impl ProtocolName {
    /// The protocol where nobody chose one.
    pub const DEFAULT: ProtocolName = ProtocolName::Mirror;

    /// As the user types it.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Those that parties run where their configuration names none.
    pub fn usual() -> impl Iterator<Item = ProtocolName> {
        ProtocolName::ALL.iter().copied().filter(|protocol| protocol.facts().usual)
    }

    /// Whether parts that were shared under this protocol serve another.
    pub fn shares_like(self, other: ProtocolName) -> bool {
        self.facts().sharing == other.facts().sharing
    }

    /// What shares secrets and opens outputs under this protocol.
    pub fn owner(self, ring_bits: u32) -> Box<dyn Owner> {
        struct Make(u32);
        impl Visitor for Make {
            type Output = Box<dyn Owner>;
            fn visit<D: Definition>(self, definition: D) -> Box<dyn Owner> {
                Box::new(definition.owner(self.0))
            }
        }
        self.visit(Make(ring_bits))
    }

    /// What operations cost under this protocol, in a program over Z_2^ring_bits that takes a round to be worth so much
    /// (see [`Definition::for_network`]).
    pub fn costs(self, ring_bits: u32, bits_per_round: Option<u64>) -> Box<dyn CostModel> {
        struct Make(u32, Option<u64>);
        impl Visitor for Make {
            type Output = Box<dyn CostModel>;
            fn visit<D: Definition>(self, definition: D) -> Box<dyn CostModel> {
                Box::new(definition.for_network(self.1).costs(self.0))
            }
        }
        self.visit(Make(ring_bits, bits_per_round))
    }

    /// See [`Definition::failure`].
    pub fn failure(self, truncations: &[Truncation<'_>]) -> Option<f64> {
        struct Ask<'a>(&'a [Truncation<'a>]);
        impl Visitor for Ask<'_> {
            type Output = Option<f64>;
            fn visit<D: Definition>(self, definition: D) -> Option<f64> {
                definition.failure(self.0)
            }
        }
        self.visit(Ask(truncations))
    }

    /// See [`Definition::supports`].
    ///
    /// # Errors
    /// Why it cannot run a program with these truncations.
    pub fn supports(self, truncations: &[Truncation<'_>]) -> Result<(), Unsupported> {
        struct Ask<'a>(&'a [Truncation<'a>]);
        impl Visitor for Ask<'_> {
            type Output = Result<(), Unsupported>;
            fn visit<D: Definition>(self, definition: D) -> Result<(), Unsupported> {
                definition.supports(self.0)
            }
        }
        self.visit(Ask(truncations))
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no protocol has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no protocol {0:?}")]
pub struct UnknownProtocol(String);

impl FromStr for ProtocolName {
    type Err = UnknownProtocol;
    fn from_str(name: &str) -> Result<ProtocolName, UnknownProtocol> {
        let found = ProtocolName::ALL.iter().find(|protocol| protocol.name() == name);
        found.copied().ok_or_else(|| UnknownProtocol(name.to_owned()))
    }
}
