//! Names of classes.

use cryptflow::labels::{Labels, LabelsError, top};

fn read(text: &[u8], classes: &[usize]) -> Result<Labels, LabelsError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels.txt");
    std::fs::write(&file, text).unwrap();
    Labels::read(&file, classes)
}

#[test]
fn three_forms() {
    let cases: [(&str, &[&str]); 5] = [
        ("cat\nblack dog\n", &["cat", "black dog"]),
        ("\u{feff}cat\r\ndog\r\n\r\n", &["cat", "dog"]),
        ("1\tdog\n0\tcat", &["cat", "dog"]),
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish", &["tench, Tinca tinca", "goldfish"]),
        ("n01440764 tench\nnewt", &["n01440764 tench", "newt"]),
    ];
    for (text, names) in cases {
        let labels = read(text.as_bytes(), &[5, 2]).unwrap();
        let read: Vec<&str> = (0..).map_while(|class| labels.name(class)).collect();
        assert_eq!(read, names, "{text:?}");
    }
}

#[test]
fn errors_name_the_line() {
    let cases: [(&[u8], &str); 7] = [
        (b"cat\n\ndog", "labels.txt, line 2: the line is empty"),
        (b"cat\n\xff\n", "line 2: this is not UTF-8"),
        (b"cat", "1 label, the model has 2"),
        (b"", "0 labels"),
        (b"0\tcat\ndog", "line 2: an index, a tab and a name"),
        (b"0\tcat\n0\tdog", "line 2: class 0 has a name already"),
        (b"0\tcat\n2\tdog", "line 2: class 2 does not exist"),
    ];
    for (text, message) in cases {
        let error = read(text, &[2]).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }
}

#[test]
fn their_number_must_be_that_of_some_classes() {
    for (classes, message) in [
        (&[][..], "holds 1 label, and no output of the model is one of classes"),
        (&[2], "holds 1 label, the model has 2 classes"),
        (&[2, 10], "holds 1 label, and the model's outputs have 2 or 10 classes"),
    ] {
        let error = read(b"cat", classes).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }
}

#[test]
fn the_largest_first() {
    assert_eq!(top(&[1.0, 3.0, 3.0, 2.0], 3), [(1, 3.0), (2, 3.0), (3, 2.0)]);
    assert_eq!(top(&[1.0], 5), [(0, 1.0)]);
    assert_eq!(top(&[f32::NAN, 1.0], 1).len(), 1);
}
