//! What `cryptflow attest` does, beside verifying: predicting measurements, writing policies,
//! fetching collateral. None of it is in the program that is attested.

pub mod collateral;
mod firmware;
pub mod measure;
pub mod policy;
