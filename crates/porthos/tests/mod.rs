//! All tests of this crate: some look inside of steps, so they are compiled as a part of it, and the
//! others with them.

mod conformance;
mod cost;
mod coupling;
mod odd;
#[cfg(debug_assertions)]
mod planted;
mod secrecy;
mod subject;
mod truncation;
mod views;
