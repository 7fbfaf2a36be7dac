//! How people write numbers of bits, sizes, ranges, shapes and times as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cryptflow_athos::compile::{Accuracy, Ring, Scale};
use time::{Date, Month, OffsetDateTime};

/// How an argument is written that was written in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// A number of bits.
    #[error("it must be `auto` or a number of bits")]
    Bits,
    /// What is to be kept.
    #[error("it must be `exact` or `labels`")]
    Accuracy,
    /// A tolerance.
    #[error("it must be a part of what an output spans, as 1%, or an output's largest error, as NAME=0.01")]
    Tolerance,
    /// A size.
    #[error("it must be height x width, as in 224x224")]
    Size,
    /// A range.
    #[error("it must be two numbers, the smaller one first, as in -1,1")]
    Range,
    /// A number of rows.
    #[error("it must be a whole number, 1 or more")]
    Rows,
    /// Something to divide by.
    #[error("it must be a number that can be divided by: finite, and not 0")]
    Divisor,
    /// A number.
    #[error("it must be a number")]
    Finite,
    /// An input's shape.
    #[error("it must be a name and a shape, as in x=1,28,28,1")]
    Input,
    /// A time that something takes.
    #[error("it must be a number of milliseconds, or one with its unit, as in 10ms or 200us")]
    Milliseconds,
    /// A bandwidth.
    #[error("it must be a number of Mbit/s, or one with its unit, as in 200mbit or 1gbit")]
    Megabits,
    /// What an input is bound to.
    #[error("it must be the name of an input and a value, as in is_training=false or sr=16000")]
    Set,
    /// A network.
    #[error(
        "it must be lan, wan, or a round trip and what a link carries, in milliseconds and Mbit/s or with their units, as in 40,100 or 40ms,1gbit"
    )]
    Network,
    /// A time.
    #[error("seconds since 1970, or a date such as 2026-03-01")]
    Time,
}

/// What a round is worth on a network, in the bits that a link carries meanwhile; none where the protocol shall decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundWorth(pub Option<u64>);

impl RoundWorth {
    /// In one room: a quarter of a millisecond and 10 Gbit/s.
    pub const LAN: RoundWorth = RoundWorth(Some(2_500_000));
}

/// A network: `lan` (0.25 ms and 10 Gbit/s), `wan` (40 ms and 100 Mbit/s), or its round trip, as [`milliseconds`], and what a link
/// carries, as [`megabits`]: `40,100`.
///
/// # Errors
/// How it is written.
pub fn network(text: &str) -> Result<RoundWorth, NotationError> {
    let parts: Vec<&str> = match text {
        "lan" => return Ok(RoundWorth::LAN),
        "wan" => vec!["40", "100"],
        other => other.split(',').collect(),
    };
    let (Some(ms), Some(mbit), 2) = (parts.first(), parts.get(1), parts.len()) else {
        return Err(NotationError::Network);
    };
    let number =
        |read: fn(&str) -> Result<f64, NotationError>, text| read(text).map_err(|_| NotationError::Network);
    let (ms, mbit) = (number(milliseconds, ms)?, number(megabits, mbit)?);
    let bits = ms * mbit * 1e3;
    // An hour, and a link that carries a terabit in a second.
    let is_one = ms >= 0.0 && mbit > 0.0 && ms <= 3.6e6 && mbit <= 1e6;
    if is_one { Ok(RoundWorth(Some(bits.round() as u64))) } else { Err(NotationError::Network) }
}

/// `auto`, or a number of bits.
///
/// # Errors
/// How it is written.
pub fn scale(text: &str) -> Result<Scale, NotationError> {
    bits(text).map(|b| b.map_or(Scale::Auto, Scale::Bits))
}

/// `auto`, or a number of bits.
///
/// # Errors
/// How it is written.
pub fn ring(text: &str) -> Result<Ring, NotationError> {
    bits(text).map(|b| b.map_or(Ring::Auto, Ring::Bits))
}

/// `exact` or `labels`.
///
/// # Errors
/// How it is written.
pub fn accuracy(text: &str) -> Result<Accuracy, NotationError> {
    match text {
        "exact" => Ok(Accuracy::Exact),
        "labels" => Ok(Accuracy::Labels),
        _ => Err(NotationError::Accuracy),
    }
}

/// Milliseconds, as `10`, `10ms`, `200us` or `1.5s`. Whether so long a time makes sense is for others to say.
///
/// # Errors
/// How it is written.
pub fn milliseconds(text: &str) -> Result<f64, NotationError> {
    with_unit(text, &[("ms", 1.0), ("us", 1e-3), ("µs", 1e-3), ("s", 1e3)]).ok_or(NotationError::Milliseconds)
}

/// Megabits a second, as `200`, `200mbit`, `1gbit` or `500kbit`.
///
/// # Errors
/// How it is written.
pub fn megabits(text: &str) -> Result<f64, NotationError> {
    with_unit(text, &[("kbit", 1e-3), ("mbit", 1.0), ("gbit", 1e3)]).ok_or(NotationError::Megabits)
}

/// A number, in the unit that stands behind it; in that of 1 where none does.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let lower = text.trim().to_lowercase();
    let of = |(unit, factor): &(&str, f64)| {
        lower.strip_suffix(unit).map(|number| number.trim().parse::<f64>().ok().map(|number| number * factor))
    };
    units.iter().find_map(of).unwrap_or_else(|| lower.parse().ok())
}

fn bits(text: &str) -> Result<Option<u32>, NotationError> {
    if text == "auto" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| NotationError::Bits)
}

/// A part of what each column of an output spans (`1%`, `0.01`), or the largest error of one output
/// (`NAME=0.01`).
///
/// # Errors
/// How it is written.
pub fn tolerance(text: &str) -> Result<(Option<String>, f64), NotationError> {
    let (name, number) = match text.rsplit_once('=') {
        Some((name, number)) => (Some(name.to_string()), number),
        None => (None, text),
    };
    let (digits, unit) = match number.strip_suffix('%') {
        Some(digits) if name.is_none() => (digits, 0.01),
        _ => (number, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| NotationError::Tolerance)?;
    Ok((name, number * unit))
}

/// At least one.
///
/// # Errors
/// How it is written.
pub fn rows(text: &str) -> Result<usize, NotationError> {
    text.parse().ok().filter(|&rows| rows > 0).ok_or(NotationError::Rows)
}

/// A number that is neither infinite nor zero.
///
/// # Errors
/// How it is written.
pub fn divisor(text: &str) -> Result<f64, NotationError> {
    finite(text).ok().filter(|&number| number != 0.0).ok_or(NotationError::Divisor)
}

/// A number that is not infinite.
///
/// # Errors
/// How it is written.
pub fn finite(text: &str) -> Result<f64, NotationError> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(NotationError::Finite)
}

/// `224x224`, or `224` for a square.
///
/// # Errors
/// How it is written.
pub fn size(text: &str) -> Result<[usize; 2], NotationError> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok().filter(|&n| n > 0)).collect();
    match numbers.as_deref() {
        Some([side]) => Ok([*side; 2]),
        Some([height, width]) => Ok([*height, *width]),
        _ => Err(NotationError::Size),
    }
}

/// `-1,1`.
///
/// # Errors
/// How it is written.
pub fn range(text: &str) -> Result<(f64, f64), NotationError> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([low, high]) if low <= high && low.is_finite() && high.is_finite() => Ok((*low, *high)),
        _ => Err(NotationError::Range),
    }
}

/// `x=1,28,28,1`; also `x=1x28x28x1`, and `:0` after the name is left out.
///
/// # Errors
/// How it is written.
pub fn input(text: &str) -> Result<(String, Vec<usize>), NotationError> {
    let (name, shape) = text.rsplit_once('=').ok_or(NotationError::Input)?;
    let shape = shape.trim_matches(['[', ']']);
    let numbers = if shape.is_empty() {
        Vec::new()
    } else {
        let parts = shape.split([',', 'x']).map(|n| n.trim().parse().map_err(|_| NotationError::Input));
        parts.collect::<Result<Vec<usize>, _>>()?
    };
    let name = name.strip_suffix(":0").unwrap_or(name);
    if name.is_empty() { Err(NotationError::Input) } else { Ok((name.to_string(), numbers)) }
}

/// An input, and what it is bound to: `sr=16000`.
///
/// # Errors
/// How it is written.
pub fn set(text: &str) -> Result<(String, String), NotationError> {
    let (name, value) = text.rsplit_once('=').ok_or(NotationError::Set)?;
    let name = name.strip_suffix(":0").unwrap_or(name);
    if name.is_empty() || value.is_empty() {
        Err(NotationError::Set)
    } else {
        Ok((name.into(), value.into()))
    }
}

/// Seconds since 1970, or a date of 1970 or later: `2026-03-01`, midnight in UTC.
///
/// # Errors
/// How it is written.
pub fn time(text: &str) -> Result<SystemTime, NotationError> {
    let time = match text.split('-').collect::<Vec<_>>().as_slice() {
        [seconds] => {
            let seconds = seconds.parse().map_err(|_| NotationError::Time)?;
            UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        }
        [year, month, day] => date(year, month, day).filter(|&time| time >= UNIX_EPOCH),
        _ => None,
    };
    time.ok_or(NotationError::Time)
}

fn date(year: &str, month: &str, day: &str) -> Option<SystemTime> {
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    Some(OffsetDateTime::new_utc(date, time::Time::MIDNIGHT).into())
}
