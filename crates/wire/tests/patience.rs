//! When a peer counts as gone.

use super::*;

#[test]
fn silence_and_standstill_are_counted_apart() {
    let seconds = Duration::from_secs;
    let options = LinkOptions { deadline: seconds(10), stall_limit: seconds(25), ..LinkOptions::default() };
    let begin = Instant::now();
    let silent = WireError::Silent { peer: "P1".into(), seconds: 10 };
    let stalled = WireError::Stalled { peer: "P1".into(), seconds: 25 };
    // (what happens every second, when it ends, how)
    type Signs = fn(u64) -> (u64, u64);
    let table: [(Signs, Option<(u64, &WireError)>); 5] = [
        (|_| (0, 0), Some((10, &silent))),
        (|t| (t, 0), Some((25, &stalled))),
        (|t| (t, t), None),
        (|t| (t / 9, t / 9), None),
        (|t| (t.min(20), t.min(20)), Some((30, &silent))),
    ];
    for (signs, end) in table {
        let mut patience = Patience::new(begin, &options, 0, 0);
        let ended = (1..100).find_map(|t| {
            let (alive, moved) = signs(t);
            let left = patience.left(begin + seconds(t), &options, "P1", alive, moved);
            left.err().map(|error| (t, error))
        });
        assert_eq!(ended, end.map(|(t, error)| (t, error.clone())));
    }
}

#[test]
fn time_in_which_nobody_asked_does_not_count() {
    let options = LinkOptions::default();
    let begin = Instant::now();
    let mut patience = Patience::new(begin, &options, 0, 0);
    let after_a_night = begin + Duration::from_secs(30_000);
    let left = patience.left(after_a_night, &options, "P1", 0, 0);
    assert_eq!(left, Ok(Duration::from_millis(250)));
}
