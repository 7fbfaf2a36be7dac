//! All tests of this crate: some look inside of steps, so they are compiled as a part of it, and the
//! others with them.

mod conformance;
mod cost;
mod coupling;
#[cfg(debug_assertions)]
mod planted;
mod prepared;
mod scope;
mod secrecy;
mod subject;
mod tree;
mod views;
