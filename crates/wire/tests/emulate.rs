//! A slower network.

use super::*;

#[test]
fn frames_share_the_line_and_overlap_in_flight() {
    let network = Network { rtt: Duration::from_millis(100), bandwidth_bits_per_s: 8_000_000 };
    let mut line = Line::new(network);
    let t = Instant::now();
    let ms = Duration::from_millis;
    // (sent at, bytes, arrives at), in milliseconds; a byte takes a microsecond.
    let table = [(0, 1000, 51), (0, 1000, 52), (1, 3000, 55), (100, 1000, 151), (100, 0, 151)];
    for (sent, bytes, arrives) in table {
        assert_eq!(line.due(t + ms(sent), bytes), t + ms(arrives));
    }
}

#[test]
fn no_bandwidth_limit_is_no_serialisation() {
    let network = Network { rtt: Duration::ZERO, bandwidth_bits_per_s: 0 };
    assert_eq!(network.serialisation(usize::MAX), Duration::ZERO);
}
