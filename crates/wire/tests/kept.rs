//! Messages that were kept come as they were sent, or not at all.

use std::fs::{File, OpenOptions, read, write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Guard, Keeper, LinkOptions, Links, Role, WireError, local};

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cryptflow-kept-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("kept")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const DEALER: Role = Role::Party(2);
const EVALUATOR: Role = Role::Party(0);

fn guard(session: u8, own: Role, peer: Role) -> Guard {
    Guard::new(&[5; 32], [session; 32], own, peer)
}

/// Several parts, and several of what is gathered before it is written.
fn messages() -> Vec<Vec<u8>> {
    vec![vec![1; 16], (0..300_000).map(|i| i as u8).collect(), vec![2], vec![3; 65_536], vec![4; 131_072]]
}

fn keep(path: &Path, session: u8) {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
    let mut keeper = Keeper::new(file, guard(session, DEALER, EVALUATOR)).unwrap();
    messages().into_iter().for_each(|message| keeper.keep(message).unwrap());
    keeper.finish().unwrap();
}

/// The links of two parties, and the first one's with the file.
fn links(path: &Path, session: u8) -> (Links, Vec<Links>) {
    let two = local::mesh(2, LinkOptions::default()).unwrap();
    let own = guard(session, EVALUATOR, DEALER);
    let links = two[0].with_kept("the file", File::open(path).unwrap(), own, LinkOptions::default());
    (links.unwrap(), two)
}

fn receive_all(links: &Links) -> Result<(), WireError> {
    for message in messages() {
        assert_eq!(links.to(2).recv(message.len())?, message);
    }
    Ok(())
}

#[test]
fn what_was_kept_comes_in_order_beside_the_others() {
    let folder = Folder::new();
    keep(&folder.file(), 1);
    let (links, two) = links(&folder.file(), 1);
    // Who has it open needs no name.
    std::fs::remove_file(folder.file()).unwrap();
    assert_eq!((links.parties(), links.index()), (3, 0));
    two[1].to(0).send(vec![9; 3]).unwrap();
    receive_all(&links).unwrap();
    assert_eq!(links.rounds(), 0, "what was kept is on no chain of messages");
    assert_eq!(links.to(1).recv(3).unwrap(), [9; 3]);
    assert_eq!(links.rounds(), 1);
    links.to(2).finish().unwrap();
    // The others stay.
    drop(links);
    two[0].to(1).send(vec![8]).unwrap();
    assert_eq!(two[1].to(0).recv(1).unwrap(), [8]);
}

#[test]
fn nothing_is_sent_to_who_is_not_there() {
    let folder = Folder::new();
    keep(&folder.file(), 1);
    let (links, two) = links(&folder.file(), 1);
    links
        .to(2)
        .send(vec![1])
        .and_then(|()| receive_all(&links))
        .and_then(|()| links.to(2).recv(1))
        .unwrap_err();
    // The other party hears of it.
    assert!(two[1].to(0).recv(1).is_err());
}

#[test]
fn messages_that_are_left_are_found() {
    let folder = Folder::new();
    keep(&folder.file(), 1);
    let (links, _two) = links(&folder.file(), 1);
    assert_eq!(links.to(2).recv(16).unwrap(), [1; 16]);
    assert!(matches!(links.to(2).finish(), Err(WireError::Unasked { .. })));
}

#[test]
fn a_file_that_ends_or_was_changed_breaks_all_links() {
    let folder = Folder::new();
    let path = folder.file();
    keep(&path, 1);
    let whole = read(&path).unwrap();
    let cut = |len: usize| whole[..len].to_vec();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut cases = vec![("empty", vec![]), ("without its end", cut(whole.len() - 32))];
    cases.extend([1, 16, 40, 5_000, whole.len() - 1].map(|len| ("cut", cut(len))));
    cases.extend([0, 9, 20, 40, 70_000, 400_000, whole.len() - 1].map(|at| ("changed", changed(at))));
    // The first message a second time.
    cases.push(("repeated", [&whole[..64], &whole].concat()));
    for (name, bytes) in cases {
        write(&path, &bytes).unwrap();
        let (links, two) = links(&path, 1);
        let error = receive_all(&links).and_then(|()| links.to(2).recv(1).map(drop)).unwrap_err();
        assert!(matches!(error, WireError::Tampered { .. }), "{name}, {} bytes: {error}", bytes.len());
        assert!(error.to_string().contains("the file"), "{error}");
        assert!(two[1].to(0).recv(1).is_err(), "{name}: the other party goes on");
    }
}

#[test]
fn the_file_of_another_place_does_not_open() {
    let folder = Folder::new();
    keep(&folder.file(), 1);
    let (links, _two) = links(&folder.file(), 2);
    assert!(matches!(receive_all(&links), Err(WireError::Tampered { .. })));
}
