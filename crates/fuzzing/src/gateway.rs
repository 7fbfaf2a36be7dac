//! What the gateway of a data's owner reads: bodies of requests, of programs and of its own page.

use std::path::Path;

use bytes::Bytes;
use cryptflow_gateway::{read_request, uploads};

use crate::read;

/// Two bytes say where what follows is divided: the description in JSON, and the bytes behind it.
fn divided(bytes: &[u8]) -> Option<(usize, Bytes)> {
    let (length, body) = bytes.split_first_chunk()?;
    Some((u16::from_le_bytes(*length).into(), Bytes::copy_from_slice(body)))
}

fn joined(description: &serde_json::Value, more: &[u8]) -> Vec<u8> {
    let description = description.to_string();
    let length = u16::try_from(description.len()).unwrap();
    [&length.to_le_bytes(), description.as_bytes(), more].concat()
}

pub(crate) fn upload(bytes: &[u8], _: &Path) {
    let Some((head, body)) = divided(bytes) else { return };
    match uploads(&body, head) {
        // All of the body belongs to some file.
        Ok(files) => assert_eq!(files.iter().map(|file| file.bytes.len()).sum::<usize>(), body.len() - head),
        Err(failure) => drop(failure.to_string()),
    }
}

pub(crate) fn upload_bodies() -> Vec<Vec<u8>> {
    let csv = b"a,b\n1,2\n";
    let picture = read("models/digits/digit_four.png");
    let one = serde_json::json!({ "files": [{ "name": "a.csv", "size": csv.len() }] });
    let two = serde_json::json!({ "files": [
        { "name": "a.csv", "size": csv.len(), "input": "x" }, { "name": "four.png", "size": picture.len() }
    ] });
    let all = [joined(&one, csv), joined(&two, &[csv, &picture[..]].concat())];
    for seed in &all {
        let (head, body) = divided(seed).unwrap();
        uploads(&body, head).unwrap();
    }
    all.into()
}

pub(crate) fn request(bytes: &[u8], _: &Path) {
    let Some((head, body)) = divided(bytes) else { return };
    for header in [None, Some(head)] {
        match read_request(&body, header) {
            // As many elements as the shape says.
            Ok(tensors) => {
                for tensor in tensors {
                    assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
                }
            }
            Err(failure) => drop(failure.to_string()),
        }
    }
}

pub(crate) fn request_bodies() -> Vec<Vec<u8>> {
    let input = |data: serde_json::Value, more: serde_json::Value| {
        let mut input = serde_json::json!({ "name": "x", "shape": [2, 2], "datatype": "FP32" });
        let fields = input.as_object_mut().unwrap();
        fields.extend(data.as_object().unwrap().clone());
        fields.extend(more.as_object().unwrap().clone());
        serde_json::json!({ "id": "7", "inputs": [input], "outputs": [{ "name": "y" }] })
    };
    let none = serde_json::json!({});
    let flat = input(serde_json::json!({ "data": [1, 2.5, -3, 4e-3] }), none.clone());
    let nested = input(serde_json::json!({ "data": [[1, 2], [3, 4]] }), none);
    let binary = input(
        serde_json::json!({ "parameters": { "binary_data_size": 16 } }),
        serde_json::json!({ "datatype": "FP32" }),
    );
    let seeds = vec![joined(&flat, &[]), joined(&nested, &[]), joined(&binary, &[0x3f; 16])];
    for seed in &seeds {
        let (head, body) = divided(seed).unwrap();
        read_request(&body, Some(head)).unwrap();
    }
    seeds
}
