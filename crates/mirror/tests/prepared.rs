//! What a party prepares of a weight before any session is what it computes with: w − e, w + e and e.

use cryptflow_mirror::MirrorDefinition;
use cryptflow_mpc::{Definition, Owner, Party};

use crate::share::low_bits;

#[test]
fn is_the_mirrored_form() {
    let definition = MirrorDefinition::default();
    for bits in [8, 28, 32, 33, 51, 64] {
        let w: Vec<u64> =
            (0..300u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & low_bits(bits)).collect();
        let parts = definition.owner(bits).share_weight(&w).unwrap();
        let [less, more, e] = [Party::P0, Party::P1, Party::P2].map(|party| {
            let part = &parts[party.index()];
            let words = definition.prepare_weight(party, bits, "w", w.len(), part).unwrap();
            words.expect("it prepares weights").borrowed().widened().into_owned()
        });
        assert!(e.iter().any(|e| *e != 0), "{bits} bits");
        for (i, w) in w.iter().enumerate() {
            assert_eq!(less[i].wrapping_add(e[i]) & low_bits(bits), *w, "{bits} bits");
            assert_eq!(more[i].wrapping_sub(e[i]) & low_bits(bits), *w, "{bits} bits");
        }
        for (party, part) in [Party::P0, Party::P1, Party::P2].into_iter().zip(&parts) {
            let short = &part[..part.len() - 1];
            assert!(definition.prepare_weight(party, bits, "w", w.len(), short).is_err());
        }
    }
}
