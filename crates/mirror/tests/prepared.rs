//! What a party prepares of a weight before any session is what it computes with: w − e, w + e and e.

use std::sync::Arc;

use cryptflow_mirror::MirrorDefinition;
use cryptflow_mpc::keys::{Key, Keys};
use cryptflow_mpc::turn::alone;
use cryptflow_mpc::{Definition, Error, Owner, Party, Protocol, Term};
use cryptflow_ring::{LinearMap, Prf};
use cryptflow_wire::{LinkOptions, local};

use crate::share::{Expanded, Masked, low_bits, weight_parts};
use crate::{Mirror, Tuning};

#[test]
fn is_the_mirrored_form() {
    let definition = MirrorDefinition::default();
    // The program's ring, and the one that it is needed in: it is shared in either.
    for [ring, bits] in
        [[8, 8], [28, 28], [32, 32], [33, 33], [51, 51], [64, 64], [64, 33], [43, 30], [51, 38], [40, 64]]
    {
        is_the_mirrored_form_of(&definition, [ring, bits], ring);
        is_the_mirrored_form_of(&definition, [ring, bits], bits);
    }
}

fn is_the_mirrored_form_of(definition: &MirrorDefinition, [ring, needed]: [u32; 2], shared: u32) {
    let bits = ring.min(needed);
    let w: Vec<u64> = (0..300u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & low_bits(ring)).collect();
    let parts = definition.owner(ring).share_weight(&w, shared).unwrap();
    let said = weight_parts(w.len(), ring, shared);
    assert_eq!(parts.iter().map(|part| part.len() as u64).collect::<Vec<_>>(), said);
    let [less, more, e] = [Party::P0, Party::P1, Party::P2].map(|party| {
        let part = &parts[party.index()];
        let words = definition.prepare_weight(party, ring, "w", w.len(), part, needed).unwrap();
        words.expect("it prepares weights").borrowed().widened().into_owned()
    });
    assert!(e.iter().any(|e| *e != 0), "{bits} of {ring} bits");
    for (i, w) in w.iter().enumerate() {
        assert_eq!(less[i].wrapping_add(e[i]) & low_bits(bits), *w & low_bits(bits), "{bits} of {ring} bits");
        assert_eq!(more[i].wrapping_sub(e[i]) & low_bits(bits), *w & low_bits(bits), "{bits} of {ring} bits");
    }
    for (party, part) in [Party::P0, Party::P1, Party::P2].into_iter().zip(&parts) {
        let short = &part[..part.len() - 1];
        assert!(definition.prepare_weight(party, ring, "w", w.len(), short, needed).is_err());
    }
}

/// P2's e is the same whether it is written down or made where it is read, from anywhere on; it is written down where
/// there is room, which is taken once.
#[test]
fn masks_are_made_where_they_are_read() {
    let expanded = || Expanded::new([3, 4].map(|seed| Prf::new([seed; 16])), 40);
    let (len, mut room) = (5000, 7000);
    let (first, second) = (expanded(), expanded());
    let kept = first.kept(len, &mut room).unwrap().borrowed().widened().into_owned();
    assert!(second.kept(len, &mut room).is_none());
    assert!(first.kept(len, &mut room).is_some());
    assert_eq!(room, 2000);
    let draw = second.draw();
    for (from, count) in [(0, len), (1, 2048), (2047, 2), (1023, 1026), (4999, 1), (5000, 0)] {
        let mut made = vec![0; count];
        draw(from, &mut made);
        let made: Vec<u64> = made.iter().map(|e| e & low_bits(40)).collect();
        assert_eq!(made, kept[from..][..count], "{count} from {from} on");
    }
}

/// What was kept for a smaller ring is used in no larger one, as a factor or as a bias.
#[test]
fn nothing_is_made_of_bits_that_were_not_kept() {
    let links = local::mesh(3, LinkOptions::default()).unwrap().swap_remove(0);
    let key = |other| (Party::new(other), Key::insecure_from_source(Arc::new(Prf::new([other as u8; 16]))));
    let keys = Keys::insecure_from_keys(Party::P0, [key(1), key(2)]).unwrap();
    let mut mirror = Mirror::insecure_with_keys(links, keys, 40, Tuning::USUAL).unwrap();
    let part = MirrorDefinition::default().owner(40).share_weight(&[5], 40).unwrap().swap_remove(0);
    for bits in [20, 33, 39] {
        let w = mirror.receive_weight("w", 1, part.clone(), bits).unwrap();
        let x = Masked { a: vec![1], b: vec![1], bits: 40 };
        let map = &LinearMap::MatMul { rows: 1, inner: 1, columns: 1 };
        let range = |result| matches!(result, Err(Error::Range { .. }));
        assert!(range(alone(mirror.linear(&[Term { map, x: &x, w: &w }], None, 4, 40))), "{bits} bits");
        assert!(range(alone(mirror.linear(&[], Some(&w), 4, 40))), "{bits} bits");
    }
}
