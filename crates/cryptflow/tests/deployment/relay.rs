//! Somebody on the way between two parties, who sees and changes what goes by, but holds no key.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Bytes of a TLS record's header.
const HEADER: usize = 5;
/// A record of application data.
const APPLICATION: u8 = 23;

/// What is done with the records of one direction.
pub trait Hand: Send + Sync {
    /// What goes on in place of the record with this number of this connection (only records of
    /// application data are counted).
    fn pass(&self, number: usize, record: Vec<u8>) -> Vec<Vec<u8>>;
}

impl<F: Fn(usize, Vec<u8>) -> Vec<Vec<u8>> + Send + Sync> Hand for F {
    fn pass(&self, number: usize, record: Vec<u8>) -> Vec<Vec<u8>> {
        self(number, record)
    }
}

/// Stands between whoever connects to the address that it returns, and whoever listens at `behind`.
/// What the connecting side says goes through `hand`; the other direction passes unchanged.
pub fn between(behind: &str, hand: Arc<dyn Hand>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, behind) = (listener.local_addr().unwrap().to_string(), behind.to_string());
    thread::spawn(move || {
        for near in listener.incoming() {
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(&behind)) else { continue };
            let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let hand = Arc::clone(&hand);
            thread::spawn(move || {
                let _ = std::io::copy(&mut back_from, &mut back_to);
                let _ = back_to.shutdown(std::net::Shutdown::Both);
            });
            thread::spawn(move || forward(near, far, &*hand));
        }
    });
    address
}

fn forward(mut near: TcpStream, mut far: TcpStream, hand: &dyn Hand) {
    let mut number = 0;
    loop {
        let mut record = vec![0; HEADER];
        if near.read_exact(&mut record).is_err() {
            break;
        }
        let len = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(HEADER + len, 0);
        if near.read_exact(&mut record[HEADER..]).is_err() {
            break;
        }
        let application = record[0] == APPLICATION;
        let records = if application { hand.pass(number, record) } else { vec![record] };
        number += usize::from(application);
        if records.iter().any(|record| far.write_all(record).is_err()) {
            break;
        }
    }
    let _ = far.shutdown(std::net::Shutdown::Both);
}

/// Flips a bit of one record.
pub fn flip(at: usize) -> Arc<dyn Hand> {
    Arc::new(move |number: usize, mut record: Vec<u8>| {
        if number == at {
            let middle = (HEADER + record.len()) / 2;
            record[middle] ^= 1;
        }
        vec![record]
    })
}

/// Exchanges a record with the one after it.
pub fn swap(at: usize) -> Arc<dyn Hand> {
    let held = Mutex::new(None);
    Arc::new(move |number: usize, record: Vec<u8>| match number {
        n if n == at => {
            *held.lock().unwrap() = Some(record);
            vec![]
        }
        n if n == at + 1 => std::iter::once(record).chain(held.lock().unwrap().take()).collect(),
        _ => vec![record],
    })
}

/// Leaves a record out.
pub fn omit(at: usize) -> Arc<dyn Hand> {
    Arc::new(move |number: usize, record: Vec<u8>| if number == at { vec![] } else { vec![record] })
}

/// Sends a record twice.
pub fn repeat(at: usize) -> Arc<dyn Hand> {
    Arc::new(
        move |number: usize, record: Vec<u8>| {
            if number == at { vec![record.clone(), record] } else { vec![record] }
        },
    )
}

/// Keeps the records of the first connection that has so many, and puts one of them in its place in
/// later ones.
pub fn replay(at: usize) -> Arc<dyn Hand> {
    let kept: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    Arc::new(move |number: usize, record: Vec<u8>| {
        let mut kept = kept.lock().unwrap();
        match (&*kept, number == at) {
            (Some(old), true) => vec![old.clone()],
            (None, true) => {
                *kept = Some(record.clone());
                vec![record]
            }
            _ => vec![record],
        }
    })
}
