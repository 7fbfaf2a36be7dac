//! Inputs from files.

use std::io::Write;

use cryptflow::input::{InputError, InputSpec, Row, Sent, read, sent as sent_rows};
use cryptflow_arrays::npy::{Tensor, write_npy};
use cryptflow_program::Preprocessing;
use png::{BitDepth, ColorType};

fn spec(shape: &[usize]) -> InputSpec {
    InputSpec {
        factors: Vec::new(),
        classes: None,
        name: "x".into(),
        shape: shape.to_vec(),
        low: -5000.0,
        high: 5000.0,
        preprocessing: Preprocessing::default(),
    }
}

#[test]
fn what_is_no_id_is_refused() {
    let spec = InputSpec { classes: Some(3), low: 0.0, high: 2.0, ..spec(&[2]) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.npy");
    for (given, wrong) in
        [([0.0, 2.0], None), ([0.0, 3.0], Some(1)), ([-1.0, 0.0], Some(0)), ([0.5, 1.0], Some(0))]
    {
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &Tensor { shape: vec![1, 2], data: given.to_vec() }).unwrap();
        std::fs::write(&path, bytes).unwrap();
        match (read(std::slice::from_ref(&path), &spec), wrong) {
            (Ok(rows), None) => assert_eq!(rows[0].data, given),
            (Err(InputError::Id { element, last: 2, .. }), Some(wrong)) => assert_eq!(element, wrong),
            (found, _) => panic!("{given:?}: {found:?}"),
        }
    }
}

fn floats(shape: &[usize]) -> Vec<u8> {
    let data = (0..shape.iter().product::<usize>()).map(|i| i as f32).collect();
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &Tensor { shape: shape.to_vec(), data }).unwrap();
    bytes
}

/// An array of bytes that counts up.
fn bytes(shape: &[usize]) -> Vec<u8> {
    let axes: String = shape.iter().map(|d| format!("{d},")).collect();
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({axes}), }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend((0..shape.iter().product::<usize>()).map(|i| i as u8));
    out
}

fn png(width: u32, height: u32, colour: ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(colour);
    let deep = pixels.len() > (width * height) as usize * colour.samples();
    encoder.set_depth(if deep { BitDepth::Sixteen } else { BitDepth::Eight });
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    out
}

/// Reads one file with this content.
fn read_one(content: &[u8], spec: &InputSpec) -> Result<Vec<Row>, InputError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    read(&[file.path().to_path_buf()], spec)
}

#[test]
fn shapes_of_arrays() {
    // Shape of the array, shape of a row, number of rows or a part of the message.
    let cases: [(&[usize], &[usize], Result<usize, &str>); 16] = [
        (&[4, 2, 3], &[2, 3], Ok(4)),
        (&[2, 3], &[2, 3], Ok(1)),
        (&[1, 2, 3], &[2, 3], Ok(1)),
        (&[5, 28, 28], &[784], Ok(5)),
        (&[28, 28], &[784], Ok(1)),
        (&[5, 784], &[28, 28, 1], Ok(5)),
        (&[5, 28, 28], &[28, 28, 1], Ok(5)),
        (&[5, 28, 28, 1], &[1, 28, 28], Ok(5)),
        (&[784], &[784], Ok(1)),
        (&[3], &[1], Ok(3)),
        (&[], &[1], Ok(1)),
        (&[2, 3, 4, 4], &[4, 4, 3], Err("channels come first")),
        (&[3, 4, 4], &[4, 4, 3], Err("channels come first")),
        (&[2, 4, 4, 3], &[3, 4, 4], Err("channels come last")),
        (&[0, 4], &[4], Err("no rows")),
        (&[2, 0], &[4], Err("no rows")),
    ];
    for (array, row, expected) in cases {
        for content in [floats(array), bytes(array)] {
            let found = read_one(&content, &spec(row));
            match (found, expected) {
                (Ok(rows), Ok(n)) => {
                    assert_eq!(rows.len(), n, "{array:?} as {row:?}");
                    assert!(rows.iter().all(|r| r.data.len() == row.iter().product::<usize>()));
                    let wide = rows.iter().flat_map(|r| &r.data).enumerate();
                    wide.for_each(|(i, &v)| assert!(v == i as f32 || v == (i % 256) as f32, "{array:?}"));
                }
                (Err(error), Err(message)) => {
                    assert!(error.to_string().contains(message), "{error} does not say {message:?}");
                }
                (found, _) => panic!("{array:?} as {row:?}: {found:?} where {expected:?} was due"),
            }
        }
    }
}

#[test]
fn bytes_and_pictures_are_preprocessed() {
    let p = |text: &str| serde_json::from_str::<Preprocessing>(text).unwrap();
    let rgb = png(2, 1, ColorType::Rgb, &[10, 20, 30, 40, 50, 60]);
    let rgba = png(1, 1, ColorType::Rgba, &[10, 20, 30, 0]);
    let grey = png(2, 1, ColorType::Grayscale, &[100, 200]);
    let deep = png(1, 1, ColorType::Grayscale, &[0x80, 0]);
    let cases: Vec<(Vec<u8>, &[usize], Preprocessing, &[f32])> = vec![
        (rgb.clone(), &[1, 2, 3], p(r#"{"bgr":true,"mean":[1,2,3]}"#), &[29., 18., 7., 59., 48., 37.]),
        (rgb.clone(), &[3, 1, 2], p(r#"{"channels_first":true}"#), &[10., 40., 20., 50., 30., 60.]),
        (rgb, &[6], p(r#"{"divide":10}"#), &[1., 2., 3., 4., 5., 6.]),
        (rgba, &[1, 1, 3], p("{}"), &[10., 20., 30.]),
        (grey, &[1, 2, 3], p(r#"{"divide":100}"#), &[1., 1., 1., 2., 2., 2.]),
        (deep, &[1, 1, 1], p("{}"), &[128.]),
        (bytes(&[2, 4]), &[4], p(r#"{"divide":2}"#), &[0., 0.5, 1., 1.5, 2., 2.5, 3., 3.5]),
        (bytes(&[2, 3, 3, 1]), &[1, 1, 1], p(r#"{"crop":[1,1]}"#), &[4., 13.]),
        (bytes(&[2, 5, 5]), &[1], p(r#"{"crop":[1,1]}"#), &[12., 37.]),
        (bytes(&[3, 3]), &[1, 1], p(r#"{"crop":[1,1]}"#), &[4.]),
        (bytes(&[1, 1, 1, 3]), &[1, 1, 1], p(r#"{"grey":true}"#), &[1.]),
        (bytes(&[6]), &[1, 2, 3], p(r#"{"bgr":true}"#), &[2., 1., 0., 5., 4., 3.]),
        (bytes(&[1, 2, 3]), &[3, 1, 2], p(r#"{"channels_first":true}"#), &[0., 3., 1., 4., 2., 5.]),
        (
            bytes(&[1, 3, 1, 2]),
            &[3, 1, 2],
            p(r#"{"channels_first":true,"mean":[0,1,2]}"#),
            &[0., 1., 1., 2., 2., 3.],
        ),
        (floats(&[1, 2]), &[2], p(r#"{"divide":2,"mean":[1]}"#), &[0., 1.]),
    ];
    for (content, shape, preprocessing, expected) in cases {
        let rows =
            read_one(&content, &InputSpec { preprocessing: preprocessing.clone(), ..spec(shape) }).unwrap();
        let all: Vec<f32> = rows.into_iter().flat_map(|r| r.data).collect();
        assert_eq!(all, expected, "{preprocessing:?}");
    }
}

#[test]
fn bad_files_are_refused() {
    let picture = png(2, 1, ColorType::Rgb, &[0; 6]);
    let crop = Preprocessing { crop: Some([2, 2]), ..Preprocessing::default() };
    // A signature and a header that claims 16384 × 16384 pixels, and no pixel.
    let mut huge =
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x40\x00\x00\x00\x40\x00\x08\x02\x00\x00\x00".to_vec();
    huge.extend([0xa7, 0x8e, 0xf7, 0x6d]);
    let cases: Vec<(Vec<u8>, InputSpec, &str)> = vec![
        (vec![], spec(&[4]), "is no .npy"),
        (b"GIF89a..".to_vec(), spec(&[4]), "is no .npy"),
        (picture[..30].to_vec(), spec(&[4]), "cannot decode the picture"),
        (picture[..picture.len() - 20].to_vec(), spec(&[6]), "cannot decode the picture"),
        (huge, spec(&[4]), "cannot decode the picture"),
        (picture.clone(), spec(&[4, 4, 3]), "--resize 4x4"),
        (picture, InputSpec { preprocessing: crop.clone(), ..spec(&[2, 2, 3]) }, "cut from its middle"),
        (bytes(&[4]), InputSpec { preprocessing: crop, ..spec(&[4]) }, "holds an array of shape [4]"),
        (floats(&[10, 5]), spec(&[4]), "shape [10, 5]; the input \"x\" needs [N, 4]"),
        (bytes(&[10, 5]), spec(&[4]), "10×5 pixels with 1 channel, the model needs 4 numbers"),
        (floats(&[4])[..100].to_vec(), spec(&[4]), "claims to be"),
    ];
    for (content, spec, message) in cases {
        let error = read_one(&content, &spec).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }
    let missing = read(&["no/such/file.npy".into()], &spec(&[1])).unwrap_err().to_string();
    assert!(missing.contains("cannot read no/such/file.npy"), "{missing}");
    assert!(matches!(read(&[], &spec(&[1])), Err(InputError::Nothing)));
}

#[test]
fn values_out_of_range_are_refused() {
    let array = |data: Vec<f32>| {
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &Tensor { shape: vec![data.len() / 2, 2], data }).unwrap();
        bytes
    };
    let narrow = InputSpec { low: -1.0, high: 1.0, ..spec(&[2]) };
    let wide = InputSpec { low: -1.0, high: 9.0, ..spec(&[2]) };
    let cases: [(Vec<f32>, &InputSpec, &str); 6] = [
        (vec![0.0, 1.0, -1.0, 0.5], &narrow, ""),
        (vec![1.000_000_1, -1.000_000_1], &narrow, ""),
        (vec![0.0, 0.0, 0.5, -3.25], &narrow, "[1]: element 1 is -3.25, outside of the range -1 to 1"),
        (
            vec![0.0, 255.0, 3.0, 0.0],
            &narrow,
            "[0]: element 1 is 255, outside of the range -1 to 1 that the model was compiled for; are these pixels",
        ),
        (vec![9.5, 10.5], &wide, "element 1 is 10.5"),
        (vec![0.0, f32::NAN], &narrow, "element 1 is NaN"),
    ];
    for (data, spec, message) in cases {
        match read_one(&array(data), spec) {
            Ok(_) => assert_eq!(message, ""),
            Err(error) => {
                let error = error.to_string();
                assert!(!message.is_empty() && error.contains(message), "{error:?} does not say {message:?}");
            }
        }
    }
}

#[test]
fn folders_and_lists() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    let grey = |v: u8| png(1, 1, ColorType::Grayscale, &[v]);
    write("b.png", &grey(2));
    write("a.PNG", &grey(1));
    write("c.npy", &floats(&[2, 1, 1, 1]));
    write("labels.txt", b"passed over");
    let single = folder.path().join("b.png");
    let rows = read(&[single, folder.path().to_path_buf()], &spec(&[1, 1, 1])).unwrap();
    let found: Vec<(&str, f32)> = rows.iter().map(|r| (r.name.as_str(), r.data[0])).collect();
    assert_eq!(found, [("b.png", 2.0), ("a.PNG", 1.0), ("b.png", 2.0), ("c.npy[0]", 0.0), ("c.npy[1]", 1.0)]);

    let empty = tempfile::tempdir().unwrap();
    let error = read(&[empty.path().to_path_buf()], &spec(&[1])).unwrap_err().to_string();
    assert!(error.contains("holds no .npy"), "{error}");
    std::fs::write(empty.path().join("a.bmp"), b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0").unwrap();
    let error = read(&[empty.path().to_path_buf()], &spec(&[1])).unwrap_err().to_string();
    assert!(
        error.contains("holds no .npy") && error.contains("a.bmp") && error.contains("a BMP picture"),
        "{error}"
    );
    std::fs::write(empty.path().join("saved_model.pb"), b"\x08\x01").unwrap();
    let error = read(&[empty.path().to_path_buf()], &spec(&[1])).unwrap_err().to_string();
    assert!(error.contains("that of a SavedModel"), "{error}");
}

#[test]
fn files_of_other_kinds_are_named() {
    let dicom = [&[0; 128][..], b"DICM"].concat();
    let table: [(&[u8], &[&str]); 16] = [
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", &["a BMP picture", "Save it as PNG"]),
        (b"RIFF\x24\0\0\0WEBPVP8 ", &["a WebP picture", "Save it as PNG"]),
        (b"GIF89a", &["a GIF picture"]),
        (b"II*\0\x08\0\0\0", &["a TIFF picture"]),
        (b"\0\0\0\x1cftypavif", &["an AVIF picture"]),
        (b"\0\0\0\x18ftypheic", &["a HEIC picture"]),
        (&dicom, &["a DICOM file", "pydicom"]),
        (b"5.1,3.5,1.4\n4.9,3.0,1.4\n", &["text", "the extension .csv"]),
        (b"\xef\xbb\xbfname,age\r\nJos\xc3", &["text", ".csv"]),
        (b"\x89HDF\r\n\x1a\n\0", &["an HDF5 file", "numpy.save"]),
        (b"\x80\x04\x95", &["a pickle file", "numpy.save"]),
        (b"\x08\x07\x12\x07pytorch", &["an ONNX model", "before the options"]),
        (
            b"\x40\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"cryptflow\"",
            &["compiled already", "before the options"],
        ),
        (b"version https://git-lfs.github.com/spec/v1", &["Git LFS", "git lfs pull"]),
        (b"", &["empty"]),
        (b"\x01\x02\x03\x04", &["judged by its first bytes"]),
    ];
    for (content, says) in table {
        let error = read_one(content, &spec(&[4])).unwrap_err();
        assert!(matches!(error, InputError::Format { .. }), "{error}");
        for part in says {
            assert!(error.to_string().contains(part), "{error}\nlacks {part:?}");
        }
    }
}

#[test]
fn tables_of_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let table: [(&str, &[usize], Result<usize, &[&str]>); 7] = [
        ("a,b,c,d\n1,2,3,4\n5,6,7,8\n", &[4], Ok(2)),
        ("1,2,3,4\n", &[2, 2, 1], Ok(1)),
        ("1,2,3,4,5\n", &[4], Err(&["5 columns", "needs 4", "an index"])),
        ("1,2\n", &[4], Err(&["2 columns", "needs 4"])),
        ("a,b\n1,male\n", &[2], Err(&["x.csv", "line 2, column 2", "male"])),
        ("1,nan\n", &[2], Err(&["only finite numbers"])),
        ("1,9000\n", &[2], Err(&["x.csv", "outside of the range"])),
    ];
    let file = folder.path().join("x.csv");
    for (text, shape, wanted) in table {
        std::fs::write(&file, text).unwrap();
        let found = read(std::slice::from_ref(&file), &spec(shape));
        // What is sent is read as what lies there.
        let sent = Sent { input: None, name: "x.csv", bytes: text.as_bytes() };
        let sent = sent_rows(&[sent], &[spec(shape)]);
        match (found, sent, wanted) {
            (Ok(found), Ok(sent), Ok(rows)) => assert!(found.len() == rows && sent == [found], "{text}"),
            (Err(found), Err(sent), Err(says)) => {
                for part in says {
                    assert!(
                        found.to_string().contains(part) && sent.to_string().contains(part),
                        "{found}: {part}"
                    );
                }
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// Files that are sent are those of one input, or of all.
#[test]
fn sent_files_are_for_inputs() {
    let specs = [spec(&[2]), InputSpec { name: "y".into(), ..spec(&[3]) }];
    let send = |input, name, bytes| Sent { input, name, bytes };
    let both =
        [send(Some("x"), "a.csv", b"1,2\n3,4\n" as &[u8]), send(Some("y"), "b.csv", b"1,2,3\n4,5,6\n")];
    let columns = sent_rows(&both, &specs).unwrap();
    assert_eq!(columns.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(columns[0][1].name, "a.csv[1]");
    let shorter = [both[0], send(Some("y"), "b.csv", b"1,2,3\n")];
    let table: [(&[Sent<'_>], &str); 6] = [
        (&shorter, "different numbers of rows"),
        (&both[..1], "nothing was given for the input \"y\""),
        (&[send(Some("z"), "a.csv", b"1,2\n")], "no input \"z\""),
        (&[send(None, "a.csv", b"1,2\n")], "a .npz file with an array for each"),
        (&[send(None, "a.gif", b"GIF89a")], "a GIF picture"),
        (&[], "nothing was given"),
    ];
    for (given, says) in table {
        let error = sent_rows(given, &specs).unwrap_err().to_string();
        assert!(error.contains(says), "{error}\nlacks {says}");
    }
}
