//! Results, for these tests and for those of what is made of them. Each file here is compiled as a
//! child of the module that it looks inside of; all are one binary.

use super::*;

/// Two networks, one of which a protocol cannot run.
pub(crate) fn results() -> Results {
    let taken = |bytes, seconds: &[f64]| {
        Outcome::Ran(Taken {
            seconds: seconds.to_vec(),
            median_seconds: median(seconds),
            cpu_seconds: Some(vec![1.0, 1.5, 0.25]),
            bytes,
            dealt: bytes / 4,
            online: bytes - bytes / 4,
            rounds: 391,
            peak_rss: vec![Some(420_000_000), Some(430_000_000), None],
            same_top1: 2,
            examples: 3,
            largest_difference: 0.01,
        })
    };
    let network = |name: &str, measurements: [(&str, Outcome); 2], tensorflow_seconds| Network {
        name: name.into(),
        title: published::title(name),
        parameters: 25_500_000,
        macs: 3_860_000_000,
        scale: 12,
        compile_seconds: 5.0,
        published: published::of(name).cloned(),
        tensorflow_seconds,
        measurements: measurements
            .map(|(protocol, outcome)| Measurement { protocol: protocol.into(), weight_bits: 31, outcome })
            .into(),
    };
    Results {
        cryptflow: "0.1.0".into(),
        machine: Machine {
            cpu: "Some & Processor".into(),
            cores: 2,
            memory: Some(24_000_000_000),
            system: "linux x86_64".into(),
            load: Some(1.5),
        },
        date: "2026-02-03 04:05 UTC".into(),
        command: "cryptflow bench paper --models DIR".into(),
        network: None,
        runs: 3,
        tensorflow: Some("2.21.0".into()),
        networks: vec![
            network(
                "resnet50",
                [
                    ("mirror", taken(545_000_000, &[3.0, 2.0, 9.0])),
                    ("porthos", taken(6_540_000_000, &[24.0])),
                ],
                Some(0.3),
            ),
            network(
                "own<net>",
                [
                    ("mirror", taken(1_000, &[0.001])),
                    ("porthos", Outcome::Failed("a ring of 3 bits | too small".into())),
                ],
                None,
            ),
        ],
    }
}

#[test]
fn medians() {
    for (values, expected) in
        [(&[][..], 0.0), (&[3.0][..], 3.0), (&[5.0, 1.0][..], 3.0), (&[9.0, 1.0, 2.0][..], 2.0)]
    {
        assert_eq!(median(values), expected, "{values:?}");
    }
}

#[test]
fn json_has_everything() {
    let results = results();
    assert_eq!((results.protocols(), results.failures()), (vec!["mirror", "porthos"], 1));
    let json = serde_json::to_value(&results).unwrap();
    let expected = [
        ("/machine/cores", "2"),
        ("/networks/0/measurements/0/ran/median_seconds", "3.0"),
        ("/networks/0/measurements/0/ran/seconds/2", "9.0"),
        ("/networks/0/measurements/1/protocol", "\"porthos\""),
        ("/networks/0/measurements/1/ran/bytes", "6540000000"),
        ("/networks/0/published/bytes", "6868000000"),
        ("/networks/0/tensorflow_seconds", "0.3"),
        ("/networks/1/published", "null"),
        ("/networks/1/measurements/1/failed", "\"a ring of 3 bits | too small\""),
    ];
    for (pointer, value) in expected {
        assert_eq!(json.pointer(pointer).map(ToString::to_string).as_deref(), Some(value), "{pointer}");
    }
}

#[test]
fn quantiles() {
    assert_eq!(quantile(&[], 0.5), 0.0);
    let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
    assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| quantile(&sorted, part)), [1.0, 50.0, 99.0, 100.0]);
    assert_eq!(quantile(&[7.0], 0.99), 7.0);
}
