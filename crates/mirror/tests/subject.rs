//! Mirror as the secrecy suite sees it.

use cryptflow_conformance::secrecy::Subject;
use cryptflow_mirror::{Mirror, MirrorDefinition, Tuning};

pub(crate) const fn subject(tuning: Tuning) -> Subject<MirrorDefinition> {
    Subject {
        definition: MirrorDefinition { tuning },
        listens: false,
        alphabets: &[256],
        value_words: [Some(16), Some(16), None],
        weight_words: [Some(16), Some(16), None],
        part_bits: None,
        helper_draws_the_same: true,
        ahead: false,
        insecure_begin: |definition, links, keys, ring_bits| {
            Mirror::insecure_with_keys(links, keys, ring_bits, definition.tuning)
        },
    }
}
