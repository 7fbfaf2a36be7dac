//! What a run reports beside its answers.

use std::time::Duration;

use cryptflow::batches::Batches;
use cryptflow::client::Answer;
use cryptflow::report::{Answers, Known, OutputReport, Report};
use cryptflow::results::Results;
use cryptflow_party::messages::BatchRecord;
use cryptflow_program::OutputTransform;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::Network;

fn answer() -> Answer {
    let record = |rounds, sent: [u64; 3]| BatchRecord {
        seconds: 1.0,
        rounds,
        sent: sent.into(),
        steps: vec![],
        check: None,
    };
    Answer {
        outputs: vec![Some(vec![])],
        share: Duration::from_millis(500),
        online: Duration::from_millis(1500),
        records: vec![record(7, [0, 10, 0]), record(8, [20, 0, 0]), record(0, [300, 4000, 0])],
        profiles: vec![],
    }
}

/// What a model says of one input.
fn answers(logits: &[f32]) -> Answers {
    let batches = Batches::of([&[1, 4][..]]);
    let mut results = Results::expect("y", &[1, logits.len()], &batches, 1).unwrap();
    results.add(logits);
    let known = Known { transform: Some(OutputTransform::ArgMax), ..Known::default() };
    Answers::new(vec!["a.png".into()], vec![OutputReport::new(&results, None, known).unwrap()])
}

#[test]
fn json_has_the_fields_that_programs_read() {
    let mut report = Report::of(ProtocolName::Mirror);
    report.add(&answer());
    report.add(&answer());
    report.answers = answers(&[0.0, 2.0, 1.0]);
    report.set_peak_rss(&[Some(123), None, None]);
    let wan = Network { rtt: Duration::from_millis(40), bandwidth_bits_per_s: 100_000_000 };
    report.network = Some(wan.into());
    let json = serde_json::to_value(&report).unwrap();
    let expected = [
        ("/labels/0", "1"),
        ("/seconds/share", "1.0"),
        ("/seconds/online", "3.0"),
        ("/bytes/total", "8660"),
        ("/bytes/dealt", "8600"),
        ("/bytes/online", "60"),
        ("/bytes/links/p2_p1", "8000"),
        ("/bytes/links/p0_p2", "0"),
        ("/rounds", "16"),
        ("/batches_at_once", "1"),
        ("/peak_rss/p0", "123"),
        ("/peak_rss/p1", "null"),
        ("/network/rtt_ms", "40.0"),
        ("/network/mbit_per_s", "100.0"),
    ];
    for (pointer, value) in expected {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), value, "{pointer}");
    }
    assert_eq!(json.pointer("/compare"), None);
}

#[test]
fn text_names_inputs_and_labels() {
    let mut report = Report::of(ProtocolName::Mirror);
    report.add(&answer());
    report.answers = answers(&[0.0, 2.5]);
    let text = report.text();
    for part in ["a.png  class 1 (2.500), class 0 (0.000)", "1 input in 1 batch", "p2→p1 4.0 kB", "8"] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
}

#[test]
fn bytes_have_units() {
    for (n, text) in [(999, "999 B"), (1500, "1.5 kB"), (2_340_000, "2.3 MB"), (5_678_000_000, "5.68 GB")] {
        let mut report = Report::of(ProtocolName::Mirror);
        report.bytes.share = n;
        assert!(report.text().contains(&format!("; {text} from the client")), "{n}: {}", report.text());
    }
}
