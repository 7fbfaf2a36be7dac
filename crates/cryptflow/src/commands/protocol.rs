//! The argument `--protocol`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cryptflow_party::ProtocolName;

/// Reads the name of a protocol.
pub(crate) fn parser() -> impl TypedValueParser<Value = ProtocolName> {
    let values = ProtocolName::ALL.map(|protocol| {
        PossibleValue::new(protocol.name()).help(match protocol {
            ProtocolName::Mirror => "Nobody sees anything; at most one party may be curious",
            ProtocolName::Porthos => {
                "As published in CrypTFlow, for comparison: at most one party may be curious; a truncation can fail"
            }
            ProtocolName::PorthosExact => "Porthos with a truncation that never fails: 32 bytes an element and a round more",
            ProtocolName::Clear => "Without any protection, every party sees everything: for finding errors",
        })
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<ProtocolName>())
}
