//! How people write arguments.

use std::time::{Duration, UNIX_EPOCH};

use cryptflow::local::network;
use cryptflow::notation::{
    self, NotationError, RoundWorth, input, megabits, milliseconds, range, ring, scale, size, time,
};
use cryptflow_athos::compile::{Ring, Scale};
use cryptflow_wire::Network;

#[test]
fn notations() {
    assert_eq!(scale("auto"), Ok(Scale::Auto));
    assert_eq!(ring("37"), Ok(Ring::Bits(37)));
    assert!(scale("twelve").is_err() && scale("").is_err() && ring("-1").is_err());
    assert_eq!(size("227x224"), Ok([227, 224]));
    assert_eq!(size("32"), Ok([32, 32]));
    assert!(size("0x3").is_err() && size("1x2x3").is_err() && size("x").is_err());
    assert_eq!(range("-1,1"), Ok((-1.0, 1.0)));
    assert!(range("1,-1").is_err() && range("1").is_err() && range("0,inf").is_err());
    assert_eq!(input("x=1,28,28,1"), Ok(("x".into(), vec![1, 28, 28, 1])));
    assert_eq!(input("scope/x:0=[2x3]"), Ok(("scope/x".into(), vec![2, 3])));
    assert_eq!(input("x="), Ok(("x".into(), vec![])));
    assert!(input("x").is_err() && input("=1").is_err() && input("x=a").is_err());
}

#[test]
fn networks() {
    for (text, bits) in [
        ("lan", Some(2_500_000)),
        ("wan", Some(4_000_000)),
        ("40,200", Some(8_000_000)),
        ("40ms,0.2gbit", Some(8_000_000)),
        ("0, 1", Some(0)),
    ] {
        assert_eq!(notation::network(text), Ok(RoundWorth(bits)), "{text}");
    }
    for wrong in
        ["", "man", "40", "40,100,1", "-1,100", "40,0", "nan,1", "1,inf", "inf,1", "40mbit,100", "40,100ms"]
    {
        assert!(notation::network(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn times() {
    let seconds = |text: &str| time(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
    assert_eq!(seconds("12"), Ok(12));
    assert_eq!(seconds("1970-01-02"), Ok(24 * 3600));
    assert_eq!(seconds("2025-07-01"), Ok(1_751_328_000));
    assert_eq!(seconds("2028-02-29"), Ok(1_835_395_200));
    for wrong in [
        "",
        "x",
        "2027-02-29",
        "2027-13-01",
        "2027-00-01",
        "2027-01-00",
        "1969-01-01",
        "2027-01",
        "-1",
        "2027-01-01-01",
    ] {
        assert!(seconds(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_are_checked() {
    assert_eq!(network(None, None).unwrap(), None);
    let wan = Network { rtt: Duration::from_millis(40), bandwidth_bits_per_s: 352_000_000 };
    assert_eq!(network(Some(40.0), Some(352.0)).unwrap(), Some(wan));
    let slow = Network { rtt: Duration::from_micros(500), bandwidth_bits_per_s: 0 };
    assert_eq!(network(Some(0.5), None).unwrap(), Some(slow));
    for (rtt, bandwidth) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (1.0, -5.0), (1.0, f64::INFINITY)] {
        assert!(network(Some(rtt), Some(bandwidth)).is_err(), "{rtt} {bandwidth}");
    }
}

#[test]
fn round_trips_and_bandwidths() {
    for (text, expected) in
        [("10", 10.0), ("10ms", 10.0), ("0.2 ms", 0.2), ("200us", 0.2), ("1.5s", 1500.0), ("-1", -1.0)]
    {
        assert_eq!(milliseconds(text), Ok(expected), "{text}");
    }
    for (text, expected) in
        [("200", 200.0), ("1gbit", 1000.0), ("200 Mbit", 200.0), ("500kbit", 0.5), ("-1", -1.0)]
    {
        assert_eq!(megabits(text), Ok(expected), "{text}");
    }
    for text in ["", "ms", "10 min", "1gbit", "ten"] {
        assert_eq!(milliseconds(text), Err(NotationError::Milliseconds), "{text}");
    }
    for text in ["", "mbit", "10ms", "1gbyte", "fast"] {
        assert_eq!(megabits(text), Err(NotationError::Megabits), "{text}");
    }
}
