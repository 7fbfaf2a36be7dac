//! Steps beside each other: what runs when follows from the program, as the estimate has it; results are what they are one by one; and
//! inputs are checked meanwhile.

use cryptflow_engine::{EngineError, Timeline, estimate, execute, execute_checked, input_check};
use cryptflow_mirror::{MirrorDefinition, Tuning};
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Cost, CostModel, Definition, Error, Owner, Party, Protocol};
use cryptflow_program::{Activation, Checked, Linear, LinearTerm, Operation, Rectifier, WeightId};
use cryptflow_ring::{LinearMap, Movement};
use cryptflow_wire::{LinkOptions, Links, local};

use super::build::{SCALE, program};

const RING: u32 = 40;

fn matmul(weight: usize) -> Operation {
    let map = LinearMap::MatMul { rows: 1, inner: 4, columns: 4 };
    let terms = vec![LinearTerm { input: 0, weight: WeightId(weight), map }];
    Operation::Linear(Linear { terms, bias: None, shift: SCALE })
}

fn relu() -> Operation {
    Operation::Activation(Activation {
        function: Rectifier::Relu,
        compare_bits: 22,
        skipped: 0,
        widen: false,
    })
}

/// A product of the input; beside it a product, a ReLU and a reshape; and their sum.
fn branches() -> Checked {
    let flat = Movement::Reshape { shape: vec![1, 4] };
    program(
        RING,
        &[1, 4],
        &[&[4, 4], &[4, 4]],
        &[
            (matmul(0), &[0], &[1, 4]),
            (matmul(1), &[0], &[1, 4]),
            (relu(), &[1], &[1, 4]),
            (relu(), &[2], &[1, 4]),
            (Operation::Movement(flat), &[3], &[1, 4]),
            (Operation::Add, &[4, 5], &[1, 4]),
        ],
    )
}

/// What one party has found: its reveal, what was taken, and what the check took; or why there is nothing.
type Found = Result<(Vec<u8>, Cost, Timeline, Option<Cost>), EngineError>;

/// Three parties in three threads, on an input.
fn run(definition: &MirrorDefinition, program: &Checked, input: &[i64], check: bool) -> Vec<Found> {
    let owner = definition.owner(RING);
    let identity: Vec<u64> = (0..16).map(|i| if i % 5 == 0 { 1 << SCALE } else { 0 }).collect();
    let weights = [0, 1].map(|_| owner.share_weight(&identity, RING).unwrap());
    let words: Vec<u64> = input.iter().map(|x| *x as u64 & ((1 << RING) - 1)).collect();
    let input = owner.share_value(&words).unwrap();
    let party = |index: usize, links: Links| -> Found {
        let mut party = definition.begin(links.clone(), &Scope::insecure_of_ring(RING)).unwrap();
        // Parties that have agreed on keys may be a round apart. After this they are not, and P2, whose messages are none of the
        // rounds, is behind.
        for round in 0..5 {
            let meets = |other: &usize| round < 3 || index + other == 1;
            links.others().filter(meets).for_each(|other| links.to(other).send(vec![0]).unwrap());
            links.others().filter(meets).for_each(|other| drop(links.to(other).recv(1).unwrap()));
        }
        let part = |parts: &[Vec<u8>]| parts[index].clone();
        let weights = weights.iter().map(|w| party.receive_weight("w", 16, part(w), RING).unwrap());
        let weights: Vec<_> = weights.collect();
        let inputs = vec![party.receive_value("x", 4, part(&input)).unwrap()];
        let before = party.metered();
        let mut timeline = Timeline::default();
        let (opened, checked) = if check {
            let (opened, took) = execute_checked(&mut party, program, &weights, inputs, &mut timeline)?;
            let bytes = cryptflow_mpc::Traffic::sent_by(Party::new(index), &took.sent);
            (opened, Some(Cost { rounds: took.rounds, bytes }))
        } else {
            (execute(&mut party, program, &weights, inputs, &mut timeline)?, None)
        };
        let taken = party.metered().since(&before);
        Ok((party.reveal(&opened[0]).unwrap(), taken, timeline, checked))
    };
    let links = local::mesh(3, LinkOptions::default()).unwrap();
    std::thread::scope(|scope| {
        let parties: Vec<_> =
            links.into_iter().enumerate().map(|(i, links)| scope.spawn(move || party(i, links))).collect();
        parties.into_iter().map(|party| party.join().unwrap()).collect()
    })
}

/// The same results in fewer rounds, which the estimate knows, step by step; the check adds those by which it is longer.
#[test]
fn branches_and_the_check_share_rounds() {
    let program = branches();
    let input = [700, -300, 0, 5];
    for (beside, check) in [(true, false), (true, true), (false, false), (false, true)] {
        let definition = MirrorDefinition { tuning: Tuning { beside, ..Tuning::USUAL } };
        let costs = definition.costs(RING);
        let estimate = estimate(&program, &costs).unwrap();
        let checked = input_check(&program, &costs).unwrap();
        let found: Vec<_> =
            run(&definition, &program, &input, check).into_iter().map(Result::unwrap).collect();
        let parts: Vec<&[u8]> = found.iter().map(|(part, ..)| part.as_slice()).collect();
        let opened = definition.owner(RING).open(4, &parts).unwrap();
        for (y, x) in opened.iter().zip(input) {
            assert!((y - 2 * x.max(0)).abs() <= 2, "{opened:?}");
        }
        let one_by_one = 2 + 2 * estimate.steps[2].rounds;
        let rounds = if beside { one_by_one / 2 } else { one_by_one };
        assert_eq!(estimate.total.rounds, rounds, "beside: {beside}");
        let alone = costs.input_check(&[(4, program.values[0].bounds())], RING).rounds;
        assert_eq!(checked.rounds, if beside { alone.saturating_sub(rounds) } else { alone });
        for (index, (_, taken, timeline, took)) in found.iter().enumerate().take(2) {
            let party = Party::new(index);
            let all = if check { estimate.total.clone() + checked.clone() } else { estimate.total.clone() };
            assert_eq!(taken.bytes.sent(party), all.bytes.sent(party), "{party}");
            // P1 finds out what the check asks, and P0 hears of it a round later: where steps come after that, the two are a round apart.
            let (heard, together) = (!check || index == 0, !check || beside);
            if heard && together {
                assert_eq!(taken.rounds, all.rounds, "{party}, beside: {beside}, check: {check}");
            }
            let sent =
                |step: &Cost| (0..3).map(|to| step.bytes.between(party, Party::new(to))).collect::<Vec<_>>();
            let of_step = |rounds: u64, sent: Vec<u64>| (if together { rounds } else { 0 }, sent);
            let by_step = timeline.records.iter().map(|record| of_step(record.rounds, record.sent.clone()));
            let due = estimate.steps.iter().map(|step| of_step(step.rounds, sent(step)));
            assert_eq!(by_step.collect::<Vec<_>>(), due.collect::<Vec<_>>(), "{party}, check: {check}");
            if let Some(took) = took {
                assert_eq!(took.bytes.sent(party), checked.bytes.sent(party), "{party}");
                assert!(!heard || took.rounds == checked.rounds, "{took:?}");
            }
        }
    }
}

/// Whatever runs beside it, the check has both evaluators end before anything is revealed.
#[test]
fn nothing_is_revealed_of_inputs_beyond_their_bounds() {
    for beside in [true, false] {
        let definition = MirrorDefinition { tuning: Tuning { beside, ..Tuning::USUAL } };
        for far in [1i64 << 30, (1 << 20) + 1, -(1 << 20) - 1] {
            for found in run(&definition, &branches(), &[1, 2, far, 3], true).into_iter().take(2) {
                let error = found.map(drop).unwrap_err();
                assert!(matches!(error, EngineError::Inputs(Error::Outside)), "{error}");
            }
        }
    }
}

/// No more is begun beside others, and ahead of what stands before, than there is memory for.
#[test]
fn large_steps_run_alone() {
    let wide = |n: usize| {
        let each = |weight| {
            let map = LinearMap::MatMul { rows: n, inner: 4, columns: 4 };
            let terms = vec![LinearTerm { input: 0, weight: WeightId(weight), map }];
            Operation::Linear(Linear { terms, bias: None, shift: SCALE })
        };
        let shape = &[n, 4][..];
        let steps = [(each(0), &[0][..], shape), (each(1), &[0], shape), (Operation::Add, &[1, 2], shape)];
        program(RING, shape, &[&[4, 4], &[4, 4]], &steps)
    };
    let costs = MirrorDefinition::default().costs(RING);
    let rounds = |n: usize| estimate(&wide(n), &costs).unwrap().total.rounds;
    assert_eq!((rounds(1 << 10), rounds(1 << 17), rounds((1 << 17) + 1)), (1, 1, 2));
}
