//! Who is inside a party, and who has to go.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptflow_party::doors::{Doors, Full, Knock, Known, OF_A_CLIENT, OF_CLIENTS, STRANGERS, Sparing};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// A party's door, at which nobody is attended to.
struct House {
    doors: Arc<Doors>,
    listener: TcpListener,
}

/// Somebody at the door, as both sides see it.
struct Guest {
    near: TcpStream,
    _far: TcpStream,
    knock: Option<Knock>,
}

impl House {
    fn new() -> House {
        House { doors: Arc::default(), listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// Somebody comes from 127.0.0.x.
    fn guest(&self, x: u8) -> Guest {
        let from = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&from, &SocketAddrV4::new([127, 0, 0, x].into(), 0)).unwrap();
        connect(&from, &self.listener.local_addr().unwrap()).unwrap();
        let far = self.listener.accept().unwrap().0;
        let knock = Some(self.doors.knock(&far).unwrap());
        Guest { near: TcpStream::from(from), _far: far, knock }
    }
}

impl Guest {
    /// Whether it was sent away.
    fn is_gone(&mut self) -> bool {
        self.near.set_nonblocking(true).unwrap();
        match self.near.read(&mut [0]) {
            Ok(0) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            other => panic!("{other:?}"),
        }
    }
}

fn gone(guests: &mut [Guest]) -> Vec<usize> {
    (0..guests.len()).filter(|&i| guests[i].is_gone()).collect()
}

#[test]
fn the_longest_of_the_busiest_address_gives_way() {
    let house = House::new();
    // An honest one, who has come first, and many of another address.
    let mut honest = house.guest(1);
    let mut others: Vec<_> = (0..STRANGERS - 1).map(|_| house.guest(2)).collect();
    assert!(!honest.is_gone() && gone(&mut others).is_empty());
    others.extend((0..3).map(|_| house.guest(2)));
    assert!(!honest.is_gone());
    assert_eq!(gone(&mut others), [0, 1, 2]);
    // Of one address alone, the longest.
    let alone = House::new();
    let mut all: Vec<_> = (0..STRANGERS + 2).map(|_| alone.guest(1)).collect();
    assert_eq!(gone(&mut all), [0, 1]);
}

#[test]
fn who_is_known_or_gone_is_no_stranger() {
    let house = House::new();
    let mut first: Vec<_> = (0..10).map(|_| house.guest(1)).collect();
    // They have proved who they are, and stay.
    first.iter_mut().for_each(|guest| drop(guest.knock.take()));
    let mut others: Vec<_> = (0..STRANGERS).map(|_| house.guest(1)).collect();
    assert!(gone(&mut first).is_empty() && gone(&mut others).is_empty());
    let mut more = [house.guest(1)];
    assert_eq!((gone(&mut first), gone(&mut others), gone(&mut more)), (vec![], vec![0], vec![]));
}

#[test]
fn places_of_clients_are_counted_by_key_and_together() {
    let doors: Arc<Doors> = Arc::default();
    let client = |key: u8| doors.client(Known::Client(key.to_string()));
    let mut all: Vec<_> = (0..OF_A_CLIENT).map(|_| client(0).unwrap()).collect();
    assert_eq!(client(0).err(), Some(Full::OfThisClient(OF_A_CLIENT)));
    for key in 1..u8::try_from(OF_CLIENTS / OF_A_CLIENT).unwrap() {
        all.extend((0..OF_A_CLIENT).map(|_| client(key).unwrap()));
    }
    assert_eq!(client(200).err(), Some(Full::OfClients(OF_CLIENTS)));
    // Who goes makes room, for one.
    drop(all.pop());
    let one = client(200).unwrap();
    assert_eq!(client(201).err(), Some(Full::OfClients(OF_CLIENTS)));
    drop((one, all));
    assert!((0..OF_A_CLIENT).map(|_| client(0)).collect::<Result<Vec<_>, _>>().is_ok());
}

#[test]
fn strangers_fill_no_log() {
    let (mut sparing, now) = (Sparing::default(), Instant::now());
    let after = |seconds| now + Duration::from_secs(seconds);
    let many = usize::try_from(Sparing::A_MINUTE).unwrap();
    assert!((0..many).all(|_| sparing.next(now) == Some(0)));
    assert!((0..1000).all(|_| sparing.next(after(59)).is_none()));
    // How many there were is told with the next one.
    assert_eq!(sparing.next(after(60)), Some(1000));
    assert!((1..many).all(|_| sparing.next(after(61)) == Some(0)));
    assert_eq!(sparing.next(after(61)), None);
}
