//! [`Teller`]: tells the party from within a session's process that it does not stand still, and how far the
//! session is.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::control::{Control, Report};
use crate::watch::{Progress, resident};

/// Two messages about progress are at least so far apart: a session of a small network has hundreds of runs a
/// second.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be told. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Teller(Arc<Inner>);

struct Inner {
    control: Arc<Control>,
    news: Mutex<Option<Progress>>,
    came: Condvar,
}

impl Teller {
    /// Over this way to the party, with a sign of life after each such silence.
    pub(super) fn begin(control: &Arc<Control>, silence: Duration) -> Teller {
        let inner = Inner { control: Arc::clone(control), news: Mutex::default(), came: Condvar::default() };
        let teller = Teller(Arc::new(inner));
        let own = teller.clone();
        // It ends with the party, and with it the process.
        thread::spawn(move || while own.tell_next(silence) {});
        teller
    }

    fn news(&self) -> MutexGuard<'_, Option<Progress>> {
        self.0.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session is so far. Whoever says so does not wait.
    pub(super) fn progress(&self, progress: &Progress) {
        *self.news() = Some(progress.clone());
        self.0.came.notify_one();
    }

    /// Tells what is still to be told, before something else is.
    pub(super) fn flush(&self) {
        if let Some(progress) = self.news().take() {
            self.tell(progress);
        }
    }

    /// Whether there is a party that hears it.
    fn tell(&self, progress: Progress) -> bool {
        let progress = Progress { memory: resident().unwrap_or_default(), ..progress };
        self.0.control.send(&Report::Progress(progress), None).is_ok()
    }

    /// Waits for something to tell, and tells it: whether there is a party that hears it.
    fn tell_next(&self, silence: Duration) -> bool {
        let waited = self.0.came.wait_timeout_while(self.news(), silence, |news| news.is_none());
        let (mut news, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let heard = match news.take() {
            // Told before the next one can be: what is told last is the newest.
            Some(progress) => self.tell(progress),
            None => self.0.control.send(&Report::Alive, None).is_ok(),
        };
        drop(news);
        thread::sleep(PAUSE.min(silence));
        heard
    }
}
