//! What needs no more than what the crate offers. The other files of this folder are compiled as
//! children of the modules that they look inside of; all are one binary.

mod gather;
mod genuine;
mod hex;
mod hostile;
mod policy;
mod report_data;
mod simulated;
