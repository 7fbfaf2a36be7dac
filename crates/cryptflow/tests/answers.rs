//! What a run reports of its answers.

use cryptflow::batches::Batches;
use cryptflow::labels::Labels;
use cryptflow::report::{Answers, Kind, Known, OutputReport, Report, Rows, named};
use cryptflow::results::Results;
use cryptflow_arrays::npy::WrittenAs;
use cryptflow_athos::Meaning;
use cryptflow_program::{ClassNames, OutputTransform};

const ARG_MAX: Option<OutputTransform> = Some(OutputTransform::ArgMax);
const SOFTMAX: Option<OutputTransform> = Some(OutputTransform::Softmax);
const CLASS: Option<OutputTransform> = Some(OutputTransform::Class { of: 10 });

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

/// What is known of an output that a transform and a meaning say all of.
fn known(transform: Option<OutputTransform>, meaning: Meaning) -> Known<'static> {
    Known { transform, meaning, ..Known::default() }
}

fn labels(names: &str, classes: usize) -> Labels {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), names.replace(' ', "\n")).unwrap();
    Labels::read(file.path(), &[classes]).unwrap()
}

#[test]
fn what_outputs_are_about() {
    use Meaning::{Distribution, Flags, Indices, Numbers, Probabilities};
    let top_k = |indices| Some(OutputTransform::TopK { axis: 1, k: 2, largest: true, indices });
    // Shape of a row, what the client applies, what the model says; what it is about, and how many
    // names could go with it.
    type Case = (&'static [usize], Option<OutputTransform>, Meaning, Kind, Option<usize>);
    let table: [Case; 27] = [
        (&[10], None, Numbers, Kind::Numbers, Some(10)),
        (&[1], None, Numbers, Kind::Numbers, None),
        (&[], None, Numbers, Kind::Numbers, None),
        (&[4, 3], None, Numbers, Kind::Numbers, Some(3)),
        (&[3, 1], None, Numbers, Kind::Numbers, None),
        (&[10], SOFTMAX, Numbers, Kind::Classes, Some(10)),
        (&[1, 1, 10], SOFTMAX, Numbers, Kind::Classes, Some(10)),
        (&[1], SOFTMAX, Numbers, Kind::Numbers, None),
        (&[8, 8, 3], SOFTMAX, Numbers, Kind::ClassMap, Some(3)),
        (&[10], ARG_MAX, Numbers, Kind::Classes, Some(10)),
        (&[8, 8, 3], ARG_MAX, Numbers, Kind::ClassMap, Some(3)),
        (&[], CLASS, Numbers, Kind::Class, Some(10)),
        (&[1], CLASS, Indices, Kind::Class, Some(10)),
        (&[8, 8], CLASS, Indices, Kind::IndexMap, Some(10)),
        (&[10], None, Distribution, Kind::Classes, Some(10)),
        (&[8, 10], None, Distribution, Kind::ClassMap, Some(10)),
        (&[1], None, Probabilities, Kind::Decision, Some(2)),
        (&[], None, Probabilities, Kind::Decision, Some(2)),
        (&[5], None, Probabilities, Kind::Probabilities, Some(5)),
        (&[8, 8, 1], None, Probabilities, Kind::Mask, Some(2)),
        (&[], None, Indices, Kind::Indices, None),
        (&[3], None, Indices, Kind::Indices, None),
        (&[8, 8], None, Indices, Kind::IndexMap, None),
        (&[3], None, Flags, Kind::Flags, None),
        (&[1], None, Flags, Kind::Flags, None),
        (&[7], top_k(true), Numbers, Kind::Indices, Some(7)),
        (&[7], top_k(false), Numbers, Kind::Numbers, None),
    ];
    for (shape, transform, meaning, kind, names) in table {
        let case = format!("{shape:?}, {transform:?}, {meaning:?}");
        let opened = [&[2], shape].concat();
        let rows = Rows::opened(shape, &opened, transform, meaning);
        assert_eq!((rows.kind(None), rows.names()), (kind, names), "{case}");
        if let Some(names) = names {
            // Whoever names the classes of numbers says that they have some.
            let named = match kind {
                Kind::Numbers if shape.len() == 1 => Kind::Classes,
                Kind::Numbers => Kind::ClassMap,
                other => other,
            };
            assert_eq!(rows.kind(Some(names)), named, "{case}");
        }
    }
}

#[test]
fn names_go_with_classes_before_they_go_with_numbers() {
    let rows = |shape: &'static [usize], transform| Rows::opened(shape, shape, transform, Meaning::Numbers);
    let (scores, centre, other) = (rows(&[2], SOFTMAX), rows(&[2], None), rows(&[3], None));
    assert_eq!(named(&[centre, scores, other], 2), [false, true, false]);
    assert_eq!(named(&[centre, other], 2), [true, false]);
    assert_eq!(named(&[centre, scores, other], 3), [false, false, true]);
}

/// What a person sees of an output's rows, the float model's beside them, and of the comparison.
fn told(shape: &[usize], secure: &[f32], float: &[f32], known: Known<'_>) -> String {
    let rows = 2;
    let (secure, float) = (results("y", shape, rows, secure), results("y", shape, rows, float));
    let report = OutputReport::new(&secure, Some(&float), known).unwrap();
    text(&Answers::new(names(rows), vec![report]))
}

#[test]
fn classes_alone_have_a_top_1() {
    let expected = "\
x[0]  class 1 (2.500), class 0 (0.000)  | plaintext: class 1 (2.000)
x[1]  class 0 (1.000), class 1 (0.500)  | plaintext: class 1 (1.000)
compare  top-1 as the float model on 1 of 2; largest difference of a logit 0.50000 (logits up to 2.000)
         another top-1: x[1]
";
    let (secure, float) = ([0.0, 2.5, 1.0, 0.5], [0.0, 2.0, 0.75, 1.0]);
    assert_eq!(told(&[2, 2], &secure, &float, known(ARG_MAX, Meaning::Numbers)), expected);
    // Without names, nothing tells that these are logits.
    let expected = "\
x[0]  0.000, 2.500  | plaintext: 0.000, 2.000
x[1]  1.000, 0.500  | plaintext: 0.750, 1.000
compare  largest difference of a number 0.50000 (numbers up to 2.000); the same one is the largest of a row on 1 of 2
";
    assert_eq!(told(&[2, 2], &secure, &float, Known::default()), expected);
    let labels = labels("cat dog", 2);
    let found = told(&[2, 2], &secure, &float, Known { labels: Some(&labels), ..Known::default() });
    assert!(found.starts_with("x[0]  dog (2.500), cat (0.000)  | plaintext: dog (2.000)\n"), "{found}");
    assert!(found.contains("top-1 as the float model on 1 of 2"), "{found}");
    // What the parties applied.
    let found =
        told(&[2, 2], &[0.75, 0.25, 0.5, 0.5], &[0.75, 0.25, 0.25, 0.75], known(None, Meaning::Distribution));
    assert!(found.starts_with("x[0]  class 0 75.0%, class 1 25.0%  | plaintext: class 0 75.0%\n"), "{found}");
    assert!(found.contains("difference of a probability 0.25000 (probabilities up to 0.750)"), "{found}");
    let found = told(&[2], &[3.0, 4.02], &[3.0, 5.0], known(CLASS, Meaning::Indices));
    assert_eq!(
        found,
        "x[0]  class 3  | plaintext: class 3\nx[1]  class 4  | plaintext: class 5\ncompare  the same class as the float model on 1 of 2\n         another top-1: x[1]\n"
    );
}

#[test]
fn numbers_are_shown_as_numbers() {
    let expected = "\
x[0]  280.477  | plaintext: 280.500
x[1]  0.0042   | plaintext: 0.004
compare  largest difference of a number 0.02301 (numbers up to 280.500)
";
    assert_eq!(told(&[2, 1], &[280.477, 0.0042], &[280.5, 0.004], Known::default()), expected);
    let long = told(
        &[2, 6],
        &[&[0.0, 1.0, -2.5, 3.0, 9.0, 0.5], &[0.0; 6][..]].concat(),
        &[0.0; 12],
        Known::default(),
    );
    assert!(
        long.starts_with(
            "x[0]  0.000, 1.000, -2.500, 3.000, … (6 numbers); the largest is number 4: 9.000  |"
        ),
        "{long}"
    );
}

#[test]
fn probabilities_are_shown_as_such() {
    let one = known(None, Meaning::Probabilities);
    let (secure, float) = ([0.973, 0.4], [0.97, 0.6]);
    let expected = "\
x[0]  97.3%  | plaintext: 97.0%
x[1]  40.0%  | plaintext: 60.0%
compare  1 of 2 on the same side of 0.5 as the float model's; largest difference of a probability 0.20000 (probabilities up to 0.970)
         another side of 0.5: x[1]
";
    assert_eq!(told(&[2, 1], &secure, &float, one), expected);
    let names = labels("no yes", 2);
    let found = told(&[2, 1], &secure, &float, Known { labels: Some(&names), ..one });
    assert!(
        found.starts_with(
            "x[0]  yes 97.3%  | plaintext: yes 97.0%\nx[1]  no 60.0%   | plaintext: yes 60.0%\n"
        ),
        "{found}"
    );
    let several = told(&[2, 3], &[0.9, 0.1, 0.7, 0.0, 0.0, 0.4], &[0.9, 0.1, 0.7, 0.0, 0.0, 0.6], one);
    assert!(several.starts_with("x[0]  90.0%, 10.0%, 70.0%  |"), "{several}");
    assert!(several.contains("compare  5 of 6 probabilities on the same side of 0.5"), "{several}");
    assert!(!several.contains("another"), "{several}");
}

#[test]
fn masks_agree_by_pixels() {
    // Two rows of 2 x 2 pixels.
    let secure = [0.9, 0.1, 0.8, 0.2, 0.0, 0.0, 0.0, 0.0];
    let float = [0.9, 0.1, 0.2, 0.2, 0.0, 0.0, 0.0, 0.0];
    let expected = "\
x[0]  50.0% of 4 pixels above 0.5  | plaintext: 25.0% of 4 pixels above 0.5
x[1]  0.0% of 4 pixels above 0.5   | plaintext: 0.0% of 4 pixels above 0.5
compare  7 of 8 pixels (87.5%) on the same side of 0.5 as the float model's; largest difference of a probability 0.60000 (probabilities up to 0.900)
";
    assert_eq!(told(&[2, 2, 2, 1], &secure, &float, known(None, Meaning::Probabilities)), expected);

    // A class of three in each of 1 x 2 x 2 pixels.
    let logits = |classes: [usize; 8]| -> Vec<f32> {
        classes.iter().flat_map(|&class| (0..3).map(move |i| if i == class { 2.0 } else { 0.0 })).collect()
    };
    let (secure, float) = (logits([0, 0, 2, 0, 1, 1, 1, 1]), logits([0, 0, 2, 1, 1, 1, 1, 1]));
    let expected = "\
x[0]  class 0 75.0%, class 2 25.0% of 4 pixels  | plaintext: class 0 50.0%, class 1 25.0%, class 2 25.0% of 4 pixels
x[1]  class 1 100.0% of 4 pixels                | plaintext: class 1 100.0% of 4 pixels
compare  7 of 8 pixels (87.5%) of the same class as the float model's; largest difference of a logit 2.00000 (logits up to 2.000)
";
    for transform in [SOFTMAX, ARG_MAX] {
        assert_eq!(told(&[2, 2, 2, 3], &secure, &float, known(transform, Meaning::Numbers)), expected);
    }
    let found = told(
        &[2, 2, 2],
        &[0.0, 3.0, 3.01, 0.0, 1.0, 1.0, 1.0, 1.0],
        &[0.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        known(CLASS, Meaning::Indices),
    );
    assert!(found.starts_with("x[0]  class 0 50.0%, class 3 50.0% of 4 pixels  |"), "{found}");
    assert!(
        found.contains("compare  7 of 8 pixels (87.5%) of the same class as the float model's\n"),
        "{found}"
    );
    // No picture: steps of a sequence.
    let found = told(&[2, 4, 3], &secure, &float, known(SOFTMAX, Meaning::Numbers));
    assert!(found.contains("7 of 8 places (87.5%)"), "{found}");
}

#[test]
fn what_is_sorted_is_shown_sorted() {
    let (secure, float) = ([1.0, 3.0, 2.0, 5.0, 4.0, 6.0], [1.0, 3.0, 2.0, 6.0, 4.0, 5.0]);
    let top_k = |indices| {
        known(Some(OutputTransform::TopK { axis: 1, k: 2, largest: true, indices }), Meaning::Numbers)
    };
    let found = told(&[2, 3], &secure, &float, top_k(true));
    assert_eq!(
        found,
        "x[0]  1, 2  | plaintext: 1, 2\nx[1]  2, 0  | plaintext: 0, 2\ncompare  the same index as the float model 2 of 4 times\n"
    );
    let labels = labels("a b c", 3);
    let found = told(&[2, 3], &secure, &float, Known { labels: Some(&labels), ..top_k(true) });
    assert!(found.starts_with("x[0]  b, c  | plaintext: b, c\n"), "{found}");
    let found = told(&[2, 3], &secure, &float, top_k(false));
    assert!(found.starts_with("x[0]  3.000, 2.000  |"), "{found}");
    assert!(
        found.ends_with("compare  largest difference of a number 0.00000 (numbers up to 6.000)\n"),
        "{found}"
    );
    let found = told(&[2, 1], &[1.0, 0.0], &[1.0, 1.0], known(None, Meaning::Flags));
    assert_eq!(
        found,
        "x[0]  yes  | plaintext: yes\nx[1]  no   | plaintext: yes\ncompare  the same answer as the float model 1 of 2 times\n"
    );
}

#[test]
fn programs_are_told_what_there_is() {
    let json = |shape: &[usize], data: &[f32], known: Known<'_>| {
        let report =
            OutputReport::new(&results("y", shape, 2, data), Some(&results("y", shape, 2, data)), known)
                .unwrap();
        serde_json::to_value(Answers::new(names(2), vec![report])).unwrap()
    };
    // (what it is, what programs find where, null for nothing)
    type Case = (serde_json::Value, &'static [(&'static str, &'static str)]);
    let table: [Case; 4] = [
        (
            json(&[2, 2], &[0.0, 2.5, 1.0, 0.5], known(ARG_MAX, Meaning::Numbers)),
            &[
                ("/labels", "[1,0]"),
                ("/top/0/0/class", "1"),
                ("/top/1/1/logit", "0.5"),
                ("/compare/same_top1", "2"),
                ("/outputs/0/name", "\"y\""),
                ("/outputs/0/shape", "[2,2]"),
                ("/outputs/0/kind", "\"classes\""),
                ("/outputs/0/labels", "[1,0]"),
                ("/outputs/0/numbers", "null"),
            ],
        ),
        (
            // They may be logits.
            json(&[2, 2], &[0.0, 2.5, 1.0, 0.5], Known::default()),
            &[
                ("/labels", "[1,0]"),
                ("/compare/same_top1", "2"),
                ("/outputs/0/kind", "\"numbers\""),
                ("/outputs/0/numbers", "[[0.0,2.5],[1.0,0.5]]"),
            ],
        ),
        (
            json(&[2, 1], &[280.5, 88.0], Known::default()),
            &[
                ("/labels", "[]"),
                ("/top", "[]"),
                ("/compare/same_top1", "null"),
                ("/compare/rows", "2"),
                ("/outputs/0/labels", "null"),
                ("/outputs/0/numbers", "[[280.5],[88.0]]"),
            ],
        ),
        (
            json(&[2, 1], &[0.75, 0.25], known(None, Meaning::Probabilities)),
            &[
                ("/labels", "[]"),
                ("/compare/same_choices", "2"),
                ("/compare/choices", "2"),
                ("/outputs/0/kind", "\"decision\""),
            ],
        ),
    ];
    for (json, expected) in table {
        for (pointer, value) in expected {
            let found = json.pointer(pointer).map_or("null".into(), ToString::to_string);
            assert_eq!(found, *value, "{pointer}: {json}");
        }
    }
}

#[test]
fn the_form_of_the_model_is_what_it_returns() {
    let opened = [1.0, 3.0, 2.0, 5.0, 4.0, 6.0];
    let top_k = |indices| Some(OutputTransform::TopK { axis: 1, k: 2, largest: false, indices });
    type Case = (Option<OutputTransform>, Meaning, &'static [usize], &'static [f32], WrittenAs);
    let table: [Case; 7] = [
        (None, Meaning::Numbers, &[2, 3], &[1.0, 3.0, 2.0, 5.0, 4.0, 6.0], WrittenAs::Float32),
        (ARG_MAX, Meaning::Numbers, &[2], &[1.0, 2.0], WrittenAs::Int64),
        (top_k(true), Meaning::Numbers, &[2, 2], &[0.0, 2.0, 1.0, 0.0], WrittenAs::Int32),
        (top_k(false), Meaning::Numbers, &[2, 2], &[1.0, 2.0, 4.0, 5.0], WrittenAs::Float32),
        (CLASS, Meaning::Indices, &[2, 3], &[1.0, 3.0, 2.0, 5.0, 4.0, 6.0], WrittenAs::Int64),
        (None, Meaning::Indices, &[2, 3], &[1.0, 3.0, 2.0, 5.0, 4.0, 6.0], WrittenAs::Int64),
        (None, Meaning::Flags, &[2, 3], &[1.0, 3.0, 2.0, 5.0, 4.0, 6.0], WrittenAs::Bool),
    ];
    for (transform, meaning, shape, data, kind) in table {
        let tensor = results("y", &[2, 3], 2, &opened).answered(transform).unwrap().tensor();
        assert_eq!((tensor.shape.as_slice(), tensor.data.as_slice()), (shape, data), "{transform:?}");
        assert_eq!(known(transform, meaning).written_as(), kind, "{transform:?}, {meaning:?}");
    }
    let softmax = results("y", &[2, 2, 2], 1, &[0.0, 0.0, 0.0, 2f32.ln()].repeat(2))
        .answered(SOFTMAX)
        .unwrap()
        .tensor();
    assert_eq!(softmax.shape, [1, 2, 2]);
    assert!(softmax.data.iter().zip([0.5, 0.5, 1.0 / 3.0, 2.0 / 3.0]).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn several_outputs_are_a_line_each() {
    let labels = labels("cat dog", 2);
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
        let known = Known { transform, labels: (index == 0).then_some(&labels), ..Known::default() };
        OutputReport::new(results, (index == 4).then_some(&float), known).unwrap()
    });
    let answers = Answers::new(names(2), reports.collect());
    let expected = "\
x[0]
  scores [2]     dog 92.4%, cat 7.6%
  box [5]        0.000, 1.000, 2.000, 3.000, … (5 numbers); the largest is number 4: 4.000
  size []        7.000
  map [1, 2, 2]  1.000, 1.000, 1.000, 1.000  | plaintext: 1.250, 1.250, 1.250, 1.250
x[1]
  scores [2]     cat 62.2%, dog 37.8%
  box [5]        -5.000, -6.000, -7.000, -8.000, … (5 numbers); the largest is number 0: -5.000
  size []        8.000
  map [1, 2, 2]  1.000, 1.000, 1.000, 1.000  | plaintext: 1.250, 1.250, 1.250, 1.250
all inputs together
  mean [1]       0.125
compare  map: largest difference of a number 0.25000 (numbers up to 1.250)
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

#[test]
fn probabilities_are_those_of_the_softmax() {
    let results = results("y", &[2, 3], 1, &[1000.0, 1000.0, f32::MIN]);
    let report = OutputReport::new(&results, None, known(SOFTMAX, Meaning::Numbers)).unwrap();
    let top = report.verdicts.top.unwrap().remove(0);
    assert_eq!(top.iter().map(|class| class.probability).collect::<Vec<_>>(), [0.5, 0.5, 0.0].map(Some));
}

/// Names of classes are written in place of their indices, and of nothing else.
#[test]
fn indices_are_written_as_names() {
    let classes = ClassNames::Texts(vec!["no".into(), "yes".into()]);
    let table = [
        (Some(OutputTransform::ArgMax), Meaning::Indices, true),
        (Some(OutputTransform::Class { of: 2 }), Meaning::Numbers, true),
        (None, Meaning::Indices, true),
        (Some(OutputTransform::Softmax), Meaning::Distribution, false),
        (None, Meaning::Numbers, false),
    ];
    for (transform, meaning, named) in table {
        let known = Known { classes: Some(&classes), ..known(transform, meaning) };
        assert_eq!(known.written_names().is_some(), named, "{transform:?}, {meaning:?}");
    }
    let labels = Labels::of(&ClassNames::Numbers(vec![7, -1]));
    assert_eq!((labels.count(), labels.name(1)), (2, Some("-1")));
}
