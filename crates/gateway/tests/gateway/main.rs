//! The gateway over real connections, in front of a model that doubles what it is given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod gone;
mod page;
mod protocol;
mod served;
