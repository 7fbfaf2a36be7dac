//! Porthos as the secrecy suite sees it, with either truncation.

use cryptflow_conformance::secrecy::Subject;
use cryptflow_mpc::keys::Keys;
use cryptflow_mpc::{Definition, Error};
use cryptflow_porthos::{Porthos, PorthosDefinition, PorthosExactDefinition, Truncation};
use cryptflow_wire::Links;

pub(crate) const LOCAL: Subject<PorthosDefinition> = subject(PorthosDefinition, |_, links, keys, _| {
    Ok(Porthos::insecure_with_keys(links, keys, Truncation::Local))
});

pub(crate) const DEALT: Subject<PorthosExactDefinition> =
    subject(PorthosExactDefinition, |_, links, keys, _| {
        Ok(Porthos::insecure_with_keys(links, keys, Truncation::Dealt))
    });

const fn subject<D: Definition>(
    definition: D,
    insecure_begin: fn(&D, Links, Keys, u32) -> Result<D::Protocol, Error>,
) -> Subject<D> {
    Subject {
        definition,
        listens: true,
        alphabets: &[256, 127],
        value_words: [None, Some(0), None],
        weight_words: [None, Some(0), None],
        part_bits: Some(64),
        helper_draws_the_same: false,
        insecure_begin,
    }
}
