//! Keys are those of a session: who means another one has others, and finds out.

use std::thread;

use cryptflow_mpc::keys::{Keys, Scope, Variant};
use cryptflow_mpc::{Error, Party};
use cryptflow_wire::{LinkOptions, local};

#[derive(Clone)]
struct Meant {
    scope: Scope,
    name: &'static str,
    parameters: Vec<u64>,
}

/// What each party says, and the first words of its keys with the others.
fn agreed(meant: [Meant; 3]) -> Vec<Result<Vec<(Party, [u64; 2])>, Error>> {
    let links = local::mesh(3, LinkOptions::default()).unwrap();
    let threads: Vec<_> = links
        .into_iter()
        .zip(meant)
        .map(|(links, Meant { scope, name, parameters })| {
            thread::spawn(move || {
                let party = Party::new(links.index());
                let keys = Keys::agree(&links, &scope, &Variant { name, parameters: &parameters });
                keys.map(|mut keys| {
                    let mut first = |other| {
                        let mut words = [0; 2];
                        keys.with(other).stream().draw(&mut words);
                        (other, words)
                    };
                    Party::all(3).filter(|other| *other != party).map(&mut first).collect()
                })
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn meant() -> Meant {
    let scope = Scope { session: [1; 32], program: [2; 32], ring_bits: 50 };
    Meant { scope, name: "mirror", parameters: vec![7, 8] }
}

#[test]
fn parties_that_mean_the_same_have_the_same_keys() {
    let keys = agreed([meant(), meant(), meant()]);
    let keys: Vec<_> = keys.into_iter().map(Result::unwrap).collect();
    let with =
        |party: usize, other: usize| keys[party].iter().find(|(of, _)| *of == Party::new(other)).unwrap().1;
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        assert_eq!(with(a, b), with(b, a));
    }
    assert!(with(0, 1) != with(0, 2) && with(0, 1) != with(1, 2) && with(0, 2) != with(1, 2));
    // And others in the next session.
    let again = agreed([meant(), meant(), meant()]).remove(0).unwrap();
    assert_ne!(again[0].1, with(0, 1));
}

/// Whichever of the three it is, P2 included, and in whichever point.
#[test]
fn a_party_that_means_something_else_is_found_by_both_others() {
    let changes: [fn(&mut Meant); 7] = [
        |meant| meant.scope.session[31] ^= 1,
        |meant| meant.scope.program[0] ^= 1,
        |meant| meant.scope.ring_bits += 1,
        |meant| meant.name = "porthos",
        |meant| meant.parameters[1] += 1,
        |meant| meant.parameters.push(0),
        |meant| meant.parameters.clear(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for odd in 0..3 {
            let mut all = [meant(), meant(), meant()];
            change(&mut all[odd]);
            for (party, result) in agreed(all).into_iter().enumerate() {
                let Err(error) = result else { panic!("{number}: P{party} goes on with P{odd}") };
                match error {
                    Error::Scope { party: found, other } => {
                        assert_eq!(found, Party::new(party));
                        assert!(party == odd || other == Party::new(odd), "{number}: {other} for P{odd}");
                    }
                    // It may hear of it from who found out first.
                    Error::Wire(error) => assert!(error.to_string().contains("ended the session"), "{error}"),
                    error => panic!("{number}: {error}"),
                }
            }
        }
    }
}
