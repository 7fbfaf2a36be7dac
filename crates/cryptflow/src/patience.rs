//! How long a client tries to have a session: it waits where parties are busy, and tries again where one is
//! not there. Nothing has been computed yet, so trying again repeats nothing.

use std::time::{Duration, Instant};

use cryptflow_mpc::keys;
use cryptflow_party::messages::SessionError;

/// Waits between attempts: the first, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// How long a party may be away that is being started again.
const AWAY: Duration = Duration::from_secs(15);

/// What a client hears while it has no session yet, for people.
pub type Told<'a> = &'a mut dyn FnMut(&str);

/// How long a client tries, and what it has tried.
pub struct Patience<'a> {
    /// For how long altogether.
    limit: Duration,
    until: Instant,
    /// Until when a party may be away, once one is.
    back: Option<Instant>,
    pause: Duration,
    told: Option<Told<'a>>,
    /// Whether what is waited for is not wanted any more.
    gone: Option<&'a dyn Fn() -> bool>,
}

impl<'a> Patience<'a> {
    /// What commands have where nothing else is said.
    pub const USUAL: Duration = Duration::from_secs(60);

    /// Patience for so long.
    pub fn of(limit: Duration, told: Told<'a>) -> Patience<'a> {
        Patience {
            limit,
            until: Instant::now() + limit,
            back: None,
            pause: FIRST,
            told: Some(told),
            gone: None,
        }
    }

    /// Asks once.
    pub fn none() -> Patience<'a> {
        Patience {
            limit: Duration::ZERO,
            until: Instant::now(),
            back: None,
            pause: FIRST,
            told: None,
            gone: None,
        }
    }

    /// The same, which is over as soon as nobody wants what is waited for.
    pub fn unless(self, gone: &'a dyn Fn() -> bool) -> Patience<'a> {
        Patience { gone: Some(gone), ..self }
    }

    fn is_in_vain(&self) -> bool {
        self.gone.is_some_and(|gone| gone())
    }

    /// Tells what is waited for.
    pub(crate) fn tell(&mut self, what: &str) {
        if let Some(told) = &mut self.told {
            told(what);
        }
    }

    /// Whether it is at an end.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until || self.is_in_vain()
    }

    /// For how long it is, altogether.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits a moment before another attempt, where there may be one after these errors.
    ///
    /// # Errors
    /// There is none: what went wrong lasts, or it took too long.
    pub(crate) fn pause_after(&mut self, errors: Vec<SessionError>) -> Result<(), Vec<SessionError>> {
        let now = Instant::now();
        let away = errors.iter().any(|error| !matches!(error, SessionError::Later { .. }));
        let until = match away {
            true => self.until.min(*self.back.get_or_insert(now + AWAY)),
            false => {
                self.back = None;
                self.until
            }
        };
        let asked = errors.iter().filter_map(|error| match error {
            SessionError::Later { after, .. } => Some(*after),
            _ => None,
        });
        let pause = asked.max().unwrap_or_default().max(shortened(self.pause));
        if now + pause > until || self.is_in_vain() {
            return Err(errors);
        }
        if let Some(error) = errors.first() {
            let left = (until - now).as_secs();
            self.tell(&format!("{error}; trying again for {left} s"));
        }
        std::thread::sleep(pause);
        self.pause = (self.pause * 2).min(LONGEST);
        Ok(())
    }
}

/// Somewhat less, by chance: clients that were refused together do not come again together.
fn shortened(pause: Duration) -> Duration {
    let mut byte = [0; 1];
    // Without randomness there is no session either: that is said where it matters.
    let _ = keys::random(&mut byte);
    pause.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}
