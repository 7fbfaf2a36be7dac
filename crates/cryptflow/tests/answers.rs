//! What a run reports of its answers.

use cryptflow::batches::Batches;
use cryptflow::labels::Labels;
use cryptflow::report::{Answers, OutputReport, Report, Showing, classes};
use cryptflow::results::Results;
use cryptflow_program::OutputTransform;

/// Results of so many rows, in batches of two.
fn results(name: &str, shape: &[usize], rows: usize, data: &[f32]) -> Results {
    let batches = Batches::of([&[2, 9][..]]);
    let mut results = Results::expect(name, shape, &batches, rows).unwrap();
    data.chunks(shape.iter().product()).for_each(|run| results.add(run));
    results
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("x[{i}]")).collect()
}

/// The rows, and the comparison: what a report has before and after what the run took.
fn text(answers: &Answers) -> String {
    let text = Report { answers: answers.clone(), ..Report::default() }.text();
    let (rows, rest) = text.split_once("\n\n").unwrap();
    let comparison = rest.find("compare  ").map_or("", |at| &rest[at..]);
    format!("{rows}\n{comparison}")
}

#[test]
fn what_is_about_classes() {
    type Case = (&'static [usize], bool, Option<usize>);
    let table: [Case; 8] = [
        (&[10], false, Some(10)),
        (&[1, 1, 10], false, Some(10)),
        (&[1], false, None),
        (&[], false, None),
        (&[4, 3], false, None),
        (&[3, 1], false, None),
        // The only output of a model.
        (&[4, 3], true, Some(12)),
        (&[], true, Some(1)),
    ];
    for (shape, only, expected) in table {
        assert_eq!(classes(shape, None, only), expected, "{shape:?}, only: {only}");
    }
}

#[test]
fn one_output_is_a_line_for_each_input() {
    let secure = results("y", &[2, 2], 2, &[0.0, 2.5, 1.0, 0.5]);
    let float = results("y", &[2, 2], 2, &[0.0, 2.0, 0.75, 1.0]);
    let showing = Showing { only: true, ..Showing::default() };
    let answers = Answers::new(names(2), vec![OutputReport::new(&secure, Some(&float), showing)]);
    let expected = "\
x[0]  class 1 (2.500), class 0 (0.000)  | plaintext: class 1 (2.000)
x[1]  class 0 (1.000), class 1 (0.500)  | plaintext: class 1 (1.000)
compare  top-1 as the float model on 1 of 2; largest difference of a logit 0.50000 (logits up to 2.000)
         another top-1: x[1]
";
    assert_eq!(text(&answers), expected);
    let json = serde_json::to_value(&answers).unwrap();
    for (pointer, value) in [
        ("/labels", "[1,0]"),
        ("/top/0/0/class", "1"),
        ("/top/1/1/logit", "0.5"),
        ("/compare/same_top1", "1"),
        ("/outputs/0/name", "\"y\""),
        ("/outputs/0/shape", "[2,2]"),
        ("/outputs/0/labels", "[1,0]"),
    ] {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), value, "{pointer}");
    }
}

#[test]
fn several_outputs_are_a_line_each() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "cat\ndog\n").unwrap();
    let labels = Labels::read(file.path(), &[2, 5]).unwrap();
    let secure = [
        results("scores", &[2, 2], 2, &[0.0, 2.5, 1.0, 0.5]),
        results("box", &[2, 5], 2, &[0.0, 1.0, 2.0, 3.0, 4.0, -5.0, -6.0, -7.0, -8.0, -9.0]),
        results("size", &[2], 2, &[7.0, 8.0]),
        results("mean", &[1], 2, &[0.125]),
        results("map", &[2, 1, 2, 2], 2, &[1.0; 8]),
    ];
    let float = results("map", &[2, 1, 2, 2], 2, &[1.25; 8]);
    let reports = secure.iter().enumerate().map(|(index, results)| {
        let transform = (index == 0).then_some(OutputTransform::Softmax);
        let showing = Showing { transform, labels: Some(&labels), only: false };
        OutputReport::new(results, (index == 4).then_some(&float), showing)
    });
    let answers = Answers::new(names(2), reports.collect());
    let expected = "\
x[0]
  scores [2]     dog 92.4%, cat 7.6%
  box [5]        class 4 (4.000), class 3 (3.000), class 2 (2.000)
  size []        7.000
  map [1, 2, 2]  1.000, 1.000, 1.000, 1.000  | plaintext: 1.250, 1.250, 1.250, 1.250
x[1]
  scores [2]     cat 62.2%, dog 37.8%
  box [5]        class 0 (-5.000), class 1 (-6.000), class 2 (-7.000)
  size []        8.000
  map [1, 2, 2]  1.000, 1.000, 1.000, 1.000  | plaintext: 1.250, 1.250, 1.250, 1.250
all inputs together
  mean [1]       0.125
compare  map: largest difference of an element 0.25000 (elements up to 1.250)
";
    assert_eq!(text(&answers), expected);
    let json = serde_json::to_value(&answers).unwrap();
    for absent in ["/labels", "/top", "/compare", "/outputs/2/top", "/outputs/4/labels", "/outputs/0/compare"]
    {
        assert_eq!(json.pointer(absent), None, "{absent}");
    }
    for (pointer, value) in [
        ("/outputs/0/labels", "[\"dog\",\"cat\"]"),
        ("/outputs/1/labels", "[4,0]"),
        ("/outputs/2/shape", "[2]"),
        ("/outputs/3/shape", "[1]"),
        ("/outputs/4/shape", "[2,1,2,2]"),
        ("/outputs/4/compare/largest_difference", "0.25"),
    ] {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), value, "{pointer}");
    }
}

/// What a person sees of one row of an output that is one of several.
fn shown(row: &[f32]) -> String {
    let report = OutputReport::new(&results("y", &[2, 1, row.len(), 1], 1, row), None, Showing::default());
    text(&Answers::new(names(1), vec![report.clone(), report]))
}

#[test]
fn long_results_are_cut() {
    assert!(shown(&[1.0, -2.5]).contains("  1.000, -2.500\n"));
    assert!(shown(&[0.0; 6]).contains("  0.000, 0.000, 0.000, 0.000, … (6 numbers)\n"));
}

#[test]
fn probabilities_are_those_of_the_softmax() {
    let showing = Showing { transform: Some(OutputTransform::Softmax), only: true, ..Showing::default() };
    let report = OutputReport::new(&results("y", &[2, 3], 1, &[1000.0, 1000.0, f32::MIN]), None, showing);
    let top = report.verdicts.top.unwrap().remove(0);
    assert_eq!(top.iter().map(|class| class.probability).collect::<Vec<_>>(), [0.5, 0.5, 0.0].map(Some));
}
