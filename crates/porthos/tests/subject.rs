//! Porthos as the secrecy suite sees it, with either truncation.

use cryptflow_conformance::secrecy::Subject;
use cryptflow_mpc::keys::Keys;
use cryptflow_mpc::{Definition, Error};
use cryptflow_porthos::{Porthos, PorthosDefinition, PorthosExactDefinition, Truncation, Tuning};
use cryptflow_wire::Links;

pub(crate) const LOCAL: Subject<PorthosDefinition> = local(Tuning::USUAL);
pub(crate) const DEALT: Subject<PorthosExactDefinition> = dealt(Tuning::USUAL);

pub(crate) const fn local(tuning: Tuning) -> Subject<PorthosDefinition> {
    subject(PorthosDefinition { tuning }, |definition, links, keys, _| {
        Porthos::insecure_with_keys(links, keys, Truncation::Local, definition.tuning)
    })
}

pub(crate) const fn dealt(tuning: Tuning) -> Subject<PorthosExactDefinition> {
    subject(PorthosExactDefinition { tuning }, |definition, links, keys, _| {
        Porthos::insecure_with_keys(links, keys, Truncation::Dealt, definition.tuning)
    })
}

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
        ahead: false,
        insecure_begin,
    }
}
