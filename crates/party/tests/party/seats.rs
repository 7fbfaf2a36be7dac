//! Who may run a session now, and who waits.

use std::sync::Arc;
use std::time::Instant;

use cryptflow_party::messages::Obstacle;
use cryptflow_party::seats::{Capacity, Need, Occupancy, Place, Seat, Seats};

const CAPACITY: Capacity = Capacity { sessions: 3, of_one: 2, memory: 100, waiting: 3 };

fn place(seats: &Arc<Seats>, client: u8, memory: u64) -> Place {
    seats.line_up(Need { client: client.to_string(), memory }, &CAPACITY).unwrap()
}

/// The seat where it is its turn, and how many are before it where it is not.
fn now(place: &Place) -> Result<Seat, usize> {
    place.seat(&CAPACITY, Instant::now()).unwrap()
}

#[test]
fn first_come_first_served() {
    let seats = Arc::default();
    let [a, b] = [place(&seats, 1, 0), place(&seats, 2, 0)];
    assert_eq!(now(&b).map(drop).unwrap_err(), 1);
    let first = now(&a).unwrap();
    let second = now(&b).unwrap();
    let third = now(&place(&seats, 3, 0)).unwrap();
    let [c, d] = [place(&seats, 4, 0), place(&seats, 5, 0)];
    assert_eq!((now(&c).map(drop), now(&d).map(drop)), (Err(0), Err(1)));
    assert_eq!(seats.occupancy(), Occupancy { taken: 3, waiting: 2, memory: 0 });
    drop(second);
    assert_eq!(now(&d).map(drop), Err(1));
    let fourth = now(&c).unwrap();
    drop((first, third, fourth));
    let _fifth = now(&d).unwrap();
    assert_eq!(seats.occupancy(), Occupancy { taken: 1, waiting: 0, memory: 0 });
}

/// Who has as many as one client may is passed by.
#[test]
fn one_client_holds_nobody_up() {
    let seats = Arc::default();
    let own = [place(&seats, 1, 0), place(&seats, 1, 0)].map(|place| now(&place).unwrap());
    let (more, other) = (place(&seats, 1, 0), place(&seats, 2, 0));
    assert_eq!(now(&more).map(drop), Err(0));
    let _other = now(&other).unwrap();
    drop(own);
    now(&more).unwrap();
}

/// Memory is for all; who needs much of it is not kept out by those who need little.
#[test]
fn memory_is_shared_in_turn() {
    let seats = Arc::default();
    let first = now(&place(&seats, 1, 60)).unwrap();
    let (large, small) = (place(&seats, 2, 50), place(&seats, 3, 10));
    assert_eq!((now(&large).map(drop), now(&small).map(drop)), (Err(0), Err(1)));
    drop(first);
    let large = now(&large).unwrap();
    let _small = now(&small).unwrap();
    assert_eq!(seats.occupancy().memory, 60);
    drop(large);
    // One that needs more than all have together runs alone.
    let alone = place(&seats, 1, 500);
    assert_eq!(now(&alone).map(drop), Err(0));
    drop(_small);
    now(&alone).unwrap();
}

#[test]
fn a_line_has_an_end_and_a_door() {
    let seats: Arc<Seats> = Arc::default();
    let _running: Vec<Seat> = (1..4).map(|client| now(&place(&seats, client, 0)).unwrap()).collect();
    let waiting: Vec<Place> = (4..7).map(|client| place(&seats, client, 0)).collect();
    let late = seats.line_up(Need { client: "9".into(), memory: 0 }, &CAPACITY);
    assert!(matches!(late.map(drop), Err(Obstacle::Crowded(3))));
    assert!(!seats.emptied(Instant::now()));
    seats.close();
    for place in &waiting {
        assert!(matches!(place.seat(&CAPACITY, Instant::now()).map(drop), Err(Obstacle::Leaving)));
    }
    drop(waiting);
    let late = seats.line_up(Need { client: "9".into(), memory: 0 }, &CAPACITY);
    assert!(matches!(late.map(drop), Err(Obstacle::Leaving)));
    drop(_running);
    assert!(seats.emptied(Instant::now()));
}

/// A session that panics, and a client that goes, leave their places.
#[test]
fn places_are_given_back_in_a_panic() {
    let seats: Arc<Seats> = Arc::default();
    let unwound = std::thread::spawn({
        let seats = Arc::clone(&seats);
        move || {
            let _seat = now(&place(&seats, 1, 7)).unwrap();
            let _place = place(&seats, 2, 7);
            std::panic::resume_unwind(Box::new(()));
        }
    });
    assert!(unwound.join().is_err());
    assert_eq!(seats.occupancy(), Occupancy { taken: 0, waiting: 0, memory: 0 });
}
