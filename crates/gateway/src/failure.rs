//! Why a request has no answer.

use std::time::Duration;

/// Why a request has no answer, in words for whoever asked, and of which kind.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// There is no such model, or none for this key.
    #[error("there is no model {0:?} here")]
    NoModel(String),
    /// The request is wrong, whoever it is put to.
    #[error("{0}")]
    Request(String),
    /// The request is longer than is taken.
    #[error("{0}")]
    TooLong(String),
    /// The request does not come in.
    #[error("{0}")]
    Slow(String),
    /// No key came with it, or one that is not known.
    #[error("{0}")]
    Key(String),
    /// Too many are waiting.
    #[error("{reason}; try again in {} s", after.as_secs().max(1))]
    Busy {
        /// What there is too much of.
        reason: String,
        /// When to try again.
        after: Duration,
    },
    /// The model gives no answer to this input, and says so: its guard holds it back.
    #[error("{0}")]
    Held(String),
    /// What runs the models cannot be reached, or failed.
    #[error("{0}")]
    Unavailable(String),
    /// A defect.
    #[error("{0}")]
    Defect(String),
}

impl Failure {
    /// The status of an answer over HTTP.
    pub(crate) fn http(&self) -> http::StatusCode {
        match self {
            Failure::NoModel(_) => http::StatusCode::NOT_FOUND,
            Failure::Request(_) => http::StatusCode::BAD_REQUEST,
            Failure::TooLong(_) => http::StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Slow(_) => http::StatusCode::REQUEST_TIMEOUT,
            Failure::Key(_) => http::StatusCode::UNAUTHORIZED,
            Failure::Busy { .. } => http::StatusCode::TOO_MANY_REQUESTS,
            Failure::Held(_) => http::StatusCode::UNPROCESSABLE_ENTITY,
            Failure::Unavailable(_) => http::StatusCode::SERVICE_UNAVAILABLE,
            Failure::Defect(_) => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same over gRPC.
    pub(crate) fn grpc(&self) -> tonic::Status {
        let code = match self {
            Failure::NoModel(_) => tonic::Code::NotFound,
            Failure::Request(_) => tonic::Code::InvalidArgument,
            Failure::Slow(_) => tonic::Code::DeadlineExceeded,
            Failure::Key(_) => tonic::Code::Unauthenticated,
            Failure::Busy { .. } => tonic::Code::ResourceExhausted,
            Failure::Held(_) | Failure::TooLong(_) => tonic::Code::OutOfRange,
            Failure::Unavailable(_) => tonic::Code::Unavailable,
            Failure::Defect(_) => tonic::Code::Internal,
        };
        tonic::Status::new(code, self.to_string())
    }
}
