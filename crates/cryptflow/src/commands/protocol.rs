//! The argument `--protocol`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cryptflow_protocols::ProtocolName;

/// Reads the name of a protocol.
pub(crate) fn parser() -> impl TypedValueParser<Value = ProtocolName> {
    let values = ProtocolName::ALL.iter().map(|protocol| {
        let facts = protocol.facts();
        PossibleValue::new(facts.name).help(facts.help)
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<ProtocolName>())
}
