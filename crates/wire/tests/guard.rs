//! What a guard seals, and what its tags bind.

use super::*;

/// Header and payload as they travel, after `skip` frames.
fn sealed(key: u8, session: u8, from: Role, to: Role, skip: u64, payload: &[u8]) -> Vec<u8> {
    let (mut sealer, _) = Guard::new(&[key; 32], [session; 32], from, to).split();
    for _ in 0..skip {
        sealer.seal_header(&mut [0; HEADER_LEN]).unwrap();
    }
    let mut header = [0; HEADER_LEN];
    let header_tag = sealer.seal_header(&mut header).unwrap();
    let mut part = payload.to_vec();
    let tag = sealer.seal_part(&mut part).unwrap();
    [&header[..], &header_tag, &part, &tag].concat()
}

#[test]
fn a_tag_binds_everything() {
    let (p0, p1) = (Role::Party(0), Role::Party(1));
    let good = sealed(1, 2, p0, p1, 3, b"payload");
    assert_eq!(good, sealed(1, 2, p0, p1, 3, b"payload"));
    for other in [
        sealed(9, 2, p0, p1, 3, b"payload"),
        sealed(1, 9, p0, p1, 3, b"payload"),
        sealed(1, 2, p1, p0, 3, b"payload"),
        sealed(1, 2, p0, Role::Party(2), 3, b"payload"),
        sealed(1, 2, p0, Role::Client, 3, b"payload"),
        sealed(1, 2, p0, p1, 2, b"payload"),
    ] {
        assert_ne!(good[..HEADER_LEN], other[..HEADER_LEN]);
        assert_ne!(good[HEADER_LEN..][..TAG_LEN], other[HEADER_LEN..][..TAG_LEN]);
    }
    for other in [sealed(1, 2, p0, p1, 3, b"paymoad"), sealed(1, 2, p0, p1, 3, b"payloa")] {
        assert_ne!(good[good.len() - TAG_LEN..], other[other.len() - TAG_LEN..]);
    }
}

#[test]
fn keys_change_before_nonces_come_again() {
    let (p0, p1) = (Role::Party(0), Role::Party(1));
    let (mut sender, _) = Guard::new(&[1; 32], [2; 32], p0, p1).split();
    let (_, mut receiver) = Guard::new(&[1; 32], [2; 32], p1, p0).split();
    let mut first = None;
    for n in 0..2 * GENERATION + 2 {
        let mut part = [0; 16];
        let tag = sender.seal_part(&mut part).unwrap();
        if n % GENERATION == 0 {
            assert_ne!(first.replace(part), Some(part));
        }
        receiver.open_part(&mut part, &tag).unwrap();
        assert_eq!(part, [0; 16]);
    }
}

/// Parts that a copied party seals with one nonce show nothing of GCM's authentication key: the
/// difference of two plain tags would be a polynomial in it, and these are no such thing. Here:
/// for parts that differ in one bit of the last block the difference of plain tags would not
/// depend on what else is in the part.
#[test]
fn tags_of_one_nonce_have_nothing_in_common() {
    let tag = |part: [u8; 32]| {
        let (mut sealer, _) = Guard::new(&[1; 32], [2; 32], Role::Party(0), Role::Party(1)).split();
        u128::from_le_bytes(sealer.seal_part(&mut part.clone()).unwrap())
    };
    let changed = |mut part: [u8; 32]| {
        part[31] ^= 1;
        part
    };
    let differences = [[0; 32], [7; 32]].map(|part| tag(part) ^ tag(changed(part)));
    assert_ne!(differences[0], differences[1]);
}

#[test]
fn both_ends_have_the_same_chain() {
    let (p0, p1) = (Role::Party(0), Role::Party(1));
    let (mut sender, _) = Guard::new(&[1; 32], [2; 32], p0, p1).split();
    let (_, mut receiver) = Guard::new(&[1; 32], [2; 32], p1, p0).split();
    let mut chains = Vec::new();
    for (kind, payload) in [(FrameKind::Data, b"a"), (FrameKind::Abort, b"b"), (FrameKind::Data, b"c")] {
        let mut header = Header { kind, clock: 1, len: 1 }.encode();
        let tag = sender.seal_header(&mut header).unwrap();
        receiver.open_header(&mut header, &tag).unwrap();
        assert_eq!(Header::decode(&header, 1).unwrap().kind, kind);
        let mut part = *payload;
        let tag = sender.seal_part(&mut part).unwrap();
        assert_ne!(&part, payload);
        receiver.open_part(&mut part, &tag).unwrap();
        assert_eq!(&part, payload);
        assert_eq!(sender.chain(), receiver.chain());
        chains.push(sender.chain());
    }
    assert_eq!(chains[0], chains[1]);
    assert_ne!(chains[1].digest, chains[2].digest);
    assert_eq!(chains[2].messages, 2);
}
