//! Who asks: no request but those after the gateway's health gets through without a key, where there are
//! keys.

use axum::extract::{Request, State as Given};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::failure::Failure;
use crate::page;
use crate::state::State;

/// Another header that keys come in.
const KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What anybody may ask: orchestrators have no key.
const OPEN: [&str; 4] = [
    "/v2/health/live",
    "/v2/health/ready",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
];

/// Lets requests through whose key is known, and says who they are of.
pub(crate) async fn check(Given(state): Given<State>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if OPEN.contains(&path) || page::is_open(path) {
        return next.run(request).await;
    }
    let holder = match state.holder(key(request.headers())) {
        Ok(holder) => holder,
        Err(failure) if is_grpc(request.headers()) => {
            return failure.grpc().into_http::<axum::body::Body>().into_response();
        }
        Err(failure) => return failure.into_response(),
    };
    request.extensions_mut().insert(holder);
    next.run(request).await
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.or_else(|| headers.get(KEY)?.to_str().ok()).map(str::trim)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let form = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    form.is_some_and(|form| form.starts_with(b"application/grpc"))
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.http();
        let mut response = (status, axum::Json(json!({ "error": self.to_string() }))).into_response();
        if let Failure::Busy { after, .. } = &self
            && let Ok(seconds) = HeaderValue::from_str(&after.as_secs().max(1).to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
