//! The numbers of sessions.

use std::sync::Arc;

use cryptflow_party::messages::Obstacle;
use cryptflow_party::numbers::{Numbers, REMEMBERED};

fn number(of: usize) -> [u8; 32] {
    let mut number = [0; 32];
    number[..8].copy_from_slice(&(of as u64).to_le_bytes());
    number
}

#[test]
fn none_begins_twice_while_it_is_known() {
    let numbers: Arc<Numbers> = Arc::default();
    let refused = |of| matches!(numbers.begin(number(of)), Err(Obstacle::Repeated));
    let running = numbers.begin(number(0)).unwrap();
    for ended in 1..=REMEMBERED {
        drop(numbers.begin(number(ended)).unwrap());
    }
    assert!(refused(0) && refused(1) && refused(REMEMBERED));
    // However many have ended since it began, one that runs is known; and what is known is bounded.
    for ended in 1..=REMEMBERED {
        drop(numbers.begin(number(REMEMBERED + ended)).unwrap());
    }
    assert!(refused(0) && refused(REMEMBERED + 1) && numbers.begin(number(1)).is_ok());
    drop(running);
    assert!(refused(0));
}
