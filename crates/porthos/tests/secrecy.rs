//! What holds of every message and of every pad of whole programs, what P2 sees of comparisons, and
//! that each check finds the bug which it is there for.

use cryptflow_conformance::secrecy::{
    self, Fault, OneRelu, PARTIES, Run, SHAPE_BUGS, TOO_FAR, Watched, Zoo, far_from_uniform,
    repeats_are_found, seeds,
};
use cryptflow_mpc::Party;
use cryptflow_porthos::PorthosDefinition;
use cryptflow_wire::local::Recorded;

use super::subject::{DEALT, LOCAL};

/// The modulus of the bytes of a comparison.
const P: u8 = 127;
/// A ReLU in which bugs are planted; its last group is not full.
const SMALL: OneRelu = OneRelu(5000);
/// Messages of a comparison are at least this long.
const TESTED: usize = 4096;

fn one_relu(secret: u64, fault: Fault) -> Run {
    secrecy::run(&LOCAL, &SMALL, secret, seeds(7), fault).unwrap()
}

#[test]
fn whole_programs_keep_their_secrets() {
    let secrets = [77, 0, 5u64.wrapping_neg()];
    secrecy::check(&LOCAL, &Zoo, &secrets).unwrap();
    secrecy::check(&DEALT, &Zoo, &secrets).unwrap();
}

/// The messages of a comparison to P2 from one evaluator, one after another: 64 rows of each group.
fn cells(messages: &[Recorded], from: usize) -> Vec<u8> {
    let to_helper =
        messages.iter().filter(|m| m.from == from && m.to == 2 && m.payload.iter().all(|b| *b < P));
    to_helper.filter(|m| m.payload.len() >= TESTED).flat_map(|m| m.payload.clone()).collect()
}

/// What is wrong with what P2 puts together of the two comparisons of each element of a ReLU. There
/// must be one zero in a uniform row, or none, each as often, and uniform bytes besides.
fn helpers_view(OneRelu(len): OneRelu, messages: &[Recorded]) -> Result<(), String> {
    let (a, b) = (cells(messages, 0), cells(messages, 1));
    if (a.len(), b.len()) != (2 * 64 * len, 2 * 64 * len) {
        return Err(format!("{} and {} bytes", a.len(), b.len()));
    }
    let sums: Vec<u8> = a.iter().zip(&b).map(|(a, b)| (a + b) % P).collect();
    if far_from_uniform(sums.iter().copied().filter(|v| *v != 0), 1..usize::from(P)) > TOO_FAR {
        return Err("the cells that are not zero are not uniform".into());
    }
    let mut rest = sums.as_slice();
    for comparison in 0..2 {
        let (mut rows, mut left) = (Vec::new(), len);
        // Groups of 64 elements; the tensor ends in a smaller one.
        while left > 0 {
            let lanes = left.min(64);
            let (group, after) = rest.split_at(64 * lanes);
            (rest, left) = (after, left - lanes);
            for lane in 0..lanes {
                let zeros: Vec<usize> = (0..64).filter(|row| group[row * lanes + lane] == 0).collect();
                if zeros.len() > 1 {
                    return Err(format!("comparison {comparison} shows {} zeros", zeros.len()));
                }
                rows.extend(zeros.iter().map(|&row| row as u8));
            }
        }
        let (yes, half, sd) = (rows.len() as f64, len as f64 / 2.0, (len as f64).sqrt() / 2.0);
        if (yes - half).abs() > 6.0 * sd {
            return Err(format!("comparison {comparison} shows {yes} zeros in {len} elements"));
        }
        if far_from_uniform(rows.into_iter(), 0..64) > TOO_FAR {
            return Err(format!("comparison {comparison}: the zeros' rows are not uniform"));
        }
    }
    Ok(())
}

#[test]
fn the_helper_sees_one_zero_or_none_whatever_the_input() {
    for input in [0, 1, 1u64.wrapping_neg(), 12345, 1 << 61] {
        let relu = OneRelu::BLOCKS;
        let run = secrecy::run(&LOCAL, &relu, input, seeds(7), Fault::None).unwrap();
        helpers_view(relu, &run.messages).unwrap();
    }
}

/// Streams that are forgotten or not uniform, one at a time. Between P0 and P1: β, the factors and
/// the places of both comparisons show in P2's view. With P2: the dealt wraps, bits, lowest bits
/// and answers show in messages. The other pads hide what is uniform anyhow to somebody who lacks
/// all keys: a share of x, a product of masks, a share of a cell. The enumeration of views finds
/// those.
#[test]
fn planted_bugs_are_found() {
    let found = |fault| {
        let run = one_relu(0, fault);
        run.uniform(&LOCAL).is_err() || helpers_view(SMALL, &run.messages).is_err()
    };
    for (key, forgotten, skewed) in [(Party::P0, 6, 4), (Party::P1, 5, 4), (Party::P2, 6, 5)] {
        let streams = one_relu(0, Fault::None).streams(key).unwrap();
        for (fault, expected) in
            [(Fault::Forgotten { key, stream: 0 }, forgotten), (Fault::Skewed { key, stream: 0 }, skewed)]
        {
            let found: Vec<u64> = streams.iter().copied().filter(|&s| found(fault.at(s))).collect();
            assert!(found.len() >= expected, "{fault:?}: {found:?} of {streams:?}");
        }
        repeats_are_found(&LOCAL, &SMALL, key).unwrap();
    }
}

#[test]
fn holders_that_draw_differently_are_found() {
    let parts = secrecy::share(&LOCAL, &SMALL, 1).unwrap();
    for key in PARTIES {
        let source = |holder: Party, of: Party| {
            let wrong = holder == key && of == key;
            let fault = if wrong { Fault::Repeated { key, stream: 1, other: 1000 } } else { Fault::None };
            Watched::new(seeds(7)[of.index()], fault)
        };
        let keys = PARTIES.map(|p| [source(p, p), source(p, p.previous(3))]).to_vec();
        let run = secrecy::run_with(&LOCAL, &SMALL, &parts, keys).unwrap();
        assert!(run.ledger(&LOCAL).unwrap_err().contains("the same words"), "{key}");
    }
}

#[test]
fn shapes_that_depend_on_a_secret_are_found() {
    let clean = one_relu(0, Fault::None);
    for (name, bug) in SHAPE_BUGS {
        let mut run = one_relu(1, Fault::None);
        clean.same_shape(&run).unwrap();
        bug(&mut run.messages);
        assert!(clean.same_shape(&run).is_err(), "{name}");
    }
}

#[test]
fn owners_share_afresh() {
    for ring in [64, 48] {
        secrecy::check_owner(&PorthosDefinition::default(), ring, 64).unwrap();
    }
}
