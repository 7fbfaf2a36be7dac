//! Links within one process: the same [`Link`], its threads, frames, limits and meters; only the
//! bytes stay where they are.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::error::WireError;
use crate::frame::{FrameKind, HEADER_LEN, Header};
use crate::link::Link;
use crate::links::Links;
use crate::options::LinkOptions;
use crate::stream::{Control, Sink, Source, Transport};

/// Two ends of one link, each with a clock of its own.
///
/// # Errors
/// The system gives no threads.
pub fn pair(options: LinkOptions) -> Result<(Link, Link), WireError> {
    let (a, b) = transports(None);
    Ok((
        Link::start("the other end".into(), a, Arc::default(), options.clone())?,
        Link::start("the other end".into(), b, Arc::default(), options)?,
    ))
}

/// The links of so many parties in one process, each with the options of [`LinkOptions::between`].
///
/// # Errors
/// The system gives no threads.
pub fn mesh(parties: usize, options: LinkOptions) -> Result<Vec<Links>, WireError> {
    connect(parties, options, None)
}

/// As [`mesh`], with a copy of every message: for tests of what a party can see.
///
/// # Errors
/// The system gives no threads.
pub fn recorded_mesh(parties: usize, options: LinkOptions) -> Result<(Vec<Links>, Transcript), WireError> {
    let transcript = Transcript::default();
    Ok((connect(parties, options, Some(&transcript))?, transcript))
}

fn connect(
    parties: usize,
    options: LinkOptions,
    transcript: Option<&Transcript>,
) -> Result<Vec<Links>, WireError> {
    let clocks: Vec<Arc<Clock>> = (0..parties).map(|_| Arc::default()).collect();
    let mut links: Vec<Vec<Link>> = (0..parties).map(|_| Vec::new()).collect();
    // Each party gets the links to the others in the order of their indices.
    for i in 0..parties {
        for j in i + 1..parties {
            let (there, back) = transports(transcript.map(|t| (t, i, j)));
            for (from, to, transport) in [(i, j, there), (j, i, back)] {
                let clock = Arc::clone(&clocks[from]);
                let link = Link::start(format!("P{to}"), transport, clock, options.between(from, to))?;
                links[from].push(link);
            }
        }
    }
    let parties = links.into_iter().zip(clocks).enumerate();
    Ok(parties.map(|(index, (links, clock))| Links::new(index, links, clock)).collect())
}

/// The messages of a [`recorded_mesh`].
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<Recorded>>>);

/// A message, with the indices of its sender and its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Who sent it.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// What.
    pub payload: Vec<u8>,
}

impl Transcript {
    /// The messages so far; those of one sender to one receiver are in order.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where an end's messages are copied to.
struct Tap {
    transcript: Transcript,
    from: usize,
    to: usize,
}

/// The two ends of a connection between parties `i` and `j`, with a copy of each message where one
/// is wanted.
fn transports(record: Option<(&Transcript, usize, usize)>) -> (Transport, Transport) {
    let (there, back) = (Arc::<Conduit>::default(), Arc::<Conduit>::default());
    let tap = |swap: bool| {
        record.map(|(transcript, i, j)| {
            let (from, to) = if swap { (j, i) } else { (i, j) };
            Tap { transcript: transcript.clone(), from, to }
        })
    };
    let end = |out: &Arc<Conduit>, into: &Arc<Conduit>, tap: Option<Tap>| Transport {
        sink: Box::new(Inlet { conduit: Arc::clone(out), tap }),
        source: Box::new(Outlet { conduit: Arc::clone(into), payload: Vec::new() }),
        control: Box::new(Valve { out: Arc::clone(out), into: Arc::clone(into) }),
    };
    (end(&there, &back, tap(false)), end(&back, &there, tap(true)))
}

/// One direction: room for one frame, so that queues fill up and hold the sender back as on a
/// network.
#[derive(Default)]
struct Conduit {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    frame: Option<([u8; HEADER_LEN], Vec<u8>)>,
    closed: bool,
}

impl Conduit {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, slot: MutexGuard<'a, Slot>) -> MutexGuard<'a, Slot> {
        self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

struct Inlet {
    conduit: Arc<Conduit>,
    tap: Option<Tap>,
}

impl Sink for Inlet {
    fn write(&mut self, header: Header, payload: Vec<u8>, pace: &mut dyn FnMut(usize)) -> io::Result<()> {
        pace(HEADER_LEN + payload.len());
        if let Some(tap) = self.tap.as_ref().filter(|_| header.kind == FrameKind::Data) {
            let recorded = Recorded { from: tap.from, to: tap.to, payload: payload.clone() };
            tap.transcript.0.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        }
        let mut slot = self.conduit.lock();
        while slot.frame.is_some() && !slot.closed {
            slot = self.conduit.wait(slot);
        }
        if slot.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        slot.frame = Some((header.encode(), payload));
        self.conduit.changed.notify_all();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Outlet {
    conduit: Arc<Conduit>,
    payload: Vec<u8>,
}

impl Source for Outlet {
    fn header(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        let mut slot = self.conduit.lock();
        loop {
            if let Some((header, payload)) = slot.frame.take() {
                self.payload = payload;
                self.conduit.changed.notify_all();
                return Ok(Some(header));
            }
            if slot.closed {
                return Ok(None);
            }
            slot = self.conduit.wait(slot);
        }
    }

    fn payload(&mut self, _len: usize, alive: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        alive();
        Ok(std::mem::take(&mut self.payload))
    }

    fn skip(&mut self, _len: usize) -> io::Result<()> {
        self.payload = Vec::new();
        Ok(())
    }
}

struct Valve {
    out: Arc<Conduit>,
    into: Arc<Conduit>,
}

impl Control for Valve {
    fn finish(&self) {
        self.out.close();
    }

    fn stop(&self) {
        self.out.close();
        self.into.close();
    }
}
