//! The index of a checkpoint, which is a table in LevelDB's form: made anew, damaged, absurd.

use super::saved_models::{Copy, constants};

const INDEX: &str = "variables/variables.index";
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

fn varint(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Reads a number from the front.
fn number(bytes: &mut &[u8]) -> usize {
    let length = bytes.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
    let (own, rest) = bytes.split_at(length);
    *bytes = rest;
    own.iter().rev().fold(0, |n, b| n << 7 | usize::from(b & 0x7f))
}

/// The checksum of a block and of its type.
fn checksum(block: &[u8], kind: u8) -> [u8; 4] {
    let crc = crc32c::crc32c_append(crc32c::crc32c(block), &[kind]);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A block of entries: how much of the key is shared, the rest of it, the value.
fn entries(list: &[(usize, &[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (shared, own, value) in list {
        bytes.extend([varint(*shared), varint(own.len()), varint(value.len())].concat());
        bytes.extend([*own, *value].concat());
    }
    [bytes, 0u32.to_le_bytes().to_vec(), 1u32.to_le_bytes().to_vec()].concat()
}

/// A file of these data blocks.
fn table(blocks: &[Vec<u8>], compress: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut put = |block: &[u8]| {
        let (block, kind) = if compress {
            (snap::raw::Encoder::new().compress_vec(block).unwrap(), 1)
        } else {
            (block.to_vec(), 0)
        };
        let handle = [varint(file.len()), varint(block.len())].concat();
        file.extend([block.as_slice(), &[kind], &checksum(&block, kind)].concat());
        handle
    };
    let handles: Vec<Vec<u8>> = blocks.iter().map(|b| put(b)).collect();
    let index: Vec<(usize, &[u8], &[u8])> = handles.iter().map(|h| (0, &b"k"[..], &h[..])).collect();
    let mut footer = [put(&entries(&[])), put(&entries(&index))].concat();
    footer.resize(40, 0);
    [file, footer, MAGIC.to_le_bytes().to_vec()].concat()
}

/// The entries of the only data block of a model's index, with whole keys.
fn entries_of(file: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut footer = &file[file.len() - 48..];
    let [_, _, offset, size] = [(); 4].map(|()| number(&mut footer));
    let mut index = &file[offset..offset + size];
    let [_, own, _] = [(); 3].map(|()| number(&mut index));
    index = &index[own..];
    let (offset, size) = (number(&mut index), number(&mut index));
    let block = &file[offset..offset + size];
    let restarts = u32::from_le_bytes(block[size - 4..].try_into().unwrap()) as usize;
    let mut rest = &block[..size - 4 - 4 * restarts];
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while !rest.is_empty() {
        let [shared, own, value] = [(); 3].map(|()| number(&mut rest));
        let prefix = all.last().map_or(&[][..], |(key, _)| &key[..shared]);
        let key = [prefix, &rest[..own]].concat();
        all.push((key, rest[own..own + value].to_vec()));
        rest = &rest[own + value..];
    }
    all
}

#[test]
fn an_index_in_any_form_is_read() {
    let copy = Copy::of("simple_save");
    let whole = constants(&copy.import().unwrap());
    let found = entries_of(&copy.read(INDEX));
    assert!(found.len() > 2);
    // The last entry in a block of its own; the others share what they can of their keys.
    let (last, first) = found.split_last().unwrap();
    let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let shared: Vec<usize> =
        (0..first.len()).map(|i| if i == 0 { 0 } else { common(&first[i - 1].0, &first[i].0) }).collect();
    let list: Vec<(usize, &[u8], &[u8])> =
        first.iter().zip(&shared).map(|((key, value), &n)| (n, &key[n..], &value[..])).collect();
    let blocks = [entries(&list), entries(&[(0, &last.0, &last.1)])];
    for compress in [false, true] {
        copy.write(INDEX, &table(&blocks, compress));
        assert_eq!(constants(&copy.import().unwrap()), whole);
    }
}

#[test]
fn damage_is_found() {
    let copy = Copy::of("simple_save");
    let file = copy.read(INDEX);
    for n in 0..file.len() {
        copy.write(INDEX, &file[..n]);
        copy.import().unwrap_err();
    }
    // The footer's padding and the meta index are never looked at.
    let (mut found, mut missed) = (0, 0);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        copy.write(INDEX, &damaged);
        if copy.import().is_ok() { missed += 1 } else { found += 1 }
    }
    assert!(found > missed, "{found} found, {missed} missed");
}

#[test]
fn absurd_tables_are_refused() {
    let long = vec![b'k'; 4096];
    let mut many: Vec<(usize, &[u8], &[u8])> = vec![(0, &long, b"")];
    many.resize(20_000, (4096, b"", b""));
    let block = entries(&[(0, b"", b"header"), (0, b"abc", b"1"), (2, b"d", b"22")]);
    let snappy_bomb = {
        // A length of 2^31 before nothing.
        let contents = [varint(1 << 31), vec![0; 3]].concat();
        let handle = [varint(0), varint(contents.len())].concat();
        let sum = checksum(&contents, 1);
        let mut footer = [vec![0, 0], handle].concat();
        footer.resize(40, 0);
        [contents, vec![1], sum.to_vec(), footer, MAGIC.to_le_bytes().to_vec()].concat()
    };
    let copy = Copy::of("simple_save");
    let table = [
        (table(&[entries(&many)], false), "far more room"),
        (table(&[block.clone(), block], false), "not in order"),
        (table(&[entries(&[(3, b"", b"")])], false), "damaged"),
        (snappy_bomb, "more than"),
        (vec![0; 100], "does not end"),
        (vec![0; 10], "fewer than"),
    ];
    for (file, reason) in table {
        copy.write(INDEX, &file);
        let error = copy.import().unwrap_err();
        assert!(error.contains(reason), "{reason:?} is not in {error:?}");
    }
}
