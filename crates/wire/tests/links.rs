//! What protocols rely on, over every kind of link.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::tcp::{Connection, Listener, connect};
use crate::tls::Channel;
use crate::{
    Breaker, Guard, Kind, Link, LinkMeter, LinkOptions, Links, Network, Reason, Role, Token, WireError,
    local, tcp,
};

use super::common::{SOON, channels};

/// A way to make the links of three parties.
type Mesh = fn(LinkOptions) -> Result<[Links; 3], WireError>;

const MESHES: [(&str, Mesh); 6] = [
    ("local", |options| local::mesh(3, options).map(three)),
    ("tcp", |options| tcp::mesh_on_loopback(3, options).map(three)),
    ("tls", |options| tls_mesh(options, false)),
    ("guarded tls", |options| tls_mesh(options, true)),
    ("tcp, read by users", |options| tcp::mesh_on_loopback(3, options).map(three).map(read_by_users)),
    ("guarded tls, read by users", |options| tls_mesh(options, true).map(read_by_users)),
];

/// The same links, which whoever waits for a message reads.
fn read_by_users(links: [Links; 3]) -> [Links; 3] {
    links.iter().for_each(|links| links.breaker().read_by_users());
    links
}

fn three(links: Vec<Links>) -> [Links; 3] {
    links.try_into().ok().unwrap()
}

/// The links of three parties over TLS.
fn tls_mesh(options: LinkOptions, guarded: bool) -> Result<[Links; 3], WireError> {
    let clocks = [0, 1, 2].map(|_| Arc::default());
    let link = |own: usize, peer: usize, mut channel: Channel| {
        let (from, to) = (Role::Party(own as u8), Role::Party(peer as u8));
        let guard = guarded.then(|| Guard::new(&[7; 32], [8; 32], from, to));
        channel.name(&to.to_string());
        channel.into_link(Arc::clone(&clocks[own]), options.between(own, peer), guard).unwrap()
    };
    let ((a01, a10), (a02, a20), (a12, a21)) = (channels(), channels(), channels());
    Ok([
        Links::new(0, vec![link(0, 1, a01), link(0, 2, a02)], Arc::clone(&clocks[0])),
        Links::new(1, vec![link(1, 0, a10), link(1, 2, a12)], Arc::clone(&clocks[1])),
        Links::new(2, vec![link(2, 0, a20), link(2, 1, a21)], Arc::clone(&clocks[2])),
    ])
}

fn each_mesh(options: &LinkOptions, mut test: impl FnMut(&str, [Links; 3])) {
    for (name, mesh) in MESHES {
        test(name, mesh(options.clone()).unwrap());
    }
}

fn short() -> LinkOptions {
    LinkOptions { deadline: Duration::from_millis(200), ..LinkOptions::default() }
}

/// Two connected ends over TCP: a client's and a party's.
fn connections() -> (Connection, Connection) {
    let token = Token::fresh().unwrap();
    let listener = Listener::loopback().unwrap();
    let (address, theirs) = (listener.address(), token.clone());
    let client =
        thread::spawn(move || connect(address, Role::Client, Role::Party(0), &theirs, SOON).unwrap());
    let mut party = listener.accept(Role::Party(0), &[Role::Client], &token, SOON).unwrap();
    (client.join().unwrap(), party.remove(0))
}

/// A link, and the bare socket at its other end.
fn half_open(options: LinkOptions) -> (Link, TcpStream) {
    let (client, party) = connections();
    (client.into_link(Arc::default(), options).unwrap(), party.into_stream())
}

fn frame(kind: u8, len: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 1, 0, 0, 0];
    bytes.extend(len.to_le_bytes());
    bytes.extend(payload);
    bytes
}

#[test]
fn messages_arrive_whole_and_in_order() {
    each_mesh(&LinkOptions::default(), |_, links| {
        let lengths = [0, 1, 7, 100_000, 3_000_001, 0, 5];
        for (i, j) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            for (k, &len) in lengths.iter().enumerate() {
                links[i].to(j).send(vec![k as u8; len]).unwrap();
            }
            for (k, &len) in lengths.iter().enumerate() {
                assert_eq!(links[j].to(i).recv(len).unwrap(), vec![k as u8; len]);
            }
        }
        assert_eq!(links[0].to(1).peer(), "P1");
        assert_eq!(links[2].index(), 2);
    });
}

/// Whoever sends writes small messages itself, as long as the network takes them; here it soon does not.
#[test]
fn small_messages_that_the_network_does_not_take_arrive_in_order() {
    let options = LinkOptions { receive_limit: 1 << 10, ..LinkOptions::default() };
    let message = |i: usize| {
        let len = if i.is_multiple_of(50) { 40_000 } else { 5 + i % 15_000 };
        i.to_le_bytes().into_iter().cycle().take(len).collect::<Vec<u8>>()
    };
    each_mesh(&options, |name, [p0, p1, _p2]| {
        (0..2000).for_each(|i| p0.to(1).send(message(i)).unwrap());
        // Those who are read at once are not held back by what came before.
        let answering = thread::spawn(move || {
            for i in 0..2000 {
                let expected = message(i);
                assert_eq!(p1.to(0).recv(expected.len()).unwrap(), expected);
            }
            p1.to(0).send(vec![1]).unwrap();
            for i in 0..50 {
                p1.to(0).send(p1.to(0).recv(message(i).len()).unwrap()).unwrap();
            }
        });
        assert_eq!(p0.to(1).recv(1).unwrap(), [1], "{name}");
        for i in 0..50 {
            p0.to(1).send(message(i)).unwrap();
            assert_eq!(p0.to(1).recv(message(i).len()).unwrap(), message(i), "{name}");
        }
        answering.join().unwrap();
    });
}

#[test]
fn both_directions_carry_big_messages_at_once() {
    const LEN: usize = 100 << 20;
    each_mesh(&LinkOptions::default(), |_, [p0, p1, _p2]| {
        let run = |links: Links, peer: usize| {
            thread::spawn(move || {
                links.to(peer).send(vec![peer as u8; LEN]).unwrap();
                let got = links.to(peer).recv(LEN).unwrap();
                assert!(got.iter().all(|&b| b == 1 - peer as u8));
            })
        };
        let threads = [run(p0, 1), run(p1, 0)];
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn another_length_fails_everybody_and_names_who_sent_it() {
    each_mesh(&LinkOptions::default(), |name, [p0, p1, p2]| {
        p0.to(1).send(vec![0; 10]).unwrap();
        let error = p1.to(0).recv(11).unwrap_err();
        assert_eq!(error, WireError::Length { peer: "P0".into(), expected: 11, received: 10 }, "{name}");
        // P1's other link is broken too, and the two peers learn why.
        assert_eq!(p1.to(2).send(vec![1]).unwrap_err(), error);
        for peer in [&p0, &p2] {
            let told = peer.to(1).recv(1).unwrap_err();
            assert!(told.to_string().contains("P1 aborted: P0 sent a message of 10 bytes"), "{name}: {told}");
            assert_eq!(told.kind(), Kind::BAD_MESSAGE, "{name}");
        }
    });
}

#[test]
fn an_abort_arrives_before_what_is_queued() {
    each_mesh(&LinkOptions::default(), |name, [p0, p1, p2]| {
        p0.to(1).send(vec![0; 10]).unwrap();
        let kind = Kind(77);
        p0.abort_all(Reason { kind, text: "the disk is full".into() });
        let told = "P0 aborted: the disk is full";
        // Whether P1 still gets the message depends on the moment; the abort comes at the latest
        // after it.
        let error = p1.to(0).recv(10).and_then(|_| p1.to(0).recv(10)).unwrap_err();
        assert!(error.to_string().contains(told), "{name}: {error}");
        assert_eq!(error.kind(), kind, "{name}");
        // P2 hears it from P0, or from P1, who passes it on.
        let error = p2.to(0).recv(1).unwrap_err();
        assert!(error.to_string().contains(told), "{name}: {error}");
        assert_eq!(error.kind(), kind, "{name}");
        assert!(p0.to(1).send(vec![1]).is_err());
        assert!(p0.to(2).recv(1).is_err());
    });
}

#[test]
fn silence_is_noticed_by_whoever_waits() {
    let (link, stream) = half_open(short());
    let started = Instant::now();
    let error = link.recv(1).unwrap_err();
    assert_eq!(error, WireError::Silent { peer: "P0".into(), seconds: 0 });
    assert!(started.elapsed() < SOON);
    drop(stream);
}

#[test]
fn a_peer_that_computes_is_not_silent() {
    each_mesh(&short(), |name, [p0, p1, _p2]| {
        let slow = thread::spawn(move || {
            thread::sleep(short().deadline * 4);
            p1.to(0).send(vec![7]).unwrap();
            p1
        });
        assert_eq!(p0.to(1).recv(1).unwrap(), [7], "{name}");
        drop(slow.join().unwrap());
    });
}

#[test]
fn parties_that_wait_for_one_another_give_up() {
    let options = LinkOptions { stall_limit: Duration::from_millis(400), ..short() };
    each_mesh(&options, |name, [p0, p1, p2]| {
        let error = p0.to(1).recv(1).unwrap_err();
        assert_eq!(error, WireError::Stalled { peer: "P1".into(), seconds: 0 }, "{name}");
        for peer in [&p1, &p2] {
            let told = peer.to(0).recv(1).unwrap_err();
            assert!(told.to_string().contains("P1 is alive, but nothing has moved"), "{name}: {told}");
        }
    });
}

#[test]
fn the_end_in_good_order_is_told_from_a_crash() {
    each_mesh(&LinkOptions::default(), |name, [p0, p1, p2]| {
        p0.to(1).send(vec![5; 3]).unwrap();
        drop(p0);
        assert_eq!(p1.to(0).recv(3).unwrap(), [5; 3], "{name}");
        // P0's end is no failure of the others, as long as they want nothing of it.
        p2.to(1).send(vec![1]).unwrap();
        assert_eq!(p1.to(2).recv(1).unwrap(), [1], "{name}");
        assert_eq!(p1.to(0).recv(1).unwrap_err(), WireError::Finished { peer: "P0".into() }, "{name}");
    });

    // A process that dies leaves no close frame.
    let (link, stream) = half_open(LinkOptions::default());
    drop(stream);
    assert_eq!(link.recv(1).unwrap_err(), WireError::Closed { peer: "P0".into() });
}

#[test]
fn what_was_sent_before_the_end_arrives_however_slowly_it_is_read() {
    const LEN: usize = 4 << 20;
    let options = LinkOptions { receive_limit: LEN, ..LinkOptions::default() };
    each_mesh(&options, |name, [p0, _p1, p2]| {
        let helper = thread::spawn(move || {
            for i in 0..20u8 {
                p2.to(0).send(vec![i; LEN]).unwrap();
            }
            // The helper is done, and ends its links while most of it is still under way.
            drop(p2);
        });
        for i in 0..20u8 {
            if i == 18 {
                thread::sleep(Duration::from_millis(2500));
            }
            assert_eq!(p0.to(2).recv(LEN).unwrap()[LEN - 1], i, "{name}");
        }
        helper.join().unwrap();
    });
}

#[test]
fn a_crash_breaks_all_links_of_a_party_at_once() {
    // P2's socket to P0 closes without a close frame; P1 waits for P0, who never receives anything.
    let token = Token::fresh().unwrap();
    let listeners = [0, 1].map(|_| Listener::loopback().unwrap());
    let addresses = [listeners[0].address(), listeners[1].address(), "127.0.0.1:9".parse().unwrap()];
    let spawn = |index: usize, listener: Listener| {
        let token = token.clone();
        thread::spawn(move || {
            tcp::join(index, &listener, &addresses, &[], &token, &LinkOptions::default(), SOON).unwrap().0
        })
    };
    let [l0, l1] = listeners;
    let threads = [spawn(0, l0), spawn(1, l1)];
    let sockets = [0, 1].map(|i| {
        connect(addresses[i], Role::Party(2), Role::Party(i as u8), &token, SOON).unwrap().into_stream()
    });
    let [p0, p1] = threads.map(|t| t.join().unwrap());
    let waiter = thread::spawn(move || p1.to(0).recv(1).unwrap_err());
    drop(sockets);
    let error = waiter.join().unwrap();
    assert!(error.to_string().contains("P2 closed the connection"), "{error}");
    let error = p0.to(1).recv(1).unwrap_err();
    assert!(error.to_string().contains("P2 closed the connection"), "{error}");
}

#[test]
fn broken_bytes_end_the_link_with_a_reason() {
    // (what the peer sends before it closes, what the error says)
    let table: [(Vec<u8>, &str); 8] = [
        (vec![], "P0 closed the connection"),
        (frame(1, 10, &[])[..9].to_vec(), "P0 closed the connection"),
        (frame(1, 10, &[0; 9]), "P0 closed the connection"),
        (frame(1, 1 << 60, &[]), "announces 1152921504606846976 bytes"),
        (frame(9, 0, &[]), "no frame of kind 9"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "no frame of kind 71"),
        (frame(2, 4, b"why?"), "P0 aborted: why?"),
        (frame(3, 0, &[]), "P0 ended the session"),
    ];
    for (bytes, expected) in table {
        for by_users in [false, true] {
            let (link, mut stream) = half_open(LinkOptions::default());
            let breaker = Breaker::new();
            breaker.tie(&link);
            if by_users {
                breaker.read_by_users();
            }
            stream.write_all(&bytes).unwrap();
            drop(stream);
            let error = link.recv(10).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}, not: {expected}");
        }
    }
}

/// Signs of life without end, over another link, keep no user from seeing that a peer is silent.
#[test]
fn a_flood_over_one_link_hides_no_silence_of_another() {
    let ((silent, stream), (loud, mut flood)) = (half_open(short()), half_open(short()));
    let breaker = Breaker::new();
    [&silent, &loud].into_iter().for_each(|link| breaker.tie(link));
    breaker.read_by_users();
    let end = flood.try_clone().unwrap();
    let flooding = thread::spawn(move || {
        let signs = frame(4, 0, &[]).repeat(1000);
        while flood.write_all(&signs).is_ok() {}
    });
    assert_eq!(silent.recv(1).unwrap_err(), WireError::Silent { peer: "P0".into(), seconds: 0 });
    drop((silent, loud, stream));
    // A system asks seldom whether a peer that took nothing takes something again; where it has asked, the
    // stream has ended already.
    let _ = end.shutdown(std::net::Shutdown::Both);
    flooding.join().unwrap();
}

/// Users who read go on where the last one had to stop, within a header or a payload; and what another link
/// brings meanwhile is heard.
#[test]
fn messages_that_come_in_pieces_are_read_by_users() {
    let ((one, mut to_one), (other, mut to_other)) =
        (half_open(LinkOptions::default()), half_open(LinkOptions::default()));
    let breaker = Breaker::new();
    [&one, &other].into_iter().for_each(|link| breaker.tie(link));
    breaker.read_by_users();
    let bytes = [frame(4, 0, &[]), frame(1, 5, b"hello"), frame(1, 0, &[]), frame(1, 2, b"ho")].concat();
    let sender = thread::spawn(move || {
        for byte in bytes.chunks(3) {
            to_one.write_all(byte).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        to_other.write_all(&frame(2, 4, b"why?")).unwrap();
        (to_one, to_other)
    });
    assert_eq!(one.recv(5).unwrap(), b"hello");
    assert_eq!(one.recv(0).unwrap(), b"");
    assert_eq!(one.recv(2).unwrap(), b"ho");
    assert_eq!(one.recv(1).unwrap_err().to_string(), "P0 aborted: why?");
    drop(sender.join().unwrap());
}

#[test]
fn long_announcements_are_refused_before_they_are_read() {
    let (link, mut stream) = half_open(LinkOptions { receive_limit: 0, ..LinkOptions::default() });
    // Only the header ever comes: had the link waited for the payload, the test would not end.
    stream.write_all(&frame(1, 1 << 30, &[])).unwrap();
    let error = link.recv_any(1 << 20).unwrap_err();
    assert_eq!(
        error,
        WireError::TooLong { peer: "P0".into(), announced: 1 << 30, limit: 1 << 20 },
        "{error}"
    );
    // The peer is told.
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told).contains("announced a message of 1073741824 bytes"));
}

#[test]
fn control_messages_have_any_length_up_to_a_limit() {
    let (a, b) = local::pair(LinkOptions { receive_limit: 0, ..LinkOptions::default() }).unwrap();
    for len in [0, 10, 20] {
        a.send(vec![1; len]).unwrap();
        assert_eq!(b.recv_any(20).unwrap().len(), len);
    }
    a.send(vec![1; 21]).unwrap();
    assert!(matches!(b.recv_any(20), Err(WireError::TooLong { announced: 21, limit: 20, .. })));
}

#[test]
fn only_holders_of_the_token_get_in() {
    let (token, wrong) = (Token::fresh().unwrap(), Token::fresh().unwrap());
    let listener = Listener::loopback().unwrap();
    let (address, right) = (listener.address(), token.clone());
    let strangers = thread::spawn(move || {
        TcpStream::connect(address).unwrap().write_all(&[0xee; 200]).unwrap();
        let silent = TcpStream::connect(address).unwrap();
        // (own role, the role that the peer should have, token)
        for (own, peer, token) in [
            (Role::Party(1), Role::Party(0), &wrong),
            (Role::Client, Role::Party(0), &wrong),
            (Role::Party(2), Role::Party(0), &right),
            (Role::Party(0), Role::Party(0), &right),
            (Role::Party(1), Role::Party(2), &right),
        ] {
            let error = connect(address, own, peer, token, SOON).unwrap_err();
            assert!(matches!(error, WireError::Connect { .. }), "{own} to {peer}: {error}");
        }
        let connection = connect(address, Role::Party(1), Role::Party(0), &right, SOON).unwrap();
        drop(silent);
        connection
    });
    let arrived = listener.accept(Role::Party(0), &[Role::Party(1)], &token, SOON).unwrap();
    assert_eq!(arrived[0].peer(), Role::Party(1));
    strangers.join().unwrap();
}

#[test]
fn who_does_not_come_is_named() {
    let token = Token::fresh().unwrap();
    let listener = Listener::loopback().unwrap();
    let wanted = [Role::Party(1), Role::Client];
    let soon = Duration::from_millis(50);
    let error = listener.accept(Role::Party(0), &wanted, &token, soon).unwrap_err().to_string();
    assert!(error.contains("cannot connect to P1 and the client"), "{error}");
    let nobody = listener.address();
    drop(listener);
    let error = connect(nobody, Role::Party(1), Role::Party(0), &token, soon).unwrap_err().to_string();
    assert!(error.contains("cannot connect to P0"), "{error}");
}

#[test]
fn meters_count_payloads_to_the_byte() {
    each_mesh(&LinkOptions::default(), |_, [p0, p1, p2]| {
        p0.to(1).send(vec![0; 10]).unwrap();
        p0.to(1).send(vec![]).unwrap();
        p0.to(2).send(vec![0; 1_000_000]).unwrap();
        p1.to(0).recv(10).unwrap();
        let nothing = LinkMeter::default();
        let sent = |sent_bytes, sent_messages| LinkMeter { sent_bytes, sent_messages, ..nothing };
        assert_eq!(p0.meters(), [nothing, sent(10, 2), sent(1_000_000, 1)]);
        assert_eq!(p0.sent(), [0, 10, 1_000_000]);
        let received = LinkMeter { received_bytes: 10, received_messages: 1, ..nothing };
        assert_eq!(p1.meters(), [received, nothing, nothing]);
        assert_eq!(p2.meters(), [nothing; 3]);
        assert_eq!((p0.to(1).meter().sent_framing(), p1.to(0).meter().received_framing()), (32, 16));
    });
}

/// Who waits for a message has waited for its sender and for nobody else; waits are kept where somebody asks for
/// them, and no more than that. Who finds a message has not waited.
#[test]
fn waits_are_told_by_whom_they_were_for() {
    each_mesh(&LinkOptions::default(), |name, [p0, p1, _p2]| {
        let watch = p1.watch();
        let exchange = || {
            let begun = std::sync::Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    begun.wait();
                    // Not before the other one waits.
                    while p1.to(0).shared().lock().wanted.is_none() {
                        thread::yield_now();
                    }
                    p0.to(1).send(vec![1]).unwrap();
                });
                begun.wait();
                p1.to(0).recv(1).unwrap();
            });
        };
        assert_eq!(watch.waited(), [Duration::ZERO; 3], "{name}");
        exchange();
        let once = watch.waited();
        assert!(once[0] > Duration::ZERO && once[1..] == [Duration::ZERO; 2], "{name}: {once:?}");
        assert_eq!(watch.waits(), [], "{name}: nobody has asked for them");
        watch.keep_waits(2);
        let begun = std::time::Instant::now();
        (0..3).for_each(|_| exchange());
        let (waits, waited) = (watch.waits(), watch.waited());
        assert_eq!(waits.iter().map(|wait| wait.peer).collect::<Vec<_>>(), [0, 0], "{name}");
        assert!(
            waits[0].begun >= begun && waits[0].begun + waits[0].took <= waits[1].begun,
            "{name}: {waits:?}"
        );
        assert!(waits[0].took + waits[1].took < waited[0] - once[0], "{name}: {waits:?} of {waited:?}");
        watch.keep_waits(2);
        assert_eq!((watch.waits(), watch.waited()), (vec![], waited.clone()), "{name}");
        // A message that is there is not waited for.
        p0.to(1).send(vec![1]).unwrap();
        while p1.to(0).shared().lock().inbox.is_empty() {
            thread::yield_now();
        }
        p1.to(0).recv(1).unwrap();
        assert_eq!(watch.waited(), waited, "{name}");
    });
}

#[test]
fn clocks_count_the_longest_chain_of_messages() {
    let rounds = |links: &[Links; 3]| links.each_ref().map(Links::rounds);
    let pass = |links: &[Links; 3], i: usize, j: usize| {
        links[i].to(j).send(vec![0]).unwrap();
        links[j].to(i).recv(1).unwrap();
    };
    each_mesh(&LinkOptions::default(), |name, links| {
        // A helper that deals ahead starts no chain of its own.
        for _ in 0..5 {
            links[2].to(0).send(vec![0]).unwrap();
        }
        // An exchange is one round.
        links[0].to(1).send(vec![0]).unwrap();
        links[1].to(0).send(vec![0]).unwrap();
        links[0].to(1).recv(1).unwrap();
        links[1].to(0).recv(1).unwrap();
        assert_eq!(rounds(&links), [1, 1, 0], "{name}: exchange");
        // A stream is one round.
        for _ in 0..10 {
            links[0].to(1).send(vec![0]).unwrap();
        }
        for _ in 0..10 {
            links[1].to(0).recv(1).unwrap();
        }
        assert_eq!(rounds(&links), [1, 2, 0], "{name}: stream");
        for _ in 0..5 {
            links[0].to(2).recv(1).unwrap();
        }
        assert_eq!(rounds(&links), [1, 2, 0], "{name}: dealt");
        // A chain is as long as it has links.
        pass(&links, 1, 0);
        pass(&links, 0, 2);
        pass(&links, 2, 1);
        assert_eq!(rounds(&links), [3, 5, 4], "{name}: chain");
    });
}

#[test]
fn a_sender_is_held_back_at_its_limit_and_goes_on() {
    const LEN: usize = 1 << 20;
    let options = LinkOptions { send_limit: 4 * LEN, receive_limit: 4 * LEN, ..LinkOptions::default() };
    each_mesh(&options, |name, [p0, _p1, p2]| {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let helper = thread::spawn(move || {
            for i in 0..200u8 {
                p2.to(0).send(vec![i; LEN]).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
            }
            p2
        });
        // It fills the two queues and what the system buffers between them, and then waits.
        let mut before = usize::MAX;
        while sent.load(Ordering::SeqCst) != before {
            before = sent.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(300));
        }
        assert!((8..60).contains(&before), "{name}: {before} messages went through");
        for i in 0..200u8 {
            assert_eq!(p0.to(2).recv(LEN).unwrap()[LEN - 1], i);
        }
        drop(helper.join().unwrap());
    });
}

#[test]
fn a_sender_that_nobody_listens_to_gives_up() {
    let (link, stream) = half_open(LinkOptions { send_limit: 1 << 20, ..short() });
    let error = (0..1000).find_map(|_| link.send(vec![0; 1 << 20]).err()).unwrap();
    assert_eq!(error, WireError::Silent { peer: "P0".into(), seconds: 0 });
    drop(stream);
}

#[test]
fn empty_messages_that_nobody_receives_are_not_kept_without_end() {
    let (link, mut stream) = half_open(LinkOptions { receive_limit: 1 << 20, ..LinkOptions::default() });
    // Sixteen bytes each: what the link reads of them stays in its memory.
    let many = frame(1, 0, &[]).repeat(1 << 16);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let written = (0..256).take_while(|_| stream.write_all(&many).is_ok()).count();
    assert!(written < 128, "{written} MiB of empty messages were taken in");
    for _ in 0..1000 {
        link.recv(0).unwrap();
    }
}

/// What a peer sends ahead of what it is asked for stays out of memory, but for a little; and arrives
/// all the same.
#[test]
fn what_nobody_waits_for_is_left_on_the_network() {
    const LEN: usize = 64 << 10;
    let waiting = |running: bool, options: LinkOptions| {
        let mut waiting = Vec::new();
        each_mesh(&options, |name, [p0, p1, _p2]| {
            let ahead = running.then(|| p1.read_ahead());
            (0..64u8).for_each(|i| p0.to(1).send(vec![i; LEN]).unwrap());
            // As much as it takes unasked, and what may still be on its way.
            let held = || p1.to(0).shared().lock().in_bytes;
            let mut before = usize::MAX;
            while before == 0 || held() != before {
                before = held();
                thread::sleep(Duration::from_millis(300));
            }
            waiting.push(before);
            for i in 0..64u8 {
                assert_eq!(p1.to(0).recv(LEN).unwrap(), [i; LEN], "{name}");
            }
            drop(ahead);
        });
        waiting
    };
    let usual = LinkOptions::default();
    for held in waiting(false, usual.clone()) {
        assert!(0 < held && held <= usual.receive_limit, "{held} bytes were kept");
    }
    // While a protocol runs, its links read ahead: as many whole messages as they may.
    let most = usual.read_ahead;
    for held in waiting(true, usual) {
        assert!((most.min(64 * LEN) - 2 * LEN..=most).contains(&held), "{held} bytes were read ahead");
    }
}

/// Both send all that they have before either receives, more than links read ahead.
#[test]
fn evaluators_that_send_before_they_receive_do_not_wait_for_one_another() {
    const LEN: usize = 3 << 20;
    let options = LinkOptions { read_ahead: 4 << 20, ..LinkOptions::default() };
    each_mesh(&options, |name, [p0, p1, _p2]| {
        let name = name.to_string();
        let run = |links: Links, peer: usize| {
            let name = name.clone();
            thread::spawn(move || {
                let _ahead = links.read_ahead();
                (0..30u8).for_each(|i| links.to(peer).send(vec![i; LEN]).unwrap());
                for i in 0..30u8 {
                    assert_eq!(links.to(peer).recv(LEN).unwrap()[LEN - 1], i, "{name}");
                }
            })
        };
        [run(p0, 1), run(p1, 0)].into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_message_after_the_end_is_refused_and_its_sender_named() {
    each_mesh(&LinkOptions::default(), |name, [p0, p1, p2]| {
        let unasked = Err(WireError::Unasked { peer: "P1".into() });
        // It came before the end, and nobody has received it.
        p1.to(0).send(vec![0; 10]).unwrap();
        thread::sleep(Duration::from_millis(300));
        thread::scope(|scope| {
            let others = [&p1, &p2].map(|links| scope.spawn(|| links.finish()));
            assert_eq!(p0.finish(), unasked, "{name}");
            // The others have parted in good order.
            others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), Ok(()), "{name}"));
        });
    });
    // It comes after the end, and is so long that it would be kept whole before it is found out.
    let (link, mut stream) = half_open(LinkOptions::default());
    thread::scope(|scope| {
        let finished = scope.spawn(|| link.finish());
        let mut close = [0; 16];
        stream.read_exact(&mut close).unwrap();
        assert_eq!(close[0], 3);
        stream.write_all(&frame(1, 1 << 30, &[])).unwrap();
        assert_eq!(finished.join().unwrap(), Err(WireError::Unasked { peer: "P0".into() }));
    });
}

#[test]
fn a_network_delays_but_does_not_serialise_what_is_in_flight() {
    let rtt = Duration::from_millis(100);
    let options =
        LinkOptions { network: Some(Network { rtt, bandwidth_bits_per_s: 0 }), ..LinkOptions::default() };
    each_mesh(&options, |name, [p0, p1, _p2]| {
        let started = Instant::now();
        for _ in 0..20 {
            p0.to(1).send(vec![0; 1000]).unwrap();
        }
        for _ in 0..20 {
            p1.to(0).recv(1000).unwrap();
        }
        let elapsed = started.elapsed();
        assert!(elapsed >= rtt / 2, "{name}: {elapsed:?}");
        // Twenty half round trips one after another would take a second.
        assert!(elapsed < rtt * 8, "{name}: {elapsed:?}");
    });
}

#[test]
fn a_party_has_no_link_to_itself() {
    let p0 = local::mesh(3, LinkOptions::default()).unwrap().remove(0);
    for j in [0, 3, 100] {
        assert!(p0.to(j).send(vec![]).unwrap_err().to_string().contains("itself"));
        assert!(p0.to(j).recv(0).is_err());
    }
}

#[test]
fn a_breaker_wakes_a_protocol_that_waits() {
    each_mesh(&LinkOptions::default(), |name, [p0, p1, _p2]| {
        let breaker = p0.breaker();
        let waiter = thread::spawn(move || p0.to(1).recv(1).unwrap_err());
        breaker.abort_all("the client is gone");
        assert!(waiter.join().unwrap().to_string().contains("the client is gone"), "{name}");
        let told = p1.to(0).recv(1).unwrap_err();
        assert!(told.to_string().contains("P0 aborted: the client is gone"), "{name}: {told}");
    });
}

#[test]
fn links_that_are_tied_break_together() {
    let (near, _far) = local::pair(LinkOptions::default()).unwrap();
    let (other, other_far) = local::pair(LinkOptions::default()).unwrap();
    let breaker = Breaker::new();
    breaker.tie(&near);
    breaker.tie(&other);
    assert_eq!(breaker.failure(), None);
    let reason = Reason { kind: Kind(77), text: "out of memory".into() };
    other_far.abort(reason.clone());
    let error = WireError::Aborted { peer: "the other end".into(), reason };
    assert_eq!(near.recv(1).unwrap_err(), error);
    assert_eq!(breaker.failure(), Some(error.clone()));
    // A link that is tied later breaks at once, and one that is broken already breaks the others.
    let (broken, well) =
        (local::pair(LinkOptions::default()).unwrap(), local::pair(LinkOptions::default()).unwrap());
    broken.1.abort("out of disk");
    assert!(broken.0.recv(1).is_err());
    let second = Breaker::new();
    second.tie(&well.0);
    second.tie(&broken.0);
    assert!(well.0.recv(1).unwrap_err().to_string().contains("out of disk"));
    let (late, _) = local::pair(LinkOptions::default()).unwrap();
    breaker.tie(&late);
    assert_eq!(late.send(vec![1]).unwrap_err(), error);
}
