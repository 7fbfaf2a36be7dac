//! Arrays in NumPy's formats.

use std::io::Write as _;

use cryptflow_arrays::npy::{
    Elements, Names, NpyArray, NpyError, Tensor, Written, WrittenAs, read_npy, read_npz, read_npz_member,
    write_npy, write_npz,
};

/// A file with this element type, order, shape text and bytes of elements.
fn file(descr: &str, fortran: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend(elements);
    out
}

fn read(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    read_npy(bytes, bytes.len() as u64, true)
}

#[test]
fn every_numeric_type_is_read() {
    let cases: [(&str, &[u8], f32); 17] = [
        ("<f4", &1.5f32.to_le_bytes(), 1.5),
        (">f4", &1.5f32.to_be_bytes(), 1.5),
        ("<f8", &(-0.1f64).to_le_bytes(), -0.1),
        (">f8", &(-0.1f64).to_be_bytes(), -0.1),
        ("<f2", &0x3e00u16.to_le_bytes(), 1.5),
        (">f2", &0xc000u16.to_be_bytes(), -2.0),
        ("<f2", &0x0001u16.to_le_bytes(), 5.960_464_5e-8),
        ("|i1", &[0xff], -1.0),
        ("<i2", &(-300i16).to_le_bytes(), -300.0),
        (">i2", &(-300i16).to_be_bytes(), -300.0),
        ("<i4", &(-70_000i32).to_le_bytes(), -70_000.0),
        ("<i8", &(-5i64).to_le_bytes(), -5.0),
        (">i8", &(1i64 << 40).to_be_bytes(), 1_099_511_627_776.0),
        ("<u2", &60_000u16.to_le_bytes(), 60_000.0),
        ("<u4", &4_000_000_000u32.to_le_bytes(), 4e9),
        ("<u8", &u64::MAX.to_le_bytes(), 18_446_744_073_709_551_615.0),
        ("|b1", &[1], 1.0),
    ];
    for (descr, bytes, expected) in cases {
        let array = read(&file(descr, "False", "(1,)", bytes)).unwrap();
        assert_eq!(array.elements, Elements::Floats(vec![expected]), "{descr}");
        assert_eq!(array.shape, [1], "{descr}");
    }
}

#[test]
fn shapes_and_orders() {
    let bytes: Vec<u8> = (0..6).collect();
    let cases: [(&str, &str, &[usize], [u8; 6]); 4] = [
        ("(2, 3)", "False", &[2, 3], [0, 1, 2, 3, 4, 5]),
        ("(2, 3)", "True", &[2, 3], [0, 2, 4, 1, 3, 5]),
        ("(1, 2, 3)", "True", &[1, 2, 3], [0, 2, 4, 1, 3, 5]),
        ("(6L,)", "True", &[6], [0, 1, 2, 3, 4, 5]),
    ];
    for (text, fortran, shape, elements) in cases {
        let array = read(&file("|u1", fortran, text, &bytes)).unwrap();
        assert_eq!(
            (array.shape.as_slice(), array.elements),
            (shape, Elements::Bytes(elements.into())),
            "{text}"
        );
    }
    assert_eq!(read(&file("|u1", "False", "()", &[7])).unwrap().elements, Elements::Bytes(vec![7]));
    assert_eq!(read(&file("|u1", "True", "(0, 3)", &[])).unwrap().shape, [0, 3]);
}

#[test]
fn bad_files_are_refused() {
    let good = file("<f4", "False", "(2, 2)", &[0; 16]);
    let longer = [good.as_slice(), &[0]].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "signature"),
        (b"PK\x03\x04 and more".to_vec(), "signature"),
        (good[..5].to_vec(), "signature"),
        (good[..40].to_vec(), "claims to be"),
        (good[..good.len() - 1].to_vec(), "truncated: the shape [2, 2] needs 16 bytes of elements, 15"),
        (longer, "1 bytes follow"),
        (file("<f4", "False", "(99999999999, 99999999999)", &[]), "truncated"),
        (file("<f4", "False", "(4611686018427387904, 4)", &[]), "truncated"),
        (file("<f4", "False", "(99999999999999999999999,)", &[]), "no extent"),
        (file("<f4", "False", "(-1,)", &[]), "no extent"),
        (file("<f4", "False", "2", &[]), "\"(\" was expected"),
        (file("<f4", "Maybe", "(2,)", &[]), "\"False\" was expected"),
        (file("|O", "False", "(1,)", &[0; 8]), "type |O"),
        (file("<c8", "False", "(1,)", &[0; 8]), "type <c8"),
        (file("<U3", "False", "(1,)", &[0; 12]), "type <U3"),
        (file("é", "False", "(1,)", &[0; 12]), "type é"),
        (b"\x93NUMPY\x01\x00\x02\x00{}".to_vec(), "descr is missing"),
        (b"\x93NUMPY\x09\x00\x02\x00{}".to_vec(), "version 9"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(), "claims to be"),
        (b"\x93NUMPY\x01\x00\x04\x00\xff\xfe{}".to_vec(), "not text"),
    ];
    for (bytes, message) in cases {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }
}

#[test]
fn a_claimed_size_takes_no_memory() {
    // The archive claims 2^40 bytes; nothing is there. Taking them ahead would abort the process.
    let bytes = file("<f4", "False", "(274877906944,)", &[]);
    let error = read_npy(bytes.as_slice(), bytes.len() as u64 + (1 << 40), false).unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
}

#[test]
fn what_is_written_is_read() {
    for shape in [vec![], vec![3], vec![2, 3], vec![1, 2, 2, 5], vec![0, 4]] {
        let count = shape.iter().product::<usize>();
        let tensor = Tensor { shape, data: (0..count).map(|i| i as f32 - 0.5).collect() };
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &tensor).unwrap();
        assert_eq!((bytes.len() - 4 * count) % 64, 0);
        let array = read(&bytes).unwrap();
        assert_eq!((array.shape, array.elements), (tensor.shape, Elements::Floats(tensor.data)));
    }
    let wrong = Tensor { shape: vec![2, 2], data: vec![0.0; 3] };
    assert!(write_npy(&mut Vec::new(), &wrong).is_err());
}

#[test]
fn numbers_are_written_in_the_type_that_is_wanted() {
    let tensor = Tensor { shape: vec![5], data: vec![0.0, 1.0, 2.004, 16_777_216.0, 0.6] };
    let table: [(WrittenAs, &str, usize, [f32; 5]); 4] = [
        (WrittenAs::Float32, "<f4", 4, [0.0, 1.0, 2.004, 16_777_216.0, 0.6]),
        (WrittenAs::Int32, "<i4", 4, [0.0, 1.0, 2.0, 16_777_216.0, 1.0]),
        (WrittenAs::Int64, "<i8", 8, [0.0, 1.0, 2.0, 16_777_216.0, 1.0]),
        (WrittenAs::Bool, "|b1", 1, [0.0, 1.0, 1.0, 1.0, 1.0]),
    ];
    for (kind, descr, size, expected) in table {
        let written = Written { tensor: &tensor, kind, names: None };
        let mut bytes = Vec::new();
        write_npy(&mut bytes, written).unwrap();
        assert_eq!((bytes.len() - 5 * size) % 64, 0, "{kind:?}");
        assert!(String::from_utf8_lossy(&bytes).contains(&format!("'descr': '{descr}'")), "{kind:?}");
        assert_eq!(read(&bytes).unwrap().elements, Elements::Floats(expected.to_vec()), "{kind:?}");
        let mut archive = Vec::new();
        write_npz(&mut archive, [("y", written)]).unwrap();
        let array = read_npz_member(std::io::Cursor::new(&archive), "y").unwrap();
        assert_eq!(array.elements, Elements::Floats(expected.to_vec()), "{kind:?}");
    }
}

/// An archive of members, compressed where `deflate`.
fn archive(members: &[(&str, &[u8])], deflate: bool) -> Vec<u8> {
    let method = if deflate { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn archives() {
    let (one, two) = (file("|u1", "False", "(1,)", &[1]), file("|u1", "False", "(1,)", &[2]));
    for deflate in [false, true] {
        let cases: Vec<(Vec<u8>, Result<(&str, u8), &str>)> = vec![
            (archive(&[("anything.npy", &one)], deflate), Ok(("anything", 1))),
            (archive(&[("a.npy", &one), ("x.npy", &two)], deflate), Ok(("x", 2))),
            (archive(&[("a.npy", &one), ("b.npy", &two)], deflate), Err("the arrays a, b, but none")),
            (archive(&[("readme.txt", b"hello")], deflate), Err("no arrays")),
            (archive(&[("x.npy", &one[..one.len() - 1])], deflate), Err("truncated")),
            (b"PK\x03\x04 and nonsense".to_vec(), Err("archive cannot be read")),
        ];
        for (bytes, expected) in cases {
            let found = read_npz(std::io::Cursor::new(bytes), "x");
            match (found, expected) {
                (Ok((name, array)), Ok((expected, value))) => {
                    assert_eq!((name.as_str(), array.elements), (expected, Elements::Bytes(vec![value])));
                }
                (Err(error), Err(message)) => assert!(error.to_string().contains(message), "{error}"),
                (found, expected) => panic!("{found:?} where {expected:?} was due"),
            }
        }
    }
}

#[test]
fn archives_that_are_written_are_read() {
    let tensor = |shape: &[usize], first: f32| {
        let count = shape.iter().product::<usize>();
        Tensor { shape: shape.to_vec(), data: (0..count).map(|i| first + i as f32).collect() }
    };
    let arrays =
        [("scores", tensor(&[2, 3], 0.5)), ("scope/box:1", tensor(&[2], -7.0)), ("sum", tensor(&[], 3.0))];
    let mut bytes = Vec::new();
    write_npz(&mut bytes, arrays.iter().map(|(name, array)| (*name, array))).unwrap();
    for (name, tensor) in &arrays {
        let array = read_npz_member(std::io::Cursor::new(&bytes), name).unwrap();
        assert_eq!(
            (array.shape, array.elements),
            (tensor.shape.clone(), Elements::Floats(tensor.data.clone()))
        );
    }
    let error = read_npz_member(std::io::Cursor::new(&bytes), "other").unwrap_err().to_string();
    assert!(error.contains("the arrays scope/box:1, scores, sum, but none is called \"other\""), "{error}");

    let one = [("y", tensor(&[2], 0.0))];
    let mut bytes = Vec::new();
    write_npz(&mut bytes, one.iter().map(|(name, array)| (*name, array))).unwrap();
    let found = |name| read_npz_member(std::io::Cursor::new(&bytes), name).map_err(|e| e.to_string());
    assert!(found("y").is_ok() && found("x").unwrap_err().contains("the array y, but none"));

    let twice = [("y", &one[0].1), ("y", &one[0].1)];
    assert!(write_npz(&mut Vec::new(), twice).is_err());
    let wrong = Tensor { shape: vec![2, 2], data: vec![0.0; 3] };
    assert!(write_npz(&mut Vec::new(), [("y", &wrong)]).is_err());
}

/// What a full disk does.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_archive_that_cannot_be_written_says_why() {
    let tensor = Tensor { shape: vec![1], data: vec![1.0] };
    let error = write_npz(Full, [("y", &tensor)]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

/// Indices of classes are written as what these are called.
#[test]
fn names_in_place_of_indices() {
    let tensor = Tensor { shape: vec![3], data: vec![1.0, 0.0, 0.9] };
    let texts = ["ab", "ćde"].map(String::from);
    let written = |names| {
        let mut bytes = Vec::new();
        let kind = WrittenAs::Int64;
        write_npy(&mut bytes, Written { tensor: &tensor, kind, names: Some(names) }).map(|()| bytes)
    };
    let bytes = written(Names::Texts(&texts)).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("'descr': '<U3'"));
    let cells: Vec<u32> = ["ćde", "ab\0", "ćde"].iter().flat_map(|s| s.chars().map(u32::from)).collect();
    let cells: Vec<u8> = cells.iter().flat_map(|c| c.to_le_bytes()).collect();
    assert_eq!(&bytes[bytes.len() - cells.len()..], cells);

    let bytes = written(Names::Numbers(&[-7, 1 << 40])).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("'descr': '<i8'"));
    let cells: Vec<u8> = [1i64 << 40, -7, 1 << 40].iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(&bytes[bytes.len() - cells.len()..], cells);

    let error = written(Names::Numbers(&[5])).unwrap_err().to_string();
    assert!(error.contains("no name for the index 1"), "{error}");
}
