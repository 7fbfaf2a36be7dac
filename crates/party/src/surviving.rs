//! A mistake in this program ends the step in which it shows, and is told as any other end of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::messages::SessionError;

/// Takes a step, of which a panic is an error. What the step holds (seats, places, processes) it gives
/// back as it unwinds.
///
/// # Errors
/// The step's own, or [`SessionError::Panicked`].
pub(crate) fn surviving<T>(step: impl FnOnce() -> Result<T, SessionError>) -> Result<T, SessionError> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Err(SessionError::Panicked))
}
