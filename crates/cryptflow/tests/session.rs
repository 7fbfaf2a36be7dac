//! A client and three parties in one process.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use cryptflow::client::Client;
use cryptflow::fixed;
use cryptflow_engine::estimate;
use cryptflow_party as party;
use cryptflow_party::commitments::commit;
use cryptflow_party::edition::Edition;
use cryptflow_party::messages::{Manifest, Request, SessionError};
use cryptflow_program::{repeat, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{Link, LinkOptions, Links, local};

use crate::common;

type Mesh = fn(usize, LinkOptions) -> Result<Vec<Links>, cryptflow_wire::WireError>;

/// Three parties that wait for a client, and the client's links to them.
fn parties(mesh: Mesh) -> (Vec<Link>, Vec<JoinHandle<Result<(), SessionError>>>) {
    let options = LinkOptions { deadline: Duration::from_secs(20), ..LinkOptions::default() };
    let mut near = Vec::new();
    let serve = |links| {
        let (mine, theirs) = local::pair(options.clone()).unwrap();
        near.push(mine);
        thread::spawn(move || party::serve(links, theirs))
    };
    let handles = mesh(3, options.clone()).unwrap().into_iter().map(serve).collect();
    (near, handles)
}

#[test]
fn answers_are_right_in_every_protocol() {
    let (program, weights) = common::program();
    let program = validate(program).unwrap();
    let rows = common::rows(6);
    let meshes: [(&str, Mesh); 2] = [("local", local::mesh), ("tcp", cryptflow_wire::tcp::mesh_on_loopback)];
    for (name, mesh) in meshes {
        for (protocol, units) in
            [(ProtocolName::Clear, 0.0), (ProtocolName::Mirror, 16.0), (ProtocolName::Porthos, 16.0)]
        {
            let (links, handles) = parties(mesh);
            let client = Client::begin(links, &program, protocol).unwrap();
            client.deploy(&weights).unwrap();
            for batch in rows.chunks(common::BATCH) {
                let mut steps = vec![];
                let input = fixed::encode(&batch.concat(), common::SCALE);
                let answer = client.infer(&[input], &mut |step| steps.push(step)).unwrap();
                let logits = fixed::decode(&answer.outputs[0].as_ref().unwrap()[0], common::SCALE);
                let expected: Vec<f32> = batch.iter().flat_map(common::expected).collect();
                for (a, b) in logits.iter().zip(&expected) {
                    assert!(
                        (a - b).abs() <= units / 4096.0,
                        "{protocol} over {name}: {logits:?}, {expected:?}"
                    );
                }
                assert!(steps.starts_with(&[0]));
                let sent: u64 = answer.records.iter().flat_map(|r| &r.sent).sum();
                assert_eq!(sent > 0, protocol != ProtocolName::Clear);
                assert_eq!(answer.records[0].steps.len(), program.steps.len());
            }
            assert!(client.sent() > 0);
            client.finish().unwrap();
            for handle in handles {
                handle.join().unwrap().unwrap();
            }
        }
    }
}

/// The parties have the inputs of the next batch before they have answered.
#[test]
fn a_batch_is_handed_in_while_another_runs() {
    let (program, weights) = common::program();
    let program = validate(program).unwrap();
    let rows = common::rows(8 * common::BATCH);
    let (links, handles) = parties(cryptflow_wire::tcp::mesh_on_loopback);
    let client = Client::begin(links, &program, ProtocolName::Mirror).unwrap();
    client.deploy(&weights).unwrap();
    let batches: Vec<_> = rows.chunks(common::BATCH).collect();
    let hand_in =
        |batch: &[[f32; 4]]| client.hand_in(&[fixed::encode(&batch.concat(), common::SCALE)]).unwrap();
    let mut ahead = Some(hand_in(batches[0]));
    for (i, batch) in batches.iter().enumerate() {
        let underway = client.begin_batch(ahead.take().unwrap()).unwrap();
        ahead = batches.get(i + 1).map(|next| hand_in(next));
        let answer = client.answer(underway, &mut |_| ()).unwrap();
        let logits = fixed::decode(&answer.outputs[0].as_ref().unwrap()[0], common::SCALE);
        let expected = batch.iter().flat_map(common::expected);
        assert!(logits.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 16.0 / 4096.0), "batch {i}");
        assert_eq!(answer.records.len(), 3);
    }
    client.finish().unwrap();
    handles.into_iter().for_each(|handle| handle.join().unwrap().unwrap());
}

/// Several batches at once give what each gives, in the rounds of one, for what the formula says: in every protocol, and
/// with another number of batches each time.
#[test]
fn batches_run_at_once() {
    let (program, weights) = common::program();
    let program = validate(program).unwrap();
    for &protocol in ProtocolName::ALL {
        let (links, handles) = parties(local::mesh);
        let client = Client::begin(links, &program, protocol).unwrap();
        client.deploy(&weights).unwrap();
        assert!(client.at_once() >= 5, "{protocol}");
        let costs = protocol.costs(program.ring_bits, program.bits_per_round);
        let one = estimate(&program, &*costs).unwrap().total;
        for batches in [1, 5, 2, 1] {
            let rows = common::rows(batches * common::BATCH);
            let each =
                rows.chunks(common::BATCH).map(|batch| vec![fixed::encode(&batch.concat(), common::SCALE)]);
            let handed_in = client.hand_in_at_once(&each.collect::<Vec<_>>()).unwrap();
            let mut steps = vec![];
            let answer =
                client.answer(client.begin_batch(handed_in).unwrap(), &mut |step| steps.push(step)).unwrap();
            assert_eq!(answer.outputs.len(), batches);
            for (outputs, rows) in answer.outputs.iter().zip(rows.chunks(common::BATCH)) {
                let logits = fixed::decode(&outputs.as_ref().unwrap()[0], common::SCALE);
                let expected: Vec<f32> = rows.iter().flat_map(common::expected).collect();
                assert_eq!(logits.len(), expected.len());
                let far = logits.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 16.0 / 4096.0);
                assert!(!far, "{protocol}, {batches} at once: {logits:?}, {expected:?}");
            }
            assert!(steps.iter().all(|&step| step < program.steps.len()));
            let all = repeat(&program, batches).unwrap();
            let cost = estimate(all.program(), &*costs).unwrap().total;
            let sent: u64 = answer.records.iter().flat_map(|record| &record.sent).sum();
            let rounds = answer.records.iter().map(|record| record.rounds).max().unwrap();
            assert_eq!(sent, cost.total(), "{protocol}, {batches} at once");
            // A round before, parties compare what they were told; and one that was ahead at the end of a batch counts less.
            let counted = cost.rounds..=cost.rounds + 2;
            assert!(counted.contains(&rounds), "{protocol}, {batches} at once: {rounds}");
            assert!(cost.total() <= batches as u64 * one.total() && cost.rounds == one.rounds, "{protocol}");
            for record in &answer.records {
                assert_eq!(record.steps.len(), program.steps.len());
                let by_step: u64 = record.steps.iter().flat_map(|step| &step.sent).sum();
                assert_eq!(by_step, record.sent.iter().sum::<u64>());
            }
        }
        let none = client.hand_in_at_once(&[]).unwrap_err().to_string();
        assert!(none.contains("0 batches at once, and 1 to"), "{none}");
        client.at_once_at_most(3).finish().unwrap();
        handles.into_iter().for_each(|handle| handle.join().unwrap().unwrap());
    }
}

/// What a client may not ask for: and parties that are asked for different numbers of batches compute nothing.
#[test]
fn numbers_of_batches_that_no_party_takes() {
    let (program, weights) = common::program();
    // (version, how many each party is asked for, what one of them says at least)
    let table = [
        (Edition::Seven, [2; 3], "this session speaks version 7 of the messages"),
        (Edition::Eight, [0; 3], "0 batches at once, and this party takes 1 to"),
        (Edition::Eight, [u32::MAX; 3], "4294967295 batches at once, and this party takes 1 to"),
        (Edition::Eight, [2, 3, 2], "of different inputs: nothing was computed of them"),
        (Edition::Eight, [1, 2, 1], "of different inputs: nothing was computed of them"),
    ];
    for (edition, asked, expected) in table {
        let (links, handles) = parties(local::mesh);
        let protocol = ProtocolName::Mirror;
        let manifest = Manifest { version: edition.number(), ..Manifest::new(&program, protocol).unwrap() };
        let owner = protocol.owner(program.ring_bits);
        let share = |tensors: &[Vec<i64>], weights: bool| {
            let mut shared = vec![Vec::new(); 3];
            for tensor in tensors {
                let words: Vec<u64> = tensor.iter().map(|&v| v as u64).collect();
                let parts = if weights {
                    owner.share_weight(&words, program.ring_bits)
                } else {
                    owner.share_value(&words)
                };
                shared.iter_mut().zip(parts.unwrap()).for_each(|(shared, part)| shared.push(part));
            }
            (commit(protocol, &shared).unwrap(), shared)
        };
        let (weights_told, weights) = share(&weights, true);
        // As long as two batches are: for whoever expects another number, it is no part of these.
        let (told, input) = share(&[vec![0; 2 * 4 * common::BATCH]], false);
        for (party, link) in links.iter().enumerate() {
            let send = |request: &Request| link.send(postcard::to_stdvec(request).unwrap()).is_ok();
            let text = serde_json::to_string(&program).unwrap();
            let parts = input[party].iter().cloned().map(serde_bytes::ByteBuf::from).collect();
            // A party that has found out may be gone already.
            let _ = send(&Request::Setup { manifest: manifest.clone(), program: text })
                && send(&Request::Weights { told: weights_told[party].clone() })
                && weights[party].iter().all(|part| link.send(part.clone()).is_ok())
                && send(&Request::AtOnce { runs: asked[party] })
                && send(&Request::Batch { told: told[party].clone(), parts });
        }
        let errors: Vec<String> =
            handles.into_iter().map(|handle| handle.join().unwrap().unwrap_err().to_string()).collect();
        assert!(errors.iter().any(|error| error.contains(expected)), "{asked:?}: {errors:?}");
    }
}

#[test]
fn everybody_hears_of_a_failure() {
    type Change = fn(&mut cryptflow_program::Program, &mut Vec<Vec<i64>>);
    // (what is wrong, what the client hears)
    let table: [(Change, &str); 3] = [
        (|_, w| drop(w.pop()), "the program has 3 weights, and 2 were given"),
        (|_, w| w[1].push(1), "the weight \"b0\" has 3 elements, and 4 were given"),
        (|p, _| p.steps.truncate(2), "the session cannot begin: output softmax: value 3 is never computed"),
    ];
    for (change, expected) in table {
        let (mut program, mut weights) = common::program();
        change(&mut program, &mut weights);
        let (links, handles) = parties(local::mesh);
        let error = match validate(program.clone()) {
            Ok(program) => Client::begin(links, &program, ProtocolName::Clear)
                .and_then(|client| client.deploy(&weights))
                .unwrap_err()
                .to_string(),
            // No client of ours says that.
            Err(_) => {
                let text = serde_json::to_string(&program).unwrap();
                let manifest = Manifest::new(&program, ProtocolName::Clear).unwrap();
                let setup = Request::Setup { manifest, program: text };
                links.iter().for_each(|link| link.send(postcard::to_stdvec(&setup).unwrap()).unwrap());
                links[0].recv_any(1000).unwrap_err().to_string()
            }
        };
        assert!(error.contains(expected), "{error}\nnot: {expected}");
        for handle in handles {
            assert!(handle.join().unwrap().is_err());
        }
    }
}

/// A party that refuses its part tells everybody why; the others say whose fault it is.
#[test]
fn a_party_that_fails_says_why() {
    let (program, weights) = common::program();
    let send = |link: &Link, request: &Request| link.send(postcard::to_stdvec(request).unwrap()).unwrap();
    for protocol in [ProtocolName::Clear, ProtocolName::Mirror] {
        let (links, handles) = parties(cryptflow_wire::tcp::mesh_on_loopback);
        let manifest = Manifest::new(&program, protocol).unwrap();
        let owner = protocol.owner(program.ring_bits);
        let words = |values: &[i64]| values.iter().map(|&v| v as u64).collect::<Vec<_>>();
        // By party. All are told of the same first weight, which is too long by two elements.
        let mut shared = vec![Vec::new(); 3];
        for (i, w) in weights.iter().enumerate() {
            let mut words = words(w);
            words.resize(words.len() + if i == 0 { 2 } else { 0 }, 0);
            let parts = owner.share_weight(&words, program.ring_bits).unwrap();
            shared.iter_mut().zip(parts).for_each(|(shared, part)| shared.push(part));
        }
        let input = owner.share_value(&[0; 4 * common::BATCH]).unwrap();
        let input: Vec<_> = input.into_iter().map(|part| vec![part]).collect();
        let (weights_told, told) = (commit(protocol, &shared).unwrap(), commit(protocol, &input).unwrap());
        for (party, link) in links.iter().enumerate() {
            let program = serde_json::to_string(&program).unwrap();
            send(link, &Request::Setup { manifest: manifest.clone(), program });
            send(link, &Request::Weights { told: weights_told[party].clone() });
            shared[party].iter().for_each(|part| link.send(part.clone()).unwrap());
            send(link, &Request::Inputs { told: told[party].clone() });
            link.send(input[party][0].clone()).unwrap();
            send(link, &Request::Go);
        }
        // An abort may overtake what was said before it.
        let error = |link: &Link| (0..9).find_map(|_| link.recv_any(1000).err()).unwrap().to_string();
        let errors: Vec<String> = links.iter().map(error).collect();
        assert!(errors[1].contains("aborted: a share of w0 is malformed"), "{protocol}: {errors:?}");
        for error in &errors {
            // Whoever was done already hears no more than that the others have ended.
            let said = ["a share of w0 is malformed", "ended the session before"];
            assert!(said.iter().any(|s| error.contains(s)), "{protocol}: {error}");
        }
        for handle in handles {
            assert!(handle.join().unwrap().is_err());
        }
    }
}

/// An owner who tells one party of other weights than the others, and that party what it finds right.
#[test]
fn parties_that_were_told_of_different_weights_compute_nothing() {
    let (program, weights) = common::program();
    let (links, handles) = parties(local::mesh);
    let (protocol, send) = (ProtocolName::Mirror, |link: &Link, request: &Request| {
        // A party that has found out may be gone already.
        link.send(postcard::to_stdvec(request).unwrap()).is_ok()
    });
    let owner = protocol.owner(program.ring_bits);
    let shared = || {
        let mut shared = vec![Vec::new(); 3];
        for weight in &weights {
            let words: Vec<u64> = weight.iter().map(|&v| v as u64).collect();
            let parts = owner.share_weight(&words, program.ring_bits).unwrap();
            shared.iter_mut().zip(parts).for_each(|(shared, part)| shared.push(part));
        }
        let told = commit(protocol, &shared).unwrap();
        (shared, told)
    };
    let (honest, other) = (shared(), shared());
    let manifest = Manifest::new(&program, protocol).unwrap();
    let input = owner.share_value(&[0; 4 * common::BATCH]).unwrap();
    let input: Vec<_> = input.into_iter().map(|part| vec![part]).collect();
    let told = commit(protocol, &input).unwrap();
    for (party, link) in links.iter().enumerate() {
        let (parts, weights_told) = if party == 1 { &other } else { &honest };
        let text = serde_json::to_string(&program).unwrap();
        let _ = send(link, &Request::Setup { manifest: manifest.clone(), program: text })
            && send(link, &Request::Weights { told: weights_told[party].clone() })
            && parts[party].iter().all(|part| link.send(part.clone()).is_ok())
            && send(link, &Request::Inputs { told: told[party].clone() })
            && link.send(input[party][0].clone()).is_ok()
            && send(link, &Request::Go);
    }
    for (party, handle) in handles.into_iter().enumerate() {
        let error = handle.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("of different weights: nothing was computed of them"), "P{party}: {error}");
    }
}

/// Requests of version 7: in sessions whose messages have them; and a batch with the parts of every input.
#[test]
fn batches_that_do_not_belong_here() {
    let (program, weights) = common::program();
    let protocol = ProtocolName::Mirror;
    let owner = protocol.owner(program.ring_bits);
    let mut shared = vec![Vec::new(); 3];
    for weight in &weights {
        let words: Vec<u64> = weight.iter().map(|&v| v as u64).collect();
        let parts = owner.share_weight(&words, program.ring_bits).unwrap();
        shared.iter_mut().zip(parts).for_each(|(shared, part)| shared.push(part));
    }
    let weights_told = commit(protocol, &shared).unwrap();
    let input = owner.share_value(&[0; 4 * common::BATCH]).unwrap();
    let input: Vec<_> = input.into_iter().map(|part| vec![part]).collect();
    let told = commit(protocol, &input).unwrap();
    // (version, a time line is wanted, how often the input's part is in there, what is wrong)
    let table = [
        (Edition::Six, false, 1, "this session speaks version 6 of the messages"),
        (Edition::Six, true, 1, "this session speaks version 6 of the messages"),
        (Edition::Seven, false, 0, "parts of 0 inputs"),
        (Edition::Seven, true, 2, "parts of 2 inputs"),
    ];
    for (edition, profiled, times, expected) in table {
        let (links, handles) = parties(local::mesh);
        let manifest = Manifest { version: edition.number(), ..Manifest::new(&program, protocol).unwrap() };
        for (party, link) in links.iter().enumerate() {
            let send = |request: &Request| link.send(postcard::to_stdvec(request).unwrap()).is_ok();
            let text = serde_json::to_string(&program).unwrap();
            let part = serde_bytes::ByteBuf::from(input[party][0].clone());
            let parts = std::iter::repeat_n(part, times).collect();
            // A party that has found out may be gone already.
            let _ = send(&Request::Setup { manifest: manifest.clone(), program: text })
                && send(&Request::Weights { told: weights_told[party].clone() })
                && shared[party].iter().all(|part| link.send(part.clone()).is_ok())
                && (!profiled || send(&Request::Profile))
                && send(&Request::Batch { told: told[party].clone(), parts });
        }
        let errors: Vec<String> =
            handles.into_iter().map(|handle| handle.join().unwrap().unwrap_err().to_string()).collect();
        assert!(errors.iter().any(|error| error.contains(expected)), "{errors:?}");
    }
}

/// A session of messages up to version 9 has its weights in the program's ring, as older parties read them; both give the
/// same, and take what the formula says.
#[test]
fn weights_are_shared_in_the_ring_that_their_steps_need() {
    let (mut program, weights) = common::program();
    // What the second layer reads is in a ring of 40 bits, the program's has 64.
    program.values[2].ring = Some(40);
    program.version = program.due_version();
    let program = validate(program).unwrap();
    assert_eq!(program.weight_rings(), [64, 64, 40]);
    let rows = common::rows(common::BATCH);
    let input = fixed::encode(&rows.concat(), common::SCALE);
    let expected: Vec<f32> = rows.iter().flat_map(common::expected).collect();
    for &protocol in ProtocolName::ALL {
        let costs = protocol.costs(program.ring_bits, None);
        let parts = |rings: &[u32]| -> Vec<u64> {
            let each = program.weights.iter().zip(rings);
            let each = each.map(|(w, bits)| costs.weight(w.shape.iter().product(), 64, *bits));
            each.fold(vec![0; 3], |all, part| all.iter().zip(part).map(|(a, b)| a + b).collect())
        };
        let said = [parts(&[64; 3]), parts(&program.weight_rings())];
        if protocol == ProtocolName::Mirror {
            // Two parts of 9 elements, 24 bits less each.
            assert_eq!(said.each_ref().map(|said| said.iter().sum::<u64>()), [2 * 240 + 96, 2 * 213 + 96]);
        }
        let sent = [Edition::Nine, Edition::Ten].map(|edition| {
            let (links, handles) = parties(local::mesh);
            let manifest =
                Manifest { version: edition.number(), ..Manifest::new(&program, protocol).unwrap() };
            let client = Client::begin_as(links, &program, manifest).unwrap();
            let before = client.meters();
            client.deploy(&weights).unwrap();
            let meters = client.meters();
            let sent: Vec<u64> =
                meters.iter().zip(before).map(|(m, b)| m.sent_bytes - b.sent_bytes).collect();
            let outputs = client.infer(std::slice::from_ref(&input), &mut |_| ()).unwrap().of_one().unwrap();
            let logits = fixed::decode(&outputs[0], common::SCALE);
            let far = logits.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 16.0 / 4096.0);
            assert!(!far, "{protocol}, {edition}: {logits:?}, {expected:?}");
            client.finish().unwrap();
            handles.into_iter().for_each(|handle| handle.join().unwrap().unwrap());
            sent
        });
        for party in 0..3 {
            let saved = said[0][party] - said[1][party];
            assert_eq!(sent[0][party] - sent[1][party], saved, "{protocol}, P{party}");
        }
    }
}

#[test]
fn a_client_that_goes_frees_the_parties() {
    let (program, weights) = common::program();
    let program = validate(program).unwrap();
    let (links, handles) = parties(local::mesh);
    let client = Client::begin(links, &program, ProtocolName::Mirror).unwrap();
    client.deploy(&weights).unwrap();
    drop(client);
    for handle in handles {
        let error = handle.join().unwrap().unwrap_err().to_string();
        // On a machine that is busy elsewhere, the end of the connection can overtake the farewell.
        let told = error.contains("ended the session") || error.contains("closed the connection");
        assert!(told, "{error}");
    }
}

#[test]
fn parties_that_were_asked_for_different_things_run_nothing() {
    // Each party has a client of its own, and these do not want the same.
    let (program, _) = common::program();
    let mut other = program.clone();
    other.name = "another".into();
    let (links, handles) = parties(local::mesh);
    let [a, b, c] = <[Link; 3]>::try_from(links).ok().unwrap();
    let (spare, _kept) = local::pair(LinkOptions::default()).unwrap();
    let begin = |links: Vec<Link>, program: cryptflow_program::Program| {
        let program = validate(program).unwrap();
        thread::spawn(move || Client::begin(links, &program, ProtocolName::Clear).map(|_| ()).unwrap_err())
    };
    let (spare2, _kept2) = local::pair(LinkOptions::default()).unwrap();
    let (spare3, _kept3) = local::pair(LinkOptions::default()).unwrap();
    let first = begin(vec![a, b, spare], program);
    let second = begin(vec![spare2, spare3, c], other);
    let errors = [first, second].map(|t| t.join().unwrap().to_string());
    assert!(errors[0].contains("were asked for different sessions"), "{errors:?}");
    for handle in handles {
        assert!(handle.join().unwrap().is_err());
    }
    drop((_kept, _kept2, _kept3));
}
