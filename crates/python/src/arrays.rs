//! Arrays, as bytes of `.npy` files.

use cryptflow::input::Given;
use cryptflow::results::Results;
use cryptflow_arrays::npy::{self, Names, NpyError, Written, WrittenAs};

/// An array that Python gives: the input that it is for, where that is said; what to call it where
/// something is wrong with it; and its bytes.
pub(crate) type Bytes = (Option<String>, String, Vec<u8>);

/// An array that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{label} cannot be used: {reason}")]
pub(crate) struct ArrayError {
    label: String,
    reason: NpyError,
}

/// Reads what Python gave.
pub(crate) fn given(arrays: Vec<Bytes>) -> Result<Vec<Given>, ArrayError> {
    let array = |(input, label, bytes): Bytes| {
        let array = npy::read_npy(bytes.as_slice(), bytes.len() as u64, true);
        match array {
            Ok(array) => Ok(Given { input, label, array }),
            Err(reason) => Err(ArrayError { label, reason }),
        }
    };
    arrays.into_iter().map(array).collect()
}

/// The bytes of all results of an output.
pub(crate) fn written(
    results: &Results,
    kind: WrittenAs,
    names: Option<Names<'_>>,
) -> std::io::Result<Vec<u8>> {
    let tensor = results.tensor();
    let mut bytes = Vec::new();
    npy::write_npy(&mut bytes, Written { tensor: &tensor, kind, names })?;
    Ok(bytes)
}
