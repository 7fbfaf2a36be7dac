//! TLS with pinned keys: who gets through, what is noticed on the way, and what both ends agree on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::tls::{Arrival, Channel, Fingerprint, Identity, IdentityError, Route};
use crate::{Guard, Link, LinkOptions, Role, WireError};

use super::common::{self, SOON, channels, identity};

/// Connects to a listener that welcomes one key, expecting another to answer; returns what both
/// sides made of it.
fn meet(
    welcome: impl Fn(Fingerprint) -> Fingerprint,
    expect: impl Fn(Fingerprint) -> Fingerprint,
) -> (Result<Channel, WireError>, Result<Channel, WireError>) {
    let (a, b) = (identity(), identity());
    let end = Instant::now() + SOON;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, expected) = (listener.local_addr().unwrap().to_string(), expect(b.fingerprint()));
    let own = a.clone();
    let dialler = thread::spawn(move || Channel::connect(&address, &own, expected, "P1", end));
    let welcome = [welcome(a.fingerprint())].into();
    let accepted = Channel::accept(listener.accept().unwrap().0, &b, welcome, end);
    (dialler.join().unwrap(), accepted)
}

#[test]
fn both_ends_know_each_other_and_share_an_exporter() {
    let (a, b) = channels();
    assert_ne!(a.peer_fingerprint(), b.peer_fingerprint());
    assert_eq!(a.exporter(b"label").unwrap(), b.exporter(b"label").unwrap());
    assert_ne!(a.exporter(b"label").unwrap(), a.exporter(b"other").unwrap());
    let (c, _d) = channels();
    assert_ne!(a.exporter(b"label").unwrap(), c.exporter(b"label").unwrap());
}

#[test]
fn strangers_do_not_get_through() {
    let stranger = Fingerprint::of(b"somebody else");
    let (dialled, accepted) = meet(|_| stranger, |key| key);
    let (dialled, accepted) = (dialled.unwrap_err().to_string(), accepted.unwrap_err().to_string());
    assert!(dialled.contains("does not accept this key") && dialled.contains("P1"), "{dialled}");
    assert!(accepted.contains("its key is not in this party's configuration"), "{accepted}");

    let (dialled, accepted) = meet(|key| key, |_| stranger);
    let dialled = dialled.unwrap_err().to_string();
    assert!(
        dialled.contains("does not hold the key") && dialled.contains(&stranger.to_string()),
        "{dialled}"
    );
    assert!(accepted.is_err());
}

#[test]
fn who_does_not_speak_tls_or_says_nothing_is_an_error() {
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut stranger = TcpStream::connect(address).unwrap();
        stranger.write_all(said).unwrap();
        let end = Instant::now() + SOON / 40;
        let accepted = Channel::accept(listener.accept().unwrap().0, &identity(), [].into(), end);
        assert!(matches!(accepted, Err(WireError::NotLetIn { .. })), "{accepted:?}");
    }
    // Nobody listens on a port that no test is given.
    let end = Instant::now() + SOON / 100;
    let error = Channel::connect("127.0.0.1:1", &identity(), Fingerprint([0; 32]), "P2", end).unwrap_err();
    assert!(error.to_string().contains("P2"), "{error}");
}

#[test]
fn long_announcements_are_refused_and_silence_ends() {
    let (mut a, mut b) = channels();
    a.send(&[1; 100]).unwrap();
    assert_eq!(b.recv(100).unwrap(), [1; 100]);
    a.send(&[1; 101]).unwrap();
    assert!(matches!(b.recv(100), Err(WireError::TooLong { announced: 101, .. })));
    a.extend(Instant::now() + SOON / 100);
    assert!(a.recv(1).is_err());
}

fn links(guarded: bool) -> (Link, Link) {
    let (a, b) = channels();
    let guard = |own, peer| guarded.then(|| Guard::new(&[1; 32], [2; 32], own, peer));
    let (p0, p1) = (Role::Party(0), Role::Party(1));
    let link = |channel: Channel, guard| channel.into_link(Arc::default(), LinkOptions::default(), guard);
    (link(a, guard(p0, p1)).unwrap(), link(b, guard(p1, p0)).unwrap())
}

#[test]
fn both_ends_of_a_guarded_link_have_the_same_transcript() {
    let (a, b) = links(true);
    for len in [0, 1, 100_000] {
        a.send(vec![7; len]).unwrap();
        b.send(vec![8; 2 * len]).unwrap();
        a.recv(2 * len).unwrap();
        // What has arrived, but was not received, is not in the transcript.
        b.send(vec![9]).unwrap();
        b.recv(len).unwrap();
        let (at_a, at_b) = (a.transcript().unwrap().unwrap(), b.transcript().unwrap().unwrap());
        assert_eq!(at_a.sent, at_b.received);
        assert_ne!(at_a.received, at_b.sent);
        a.recv(1).unwrap();
        assert_eq!(a.transcript().unwrap().unwrap().received, b.transcript().unwrap().unwrap().sent);
    }
    let (a, _b) = links(false);
    assert_eq!(a.transcript().unwrap(), None);
}

/// A bit that somebody flips between the ends.
#[test]
fn a_changed_record_is_noticed_and_named() {
    let (own, theirs) = (identity(), identity());
    let end = Instant::now() + SOON;
    let (listener, relay) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (address, behind) = (relay.local_addr().unwrap().to_string(), listener.local_addr().unwrap());
    let (key, dialler) = (theirs.fingerprint(), own.clone());
    let dialled = thread::spawn(move || Channel::connect(&address, &dialler, key, "P1", end).unwrap());
    let (mut near, mut far) = (relay.accept().unwrap().0, TcpStream::connect(behind).unwrap());
    let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
    thread::spawn(move || {
        let (mut passed, mut buffer) = (0, [0; 4096]);
        while let Ok(n @ 1..) = near.read(&mut buffer) {
            // Far behind the handshake, within the long message.
            if (passed..passed + n).contains(&500_000) {
                buffer[500_000 - passed] ^= 4;
            }
            passed += n;
            if far.write_all(&buffer[..n]).is_err() {
                return;
            }
        }
    });
    let mut accepted =
        Channel::accept(listener.accept().unwrap().0, &theirs, [own.fingerprint()].into(), end).unwrap();
    accepted.name("P0");
    let receiver = accepted.into_link(Arc::default(), LinkOptions::default(), None).unwrap();
    let sender = dialled.join().unwrap().into_link(Arc::default(), LinkOptions::default(), None).unwrap();
    sender.send(vec![5; 1_000_000]).unwrap();
    let error = receiver.recv(1_000_000).unwrap_err();
    assert!(matches!(&error, WireError::Tampered { peer, .. } if peer == "P0"), "{error}");
}

#[test]
fn fingerprints_come_back_as_people_write_them() {
    let fingerprint = Fingerprint::of(b"a key");
    let text = fingerprint.to_string();
    assert_eq!(text.len(), 16 * 4 + 15);
    for written in [text.clone(), text.replace('-', ":"), text.replace('-', ""), text.to_uppercase()] {
        assert_eq!(written.parse(), Ok(fingerprint));
    }
    for wrong in ["", "abc", &text[1..], "zz", &format!("{text}-0000"), "😀"] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}

/// A key is its owner's alone, or of no use.
#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused() {
    let made = rcgen::generate_simple_self_signed(["anybody".to_string()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666] {
        common::restrict(&key, mode);
        let error = Identity::read(&certificate, &key).unwrap_err();
        assert!(matches!(error, IdentityError::Exposed { mode: found, .. } if found == mode), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for mode in [0o600, 0o400] {
        common::restrict(&key, mode);
        Identity::read(&certificate, &key).unwrap();
    }
}

/// Where root writes the key and another user's process reads it, the group may read, and nobody else anything.
#[cfg(unix)]
#[test]
fn a_key_of_root_may_be_read_by_the_group_of_another_user() {
    let (root, user, other) = (0, 65532, 65533);
    for (owner, process, mode, allowed) in [
        (root, user, 0o440, true),
        (root, user, 0o640, true),
        (root, user, 0o660, false),
        (root, user, 0o450, false),
        (root, user, 0o444, false),
        (root, user, 0o442, false),
        (root, root, 0o600, true),
        (root, root, 0o440, false),
        (user, user, 0o400, true),
        (user, user, 0o440, false),
        (other, user, 0o440, false),
    ] {
        let found = mode & crate::tls::forbidden(owner, process) == 0;
        assert_eq!(found, allowed, "{owner}'s {mode:03o}, read by {process}");
    }
}

/// A site hears where somebody wants to go before it answers, and another process can go on.
#[test]
fn an_arrival_says_where_it_wants_and_can_be_handed_over() {
    let (a, b) = (identity(), identity());
    let end = Instant::now() + SOON;
    let route = Route::to_session(&[7; 32]);
    assert_ne!(route, Route::to_session(&[8; 32]));
    for (wanted, answered) in
        [(Some(route), route), (Some(route), Route::to_session(&[8; 32])), (None, route)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, key, own) = (listener.local_addr().unwrap().to_string(), b.fingerprint(), a.clone());
        let dialler = thread::spawn(move || match wanted {
            Some(route) => Channel::connect_to(route, &address, &own, key, "P1", end),
            None => Channel::connect(&address, &own, key, "P1", end),
        });
        let arrival = Arrival::hear(listener.accept().unwrap().0, end).unwrap();
        assert_eq!(arrival.route(), wanted);
        let (socket, heard) = arrival.handed_over();
        let accepted = Arrival::taken_over(socket, heard, answered, end).accept(&b, [a.fingerprint()].into());
        let dialled = dialler.join().unwrap();
        if wanted == Some(answered) {
            let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
            assert_eq!(dialled.exporter(b"label").unwrap(), accepted.exporter(b"label").unwrap());
            dialled.send(b"hello").unwrap();
            assert_eq!(accepted.recv(5).unwrap(), b"hello");
        } else {
            // Both ends mean the same session, or none.
            assert!(accepted.is_err() && dialled.is_err(), "{accepted:?} {dialled:?}");
        }
    }
}

#[test]
fn a_first_message_is_bounded_in_size_and_time() {
    // A handshake record of 16 KiB - 1 that announces a longer message, and the one after it.
    let record = [&[22, 3, 1, 0x3f, 0xff, 1, 0, 0xff, 0xff][..], &[0; 0x3ffb]].concat();
    for (said, why) in [(record.repeat(2), "too long"), (record[..100].to_vec(), "failed")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let writer = thread::spawn(move || stranger.write_all(&said).map(|()| stranger));
        let heard = Arrival::hear(listener.accept().unwrap().0, Instant::now() + SOON / 40);
        let error = heard.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        drop(writer.join().unwrap());
    }
}
