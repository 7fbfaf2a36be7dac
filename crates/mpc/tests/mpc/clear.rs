//! The plaintext reference: its results by hand, and its checks at every bound and one beyond.

use cryptflow_mpc::clear::{ClearWeight, ShortWeights, shifted_as_shares};
use cryptflow_mpc::{Clear, ClearValue, Error, Operand, Operands, Owner, Party, Protocol};
use cryptflow_operation::{
    Activation, Linear, LinearTerm, MaxPool, Operation, Rectifier, ScalePublic, SumPool, WeightId,
};
use cryptflow_ring::{LinearMap, Movement, Prf, Window};

fn value(x: &[i64], bits: u32) -> ClearValue {
    ClearValue::from_signed(x, bits)
}

fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
}

/// An operation on flat values, with weights.
fn apply(
    clear: &Clear,
    operation: &Operation,
    inputs: &[&ClearValue],
    weights: &[ClearValue],
) -> Result<ClearValue, Error> {
    let inputs = inputs.iter().map(|&value| Operand { shape: &[], value }).collect();
    clear.clone().apply(operation, &Operands { inputs, weights, ring_bits: clear.ring_bits() })
}

/// x · w of one row and one column, plus the bias.
fn product(
    clear: &Clear,
    x: &ClearValue,
    w: &[i64],
    bias: Option<i64>,
    shift: u32,
) -> Result<ClearValue, Error> {
    let map = LinearMap::MatMul { rows: 1, inner: w.len(), columns: 1 };
    let weights = [w, bias.as_slice()].map(|w| value(w, clear.ring_bits()));
    let terms = vec![LinearTerm { input: 0, weight: WeightId(0), map }];
    let linear = Linear { terms, bias: bias.map(|_| WeightId(1)), shift };
    apply(clear, &Operation::Linear(linear), &[x], &weights)
}

/// The same of one element each.
fn product_of_one(clear: &Clear, x: i64, w: i64, bias: Option<i64>, shift: u32) -> Result<ClearValue, Error> {
    product(clear, &value(&[x], clear.ring_bits()), &[w], bias, shift)
}

fn relu(compare_bits: u32, widen: bool) -> Operation {
    Operation::Activation(Activation { function: Rectifier::Relu, compare_bits, skipped: 0, widen })
}

fn scale_public(factors: &[i64], shift: u32) -> Operation {
    Operation::ScalePublic(ScalePublic { factors: factors.iter().map(|&f| f as u64).collect(), shift })
}

fn is_range(result: Result<ClearValue, Error>, name: &str) -> bool {
    matches!(result, Err(Error::Range { operation, .. }) if operation == name)
}

#[test]
fn linear_rounds_half_up_and_lands_in_the_smaller_ring() {
    // (x, w, bias, shift, expected)
    let problems: [(i64, i64, Option<i64>, u32, i64); 9] = [
        (3, 1, None, 1, 2),
        (-3, 1, None, 1, -1),
        (-4, 1, None, 1, -2),
        (5, 7, Some(-35), 4, 0),
        (0, 9, Some(8), 4, 1),
        (0, 9, Some(7), 4, 0),
        (7, -6, None, 0, -42),
        (1 << 20, 3 << 20, None, 12, 3 << 28),
        (-(1 << 20), 3 << 20, None, 12, -(3 << 28)),
    ];
    for (x, w, bias, shift, expected) in problems {
        for ring_bits in [64, 63, 48] {
            let result = product_of_one(&Clear::checked(Party::P0, ring_bits), x, w, bias, shift).unwrap();
            assert_eq!(
                (result.signed(), result.bits),
                (vec![expected], ring_bits - shift - 1),
                "{x} * {w} >> {shift}"
            );
        }
    }
}

#[test]
fn shares_of_any_sum_are_shifted_as_the_formula_says() {
    let seed = [7; 16];
    let sums: Vec<i64> = [0, 1, -1, 2, 12_345_678_901, i64::MAX, i64::MIN, i64::MAX - 1, 1 << 62, -(1 << 62)]
        .into_iter()
        .chain((0..2000).map(|i| i * 0x1234_5678_9abc - (1 << 50)))
        .collect();
    let mut words = vec![0; 2 * sums.len()];
    Prf::new(seed).fill_words(0, 0, &mut words);
    for shift in 1..63 {
        let low = |word: u64| i128::from(word & ((2 << shift) - 1));
        // Twice the sum is shared three ways; what each share loses is lost.
        let shifted = |(&z, words): (&i64, &[u64])| {
            let lost = low(words[0]) + low(words[1] & !1);
            (((2 * i128::from(z) + (1i128 << shift) - 2 - lost) >> (shift + 1)) + 1) as i64
        };
        let expected: Vec<i64> = sums.iter().zip(words.chunks(2)).map(shifted).collect();
        assert_eq!(shifted_as_shares(&sums, shift, seed), expected, "a shift by {shift}");
    }
}

#[test]
fn weights_in_less_memory_give_the_same_results() {
    let [short, long, bias] = [vec![3, -7, i64::from(i32::MIN)], vec![1 << 40, -5, 2], vec![1 << 35]];
    let maps = [0, 1].map(|weight| LinearTerm {
        input: 0,
        weight: WeightId(weight),
        map: LinearMap::MatMul { rows: 1, inner: 3, columns: 1 },
    });
    let linear = Operation::Linear(Linear { terms: maps.to_vec(), bias: Some(WeightId(2)), shift: 9 });
    let weights = [short, long, bias];
    let kept = weights.clone().map(ClearWeight::of_integers);
    assert!(matches!(kept, [ClearWeight::Short(_), ClearWeight::Elements(_), ClearWeight::Elements(_)]));
    let x = value(&[-1000, 77, 4], 61);
    let rounding = || Clear::rounding_as_shares(Party::P0, 61, [3; 16]);
    let plain = weights.map(|weight| value(&weight, 64));
    let expected = apply(&rounding(), &linear, &[&x], &plain).unwrap();
    let inputs = vec![Operand { shape: &[], value: &x }];
    let operands = Operands { inputs, weights: &kept, ring_bits: 61 };
    assert_eq!(ShortWeights(rounding()).apply(&linear, &operands).unwrap(), expected);
}

#[test]
fn sums_outside_of_the_range_of_linear_are_found() {
    for (ring_bits, shift) in [(64, 12), (64, 1), (63, 12), (48, 15), (37, 12)] {
        let (quarter, half) = (1i64 << (ring_bits - 2), 1i64 << (shift - 1));
        let (low, high) = (-quarter + half, quarter - 3 * half - 1);
        let clear = Clear::checked(Party::P2, ring_bits);
        for (z, inside) in [(low, true), (high, true), (low - 1, false), (high + 1, false)] {
            for (x, w, bias) in [(z, 1, None), (z - 1, 1, Some(1)), (0, 5, Some(z)), (-z, -1, None)] {
                let result = product_of_one(&clear, x, w, bias, shift);
                assert_eq!(result.is_ok(), inside, "K={ring_bits} shift={shift} z={z}");
                assert!(inside || is_range(result, "linear"));
                assert!(product_of_one(&Clear::new(Party::P2, ring_bits), x, w, bias, shift).is_ok());
            }
        }
        // Sums that wrap around to something harmless.
        for (x, w) in [
            (1i64 << (ring_bits - 2), 4),
            (1 << 34, 1 << 34),
            (-(1 << 35), (1 << 32) + 1),
            (1 << 34, (1 << 30) + 1),
        ] {
            let result = product_of_one(&clear, x, w, None, shift);
            assert!(is_range(result, "linear"), "K={ring_bits} {x} * {w}");
        }
    }
}

/// Operands whose largest products never meet in one sum.
#[test]
fn sums_are_what_they_are_however_large_operands_are() {
    let clear = Clear::checked(Party::P1, 64);
    let large = 1i64 << 44;
    // (x, w, the sum, where it is in range)
    let problems: [([i64; 3], [i64; 3], Option<i64>); 6] = [
        ([large, -3, 0], [5, large, 0], Some(2 * large)),
        ([large, large, 1], [large, -large, 7], Some(7)),
        ([-large, 1, 1], [9, -large, 3], Some(3 - 10 * large)),
        ([large, 0, 0], [large, 0, 0], None),
        ([i64::MAX, 1, 0], [0, i64::MAX / 4, 0], Some(i64::MAX / 4)),
        ([i64::MAX, i64::MAX, 1], [i64::MAX, -i64::MAX, 1], None),
    ];
    for (x, w, expected) in problems {
        let result = product(&clear, &value(&x, 64), &w, None, 0);
        assert_eq!(result.ok().map(|sum| sum.signed()), expected.map(|sum| vec![sum]), "{x:?} {w:?}");
    }
}

/// Name, operation, how many operands (all of them x), bits of x, and for some x the result, or none
/// where x breaks the precondition.
type Row = (&'static str, Operation, usize, u32, &'static [(i64, Option<i64>)]);

#[test]
fn element_wise_operations_at_their_bounds() {
    let clipped = Activation {
        function: Rectifier::ClippedRelu { limit: 10 },
        compare_bits: 6,
        skipped: 0,
        widen: true,
    };
    let problems: [Row; 8] = [
        ("widen", Operation::Widen, 1, 8, &[(64, Some(64)), (-64, Some(-64)), (65, None), (-65, None)]),
        ("widen", Operation::Widen, 1, 48, &[(i64::MAX >> 16, Some(i64::MAX >> 16)), (-1, Some(-1))]),
        (
            "relu",
            relu(6, true),
            1,
            8,
            &[(31, Some(31)), (0, Some(0)), (-1, Some(0)), (-32, Some(0)), (32, None), (-33, None)],
        ),
        ("relu", relu(2, false), 1, 8, &[(1, Some(1)), (-2, Some(0)), (2, None), (-3, None)]),
        ("relu", relu(1, false), 1, 8, &[(0, None)]),
        (
            "clipped_relu",
            Operation::Activation(clipped),
            1,
            8,
            &[(31, Some(10)), (10, Some(10)), (9, Some(9)), (-22, Some(0)), (-23, None), (32, None)],
        ),
        (
            "scale_public",
            scale_public(&[3], 2),
            1,
            48,
            &[(1, Some(1)), (2, Some(2)), (-2, Some(-1)), (1 << 46, None), (-(1 << 46), None)],
        ),
        ("add", Operation::Add, 2, 8, &[(63, Some(126)), (-64, Some(-128)), (64, None), (-65, None)]),
    ];
    for (name, operation, operands, bits, cases) in problems {
        for &(x, expected) in cases {
            let x_of_bits = value(&[x], bits);
            let result = apply(&Clear::checked(Party::P1, 48), &operation, &vec![&x_of_bits; operands], &[]);
            match expected {
                Some(y) => assert_eq!(result.unwrap().signed(), [y], "{name} of {x} on {bits} bits"),
                None => assert!(is_range(result, name), "{name} of {x} on {bits} bits"),
            }
        }
    }
}

#[test]
fn widths_follow_the_rings() {
    let clear = Clear::new(Party::P0, 48);
    let (wide, narrow) = (value(&[5, -7], 48), value(&[100, -128], 8));
    let of = |operation: &Operation, inputs: &[&ClearValue]| apply(&clear, operation, inputs, &[]);
    assert_eq!(of(&Operation::Add, &[&wide, &narrow]).unwrap(), value(&[105, 121], 8));
    assert_eq!(of(&Operation::Sub, &[&narrow, &narrow]).unwrap().bits, 8);
    assert_eq!(of(&relu(8, false), &[&narrow]).unwrap(), value(&[100, 0], 8));
    assert_eq!(of(&relu(8, true), &[&narrow]).unwrap(), value(&[100, 0], 48));
    assert_eq!(of(&scale_public(&[1 << 4, -(1 << 4)], 4), &[&wide]).unwrap(), value(&[5, 7], 44));
    let inputs = [&wide, &narrow].map(|value| Operand { shape: &[2], value });
    let concat = Operation::Movement(Movement::Concat { axis: 0 });
    let both = clear
        .clone()
        .apply(&concat, &Operands { inputs: inputs.into(), weights: &[], ring_bits: clear.ring_bits() })
        .unwrap();
    assert_eq!(both, value(&[5, -7, 100, -128], 8));
    // What a shift leaves is of the ring of the operand.
    assert_eq!(product(&clear, &narrow, &[1, 0], None, 2).unwrap(), value(&[25], 5));
    assert_eq!(of(&scale_public(&[1], 1), &[&narrow]).unwrap(), value(&[50, -64], 7));
    assert!(matches!(product(&clear, &narrow, &[1, 1], None, 8), Err(Error::Range { .. })));
}

#[test]
fn pools_see_no_padding() {
    let clear = Clear::checked(Party::P0, 64);
    let x = value(&[-1, -2, -3, -4], 20);
    let max_pool = |input, window, compare_bits| {
        apply(&clear, &Operation::MaxPool(MaxPool { input, window, compare_bits, skipped: 0 }), &[&x], &[])
    };
    let sum_pool = |input, window| apply(&clear, &Operation::SumPool(SumPool { input, window }), &[&x], &[]);
    let square = [1, 2, 2, 1];
    let same = [-1i64, -2, -3, -4];
    assert_eq!(max_pool(square, window(1, 1, 0), 5).unwrap().signed(), same);
    assert_eq!(sum_pool(square, window(1, 1, 0)).unwrap().signed(), same);
    assert_eq!(max_pool(square, window(2, 2, 1), 5).unwrap().signed(), same);
    assert_eq!(max_pool(square, window(2, 1, 0), 5).unwrap().signed(), [-1]);
    assert_eq!(sum_pool(square, window(3, 1, 1)).unwrap().signed(), [-10; 4]);
    assert_eq!(max_pool([1, 1, 2, 2], window(2, 1, 1), 3).unwrap().signed().len(), 2 * 3 * 2);
    assert!(is_range(max_pool(square, window(2, 1, 0), 2), "max_pool"), "a difference of 3");
    assert!(is_range(max_pool(square, window(1, 1, 1), 5), "max_pool"), "only padding");
    assert!(max_pool([1, 3, 2, 1], window(1, 1, 0), 5).is_err(), "too few elements");
}

#[test]
fn shares_round_trip_and_malformed_ones_are_refused() {
    let mut clear = Clear::new(Party::P0, 37);
    let x = [0u64, 1, 5u64.wrapping_neg(), 1 << 35];
    let parts = clear.share_value(&x).unwrap();
    let received = clear.receive_value("x", 4, parts[0].clone()).unwrap();
    let revealed = clear.reveal(&received).unwrap();
    assert_eq!(clear.open(4, &[&revealed, &revealed, &revealed]).unwrap(), [0, 1, -5, 1 << 35]);

    let mut other = revealed.clone();
    other[0] ^= 1;
    assert!(clear.open(4, &[&revealed, &revealed, &other]).is_err());
    assert!(clear.open(3, &[&revealed, &revealed, &revealed]).is_err());
    assert!(clear.receive_value("x", 5, parts[0].clone()).is_err());
    assert!(clear.receive_weight("w", usize::MAX, parts[0].clone(), 64).is_err());
    assert!(clear.receive_weight("w", 1, vec![0xff; 8], 64).is_err());
}
