//! What a party keeps.

use cryptflow_party::deployment::{Deployment, Part};
use cryptflow_party::store::{Store, StoreError};
use cryptflow_protocols::ProtocolName;

fn part(name: &str) -> Part {
    Part {
        deployment: Deployment {
            name: name.into(),
            program: "{}".into(),
            protocol: ProtocolName::Porthos,
            commitments: vec![[1; 32], [2; 32], [3; 32]],
        },
        salts: vec![[9; 32], [8; 32]],
        weights: (0..12).map(|i| vec![i; usize::from(i)]).collect(),
    }
}

#[test]
fn parts_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("a/b"), 1).unwrap();
    assert!(store.names().unwrap().is_empty());
    assert!(matches!(store.get("m"), Err(StoreError::Unknown(_))));
    assert!(matches!(store.get("../m"), Err(StoreError::Unknown(_))));
    store.put(&part("m")).unwrap();
    store.put(&part("a")).unwrap();
    let read = store.get("m").unwrap();
    assert_eq!((read.deployment, read.salts), (part("m").deployment, part("m").salts));
    assert_eq!(read.weights, part("m").weights);
    assert_eq!(store.names().unwrap(), ["a", "m"]);
    assert_eq!(store.deployment("m").unwrap(), part("m").deployment);
    assert!(matches!(store.deployment("n"), Err(StoreError::Unknown(_))));
    // What is asked for often reads no weights: a file of a gigabyte of which nothing is there.
    let path = folder.path().join("a/b/m.part");
    let whole = std::fs::read(&path).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(whole[..8].try_into().unwrap())).unwrap();
    let weights = whole.len() - header;
    let huge = std::str::from_utf8(&whole[8..header]).unwrap().trim_end();
    let huge = huge.replace(&format!("{weights}]"), &format!("{}]", 1u64 << 30));
    let mut file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, &(huge.len() as u64).to_le_bytes()).unwrap();
    std::io::Write::write_all(&mut file, huge.as_bytes()).unwrap();
    file.set_len(8 + huge.len() as u64 + (1 << 30)).unwrap();
    assert_eq!(store.deployment("m").unwrap(), part("m").deployment);
    // Another party's part is refused.
    let other = Store::open(&folder.path().join("a/b"), 2).unwrap();
    assert!(other.get("a").err().unwrap().to_string().contains("this is the part of P1"));
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 0).unwrap();
    store.put(&part("m")).unwrap();
    let path = folder.path().join("m.part");
    let whole = std::fs::read(&path).unwrap();
    for len in [0, 7, 8, 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(matches!(store.get("m"), Err(StoreError::Damaged { .. })), "{len}");
        assert!(matches!(store.deployment("m"), Err(StoreError::Damaged { .. })), "{len}");
    }
}
