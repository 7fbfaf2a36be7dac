//! What a client runs a model on.

use std::io::Cursor;
use std::path::Path;

use cryptflow::input::{self, InputSpec};
use cryptflow::labels::Labels;
use cryptflow_arrays::csv::read_csv;
use cryptflow_arrays::npy::{self, Tensor};
use cryptflow_program::Preprocessing;

use crate::{read, write};

pub(crate) fn npy(bytes: &[u8], _: &Path) {
    if let Err(error) = npy::read_npy(bytes, bytes.len() as u64, true) {
        drop(error.to_string());
    }
}

fn array(header: &str, elements: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(elements);
    out
}

pub(crate) fn arrays() -> Vec<Vec<u8>> {
    let mut all = vec![
        array("{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3), }\n", &[7; 12]),
        array("{'descr': '>i8', 'fortran_order': True, 'shape': (2, 3), }\n", &[1; 48]),
        array("{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }\n", &[0x3c; 10]),
        array("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", &[0; 8]),
    ];
    let mut floats = Vec::new();
    npy::write_npy(&mut floats, &Tensor { shape: vec![2, 4, 3], data: vec![1.5; 24] }).unwrap();
    all.push(floats);
    all
}

pub(crate) fn npz(bytes: &[u8], _: &Path) {
    let found = npy::read_npz(Cursor::new(bytes), "input").map(|_| ());
    for result in [found, npy::read_npz_member(Cursor::new(bytes), "input").map(|_| ())] {
        if let Err(error) = result {
            drop(error.to_string());
        }
    }
}

pub(crate) fn archives() -> Vec<Vec<u8>> {
    let mut set = Vec::new();
    let arrays = [
        ("input", Tensor { shape: vec![2, 4, 3], data: vec![1.5; 24] }),
        ("other", Tensor { shape: vec![2], data: vec![0.5; 2] }),
    ];
    npy::write_npz(&mut set, arrays.iter().map(|(name, tensor)| (*name, tensor))).unwrap();
    let files = ["arg_max_head", "dense", "saved_models/keras"]
        .iter()
        .map(|name| format!("crates/import/tests/data/{name}.npz"))
        .filter(|path| crate::repository(path).exists())
        .map(|path| read(&path));
    std::iter::once(set).chain(files).collect()
}

pub(crate) fn csv(bytes: &[u8], _: &Path) {
    if let Err(error) = read_csv(bytes) {
        drop(error.to_string());
    }
}

pub(crate) fn tables() -> Vec<Vec<u8>> {
    vec![
        b"1,2.5,-3e2\n4,5,6\n".to_vec(),
        b"\xef\xbb\xbf\"a, b\";c;d\r\n1;2;3\r\n\r\n4;\"5\";6".to_vec(),
        b"nan\tinf\t0\n".to_vec(),
    ]
}

/// A file that a client names as its input, for a model of arrays, for one of pictures, and for one
/// of several inputs.
pub(crate) fn file(bytes: &[u8], folder: &Path) {
    let path = folder.join("input");
    write(&path, bytes);
    let of_arrays = Preprocessing::default();
    let of_pictures = Preprocessing {
        resize: Some([5, 6]),
        crop: Some([4, 3]),
        divide: Some(255.0),
        ..Preprocessing::default()
    };
    for (shape, preprocessing) in [(vec![4, 3], of_arrays), (vec![4, 3, 3], of_pictures)] {
        let spec = InputSpec {
            name: "input".into(),
            shape,
            low: -1e3,
            high: 1e3,
            factors: Vec::new(),
            classes: None,
            preprocessing,
        };
        let other = InputSpec { name: "other".into(), shape: Vec::new(), ..spec.clone() };
        for specs in [&[spec.clone()][..], &[spec, other]] {
            if let Err(error) = input::columns(std::slice::from_ref(&path), specs) {
                drop(error.to_string());
            }
        }
    }
}

pub(crate) fn files() -> Vec<Vec<u8>> {
    let pixels: Vec<u8> = (0..12 * 8 * 3).map(|i| i as u8).collect();
    let png = |colour, pixels: &[u8]| {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, 12, 8);
        encoder.set_color(colour);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        out
    };
    let pictures = vec![
        png(png::ColorType::Rgb, &pixels),
        include_bytes!("picture.jpg").to_vec(),
        png(png::ColorType::Grayscale, &pixels[..96]),
    ];
    [pictures, arrays(), archives()].concat()
}

pub(crate) fn labels(bytes: &[u8], folder: &Path) {
    let path = folder.join("labels.txt");
    write(&path, bytes);
    if let Err(error) = Labels::read(&path, &[3]) {
        drop(error.to_string());
    }
}

pub(crate) fn label_files() -> Vec<Vec<u8>> {
    vec![
        b"cat\ndog\nnewt\n".to_vec(),
        b"2\tcat\n0\tdog\n1\tnewt".to_vec(),
        b"n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 shark".to_vec(),
    ]
}
