//! What a party keeps.

use std::path::{Path, PathBuf};

use cryptflow_party::deployment::{Deployment, Part};
use cryptflow_party::store::{Store, StoreError, read_part, write_part};
use cryptflow_party::versions::{Content, Version};
use cryptflow_protocols::ProtocolName;

fn part(name: &str, salt: u8) -> Part {
    Part {
        deployment: Deployment {
            name: name.into(),
            program: "{}".into(),
            protocol: ProtocolName::Porthos,
            commitments: vec![[salt; 32], [2; 32], [3; 32]],
        },
        salts: vec![[9; 32], [8; 32]],
        weights: (0..12).map(|i| vec![i; usize::from(i)]).collect(),
    }
}

/// Stages a part, and commits it where it is to be.
fn keep(store: &Store, generation: u64, part: &Part, committed: bool) {
    let name = &part.deployment.name;
    let lengths: Vec<u64> = part.weights.iter().map(|weight| weight.len() as u64).collect();
    let mut file = store.receive(&part.deployment, &part.salts, &lengths, None).unwrap();
    part.weights.iter().for_each(|weight| file.write(weight).unwrap());
    let bytes = file.finish().unwrap();
    let protocol = part.deployment.protocol;
    stage(store, generation, name, Content::Deployed { digest: part.deployment.digest(), protocol, bytes })
        .unwrap();
    if committed {
        assert!(store.commit(name, generation, &[]).unwrap());
    }
}

fn stage(store: &Store, generation: u64, name: &str, content: Content) -> Result<(), StoreError> {
    let (client, owner) = ("alice".to_string(), [7; 32]);
    store.stage(name, &Version { generation, content, time: 5, client, owner, held: Vec::new() })
}

/// The numbers of a model's versions, the newest first, those that are not committed below zero.
fn numbers(store: &Store, name: &str) -> Vec<i64> {
    let kept = store.kept(name).unwrap().into_iter();
    kept.map(|kept| kept.version.generation as i64 * if kept.committed { 1 } else { -1 }).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

fn file(folder: &Path, part: &Part) -> PathBuf {
    let name = format!("{}.part", part.deployment.digest().map(|b| format!("{b:02x}")).concat());
    folder.join(format!("{}.model", part.deployment.name)).join(name)
}

#[test]
fn parts_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let store = Store::open(&path, 1).unwrap();
    assert!(store.names().unwrap().is_empty());
    let (m, a) = (part("m", 1), part("a", 1));
    let digest = m.deployment.digest();
    assert!(matches!(store.get("m", &digest), Err(StoreError::Unknown(_))));
    assert!(matches!(store.get("../m", &digest), Err(StoreError::Unknown(_))));
    keep(&store, 1, &m, true);
    keep(&store, 7, &a, true);
    let read = store.get("m", &digest).unwrap().unwrap();
    assert_eq!((read.deployment, read.salts), (m.deployment.clone(), m.salts.clone()));
    assert_eq!(read.weights, m.weights);
    assert_eq!(store.names().unwrap(), ["a", "m"]);
    assert_eq!(store.deployment("m", &digest).unwrap(), Some(m.deployment.clone()));
    assert_eq!(store.deployment("m", &[0; 32]).unwrap(), None);
    assert!(matches!(store.deployment("n", &digest), Err(StoreError::Unknown(_))));
    // What is asked for often reads no weights: a file of a gigabyte of which nothing is there.
    let path = file(&path, &m);
    let whole = std::fs::read(&path).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(whole[..8].try_into().unwrap())).unwrap();
    let weights = whole.len() - header;
    let huge = std::str::from_utf8(&whole[8..header]).unwrap().trim_end();
    let huge = huge.replace(&format!("{weights}]"), &format!("{}]", 1u64 << 30));
    let mut file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, &(huge.len() as u64).to_le_bytes()).unwrap();
    std::io::Write::write_all(&mut file, huge.as_bytes()).unwrap();
    file.set_len(8 + huge.len() as u64 + (1 << 30)).unwrap();
    assert_eq!(store.deployment("m", &digest).unwrap(), Some(m.deployment));
    // Another party's part is refused.
    let other = Store::open(&folder.path().join("a/b"), 2).unwrap();
    let error = other.get("a", &a.deployment.digest()).err().unwrap().to_string();
    assert!(error.contains("this is the part of P1"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 0).unwrap();
    let m = part("m", 1);
    keep(&store, 1, &m, true);
    assert_eq!(store.current("m").unwrap().unwrap().trouble, None);
    let (path, digest) = (file(folder.path(), &m), m.deployment.digest());
    let whole = std::fs::read(&path).unwrap();
    for len in [0, 7, 8, 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(matches!(store.get("m", &digest), Err(StoreError::Damaged { .. })), "{len}");
        assert!(matches!(store.deployment("m", &digest), Err(StoreError::Damaged { .. })), "{len}");
        let trouble = store.current("m").unwrap().unwrap().trouble.unwrap();
        assert!(trouble.contains("it is not as long as it was"), "{trouble}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(store.current("m").unwrap().unwrap().trouble.is_some());
    // A record that is none is an error of this model, and of no other.
    std::fs::write(path.with_file_name("1.version"), "{").unwrap();
    keep(&store, 1, &part("n", 1), true);
    let models = store.models().unwrap();
    assert!(models[0].versions.is_err() && models[1].versions.is_ok(), "{models:?}");
}

/// A number is promised once, and what was promised last is kept until something newer is committed.
#[test]
fn versions_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 0).unwrap();
    let parts = [1, 2, 3, 4].map(|salt| part("m", salt));
    keep(&store, 1, &parts[0], true);
    keep(&store, 2, &parts[1], false);
    let digests = parts.each_ref().map(|part| part.deployment.digest());
    // What is staged is not used.
    assert_eq!(store.current("m").unwrap().unwrap().version.generation, 1);
    assert!(store.get("m", &digests[1]).unwrap().is_none());
    for generation in [0, 1, 2] {
        let error = stage(&store, generation, "m", Content::Removed).unwrap_err();
        assert!(matches!(error, StoreError::NotNew { newest: 2, .. }), "{error}");
    }
    let error = stage(&store, 1 << 40, "m", Content::Removed).unwrap_err();
    assert!(matches!(error, StoreError::TooFar { newest: 2, .. }), "{error}");
    // The next one takes the room of what nobody decided, and not its number.
    keep(&store, 3, &parts[2], false);
    assert!(!file(folder.path(), &parts[1]).exists());
    assert!(matches!(store.commit("m", 2, &[]), Err(StoreError::NotStaged { .. })));
    assert!(store.commit("m", 3, &[]).unwrap());
    assert!(!store.commit("m", 3, &[]).unwrap());
    assert_eq!(numbers(&store, "m"), [3, -2, 1]);
    assert!(store.get("m", &digests[0]).unwrap().is_some());
    // Nothing is given up before all parties have what is newer; nor for what this one has not.
    store.settle("m", &[], 1).unwrap();
    store.settle("m", &[4], 1).unwrap();
    store.settle("m", &[1], 1).unwrap();
    assert_eq!(numbers(&store, "m"), [3, -2, 1]);
    store.settle("m", &[3, 1], 2).unwrap();
    assert_eq!(numbers(&store, "m"), [3, 1]);
    keep(&store, 4, &parts[3], true);
    store.settle("m", &[4, 3, 1], 2).unwrap();
    assert_eq!(numbers(&store, "m"), [4, 3]);
    assert!(!file(folder.path(), &parts[0]).exists());
    // The same parts again, as a newer version: they stay, whichever version goes.
    let again = store.kept("m").unwrap()[1].version.content.clone();
    stage(&store, 5, "m", again).unwrap();
    store.commit("m", 5, &[]).unwrap();
    store.settle("m", &[5, 4], 1).unwrap();
    assert_eq!(numbers(&store, "m"), [5]);
    assert!(store.get("m", &digests[2]).unwrap().is_some());
    // Removed is removed, at once.
    stage(&store, 6, "m", Content::Removed).unwrap();
    assert!(store.current("m").unwrap().is_some());
    store.commit("m", 6, &[]).unwrap();
    assert!(store.current("m").unwrap().is_none());
    assert_eq!(files(&folder.path().join("m.model")), ["6.version"]);
    assert!(store.remove("m").unwrap() && !store.remove("m").unwrap());
    assert!(files(folder.path()).is_empty());
}

/// What a killed process leaves, at every moment that leaves something.
#[test]
fn what_was_half_done_is_swept_away_when_a_party_starts() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 0).unwrap();
    let (old, new, lost) = (part("m", 1), part("m", 2), part("m", 3));
    keep(&store, 1, &old, true);
    keep(&store, 2, &new, false);
    let model = folder.path().join("m.model");
    let expected = files(&model);
    // A part that arrives, one that came and was not promised, a record that was being written, one that
    // was committed a moment ago, and a model that was being removed.
    std::mem::forget(store.receive(&lost.deployment, &lost.salts, &[5], None).unwrap());
    std::fs::write(file(folder.path(), &lost), "x").unwrap();
    std::fs::write(model.join(".cryptflow-Xx.partial"), "{").unwrap();
    std::fs::copy(model.join("1.version"), model.join("1.staged")).unwrap();
    std::fs::create_dir_all(folder.path().join(".x.removed")).unwrap();
    std::fs::create_dir_all(folder.path().join("empty.model")).unwrap();
    assert_eq!(store.repair().unwrap(), Vec::<String>::new());
    assert_eq!(files(folder.path()), ["m.model"]);
    // `receive` gave the room of the second version away.
    let without: Vec<_> = expected.into_iter().filter(|name| !name.starts_with(&hex(&new))).collect();
    assert_eq!(files(&model), without);
    assert!(store.get("m", &old.deployment.digest()).unwrap().is_some());
    // What is whole stays as it is.
    keep(&store, 3, &lost, false);
    let whole = files(&model);
    store.repair().unwrap();
    assert_eq!(files(&model), whole);
    assert!(store.commit("m", 3, &[]).unwrap());
}

fn hex(part: &Part) -> String {
    part.deployment.digest().map(|b| format!("{b:02x}")).concat()
}

/// Stores of before there were versions.
#[test]
fn what_an_older_version_kept_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (old, digest) = (part("m", 1), part("m", 1).deployment.digest());
    write_part(&folder.path().join("m.part"), 0, &old).unwrap();
    std::fs::write(folder.path().join("bad.part"), "no part").unwrap();
    let store = Store::open(folder.path(), 0).unwrap();
    let said = store.repair().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|line| line.contains("bad.part")), "{said:?}");
    let version = store.current("m").unwrap().unwrap();
    assert_eq!((version.version.generation, version.trouble), (1, None));
    assert_eq!(store.get("m", &digest).unwrap().unwrap().weights, old.weights);
    // Killed between the record and the move.
    std::fs::rename(file(folder.path(), &old), folder.path().join("m.part")).unwrap();
    store.repair().unwrap();
    assert!(store.get("m", &digest).unwrap().is_some());
    // An old file never takes the place of what was deployed since.
    keep(&store, 2, &part("m", 2), true);
    write_part(&folder.path().join("m.part"), 0, &part("m", 3)).unwrap();
    let said = store.repair().unwrap();
    assert!(said.iter().any(|line| line.contains("was deployed since")), "{said:?}");
    assert_eq!(store.current("m").unwrap().unwrap().version.generation, 2);
    assert!(read_part(&folder.path().join("m.part"), 1).is_err());
}
