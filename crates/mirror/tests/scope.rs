//! Parties that mean different things cannot begin a session together: P2 neither, which hears nothing
//! of the evaluators later.

use std::thread;

use cryptflow_mirror::{MirrorDefinition, Tuning};
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Definition, Error};
use cryptflow_wire::{LinkOptions, local};

#[test]
fn another_ring_or_tuning_is_found() {
    let scope = Scope { session: [1; 32], program: [2; 32], ring_bits: 50 };
    let usual = MirrorDefinition::default();
    let other_tuning = MirrorDefinition { tuning: Tuning { bits_per_round: 0, ..Tuning::USUAL } };
    let other_waves = MirrorDefinition { tuning: Tuning { wave: 1 << 14, ..Tuning::USUAL } };
    let others = [(usual, Scope { ring_bits: 49, ..scope }), (other_tuning, scope), (other_waves, scope)];
    for (definition, other) in others {
        for odd in 0..3 {
            let links = local::mesh(3, LinkOptions::default()).unwrap();
            let begun: Vec<_> = (0..3)
                .zip(links)
                .map(|(party, links)| {
                    let (definition, scope) = if party == odd { (definition, other) } else { (usual, scope) };
                    thread::spawn(move || definition.begin(links, &scope).map(drop))
                })
                .collect();
            for (party, thread) in begun.into_iter().enumerate() {
                let error = thread.join().unwrap().expect_err("it goes on");
                let due = matches!(error, Error::Scope { .. } | Error::Wire(_));
                assert!(due, "P{party}, P{odd} means something else: {error}");
            }
        }
    }
}
