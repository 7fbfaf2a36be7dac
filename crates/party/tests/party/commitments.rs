//! What keeps the parts of a sharing together, without a network.

use cryptflow_mpc::Cost;
use cryptflow_party::commitments::{What, check, commit, compare, cost, digest};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{LinkOptions, local};

/// By party, two tensors.
fn shared(protocol: ProtocolName) -> Vec<Vec<Vec<u8>>> {
    let owner = protocol.owner(50);
    let mut parts = vec![Vec::new(); 3];
    for x in [&[1, 2, 3][..], &[77]] {
        parts.iter_mut().zip(owner.share_value(x).unwrap()).for_each(|(all, part)| all.push(part));
    }
    parts
}

#[test]
fn every_byte_of_a_part_and_every_commitment_count() {
    for &protocol in ProtocolName::ALL {
        let parts = shared(protocol);
        let told = commit(protocol, &parts).unwrap();
        for party in 0..3 {
            assert!(check(protocol, party, &told[party], &parts[party]), "{protocol} P{party}");
            for tensor in 0..2 {
                for byte in 0..parts[party][tensor].len() {
                    let mut changed = parts[party].clone();
                    changed[tensor][byte] ^= 1;
                    assert!(!check(protocol, party, &told[party], &changed), "{protocol} P{party} {byte}");
                }
                let mut longer = parts[party].clone();
                longer[tensor].push(0);
                assert!(!check(protocol, party, &told[party], &longer), "{protocol} P{party}");
            }
            for place in 0..told[party].salts.len() {
                let mut changed = told[party].clone();
                changed.salts[place][31] ^= 1;
                assert!(!check(protocol, party, &changed, &parts[party]), "{protocol} P{party}");
            }
            let mut more = told[party].clone();
            more.commitments.push([0; 32]);
            assert!(!check(protocol, party, &more, &parts[party]), "{protocol} P{party}");
            more.commitments.clear();
            assert!(!check(protocol, party, &more, &parts[party]), "{protocol} P{party}");
        }
    }
}

/// In Mirror each piece goes to two parties, and its salt to nobody else.
#[test]
fn a_salt_goes_to_the_holders_of_its_piece() {
    let protocol = ProtocolName::Mirror;
    let told = commit(protocol, &shared(protocol)).unwrap();
    let [first, second, third] = [0, 1, 2].map(|party: usize| &told[party].salts);
    // Each has the seed of its own mask first; P2 both.
    assert_eq!([first[0], second[0]], [third[0], third[1]]);
    assert_eq!(first[1], second[1]);
    assert!(!third.contains(&first[1]) && !second.contains(&first[0]) && !first.contains(&second[0]));
    assert!(told.iter().all(|other| other.commitments == told[0].commitments));
}

#[test]
fn comparing_costs_what_is_declared_and_names_who_was_told_otherwise() {
    // (what P2 was told, who is named by whom)
    for lie in [false, true] {
        let lists = [[1; 32], [1; 32], if lie { [2; 32] } else { [1; 32] }];
        let links = local::mesh(3, LinkOptions::default()).unwrap();
        let threads: Vec<_> = links
            .into_iter()
            .zip(lists)
            .map(|(links, list)| {
                std::thread::spawn(move || {
                    let own = digest(What::Inputs, &[list]);
                    let result = compare(&links, "client alice", What::Inputs, own);
                    if let Err(error) = &result {
                        links.breaker().abort_all(error);
                    }
                    (result.map_err(|e| e.to_string()), Cost::seen(&links))
                })
            })
            .collect();
        let mut seen = Cost::FREE;
        for thread in threads {
            let (result, own) = thread.join().unwrap();
            assert_eq!(result.is_err(), lie);
            if let Err(error) = result {
                assert!(error.contains("client alice told P"), "{error}");
                assert!(error.contains("P2 of different inputs") || error.contains("P2 and P"), "{error}");
            }
            seen.bytes += &own.bytes;
            seen.rounds = seen.rounds.max(own.rounds);
        }
        if !lie {
            assert_eq!(seen, cost(3));
        }
    }
    assert_ne!(digest(What::Inputs, &[[1; 32]]), digest(What::Weights, &[[1; 32]]));
    assert_ne!(digest(What::Inputs, &[]), digest(What::Inputs, &[[0; 32]]));
}
