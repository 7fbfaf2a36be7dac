//! How long it takes to a party and back, and how much goes there in a second: a few bytes there, a few bytes back.

use std::time::{Duration, Instant};

use cryptflow_wire::tls::Channel;

use crate::code::Code;
use crate::greeting::{Ask, Tell, ready, say};
use crate::messages::SessionError;

/// Most bytes of one probe, in each direction.
const MOST: u32 = 1 << 20;

/// Bytes of the first one, which says whether a longer one would take too long.
const FIRST: u32 = 64 << 10;

/// A first one that is faster than this is followed by a longer one.
const FAST: Duration = Duration::from_millis(100);

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// There and back, the shortest of some.
    pub rtt: Duration,
    /// Bytes a second to the party.
    pub up: f64,
    /// Bytes a second from it.
    pub down: f64,
}

/// The party's side.
pub(crate) fn serve(channel: &mut Channel, up: u32, down: u32) -> Result<(), SessionError> {
    if up.max(down) > MOST {
        let reason = format!("a probe has at most {MOST} bytes");
        return say(channel, &Tell::Refused { code: Code::BadMessage, reason });
    }
    say(channel, &Tell::Ready)?;
    if up > 0 {
        channel.recv(up as usize)?;
        say(channel, &Tell::Ready)?;
    }
    if down > 0 {
        channel.send(&vec![0; down as usize])?;
    }
    Ok(())
}

/// Measures, over a channel to a party on which nothing else is said meanwhile, until `end`.
///
/// # Errors
/// The connection fails, or the party refuses.
pub fn measure(channel: &mut Channel, end: Instant) -> Result<Measured, SessionError> {
    channel.extend(end);
    let mut rtt = Duration::MAX;
    for _ in 0..3 {
        rtt = rtt.min(round_trip(channel)?);
    }
    let (mut up, mut down) = transfer(channel, FIRST)?;
    let mut bytes = FIRST;
    if up.max(down) < FAST {
        bytes = MOST;
        (up, down) = transfer(channel, MOST)?;
    }
    // Half of the way there and back is no matter of the number of bytes, but not less than nothing is left.
    let rate = |time: Duration| {
        f64::from(bytes) / time.saturating_sub(rtt / 2).max(Duration::from_micros(1)).as_secs_f64()
    };
    Ok(Measured { rtt, up: rate(up), down: rate(down) })
}

/// The shortest question that there is.
pub(crate) fn round_trip(channel: &mut Channel) -> Result<Duration, SessionError> {
    let asked = Instant::now();
    say(channel, &Ask::Probe { up: 0, down: 0 })?;
    ready(channel)?;
    Ok(asked.elapsed())
}

/// The times that so many bytes take there, and back.
fn transfer(channel: &mut Channel, bytes: u32) -> Result<(Duration, Duration), SessionError> {
    say(channel, &Ask::Probe { up: bytes, down: 0 })?;
    ready(channel)?;
    let begun = Instant::now();
    channel.send(&vec![0; bytes as usize])?;
    ready(channel)?;
    let up = begun.elapsed();
    let begun = Instant::now();
    say(channel, &Ask::Probe { up: 0, down: bytes })?;
    ready(channel)?;
    channel.recv(bytes as usize)?;
    Ok((up, begun.elapsed()))
}
