//! What needs no more than what the crate offers. The other files of this folder are compiled as
//! children of the modules that they look inside of; all are one binary.

mod common;
mod links;
mod tls;
